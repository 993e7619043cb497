"""IDX, the format of the MNIST files: 0, 0, a type code, the rank, the lengths, the elements; all big-endian.

Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", "The IDX file format".
"""

import math
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuralcodec.errors import UnsupportedInput
from neuralcodec.signals.arrays import MAX_INFLATION

_DTYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_CODES = {np.dtype(text).newbyteorder("="): code for code, text in _DTYPES.items()}
_MAX_RANK = 8
MAX_HEADER = 4 + 4 * _MAX_RANK
GZIP = b"\x1f\x8b"


def is_idx(data: bytes | memoryview) -> bool:
    """Tell whether bytes start like an IDX file.

    >>> is_idx(bytes([0, 0, 8, 3])), is_idx(b"\\x89PNG")
    (True, False)
    """
    return len(data) >= 4 and data[0] == data[1] == 0 and data[2] in _DTYPES and 1 <= data[3] <= _MAX_RANK


def read_idx(data: bytes | memoryview, source: str = "the IDX data") -> NDArray[Any]:
    """Read an IDX file, gzipped or not, into an array of native byte order.

    Parameters
    ----------
    data
        The whole file.
    source
        What to call it in messages.

    Raises
    ------
    UnsupportedInput
        If the bytes are not an IDX file, or not as many as its header says.

    >>> read_idx(bytes([0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 2, 7, 9]))
    array([[7, 9]], dtype=uint8)
    """
    unzip = data[:2] == GZIP
    head = _inflate(data, MAX_HEADER, source) if unzip else bytes(data[:MAX_HEADER])
    dtype, shape, start = parse_idx_header(head, source)
    size = start + math.prod(shape) * dtype.itemsize
    if size > (MAX_INFLATION * len(data) if unzip else len(data)):
        raise UnsupportedInput(f"{source} ends before the {shape} elements that its IDX header promises")
    body = _inflate(data, size + 1, source) if unzip else data
    if len(body) != size:
        raise UnsupportedInput(f"{source} has {len(body)} bytes where its IDX header asks for {size}")
    elements = np.frombuffer(body, dtype, offset=start).reshape(shape)
    return elements.astype(dtype.newbyteorder("="), copy=False)


def parse_idx_header(
    head: bytes | memoryview, source: str = "the IDX data"
) -> "tuple[np.dtype[Any], tuple[int, ...], int]":
    """Return what the header of an IDX file says: dtype (big-endian) and shape; and where it ends.

    >>> parse_idx_header(bytes([0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 2]))
    (dtype('uint8'), (1, 2), 12)
    """
    if not is_idx(head) or len(head) < 4 + 4 * head[3]:
        raise UnsupportedInput(f"{source} is not an IDX file")
    shape = struct.unpack_from(f">{head[3]}I", head, 4)
    return np.dtype(_DTYPES[head[2]]), shape, 4 + 4 * len(shape)


def _inflate(data: bytes | memoryview, limit: int, source: str) -> bytes:
    """Return at most ``limit`` bytes of gzipped data (several members may follow each other)."""
    parts, left = [], limit
    rest: bytes | memoryview = data
    while len(rest) and left:
        inflater = zlib.decompressobj(wbits=31)
        try:
            parts.append(inflater.decompress(rest, left))
            rest = inflater.unused_data
        except zlib.error as error:
            raise UnsupportedInput(f"{source} is a damaged gzip file ({error})") from None
        left -= len(parts[-1])
        if left and not inflater.eof:
            raise UnsupportedInput(f"{source} is a truncated gzip file")
    return b"".join(parts)


def idx_header(shape: tuple[int, ...], dtype: "np.dtype[Any]") -> bytes:
    """Return the header of an IDX file; the elements follow it in C order, big-endian.

    Raises
    ------
    UnsupportedInput
        If IDX has no code for the dtype, or a length does not fit.

    >>> idx_header((2, 3), np.dtype(np.uint8)).hex()
    '000008020000000200000003'
    """
    if dtype not in _CODES:
        raise UnsupportedInput(f"IDX files cannot hold {dtype.name}: write a .npy file instead")
    if not 1 <= len(shape) <= 255 or max(shape) >= 2**32:
        raise UnsupportedInput(f"IDX files cannot hold the shape {shape}: write a .npy file instead")
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, _CODES[dtype], len(shape), *shape)
