"""Photographs (codec 4), as docs/format.md gives them in its section 11.

Part of the independent decoder (decoder.py).
"""

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from decoder_photo_network import LAYERS, Network
from decoder_photo_planes import Coder, decode_plane, median_edge
from decoder_primitives import DTYPES, Reader, Refused, must, read_tensor, sample_string
from numpy.typing import NDArray

Matrix = NDArray[np.int64]


@dataclass(frozen=True)
class Photo:
    """A model of photographs."""

    identity: bytes
    networks: list[Network]


def _unfold(values: Matrix, most: int) -> Matrix:
    found = np.where(values % 2, -(values + 1) // 2, values // 2)
    must(int(np.abs(found).max(initial=0)) <= most, "a parameter is out of range")
    return found


def read_photo(identity: bytes, tensors: dict[str, Matrix]) -> Photo:
    """Return the model that tensors hold."""
    left = dict(tensors)

    def take(name: str, shape: tuple[int, int]) -> Matrix:
        must(name in left, f"the tensor {name} is not there")
        tensor = left.pop(name)
        must(tensor.shape == shape, f"the tensor {name} is not {shape}")
        return tensor

    planes = sum(name.startswith("sizes.") for name in tensors)
    must(planes in (1, 3), "there are neither 1 nor 3 networks")
    networks = []
    for p in range(planes):
        hidden, components, ways, *shifts = map(int, take(f"sizes.{p}", (1, 7))[0])
        must(hidden % 4 == 0 and 4 <= hidden <= 128, "hidden units out of range")
        must(components % 4 == 0 and 4 <= components <= 16, "components out of range")
        must(ways < 6, "what adapts is not known")
        must(all(6 <= shift <= 14 for shift in shifts), "fraction bits out of range")
        n = 18 * (p + 1) + 9 * p + 1
        words = n + p + 1
        shapes = {
            "first": (hidden, 2 * words),
            "second": (hidden, hidden),
            "last": (3 * components, hidden),
            "linear": (components, n),
        }
        weights = {name: _unfold(take(f"{name}.{p}", shape), 2**15 - 1) for name, shape in shapes.items()}
        biases = {
            name: _unfold(take(f"{name}.bias.{p}", (1, shapes[name][0])), 2**21)[0]
            for name in ("first", "second", "last")
        }
        widths = dict(zip(LAYERS, shifts, strict=True))
        network = Network(components, bool(ways & 1), ways >> 1, widths, weights, biases)
        _check_sums(network)
        networks.append(network)
    must(not left, "there are other tensors")
    return Photo(identity, networks)


def _check_sums(network: Network) -> None:
    """No sum may leave 32 bits."""
    for name, unit in LAYERS.items():
        w, shift = np.abs(network.weights[name]), network.shifts[name]
        if name in ("first", "linear"):
            most = (
                np.tile([2048, 1024], w.shape[1])[: w.shape[1]]
                if name == "first"
                else np.full(w.shape[1], 2048)
            )
        else:
            most = np.full(w.shape[1], 16383 * (2 if name == "last" else 1))
        bias = np.abs(network.biases.get(name, np.zeros(len(w), np.int64))) << (shift + unit - 12)
        must(
            int(((w * most).sum(1) + bias).max()) + (1 << shift) < 2**31, f"the sums of {name} could overflow"
        )


def decode_photo(payload: bytes, model: Photo, dtype: int, shape: tuple[int, ...]) -> Matrix:
    """Return the samples of an image, in order."""
    must(len(shape) in (2, 3) and (len(shape) == 2 or shape[2] <= 4), "the signal is no image")
    must(DTYPES[dtype] in ("u1", "u2", "?"), "the signal's dtype is not one of an image")
    height, width, channels = (*shape, 1)[:3]
    must(height * width * channels <= 2**18 * len(payload), "the payload is too short for the image")
    reader = Reader(payload)
    form = reader.unsigned(1)
    if form == 1:
        held = len(shape) == 2 or (DTYPES[dtype] != "?" and channels > 1)
        must(held, "no PNG holds such samples")
        depth = {"?": 1, "u1": 8, "u2": 16}[DTYPES[dtype]]
        return _decode_png(reader.take(reader.left), depth, height, width, channels)
    if form == 2:
        must(DTYPES[dtype] == "u1" and len(shape) == 2, "levels are those of gray images of 8 bits")
        depth, step = reader.unsigned(1), reader.unsigned(1)
        must(depth in (1, 2, 4) and 1 <= step <= 255 // (2**depth - 1), "levels out of range")
        return step * _decode_png(reader.take(reader.left), depth, height, width, channels)
    if form == 3:
        must(DTYPES[dtype] != "?", "indices have 8 or 16 bits")
        return _decode_indexed(reader, model, dtype, (height, width, channels))
    must(form == 0, "an unknown form")
    return _decode_tiles(reader, model, dtype, (height, width, channels)).reshape(1, -1)


def _decode_indexed(reader: Reader, model: Photo, dtype: int, shape: tuple[int, int, int]) -> Matrix:
    height, width, channels = shape
    start = reader.at
    kind = reader.unsigned(1)
    must(kind <= 1, "tables of an unknown kind")
    if kind:
        size = 32 * channels if DTYPES[dtype] == "u1" else 2**13 * channels
        masks = reader.take(size) if DTYPES[dtype] == "u1" else _inflate(reader.take(reader.varint()), size)
        bits = np.unpackbits(np.frombuffer(masks, np.uint8), bitorder="little").reshape(channels, -1)
        tables = [np.flatnonzero(one).reshape(-1, 1) for one in bits]
    else:
        must(DTYPES[dtype] == "u1", "tables of pixels have 8 bits")
        size = reader.unsigned(1) + 1
        raw = np.frombuffer(reader.take(size * channels), np.uint8)
        tables = [raw.astype(np.int64).reshape(size, channels)]
    crc = zlib.crc32(reader.data[start : reader.at]).to_bytes(4, "little")
    must(crc == reader.take(4), "the CRC-32 of tables is wrong")
    must(reader.unsigned(1) == 0, "indices are not in tiles")
    indices = _decode_tiles(reader, model, dtype, (height, width, channels if kind else 1))
    parts = []
    for place, table in enumerate(tables):
        must(int(indices[:, :, place].max()) < len(table), "an index is beyond its table")
        parts.append(table[indices[:, :, place]])
    return np.concatenate(parts, axis=2).reshape(1, -1)


def _decode_tiles(reader: Reader, model: Photo, dtype: int, shape: tuple[int, int, int]) -> Matrix:
    height, width, channels = shape
    side = reader.varint(1024, least=1)
    rows, columns = -(-height // side), -(-width // side)
    must(rows * columns * 5 <= reader.left, "the table of tiles is cut off")
    table = [(reader.varint(), reader.take(4)) for _ in range(rows * columns)]
    out = np.zeros((height, width, channels), np.int64)
    for number, (length, checksum) in enumerate(table):
        row, column = divmod(number, columns)
        top, bottom = row * height // rows, (row + 1) * height // rows
        left, right = column * width // columns, (column + 1) * width // columns
        tile = _decode_tile(reader.take(length), model, DTYPES[dtype], (bottom - top, right - left, channels))
        crc = zlib.crc32(sample_string(tile.reshape(1, -1), dtype)).to_bytes(4, "little")
        must(crc == checksum, "the CRC-32 of a tile is wrong")
        out[top:bottom, left:right] = tile
    reader.finish()
    return out


def _decode_tile(record: bytes, model: Photo, dtype: str, shape: tuple[int, int, int]) -> Matrix:
    height, width, channels = shape
    reader, out = Reader(record), np.zeros(shape, np.int64)
    colour = channels >= 3 and len(model.networks) == 3
    groups = [[1, 0, 2], *([c] for c in range(3, channels))] if colour else [[c] for c in range(channels)]
    for group in groups:
        method = reader.unsigned(1)
        if method == 0:
            out[:, :, group] = [reader.unsigned(2 if dtype == "u2" else 1) for _ in group]
            must(dtype != "?" or int(out[:, :, group].max()) <= 1, "no bool")
        elif method in (1, 2):
            must(dtype != "?", "networks code 8 and 16 bits")
            lengths = [reader.varint() for _ in range(1 if method == 1 else 8)]
            streams = [Coder(reader.take(length)) for length in lengths]
            planes: list[Matrix] = []
            for p in range(len(group)):
                levels = 2**16 if dtype == "u2" else 2**8
                planes.append(decode_plane(model.networks[p], p, planes, streams, (height, width), levels))
                out[:, :, group[p]] = planes[p]
            must(all(stream.empty for stream in streams), "a coder does not end empty")
        elif method == 3:
            data = Reader(reader.take(reader.varint()))
            out[:, :, group] = _decode_differences(data, dtype, height, width, len(group))
        elif method == 5:
            must(dtype == "u2", "residuals are of 16 bits")
            data = Reader(reader.take(reader.varint()))
            out[:, :, group] = _decode_residuals(data, height, width, len(group))
        else:
            must(method == 4, "an unknown method")
            size = height * width * len(group)
            raw = _inflate(reader.take(reader.varint()), size * (2 if dtype == "u2" else 1))
            samples = np.frombuffer(raw, "<u2" if dtype == "u2" else "u1").astype(np.int64)
            must(dtype != "?" or int(samples.max()) <= 1, "no bool")
            out[:, :, group] = samples.reshape(height, width, len(group))
    reader.finish()
    return out


def _decode_differences(data: Reader, dtype: str, height: int, width: int, planes: int) -> Matrix:
    depth = {"?": 1, "u1": 8, "u2": 16}[dtype]
    way = data.unsigned(1)
    must(way <= (7 if planes > 1 else 3), "an unknown way to take differences")
    d = read_tensor(data.take(data.left), planes * height, width).astype(np.int64)
    must(int(d.max()) < 1 << depth, "a difference is out of range")
    d = np.where(d % 2, -(d + 1) // 2, d // 2).reshape(planes, height, width)
    if way & 2:
        for y in range(1, height):
            d[:, y] += d[:, y - 1]
    if way & 1:
        for x in range(1, width):
            d[:, :, x] += d[:, :, x - 1]
    if way & 4:
        d[1:] += d[0]
    found: Matrix = (d % (1 << depth)).transpose(1, 2, 0)
    return found


def _decode_residuals(data: Reader, height: int, width: int, planes: int) -> Matrix:
    way, k = data.unsigned(1), data.unsigned(1)
    must(way <= (planes > 1) and k <= 16, "residuals of an unknown kind")
    count = planes * height * width
    packed = np.frombuffer(data.take(-(-count * k // 8)), np.uint8)
    bits = np.unpackbits(packed)
    must(not bits[count * k :].any(), "the last byte of the low bits is not filled with zeros")
    low = np.zeros(count, np.int64)
    for place in range(k):
        low = 2 * low + bits[: count * k].reshape(count, k)[:, place]
    high = read_tensor(data.take(data.left), planes * height, width).astype(np.int64).ravel()
    must(int(high.max()) < 1 << (16 - k), "a residual is out of range")
    folded = high << k | low
    d = np.where(folded % 2, -(folded + 1) // 2, folded // 2).reshape(planes, height, width)
    v = np.zeros_like(d)
    for p in range(planes):
        least = -(2**15) if way and p else 0
        for y in range(height):
            for x in range(width):
                west = v[p, y, x - 1] if x else v[p, y - 1, x] if y else 0
                north = v[p, y - 1, x] if y else west
                northwest = v[p, y - 1, x - 1] if x and y else west if not y else north
                guess = median_edge(int(west), int(north), int(northwest))
                v[p, y, x] = (guess + d[p, y, x] - least) % 2**16 + least
    if way:
        v[1:] += v[0]
    found: Matrix = (v % 2**16).transpose(1, 2, 0)
    return found


def _inflate(data: bytes, length: int) -> bytes:
    inflate = zlib.decompressobj()
    try:
        raw = inflate.decompress(data)
    except zlib.error as error:
        raise Refused("no zlib stream") from error
    must(inflate.eof and not inflate.unused_data and len(raw) == length, "a zlib stream of another length")
    return raw


def _decode_png(data: bytes, depth: int, height: int, width: int, channels: int) -> Matrix:
    """Undo the filters of PNG (ISO/IEC 15948, clause 9)."""
    length, back = (width * channels * depth + 7) // 8, max(1, channels * depth // 8)
    raw = _inflate(data, height * (length + 1))
    above = np.zeros(length + back, np.int64)
    rows = []
    for y in range(height):
        line = raw[y * (length + 1) : (y + 1) * (length + 1)]
        must(line[0] <= 4, "an unknown filter")
        row = np.zeros(length + back, np.int64)
        for i, value in enumerate(line[1:], back):
            a, b, c = int(row[i - back]), int(above[i]), int(above[i - back])
            row[i] = (value + _png_prediction(line[0], a, b, c)) % 256
        rows.append(row[back:].astype(np.uint8))
        above = row
    plain: NDArray[Any] = np.array(rows)
    if depth < 8:
        bits = np.unpackbits(plain, axis=1).reshape(height, -1, depth)
        plain = (bits << np.arange(depth)[::-1]).sum(2)[:, :width]
    elif depth == 16:
        plain = plain.view(">u2")
    return plain.astype(np.int64).reshape(1, -1)


def _png_prediction(kind: int, a: int, b: int, c: int) -> int:
    if kind == 4:
        p = a + b - c
        return min((a, b, c), key=lambda v: abs(p - v))
    return (0, a, b, (a + b) // 2)[kind]
