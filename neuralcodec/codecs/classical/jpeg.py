"""JPEG (ITU-T T.81) by libjpeg-turbo, through Pillow."""

from typing import Any, ClassVar

from numpy.typing import NDArray

from neuralcodec.codec import QualityRange
from neuralcodec.codecs.classical.base import PillowCodec
from neuralcodec.codecs.classical.contents import scan_bytes
from neuralcodec.codecs.image_file import GRAY, RGB
from neuralcodec.codecs.options import Option

POINTS = (5, 10, 20, 35, 55, 75, 85, 90)


class Jpeg(PillowCodec):
    """JPEG with chroma at half the resolution, as Pillow writes it and as published curves have it.

    Quality is libjpeg's; above 95 files grow with hardly a gain, says Pillow's documentation.

    >>> Jpeg(optimize=True).parameters
    {'optimize': True, 'progressive': False, 'subsampling': '4:2:0'}
    """

    name = "jpeg"
    title = "JPEG"
    lossless = False
    plugin, feature, successor = "JPEG", "jpg", "libjpeg_turbo"
    quality: ClassVar[QualityRange | None] = QualityRange(75, 1, 100, POINTS, integral=True)
    options: ClassVar = {
        "optimize": Option(False, "Huffman tables made for the image"),
        "progressive": Option(False, "several scans"),
    }
    kinds: ClassVar = {"uint8": (GRAY, RGB)}
    subsampling: ClassVar[str] = "4:2:0"

    @property
    def parameters(self) -> dict[str, Any]:
        """The values of its options, and how it samples chroma."""
        return self._options | {"subsampling": self.subsampling}

    def settings(self, image: NDArray[Any], quality: float) -> dict[str, Any]:
        """Return what is given to Pillow's `save`."""
        chroma = {"subsampling": self.subsampling} if image.ndim == 3 else {}
        return {"quality": int(quality), **self._options, **chroma}

    def content_bytes(self, payload: bytes) -> int:
        """Return the size of the scans: neither tables nor other headers."""
        return scan_bytes(payload)


class Jpeg444(Jpeg):
    """JPEG with chroma at full resolution."""

    name = "jpeg-444"
    title = "JPEG 4:4:4"
    subsampling: ClassVar[str] = "4:4:4"
