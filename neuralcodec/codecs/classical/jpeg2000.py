"""JPEG 2000 (ITU-T T.800) by OpenJPEG, through Pillow."""

from typing import Any, ClassVar

from numpy.typing import NDArray

from neuralcodec.codec import QualityRange
from neuralcodec.codecs.classical.base import PillowCodec
from neuralcodec.codecs.classical.contents import box_bytes
from neuralcodec.codecs.image_file import ALL, GRAY, RGB
from neuralcodec.codecs.options import Option

POINTS = (10, 15, 22, 32, 50, 80, 140, 240)
PSNR_POINTS = (20, 24, 27, 30, 33, 36, 40, 44)
_CODESTREAM = b"\xff\x4f"


class Jpeg2000(PillowCodec):
    """JPEG 2000 with the irreversible 9/7 wavelet; its quality is the ratio of compression, `-r` of opj_compress.

    A ratio r gives 24 / r bits per pixel of an 8-bit RGB image, whatever its contents. Headers count: on images of a
    few hundred pixels nothing is left for the samples, and :class:`Jpeg2000Psnr` is the one to measure.
    """

    name = "jpeg2000"
    title = "JPEG 2000"
    lossless = False
    plugin, feature = "JPEG2000", "jpg_2000"
    quality: ClassVar[QualityRange | None] = QualityRange(20, 1, 2000, POINTS, inverse=True)
    options: ClassVar = {"container": Option(True, "JP2 boxes around the codestream")}
    kinds: ClassVar = {"uint8": ALL, "uint16": (GRAY,)}
    mode: ClassVar[str] = "rates"

    def settings(self, image: NDArray[Any], quality: float) -> dict[str, Any]:
        """Return what is given to Pillow's `save`."""
        layers = {"quality_mode": self.mode, "quality_layers": [quality]}
        return {"irreversible": True, **layers, **self._both(image)}

    def _both(self, image: NDArray[Any]) -> dict[str, Any]:
        """Return what is the same with and without loss: colour transform and container."""
        colour = image.ndim == 3 and image.shape[2] >= RGB
        return {"mct": int(colour), "no_jp2": not self._options["container"]}

    def content_bytes(self, payload: bytes) -> int:
        """Return the size of the codestream."""
        return len(payload) if payload.startswith(_CODESTREAM) else box_bytes(payload, {b"jp2c"})


class Jpeg2000Psnr(Jpeg2000):
    """JPEG 2000 with the irreversible 9/7 wavelet; its quality is the PSNR in dB that the encoder aims at."""

    name = "jpeg2000-psnr"
    title = "JPEG 2000 (PSNR)"
    quality: ClassVar[QualityRange | None] = QualityRange(36, 10, 90, PSNR_POINTS)
    mode: ClassVar[str] = "dB"


class Jpeg2000Lossless(Jpeg2000):
    """JPEG 2000 with the reversible 5/3 wavelet and colour transform."""

    name = "jpeg2000-lossless"
    title = "JPEG 2000 lossless"
    lossless = True
    quality = None

    def settings(self, image: NDArray[Any], quality: float) -> dict[str, Any]:
        """Return what is given to Pillow's `save`."""
        return {"irreversible": False, **self._both(image)}
