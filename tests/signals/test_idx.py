"""IDX files: exact bytes, round trips, and refusal of everything that is not one."""

import gzip
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from neuralcodec.errors import UnsupportedInput
from neuralcodec.signals.idx import idx_header, is_idx, read_idx


def idx_bytes(array: NDArray[Any]) -> bytes:
    return idx_header(array.shape, array.dtype) + array.astype(array.dtype.newbyteorder(">")).tobytes()


ARRAYS = st.sampled_from([np.uint8, np.int8, np.int16, np.int32, np.float32, np.float64]).flatmap(
    lambda dtype: hnp.arrays(
        dtype,
        hnp.array_shapes(max_dims=4, max_side=5),
        elements={"allow_nan": False} if np.dtype(dtype).kind == "f" else None,
    )
)


@given(ARRAYS, st.booleans())
def test_round_trip(array: NDArray[Any], zipped: bool) -> None:
    data = idx_bytes(array)
    again = read_idx(gzip.compress(data) if zipped else data)
    np.testing.assert_array_equal(again, array)
    assert again.dtype == array.dtype
    assert again.dtype.isnative


def test_the_header_of_the_mnist_images() -> None:
    header = idx_header((60000, 28, 28), np.dtype(np.uint8))
    assert header == bytes.fromhex("00000803 0000ea60 0000001c 0000001c")
    assert is_idx(header)


def test_int16_is_big_endian() -> None:
    assert idx_bytes(np.array([258], np.int16)).hex() == "00000b01" + "00000001" + "0102"


def test_gzip_members_are_read_one_after_another() -> None:
    data = idx_bytes(np.arange(6, dtype=np.uint8))
    assert read_idx(gzip.compress(data[:9]) + gzip.compress(data[9:])).tolist() == [0, 1, 2, 3, 4, 5]


GOOD = idx_bytes(np.arange(6, dtype=np.uint8).reshape(2, 3))


@pytest.mark.parametrize("length", range(len(GOOD)))
@pytest.mark.parametrize("zipped", [False, True])
def test_every_truncation_is_refused(length: int, zipped: bool) -> None:
    data = gzip.compress(GOOD[:length]) if zipped else GOOD[:length]
    with pytest.raises(UnsupportedInput, match=r"digits\.idx"):
        read_idx(data, "digits.idx")


def test_a_truncated_gzip_file_is_refused() -> None:
    whole = gzip.compress(GOOD)
    for length in range(2, len(whole) - 8):  # the last 8 bytes are the checksum, checked below
        with pytest.raises(UnsupportedInput):
            read_idx(whole[:length])


@pytest.mark.parametrize(
    "data",
    [
        GOOD + b"x",
        gzip.compress(GOOD + b"x", mtime=0),
        b"\0\0\x08\x00",
        b"\0\0\x07\x01" + bytes(8),
        gzip.compress(GOOD, mtime=0)[:-8] + bytes(8),
        b"\x1f\x8b" + bytes(40),
    ],
)
def test_damage_is_refused(data: bytes) -> None:
    with pytest.raises(UnsupportedInput):
        read_idx(data)


def test_a_header_that_promises_the_moon_takes_no_memory() -> None:
    moon = struct.pack(">BBBB3I", 0, 0, 14, 3, 2**31, 2**31, 2**31)
    for data in (moon, gzip.compress(moon)):
        with pytest.raises(UnsupportedInput, match="promises"):
            read_idx(data)


@pytest.mark.parametrize("dtype", [np.uint16, np.bool_, np.int64])
def test_dtypes_that_idx_lacks_are_refused(dtype: type) -> None:
    with pytest.raises(UnsupportedInput, match=r"\.npy"):
        idx_header((1,), np.dtype(dtype))
