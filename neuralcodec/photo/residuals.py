"""Coding samples of 16 bits: what the predictor of LOCO-I leaves; its lowest bits, noise, apart (section 11.2)."""

import numpy as np
from numpy.typing import NDArray

from neuralcodec.container.folding import folded, unfolded
from neuralcodec.container.primitives import Reader
from neuralcodec.errors import CorruptFile
from neuralcodec.native import decode_tensor, encode_tensor

DEPTH = 16
HALF, MASK = 1 << (DEPTH - 1), (1 << DEPTH) - 1
SHOWN = 3
"""Bits of the median that are coded with context, or one more or less."""

Planes = NDArray[np.int64]


def encode_residuals(tile: NDArray[np.uint16]) -> bytes:
    """Return the coded residuals of a tile (h, w, planes) of uint16."""
    planes = tile.transpose(2, 0, 1).astype(np.int64)
    found = [_folded(planes)]
    if len(planes) > 1:
        found.append(_folded(np.concatenate([planes[:1], _centred(planes[1:] - planes[:1])])))
    way = int(np.argmin([np.log2(folded + 1.0).sum() for folded in found]))
    folded = found[way]
    typical = int(np.median(folded)).bit_length() - SHOWN
    coded = [_coded(folded, low) for low in range(max(0, typical - 1), max(0, typical + 1) + 1)]
    return bytes([way]) + min(coded, key=len)


def decode_residuals(data: bytes, shape: tuple[int, int, int]) -> NDArray[np.uint16]:
    """Return the tile (h, w, planes) that :func:`encode_residuals` coded; :class:`CorruptFile` if there is none."""
    height, width, count = shape
    reader = Reader(data, "payload", inner=True)
    way, low = reader.u8("a way"), reader.u8("a number of low bits")
    if way > (count > 1) or low > DEPTH:
        raise CorruptFile(f"{way} is no way to predict, or {low} are too many low bits", "payload")
    size = height * width * count
    packed = np.frombuffer(reader.take((size * low + 7) // 8, "low bits"), np.uint8)
    if size * low % 8 and packed[-1] & (0xFF >> size * low % 8):
        raise CorruptFile("bits behind the low bits are not 0", "payload")
    high = decode_tensor(bytes(reader.take(reader.remaining, "residuals")), count * height, width)
    if int(high.max()) >> (DEPTH - low):
        raise CorruptFile(f"a residual is {int(high.max())}, too large for {DEPTH - low} bits", "payload")
    whole = high.astype(np.int64) << low
    if low:
        bits = np.unpackbits(packed, count=size * low).reshape(size, low)
        whole += (bits @ (1 << np.arange(low - 1, -1, -1))).reshape(whole.shape)
    d = unfolded(whole).reshape(count, height * width)
    centred = np.arange(count)[:, None] >= (1 if way else count)
    values = _predicted_back(d, height, width, centred)
    if way:
        values[1:] += values[:1]
    tile: NDArray[np.uint16] = (values & MASK).astype(np.uint16).reshape(count, height, width)
    return tile.transpose(1, 2, 0)


def _coded(folded: Planes, low: int) -> bytes:
    """Return the low bits of folded residuals, packed, and the rest coded."""
    bits = folded.reshape(-1, 1) >> np.arange(low - 1, -1, -1) & 1
    high = (folded >> low).astype(np.uint32)
    return (
        bytes([low])
        + np.packbits(bits.astype(np.uint8)).tobytes()
        + encode_tensor(high.reshape(-1, folded.shape[2]))
    )


def _centred(values: Planes) -> Planes:
    """Return values modulo 2^16, from -2^15 up."""
    return ((values + HALF) & MASK) - HALF


def _folded(values: Planes) -> Planes:
    """Return what the predictor leaves, modulo 2^16, folded: 0, -1, 1, -2, ..."""
    west, north, corner = (np.zeros_like(values) for _ in range(3))
    west[:, :, 1:], north[:, 1:] = values[:, :, :-1], values[:, :-1]
    corner[:, 1:, 1:] = values[:, :-1, :-1]
    north[:, 0] = corner[:, 0] = west[:, 0]
    west[:, 1:, 0] = corner[:, 1:, 0] = north[:, 1:, 0]
    return folded(_centred(values - _median_edge(west, north, corner)))


def _median_edge(west: Planes, north: Planes, corner: Planes) -> Planes:
    low, high = np.minimum(west, north), np.maximum(west, north)
    edge: Planes = np.minimum(np.maximum(west + north - corner, low), high)
    return edge


def _predicted_back(d: Planes, height: int, width: int, centred: NDArray[np.bool_]) -> Planes:
    """Return values (planes, h * w) from residuals: diagonal after diagonal, whose samples need only those before."""
    values = np.zeros_like(d)
    # Values of the last two diagonals, by row, behind one place for the row above the first.
    before, earlier = (np.zeros((len(d), height + 1), np.int64) for _ in range(2))
    offset = np.where(centred, HALF, 0)
    for t in range(height + width - 1):
        first, last = max(0, t - width + 1), min(height - 1, t)
        west = before[:, first + 1 : last + 2].copy()
        north, corner = before[:, first : last + 1].copy(), earlier[:, first : last + 1].copy()
        if first == 0:
            north[:, 0] = corner[:, 0] = west[:, 0]
        if last == t > 0:
            west[:, -1] = corner[:, -1] = north[:, -1]
        at = t + np.arange(first, last + 1) * (width - 1)
        found = ((d[:, at] + _median_edge(west, north, corner) + offset) & MASK) - offset
        values[:, at] = found
        before, earlier = earlier, before
        before[:, first + 1 : last + 2] = found
    return values
