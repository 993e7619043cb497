"""NumPy's .npy and .npz files, read from bytes without pickles and without trusting their headers."""

import ast
import io
import math
import struct
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from neuralcodec.errors import UnsupportedInput

NPY_MAGIC = b"\x93NUMPY"
MAX_INFLATION = 1032  # deflate cannot expand more than this many times
_MAX_HEADER = 65_536


def read_npy(data: bytes | memoryview, source: str = "the NumPy data") -> NDArray[Any]:
    """Read a .npy file of numbers into an array of native byte order, without copying where that is possible.

    Parameters
    ----------
    data
        The whole file; the array may share its memory.
    source
        What to call it in messages.

    Raises
    ------
    UnsupportedInput
        If the bytes are not a .npy file of numbers, or not as many as its header says.

    >>> file = io.BytesIO()
    >>> np.save(file, np.arange(3, dtype=np.uint8))
    >>> read_npy(file.getvalue())
    array([0, 1, 2], dtype=uint8)
    """
    dtype, order, shape, start = parse_npy_header(data, source)
    size = math.prod(shape) * dtype.itemsize
    if len(data) - start != size:
        found = len(data) - start
        raise UnsupportedInput(
            f"{source} has {found} bytes of elements where its .npy header asks for {size}"
        )
    flat = np.frombuffer(data, dtype, count=math.prod(shape), offset=start)
    array = flat.reshape(shape, order="F" if order else "C")
    return np.ascontiguousarray(array, dtype.newbyteorder("=")).reshape(shape)


def parse_npy_header(
    data: bytes | memoryview, source: str = "the NumPy data"
) -> "tuple[np.dtype[Any], bool, tuple[int, ...], int]":
    """Return what the header of a .npy file says: dtype, whether in Fortran order, shape; and where it ends.

    Only the header need be there. Raises :class:`UnsupportedInput` as :func:`read_npy` does.

    >>> parse_npy_header(npy_header((2, 3), np.dtype(np.uint8)))
    (dtype('uint8'), False, (2, 3), 128)
    """
    header, start = _npy_header(data, source)
    try:
        fields = ast.literal_eval(header)
        dtype, order, shape = np.dtype(fields["descr"]), fields["fortran_order"], tuple(fields["shape"])
        plausible = all(type(length) is int and length >= 0 for length in shape) and len(shape) <= 32
    except (ValueError, SyntaxError, TypeError, KeyError, MemoryError, RecursionError) as error:
        raise UnsupportedInput(f"{source} has a damaged .npy header ({error})") from None
    if dtype.kind not in "biufc" or not plausible:
        raise UnsupportedInput(f"{source} holds {dtype} of shape {shape}, which is no array of numbers")
    return dtype, bool(order), shape, start


def _npy_header(data: bytes | memoryview, source: str) -> tuple[str, int]:
    """Return the header's text and where the elements start."""
    version = data[6] if len(data) > 6 and data[:6] == NPY_MAGIC else 0
    wide = version >= 2
    if version not in (1, 2, 3) or len(data) < (12 if wide else 10):
        raise UnsupportedInput(f"{source} is not a .npy file")
    length = struct.unpack_from("<I" if wide else "<H", data, 8)[0]
    start = (12 if wide else 10) + length
    if length > _MAX_HEADER or start > len(data):
        raise UnsupportedInput(f"{source} has a .npy header of {length} bytes, more than there are")
    text = bytes(data[start - length : start]).decode("utf-8" if version == 3 else "latin-1", "replace")
    return text, start


def read_npz(data: bytes | memoryview, source: str = "the NumPy archive") -> list[tuple[str, NDArray[Any]]]:
    """Read a .npz file: its arrays in order, by name.

    Two arrays named ``data`` and ``mask`` of one shape are one masked array, ``mask`` true where a sample is
    missing; that is how `write_npz` keeps missing samples.

    Raises
    ------
    UnsupportedInput
        If the file is damaged, empty, or holds anything but arrays of numbers.
    """
    import zipfile
    import zlib

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as members:
            # More than deflate can expand to: members that share their bytes, to fill the memory.
            if sum(member.file_size for member in members.infolist()) > MAX_INFLATION * len(data):
                raise UnsupportedInput(f"{source} promises more than its {len(data)} bytes can hold")
            raw = {name: members.read(name) for name in members.namelist()}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError) as error:
        raise UnsupportedInput(f"{source} is a damaged .npz file ({error})") from None
    arrays = {name.removesuffix(".npy"): read_npy(part, f"{source}, {name}") for name, part in raw.items()}
    if not arrays:
        raise UnsupportedInput(f"{source} holds no arrays")
    if set(arrays) == {"data", "mask"} and arrays["data"].shape == arrays["mask"].shape:
        return [("data", np.ma.MaskedArray(arrays["data"], arrays["mask"].astype(bool)))]
    return list(arrays.items())


def write_npz(file: BinaryIO, samples: NDArray[Any]) -> None:
    """Write an array as ``data`` and, if it is masked, its mask as ``mask``, to a compressed .npz file.

    >>> file = io.BytesIO()
    >>> write_npz(file, np.ma.MaskedArray([1, 2], [False, True]))
    >>> print(read_npz(file.getvalue())[0][1])
    [1 --]
    """
    if np.ma.isMaskedArray(samples):
        np.savez_compressed(file, data=np.ma.filled(samples, 0), mask=np.ma.getmaskarray(samples))
    else:
        np.savez_compressed(file, data=samples)


def npy_header(shape: tuple[int, ...], dtype: "np.dtype[Any]") -> bytes:
    """Return the header of a .npy file; the elements follow it in C order.

    >>> npy_header((2, 3), np.dtype(np.uint8))[:8]
    b'\\x93NUMPY\\x01\\x00'
    """
    file = io.BytesIO()
    fields = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, fields)
    return file.getvalue()
