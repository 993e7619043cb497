"""NumPy files: what numpy.save writes is read back; hostile headers are refused without taking memory."""

import io
import struct
import zipfile
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from neuralcodec.errors import UnsupportedInput
from neuralcodec.signals.arrays import npy_header, read_npy, read_npz, write_npz

ARRAYS = hnp.arrays(
    hnp.integer_dtypes() | hnp.unsigned_integer_dtypes() | hnp.boolean_dtypes(), hnp.array_shapes(min_side=0)
)


def saved(array: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@given(ARRAYS, st.booleans())
def test_reads_what_numpy_saves(array: NDArray[Any], fortran: bool) -> None:
    again = read_npy(saved(np.asfortranarray(array) if fortran else array))
    np.testing.assert_array_equal(again, array)
    assert again.shape == array.shape
    assert again.dtype.isnative
    assert again.flags.c_contiguous


@given(ARRAYS)
def test_numpy_reads_what_we_write(array: NDArray[Any]) -> None:
    native = np.ascontiguousarray(array, array.dtype.newbyteorder("=")).reshape(array.shape)
    again = np.load(io.BytesIO(npy_header(native.shape, native.dtype) + native.tobytes()))
    np.testing.assert_array_equal(again, array)


def with_header(text: str, body: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + body


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x93NUMPY",
        b"\x93NUMPY\x01\x00\xff\xff",
        with_header("{"),
        with_header("[]"),
        with_header("{'descr': '|u1', 'fortran_order': False}"),
        with_header("{'descr': '|u1', 'fortran_order': False, 'shape': (-1,)}"),
        with_header("{'descr': '|u1', 'fortran_order': False, 'shape': (1.5,)}"),
        with_header("{'descr': '|u1', 'fortran_order': False, 'shape': (3,)}", b"ab"),
        with_header("{'descr': '|u1', 'fortran_order': False, 'shape': (1,)}", b"ab"),
        with_header("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", bytes(8)),
        with_header("{'descr': '|S4', 'fortran_order': False, 'shape': (1,)}", bytes(4)),
        with_header("{'descr': 'nonsense', 'fortran_order': False, 'shape': (1,)}", bytes(4)),
        with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296)}"),
        with_header("(" * 5000),
    ],
)
def test_bad_headers_are_refused(data: bytes) -> None:
    with pytest.raises(UnsupportedInput, match="scan"):
        read_npy(data, "scan.npy")


def test_pickles_are_never_loaded() -> None:
    with pytest.raises(UnsupportedInput):
        read_npy(saved(np.array([{}], dtype=object)))


def test_npz_keeps_order_and_names() -> None:
    file = io.BytesIO()
    np.savez(file, b=np.zeros(2, np.uint8), a=np.ones((1, 2), np.int16))
    assert [(name, array.shape) for name, array in read_npz(file.getvalue())] == [("b", (2,)), ("a", (1, 2))]


@given(hnp.arrays(np.uint16, (2, 3)), hnp.arrays(np.bool_, (2, 3)))
def test_npz_keeps_missing_samples(data: NDArray[Any], mask: NDArray[Any]) -> None:
    file = io.BytesIO()
    write_npz(file, np.ma.MaskedArray(data, mask))
    ((name, again),) = read_npz(file.getvalue())
    assert name == "data"
    assert isinstance(again, np.ma.MaskedArray)
    np.testing.assert_array_equal(np.ma.getmaskarray(again), mask)
    np.testing.assert_array_equal(again.compressed(), data[~mask])


def zipped(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


@pytest.mark.parametrize(
    "data", [zipped(), zipped(a=b"not an array"), zipped(a=saved(np.zeros(3)))[:-30], b"PK\3\4" + bytes(60)]
)
def test_damaged_npz_is_refused(data: bytes) -> None:
    with pytest.raises(UnsupportedInput, match="scan"):
        read_npz(data, "scan.npz")
