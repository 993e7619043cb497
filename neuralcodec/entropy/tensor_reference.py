"""The slow, obvious coder of integer tensors: docs/format.md, section 6, step by step on constriction.

It exists to be compared with: the native coder must read its bodies and it must read the native ones.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuralcodec.entropy.ans import AnsDecoder, AnsEncoder
from neuralcodec.entropy.integers import PRECISION, SIZE_LIMIT, checked_matrix, normalise_counts
from neuralcodec.entropy.models import Categorical
from neuralcodec.errors import CorruptFile, EntropyCodingError, TruncatedFile

TABLE_PRECISION = 12
"""Bits of a table: its frequencies sum to 4,096."""

ELEMENTS_PER_BYTE = 4096
"""A body must have at least a byte for so many elements, which bounds what a small file can unpack to."""

_FIRST_ESCAPE = 240
_PIECE_BITS = 12
_BLOCK_ELEMENTS = 1 << 16


@dataclass(frozen=True)
class TensorLayout:
    """What an encoder may choose: tables of 1 or 16 contexts (int64, sum 4,096, or empty), block height."""

    tables: tuple[NDArray[np.int64], ...]
    rows_per_block: int


def tokenise(value: int) -> tuple[int, list[tuple[int, int]]]:
    """Return the token of an element, and its low bits as pieces (value, bits), least significant first.

    >>> tokenise(239), tokenise(240), tokenise(5000)
    ((239, []), (240, [(112, 7)]), (245, [(904, 12)]))
    """
    if value < _FIRST_ESCAPE:
        return value, []
    exponent = value.bit_length() - 1
    pieces = []
    for shift in range(0, exponent, _PIECE_BITS):
        bits = min(_PIECE_BITS, exponent - shift)
        pieces.append(((value >> shift) & ((1 << bits) - 1), bits))
    return _FIRST_ESCAPE + exponent - 7, pieces


def context_of(above: int, left: int) -> int:
    """Return the context, of 16, of an element whose neighbours are `above` and `left` (0 outside).

    >>> [context_of(a, 0) for a in (0, 1, 2, 3, 100, 10**6)]
    [0, 2, 4, 5, 15, 15]
    """
    s = min(2 * above + left, 255)
    if s < 4:
        return s
    e = s.bit_length() - 1
    return 2 * e + (s >> (e - 1)) % 2


def encode_tensor_reference(
    values: ArrayLike, *, contexts: Literal[1, 16] | None = None, layout: TensorLayout | None = None
) -> bytes:
    """Encode a matrix into a tensor body.

    Parameters
    ----------
    values
        Shape (R, C), any integer dtype, elements 0 to 2^23 - 1, at most 2^28 of them. (0, 0) gives no bytes.
    contexts
        1 or 16; None takes what turns out shorter.
    layout
        The tables and the block height; None makes tables from the counts, and blocks of about 65,536
        elements.

    Raises
    ------
    EntropyCodingError
        For values that a body cannot hold, and for a layout whose tables lack a token that is needed.

    >>> body = encode_tensor_reference([[0, 300], [0, 301]])
    >>> decode_tensor_reference(body, 2, 2)
    array([[  0, 300],
           [  0, 301]], dtype=uint16)
    """
    matrix = checked_matrix(values)
    if not matrix.size:
        return b""
    if layout is not None:
        return _encode(matrix, layout)
    rows_per_block = max(1, _BLOCK_ELEMENTS // matrix.shape[1])
    wanted = (1, 16) if contexts is None else (contexts,)
    layouts = [TensorLayout(_tables(matrix, number, rows_per_block), rows_per_block) for number in wanted]
    return min((_encode(matrix, choice) for choice in layouts), key=len)


def decode_tensor_reference(body: bytes, rows: int, cols: int) -> NDArray[Any]:
    """Decode a tensor body into a matrix of shape (rows, cols).

    Returns
    -------
    uint8, uint16 or uint32 array: the narrowest that holds the largest element.

    Raises
    ------
    CorruptFile
        If the body breaks a rule of the format; TruncatedFile where it ends too early.
    """
    if rows == cols == 0 and not body:
        return np.zeros((0, 0), dtype=np.uint8)
    layout, blocks = parse_body(body, rows, cols)
    models = [Categorical(t, precision=TABLE_PRECISION) if len(t) else None for t in layout.tables]
    parts = []
    for number, data in enumerate(blocks):
        height = min(layout.rows_per_block, rows - number * layout.rows_per_block)
        try:
            parts.append(_decode_block(data, height, cols, models))
        except EntropyCodingError as error:
            raise CorruptFile(str(error), f"tensor block {number}") from error
    matrix = np.concatenate(parts)
    return matrix.astype(np.min_scalar_type(int(matrix.max())))


def parse_body(body: bytes, rows: int, cols: int) -> tuple[TensorLayout, list[bytes]]:
    """Return the layout of a body and the coder bytes of its blocks; raises CorruptFile."""
    if rows < 1 or cols < 1 or rows * cols > SIZE_LIMIT:
        raise CorruptFile(
            f"a tensor of {rows} x {cols} elements; the limit is 2^28, the least 1", "tensor body"
        )
    if rows * cols > ELEMENTS_PER_BYTE * len(body):
        raise CorruptFile(f"{len(body)} bytes are too few for {rows * cols} elements", "tensor body")
    reader = _Reader(body)
    number = reader.take(1)[0]
    if number not in (1, 16):
        raise CorruptFile(f"{number} contexts; there must be 1 or 16", "tensor body")
    tables = tuple(_read_table(reader) for _ in range(number))
    height = reader.varint()
    if not 1 <= height <= SIZE_LIMIT:
        raise CorruptFile(f"blocks of {height} rows; there must be 1 to 2^28", "tensor body")
    lengths = [reader.varint() for _ in range(-(-rows // height))]
    blocks = [reader.take(length) for length in lengths]
    if any(reader.rest()):
        raise CorruptFile("the padding is not zero", "tensor body")
    return TensorLayout(tables, height), blocks


def _read_table(reader: "_Reader") -> NDArray[np.int64]:
    tokens = reader.varint()
    if tokens > 256:
        raise CorruptFile(f"a table of {tokens} tokens; there are 256 at the most", "tensor body")
    table = [reader.varint() for _ in range(tokens)]
    if table and (min(table) < 1 or sum(table) != 1 << TABLE_PRECISION):
        raise CorruptFile(f"a table with least entry {min(table)} and sum {sum(table)}", "tensor body")
    return np.array(table, dtype=np.int64)


class _Reader:
    """Reads bytes and varints (docs/format.md, section 1) from the front of a body."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, length: int) -> bytes:
        if length > len(self._data) - self._at:
            raise TruncatedFile(
                f"{length} bytes are wanted at {self._at} of {len(self._data)}", "tensor body"
            )
        self._at += length
        return self._data[self._at - length : self._at]

    def rest(self) -> bytes:
        return self._data[self._at :]

    def varint(self) -> int:
        value = 0
        for shift in range(0, 63, 7):
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if byte == 0 and shift:
                    raise CorruptFile("a varint is not in its shortest form", "tensor body")
                return value
        raise CorruptFile("a varint has more than 9 bytes", "tensor body")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


@cache
def _piece_model(bits: int) -> Categorical:
    return Categorical(np.full(1 << bits, 1 << (PRECISION - bits)))


def _visit(block: NDArray[np.uint32], contexts: int) -> Iterator[tuple[int, int]]:
    """Yield context and value of the elements of a block in coding order."""
    rows: list[list[int]] = block.tolist()
    above = [0] * block.shape[1]
    for row in rows:
        left = 0
        for value, up in zip(row, above, strict=True):
            yield (context_of(up, left) if contexts == 16 else 0), value
            left = value
        above = row


def _blocks(matrix: NDArray[np.uint32], height: int) -> Iterator[NDArray[np.uint32]]:
    return (matrix[start : start + height] for start in range(0, len(matrix), height))


def _tables(matrix: NDArray[np.uint32], contexts: int, rows_per_block: int) -> tuple[NDArray[np.int64], ...]:
    counts = np.zeros((contexts, 256), dtype=np.int64)
    for block in _blocks(matrix, rows_per_block):
        for context, value in _visit(block, contexts):
            counts[context, tokenise(value)[0]] += 1
    trimmed = (np.trim_zeros(row, "b") for row in counts)
    return tuple(normalise_counts(row, TABLE_PRECISION) if len(row) else row for row in trimmed)


def _encode(matrix: NDArray[np.uint32], layout: TensorLayout) -> bytes:
    models = [Categorical(t, precision=TABLE_PRECISION) if len(t) else None for t in layout.tables]
    blocks = [_encode_block(block, models) for block in _blocks(matrix, layout.rows_per_block)]
    parts = [bytes([len(layout.tables)])]
    for table in layout.tables:
        parts += [_varint(entry) for entry in (len(table), *table.tolist())]
    parts += [_varint(entry) for entry in (layout.rows_per_block, *map(len, blocks))]
    body = b"".join(parts + blocks)
    return body.ljust(-(-matrix.size // ELEMENTS_PER_BYTE), b"\0")


def _encode_block(block: NDArray[np.uint32], models: list[Categorical | None]) -> bytes:
    symbols: list[tuple[int, Categorical]] = []
    for context, value in _visit(block, len(models)):
        model = models[context]
        if model is None:
            raise EntropyCodingError(f"context {context} occurs but has no table")
        token, pieces = tokenise(value)
        symbols.append((token, model))
        symbols += [(piece, _piece_model(bits)) for piece, bits in pieces]
    encoder = AnsEncoder()
    for symbol, model in reversed(symbols):
        encoder.encode_reverse(np.array([symbol]), model)
    return encoder.to_bytes()


def _decode_block(data: bytes, rows: int, cols: int, models: list[Categorical | None]) -> NDArray[np.int64]:
    decoder = AnsDecoder(data)
    block = np.zeros((rows, cols), dtype=np.int64)
    above = [0] * cols
    for r in range(rows):
        row: list[int] = []
        for c in range(cols):
            context = context_of(above[c], row[-1] if row else 0) if len(models) == 16 else 0
            row.append(_decode_element(decoder, context, models[context]))
        block[r] = above = row
    decoder.finish()
    return block


def _decode_element(decoder: AnsDecoder, context: int, model: Categorical | None) -> int:
    if model is None:
        raise EntropyCodingError(f"context {context} occurs but has no table")
    token = int(decoder.decode(model, 1)[0])
    if token < _FIRST_ESCAPE:
        return token
    exponent = token - _FIRST_ESCAPE + 7
    value = 1 << exponent
    for shift in range(0, exponent, _PIECE_BITS):
        bits = min(_PIECE_BITS, exponent - shift)
        value |= int(decoder.decode(_piece_model(bits), 1)[0]) << shift
    if value < _FIRST_ESCAPE:
        raise EntropyCodingError(f"the element {value} is not coded by its own token")
    return value
