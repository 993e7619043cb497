import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuralcodec.container.primitives import Reader
from neuralcodec.container.signal import DTYPES, SignalType, dtype_code, sample_string
from neuralcodec.errors import CorruptFile, UnsupportedInput

NAMES = ["uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "bool"]


@pytest.mark.parametrize(("code", "name"), list(enumerate(NAMES, 1)))
def test_dtype_codes_are_those_of_the_format(code: int, name: str) -> None:
    assert DTYPES[code] == np.dtype(name)
    for order in "<>=":
        assert dtype_code(np.dtype(name).newbyteorder(order)) == code


@pytest.mark.parametrize("name", ["float32", "float64", "complex64", "U3", "O", "M8[s]"])
def test_other_dtypes_are_refused_with_the_remedy(name: str) -> None:
    with pytest.raises(UnsupportedInput, match="round and convert"):
        dtype_code(np.dtype(name))


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.sampled_from(NAMES))
def test_description_comes_back(shape: list[int], name: str) -> None:
    kind = SignalType(tuple(shape), np.dtype(name))
    reader = Reader(kind.to_bytes(), "header")
    if kind.samples > 1000:
        with pytest.raises(CorruptFile, match="more than 1000 samples"):
            SignalType.read(reader, 1000)
    else:
        assert SignalType.read(reader, 1000) == kind
        assert reader.remaining == 0


@pytest.mark.parametrize("data", ["000101", "0a0101", "0100", "010900", "010100", "01020100", "0101e807"])
def test_impossible_descriptions_are_refused(data: str) -> None:
    with pytest.raises(CorruptFile):
        SignalType.read(Reader(bytes.fromhex(data), "header"), 999)


@pytest.mark.parametrize("shape", [(), (1,) * 9, (3, 0), (2**20, 2**12)])
def test_impossible_shapes_are_not_written(shape: tuple[int, ...]) -> None:
    with pytest.raises(UnsupportedInput):
        SignalType(shape, np.dtype("uint8")).to_bytes()


def test_sample_string_is_little_endian_in_c_order() -> None:
    array = np.array([[1, 2], [3, 0x0102]], ">u2")
    assert bytes(sample_string(array)).hex() == "0100020003000201"
    assert bytes(sample_string(array.T)).hex() == "0100030002000201"
    assert bytes(sample_string(np.array([True, False]))) == b"\1\0"
    assert bytes(sample_string(np.array([-2], np.int64))).hex() == "feffffffffffffff"
