"""Tabulated leaves against their definitions."""

from math import comb, erf, exp, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuralcodec.circuits.leaves import bernoulli_rows, binomial_rows, gaussian_rows, logistic_rows
from neuralcodec.errors import InvalidModel


@given(st.integers(0, 40), st.floats(0, 1))
def test_binomial(trials: int, p: float) -> None:
    expected = [comb(trials, k) * p**k * (1 - p) ** (trials - k) for k in range(trials + 1)]
    np.testing.assert_allclose(binomial_rows(trials, [p])[0], expected, atol=1e-12)
    assert bernoulli_rows(p).tolist() == [[1 - p, p]]


@given(st.floats(-20, 30), st.floats(0.05, 9), st.integers(1, 20))
def test_cells(mean: float, scale: float, alphabet: int) -> None:
    borders = [k - 0.5 for k in range(1, alphabet)]
    for rows, below in [
        (logistic_rows, lambda x: 1 / (1 + exp(min(700, -x)))),
        (gaussian_rows, lambda x: (1 + erf(x / sqrt(2))) / 2),
    ]:
        cumulative = [0, *(below((border - mean) / scale) for border in borders), 1]
        found = rows([mean], [scale], alphabet)[0]
        np.testing.assert_allclose(found, np.diff(cumulative), atol=1e-12)
        assert found.sum() == pytest.approx(1, abs=1e-9)


def test_tails_keep_their_precision() -> None:
    rows = logistic_rows([0], [1], 100)
    np.testing.assert_allclose(rows[0, 50] / rows[0, 51], np.e, rtol=1e-9)
    assert (gaussian_rows([0], [1], 20)[0, :20] > 0).all()


def test_other_cells() -> None:
    np.testing.assert_allclose(
        logistic_rows([0.25], [0.1], 4, 0, 1), logistic_rows([0.5], [0.4], 4), rtol=1e-12
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bernoulli_rows([1.5]), "probability of a leaf is 1.5, which must be 0 to 1"),
        (lambda: binomial_rows(-1, [0.5]), "-1 trials"),
        (lambda: gaussian_rows([np.nan], [1], 4), "mean of a leaf is nan"),
        (lambda: logistic_rows([0], [0], 4), "scale of a leaf is 0"),
        (lambda: logistic_rows([0], [1], 0), "0 cells"),
    ],
)
def test_what_no_leaf_can_be(call: object, message: str) -> None:
    with pytest.raises(InvalidModel, match=message):
        call()  # type: ignore[operator]
