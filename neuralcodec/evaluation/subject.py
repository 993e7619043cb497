"""A codec under measurement: signals become files, and files signals again."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from neuralcodec.api import compress, compress_many, decompress, decompress_many
from neuralcodec.codec import Codec, Fields
from neuralcodec.container.signal import SignalType
from neuralcodec.container.single import read_single
from neuralcodec.errors import UnsupportedInput

_NO_POINTS = re.compile(r"[\s/\\{}:=]|\.(ncm|pth)$")  # part of a path, a command or an option


@dataclass(frozen=True)
class Encoded:
    """A file in memory, and how many of its bytes are no headers."""

    file: bytes
    content_bytes: int


class Subject:
    """A codec with what the harness has to know of it.

    Parameters
    ----------
    codec
        The codec, bound to its model.
    spec
        What the user wrote to name it; a worker process finds the same codec by it.
    qualities
        Rate points to measure; None means the codec's own.
    model_bytes
        Size of the model's file, 0 without a model.
    options
        Those of the codec's options that the spec sets, as text, which tell its variants apart in figures.

    Raises
    ------
    UnsupportedInput
        If the codec has no rate parameter, or a quality lies outside its range.
    """

    def __init__(
        self,
        codec: Codec,
        spec: str,
        qualities: Sequence[float] | None = None,
        *,
        model_bytes: int = 0,
        options: str = "",
    ) -> None:
        self.codec, self.spec, self.model_bytes, self._options = codec, spec, model_bytes, options
        self.qualities = self._checked(qualities)

    @property
    def name(self) -> str:
        """Its spec without rate points: unique within a run."""
        return split_points(self.spec)[0]

    @property
    def title(self) -> str:
        """What figures and tables call it."""
        model = self.codec.model
        if model:
            return str(model.header.get("name") or self.name)
        suffix = f" ({self._options})" if self._options else ""
        return f"{self.codec.title}{suffix}" if self.codec.title else self.name

    @property
    def lossless(self) -> bool:
        """Whether it claims to return the very samples."""
        return self.codec.lossless

    @property
    def versions(self) -> Mapping[str, str]:
        """Versions of what does the work."""
        return self.codec.versions

    def refuses(self, signal: NDArray[Any]) -> str | None:
        """Return why it cannot code a signal ("it ..."), or None if it can."""
        return self.codec.accepts(signal)

    def encode(self, signal: NDArray[Any], quality: float | None) -> Encoded:
        """Return the file of one signal that it does not refuse."""
        if self.codec.standalone:
            payload = self.codec.encode(signal, quality=quality)
            return Encoded(payload, self.codec.content_bytes(payload))
        file = compress(signal, self.codec, quality=quality)
        return Encoded(file, len(read_single(file).payload))

    def decode(self, file: bytes, kind: SignalType) -> NDArray[Any]:
        """Return the signal of a file; `kind` is its shape and dtype, which formats of their own tell themselves."""
        if self.codec.standalone:
            return self.codec.decode(file, Fields(kind))
        return decompress(file, self.codec)

    def encode_many(self, signals: NDArray[Any], quality: float | None) -> Encoded:
        """Return one file of many signals of one shape; :class:`UnsupportedInput` if it has no archives."""
        if self.codec.standalone:
            raise UnsupportedInput(f"{self.name} has no archives: measure it on a mosaic, or image by image")
        file = compress_many(signals, self.codec, quality=quality)
        return Encoded(file, len(file))

    def decode_many(self, file: bytes) -> NDArray[Any]:
        """Return the signals of a file that :meth:`encode_many` made."""
        return decompress_many(file, model=self.codec)

    def _checked(self, qualities: Sequence[float] | None) -> tuple[float | None, ...]:
        scale = self.codec.quality
        if scale is None:
            if qualities:
                raise UnsupportedInput(f"{self.spec}: {self.name} has no rate parameter, so no rate points")
            return (None,)
        chosen = tuple(qualities or scale.points or (scale.default,))
        for quality in chosen:
            if not scale.least <= quality <= scale.greatest:
                raise UnsupportedInput(
                    f"{self.spec}: quality {quality:g} is outside the range of {self.name}, "
                    f"{scale.least:g} to {scale.greatest:g}"
                )
            if scale.integral and not float(quality).is_integer():
                raise UnsupportedInput(f"{self.spec}: {self.name} takes whole numbers, not {quality:g}")
        if len(set(chosen)) != len(chosen):
            repeated = next(q for q in chosen if chosen.count(q) > 1)
            raise UnsupportedInput(f"{self.spec}: the rate point {repeated:g} is given twice")
        return chosen


def split_points(spec: str) -> tuple[str, tuple[float, ...] | None]:
    """Return a spec without its rate points, and these; None if it has none.

    Raises
    ------
    UnsupportedInput
        If what follows the last "@" are no numbers; paths and commands may hold that sign.

    >>> split_points("avif:speed=8@30,50"), split_points("cmd:run a@b {in} {out} ::: run {in} {out}")[1]
    (('avif:speed=8', (30.0, 50.0)), None)
    """
    name, sign, points = spec.rpartition("@")
    if not sign or _NO_POINTS.search(points):
        return spec, None
    try:
        numbers = tuple(map(float, points.split(",")))
    except ValueError:
        numbers = ()
    if not numbers or not all(map(math.isfinite, numbers)):
        raise UnsupportedInput(f"{spec}: after @ belong rate points, numbers with commas, not {points!r}")
    return name, numbers


def kind_of(signal: NDArray[Any]) -> SignalType:
    """Return shape and dtype of a signal."""
    return SignalType(signal.shape, signal.dtype)
