"""Integers only: checks of what callers hand in, and the exact normalisation of counts to frequencies."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuralcodec.errors import EntropyCodingError

PRECISION = 24
"""Bits of the coder's probabilities: the frequencies of a model count 2^-PRECISION at the most."""

ALPHABET_LIMIT = 4096
"""Symbols of the largest alphabet; every symbol costs one count, so a larger one would waste probability."""

ELEMENT_LIMIT = 1 << 23
"""Elements of a coded tensor are below this: the last token holds no more."""

SIZE_LIMIT = 1 << 28
"""Elements of the largest tensor."""

# c * 2^24 must fit int64; larger totals take Python's integers, with the same result.
_INT64_TOTAL = 1 << (62 - PRECISION)


def integer_array(name: str, values: ArrayLike, ndim: int | tuple[int, ...]) -> NDArray[np.int64]:
    """Return `values` as int64, refusing anything that is not an integer array of the rank asked for.

    Parameters
    ----------
    name
        What the values are, for the message.
    values
        Array of any integer dtype, or nested sequences of integers. bool and float are refused: what they
        mean as symbols would be a guess.
    ndim
        The rank, or the ranks, that are accepted.

    Raises
    ------
    EntropyCodingError
        For another dtype or rank, or a value that int64 cannot hold.

    >>> integer_array("symbols", np.array([1, 2], dtype=np.uint8), 1)
    array([1, 2])
    >>> integer_array("symbols", [0.5], 1)
    Traceback (most recent call last):
    ...
    neuralcodec.errors.EntropyCodingError: symbols must be integers, not float64; use .astype(int32)
    """
    array = _integers(name, values, ndim)
    if array.dtype == np.uint64 and array.size and int(array.max()) > np.iinfo(np.int64).max:
        raise EntropyCodingError(f"{name} hold {int(array.max())}, which does not fit int64")
    return array.astype(np.int64, copy=False)


def _integers(name: str, values: ArrayLike, ndim: int | tuple[int, ...]) -> NDArray[np.integer[Any]]:
    """Return `values` as an array of an integer dtype and a rank of `ndim`; see :func:`integer_array`."""
    try:
        array = np.asarray(values)
    except (ValueError, TypeError, OverflowError) as error:
        raise EntropyCodingError(f"{name} cannot be read as an array: {error}") from error
    if array.dtype.kind not in "iu":
        raise EntropyCodingError(f"{name} must be integers, not {array.dtype}; use .astype(int32)")
    ranks = (ndim,) if isinstance(ndim, int) else ndim
    if array.ndim not in ranks:
        expected = " or ".join(map(str, ranks))
        raise EntropyCodingError(f"{name} must be an array of rank {expected}, not of shape {array.shape}")
    return array


def checked_integer(name: str, value: object, low: int, high: int) -> int:
    """Return `value` as int, refusing what is not an integer (numpy's are integers) in [low, high]."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise EntropyCodingError(f"{name} must be an integer, not {type(value).__name__}")
    if not low <= value <= high:
        raise EntropyCodingError(f"{name} is {value}; it must be {low} to {high}")
    return int(value)


def checked_matrix(values: ArrayLike) -> NDArray[np.uint32]:
    """Return `values` as a C-contiguous matrix, refusing what no tensor body can hold; see encode_tensor."""
    matrix = _integers("tensor elements", values, 2)
    if matrix.shape != (0, 0) and 0 in matrix.shape:
        raise EntropyCodingError(f"a tensor without elements has the shape (0, 0), not {matrix.shape}")
    if matrix.size > SIZE_LIMIT:
        raise EntropyCodingError(f"a tensor has at most 2^28 elements, not {matrix.size}")
    if matrix.size and not (int(matrix.min()) >= 0 and int(matrix.max()) < ELEMENT_LIMIT):
        raise EntropyCodingError(
            f"elements must be 0 to {ELEMENT_LIMIT - 1}; found {int(matrix.min())} to {int(matrix.max())}"
        )
    return np.ascontiguousarray(matrix, dtype=np.uint32)


def normalise_counts(counts: ArrayLike, precision: int = PRECISION) -> NDArray[np.int64]:
    """Turn counts into frequencies of at least 1 that sum to 2^precision, by exact integer arithmetic.

    The method is that of largest remainders (Hamilton's), with a minimum of one:

    1. The quota of a symbol is ``count * budget / total``, over the symbols that are still open.
    2. Open symbols whose quota is below 1 get the frequency 1 and are closed; budget and total are reduced.
       Steps 1 and 2 repeat until no quota is below 1 (the budget is never below the number of open symbols,
       so one quota is always at least 1).
    3. Open symbols get the floor of their quota; what is left of the budget goes, one each, to the largest
       remainders, of equal ones to those with the lower index.

    Parameters
    ----------
    counts
        Shape (A,) or (n, A): non-negative integers, each row with a positive sum; rows are normalised apart.
    precision
        Bits of the sum, 1 to 24; 2^precision must be at least A.

    Returns
    -------
    int64 array of the shape of `counts`.

    Raises
    ------
    EntropyCodingError
        For counts that are not integers, negative, all zero, or more than 2^precision or 4,096 symbols.

    >>> normalise_counts([0, 1, 1000], precision=4)
    array([ 1,  1, 14])
    >>> normalise_counts([1, 1, 1], precision=2)
    array([2, 1, 1])
    """
    table = integer_array("counts", counts, (1, 2))
    bits = checked_integer("precision", precision, 1, PRECISION)
    alphabet = table.shape[-1]
    limit = min(ALPHABET_LIMIT, 1 << bits)
    if not 1 <= alphabet <= limit:
        raise EntropyCodingError(
            f"{alphabet} symbols at a precision of {bits} bits; there must be 1 to {limit}"
        )
    if table.size and int(table.min()) < 0:
        raise EntropyCodingError(f"counts must not be negative: {int(table.min())}")
    rows = [_normalise_row(row, 1 << bits) for row in table.reshape(-1, alphabet)]
    return np.array(rows, dtype=np.int64).reshape(table.shape)


def _normalise_row(counts: NDArray[np.int64], budget: int) -> NDArray[np.int64]:
    """Return the frequencies of one row of counts; see :func:`normalise_counts`."""
    total = sum(counts.tolist())
    if total == 0:
        raise EntropyCodingError("all counts are zero: give at least one symbol a count")
    share: NDArray[Any] = counts if total <= _INT64_TOTAL else counts.astype(object)
    frequencies = np.ones(len(counts), dtype=np.int64)
    opened = np.ones(len(counts), dtype=np.bool_)
    while True:
        below = opened & (share * budget < total)
        if not below.any():
            break
        opened &= ~below
        budget -= int(below.sum())
        total -= int(share[below].sum())
    quota = share[opened] * budget
    floors = (quota // total).astype(np.int64)
    left = budget - int(floors.sum())
    order = np.argsort(-(quota % total), kind="stable")
    floors[order[:left]] += 1
    frequencies[opened] = floors
    return frequencies
