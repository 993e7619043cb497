"""The tensor body: the native coder and the reference on constriction read each other's bytes."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from neuralcodec.entropy.tensor import decode_tensor, encode_tensor
from neuralcodec.entropy.tensor_reference import (
    ELEMENTS_PER_BYTE,
    TensorLayout,
    context_of,
    decode_tensor_reference,
    encode_tensor_reference,
    parse_body,
    tokenise,
)
from neuralcodec.errors import CorruptFile, EntropyCodingError, TruncatedFile

from .rans_reference import encode_reverse

Matrix = NDArray[np.int64]
BOTH = pytest.mark.parametrize("decode", [decode_tensor, decode_tensor_reference])
EDGES = [0, 1, 2, 3, 4, 239, 240, 255, 256, 4095, 4096, 2**19 - 1, 2**19, 2**22, 2**23 - 1]


@st.composite
def matrices(draw: st.DrawFn) -> Matrix:
    """Matrices of edge values, of small values with structure, of zeros, of one value."""
    rows, cols = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["edges", "small", "smooth", "constant", "wide"]))
    if kind == "edges":
        return rng.choice(np.array(EDGES), (rows, cols))
    if kind == "small":
        return rng.integers(0, draw(st.sampled_from([1, 2, 5, 240, 256])), (rows, cols))
    if kind == "smooth":
        return np.abs(np.cumsum(rng.integers(-3, 4, (rows, cols)), axis=1)) * draw(st.sampled_from([1, 60]))
    if kind == "constant":
        return np.full((rows, cols), draw(st.sampled_from(EDGES)))
    return rng.integers(0, 2**23, (rows, cols))


@given(matrices())
def test_each_reads_what_the_other_wrote(values: Matrix) -> None:
    rows, cols = values.shape
    for body in (encode_tensor(values), encode_tensor_reference(values)):
        assert np.array_equal(decode_tensor(body, rows, cols), values)
        assert np.array_equal(decode_tensor_reference(body, rows, cols), values)


@given(matrices())
def test_the_same_choices_give_the_same_bytes(values: Matrix) -> None:
    body = encode_tensor(values)
    layout, _ = parse_body(body, *values.shape)
    assert encode_tensor_reference(values, layout=layout) == body


@given(matrices(), st.integers(1, 14), st.sampled_from([1, 16]))
def test_blocks_of_any_height(values: Matrix, height: int, contexts: Any) -> None:
    layout, _ = parse_body(encode_tensor_reference(values[:1], contexts=contexts), 1, values.shape[1])
    complete = np.full(256, 16)  # every token, 16 counts each
    layout = TensorLayout((complete,) * len(layout.tables), height)
    body = encode_tensor_reference(values, layout=layout)
    parsed, blocks = parse_body(body, *values.shape)
    assert (len(parsed.tables), parsed.rows_per_block, len(blocks)) == (
        contexts,
        height,
        -(-len(values) // height),
    )
    assert np.array_equal(decode_tensor(body, *values.shape), values)
    assert np.array_equal(decode_tensor_reference(body, *values.shape), values)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_several_native_blocks(threads: int) -> None:
    rng = np.random.default_rng(0)
    values = rng.geometric(0.05, (900, 700)) * (rng.random((900, 700)) < 0.9)
    body = encode_tensor(values)
    layout, blocks = parse_body(body, *values.shape)
    assert len(blocks) >= 3
    assert np.array_equal(decode_tensor(body, 900, 700, threads), values)
    part = layout.rows_per_block  # the blocks stand alone: the last one is a tensor of its own
    last = TensorLayout(layout.tables, part)
    first_row = (len(blocks) - 1) * part
    alone = encode_tensor_reference(values[first_row : first_row + 2], layout=last)
    assert np.array_equal(decode_tensor(alone, 2, values.shape[1]), values[first_row : first_row + 2])


@BOTH
@pytest.mark.parametrize(
    "dtype", [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.uint64, np.int64]
)
def test_any_integer_dtype_and_order(decode: Any, dtype: Any) -> None:
    values = np.arange(6, dtype=dtype).reshape(2, 3)
    bodies = {encode_tensor(values), encode_tensor(np.asfortranarray(values)), encode_tensor(values.tolist())}
    assert len(bodies) == 1
    decoded = decode(bodies.pop(), 2, 3)
    assert decoded.dtype == np.uint8
    assert decoded.tolist() == [[0, 1, 2], [3, 4, 5]]


@BOTH
def test_no_elements(decode: Any) -> None:
    nothing = np.zeros((0, 0), dtype=np.uint8)
    assert encode_tensor(nothing) == encode_tensor_reference(nothing) == b""
    assert decode(b"", 0, 0).shape == (0, 0)
    with pytest.raises(CorruptFile):
        decode(b"\x01", 0, 0)
    with pytest.raises(CorruptFile):
        decode(b"", 1, 1)


@pytest.mark.parametrize("encode", [encode_tensor, encode_tensor_reference])
@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[2**23]], "elements must be 0 to 8388607; found 8388608 to 8388608"),
        ([[3, -1]], "found -1 to 3"),
        ([1, 2], "rank 2"),
        ([[0.5]], "integers"),
        (np.zeros((0, 4), dtype=int), r"shape \(0, 0\), not \(0, 4\)"),
    ],
)
def test_what_no_body_holds_is_refused(encode: Any, values: Any, message: str) -> None:
    with pytest.raises(EntropyCodingError, match=message):
        encode(values)


def test_a_layout_without_the_context_is_refused() -> None:
    table, empty = np.array([2048, 2048]), np.zeros(0, dtype=np.int64)
    with pytest.raises(EntropyCodingError, match="context 2 occurs but has no table"):
        encode_tensor_reference([[0], [1], [0]], layout=TensorLayout((table, table, *[empty] * 14), 3))
    with pytest.raises(EntropyCodingError, match="symbol 5 at position 0 is outside"):
        encode_tensor_reference([[5]], layout=TensorLayout((table,), 1))


def test_tokens_and_contexts() -> None:
    assert tokenise(0) == (0, [])
    assert tokenise(255) == (240, [(127, 7)])
    assert tokenise(2**12) == (245, [(0, 12)])
    assert tokenise(2**13 + 5) == (246, [(5, 12), (0, 1)])
    assert tokenise(2**23 - 1) == (255, [(4095, 12), (1023, 10)])
    neighbours = [(0, 0), (0, 1), (1, 0), (1, 1), (2, 1), (3, 0), (4, 0), (0, 12), (127, 0), (0, 2**23 - 1)]
    assert [context_of(a, left) for a, left in neighbours] == [0, 1, 2, 3, 4, 5, 6, 7, 15, 15]


def by_hand(block: bytes, tables: list[list[int]], height: int = 1, padding: int = 0) -> bytes:
    head = [len(tables)]
    for table in tables:
        head.append(len(table))
        for entry in table:
            head += [entry & 0x7F | 0x80, entry >> 7] if entry >= 128 else [entry]
    return bytes([*head, height, len(block)]) + block + bytes(padding)


@BOTH
def test_a_body_made_by_hand(decode: Any) -> None:
    # row (1, 300): token 1, token 241, the low 8 bits of 300 (44)
    tokens = [1] * 241 + [4096 - 241]
    intervals = [(4096, 4096), (4096 * 241, 4096 * tokens[241]), (44 << 16, 1 << 16)]
    block = encode_reverse(intervals).to_bytes()
    table = b"\x01" + bytes([len(tokens) & 0x7F | 0x80, len(tokens) >> 7]) + b"\x01" * 241
    body = table + bytes([(4096 - 241) & 0x7F | 0x80, (4096 - 241) >> 7, 1, len(block)]) + block
    assert decode(body, 1, 2).tolist() == [[1, 300]]
    assert decode(body + bytes(5), 1, 2).tolist() == [[1, 300]]


@BOTH
def test_zeros_need_a_byte_for_every_4096(decode: Any) -> None:
    values = np.zeros((100, 4096), dtype=np.uint8)
    body = encode_tensor(values)
    assert len(body) == values.size // ELEMENTS_PER_BYTE
    assert not decode(body, *values.shape).any()
    with pytest.raises(CorruptFile):
        decode(body[:-1], *values.shape)


GOOD = by_hand(b"", [[2048, 2048]])  # an empty coder: zeros


@BOTH
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x02" + GOOD[1:],  # contexts
        by_hand(b"", [[2048, 2047]]),  # sums
        by_hand(b"", [[2048, 2049]]),
        by_hand(b"", [[0, 4095, 1]]),  # an entry of 0
        by_hand(b"", [[]]),  # no table for a context that occurs
        by_hand(b"", [[4096]], height=0),
        by_hand(b"", [[4096]], padding=1)[:-1] + b"\x01",  # padding
        by_hand(b"\x00", [[4096]]),  # coder bytes not canonical
        by_hand(b"\x01", [[4096]]),  # coder not empty at the end
        GOOD[:-1] + b"\x01",  # a block longer than the body
        GOOD[:-1] + b"\x80\x00",  # a varint not in its shortest form
        GOOD[:-1] + b"\x80" * 9 + b"\x01",  # a varint too long
        b"\x01\x81\x02" + b"\x10" * 257 + b"\x01\x00",  # 257 tokens
        b"\x10" + GOOD[1:],  # tables missing
    ],
)
def test_broken_bodies_are_refused(decode: Any, body: bytes) -> None:
    assert decode(GOOD, 1, 2).tolist() == [[0, 0]]
    with pytest.raises(CorruptFile):
        decode(body, 1, 2)


@BOTH
def test_an_escape_for_a_small_element_is_refused(decode: Any) -> None:
    tokens = [1] * 240 + [4096 - 240]
    head = b"\x01\xf1\x01" + b"\x01" * 240 + bytes([(4096 - 240) & 0x7F | 0x80, (4096 - 240) >> 7, 1])
    for bits, good in ((112, True), (111, False)):  # 128 + 111 = 239 has a token of its own
        block = encode_reverse([(4096 * 240, 4096 * tokens[240]), (bits << 17, 1 << 17)]).to_bytes()
        body = head + bytes([len(block)]) + block
        if good:
            assert decode(body, 1, 1).tolist() == [[240]]
        else:
            with pytest.raises(CorruptFile):
                decode(body, 1, 1)


@BOTH
@pytest.mark.parametrize(("rows", "cols"), [(0, 1), (1, 0), (2**28, 2), (2**14, 2**14 + 1), (1, 2**13)])
def test_shapes_beyond_the_limits_are_refused(decode: Any, rows: int, cols: int) -> None:
    with pytest.raises(CorruptFile):
        decode(GOOD[:1], rows, cols)


@given(st.data())
def test_damage_gives_both_the_same_matrix_or_both_an_error(data: st.DataObject) -> None:
    values = np.arange(300).reshape(20, 15) % 7 * data.draw(st.sampled_from([1, 50]))
    body = bytearray(encode_tensor(values))
    if data.draw(st.booleans()):
        body[data.draw(st.integers(0, len(body) - 1))] ^= data.draw(st.integers(1, 255))
    else:
        del body[data.draw(st.integers(0, len(body) - 1)) :]
    try:
        expected = decode_tensor_reference(bytes(body), 20, 15)
    except CorruptFile:
        with pytest.raises(CorruptFile):
            decode_tensor(bytes(body), 20, 15)
    else:
        assert np.array_equal(decode_tensor(bytes(body), 20, 15), expected)


def test_truncation_is_told_apart_by_the_reference() -> None:
    with pytest.raises(TruncatedFile):
        decode_tensor_reference(GOOD[:-2], 1, 2)


def test_level_tables_shrink() -> None:
    # rows of mostly zero levels with a few smooth peaks, as the tables of circuits are
    rng = np.random.default_rng(7)
    centre, width = rng.integers(0, 256, (64, 1)), rng.integers(2, 20, (64, 1))
    values = (200 * np.exp(-(((np.arange(256) - centre) / width) ** 2))).astype(np.uint8)
    body = encode_tensor(values)
    assert len(body) < values.size / 2.5
    assert len(body) <= len(encode_tensor_reference(values)) * 1.01
