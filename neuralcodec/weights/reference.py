"""The slow, obvious decoder of a record's blocks: docs/format.md, 10.4 to 10.8, step by step on `neuralcodec.entropy`.

It exists to be compared with: it must read what the native coder writes, symbol for symbol.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuralcodec.entropy.ans import AnsDecoder
from neuralcodec.entropy.models import Categorical
from neuralcodec.entropy.tables import load_tail
from neuralcodec.errors import CorruptFile, EntropyCodingError
from neuralcodec.weights.dtypes import ElementType
from neuralcodec.weights.tensors import TensorSpec

ALPHABET, HALF = 1024, 512
TAIL = 17 * 256
PRECISION = 24
PLAIN, ODD, ZERO, FLOOR = range(4)
INTEGERS, FLOATS, LEVELS = 2, 3, 4
FLAGS, CONTEXTS = 14, 5
PLAIN_FLOAT = 63
EXPECTED = 204 << 8
INVERSES = [
    2**31,
    *(2056437387, 1969251188, 1885761398, 1805811301, 1729250827, 1655936265, 1585730000, 1518500250),
    *(1454120821, 1392470869, 1333434672, 1276901417, 1222764986, 1170923762, 1121280436),
]
POWERS = [
    2**31,
    *(2242560872, 2341847524, 2445529972, 2553802834, 2666869345, 2784941738, 2908241642, 3037000500),
    *(3171459999, 3311872529, 3458501653, 3611622603, 3771522796, 3938502376, 4112874773),
]
TRELLIS = {0: (0, 0), 2: (1, 2), 3: (2, 5), 4: (2, 9), 5: (4, 18), 6: (10, 33), 7: (43, 78), 8: (121, 166)}
Model = Mapping[str, Any]


@dataclass
class Flag:
    """A probability, in 2^-16, that a flag is set; it learns from each one."""

    p: int = 1 << 15
    seen: int = 0

    def learn(self, is_set: bool) -> None:
        towards = (65536 if is_set else 0) - self.p
        self.p = min(max(self.p + (towards * (65536 // (self.seen + 2)) >> 16), 32), 65536 - 32)
        self.seen = min(self.seen + 1, 126)


@cache
def tail_of(shape: int) -> tuple[int, ...]:
    """Return a shape's tail at steps of 1/256 of the scale, in 2^-32 (10.7)."""
    gaussian, laplace = load_tail("gaussian").tolist(), load_tail("laplace").tolist()

    def at(table: list[int], position: int) -> int:
        i, f = position >> 8, position & 255
        return 0 if i + 1 >= len(table) else (table[i] * (256 - f) + table[i + 1] * f) >> 8

    def mixed(i: int) -> int:
        g = at(gaussian, i << 8)
        if shape <= 16:
            return (g * (16 - shape) + at(laplace, i * 362) * shape) >> 4
        if shape <= 24:
            flat = max(2**31 - i * 4843165, 0)
            return (g * (24 - shape) + flat * (shape - 16)) >> 3
        return (g * (40 - shape) + at(laplace, i * 64) * (shape - 24)) >> 4

    return (*(mixed(i) for i in range(TAIL)), 0, 0)


def in_scales(distance: int, scale: int) -> int:
    """Return a distance, in 2^-16 levels, in 2^-24 scales; 32 scales at most (10.7)."""
    octave = (scale >> 4) - 4
    shifted = distance >> octave if octave >= 0 else distance << -octave
    return 32 << 24 if shifted >> 21 else shifted * INVERSES[scale & 15] >> 23


def log_ratio(distance: int) -> int:
    """Return 16 log2 of a mean distance over its expectation (10.6)."""
    j = 2 * min(distance, 4095) + 1
    octave = j.bit_length() - 1
    mantissa = j << (31 - octave)
    return 16 * octave + sum(mantissa >= power for power in POWERS[1:]) - 170


def cell_start(k: int, lattice: int, odd: int) -> int:
    """Return where the cell of index k begins, in 2^-16 levels (10.5)."""
    if lattice == PLAIN:
        return k * 65536 - 32768
    if lattice == FLOOR:
        return k * 65536
    if lattice == ODD or not odd:
        return (2 * k - 1 + (odd if lattice == ODD else 0)) * 65536
    if k > 1:
        return (2 * k - 2) * 65536
    return 32768 if k == 1 else -32768 if k == 0 else 2 * k * 65536


def level_of(k: int, lattice: int, odd: int) -> int:
    """Return the level of index k (10.5)."""
    if lattice in (PLAIN, FLOOR):
        return k
    if lattice == ODD or not odd:
        return 2 * k + odd
    return 2 * k - (k > 0) + (k < 0)


def index_of_zero(level: int, lattice: int) -> int:
    """Return the index of the level that stands for zero; in the lattices of dependent quantisation it is 0."""
    return 0 if lattice == ZERO else level


def centre_index(mean: int, lattice: int, odd: int) -> int:
    """Return the index nearest to a mean in 1/64 levels (10.5)."""
    if lattice == PLAIN:
        return (mean + 32) >> 6
    if lattice == FLOOR:
        return mean >> 6
    if lattice == ODD:
        return mean >> 7 if odd else (mean + 64) >> 7
    if not odd:
        return (mean + 64) >> 7
    return (mean + 64) >> 7 if mean >= 0 else -((64 - mean) >> 7)


class BlockReader:
    """Reads the tensors of a block in order."""

    def __init__(self, data: bytes) -> None:
        self._decoder = AnsDecoder(data)

    def finish(self) -> None:
        """Check that nothing is left."""
        self._decoder.finish()

    def bit(self, p: int) -> bool:
        """Read a flag of probability p / 2^24 of being set."""
        table = Categorical(np.array([p, (1 << PRECISION) - p]))
        return int(self._decoder.decode(table, 1)[0]) == 0

    def raw(self, count: int) -> int:
        """Read plain bits, 12 at a time, the least significant first."""
        value = 0
        for done in range(0, count, 12):
            bits = min(12, count - done)
            table = Categorical(np.full(1 << bits, 1 << (PRECISION - bits)))
            value |= int(self._decoder.decode(table, 1)[0]) << done
        return value

    def symbol(self, starts: Sequence[int]) -> int:
        """Read a symbol of a table of 1,024, given where each starts."""
        table = Categorical(np.diff(np.array([*starts, 1 << PRECISION])))
        return int(self._decoder.decode(table, 1)[0])

    def index(self, mean: int, scale: int, shape: int, lattice: int, odd: int) -> tuple[int, bool]:
        """Read an index; the mean is in 1/64 levels. The second value: a plain value stands in its place."""
        tail = tail_of(shape)
        centre = centre_index(mean, lattice, odd)
        plain = max((scale >> 4) - 8 - (lattice in (ODD, ZERO)), 0)
        starts = [0]
        for h in range(1 - HALF, HALF):
            distance = cell_start(centre + (h << plain), lattice, odd) - mean * 1024
            z = in_scales(abs(distance), scale)
            i, f = (z >> 16, z & 0xFFFF) if z >> 16 < TAIL else (TAIL, 0)
            q = (tail[i] * (65536 - f) + tail[i + 1] * f) >> 16
            below = q if distance < 0 else (1 << 32) - q
            starts.append((below * ((1 << PRECISION) - ALPHABET) >> 32) + h + HALF)
        h = self.symbol(starts) - HALF
        if -HALF < h < HALF - 1:
            return centre + (h << plain) + self.raw(plain), False
        length = self.raw(6)
        if length == PLAIN_FLOAT:
            return min(max(centre, -(2**28)), 2**28), True
        if length > 40:
            raise CorruptFile(f"an index lies 2^{length} beyond its range", "block")
        beyond = self.raw(length - 1) | 1 << (length - 1) if length else 0
        least = (HALF - 1) << plain
        return centre + (-least - 1 - beyond if h < 0 else least + beyond), False


class TensorReader:
    """Reads the levels or values of one tensor, or of a block of its rows."""

    def __init__(self, model: Model, spec: TensorSpec) -> None:
        self.model, self.spec = model, spec
        self.columns, self.taps = spec.geometry
        self.lattice, self.dependent = model["lattice"], model["lattice"] in (ODD, ZERO)
        self.trellis = TRELLIS[model["trellis"]] if self.dependent else (0, 0)
        self.states = 1 << model["trellis"] if self.dependent else 1
        self.coefficients = self._coefficients()

    def _coefficients(self) -> list[list[int]]:
        rest, found = list(self.model["coefficients"]), []
        for tap in range(self.taps if rest else 0):
            n = self._neighbours(tap) + self.model["above"] + self.model["beside"]
            found.append(rest[:n])
            rest = rest[n:]
        return found

    def _neighbours(self, tap: int) -> int:
        order: int = self.model["order"]
        return min(tap, order) if self.taps > 1 else order

    def mean(self, n: list[int], i: int) -> int:
        """Return the mean of level i, in 1/64, from the levels before it (10.6)."""
        if not self.coefficients:
            return 0
        row, column = divmod(i, self.columns)
        tap = column % self.taps
        c, near = self.coefficients[tap], self._neighbours(tap)
        total = sum(c[j] * n[i - 1 - j] for j in range(near if self.taps > 1 else min(near, column)))
        if self.model["above"] and row:
            total += c[near] * n[i - self.columns]
        if self.model["beside"] and column >= self.taps:
            total += c[-1] * n[i - self.taps]
        return total

    def levels(self, reader: BlockReader, count: int, values: list[int] | None = None) -> list[int]:
        """Return `count` levels, less the centre; `values` takes the bits of floats."""
        m, n = self.model, list[int]()
        row_mean, near_mean, state = EXPECTED, EXPECTED, 0
        channels = [EXPECTED] * (self.columns // self.taps)
        zeros, bins = (
            [Flag() for _ in range(4)],
            [[[Flag() for _ in range(FLAGS)] for _ in range(CONTEXTS)] for _ in "01"],
        )
        for i in range(count):
            row, column = divmod(i, self.columns)
            channel, tap = divmod(column, self.taps)
            row_mean = row_mean if column else EXPECTED
            odd = (state & self.trellis[0]).bit_count() & 1
            mean, is_zero = self.mean(n, i), False
            if m["bins"]:
                k = self._binned(reader, n, i, bins[odd])
            else:
                row_gain, channel_gain, near_gain = m["gains"]
                scale = m["scale"][tap]
                if any(m["gains"]):
                    shift = row_gain * log_ratio(row_mean >> 6) + near_gain * log_ratio(near_mean >> 6)
                    shift += channel_gain * log_ratio(channels[channel] >> 6)
                    scale = min(max(scale + (shift >> 4), 0), 511)
                if m["spike"]:
                    left = column > 0 and n[i - 1] == -m["centre"]
                    flag = zeros[left + 2 * (row > 0 and n[i - self.columns] == -m["centre"])]
                    is_zero = reader.bit(flag.p << 8)
                    flag.learn(is_zero)
                if is_zero:
                    k = index_of_zero(-m["centre"], self.lattice)
                    if values is not None:
                        values.append(0)
                else:
                    k, plain = reader.index(mean, scale, m["shape"], self.lattice, odd)
                    if values is not None:
                        values.append(self._value(reader, k + m["centre"], plain))
            level = level_of(k, self.lattice, odd)
            n.append(level)
            state = (state << 1 | (k & 1) ^ ((state & self.trellis[1]).bit_count() & 1)) & (self.states - 1)
            if any(m["gains"]) and not is_zero:
                z = in_scales(abs(level * 65536 - mean * 1024), m["scale"][tap]) >> 16
                seen = min(z, 1023) << 8
                row_mean += (seen - row_mean) >> (4 if column < 16 else 5)
                near_mean += (seen - near_mean) >> 3
                channels[channel] += (seen - channels[channel]) >> (3 if row * self.taps < 16 else 5)
        return n

    def _binned(self, reader: BlockReader, n: list[int], i: int, contexts: list[list[Flag]]) -> int:
        """Read an index by flags (10.8)."""
        row, column = divmod(i, self.columns)

        def small(at: int) -> int:
            return min(abs(n[at]) if self.lattice == PLAIN else (abs(n[at]) + 1) >> 1, 2)

        s = (2 * small(i - 1) if column else 0) + (small(i - 2) if column > 1 else 0)
        s += 2 * small(i - self.columns) if row else 0
        flags, size = contexts[min((s + 1) // 2, CONTEXTS - 1)], 0
        while size < FLAGS:
            more = reader.bit(flags[size].p << 8)
            flags[size].learn(more)
            if not more:
                break
            size += 1
        if size == FLAGS:
            length = reader.raw(6)
            if not 1 <= length <= 32:
                raise CorruptFile(f"a magnitude of {length} bits", "block")
            size = FLAGS - 1 + (reader.raw(length - 1) | 1 << (length - 1))
        return -size if size and reader.raw(1) else size

    def _value(self, reader: BlockReader, level: int, plain: bool) -> int:
        """Return the bits of a float in the cell of a level (10.9)."""
        kind, m = self.spec.type, self.model
        width, mantissa = 8 * kind.width, kind.mantissa
        if plain:
            return reader.raw(width)
        top = m["exponent"] + bias(kind)
        magnitude = -1 - level if level < 0 else level
        kept = mantissa - m["dropped"]
        if magnitude:
            known = magnitude.bit_length() - 1
            fraction = magnitude - (1 << known)
            more = kept - known
            fraction = fraction << more | reader.raw(more) if more > 0 else fraction >> -more
            size = (top + known) << mantissa | fraction << m["dropped"]
        elif m["zeros"] == 4096 or (m["zeros"] and reader.bit(m["zeros"] << 12)):
            size = 0
        else:
            exponent = top - 1
            while exponent > 0 and reader.raw(1):
                exponent -= 1
            size = max(exponent, 0) << mantissa | reader.raw(kept) << m["dropped"]
        return int(size | int(level < 0) << (width - 1))


def bias(kind: ElementType) -> int:
    """Return the bias of a float's exponent."""
    return (1 << (8 * kind.width - kind.mantissa - 2)) - 1


def step_of(model: Model, file_step: float) -> float:
    """Return the step of a tensor (10.5)."""
    if not model["step"]:
        return file_step
    octave, part = divmod(model["step"] - 4097, 16)
    return float(np.ldexp(float(POWERS[part]), octave - 31))


def decode_block(
    data: bytes, models: Sequence[Model], specs: Sequence[TensorSpec], step: float
) -> list[NDArray[np.uint8]]:
    """Return the bytes of tensors of up to 65,536 elements that share a block, or are a block.

    Raises
    ------
    CorruptFile
        The block breaks a rule of the format.
    """
    reader, out = BlockReader(data), []
    for model, spec in zip(models, specs, strict=True):
        kind, values = spec.type, list[int]()
        if model["kind"] < INTEGERS:
            out.append(np.zeros(0, np.uint8))
            continue
        levels = TensorReader(model, spec).levels(
            reader, spec.count, values if model["kind"] == FLOATS else None
        )
        if model["kind"] == FLOATS:
            array = np.array(values, f"<u{kind.width}")
        elif model["kind"] == INTEGERS:
            array = np.array([n + model["centre"] for n in levels]).astype(kind.numpy)
        else:
            array = _reals([n + model["centre"] for n in levels], step_of(model, step), kind)
        out.append(array.view(np.uint8))
    try:
        reader.finish()
    except EntropyCodingError as error:
        raise CorruptFile(str(error), "block") from error
    return out


def _reals(levels: Sequence[int], step: float, kind: ElementType) -> NDArray[Any]:
    """Return levels times the step, rounded once to the type of the elements."""
    products = np.array(levels, np.float64) * step
    if kind.name != "BF16":
        return products.astype(kind.numpy)
    from fractions import Fraction

    return np.array([_nearest_bfloat16(Fraction(float(product))) for product in products], "<u2")


def _nearest_bfloat16(value: Any) -> int:
    """Return the bits of the bfloat16 nearest to a rational number, ties to even."""
    sign, size = (1, -value) if value < 0 else (0, value)
    low, high = 0, 0x7F80
    while high - low > 1:  # the bits of positive numbers ascend with them
        middle = (low + high) // 2
        low, high = (middle, high) if _of_bfloat16(middle) <= size else (low, middle)
    below, above = size - _of_bfloat16(low), _of_bfloat16(high) - size
    bits: int = high if above < below or (above == below and low & 1) else low
    return int(bits | sign << 15)


def _of_bfloat16(bits: int) -> Any:
    from fractions import Fraction

    exponent, mantissa = bits >> 7, bits & 127
    if exponent == 0:
        return Fraction(mantissa, 1) / 2**133
    return Fraction(128 + mantissa) * Fraction(2) ** (exponent - 134)
