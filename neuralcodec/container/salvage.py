"""The search for what is whole in a damaged archive: markers are looked for, checksums decide."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from neuralcodec.container.chunk import (
    CRC_BYTES,
    LEAST_BODY,
    MARKER,
    MAX_CHUNK,
    SECTIONS,
    Entry,
    read_chunk,
)
from neuralcodec.container.files import Source
from neuralcodec.container.primitives import MAX_VARINT, MAX_VARINT_BYTES, Reader, crc32
from neuralcodec.errors import CorruptFile, UnsupportedVersion

INDEX_MARKER = b"\x89NCi"
_COMMON = b"\x89NC"  # what both markers start with
_STEP = 2**20
_MAX_INDEX = 2**30


@dataclass(frozen=True)
class Found:
    """What a search found.

    Attributes
    ----------
    entries
        The chunks whose CRC-32 holds, by the numbers of their signals, each signal once.
    total
        How many signals there were, if a whole index tells it; else None.
    repeated
        How many whole chunks hold signals of numbers that another chunk has too, but are not the same: all but
        one of them are left out.
    """

    entries: list[Entry]
    total: int | None
    repeated: int


class _Frame(NamedTuple):
    """Something between a marker and a CRC-32 that holds: where it is, its size and its CRC."""

    offset: int
    size: int
    is_index: bool
    checksum: bytes


def scan(source: Source, start: int, group: int | None) -> Found:
    """Find the chunks whose CRC-32 holds, wherever they are; bytes between them do not matter.

    Parameters
    ----------
    source
        The archive.
    start
        Where to begin.
    group
        The archive's group size; None if it is not known, whereupon the groups of a chunk are not looked at.

    Raises
    ------
    CorruptFile
        There are more false markers than damage makes.
    """
    found: list[tuple[Entry, bytes]] = []
    total = None
    for frame in _frames(source, start):
        if frame.is_index:
            told = _total(source, frame)
            total = total if told is None else told
            continue
        entry = _entry(source, frame, group)
        if entry is not None:
            found.append((entry, frame.checksum))
    entries, repeated = _each_once(found)
    end = entries[-1].first + entries[-1].n if entries else 0
    return Found(entries, None if total is None else max(total, end), repeated)


def _each_once(found: list[tuple[Entry, bytes]]) -> tuple[list[Entry], int]:
    entries: list[Entry] = []
    last, repeated = b"", 0
    for entry, checksum in sorted(found, key=lambda pair: (pair[0].first, pair[0].offset)):
        before = entries[-1] if entries else None
        if before is None or entry.first >= before.first + before.n:
            entries.append(entry)
            last = checksum
        elif (entry.first, entry.n, entry.size, checksum) != (before.first, before.n, before.size, last):
            repeated += 1
    return entries, repeated


def _frames(source: Source, start: int) -> Iterator[_Frame]:
    """Yield the frames whose CRC-32 holds.

    The search goes on one byte behind a false marker, and where a true one's frame ends, or a little before: where
    bytes were lost, what ends a checksum can begin a marker too.
    """
    # Damage makes few false markers; without a budget, a hostile file could be read once for each of many.
    budget = 8 * source.size + 2**20
    overlap = len(MARKER) - 1
    place = _find_marker(source, max(start - overlap, 0))
    while place is not None:
        offset, is_index = place
        size = _frame_size(source, offset)
        checksum = None
        if size is not None:
            budget -= size
            if budget < 0:
                raise CorruptFile("too many false chunk markers to look for chunks in", "archive")
            checksum = _checksum(source, offset, size)
        if size is None or checksum is None:
            place = _find_marker(source, offset + 1)
            continue
        yield _Frame(offset, size, is_index, checksum)
        place = _find_marker(source, offset + size - overlap)


def _checksum(source: Source, offset: int, size: int) -> bytes | None:
    """Return the CRC-32 at the end of a frame if it holds, without reading the frame at once."""
    end = offset + size - CRC_BYTES
    stored = bytes(source.read_at(end, CRC_BYTES))
    if size <= _STEP:
        return stored if stored == crc32(source.read_at(offset, end - offset)) else None
    value = 0
    for at in range(offset, end, _STEP):
        value = zlib.crc32(source.read_at(at, min(_STEP, end - at)), value)
    return stored if stored == value.to_bytes(4, "little") else None


def _entry(source: Source, frame: _Frame, group: int | None) -> Entry | None:
    """Return what the frame of a chunk says of it, None if no chunk says such things."""
    try:
        if group is not None:
            chunk = read_chunk(source.read_at(frame.offset, frame.size), group, "chunk")
            return Entry(frame.offset, frame.size, chunk.first, chunk.n)
        reader = Reader(source.read_at(frame.offset + len(MARKER), 32), "chunk", inner=True)
        reader.varint("the length")
        first = reader.varint("the number of its first signal", MAX_VARINT - MAX_CHUNK)
        n = reader.varint("its number of signals", MAX_CHUNK, 1)
        if reader.u8("the chunk flags") & ~SECTIONS:
            return None
    except (CorruptFile, UnsupportedVersion):
        return None
    return Entry(frame.offset, frame.size, first, n)


def _total(source: Source, frame: _Frame) -> int | None:
    """Return how many signals an index counts; None if it is none."""
    if frame.size > _MAX_INDEX:
        return None
    reader = Reader(source.read_at(frame.offset, frame.size - CRC_BYTES), "index", inner=True)
    total = 0
    try:
        reader.take(len(INDEX_MARKER), "the marker")
        reader.varint("the length")
        for _ in range(reader.varint("the number of chunks", reader.remaining // 2)):
            reader.varint("the size of a chunk")
            total += reader.varint("the signals of a chunk", MAX_CHUNK, 1)
    except CorruptFile:
        return None
    return total


def _frame_size(source: Source, offset: int) -> int | None:
    """Return the size that the frame at a marker claims, marker to CRC, or None if it cannot be one."""
    reader = Reader(source.read_at(offset + len(MARKER), MAX_VARINT_BYTES), "chunk", inner=True)
    is_chunk = bytes(source.read_at(offset, len(MARKER))) == MARKER
    try:
        body = reader.varint("the length", MAX_VARINT, LEAST_BODY if is_chunk else 1)
    except CorruptFile:
        return None
    size = len(MARKER) + reader.position + body + CRC_BYTES
    return size if offset + size <= source.size else None


def _find_marker(source: Source, offset: int) -> tuple[int, bool] | None:
    """Return where the next marker starts, and whether it is an index's; None if there is none."""
    window = 256  # small at first: mostly the next chunk follows the last
    while offset < source.size:
        data = bytes(source.read_at(offset, window))
        place = data.find(_COMMON)
        while place >= 0:
            marker = data[place : place + len(MARKER)]
            if marker in (MARKER, INDEX_MARKER):
                return offset + place, marker == INDEX_MARKER
            place = data.find(_COMMON, place + 1)
        offset += max(len(data) - len(MARKER) + 1, 1)
        window = _STEP
    return None
