"""High-Throughput JPEG 2000 (ITU-T T.814) by OpenJPH, through imagecodecs."""

import io
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from neuralcodec.codec import Fields, QualityRange
from neuralcodec.codecs.classical.base import ImagecodecsCodec
from neuralcodec.codecs.image_file import GRAY, RGB, RGBA

POINTS = (0.016, 0.024, 0.036, 0.055, 0.08, 0.12, 0.18, 0.28)


class Htj2k(ImagecodecsCodec):
    """HTJ2K with the irreversible 9/7 wavelet; its quality is OpenJPH's base step of quantisation, of a range of 1.

    The decoder is OpenJPEG, through Pillow: that of imagecodecs (2026.3.6) lets samples which the quantiser pushes
    over 255 wrap around to 0, which costs 10 dB and more.
    """

    name = "htj2k"
    title = "HTJ2K"
    lossless = False
    part, flag = "htj2k", "HTJ2K"
    quality: ClassVar[QualityRange | None] = QualityRange(0.03, 0.0005, 0.5, POINTS, inverse=True)
    kinds: ClassVar = {"uint8": (GRAY, RGB)}

    def pack(self, image: NDArray[Any], quality: float) -> bytes:
        """Return the codestream of an image."""
        return bytes(self.library().htj2k_encode(image, level=quality, reversible=False))

    def unpack(self, payload: bytes, fields: Fields) -> NDArray[Any]:
        """Return the image of a codestream."""
        from PIL import Image

        with Image.open(io.BytesIO(payload), formats=("JPEG2000",)) as image:
            return np.asarray(image)


class Htj2kLossless(Htj2k):
    """HTJ2K with the reversible 5/3 wavelet."""

    name = "htj2k-lossless"
    title = "HTJ2K lossless"
    lossless = True
    quality = None
    kinds: ClassVar = {"uint8": (GRAY, RGB, RGBA), "uint16": (GRAY, RGB, RGBA)}

    def pack(self, image: NDArray[Any], quality: float) -> bytes:
        """Return the codestream of an image."""
        return bytes(self.library().htj2k_encode(image, reversible=True))

    def unpack(self, payload: bytes, fields: Fields) -> NDArray[Any]:
        """Return the image of a codestream."""
        image: NDArray[Any] = self.library().htj2k_decode(payload)
        return image
