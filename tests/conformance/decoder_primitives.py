"""Bytes, the entropy coder and tensor bodies, as docs/format.md gives them in its sections 1, 2, 4 and 6.

Part of the independent decoder (decoder.py): slow, plain, and written from the specification alone. It shares
no line with the package, so that the two can only agree by both following the document.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

MIB = 1 << 20
ELEMENTS = 1 << 28
ELEMENTS_PER_BYTE = 4_096
SECTION_BYTES = 16 * MIB
DTYPES = {1: "u1", 2: "u2", 3: "u4", 4: "u8", 5: "i1", 6: "i2", 7: "i4", 8: "i8", 9: "?"}


class Refused(Exception):
    """The file breaks the specification, and nothing is decoded from it."""


class Unsupported(Refused):
    """The file is of another version, or needs a codec or a section that this decoder does not have."""


class WrongModel(Refused):
    """The file was written with another model."""


def must(condition: bool, complaint: str) -> None:
    """Refuse the file unless the condition holds."""
    if not condition:
        raise Refused(complaint)


class Reader:
    """Reads forward through bytes and refuses to read past their end."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data = data
        self.at = at

    @property
    def left(self) -> int:
        """The number of bytes not yet read."""
        return len(self.data) - self.at

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes."""
        must(count <= self.left, f"{count} bytes are announced at byte {self.at}, {self.left} are left")
        self.at += count
        return self.data[self.at - count : self.at]

    def unsigned(self, size: int) -> int:
        """Return a little-endian integer of `size` bytes."""
        return int.from_bytes(self.take(size), "little")

    def varint(self, largest: int = (1 << 63) - 1, least: int = 0) -> int:
        """Return a varint between `least` and `largest`."""
        value = 0
        for position in range(9):
            byte = self.unsigned(1)
            value |= (byte & 0x7F) << (7 * position)
            if byte < 0x80:
                must(byte != 0 or position == 0, f"overlong varint before byte {self.at}")
                must(least <= value <= largest, f"{value} is not between {least} and {largest}")
                return value
        raise Refused(f"a varint before byte {self.at} has more than 9 bytes")

    def padding(self) -> None:
        """Read the rest, which must be zero bytes."""
        must(not any(self.take(self.left)), "a padding byte is not 0")

    def finish(self) -> None:
        """Refuse anything left."""
        must(self.left == 0, f"{self.left} bytes too many")


def is_name(text: bytes) -> bool:
    """Tell whether the bytes can name a codec or a tensor."""
    return 1 <= len(text) <= 64 and all(0x20 <= byte <= 0x7E for byte in text)


def read_description(reader: Reader, largest: int = 65_536) -> tuple[int, tuple[int, ...]]:
    """Return the dtype code and the shape of a signal description, of at most `largest` samples."""
    dtype = reader.unsigned(1)
    rank = reader.unsigned(1)
    return check_signal(dtype, [reader.varint(least=1) for _ in range(rank)] if rank <= 8 else [], largest)


def check_signal(dtype: int, dimensions: Sequence[int], largest: int = 65_536) -> tuple[int, tuple[int, ...]]:
    """Return dtype code and shape, refusing what the codec cannot have."""
    must(dtype in DTYPES, f"there is no dtype {dtype}")
    must(1 <= len(dimensions) <= 8, "the rank is not between 1 and 8")
    size = 1
    for dimension in dimensions:
        must(dimension >= 1, "a dimension is 0")
        size *= dimension
        must(size <= largest, f"the signal has more than {largest} samples")
    return dtype, tuple(dimensions)


def largest_value(dtype: int) -> int:
    """Return the largest value that the dtype holds."""
    name = DTYPES[dtype]
    return 1 if name == "?" else int(np.iinfo(name).max)


def sample_string(values: NDArray[np.int64], dtype: int) -> bytes:
    """Return the sample string of values in C order."""
    name = DTYPES[dtype]
    return values.astype("u1" if name == "?" else "<" + name).tobytes()


def read_sections(
    reader: Reader, known: Sequence[int] = (1, 2, 3, 5, 7), alone: bool = False
) -> dict[int, bytes]:
    """Return the sections of known types by type; others are refused where these stand alone."""
    sections: dict[int, bytes] = {}
    last = 0
    while kind := reader.varint():
        must(kind > last, "the types of sections do not ascend")
        last = kind
        content = reader.take(reader.varint(SECTION_BYTES))
        if kind in known:
            sections[kind] = content
        elif alone:
            raise Refused(f"a section of type {kind} does not belong there")
        elif kind % 2 == 0:
            raise Unsupported(f"a mandatory section has the unknown type {kind}")
    return sections


def read_mask(body: bytes, shape: tuple[int, ...], signals: int) -> NDArray[np.bool_]:
    """Return where samples are missing, (signals, D), from the mask's tensor body."""
    size = int(np.prod(shape))
    rows = shape[0] if len(shape) > 1 else 1
    mask = read_tensor(body, signals * rows, size // rows)
    must(bool((mask <= 1).all()), "an element of the mask is neither 0 nor 1")
    missing: NDArray[np.bool_] = mask.reshape(signals, size) == 1
    return missing


class Coder:
    """The decoding half of the rANS coder."""

    def __init__(self, data: bytes) -> None:
        must(not data or data[-1] != 0, "the last of the coder bytes is 0")
        size = len(data) if len(data) <= 8 else (len(data) - 1) % 4 + 5
        words, state = data[: len(data) - size], data[len(data) - size :]
        self.state = int.from_bytes(state, "little")
        self.words = [int.from_bytes(words[i : i + 4], "little") for i in range(0, len(words), 4)]

    @property
    def target(self) -> int:
        """The number in [0, 2^24) whose interval tells the symbol."""
        return self.state & 0xFFFFFF

    def pop(self, start: int, width: int) -> None:
        """Take the symbol [start, start + width) from the state."""
        self.state = (self.state >> 24) * width + self.target - start
        if self.state < 1 << 32 and self.words:
            self.state = self.state << 32 | self.words.pop()

    def finish(self) -> None:
        """Refuse a coder that is not empty."""
        must(self.state == 0 and not self.words, "the coder is not empty after its last symbol")


Table = list[tuple[int, int, int]]
"""Of a context: token, first slot and number of slots, for each of 4,096 slots; empty if it never occurs."""


def read_tensor(body: bytes, rows: int, columns: int) -> NDArray[np.int64]:
    """Return the matrix of a tensor body."""
    must(0 < rows * columns <= min(ELEMENTS, ELEMENTS_PER_BYTE * len(body)), "too many elements for the body")
    reader = Reader(body)
    contexts = reader.unsigned(1)
    must(contexts in (1, 16), f"{contexts} contexts, not 1 or 16")
    tables = [_read_table(reader) for _ in range(contexts)]
    height = reader.varint(ELEMENTS, least=1)
    tops = range(0, rows, height)
    lengths = [reader.varint() for _ in tops]
    blocks: list[list[int]] = []
    for top, length in zip(tops, lengths, strict=True):
        coder = Coder(reader.take(length))
        blocks += _read_block(coder, tables, min(height, rows - top), columns)
        coder.finish()
    reader.padding()
    return np.array(blocks, np.int64)


def _read_table(reader: Reader) -> Table:
    """Return the table of the next context."""
    slots: Table = []
    for token in range(reader.varint(256)):
        width = reader.varint(4_096 - len(slots), least=1)
        slots += [(token, len(slots), width)] * width
    must(len(slots) in (0, 4_096), "the probabilities of a table do not sum to 4,096")
    return slots


def _read_block(coder: Coder, tables: list[Table], rows: int, columns: int) -> Iterator[list[int]]:
    above = [0] * columns
    for _ in range(rows):
        row: list[int] = []
        left = 0
        for a in above:
            context = 0 if len(tables) == 1 else _context(a, left)
            left = _read_element(coder, tables[context])
            row.append(left)
        yield row
        above = row


def _context(above: int, left: int) -> int:
    s = min(2 * above + left, 255)
    if s < 4:
        return s
    e = s.bit_length() - 1
    return 2 * e + (s >> (e - 1)) % 2


def _read_element(coder: Coder, table: Table) -> int:
    must(bool(table), "an element has a context without a table")
    token, first, width = table[coder.target >> 12]
    coder.pop(first << 12, width << 12)
    if token < 240:
        return token
    e = token - 240 + 7
    value, shift = 1 << e, 0
    while shift < e:
        bits = min(12, e - shift)
        piece = coder.target >> (24 - bits)
        coder.pop(piece << (24 - bits), 1 << (24 - bits))
        value += piece << shift
        shift += bits
    must(value >= 240, f"the element {value} is in the long form")
    return value
