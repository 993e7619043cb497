import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuralcodec.container.primitives import Reader, crc32, varint
from neuralcodec.errors import CorruptFile, NotNeuralCodecFile, TruncatedFile, UnsupportedVersion


@given(st.integers(0, 2**63 - 1))
def test_varint_comes_back_and_is_shortest(value: int) -> None:
    data = varint(value)
    reader = Reader(data, "test")
    assert reader.varint("value") == value
    assert reader.remaining == 0
    assert len(data) == max(1, -(-value.bit_length() // 7))


@pytest.mark.parametrize(
    ("value", "data"),
    [(0, "00"), (127, "7f"), (128, "8001"), (16384, "808001"), (2**63 - 1, "ff" * 8 + "7f")],
)
def test_varint_bytes(value: int, data: str) -> None:
    assert varint(value).hex() == data


@pytest.mark.parametrize("value", [-1, 2**63])
def test_varint_outside_its_range_is_not_written(value: int) -> None:
    with pytest.raises(ValueError, match="varint"):
        varint(value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("8000", "shortest"),
        ("ff8000", "shortest"),
        ("ff" * 9 + "01", "longer than 9"),
        ("80" * 9, "longer than 9"),
    ],
)
def test_varint_in_another_form_is_refused(data: str, message: str) -> None:
    with pytest.raises(CorruptFile, match=message) as caught:
        Reader(bytes.fromhex(data), "index").varint("value")
    assert not isinstance(caught.value, TruncatedFile)
    assert caught.value.section == "index"


def test_varint_outside_its_bounds_is_refused() -> None:
    for value, limit, least in ((11, 10, 0), (1, 10, 2)):
        with pytest.raises(CorruptFile, match=rf"n is {value}, outside {least} to {limit}"):
            Reader(varint(value), "chunk").varint("n", limit, least)
    assert Reader(varint(10), "chunk").varint("n", 10, 10) == 10


def test_missing_bytes_truncate_a_file_and_corrupt_a_part_of_it() -> None:
    with pytest.raises(TruncatedFile, match="needs 4 bytes, but 3 are left"):
        Reader(b"abc", "header").take(4, "the magic number")
    with pytest.raises(CorruptFile) as caught:
        Reader(b"abc", "header", inner=True).take(2**62, "a group")
    assert type(caught.value) is CorruptFile


def test_crc_is_that_of_zlib_little_endian() -> None:
    assert crc32(b"12", b"", b"3456789") == zlib.crc32(b"123456789").to_bytes(4, "little")


@pytest.mark.parametrize("raw", [b"", b"a" * 65, b"a\x7f", b"\x1f", b"\xff"])
def test_names_are_short_printable_ascii(raw: bytes) -> None:
    with pytest.raises(CorruptFile):
        Reader(varint(len(raw)) + raw, "header").name("codec")


def test_start_tells_foreign_cut_and_newer_files_apart() -> None:
    magic = b"\x89NCZ"
    for data in (b"", b"\x89PNG\r\n", b"abc", b"\x89NCY\x01"):
        with pytest.raises(NotNeuralCodecFile):
            Reader(data, "header").start(magic, "file")
    for data in (b"\x89", b"\x89NC", magic):
        with pytest.raises(TruncatedFile):
            Reader(data, "header").start(magic, "file")
    with pytest.raises(UnsupportedVersion, match="version 2"):
        Reader(magic + b"\2", "header").start(magic, "file")
