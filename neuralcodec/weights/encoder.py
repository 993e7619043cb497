"""From tensors to a weights file: the search for the step, then record after record."""

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, cast

import numpy as np

from neuralcodec.errors import UnsupportedInput
from neuralcodec.native import thread_count
from neuralcodec.weights.batches import Batch, Group, grouped
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
from neuralcodec.weights.weighing import Weighing

SAMPLE = 1 << 18
DEFAULT_BOUND = 1e-4


@dataclass(frozen=True)
class Target:
    """What a file is to reach: exactly one of these, or none for a lossless file.

    Attributes
    ----------
    sqnr
        Signal-to-quantisation-noise ratio, in dB, of all floating tensors of two or more dimensions together; of
        factors of compact layers, that of the kernels which they build.
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
    kernels
        Number of kernels, built from factors, whose error was looked at instead of the factors'.
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
    kernels: int = 0


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
    factors
        Weigh errors of factors of compact layers by what they do to the kernels; else factors are tensors like others.
    importance
        By names of tensors: what their squared errors weigh, a number or an array, whose mean counts. Tensors that are
        not named weigh 1. Errors of the factors that are named weigh that alone.
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
        factors: bool = True,
        importance: Mapping[str, Any] | None = None,
        keep_nonfinite: bool = False,
        verify: bool = False,
        threads: int | None = None,
    ) -> None:
        if states != 1 and (states not in (4, 8, 16, 32, 64, 128, 256)):
            raise UnsupportedInput(f"a trellis has 1, 4, 8, 16, 32, 64, 128 or 256 states, not {states}")
        if not 0 < bound < 1:
            raise UnsupportedInput(f"the bound of the error of vectors is above 0 and below 1, not {bound}")
        if importance and target.lossless:
            raise UnsupportedInput("importance is for files with loss: give a ratio, bits or a step")
        self._source, self._target = source, target
        self._trellis = states.bit_length() - 1 if states > 1 else 0
        self._bound, self._keep, self._verify = bound, keep_nonfinite, verify
        self._threads = thread_count(threads)
        self._groups = grouped(source.specs)
        self._names_checked(source.specs)
        self._weighing = Weighing(
            source.specs,
            source.read,
            factors=factors and not target.lossless,
            importance=importance,
            fixed=target.step is not None,
        )

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
        meter, worst = self._weighing.meter(), 0.0
        for batch, coded in self._coded(settings, self._groups, trial=False):
            specs = batch.group.specs
            writer.append(coded.body, len(specs), coded.parameters)
            for spec, aim, p, n in zip(specs, batch.aims, coded.power, coded.noise, strict=True):
                error = n / p if p > 0 else 0.0
                results.append(TensorResult(spec, error, aim == FILE_STEP))
                if aim == BOUNDED:
                    worst = max(worst, math.sqrt(error))
            batch.measure(coded, meter)
            advance(len(specs))
        sqnr = _ratio(meter.power, meter.noise)
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
        return Report(writer.size, settings.step, sqnr, results, worst, self._weighing.kernels)

    def _coded(
        self, settings: Settings, groups: Sequence[Group], *, trial: bool
    ) -> Iterator[tuple[Batch, Coded]]:
        """Code the groups, a few at a time, in order."""
        waiting: deque[tuple[Batch, Future[Coded]]] = deque()
        with ThreadPoolExecutor(self._threads) as pool:
            for group in groups:
                aims = [aim_of(spec, settings) for spec in group.specs]
                if trial and FILE_STEP not in aims:
                    continue
                large = len(group.specs) == 1 and group.specs[0].count > BLOCK
                # A large one alone: its blocks are coded side by side. Of others enough that no thread waits.
                while len(waiting) > (0 if large else 2 * self._threads - 1):
                    done, result = waiting.popleft()
                    yield done, result.result()
                batch = Batch(group, aims, self._read(group, aims, trial=trial))
                steps = [
                    self._weighing.step_number(group.first + number, settings.step) if aim == FILE_STEP else 0
                    for number, aim in enumerate(aims)
                ]
                job = pool.submit(
                    encode_body,
                    group.specs,
                    batch.data,
                    aims,
                    settings,
                    steps=steps,
                    trial=trial,
                    verify=self._verify,
                    threads=self._threads if large else 1,
                )
                waiting.append((batch, job))
            yield from ((one, job.result()) for one, job in waiting)

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
        """Return the sum of squares, weighted, and the number of the elements that have levels."""
        count, meter = 0, self._weighing.meter()
        settings = Settings(1.0, self._bound, self._trellis)
        for group in self._groups:
            aims = [aim_of(spec, settings) for spec in group.specs]
            batch = Batch(group, aims, self._read(group, aims, trial=True))
            count += batch.count
            batch.measure(None, meter)
        return meter.power, count

    def _noise(self, step: float, sample: int | None = None) -> tuple[float, int]:
        """Return the sum of squared errors for a step, weighted, and the number of elements; of a sample or of all."""
        count, meter = 0, self._weighing.meter()
        groups = self._groups if sample is None else self._sampled(sample)
        for batch, coded in self._coded(Settings(step, self._bound, self._trellis), groups, trial=True):
            count += batch.count
            batch.measure(coded, meter, whole=sample is None)
        return meter.noise, count

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


def is_finite(values: Bytes, spec: TensorSpec) -> bool:
    """Tell whether the bytes of a floating tensor hold neither NaN nor infinity."""
    kind = spec.type
    bits = values.view(f"<u{kind.width}")
    exponent = ((1 << (8 * kind.width - 1 - kind.mantissa)) - 1) << kind.mantissa
    parts = (bits[start : start + SAMPLE] for start in range(0, len(bits), SAMPLE))
    return not any(bool(((part & exponent) == exponent).any()) for part in parts)
