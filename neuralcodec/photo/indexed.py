"""Images of few colours, or of channels that leave values out: tables, and an image of indices (section 11.2)."""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuralcodec.container.primitives import Reader, crc32, varint
from neuralcodec.errors import CorruptFile
from neuralcodec.photo.fallback import inflated

PIXELS, CHANNELS = 0, 1
"""Kinds of tables: one of 8-bit pixels, or one of samples for each channel."""

MOST = 256
"""Entries of a table of pixels."""

LEAST_PIXELS = 2**8
"""Of images for which tables are tried."""

LOOKED_AT = 2**19
"""Pixels by which an order of a table is judged."""

GAIN = 0.05
"""Bits per sample that closing gaps must promise for tables to be tried: the mean of log2 of the distance of values."""

BETTER = 15 / 16
"""Cost of differences, as a share of that of the samples themselves, below which another order of values is tried."""

ORDERED = 0.7
"""Cost of differences, as a share of that of shuffled values, below which values stand in the best order."""

SCATTER = 2654435761
"""Of Fibonacci hashing: places times it, modulo 2^32, are in no order (Knuth, vol. 3, section 6.4)."""

STEPS = (300, 700)
"""Of the power iteration that looks for orders: one is taken after each of these."""

Values = NDArray[Any]


@dataclass(frozen=True)
class Tables:
    """What indices stand for.

    Parameters
    ----------
    values
        One table (K, C) of pixels, or C tables (K, 1) of samples.
    by_pixel
        Whether it is one of pixels.
    """

    values: tuple[Values, ...]
    by_pixel: bool

    def to_bytes(self) -> bytes:
        """Return kind and tables with their checksum."""
        if self.by_pixel:
            (table,) = self.values
            data = bytes([PIXELS, len(table) - 1]) + table.tobytes()
        else:
            masks = (np.isin(np.arange(_range(table.dtype)), table) for table in self.values)
            packed = b"".join(np.packbits(mask, bitorder="little").tobytes() for mask in masks)
            if self.values[0].itemsize > 1:
                packed = zlib.compress(packed, 9)
                packed = varint(len(packed)) + packed
            data = bytes([CHANNELS]) + packed
        return data + crc32(data)

    @classmethod
    def read(cls, reader: Reader, channels: int, dtype: "np.dtype[Any]") -> "Tables":
        """Read the tables of an image of so many channels; :class:`CorruptFile` if they are damaged."""
        start, kind = reader.position, reader.u8("the kind of tables")
        if kind == PIXELS and dtype == np.uint8:
            count = reader.u8("the size of a table") + 1
            data = bytes(reader.take(count * channels, "a table"))
            found = cls((np.frombuffer(data, np.uint8).reshape(count, channels),), by_pixel=True)
        elif kind == CHANNELS:
            size = channels * _range(dtype) // 8
            if dtype == np.uint8:
                masks = bytes(reader.take(size, "tables"))
            else:
                masks = inflated(bytes(reader.take(reader.varint("the length of tables"), "tables")), size)
            used = np.unpackbits(np.frombuffer(masks, np.uint8), bitorder="little").reshape(channels, -1)
            values = (np.flatnonzero(mask).astype(dtype)[:, None] for mask in used)
            found = cls(tuple(values), by_pixel=False)
        else:
            raise reader.fault(f"the kind of tables {kind} is not known for {dtype}")
        read = crc32(reader.view[start : reader.position])
        if reader.take(len(read), "the checksum of tables") != read:
            raise reader.fault("the checksum of tables is another")
        return found

    @property
    def planes(self) -> int:
        """Planes of an image of indices."""
        return 1 if self.by_pixel else len(self.values)

    @cached_property
    def _places(self) -> tuple[Values, ...]:
        """Keys of pixels in ascending order, and their places; or the places of all samples by channel."""
        dtype = self.values[0].dtype
        if not self.by_pixel:
            return tuple(_ranks(table[:, 0], dtype) for table in self.values)
        keys = _keys(self.values[0][None])[0]
        order = np.argsort(keys)
        return keys[order], order.astype(dtype)

    def indices(self, samples: Values) -> Values:
        """Return the indices (h, w, planes) of samples (h, w, C), all of which stand in the tables."""
        if self.by_pixel:
            keys, places = self._places
            return places[np.searchsorted(keys, _keys(samples))][:, :, None]
        return np.stack([places[samples[:, :, c]] for c, places in enumerate(self._places)], axis=2)

    def samples(self, indices: Values) -> Values:
        """Return the samples (h, w, C) that indices (h, w, planes) stand for.

        Raises
        ------
        CorruptFile
            An index is beyond its table.
        """
        channels = []
        for number, table in enumerate(self.values):
            plane = indices[:, :, number]
            if plane.size and int(plane.max()) >= len(table):
                raise CorruptFile(f"an index is {int(plane.max())}, of {len(table)}", "payload")
            channels.append(table[plane])
        return channels[0] if len(channels) == 1 else np.concatenate(channels, axis=2)


def tables_of(image: NDArray[Any]) -> Tables | None:
    """Return tables for an image (H, W) or (H, W, C), if its indices promise to be coded shorter than itself."""
    volume = image.reshape(*image.shape[:2], -1)
    if image.dtype.kind != "u" or volume[..., 0].size < LEAST_PIXELS or min(image.shape[:2]) < 2:
        return None
    colours = _colours(volume) if image.dtype == np.uint8 else None
    if colours is not None:
        return _by_pixel(volume, colours)
    counts = [_counts(volume[..., c]) for c in range(volume.shape[2])]
    if max(map(_gain, counts)) < GAIN:
        return None
    used = (np.flatnonzero(one).astype(image.dtype) for one in counts)
    return Tables(tuple(values[:, None] for values in used), by_pixel=False)


def _log2(x: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return log2 of positive integers in 1/128, linear between powers of 2: the same on every machine.

    >>> _log2(np.array([1, 2, 3, 4])).tolist()
    [0, 128, 192, 256]
    """
    whole = np.frexp(x.astype(np.float64))[1].astype(np.int64) - 1
    return (whole << 7) + (x << 7 >> whole) - 128


def _gain(counts: NDArray[np.int64]) -> float:
    """Return about how many bits per sample the gaps between values cost: density is spread over them too."""
    values = np.flatnonzero(counts)
    if len(values) < 2:
        return 0.0
    beside = np.concatenate([2 * values[:1] - values[1:2], values, 2 * values[-1:] - values[-2:-1]])
    bits = _log2(beside[2:] - beside[:-2]) - 128  # of half of it
    return int(counts[values] @ bits) / (128 * int(counts.sum()))


def _range(dtype: "np.dtype[Any]") -> int:
    return 1 << (8 * dtype.itemsize)


def _counts(plane: Values) -> NDArray[np.int64]:
    total = np.zeros(_range(plane.dtype), np.int64)
    for rows in _parts(plane):
        total += np.bincount(rows.ravel(), minlength=len(total))
    return total


def _ranks(values: NDArray[Any], dtype: "np.dtype[Any]") -> Values:
    """Return for each value its place in a table."""
    ranks = np.zeros(_range(dtype), dtype)
    ranks[values] = np.arange(len(values))
    return ranks


def _parts(image: Values) -> Iterator[Values]:
    """Yield rows of an image, about 2^16 pixels at a time."""
    rows = max(1, 2**16 // image.shape[1])
    for start in range(0, len(image), rows):
        yield image[start : start + rows]


def _keys(pixels: Values) -> NDArray[np.uint32]:
    """Return a number (h, w) for each pixel (h, w, C), whose order is that of the channels."""
    found = np.zeros(pixels.shape[:2], np.uint32)
    for channel in range(pixels.shape[2]):
        found = found << np.uint32(8) | pixels[..., channel]
    return found


def _colours(volume: Values) -> NDArray[np.uint32] | None:
    """Return the keys of an image's colours, ascending; None if they are more than a table holds."""
    if volume.shape[2] == 1:
        return np.flatnonzero(_counts(volume)).astype(np.uint32)
    found = np.zeros(0, np.uint32)
    for part in _parts(volume):
        found = np.union1d(found, _keys(part))
        if len(found) > MOST:
            return None
    return found


def _by_pixel(volume: Values, colours: NDArray[np.uint32]) -> Tables | None:
    """Return the table of pixels in the order that makes differences of neighbours least."""
    width, channels = volume.shape[1:]
    shifts = np.arange(8 * (channels - 1), -1, -8, dtype=np.uint32)
    table = (colours[:, None] >> shifts & np.uint32(255)).astype(np.uint8)
    first = max(0, len(volume) // 2 - LOOKED_AT // (2 * width))
    some = np.searchsorted(colours, _keys(volume[first:][: max(2, LOOKED_AT // width)]))
    if channels == 1 and _gain(np.bincount(table[some, 0].ravel())) < GAIN and _ordered(some, len(table)):
        return None
    brightness = table.astype(np.int64) @ np.array([2, 3, 1, 0][:channels])
    orders = [np.arange(len(colours)), np.argsort(brightness, kind="stable")]
    orders += _neighbourly(_neighbours(some, len(colours)), orders)
    costs = [_cost(np.argsort(order)[some]) for order in orders]
    best = int(np.argmin(costs))
    if channels == 1 and costs[best] > BETTER * _cost(table[some, 0]):
        return None  # samples themselves are as good
    return Tables((table[orders[best]],), by_pixel=True)


def _ordered(indices: NDArray[Any], count: int) -> bool:
    """Tell whether the order of values clearly means something: shuffled, differences are much larger."""
    few = indices[: max(2, 2**16 // indices.shape[1])]
    shuffled = np.argsort(np.arange(count) * SCATTER % 2**32, kind="stable")
    return _cost(few) < ORDERED * _cost(shuffled[few])


def _cost(indices: NDArray[Any]) -> int:
    """Return about how many bits, in 1/128, the differences to the median-edge prediction take."""
    x = indices.astype(np.int32)
    west, north, northwest = x[1:, :-1], x[:-1, 1:], x[:-1, :-1]
    guess = np.clip(west + north - northwest, np.minimum(west, north), np.maximum(west, north))
    bits = _log2(1 + 2 * np.arange(MOST))
    return int(bits[np.abs(x[1:, 1:] - guess)].sum())


def _neighbours(indices: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return how often two colours lie side by side, (count, count)."""
    pairs = np.zeros(count * count, np.int64)
    for one, other in ((indices[:, 1:], indices[:, :-1]), (indices[1:, :], indices[:-1, :])):
        pairs += np.bincount((one * count + other).ravel(), minlength=count * count)
    beside = pairs.reshape(count, count)
    beside = beside + beside.T
    np.fill_diagonal(beside, 0)
    return beside


def _neighbourly(beside: NDArray[np.int64], starts: Sequence[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
    """Return orders in which colours that lie side by side follow each other.

    The second eigenvector of the normalised Laplacian of a graph (Fiedler's) minimises the squared differences of
    neighbours' places, relaxed to real numbers. A power iteration goes towards it from each start. It works on
    integers: floating-point sums of many terms come out differently on different machines, and so would files.
    Weights have 20 fraction bits, vectors 28 bits, so that sums of 256 products stay below 2^57.
    """
    degree = np.maximum(beside.sum(1), 1)
    root = np.floor(np.sqrt(degree << 8)).astype(np.int64)  # below 2^15, as degrees are below 2^22
    walk = (beside << 28) // (root[:, None] * root)  # at most 2^20, for root^2 is degree << 8
    found = []
    for start in starts:
        vector = _scaled(root * (2 * np.argsort(start) - len(start)))
        for steps in STEPS:
            for _ in range(steps):
                vector += walk @ vector >> 20
                # Off with the share of the first eigenvector, the roots themselves.
                vector = _scaled(vector - (root * (((root @ vector) << 7) // (root @ root)) >> 7))
            found.append(np.argsort((vector << 16) // root, kind="stable"))
    return found


def _scaled(vector: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return a vector times the power of 2 that gives its largest element 28 bits."""
    shift = 28 - int(np.abs(vector).max()).bit_length()
    return vector << shift if shift >= 0 else vector >> -shift
