"""One chunk of an archive: signals that decode alone (docs/format.md, section 3)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from neuralcodec.container.primitives import MAX_VARINT, Buffer, Reader, crc32, varint
from neuralcodec.container.sections import read_sections, unpack_items, write_sections
from neuralcodec.errors import CorruptFile, within

MARKER = b"\x89NCk"
SECTIONS = 4
MAX_CHUNK = 65_536
MAX_GROUP = 1_024
MAX_SAMPLE_BYTES_PER_BYTE = 32_768
CRC_BYTES = 4
LEAST_BODY = 8  # first, n, flags, one group length, checksum


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


@dataclass(frozen=True)
class Chunk:
    """A chunk taken apart, its own checksum verified.

    Attributes
    ----------
    first, n
        Number of its first signal in the archive; number of its signals.
    sections
        Contents of the sections by type.
    groups
        The codec's bytes, one string a group.
    checksum
        CRC-32 of the n sample strings.
    size
        Bytes of the body.
    section
        What the chunk is called in errors.
    """

    first: int
    n: int
    sections: Mapping[int, bytes]
    groups: list[bytes]
    checksum: bytes
    size: int
    section: str

    def items(self, kind: int) -> list[bytes] | None:
        """Return the items of a section, one a signal (empty where a signal has none), or None without it."""
        content = self.sections.get(kind)
        if content is None:
            return None
        with within(self.section):
            return unpack_items(kind, content, self.n)

    def check(self, checked: Buffer) -> None:
        """Compare the checksum with the decoded sample strings'; :class:`CorruptFile` if it differs."""
        found = crc32(checked)
        if found != self.checksum:
            raise CorruptFile(
                f"the checksum of the decoded samples is {found[::-1].hex()}, but the file says "
                f"{self.checksum[::-1].hex()}",
                self.section,
            )


def write_chunk(
    first: int, n: int, groups: Sequence[bytes], sections: Mapping[int, bytes], checked: Buffer, nbytes: int
) -> bytes:
    """Return a whole chunk, marker to CRC.

    Parameters
    ----------
    first, n, groups, sections
        As in :class:`Chunk`.
    checked
        The n sample strings (or what a lossy codec declares).
    nbytes
        Bytes of the n sample strings: the chunk is padded to the limit on them.
    """
    listed = write_sections(sections)
    head = [varint(first), varint(n), bytes([SECTIONS if listed else 0]), listed]
    head += [varint(len(group)) for group in groups]
    size = sum(map(len, head)) + sum(map(len, groups)) + CRC_BYTES
    padding = bytes(max(0, -(-nbytes // MAX_SAMPLE_BYTES_PER_BYTE) - size))
    body = b"".join([*head, *groups, padding, crc32(checked)])
    framed = MARKER + varint(len(body)) + body
    return framed + crc32(framed)


def read_frame(data: Buffer, marker: bytes, section: str) -> memoryview:
    """Return the body of a frame (marker, length, body, CRC-32) that fills `data`, after all checks."""
    reader = Reader(data, section, inner=True)
    found = bytes(reader.take(len(marker), "the marker"))
    if found != marker:
        raise reader.fault(f"starts with {found.hex(' ')}, not with its marker {marker.hex(' ')}")
    size = reader.varint("the length")
    if size != reader.remaining - CRC_BYTES:
        raise reader.fault(f"says that it holds {size} bytes, but {reader.remaining - CRC_BYTES} are there")
    body = reader.take(size, "the body")
    checksum, expected = bytes(reader.take(CRC_BYTES, "the checksum")), crc32(reader.view[:-CRC_BYTES])
    if checksum != expected:
        raise reader.fault(
            f"the checksum is {expected[::-1].hex()}, but the file says {checksum[::-1].hex()}"
        )
    return body


def read_chunk(data: Buffer, group: int, section: str) -> Chunk:
    """Take a whole chunk (marker to CRC) apart.

    Parameters
    ----------
    data
        Its bytes.
    group
        The archive's group size, G.
    section
        What to call the chunk in errors.

    Raises
    ------
    CorruptFile
        The chunk breaks a rule or its own checksum does not hold.
    """
    body = read_frame(data, MARKER, section)
    if len(body) < LEAST_BODY:
        raise CorruptFile(f"a body of {len(body)} bytes is too short", section)
    reader = Reader(body[:-CRC_BYTES], section, inner=True)
    first = reader.varint("the number of its first signal", MAX_VARINT - MAX_CHUNK)
    n = reader.varint("its number of signals", MAX_CHUNK, 1)
    flags = reader.u8("the chunk flags")
    if flags & ~SECTIONS:
        raise reader.fault(f"the chunk flags {flags:#04x} set reserved bits")
    sections = read_sections(reader) if flags & SECTIONS else {}
    sizes = [reader.varint("the length of a group") for _ in range(-(-n // group))]
    groups = [bytes(reader.take(size, "a group")) for size in sizes]
    padding = bytes(reader.view[reader.position :])
    if padding.count(0) != len(padding):
        raise reader.fault("the padding holds other bytes than 0")
    return Chunk(first, n, sections, groups, bytes(body[-CRC_BYTES:]), len(body), section)


def renumbered(data: Buffer, first: int) -> bytes:
    """Return a whole chunk (marker to CRC) with another number for its first signal; nothing is coded again.

    The body keeps at least its length, padded with zeros, so that it may still claim as many samples.

    >>> chunk = write_chunk(300, 1, [b"x"], {}, b"", 1)
    >>> renumbered(renumbered(chunk, 2**20), 300) == chunk, read_chunk(renumbered(chunk, 7), 1, "").first
    (False, 7)
    """
    body = read_frame(data, MARKER, "chunk")
    reader = Reader(body, "chunk", inner=True)
    if reader.varint("the number of its first signal") == first:
        return bytes(data)
    number = varint(first)
    padding = bytes(max(0, reader.position - len(number)))
    whole = b"".join([number, body[reader.position : -CRC_BYTES], padding, body[-CRC_BYTES:]])
    framed = MARKER + varint(len(whole)) + whole
    return framed + crc32(framed)


def check_density(body: int, nbytes: int, section: str) -> None:
    """Refuse a chunk whose body of `body` bytes claims more sample bytes than the format allows."""
    if nbytes > MAX_SAMPLE_BYTES_PER_BYTE * body:
        raise CorruptFile(f"{body} bytes claim {nbytes} bytes of samples, above the limit", section)
