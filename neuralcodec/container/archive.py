"""Archives: many signals in one file, in chunks that decode alone (docs/format.md, section 3)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Self

from neuralcodec.container.chunk import (
    CRC_BYTES,
    LEAST_BODY,
    MARKER,
    MAX_CHUNK,
    MAX_GROUP,
    Chunk,
    check_density,
    read_chunk,
    read_frame,
    write_chunk,
)
from neuralcodec.container.files import Source
from neuralcodec.container.header import KIND, Header
from neuralcodec.container.primitives import MAX_VARINT, Buffer, Reader, crc32, varint
from neuralcodec.errors import CorruptFile, TruncatedFile, UnsupportedInput

INDEX_MARKER = b"\x89NCi"
FOOTER_MAGIC = b"ZCN\x89"
FOOTER_BYTES = 12
LEAST_CHUNK = len(MARKER) + 1 + LEAST_BODY + CRC_BYTES
WINDOW = 2**16


@dataclass(frozen=True)
class Entry:
    """Where a chunk is: its bytes (marker to CRC) and its signals, numbered as in the archive."""

    offset: int
    size: int
    first: int
    n: int

    @property
    def body_limit(self) -> int:
        """Most bytes that the chunk's body can have."""
        return self.size - len(MARKER) - 1 - CRC_BYTES


class ArchiveWriter:
    """Writes an archive front to back, chunk by chunk; the file need not be seekable.

    Parameters
    ----------
    file
        Binary file, written from its position on.
    header
        Codec, whole identity of the model, and the signal's shape and dtype if not the model's own.
    group
        Signals in a group, G, 1 to 1,024.

    >>> import io
    >>> from neuralcodec.container.files import BufferSource
    >>> file = io.BytesIO()
    >>> ArchiveWriter(file, Header("pc", bytes(32)), 128).finish()
    >>> len(ArchiveReader(BufferSource(file.getvalue())))
    0
    """

    def __init__(self, file: BinaryIO, header: Header, group: int) -> None:
        if not 1 <= group <= MAX_GROUP:
            raise ValueError(f"a group holds 1 to {MAX_GROUP} signals, not {group}")
        self._file = file
        self._sizes: list[tuple[int, int]] = []
        self.signals = 0
        head = header.to_bytes(archive=True) + varint(group)
        self._offset = self._write(head + crc32(head))

    def append(
        self, n: int, groups: Sequence[bytes], sections: Mapping[int, bytes], checked: Buffer, nbytes: int
    ) -> None:
        """Write a chunk of n signals; the parameters are those of :func:`~.chunk.write_chunk`."""
        size = self._write(write_chunk(self.signals, n, groups, sections, checked, nbytes))
        self._offset += size
        self._sizes.append((size, n))
        self.signals += n

    def finish(self) -> None:
        """Write the index and the footer; the file is an archive only then."""
        body = b"".join([varint(len(self._sizes)), *(varint(size) + varint(n) for size, n in self._sizes)])
        framed = INDEX_MARKER + varint(len(body)) + body
        self._write(framed + crc32(framed) + self._offset.to_bytes(8, "little") + FOOTER_MAGIC)

    def _write(self, data: bytes) -> int:
        self._file.write(data)
        return len(data)


class ArchiveReader:
    """Reads the header and the index of an archive, then any chunk.

    Parameters
    ----------
    source
        The archive's bytes.
    salvage
        Ignore the index; look for chunks instead and keep each whose CRC-32 holds.

    Attributes
    ----------
    header, group
        As given to the writer.
    entries
        The chunks.

    Raises
    ------
    NotNeuralCodecFile, UnsupportedVersion, TruncatedFile, CorruptFile
        As their names say; :class:`UnsupportedInput` for a single file.
    """

    def __init__(self, source: Source, *, salvage: bool = False) -> None:
        self.source = source
        self.salvage = salvage
        self._signal_bytes = 0
        self.header, self.group, self._start = _read_head(source)
        self.entries = list(_scan(source, self._start, self.group)) if salvage else self._read_index()

    def __len__(self) -> int:
        return sum(entry.n for entry in self.entries)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the source."""
        self.source.close()

    def check_density(self, signal_bytes: int) -> None:
        """Refuse an archive whose index claims more samples than the format allows for its bytes.

        Called before memory for all signals is taken; `signal_bytes` is the size of one sample string.
        """
        self._signal_bytes = signal_bytes
        for number, entry in enumerate(self.entries):
            check_density(entry.body_limit, entry.n * signal_bytes, f"chunk {number}")

    def read(self, number: int) -> Chunk:
        """Return a chunk, its own checksum verified; :class:`CorruptFile` if it is damaged."""
        entry, section = self.entries[number], f"chunk {number}"
        data = self.source.read_at(entry.offset, entry.size)
        if len(data) < entry.size:
            raise TruncatedFile(f"only {len(data)} of {entry.size} bytes are there", section)
        chunk = read_chunk(data, self.group, section)
        if (chunk.first, chunk.n) != (entry.first, entry.n):
            raise CorruptFile(
                f"holds signals {chunk.first} to {chunk.first + chunk.n - 1}, but the index says "
                f"{entry.first} to {entry.first + entry.n - 1}",
                section,
            )
        check_density(chunk.size, chunk.n * self._signal_bytes, section)
        return chunk

    def _read_index(self) -> list[Entry]:
        end = self.source.size - FOOTER_BYTES
        footer = bytes(self.source.read_at(max(end, 0), FOOTER_BYTES))
        if end < self._start or footer[8:] != FOOTER_MAGIC:
            raise TruncatedFile(
                "the archive does not end with a footer; it was cut off, or its end is damaged "
                "(salvage=True reads the chunks that are whole)",
                "footer",
            )
        offset = int.from_bytes(footer[:8], "little")
        if not self._start <= offset < end:
            raise CorruptFile(f"the index cannot start at byte {offset} of {self.source.size}", "footer")
        # The marker is looked at first, so that a wrong offset does not read the whole archive.
        marker = bytes(self.source.read_at(offset, len(INDEX_MARKER)))
        if marker != INDEX_MARKER:
            raise CorruptFile(f"no index starts at byte {offset}", "footer")
        return _parse_index(self.source.read_at(offset, end - offset), self._start, offset)


def _read_head(source: Source) -> tuple[Header, int, int]:
    """Return the header, the group size and where the first chunk starts."""
    window = WINDOW
    while True:
        data = source.read_at(0, window)
        try:
            return _parse_head(data)
        except TruncatedFile:
            if window >= source.size:
                raise
            window *= 4


def _parse_head(data: Buffer) -> tuple[Header, int, int]:
    reader = Reader(data, "header")
    header, archive = Header.read(reader)
    if not archive:
        raise UnsupportedInput(f"this {KIND} is not an archive: decode it with decompress")
    group = reader.varint("the group size", MAX_GROUP, 1)
    expected = crc32(reader.view[: reader.position])
    if bytes(reader.take(CRC_BYTES, "the checksum")) != expected:
        raise reader.fault("the checksum does not match")
    return header, group, reader.position


def _parse_index(data: Buffer, start: int, end: int) -> list[Entry]:
    body = read_frame(data, INDEX_MARKER, "index")
    reader = Reader(body, "index", inner=True)
    count = reader.varint("the number of chunks", len(body) // 2)
    entries: list[Entry] = []
    offset, first = start, 0
    for number in range(count):
        size = reader.varint(f"the size of chunk {number}", end - offset, LEAST_CHUNK)
        n = reader.varint(f"the signals of chunk {number}", MAX_CHUNK, 1)
        entries.append(Entry(offset, size, first, n))
        offset, first = offset + size, first + n
    if reader.remaining or offset != end:
        raise reader.fault("the chunks that it lists do not end where it starts")
    return entries


def _scan(source: Source, start: int, group: int) -> Iterator[Entry]:
    """Find the chunks whose CRC-32 holds, in order; those that repeat signals found before are left out."""
    # Damage makes few false markers; without a budget, a hostile file could be read once for each of many.
    budget = 8 * source.size + 2**20
    first = 0
    offset = _find_marker(source, start)
    while offset is not None:
        size = _frame_size(source, offset)
        chunk = None
        if size is not None:
            budget -= size
            if budget < 0:
                raise CorruptFile("too many false chunk markers to look for chunks in", "archive")
            chunk = _try_chunk(source.read_at(offset, size), group)
        if chunk is not None and size is not None:
            if chunk.first >= first:
                yield Entry(offset, size, chunk.first, chunk.n)
                first = chunk.first + chunk.n
            offset = _find_marker(source, offset + size)
        else:
            offset = _find_marker(source, offset + 1)


def _try_chunk(data: Buffer, group: int) -> Chunk | None:
    try:
        return read_chunk(data, group, "chunk")
    except CorruptFile:
        return None


def _frame_size(source: Source, offset: int) -> int | None:
    """Return the size that the chunk at a marker claims, marker to CRC, or None if it cannot be one."""
    data = source.read_at(offset + len(MARKER), 9)
    reader = Reader(data, "chunk", inner=True)
    try:
        body = reader.varint("the length", MAX_VARINT, LEAST_BODY)
    except CorruptFile:
        return None
    size = len(MARKER) + reader.position + body + CRC_BYTES
    return size if offset + size <= source.size else None


def _find_marker(source: Source, offset: int) -> int | None:
    """Return where the next chunk marker starts, or None."""
    window = 256  # small at first: mostly the next chunk follows the last
    while offset < source.size:
        data = bytes(source.read_at(offset, window))
        found = data.find(MARKER)
        if found >= 0:
            return offset + found
        offset += max(len(data) - len(MARKER) + 1, 1)
        window = 2**20
    return None
