"""Coding without a network, for what is no photograph: differences, or the image data of a PNG (section 11.4)."""

import io
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuralcodec.container.signal import sample_string
from neuralcodec.errors import CorruptFile
from neuralcodec.native import decode_tensor, encode_tensor

ACROSS, DOWN, FIRST = 1, 2, 4
"""Bits of a way to take differences: along rows, along columns, and from the first plane."""

_PNG = b"\x89PNG\r\n\x1a\n"
_COLOUR = {1: 0, 2: 4, 3: 2, 4: 6}


def depth_of(dtype: "np.dtype[Any]") -> int:
    """Return the bits of a sample: 1, 8 or 16."""
    return 1 if dtype.kind == "b" else 8 * dtype.itemsize


def encode_differences(tile: NDArray[Any]) -> bytes:
    """Return the coded differences of a tile (h, w, planes), by the way that makes them least, and which it is."""
    depth = depth_of(tile.dtype)
    planes = tile.transpose(2, 0, 1).astype(np.uint32)
    ways = range(8 if len(planes) > 1 else 4)
    folded = {way: _folded(_differences(planes, way), depth) for way in ways}
    way = min(ways, key=lambda w: float(np.log2(folded[w].astype(np.float32) + 1).sum()))
    return bytes([way]) + encode_tensor(folded[way].reshape(-1, tile.shape[1]))


def decode_differences(
    data: bytes, shape: tuple[int, int, int], dtype: "np.dtype[Any]"
) -> NDArray[np.uint32]:
    """Return the tile (h, w, planes) of what :func:`encode_differences` made, of values that the dtype holds."""
    height, width, count = shape
    way, depth = data[0] if data else 255, depth_of(dtype)
    if way > (7 if count > 1 else 3):
        raise CorruptFile(f"{way} is no way to take differences", "payload")
    folded = decode_tensor(data[1:], count * height, width).astype(np.int64)
    if int(folded.max()) >> depth:
        raise CorruptFile(f"a difference is {int(folded.max())}, too large for {depth} bits", "payload")
    d = np.where(folded & 1, -(folded + 1) >> 1, folded >> 1).reshape(count, height, width)
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
    """Return differences modulo 2^depth, the nearest to 0 being the least: 0, -1, 1, -2, ..."""
    half, mask = 1 << (depth - 1), np.uint32((1 << depth) - 1)
    low = d & mask
    negative = low >= half
    folded: NDArray[np.uint32] = np.where(
        negative, 2 * ((1 << depth) - low.astype(np.int64)) - 1, 2 * low
    ).astype(np.uint32)
    return folded


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
    raw = _inflated(data, shape[0] * shape[1] * shape[2] * dtype.itemsize)
    return of_sample_string(raw, dtype).reshape(shape)


def _inflated(data: bytes, length: int) -> bytes:
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
    """Tell whether Pillow reads and writes a PNG of such samples exactly."""
    if len(shape) == 2:
        return dtype in (np.dtype(np.bool_), np.dtype(np.uint8), np.dtype(np.uint16))
    return len(shape) == 3 and dtype == np.uint8 and shape[2] in (2, 3, 4)


def encode_png(image: NDArray[Any]) -> bytes:
    """Return the image data of a PNG file: the zlib stream of filtered rows."""
    from PIL import Image

    size = image.shape[1], image.shape[0]
    if image.dtype == bool:
        picture = Image.frombytes("1", size, np.packbits(image, axis=1).tobytes())
    elif image.dtype == np.uint16:
        picture = Image.frombytes("I;16", size, image.astype("<u2").tobytes())
    else:
        mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[1 if image.ndim == 2 else image.shape[2]]
        picture = Image.frombytes(mode, size, image.tobytes())
    file = io.BytesIO()
    picture.save(file, format="PNG", optimize=True)
    return _image_data(file.getvalue())


def decode_png(data: bytes, shape: tuple[int, ...], dtype: "np.dtype[Any]") -> NDArray[Any]:
    """Return the image whose PNG image data this is; :class:`CorruptFile` if it is not."""
    from PIL.PngImagePlugin import PngImageFile

    depth, channels = depth_of(dtype), 1 if len(shape) == 2 else shape[2]
    length = shape[0] * (1 + (shape[1] * channels * depth + 7) // 8)
    _inflated(data, length)
    header = shape[1].to_bytes(4, "big") + shape[0].to_bytes(4, "big")
    header += bytes([depth, _COLOUR[channels], 0, 0, 0])
    file = _PNG + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")
    try:
        image = np.asarray(PngImageFile(io.BytesIO(file)))
    except Exception as error:  # Pillow raises nearly anything on hostile files
        raise CorruptFile(f"the image data is damaged: {error}", "payload") from None
    if image.dtype.kind == "i" or image.dtype.byteorder == ">":
        image = image.astype(np.uint16)
    return np.ascontiguousarray(image)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")


def _image_data(png: bytes) -> bytes:
    """Return the contents of the IDAT chunks of a PNG file, joined."""
    position, parts = len(_PNG), []
    while position + 8 <= len(png):
        size = int.from_bytes(png[position : position + 4], "big")
        if png[position + 4 : position + 8] == b"IDAT":
            parts.append(png[position + 8 : position + 8 + size])
        position += size + 12
    return b"".join(parts)
