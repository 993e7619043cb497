"""Integer checks and the exact normalisation of counts."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuralcodec.entropy.integers import (
    checked_integer,
    checked_matrix,
    integer_array,
    normalise_counts,
)
from neuralcodec.errors import EntropyCodingError


@pytest.mark.parametrize(
    ("counts", "precision", "frequencies"),
    [
        ([1, 1], 1, [1, 1]),
        ([1, 1, 1], 24, [5592406, 5592405, 5592405]),  # equal remainders: the lower index first
        ([0, 0, 5], 24, [1, 1, 2**24 - 2]),
        ([5], 24, [2**24]),
        ([1, 2, 3, 4], 4, [2, 3, 5, 6]),  # quotas 1.6 3.2 4.8 6.4
        ([1, 1, 1, 97], 4, [1, 1, 1, 13]),
        ([3, 3, 100], 5, [1, 1, 30]),  # quotas 0.9 0.9 30.2
        # closing the first symbols lowers the others' quotas below 1 in turn
        ([1, 40, 100000], 2, [1, 1, 2]),
        ([0] * 4095 + [1], 12, [1] * 4096),
        ([2**62, 2**62], 3, [4, 4]),
        ([2**62, 2**60], 3, [6, 2]),  # quotas 6.4 1.6
    ],
)
def test_exact_frequencies(counts: list[int], precision: int, frequencies: list[int]) -> None:
    assert normalise_counts(counts, precision).tolist() == frequencies


@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=30).filter(any), st.integers(5, 24))
def test_normalisation_properties(counts: list[int], precision: int) -> None:
    frequencies = normalise_counts(counts, precision).tolist()
    assert sum(frequencies) == 2**precision
    assert min(frequencies) >= 1
    for i, (c, f) in enumerate(zip(counts, frequencies, strict=True)):
        for d, g in zip(counts[i + 1 :], frequencies[i + 1 :], strict=True):
            assert f >= g if c >= d else f <= g  # order is kept, ties by index
    # those above 1 share what the others leave, each within one count of its quota
    large = [(c, f) for c, f in zip(counts, frequencies, strict=True) if f > 1]
    budget, total = sum(f for _, f in large), sum(c for c, _ in large)
    closed = [c for c, f in zip(counts, frequencies, strict=True) if f == 1]
    for c, f in large:
        assert abs(Fraction(c * budget, total) - f) < 1 + Fraction(len(closed), budget) * f


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=8).filter(any), st.integers(2**31, 2**50))
def test_the_scale_of_counts_does_not_matter(counts: list[int], factor: int) -> None:
    large = [c * factor for c in counts]  # beyond 2^38 the sums run in Python's integers
    assert normalise_counts(large, 12).tolist() == normalise_counts(counts, 12).tolist()


def test_rows_are_normalised_apart() -> None:
    table = normalise_counts([[1, 3], [0, 7]], 3)
    assert table.tolist() == [[2, 6], [1, 7]]
    assert table.dtype == np.int64


@pytest.mark.parametrize(
    ("counts", "precision", "message"),
    [
        ([0, 0], 24, "all counts are zero"),
        ([-1, 2], 24, "not be negative: -1"),
        ([1.0, 2.0], 24, "integers, not float64"),
        ([], 24, "integers, not float64"),
        (np.zeros(0, dtype=int), 24, "0 symbols"),
        ([1] * 4097, 24, "4097 symbols"),
        ([1] * 5, 2, "5 symbols at a precision of 2 bits; there must be 1 to 4"),
        ([1, 2], 25, "precision is 25; it must be 1 to 24"),
        ([1, 2], 0, "precision is 0"),
        ([[[1]]], 24, "rank 1 or 2"),
    ],
)
def test_bad_counts_are_refused(counts: object, precision: int, message: str) -> None:
    with pytest.raises(EntropyCodingError, match=message):
        normalise_counts(counts, precision)  # type: ignore[arg-type]


def test_integer_array_keeps_values_of_any_integer_dtype() -> None:
    for dtype in (np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.uint64, np.int64):
        result = integer_array("x", np.array([0, 1, 127], dtype=dtype), 1)
        assert result.dtype == np.int64
        assert result.tolist() == [0, 1, 127]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([True]), "bool"),
        (np.array([1 + 2j]), "complex"),
        (["a"], "<U1"),
        ([[1], [1, 2]], "cannot be read"),
        ([None], "object"),
        (np.array([2**64 - 1], dtype=np.uint64), "does not fit int64"),
        (7, "rank 1"),
    ],
)
def test_other_arrays_are_refused(values: object, message: str) -> None:
    with pytest.raises(EntropyCodingError, match=message):
        integer_array("x", values, 1)  # type: ignore[arg-type]


def test_checked_integer() -> None:
    assert checked_integer("n", np.uint8(7), 0, 7) == 7
    for value in (8, -1, 1.0, True, "7", None):
        with pytest.raises(EntropyCodingError, match="n "):
            checked_integer("n", value, 0, 7)


def test_checked_matrix() -> None:
    fortran = np.asfortranarray(np.arange(6, dtype=np.int16).reshape(2, 3))
    matrix = checked_matrix(fortran)
    assert matrix.dtype == np.uint32
    assert matrix.flags.c_contiguous
    assert matrix.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert checked_matrix(np.zeros((0, 0), dtype=int)).shape == (0, 0)
    assert checked_matrix([[2**23 - 1]]).tolist() == [[2**23 - 1]]
    for values in ([[2**23]], [[-1]], [[0.5]], [1, 2], np.zeros((0, 3), dtype=int), [[2**64 - 1]]):
        with pytest.raises(EntropyCodingError):
            checked_matrix(values)
