"""JPEG XL (ISO/IEC 18181) by libjxl, through imagecodecs."""

from typing import Any, ClassVar

from numpy.typing import NDArray

from neuralcodec.codec import Fields, QualityRange
from neuralcodec.codecs.classical.base import ImagecodecsCodec
from neuralcodec.codecs.image_file import ALL
from neuralcodec.codecs.options import Option

POINTS = (0.7, 1, 1.7, 3, 5, 8, 13, 25)


class JpegXl(ImagecodecsCodec):
    """Lossy JPEG XL, as a bare codestream; its quality is the distance of Butteraugli, 1 being hardly visible."""

    name = "jxl"
    title = "JPEG XL"
    lossless = False
    part, flag = "jpegxl", "JPEGXL"
    quality: ClassVar[QualityRange | None] = QualityRange(1, 0.01, 25, POINTS, inverse=True)
    options: ClassVar = {"effort": Option(7, "of the encoder", 1, 9)}
    kinds: ClassVar = {"uint8": ALL, "uint16": ALL}

    def pack(self, image: NDArray[Any], quality: float) -> bytes:
        """Return the codestream of an image."""
        settings = {"lossless": self.lossless, "usecontainer": False, "numthreads": 1, **self._options}
        if not self.lossless:
            settings["distance"] = quality
        return bytes(self.library().jpegxl_encode(image, **settings))

    def unpack(self, payload: bytes, fields: Fields) -> NDArray[Any]:
        """Return the image of a codestream."""
        image: NDArray[Any] = self.library().jpegxl_decode(payload, numthreads=1)
        return image


class JpegXlLossless(JpegXl):
    """Lossless JPEG XL (modular mode)."""

    name = "jxl-lossless"
    title = "JPEG XL lossless"
    lossless = True
    quality = None
