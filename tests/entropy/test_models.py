"""Categorical tables: what they are built from, what they give, what they refuse."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuralcodec.entropy import Categorical
from neuralcodec.errors import EntropyCodingError

from .strategies import Table, tables

FULL = 1 << 24


@given(tables(max_alphabet=200))
def test_cdf_and_intervals_agree(table: Table) -> None:
    model = Categorical(table, low=-7)
    assert np.diff(model.cdf()).tolist() == table.tolist()
    starts, widths = model.intervals(model.offsets(np.arange(model.low, model.high + 1)))
    assert starts.tolist() == model.cdf()[:-1].tolist()
    assert widths.tolist() == table.tolist()
    assert np.array_equal(Categorical.from_cdf(model.cdf(), low=-7).cdf(), model.cdf())


def test_attributes() -> None:
    model = Categorical([3, 5, FULL - 8], low=10)
    assert (model.low, model.high, model.alphabet, model.precision, model.size) == (10, 12, 3, 24, None)
    assert model.dtype == np.int32
    assert Categorical([[1, 3], [2, 2]], precision=2).size == 2


def test_families_pick_a_row_for_each_symbol() -> None:
    family = Categorical([[1, 3], [2, 2], [3, 1]], precision=2)
    starts, widths = family.intervals(family.offsets([1, 1, 0]))
    assert starts.tolist() == [1, 2, 0]
    assert widths.tolist() == [3, 2, 3]
    chosen = family.select(np.array([2, 0, 2, 2], dtype=np.uint8))
    assert chosen.size == 4
    assert np.diff(chosen.cdf_rows(1, 3)).tolist() == [[1, 3], [3, 1]]
    assert chosen.intervals(chosen.offsets([0, 1, 1, 0]))[1].tolist() == [3, 3, 1, 3]


def test_information_is_the_ideal_code_length() -> None:
    assert Categorical([FULL // 2, FULL // 4, FULL // 4]).information([0, 1, 2, 2]) == 7.0
    assert Categorical([FULL]).information([0, 0, 0]) == 0.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"frequencies": [1, 2]}, r"table 0 sums to 3, not to 2\^24"),
        ({"frequencies": [[1, 1], [1, 2]], "precision": 1}, "table 1 sums to 3"),
        ({"frequencies": [0, FULL]}, "table 0 gives symbol 0 the frequency 0; every symbol needs"),
        ({"frequencies": [FULL + 1, -1]}, "symbol 1 the frequency -1"),
        ({"frequencies": [FULL, 1], "low": 5}, "sums to 16777217"),
        ({"frequencies": [2**62, 2**62]}, "exceeds the sum"),
        ({"frequencies": [0.5, 0.5]}, "integers, not float64"),
        ({"frequencies": [True, True], "precision": 1}, "integers, not bool"),
        ({"frequencies": np.zeros(0, dtype=int)}, "alphabet is 0"),
        ({"frequencies": np.full(8192, 2048)}, "alphabet is 8192; it must be 1 to 4096"),
        ({"frequencies": [1, 1, 1], "precision": 1}, "alphabet is 3; it must be 1 to 2"),
        ({"frequencies": [FULL], "precision": 25}, "precision is 25"),
        ({"frequencies": [FULL], "precision": 24.0}, "precision must be an integer"),
        ({"frequencies": [FULL // 2] * 2, "low": 2**31 - 1}, "low is 2147483647"),
        ({"frequencies": [FULL // 2] * 2, "index": [0]}, r"needs tables of shape \(n, alphabet\)"),
        ({"frequencies": [[FULL // 2] * 2], "index": [1]}, "outside 0 to 0"),
        ({"frequencies": [[FULL // 2] * 2], "index": [-1]}, "outside 0 to 0"),
        ({"frequencies": [[FULL // 2] * 2], "index": [0.0]}, "index must be integers"),
    ],
)
def test_bad_tables_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(EntropyCodingError, match=message):
        Categorical(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "cdf", [[0], [1, FULL], [0, 5, 5, FULL], [0, 9, 5, FULL], [0, 5], [[0, 1, FULL], [0, 0, FULL]]]
)
def test_bad_cumulative_tables_are_refused(cdf: object) -> None:
    with pytest.raises(EntropyCodingError):
        Categorical.from_cdf(cdf)  # type: ignore[arg-type]


def test_selecting_twice_is_refused() -> None:
    chosen = Categorical([[1, 1]], precision=1).select([0, 0])
    with pytest.raises(EntropyCodingError, match="selected already"):
        chosen.select([0])


@pytest.mark.parametrize(
    ("symbols", "message"),
    [
        ([0, 3, 9], "symbol 3 at position 1 is outside the alphabet 0 to 2"),
        ([-1], "symbol -1 at position 0"),
        ([[0, 1]], "rank 1"),
        ([0.0], "integers, not float64"),
        (np.array([2**63], dtype=np.uint64), "does not fit"),
    ],
)
def test_bad_symbols_are_refused(symbols: object, message: str) -> None:
    with pytest.raises(EntropyCodingError, match=message):
        Categorical([1, 1, 2], precision=2).offsets(symbols)  # type: ignore[arg-type]


@given(st.integers(0, 5))
def test_a_family_wants_as_many_symbols_as_tables(count: int) -> None:
    family = Categorical(np.full((3, 2), 2), precision=2)
    symbols = np.zeros(count, dtype=np.int32)
    if count == 3:
        assert family.offsets(symbols).tolist() == [0, 0, 0]
        return
    with pytest.raises(EntropyCodingError, match=f"{count} symbols for a family of 3 tables"):
        family.offsets(symbols)


def test_models_keep_their_tables_when_the_callers_arrays_change() -> None:
    index, table = np.array([0, 1]), np.array([[1, 3], [2, 2]])
    family = Categorical(table, precision=2, index=index)
    before = family.cdf().tolist()
    index[:], table[:] = 99, 0
    assert family.cdf().tolist() == before
    model = Categorical([1, 3], precision=2)
    with pytest.raises(ValueError, match="read-only"):
        model.cdf()[0] = 1
