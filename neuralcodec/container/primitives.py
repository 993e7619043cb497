"""Integers, checksums and bounded reading: the conventions and limits of docs/format.md, section 1."""

import zlib

from neuralcodec.errors import CorruptFile, NotNeuralCodecFile, TruncatedFile, UnsupportedVersion

Buffer = bytes | bytearray | memoryview

VERSION = 1
MAX_VARINT = 2**63 - 1
MAX_VARINT_BYTES = 9
MAX_NAME_BYTES = 64
MAX_TENSOR_ELEMENTS = 2**28
MAX_ELEMENTS_PER_BYTE = 4096
IDENTITY_BYTES = 32


def varint(value: int) -> bytes:
    """Return an integer in [0, 2^63) as an unsigned LEB128 number of 1 to 9 bytes.

    >>> varint(300).hex()
    'ac02'
    """
    if not 0 <= value <= MAX_VARINT:
        raise ValueError(f"a varint holds 0 to 2^63 - 1, not {value}")
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def crc32(*parts: Buffer) -> bytes:
    """Return the CRC-32 of the parts, one after another, as 4 little-endian bytes.

    >>> crc32(b"1234", b"56789").hex()
    '2639f4cb'
    """
    value = 0
    for part in parts:
        value = zlib.crc32(part, value)
    return value.to_bytes(4, "little")


def is_name(text: str) -> bool:
    """Tell whether a text can name a codec, a family or a tensor: 1 to 64 characters of printable ASCII.

    >>> is_name("transition.32"), is_name("")
    (True, False)
    """
    return 0 < len(text) <= MAX_NAME_BYTES and all(" " <= c <= "~" for c in text)


class Reader:
    """Reads bytes from the front and refuses what is not there.

    Parameters
    ----------
    data
        The bytes to read.
    section
        What they are, for the errors.
    inner
        True where the length of `data` was itself read from the file: running out of bytes then
        raises :class:`CorruptFile`, for the file did not end; else :class:`TruncatedFile`.

    >>> reader = Reader(bytes([0xAC, 0x02, 7]), "header")
    >>> reader.varint("length"), reader.u8("flags"), reader.remaining
    (300, 7, 0)
    """

    __slots__ = ("inner", "position", "section", "view")

    def __init__(self, data: Buffer, section: str, *, inner: bool = False) -> None:
        self.view = memoryview(data)
        self.position = 0
        self.section = section
        self.inner = inner

    @property
    def remaining(self) -> int:
        """Number of bytes not read yet."""
        return len(self.view) - self.position

    def fault(self, message: str) -> CorruptFile:
        """Return the error that says what is wrong in this section."""
        return CorruptFile(message, self.section)

    def take(self, size: int, what: str) -> memoryview:
        """Return the next `size` bytes without a copy."""
        if size > self.remaining:
            text = f"{what} needs {size} bytes, but {self.remaining} are left"
            raise self.fault(text) if self.inner else TruncatedFile(text, self.section)
        start = self.position
        self.position = start + size
        return self.view[start : self.position]

    def u8(self, what: str) -> int:
        """Return the next byte."""
        return self.take(1, what)[0]

    def varint(self, what: str, limit: int = MAX_VARINT, least: int = 0) -> int:
        """Return the next varint, refused unless it is in its shortest form and in [least, limit]."""
        value = 0
        for count in range(MAX_VARINT_BYTES):
            byte = self.u8(what)
            value |= (byte & 0x7F) << (7 * count)
            if byte < 0x80:
                if byte == 0 and count:
                    raise self.fault(f"{what} is not in its shortest form")
                if not least <= value <= limit:
                    raise self.fault(f"{what} is {value}, outside {least} to {limit}")
                return value
        raise self.fault(f"{what} is longer than {MAX_VARINT_BYTES} bytes")

    def name(self, what: str) -> str:
        """Return the next varint-counted name of 1 to 64 bytes of printable ASCII."""
        size = self.varint(f"the length of the {what}", MAX_NAME_BYTES, 1)
        raw = bytes(self.take(size, f"the {what}"))
        text = raw.decode("latin-1")
        if not is_name(text):
            raise self.fault(f"the {what} {raw!r} is not printable ASCII")
        return text

    def start(self, magic: bytes, kind: str) -> None:
        """Read a magic number and the format version behind it; refuse others."""
        if self.remaining < len(magic):
            found = bytes(self.view)
            if found and magic.startswith(found):
                raise TruncatedFile(f"only {len(found)} bytes of a {kind}", self.section)
            raise NotNeuralCodecFile(f"not a {kind}: it holds {len(found)} bytes")
        found = bytes(self.take(len(magic), "the magic number"))
        if found != magic:
            raise NotNeuralCodecFile(f"not a {kind}: it starts with {found.hex(' ')}, not {magic.hex(' ')}")
        version = self.u8("the version")
        if version != VERSION:
            raise UnsupportedVersion(
                f"this {kind} has format version {version}; this release of neuralcodec reads {VERSION}"
            )
