"""QOI, the "Quite OK Image" format (qoiformat.org), through imagecodecs."""

from typing import Any, ClassVar

from numpy.typing import NDArray

from neuralcodec.codec import Fields
from neuralcodec.codecs.classical.base import ImagecodecsCodec
from neuralcodec.codecs.image_file import RGB, RGBA

_HEADER, _END = 14, 8


class Qoi(ImagecodecsCodec):
    """QOI, lossless, for RGB and RGBA alone."""

    name = "qoi"
    title = "QOI"
    part, flag = "qoi", "QOI"
    kinds: ClassVar = {"uint8": (RGB, RGBA)}

    def pack(self, image: NDArray[Any], quality: float) -> bytes:
        """Return the file of an image."""
        return bytes(self.library().qoi_encode(image))

    def unpack(self, payload: bytes, fields: Fields) -> NDArray[Any]:
        """Return the image of a file."""
        image: NDArray[Any] = self.library().qoi_decode(payload)
        return image

    def content_bytes(self, payload: bytes) -> int:
        """Return the size without the fixed header and end mark."""
        return len(payload) - _HEADER - _END
