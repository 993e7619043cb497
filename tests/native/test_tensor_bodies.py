"""Tensor bodies through the native coder: what is written comes back, and what nobody writes is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from neuralcodec.container.primitives import varint
from neuralcodec.errors import CorruptFile, UnsupportedInput
from neuralcodec.native import decode_tensor, encode_tensor

TOP = 2**23 - 1


@st.composite
def matrices(draw: st.DrawFn) -> NDArray[np.uint32]:
    """Matrices that are sparse or dense, smooth or rough, with small or with huge elements."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows, cols = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    top = draw(st.sampled_from([1, 2, 239, 240, 255, 256, 4095, 2**16, TOP]))
    values = rng.integers(0, top, (rows, cols), endpoint=True)
    values[rng.random((rows, cols)) < draw(st.sampled_from([0.0, 0.5, 0.99, 1.0]))] = 0
    if draw(st.booleans()):
        values = np.sort(values, axis=draw(st.integers(0, 1)))
    values[rng.integers(rows), rng.integers(cols)] = top
    return values.astype(np.uint32)


@given(matrices(), st.integers(1, 3))
@settings(max_examples=150, deadline=None)
def test_matrices_come_back(values: NDArray[np.uint32], threads: int) -> None:
    decoded = decode_tensor(encode_tensor(values), len(values), len(values[0]), threads)
    assert np.array_equal(decoded, values)
    assert decoded.dtype == (np.uint8 if values.max() < 240 else np.uint32)


@pytest.mark.parametrize(
    ("rows", "cols", "top"),
    [(1, 2**19, 3), (2**19, 1, 3), (3, 2**18 + 1, 3), (700, 1000, 250), (700, 1000, TOP), (2048, 1024, 0)],
)
def test_matrices_of_several_blocks_come_back(rows: int, cols: int, top: int) -> None:
    values = np.random.default_rng(rows).integers(0, top, (rows, cols), endpoint=True, dtype=np.uint32)
    body = encode_tensor(values)
    bodies = [decode_tensor(body, rows, cols, threads=threads) for threads in (1, 2, 8)]
    assert all(np.array_equal(values, decoded) for decoded in bodies)
    assert len(body) * 4096 >= values.size


@pytest.mark.parametrize("element", [0, 1, 239, 240, 255, 256, 257, 2**12, 2**22 - 1, 2**22, TOP])
def test_every_size_of_element_comes_back_alone(element: int) -> None:
    assert decode_tensor(encode_tensor(np.array([[element]])), 1, 1).tolist() == [[element]]


def test_random_elements_cost_little_more_than_their_entropy() -> None:
    rng = np.random.default_rng(3)
    values = rng.geometric(0.2, (300, 300)) - 1
    counts = np.bincount(values.ravel())
    share = counts[counts > 0] / values.size
    ideal = -(counts[counts > 0] * np.log2(share)).sum() / 8
    assert ideal - 40 < len(encode_tensor(values)) < 1.01 * ideal + 100


def body(
    tables: list[list[int]],
    height: int,
    blocks: list[bytes],
    padding: bytes = b"",
    contexts: int | None = None,
) -> bytes:
    """Write a body by hand (docs/format.md, section 6)."""
    parts = [bytes([len(tables) if contexts is None else contexts])]
    for table in tables:
        parts += [varint(len(table)), *map(varint, table)]
    parts += [varint(height), *(varint(len(block)) for block in blocks), *blocks, padding]
    return b"".join(parts)


EVEN = [2048, 2048]


def test_a_body_by_hand_is_read() -> None:
    assert decode_tensor(body([EVEN], 2, [b""]), 2, 2).tolist() == [[0, 0], [0, 0]]
    assert decode_tensor(body([EVEN], 1, [b"", b""], bytes(3)), 2, 1).tolist() == [[0], [0]]
    assert decode_tensor(body([EVEN, *[[]] * 15], 2**28, [b""]), 1, 5).tolist() == [[0] * 5]


@pytest.mark.parametrize(
    ("damaged", "message"),
    [
        (b"", "too short for its shape"),
        (body([EVEN], 2, [b""], contexts=0), "contexts must be 1 or 16, not 0"),
        (body([EVEN], 2, [b""], contexts=2), "contexts must be 1 or 16, not 2"),
        (body([[2048, 2047]], 2, [b""]), "does not sum to 4096"),
        (body([[2048, 2049]], 2, [b""]), "does not sum to 4096"),
        (body([[4096, 0]], 2, [b""]), "does not sum to 4096"),
        (body([[4097]], 2, [b""]), "out of range: 4097"),
        (body([[1] * 257], 2, [b""]), "out of range: 257"),
        (body([[]], 2, [b""]), "block 0 is damaged"),
        (body([EVEN, *[[]] * 14], 2, [b""], contexts=16), "ends early|sum|out of range|no rows"),
        (body([EVEN], 0, [b""]), "blocks of no rows"),
        (body([EVEN], 2**28 + 1, [b""]), "out of range"),
        (body([EVEN], 1, [b""]), "ends early"),  # two blocks of one row, but one length
        (body([EVEN], 2, [b""])[:-1] + b"\5", "ends early"),
        (body([EVEN], 2, [b""])[:-2] + b"\x82\x00\x00", "overlong varint"),
        (body([EVEN], 2, [b""])[:-2] + b"\x80" * 9 + b"\x01\x00", "overlong varint"),
        (body([EVEN], 2, [b""], b"\0\1"), "padding is not zero"),
        (body([EVEN], 2, [b"\0"]), "block 0 is damaged"),  # coder bytes that end in 0
        (body([EVEN], 2, [bytes(7) + b"\1"]), "block 0 is damaged"),  # coder not empty
        (body([EVEN], 1, [b"", bytes(8) + b"\1"]), "block 1 is damaged"),
    ],
)
def test_what_breaks_a_rule_is_refused(damaged: bytes, message: str) -> None:
    with pytest.raises(CorruptFile, match=message) as caught:
        decode_tensor(damaged, 2, 2)
    assert caught.value.section == "tensor"


def test_a_stream_that_meets_a_context_without_table_is_refused() -> None:
    tables = [EVEN, *[[] for _ in range(15)]]
    assert decode_tensor(body(tables, 1, [b""]), 1, 2).tolist() == [[0, 0]]
    ones = b"\x00\x00\x80"  # state 2^23: the first symbol is token 1, whose right neighbour has context 1
    with pytest.raises(CorruptFile, match="block 0 is damaged"):
        decode_tensor(body(tables, 1, [ones]), 1, 2)


@pytest.mark.parametrize(
    ("rows", "cols"),
    [(0, 3), (3, 0), (2**28 + 1, 1), (1, 2**28 + 1), (2**15, 2**14), (2**40, 2**40), (1, 10**7)],
)
def test_impossible_shapes_are_refused_before_memory_is_taken(rows: int, cols: int) -> None:
    with pytest.raises(CorruptFile, match="shape"):
        decode_tensor(body([EVEN], 2, [b""]), rows, cols)


@given(st.binary(max_size=80), st.integers(1, 70), st.integers(1, 70))
@settings(max_examples=300, deadline=None)
def test_noise_is_refused_or_gives_a_matrix(noise: bytes, rows: int, cols: int) -> None:
    try:
        decoded = decode_tensor(noise, rows, cols, threads=1)
    except CorruptFile:
        return
    assert decoded.shape == (rows, cols)
    assert decoded.max() <= TOP


@pytest.mark.parametrize(
    "values",
    [np.zeros(3, int), np.zeros((1, 1, 1), int), np.zeros((2, 2)), np.array([[-1]]), np.array([[TOP + 1]])],
)
def test_what_a_body_cannot_hold_is_not_written(values: NDArray[np.generic]) -> None:
    with pytest.raises(UnsupportedInput):
        encode_tensor(values)
