import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuralcodec.container.header import Header
from neuralcodec.container.signal import SignalType
from neuralcodec.container.single import read_single, write_single
from neuralcodec.errors import (
    CorruptFile,
    NeuralCodecError,
    TruncatedFile,
    UnsupportedInput,
    UnsupportedVersion,
)

IDENTITY = bytes(range(1, 33))
PLAIN = Header("pc", IDENTITY[:4])
KINDS = st.builds(
    SignalType,
    st.lists(st.integers(1, 20), min_size=1, max_size=3).map(tuple),
    st.sampled_from(["uint8", "int64", "bool"]).map(np.dtype),
)
NAMES = st.text("a.é", max_size=20).filter(lambda name: name not in (".", "..")).map(str.encode)
HEADERS = st.builds(
    Header,
    st.sampled_from(["pc", "other", "x" * 64]),
    st.binary(min_size=4, max_size=4),
    st.none() | KINDS,
    st.fixed_dictionaries({}, optional=dict.fromkeys([1, 2, 3], st.binary(max_size=40)) | {5: NAMES}),
)


@given(HEADERS, st.binary(max_size=100), st.binary(max_size=100))
def test_parts_come_back(header: Header, payload: bytes, samples: bytes) -> None:
    file = read_single(write_single(header, payload, samples))
    assert (file.header, file.payload) == (header, payload)
    file.check(samples)
    with pytest.raises(CorruptFile, match="checksum"):
        file.check(samples + b"\1")


def test_smallest_file_spends_fourteen_bytes() -> None:
    data = write_single(Header("pc", IDENTITY), b"PAY", b"samples")
    head = bytes.fromhex("894e435a 01 10 01020304")
    assert data == head + b"PAY" + zlib.crc32(head + b"samples").to_bytes(4, "little")
    assert len(data) == 14 + 3


def test_every_part_stands_where_the_format_says() -> None:
    header = Header("toy", bytes(4), SignalType((300, 2), np.dtype("int16")), {5: b"n"})
    head = bytes.fromhex("894e435a 01 06 03") + b"toy" + bytes(4) + bytes.fromhex("06 02 ac02 02 05016e 00")
    assert write_single(header, b"", b"")[:-4] == head


@pytest.mark.parametrize("flags", [0x08, 0x18, 0x1F])
def test_reserved_flags_are_refused(flags: int) -> None:
    data = bytearray(write_single(PLAIN, b"abc", b""))
    data[5] = flags
    with pytest.raises(CorruptFile, match="reserved") as caught:
        read_single(bytes(data))
    assert caught.value.section == "header"


def test_other_codecs_and_kinds_are_told() -> None:
    data = bytearray(write_single(PLAIN, b"abc", b""))
    data[5] = 0x50
    with pytest.raises(UnsupportedVersion, match="codec 5"):
        read_single(bytes(data))
    data[5] = 0x30
    with pytest.raises(UnsupportedInput, match="weights of a network"):
        read_single(bytes(data))
    data[5] = 0x11
    with pytest.raises(UnsupportedInput, match="archive"):
        read_single(bytes(data) + bytes(40))
    with pytest.raises(CorruptFile, match="written as 1"):
        read_single(b"\x89NCZ\1\0\2pc" + bytes(20))


def test_samples_of_the_first_codec_are_limited() -> None:
    for codec, good in (("pc", False), ("other", True)):
        header = Header(codec, bytes(4), SignalType((65_537,), np.dtype("uint8")))
        data = write_single(header, b"", b"")
        if good:
            assert read_single(data).header == header
        else:
            with pytest.raises(CorruptFile, match="65536"):
                read_single(data)


@pytest.mark.parametrize("name", ["", "x" * 65, "ä"])
def test_codec_names_that_do_not_fit_are_not_written(name: str) -> None:
    with pytest.raises(ValueError, match="cannot name a codec"):
        write_single(Header(name, bytes(4)), b"", b"")


def test_every_cut_is_noticed() -> None:
    header = Header("toy", bytes(4), SignalType((3, 2), np.dtype("uint8")), {1: b"profile", 5: b"name"})
    data = write_single(header, b"", b"samples")
    for size in range(1, len(data)):
        with pytest.raises(TruncatedFile):
            read_single(data[:size])


@given(HEADERS, st.data())
def test_damage_is_refused_or_found_by_the_checksum(header: Header, data: st.DataObject) -> None:
    good = write_single(header, b"payload", b"samples")
    place, value = data.draw(st.integers(0, len(good) - 1)), data.draw(st.integers(1, 255))
    bad = bytearray(good)
    bad[place] ^= value
    try:
        file = read_single(bytes(bad))
    except NeuralCodecError:
        return
    if file.head == good[: len(file.head)] and bad[-4:] == good[-4:]:
        assert file.payload != b"payload"  # which only the codec can tell
    else:
        with pytest.raises(CorruptFile):
            file.check(b"samples")


@pytest.mark.parametrize("name", [b"..", b"a/b", b"\xff"])
def test_names_that_are_refused(name: bytes) -> None:
    header = Header("toy", bytes(4), SignalType((3, 2), np.dtype("uint8")), {5: name})
    data = write_single(header, b"", b"samples")
    with pytest.raises(CorruptFile, match="name"):
        read_single(data)
    file = read_single(data, damaged=True)
    assert 5 not in file.header.sections
    assert len(file.faults) == 1
