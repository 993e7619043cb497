"""Coding without a network, for what is no photograph: differences, or the image data of a PNG (section 11.4)."""

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuralcodec.container.folding import folded, unfolded
from neuralcodec.container.png import Head, depth_of, image_data, read_samples, step_of
from neuralcodec.container.signal import sample_string
from neuralcodec.errors import CorruptFile
from neuralcodec.native import decode_tensor, encode_tensor

ACROSS, DOWN, FIRST = 1, 2, 4
"""Bits of a way to take differences: along rows, along columns, and from the first plane."""

LOW_DEPTHS = (1, 2, 4)
"""Bits of the samples of PNG files that have several in a byte."""


def encode_differences(tile: NDArray[Any]) -> bytes:
    """Return the coded differences of a tile (h, w, planes), by the way that makes them least, and which it is."""
    depth = depth_of(tile.dtype)
    planes = tile.transpose(2, 0, 1).astype(np.uint32)
    ways = range(8 if len(planes) > 1 else 4)
    found = {way: _folded(_differences(planes, way), depth) for way in ways}
    way = min(ways, key=lambda w: float(np.log2(found[w].astype(np.float32) + 1).sum()))
    return bytes([way]) + encode_tensor(found[way].reshape(-1, tile.shape[1]))


def decode_differences(
    data: bytes, shape: tuple[int, int, int], dtype: "np.dtype[Any]"
) -> NDArray[np.uint32]:
    """Return the tile (h, w, planes) of what :func:`encode_differences` made, of values that the dtype holds."""
    height, width, count = shape
    way, depth = data[0] if data else 255, depth_of(dtype)
    if way > (7 if count > 1 else 3):
        raise CorruptFile(f"{way} is no way to take differences", "payload")
    found = decode_tensor(data[1:], count * height, width)
    if int(found.max()) >> depth:
        raise CorruptFile(f"a difference is {int(found.max())}, too large for {depth} bits", "payload")
    d = unfolded(found).reshape(count, height, width)
    if way & DOWN:
        d = d.cumsum(1)
    if way & ACROSS:
        d = d.cumsum(2)
    if way & FIRST:
        d[1:] += d[:1]
    values: NDArray[np.uint32] = (d & ((1 << depth) - 1)).astype(np.uint32)
    return values.transpose(1, 2, 0)


def _differences(planes: NDArray[np.uint32], way: int) -> NDArray[np.uint32]:
    """Return differences modulo 2^32."""
    d = planes
    if way & FIRST:
        d = np.concatenate([d[:1], d[1:] - d[:1]])
    if way & ACROSS:
        d = np.diff(d, axis=2, prepend=np.uint32(0))
    if way & DOWN:
        d = np.diff(d, axis=1, prepend=np.uint32(0))
    return d


def _folded(d: NDArray[np.uint32], depth: int) -> NDArray[np.uint32]:
    """Return differences modulo 2^depth, from -2^(depth - 1) up, folded."""
    half, mask = np.uint32(1 << (depth - 1)), np.uint32((1 << depth) - 1)
    return folded(((d + half) & mask).astype(np.int64) - int(half)).astype(np.uint32)


def of_sample_string(raw: bytes, dtype: "np.dtype[Any]") -> NDArray[Any]:
    """Return the samples of a sample string; :class:`CorruptFile` for a bool that is neither 0 nor 1."""
    if dtype.kind == "b" and raw.strip(b"\0\1"):
        raise CorruptFile("a sample is no bool", "payload")
    return np.frombuffer(raw, dtype.newbyteorder("<"))


def deflate_samples(tile: NDArray[Any]) -> bytes:
    """Return the zlib stream of a tile's sample string."""
    return zlib.compress(sample_string(tile), 9)


def inflate_samples(data: bytes, shape: tuple[int, int, int], dtype: "np.dtype[Any]") -> NDArray[Any]:
    """Return the tile that :func:`deflate_samples` deflated."""
    raw = inflated(data, shape[0] * shape[1] * shape[2] * dtype.itemsize)
    return of_sample_string(raw, dtype).reshape(shape)


def inflated(data: bytes, length: int) -> bytes:
    """Return the bytes of a zlib stream; :class:`CorruptFile` unless it is whole, and holds so many."""
    inflater = zlib.decompressobj()
    try:
        raw = inflater.decompress(data, length)
        # All that was asked for may be out before the stream has ended.
        more = inflater.decompress(inflater.unconsumed_tail, 1)
    except zlib.error as error:
        raise CorruptFile(f"a zlib stream is damaged: {error}", "payload") from None
    if len(raw) != length or more or not inflater.eof or inflater.unused_data:
        raise CorruptFile(f"a zlib stream does not hold the {length} bytes that it must", "payload")
    return raw


def png_holds(shape: tuple[int, ...], dtype: "np.dtype[Any]") -> bool:
    """Tell whether the image data of a PNG stands for such samples."""
    return len(shape) == 2 or (dtype.kind == "u" and shape[2] > 1)


def encode_png(image: NDArray[Any]) -> bytes:
    """Return the image data of a PNG file, the shorter of that with filters and that without."""
    return _least_data(image, depth_of(image.dtype), (False, True))


def decode_png(data: bytes, shape: tuple[int, ...], dtype: "np.dtype[Any]") -> NDArray[Any]:
    """Return the image whose PNG image data this is; :class:`CorruptFile` if it is not."""
    return _of_data(data, shape, depth_of(dtype))


def encode_levels(image: NDArray[np.uint8]) -> bytes | None:
    """Return the image data of a PNG of fewer bits, behind how many and the step of its samples.

    Parameters
    ----------
    image
        (H, W): indices of a palette, or gray samples of 2 or 4 bits scaled to 8.

    Returns
    -------
    bytes
        None if the samples are no multiples of a step by up to 15.
    """
    seen = np.zeros(256, np.bool_)
    for rows in np.array_split(image, -(-image.size // 2**20)):
        seen[rows] = True
        if seen.sum() > 1 << LOW_DEPTHS[-1]:
            return None
    values = seen.nonzero()[0]
    step = max(1, int(np.gcd.reduce(values)))
    most = int(values[-1]) // step
    depths = [depth for depth in LOW_DEPTHS if most >> depth == 0 and step <= step_of(depth)]
    levels = image // np.uint8(step)
    found = [bytes([depth, step]) + _least_data(levels, depth, (False,)) for depth in depths]
    return min(found, key=len, default=None)


def decode_levels(data: bytes, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return the image (H, W) that :func:`encode_levels` packed."""
    depth, step = data[:2] if len(data) > 1 else (0, 0)
    if depth not in LOW_DEPTHS or not 1 <= step <= step_of(depth):
        raise CorruptFile(f"{depth} bits in steps of {step} are no samples", "payload")
    return _of_data(data[2:], shape, depth).astype(np.uint8) * np.uint8(step)


def _least_data(image: NDArray[Any], depth: int, ways: tuple[bool, ...]) -> bytes:
    streams = (b"".join(image_data(image, depth, 9, adaptive=way)) for way in ways)
    return min(streams, key=len)


def _of_data(data: bytes, shape: tuple[int, ...], depth: int) -> NDArray[Any]:
    head = Head.of(shape, depth)
    inflated(data, shape[0] * (1 + head.row_bytes))
    try:
        return read_samples(head, [data])
    except Exception as error:  # Pillow raises nearly anything on hostile files
        raise CorruptFile(f"the image data is damaged: {error}", "payload") from None
