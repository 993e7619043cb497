"""JPEG-LS (ITU-T T.87) by CharLS, through imagecodecs."""

from typing import Any, ClassVar

from numpy.typing import NDArray

from neuralcodec.codec import Fields
from neuralcodec.codecs.classical.base import ImagecodecsCodec
from neuralcodec.codecs.classical.contents import scan_bytes
from neuralcodec.codecs.image_file import GRAY, RGB, RGBA


class JpegLs(ImagecodecsCodec):
    """Lossless JPEG-LS, as CharLS writes it: without a colour transform."""

    name = "jpeg-ls"
    title = "JPEG-LS"
    part, flag = "jpegls", "JPEGLS"
    kinds: ClassVar = {"uint8": (GRAY, RGB, RGBA), "uint16": (GRAY, RGB, RGBA)}

    def pack(self, image: NDArray[Any], quality: float) -> bytes:
        """Return the file of an image."""
        return bytes(self.library().jpegls_encode(image, level=0))

    def unpack(self, payload: bytes, fields: Fields) -> NDArray[Any]:
        """Return the image of a file."""
        image: NDArray[Any] = self.library().jpegls_decode(payload)
        return image

    def content_bytes(self, payload: bytes) -> int:
        """Return the size of the scans."""
        return scan_bytes(payload)
