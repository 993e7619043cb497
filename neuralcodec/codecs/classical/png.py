"""PNG (ISO/IEC 15948) by zlib, through Pillow."""

from typing import Any, ClassVar

from numpy.typing import NDArray

from neuralcodec.codecs.classical.base import PillowCodec
from neuralcodec.codecs.classical.contents import png_bytes
from neuralcodec.codecs.image_file import ALL, GRAY


class Png(PillowCodec):
    """PNG with Pillow's `optimize`, which picks zlib's best level."""

    name = "png"
    title = "PNG"
    plugin, feature, successor = "PNG", "zlib", "zlib_ng"
    kinds: ClassVar = {"bool": (GRAY,), "uint8": ALL, "uint16": (GRAY,)}
    greatest_side = 2**31 - 1

    def settings(self, image: NDArray[Any], quality: float) -> dict[str, Any]:
        """Return what is given to Pillow's `save`."""
        return {"optimize": True}

    def content_bytes(self, payload: bytes) -> int:
        """Return the size of the compressed samples."""
        return png_bytes(payload)
