"""Codecs under test that behave in known ways; worker processes import them by name."""

import os
import time
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuralcodec.codec import Codec, Fields, QualityRange
from neuralcodec.errors import CorruptFile


class Step(Codec):
    """Divides 8-bit samples by a step, and deflates."""

    name, title, lossless, standalone = "toy-step", "Toy step", False, True
    quality = QualityRange(8, 1, 64, (4, 8, 16), integral=True, inverse=True)

    def accepts(self, signal: NDArray[Any]) -> str | None:
        return None if signal.dtype == np.uint8 else f"its dtype is {signal.dtype}"

    def encode(self, signal: NDArray[Any], *, quality: float | None = None, **_: Any) -> bytes:
        step = int(quality or 8)
        return bytes([step]) + zlib.compress((signal // step).tobytes(), 9)

    def decode(self, payload: bytes, fields: Fields) -> NDArray[Any]:
        levels = np.frombuffer(zlib.decompress(payload[1:]), np.uint8).reshape(fields.signal.shape)
        return np.minimum(levels.astype(np.uint16) * payload[0] + payload[0] // 2, 255).astype(np.uint8)

    def content_bytes(self, payload: bytes) -> int:
        return len(payload) - 1


class Exact(Step):
    """Deflates."""

    name, title, lossless, quality = "toy-exact", "Toy exact", True, None

    def encode(self, signal: NDArray[Any], **_: Any) -> bytes:
        return super().encode(signal, quality=1)


class Inexact(Exact):
    """Claims to be lossless and changes one sample of images whose first sample is odd."""

    name, title = "toy-inexact", "Toy inexact"

    def decode(self, payload: bytes, fields: Fields) -> NDArray[Any]:
        decoded = super().decode(payload, fields)
        decoded.flat[0] &= 0xFE
        return decoded


class Failing(Step):
    """Cannot encode images whose first sample is 7."""

    name, title = "toy-failing", "Toy failing"

    def encode(self, signal: NDArray[Any], *, quality: float | None = None, **_: Any) -> bytes:
        if signal.flat[0] == 7:
            raise CorruptFile("seven is too much")
        return super().encode(signal, quality=quality)


class Dying(Step):
    """Takes its process with it where the first sample is 7."""

    name, title = "toy-dying", "Toy dying"

    def encode(self, signal: NDArray[Any], *, quality: float | None = None, **_: Any) -> bytes:
        if signal.flat[0] == 7:
            os._exit(9)
        return super().encode(signal, quality=quality)


class Slow(Step):
    """Takes its time."""

    name, title = "toy-slow", "Toy slow"

    def encode(self, signal: NDArray[Any], *, quality: float | None = None, **_: Any) -> bytes:
        time.sleep(0.2)
        return super().encode(signal, quality=quality)


class Big(Step):
    """Takes 8 MB in small pieces, which the C library keeps when they are freed."""

    name, title = "toy-big", "Toy big"

    def encode(self, signal: NDArray[Any], *, quality: float | None = None, **_: Any) -> bytes:
        pieces = [np.ones(1000) for _ in range(1000)]
        return super().encode(signal, quality=quality) if pieces else b""


class Raising(Step):
    """Raises what is no error of ours."""

    name, title = "toy-raising", "Toy raising"

    def encode(self, signal: NDArray[Any], **_: Any) -> bytes:
        raise ZeroDivisionError("boom")
