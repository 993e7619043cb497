"""Archives: many signals in one file, in chunks that decode alone (docs/format.md, section 3)."""

from collections.abc import Mapping, Sequence
from typing import BinaryIO, Self

from neuralcodec.container.chunk import (
    CRC_BYTES,
    LEAST_BODY,
    MARKER,
    MAX_CHUNK,
    MAX_GROUP,
    Chunk,
    Entry,
    check_density,
    read_chunk,
    read_frame,
    write_chunk,
)
from neuralcodec.container.files import Source
from neuralcodec.container.header import KIND, Header
from neuralcodec.container.primitives import Buffer, Reader, crc32, varint
from neuralcodec.container.salvage import INDEX_MARKER, scan
from neuralcodec.errors import CorruptFile, TruncatedFile, UnsupportedInput

FOOTER_MAGIC = b"ZCN\x89"
FOOTER_BYTES = 12
LEAST_CHUNK = len(MARKER) + 1 + LEAST_BODY + CRC_BYTES
WINDOW = 2**16
Head = tuple[Header, int, int]


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
        head = header.to_bytes(archive=True) + varint(group)
        self._begin(file, group, [])
        self._offset = self._write(head + crc32(head))

    @classmethod
    def resumed(cls, file: BinaryIO, reader: "ArchiveReader") -> Self:
        """Return a writer that goes on behind the last chunk of an archive.

        Parameters
        ----------
        file
            Holds the archive's bytes up to its index, and stands behind them.
        reader
            The archive, read by its index.
        """
        writer = cls.__new__(cls)
        writer._begin(file, reader.group, [(entry.size, entry.n) for entry in reader.entries])
        writer._offset = reader.chunks_end
        return writer

    def _begin(self, file: BinaryIO, group: int, sizes: list[tuple[int, int]]) -> None:
        self._file, self.group, self._sizes = file, group, sizes
        self.signals = sum(n for _, n in sizes)
        self._offset = 0

    def append(
        self, n: int, groups: Sequence[bytes], sections: Mapping[int, bytes], checked: Buffer, nbytes: int
    ) -> None:
        """Write a chunk of n signals; the parameters are those of :func:`~.chunk.write_chunk`."""
        self.append_chunk(write_chunk(self.signals, n, groups, sections, checked, nbytes), n)

    def append_chunk(self, chunk: Buffer, n: int) -> None:
        """Write a whole chunk of n signals, marker to CRC, whose first number is `signals`."""
        self._offset += self._write(chunk)
        self._sizes.append((len(chunk), n))
        self.signals += n

    def finish(self) -> None:
        """Write the index and the footer; the file is an archive only then."""
        body = b"".join([varint(len(self._sizes)), *(varint(size) + varint(n) for size, n in self._sizes)])
        framed = INDEX_MARKER + varint(len(body)) + body
        self._write(framed + crc32(framed) + self._offset.to_bytes(8, "little") + FOOTER_MAGIC)

    def _write(self, data: Buffer) -> int:
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
    head
        The header, if it is known already: that of a damaged archive, found in another way.

    Attributes
    ----------
    header, group
        As given to the writer.
    entries
        The chunks, by the numbers of their signals.
    found
        When salvaging: what the search for chunks found.

    Raises
    ------
    NotNeuralCodecFile, UnsupportedVersion, TruncatedFile, CorruptFile
        As their names say; :class:`UnsupportedInput` for a single file.
    """

    def __init__(self, source: Source, *, salvage: bool = False, head: Head | None = None) -> None:
        self.source = source
        self._signal_bytes = 0
        self.header, self.group, self._start = head or read_head(source)
        self.found = scan(source, self._start, self.group) if salvage else None
        self.entries = self._read_index() if self.found is None else self.found.entries

    def __len__(self) -> int:
        return sum(entry.n for entry in self.entries)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def chunks_end(self) -> int:
        """Where the last chunk ends: in a whole archive, where the index starts."""
        return max((entry.offset + entry.size for entry in self.entries), default=self._start)

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


def read_head(source: Source, offset: int = 0) -> Head:
    """Return the header that starts at an offset, the group size, and where the first chunk starts.

    Raises
    ------
    NotNeuralCodecFile, UnsupportedVersion, TruncatedFile, CorruptFile
        As their names say; :class:`UnsupportedInput` for a single file.
    """
    window = WINDOW
    while True:
        data = source.read_at(offset, window)
        try:
            header, group, size = _parse_head(data)
            return header, group, offset + size
        except TruncatedFile:
            if window >= source.size - offset:
                raise
            window *= 4


def _parse_head(data: Buffer) -> Head:
    reader = Reader(data, "header")
    header, archive = Header.read(reader)
    if not archive:
        raise UnsupportedInput(f"this {KIND} holds one signal, it is not an archive (decompress decodes it)")
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
