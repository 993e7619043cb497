"""WebP, lossy (VP8, RFC 6386) and lossless (VP8L), by libwebp through Pillow."""

import io
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from neuralcodec.codec import Fields, QualityRange
from neuralcodec.codecs.classical.base import PillowCodec
from neuralcodec.codecs.classical.contents import riff_bytes
from neuralcodec.codecs.image_file import ALL, GRAY
from neuralcodec.codecs.options import Option

_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


class WebP(PillowCodec):
    """Lossy WebP, which always halves the resolution of chroma; gray and alpha are coded as (exact) RGBA."""

    name = "webp"
    title = "WebP"
    lossless = False
    plugin, feature = "WEBP", "webp"
    quality: ClassVar[QualityRange | None] = QualityRange(
        80, 0, 100, (0, 5, 20, 45, 65, 80, 88, 93), integral=True
    )
    options: ClassVar = {"method": Option(4, "effort of the encoder", 0, 6)}
    kinds: ClassVar = {"uint8": ALL}
    greatest_side = 16383

    def settings(self, image: NDArray[Any], quality: float) -> dict[str, Any]:
        """Return what is given to Pillow's `save`."""
        return {"quality": int(quality), "exact": True, **self._options}

    def unpack(self, payload: bytes, fields: Fields) -> NDArray[Any]:
        """Return the image, with as many channels as were coded: the format itself knows only RGB and RGBA."""
        from PIL import Image

        shape = fields.signal.shape
        channels = shape[2] if len(shape) == 3 else GRAY
        with Image.open(io.BytesIO(payload), formats=(self.plugin,)) as image:
            if channels % 2 == 0 and image.mode == "RGB":
                image.putalpha(255)  # alpha that is opaque everywhere is not written
            return np.asarray(image.convert(_MODES[channels]))

    def content_bytes(self, payload: bytes) -> int:
        """Return the size of the bitstreams of colour and alpha."""
        return riff_bytes(payload, {b"VP8 ", b"VP8L", b"ALPH"})


class WebPLossless(WebP):
    """Lossless WebP."""

    name = "webp-lossless"
    title = "WebP lossless"
    lossless = True
    quality = None
    options: ClassVar = {
        "method": Option(6, "effort of the encoder", 0, 6),
        "effort": Option(80, "how much it searches; libwebp calls it quality", 0, 100),
    }

    def settings(self, image: NDArray[Any], quality: float) -> dict[str, Any]:
        """Return what is given to Pillow's `save`."""
        options = self._options
        return {"lossless": True, "exact": True, "method": options["method"], "quality": options["effort"]}
