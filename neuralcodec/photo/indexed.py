"""Images of few colours, or of channels that leave values out: tables, and an image of indices (section 11.2)."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuralcodec.container.primitives import Reader, crc32, varint
from neuralcodec.container.signal import SignalType
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

    def indices_of(self, signal: SignalType) -> SignalType:
        """Return what the indices of an image are."""
        return SignalType(signal.shape[:2] if self.by_pixel else signal.shape, signal.dtype)

    def samples(self, indices: Values) -> Values:
        """Return the samples (h, w, C) that indices stand for; :class:`CorruptFile` if one is beyond its table."""
        planes = indices[:, :, None] if indices.ndim == 2 else indices
        channels = []
        for number, table in enumerate(self.values):
            plane = planes[:, :, number]
            if plane.size and int(plane.max()) >= len(table):
                raise CorruptFile(f"an index is {int(plane.max())}, of {len(table)}", "payload")
            channels.append(table[plane])
        return np.concatenate(channels, axis=2)


def indexed(image: NDArray[Any]) -> tuple[Tables, Values] | None:
    """Return tables and indices that promise to be coded shorter than the image itself.

    Parameters
    ----------
    image
        (H, W) or (H, W, C).

    Returns
    -------
    tuple
        The tables and the indices, (H, W) or (H, W, C); None if nothing speaks for them.
    """
    volume = image.reshape(*image.shape[:2], -1)
    if image.dtype.kind != "u" or volume[..., 0].size < LEAST_PIXELS:
        return None
    colours = _colours(volume) if image.dtype == np.uint8 else None
    if colours is not None:
        return _by_pixel(volume, colours)
    counts = [_counts(volume[..., c]) for c in range(volume.shape[2])]
    if max(map(_gain, counts)) < GAIN:
        return None
    used = [np.flatnonzero(one) for one in counts]
    tables = Tables(tuple(values.astype(image.dtype)[:, None] for values in used), by_pixel=False)
    ranks = [_ranks(values, image.dtype) for values in used]
    return tables, np.stack([rank[volume[..., c]] for c, rank in enumerate(ranks)], axis=2).reshape(
        image.shape
    )


def _gain(counts: NDArray[np.int64]) -> float:
    """Return about how many bits per sample the gaps between values cost: density is spread over them too."""
    values = np.flatnonzero(counts)
    if len(values) < 2:
        return 0.0
    return float(counts[values] @ np.log2(np.gradient(values.astype(np.float64))) / counts.sum())


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


def _by_pixel(volume: Values, colours: NDArray[np.uint32]) -> tuple[Tables, Values] | None:
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
    walk, root = _walk(some, len(colours))
    for start in orders[:]:
        orders += _neighbourly(walk, root, start)
    ranks = [np.argsort(order) for order in orders]
    costs = [_cost(rank[some]) for rank in ranks]
    best = int(np.argmin(costs))
    if channels == 1 and costs[best] > BETTER * _cost(table[some, 0]):
        return None  # samples themselves are as good
    indices: Values = np.empty(volume.shape[:2], np.uint8)
    for part, out in zip(_parts(volume), _parts(indices), strict=True):
        out[:] = ranks[best][np.searchsorted(colours, _keys(part))]
    return Tables((table[orders[best]],), by_pixel=True), indices


def _ordered(indices: NDArray[Any], count: int) -> bool:
    """Tell whether the order of values clearly means something: shuffled, differences are much larger."""
    few = indices[: max(2, 2**16 // indices.shape[1])]
    shuffled = np.random.default_rng(0).permutation(count)
    return _cost(few) < ORDERED * _cost(shuffled[few])


def _cost(indices: NDArray[Any]) -> float:
    """Return about how many bits the differences to the median-edge prediction take."""
    x = indices.astype(np.int32)
    west, north, northwest = x[1:, :-1], x[:-1, 1:], x[:-1, :-1]
    guess = np.clip(west + north - northwest, np.minimum(west, north), np.maximum(west, north))
    return float(np.log2(1 + 2 * np.abs(x[1:, 1:] - guess)).sum())


def _walk(indices: NDArray[np.int64], count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the normalised graph of colours that lie side by side, and the roots of its degrees."""
    pairs = np.zeros(count * count, np.int64)
    for one, other in ((indices[:, 1:], indices[:, :-1]), (indices[1:, :], indices[:-1, :])):
        pairs += np.bincount((one * count + other).ravel(), minlength=count * count)
    weights = pairs.reshape(count, count) + pairs.reshape(count, count).T + 1e-3
    np.fill_diagonal(weights, 0)
    root = np.maximum(np.sqrt(weights.sum(1)), 1e-3)
    return weights / (root[:, None] * root), root


def _neighbourly(
    walk: NDArray[np.float64], root: NDArray[np.float64], order: NDArray[np.int64]
) -> list[NDArray[np.int64]]:
    """Return orders in which colours that lie side by side follow each other.

    The second eigenvector of the Laplacian of a graph (Fiedler's) minimises the squared differences of neighbours'
    places, relaxed to real numbers. A power iteration goes towards it from the order that is given.
    """
    first = root / np.linalg.norm(root)  # the eigenvector of 1
    vector = root * (2.0 * np.argsort(order) - len(order))
    found = []
    for steps in STEPS:
        for _ in range(steps):
            vector = vector + walk @ vector
            vector -= first * (first @ vector)
            vector /= max(float(np.linalg.norm(vector)), 1e-300)
        found.append(np.argsort(vector / root, kind="stable"))
    return found
