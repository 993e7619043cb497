"""AVIF (AV1 in a HEIF container) by libavif, through Pillow."""

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from neuralcodec.codec import Fields, QualityRange
from neuralcodec.codecs.classical.base import PillowCodec
from neuralcodec.codecs.classical.contents import box_bytes
from neuralcodec.codecs.image_file import GRAY, RGB, RGBA
from neuralcodec.codecs.options import Option

_decoding = threading.Lock()


class Avif(PillowCodec):
    """AVIF at libavif's speed 6, chroma at half the resolution unless asked otherwise."""

    name = "avif"
    title = "AVIF"
    lossless = False
    plugin, feature = "AVIF", "avif"
    quality: ClassVar[QualityRange | None] = QualityRange(
        60, 0, 100, (10, 20, 32, 44, 54, 64, 76, 88), integral=True
    )
    options: ClassVar = {
        "speed": Option(6, "0 is slowest and smallest", 0, 10),
        "subsampling": Option("4:2:0", "of chroma", choices=("4:2:0", "4:2:2", "4:4:4")),
    }
    kinds: ClassVar = {"uint8": (GRAY, RGB, RGBA)}

    def settings(self, image: NDArray[Any], quality: float) -> dict[str, Any]:
        """Return what is given to Pillow's `save`."""
        chroma = self._options["subsampling"] if image.ndim == 3 else "4:0:0"
        speed = self._options["speed"]
        return {"quality": int(quality), "speed": speed, "subsampling": chroma, "max_threads": 1}

    def unpack(self, payload: bytes, fields: Fields) -> NDArray[Any]:
        """Return the image, decoded by one thread."""
        from PIL import Image

        with _one_thread(), Image.open(io.BytesIO(payload), formats=(self.plugin,)) as image:
            gray = len(fields.signal.shape) == 2 or fields.signal.shape[2] == GRAY
            return np.asarray(image.convert("L") if gray else image)

    def content_bytes(self, payload: bytes) -> int:
        """Return the size of the AV1 data."""
        return box_bytes(payload, {b"mdat"})


@contextmanager
def _one_thread() -> Iterator[None]:
    """Decode with one thread: Pillow takes their number from a variable of its plugin."""
    from PIL import AvifImagePlugin

    with _decoding:
        before = AvifImagePlugin.DEFAULT_MAX_THREADS
        AvifImagePlugin.DEFAULT_MAX_THREADS = 1
        try:
            yield
        finally:
            AvifImagePlugin.DEFAULT_MAX_THREADS = before
