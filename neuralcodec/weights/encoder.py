"""From tensors to a weights file: the search for the step, then record after record."""

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from neuralcodec.errors import UnsupportedInput
from neuralcodec.native import thread_count
from neuralcodec.weights.coder import (
    BOUNDED,
    FILE_STEP,
    LOSSLESS,
    Bytes,
    Coded,
    Settings,
    aim_of,
    encode_body,
)
from neuralcodec.weights.layout import Index, WeightsWriter
from neuralcodec.weights.search import step_for_noise, step_for_size
from neuralcodec.weights.sources import WeightSource
from neuralcodec.weights.tensors import BLOCK, TensorSpec

SAMPLE = 1 << 18
DEFAULT_BOUND = 1e-4
UNLIMITED = 1 << 62


@dataclass(frozen=True)
class Target:
    """What a file is to reach: exactly one of these, or none for a lossless file.

    Attributes
    ----------
    sqnr
        Signal-to-quantisation-noise ratio, in dB, of all floating tensors of two or more dimensions together.
    bits
        Bits of the whole file for each parameter.
    step
        Width of a level.
    """

    sqnr: float | None = None
    bits: float | None = None
    step: float | None = None

    def __post_init__(self) -> None:
        given = [value for value in (self.sqnr, self.bits, self.step) if value is not None]
        if len(given) > 1:
            raise UnsupportedInput("give one of sqnr, bits and step, not several")
        for value in given:
            if not (math.isfinite(value) and 0 < value < 1e6):
                raise UnsupportedInput(f"a target of {value} makes no sense: it must be positive")

    @property
    def lossless(self) -> bool:
        """Whether no loss is asked for."""
        return self.sqnr is None and self.bits is None and self.step is None


@dataclass(frozen=True)
class TensorResult:
    """How a tensor was coded: its relative squared error (0: none lost), and whether by the file's step."""

    spec: TensorSpec
    error: float
    shared: bool


@dataclass(frozen=True)
class Report:
    """What an encoder did.

    Attributes
    ----------
    size
        Bytes of the file.
    step, sqnr
        Of a lossy file; 0 and infinity else.
    tensors
        Every tensor, in order.
    vector_error
        Largest normalised error, ``|x - y| / |x|``, of the tensors coded within a bound.
    """

    size: int
    step: float
    sqnr: float
    tensors: Sequence[TensorResult]
    vector_error: float


@dataclass(frozen=True)
class Group:
    """Tensors of a record: the number of the first, all of them, and how many elements of each are looked at."""

    first: int
    specs: Sequence[TensorSpec]
    limit: int = UNLIMITED


def grouped(specs: Sequence[TensorSpec]) -> list[Group]:
    """Return the tensors of each record: a large one alone, small ones until they are a block together.

    >>> from neuralcodec.weights.dtypes import BY_NAME
    >>> sizes = [10, 70_000, 20, 40_000, 40_000, 5]
    >>> [len(group.specs) for group in grouped([TensorSpec(str(n), BY_NAME["F32"], (n,)) for n in sizes])]
    [1, 1, 3, 1]
    """
    groups: list[Group] = []
    first, held = 0, 0
    for number, spec in enumerate(specs):
        large = spec.count > BLOCK
        if number > first and (large or held >= BLOCK):
            groups.append(Group(first, specs[first:number]))
            first, held = number, 0
        held += spec.count if not large else BLOCK
    if first < len(specs):
        groups.append(Group(first, specs[first:]))
    return groups


class WeightsEncoder:
    """Codes the tensors of a source.

    Parameters
    ----------
    source
        The tensors.
    target
        What to reach.
    states
        States of dependent quantisation: 4 to 256, a power of 2, or 1 for scalar quantisation.
    bound
        Greatest normalised error of floating vectors.
    keep_nonfinite
        Code tensors that hold NaN or infinity without loss, rather than refuse them.
    verify
        Decode what was coded, and raise :class:`EntropyCodingError` unless it is what it must be.
    threads
        None: as many as there are cores.
    """

    def __init__(
        self,
        source: WeightSource,
        target: Target,
        *,
        states: int = 64,
        bound: float = DEFAULT_BOUND,
        keep_nonfinite: bool = False,
        verify: bool = False,
        threads: int | None = None,
    ) -> None:
        if states != 1 and (states not in (4, 8, 16, 32, 64, 128, 256)):
            raise UnsupportedInput(f"a trellis has 1, 4, 8, 16, 32, 64, 128 or 256 states, not {states}")
        if not 0 < bound < 1:
            raise UnsupportedInput(f"the bound of the error of vectors is above 0 and below 1, not {bound}")
        self._source, self._target = source, target
        self._trellis = states.bit_length() - 1 if states > 1 else 0
        self._bound, self._keep, self._verify = bound, keep_nonfinite, verify
        self._threads = thread_count(threads)
        self._groups = grouped(source.specs)
        self._names_checked(source.specs)

    @staticmethod
    def _names_checked(specs: Sequence[TensorSpec]) -> None:
        seen = set()
        for spec in specs:
            if spec.name in seen:
                raise UnsupportedInput(f"two tensors are called {spec.name!r}")
            if len(spec.name.encode("utf-8", "surrogatepass")) > 65_535:
                raise UnsupportedInput(f"a name of {len(spec.name)} characters is too long")
            seen.add(spec.name)

    def write(self, file: BinaryIO, advance: Callable[[int], None] = lambda _: None) -> Report:
        """Write the file; `advance` is told of every tensor that is coded."""
        settings = Settings(0.0, self._bound, self._trellis)
        if not self._target.lossless:
            settings = replace(settings, step=self._find_step())
        return self._write(file, settings, advance)

    # ---- the pass that codes

    def _write(self, file: BinaryIO, settings: Settings, advance: Callable[[int], None]) -> Report:
        writer = WeightsWriter(file)
        results: list[TensorResult] = []
        power = noise = worst = 0.0
        for group, aims, coded in self._coded(settings, self._groups, trial=False):
            writer.append(coded.body, len(group.specs), coded.parameters)
            for spec, aim, p, n in zip(group.specs, aims, coded.power, coded.noise, strict=True):
                error = n / p if p > 0 else 0.0
                results.append(TensorResult(spec, error, aim == FILE_STEP))
                if aim == FILE_STEP:
                    power, noise = power + p, noise + n
                elif aim == BOUNDED:
                    worst = max(worst, math.sqrt(error))
            advance(len(group.specs))
        sqnr = _ratio(power, noise)
        source = self._source
        writer.finish(
            Index(
                source.specs,
                metadata=source.metadata,
                origin=source.origin,
                header=source.header,
                step=settings.step,
                sqnr=sqnr,
                bound=self._bound,
            )
        )
        return Report(writer.size, settings.step, sqnr, results, worst)

    def _coded(
        self, settings: Settings, groups: Sequence[Group], *, trial: bool
    ) -> Iterator[tuple[Group, list[int], Coded]]:
        """Code the groups, a few at a time, in order."""
        waiting: list[tuple[Group, list[int], Future[Coded]]] = []
        with ThreadPoolExecutor(self._threads) as pool:
            for group in groups:
                aims = [aim_of(spec, settings) for spec in group.specs]
                if trial and FILE_STEP not in aims:
                    continue
                large = len(group.specs) == 1 and group.specs[0].count > BLOCK
                if (
                    large or len(waiting) >= self._threads
                ):  # a large one alone: its blocks are coded side by side
                    yield from ((one, of, job.result()) for one, of, job in waiting)
                    waiting = []
                data = self._read(group, aims, trial=trial)
                job = pool.submit(
                    encode_body,
                    group.specs,
                    data,
                    aims,
                    settings,
                    trial=trial,
                    verify=self._verify,
                    threads=self._threads if large else 1,
                )
                waiting.append((group, aims, job))
            yield from ((one, of, job.result()) for one, of, job in waiting)

    def _read(self, group: Group, aims: list[int], *, trial: bool) -> list[Bytes]:
        """Read the tensors of a group; those with NaN or infinity are coded without loss, or refused."""
        data = []
        for number, spec in enumerate(group.specs):
            if trial and aims[number] != FILE_STEP:
                data.append(np.zeros(0, np.uint8))
                aims[number] = LOSSLESS
                continue
            values = self._source.read(group.first + number)
            if aims[number] != LOSSLESS and not is_finite(values, spec):
                if not self._keep:
                    raise UnsupportedInput(
                        f"tensor {spec.name!r} holds NaN or infinity, which cannot be coded with loss: code it "
                        "--lossless, or give --keep-nonfinite to code such tensors exactly"
                    )
                aims[number] = LOSSLESS
            data.append(values[: group.limit * spec.type.width])
        return data

    # ---- the step

    def _find_step(self) -> float:
        target = self._target
        if target.step is not None:
            return target.step
        power, count = self._power()
        if not power:
            return 1.0  # nothing has levels but zeros, or nothing at all
        if target.sqnr is not None:
            return self._step_for_sqnr(power / count / 10 ** (target.sqnr / 10), count)
        assert target.bits is not None
        wanted = target.bits * sum(spec.count for spec in self._source.specs) / 8
        first = math.sqrt(power / count) / 2 ** max(0.0, min(target.bits, 24.0) - 2)
        return step_for_size(wanted, first, self._size, count / 8)

    def _step_for_sqnr(self, wanted: float, count: float) -> float:
        """Search on a sample, then on all tensors; `wanted` is the mean squared error."""
        sampled = count > 2 * SAMPLE
        first = None
        if sampled:
            first = step_for_noise(wanted, self._trellis, lambda step: self._noise(step, SAMPLE), slack=0.002)
        return step_for_noise(
            wanted,
            self._trellis,
            lambda step: self._noise(step),
            slack=0.002 if sampled else 0.001,
            first=first,
        )

    def _size(self, step: float) -> float:
        sink = _Counter()
        self._write(cast(BinaryIO, sink), Settings(step, self._bound, self._trellis), lambda _: None)
        return sink.size

    def _power(self) -> tuple[float, int]:
        """Return the sum of squares, and the number, of the elements that the step covers."""
        power, count = 0.0, 0
        settings = Settings(1.0, self._bound, self._trellis)
        for group in self._groups:
            aims = [aim_of(spec, settings) for spec in group.specs]
            for values, spec, aim in zip(self._read(group, aims, trial=True), group.specs, aims, strict=True):
                if aim == FILE_STEP:
                    reals = as_reals(values, spec)
                    power += float(np.dot(reals, reals))
                    count += spec.count
        return power, count

    def _noise(self, step: float, sample: int | None = None) -> tuple[float, int]:
        """Return the sum of squared errors for a step, and the number of elements; of a sample or of all."""
        noise, count = 0.0, 0
        groups = self._groups if sample is None else self._sampled(sample)
        for group, aims, coded in self._coded(Settings(step, self._bound, self._trellis), groups, trial=True):
            for spec, aim, one in zip(group.specs, aims, coded.noise, strict=True):
                if aim == FILE_STEP:
                    noise, count = noise + one, count + min(spec.count, group.limit)
        return noise, count

    def _sampled(self, size: int) -> list[Group]:
        """Return groups that stand for all: of large tensors, their first rows."""
        total = sum(spec.count for spec in self._source.specs if spec.is_matrix)
        stride = max(1, int(total // (4 * size)))
        picked, count = [], 0
        for group in self._groups[:: min(stride, max(1, len(self._groups) // 8))]:
            columns = group.specs[0].geometry[0]
            rows = max(1, BLOCK // columns) if len(group.specs) == 1 else 0
            picked.append(replace(group, limit=rows * columns) if rows else group)
            count += sum(min(spec.count, picked[-1].limit) for spec in group.specs if spec.is_matrix)
            if count >= size:
                break
        return picked


class _Counter:
    """A file that only counts."""

    def __init__(self) -> None:
        self.size = 0

    def write(self, data: bytes) -> int:
        self.size += len(data)
        return len(data)


def _ratio(power: float, noise: float) -> float:
    """Return a signal-to-noise ratio in dB."""
    if noise <= 0 or power <= 0:
        return math.inf
    return 10 * math.log10(power / noise)


def as_reals(values: Bytes, spec: TensorSpec) -> NDArray[np.floating[Any]]:
    """Return the elements of a floating tensor as numbers that numpy knows."""
    if spec.type.name == "BF16":
        return (values.view("<u2").astype("<u4") << 16).view("<f4")
    reals: NDArray[np.floating[Any]] = values.view(f"<f{spec.type.width}")
    return reals.astype(np.float64) if spec.type.width == 2 else reals


def is_finite(values: Bytes, spec: TensorSpec) -> bool:
    """Tell whether the bytes of a floating tensor hold neither NaN nor infinity."""
    kind = spec.type
    bits = values.view(f"<u{kind.width}")
    exponent = ((1 << (8 * kind.width - 1 - kind.mantissa)) - 1) << kind.mantissa
    parts = (bits[start : start + SAMPLE] for start in range(0, len(bits), SAMPLE))
    return not any(bool(((part & exponent) == exponent).any()) for part in parts)
