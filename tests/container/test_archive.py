import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuralcodec.container.archive import ArchiveReader, ArchiveWriter
from neuralcodec.container.chunk import Chunk, read_chunk, write_chunk
from neuralcodec.container.files import BufferSource
from neuralcodec.container.header import Header
from neuralcodec.container.primitives import crc32, varint
from neuralcodec.container.signal import SignalType
from neuralcodec.errors import (
    CorruptFile,
    NeuralCodecError,
    TruncatedFile,
    UnsupportedInput,
    UnsupportedVersion,
)

HEADER = Header("toy", bytes(range(32)), SignalType((4,), np.dtype("uint8")))
HEAD = bytes.fromhex("894e435a 01 03 03") + b"toy" + bytes(range(32)) + bytes.fromhex("01 01 04 02")
START = len(HEAD) + 4


def samples(first: int, n: int) -> bytes:
    return b"".join(bytes([number % 251] * 4) for number in range(first, first + n))


def archive(sizes: list[int], sections: dict[int, bytes] | None = None) -> bytes:
    """Groups of two; each signal is coded as the four bytes that it is."""
    file = io.BytesIO()
    writer = ArchiveWriter(file, HEADER, 2)
    first = 0
    for n in sizes:
        groups = [samples(first + i, min(2, n - i)) for i in range(0, n, 2)]
        writer.append(n, groups, sections or {}, samples(first, n), 4 * n)
        first += n
    writer.finish()
    return file.getvalue()


def reader(data: bytes, salvage: bool = False) -> ArchiveReader:
    return ArchiveReader(BufferSource(data), salvage=salvage)


def contents(data: bytes, salvage: bool = False) -> list[tuple[int, bytes]]:
    opened = reader(data, salvage)
    found = []
    for number in range(len(opened.entries)):
        chunk = opened.read(number)
        plain = b"".join(chunk.groups)
        chunk.check(plain)
        found += [(chunk.first + i, plain[4 * i : 4 * i + 4]) for i in range(chunk.n)]
    return found


@given(st.lists(st.integers(1, 7), max_size=6))
@settings(deadline=None)
def test_chunks_come_back(sizes: list[int]) -> None:
    data = archive(sizes)
    total = sum(sizes)
    assert contents(data) == contents(data, salvage=True) == [(i, samples(i, 1)) for i in range(total)]
    assert len(reader(data)) == total
    assert (reader(data).header, reader(data).group) == (HEADER, 2)


def test_every_part_stands_where_the_format_says() -> None:
    head = HEAD + zlib.crc32(HEAD).to_bytes(4, "little")
    plain = samples(0, 3)
    body = b"\0\3\4" + b"\5\1n\0" + b"\x08\x04" + plain + zlib.crc32(plain).to_bytes(4, "little")
    chunk = b"\x89NCk" + bytes([len(body)]) + body
    chunk += zlib.crc32(chunk).to_bytes(4, "little")
    index = b"\x89NCi\3\1" + bytes([len(chunk), 3])
    index += zlib.crc32(index).to_bytes(4, "little")
    footer = struct.pack("<Q", len(head) + len(chunk)) + b"ZCN\x89"
    assert archive([3], {5: b"n"}) == head + chunk + index + footer


def test_empty_archive_has_an_index_of_no_chunks() -> None:
    data = archive([])
    index = b"\x89NCi\1\0"
    assert data[START:] == index + crc32(index) + struct.pack("<Q", START) + b"ZCN\x89"
    assert contents(data) == []


@pytest.mark.parametrize(
    ("nbytes", "body"), [(0, 9), (9 * 32_768, 9), (9 * 32_768 + 1, 10), (100 * 32_768, 100)]
)
def test_chunks_are_padded_to_the_limit_on_their_samples(nbytes: int, body: int) -> None:
    data = write_chunk(0, 1, [b"x"], {}, b"", nbytes)
    chunk = read_chunk(data, 1, "chunk 0")
    assert (chunk.size, chunk.groups) == (body, [b"x"])
    assert data[4] == body


def test_padding_must_be_zero() -> None:
    data = write_chunk(0, 1, [b"x"], {}, b"", 32_768 * 20)
    body = bytearray(data[5:-4])
    assert len(body) == 20
    body[6] = 1
    framed = data[:5] + bytes(body)
    with pytest.raises(CorruptFile, match="padding"):
        read_chunk(framed + crc32(framed), 1, "chunk 0")


def frame(body: bytes, marker: bytes = b"\x89NCk") -> bytes:
    framed = marker + varint(len(body)) + body
    return framed + crc32(framed)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"\0\1\0\1x", "too short"),
        (b"\0\0\0\1x" + bytes(4), "number of signals is 0"),
        (b"\0" + varint(65_537) + b"\0\1x" + bytes(4), "outside 1 to 65536"),
        (b"\0\1\1\1x" + bytes(4), "reserved bits"),
        (b"\0\1\2\1x" + bytes(4), "reserved bits"),
        (b"\0\1\0\2x" + bytes(4), "needs 2 bytes"),
        (b"\0" + varint(65_536) + b"\0\1x" + bytes(4), "needs 1 bytes"),
        (varint(2**63 - 1) + b"\1\0\1x" + bytes(4), "first signal"),
    ],
)
def test_impossible_chunks_are_refused(body: bytes, message: str) -> None:
    with pytest.raises(CorruptFile, match=message) as caught:
        read_chunk(frame(body), 2, "chunk 7")
    assert caught.value.section == "chunk 7"


def test_unknown_mandatory_section_of_a_chunk_is_refused() -> None:
    with pytest.raises(UnsupportedVersion, match="chunk 7 holds the mandatory section 6"):
        read_chunk(frame(b"\0\1\4\6\0\0\1x" + bytes(4)), 2, "chunk 7")


def test_sections_of_the_header_are_skipped_or_refused() -> None:
    for kind, error in ((1, None), (7, None), (2, UnsupportedVersion), (4, UnsupportedVersion)):
        head = b"\x89NCZ\1\x15" + bytes(32) + bytes([kind, 1, 65, 0]) + b"\1"
        head += crc32(head)
        data = head + frame(b"\0", b"\x89NCi") + struct.pack("<Q", len(head)) + b"ZCN\x89"
        if error is None:
            assert reader(data).header.sections == {}
        else:
            with pytest.raises(error):
                reader(data)


def test_single_files_are_told_from_archives() -> None:
    with pytest.raises(UnsupportedInput, match="not an archive"):
        reader(b"\x89NCZ\1\x10" + bytes(40))


@pytest.mark.parametrize("sizes", [[2, 3, 1], []])
def test_every_cut_is_noticed_and_every_flip_refused(sizes: list[int]) -> None:
    data = archive(sizes)
    good = contents(data)
    for size in range(1, len(data)):
        with pytest.raises(TruncatedFile):
            contents(data[:size])
    for place in range(len(data)):
        for value in (1, 0x80, 0xFF):
            bad = bytearray(data)
            bad[place] ^= value
            with pytest.raises(NeuralCodecError):
                assert contents(bytes(bad)) == good
    with pytest.raises(CorruptFile):
        reader(data + b"\0")


def test_salvage_gives_every_whole_chunk() -> None:
    data = archive([2, 3, 1, 4])
    entries = reader(data).entries
    everything = contents(data)
    for lost, entry in enumerate(entries):
        bad = bytearray(data)
        bad[entry.offset + entry.size // 2] ^= 0x10
        kept = [pair for pair in everything if not entry.first <= pair[0] < entry.first + entry.n]
        assert contents(bytes(bad), salvage=True) == kept
        with pytest.raises(CorruptFile, match=f"chunk {lost}"):
            contents(bytes(bad))


def test_salvage_needs_neither_index_nor_alignment() -> None:
    data = archive([2, 3, 1])
    entries = reader(data).entries
    last = entries[-1].offset
    everything = contents(data)
    assert contents(data[:last], salvage=True) == everything[:5]
    assert contents(data[: last + 5], salvage=True) == everything[:5]
    assert (
        contents(data[: entries[1].offset] + b"\x89NC\x89NCk" + data[entries[1].offset :], salvage=True)
        == everything
    )
    second = data[entries[1].offset : entries[2].offset]
    doubled = data[: entries[2].offset] + second + data[entries[2].offset :]
    assert contents(doubled, salvage=True) == everything


def test_salvage_of_many_false_markers_ends() -> None:
    fake = b"\x89NCk" + varint(60_000)
    data = archive([1])[:START] + fake * 20_000
    with pytest.raises(CorruptFile, match="too many false"):
        reader(data, salvage=True)


def index_archive(body: bytes, chunks: bytes = b"") -> bytes:
    head = HEAD + crc32(HEAD)
    return head + chunks + frame(body, b"\x89NCi") + struct.pack("<Q", len(head) + len(chunks)) + b"ZCN\x89"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"\1", "number of chunks"),
        (varint(2**40), "number of chunks"),
        (b"\1\x20\1", "size of chunk 0"),
        (b"\1\0\1", "size of chunk 0"),
        (b"\0\0", "do not end"),
    ],
)
def test_impossible_indices_are_refused(body: bytes, message: str) -> None:
    with pytest.raises(CorruptFile, match=message):
        reader(index_archive(body))


def test_index_must_tell_of_all_bytes_and_agree_with_the_chunks() -> None:
    chunk = write_chunk(0, 2, [samples(0, 2)], {}, samples(0, 2), 8)
    size = varint(len(chunk))
    assert contents(index_archive(b"\1" + size + b"\2", chunk)) == [(i, samples(i, 1)) for i in range(2)]
    with pytest.raises(CorruptFile, match="do not end"):
        reader(index_archive(b"\0", chunk))
    with pytest.raises(CorruptFile, match="index says"):
        contents(index_archive(b"\1" + size + b"\1", chunk))
    second = write_chunk(3, 1, [samples(3, 1)], {}, samples(3, 1), 4)
    both = index_archive(b"\2" + size + b"\2" + varint(len(second)) + b"\1", chunk + second)
    with pytest.raises(CorruptFile, match="holds signals 3 to 3"):
        contents(both)


def test_a_large_header_is_read_whole() -> None:
    head = b"\x89NCZ\1\x15" + bytes(32) + b"\7" + varint(200_000) + bytes(200_000) + b"\0\1"
    head += crc32(head)
    data = head + frame(b"\0", b"\x89NCi") + struct.pack("<Q", len(head)) + b"ZCN\x89"
    assert len(reader(data)) == 0


def test_claims_are_checked_before_memory_is_taken() -> None:
    chunk = frame(b"\0" + varint(65_536) + b"\0" + b"\0" * 32_768 + bytes(4))
    data = index_archive(b"\1" + varint(len(chunk)) + varint(65_536), chunk)
    opened = reader(data)
    opened.check_density(16_384)
    with pytest.raises(CorruptFile, match="above the limit"):
        opened.check_density(16_400)
    tracemalloc.start()
    for body in (b"\1" + varint(2**62) + b"\1", varint(2**62)):
        with pytest.raises(CorruptFile):
            reader(index_archive(body))
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


@pytest.mark.parametrize("group", [0, 1025])
def test_group_sizes_outside_the_limits_are_refused(group: int) -> None:
    with pytest.raises(ValueError, match="1 to 1024"):
        ArchiveWriter(io.BytesIO(), HEADER, group)
    head = HEAD[:-1] + varint(group)
    with pytest.raises(CorruptFile, match="group size"):
        reader(head + crc32(head) + bytes(30))


def test_items_of_a_chunk_name_it_when_they_are_damaged() -> None:
    chunk = Chunk(0, 1, {5: b"?"}, [b""], bytes(4), 9, "chunk 3")
    with pytest.raises(CorruptFile, match="chunk 3, name: "):
        chunk.items(5)
    assert chunk.items(1) is None
