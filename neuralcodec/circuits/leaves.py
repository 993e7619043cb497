"""Rows of tables for the leaves of other libraries: distributions over the values 0 to A - 1, tabulated.

All return float64 rows of shape (n, A) that sum to 1 but for rounding, and raise InvalidModel for parameters
that no distribution has.
"""

from math import erfc, lgamma, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuralcodec.errors import InvalidModel

FloatArray = NDArray[np.float64]


def bernoulli_rows(probability: ArrayLike) -> FloatArray:
    """Return rows of the values 0 and 1, given (n,) probabilities of 1.

    >>> bernoulli_rows([0.25]).tolist()
    [[0.75, 0.25]]
    """
    p = _column("probability", probability, 0, 1)
    return np.concatenate([1 - p, p], axis=1)


def binomial_rows(trials: int, probability: ArrayLike) -> FloatArray:
    """Return rows of the values 0 to `trials`, given (n,) probabilities of success.

    >>> binomial_rows(2, [0.5, 1]).round(12).tolist()
    [[0.25, 0.5, 0.25], [0.0, 0.0, 1.0]]
    """
    if trials < 0:
        raise InvalidModel(f"a binomial leaf has {trials} trials, which must be at least 0")
    p = _column("probability", probability, 0, 1)
    count = np.arange(trials + 1)
    ways = np.array([lgamma(trials + 1) - lgamma(k + 1) - lgamma(trials - k + 1) for k in count.tolist()])
    with np.errstate(divide="ignore", invalid="ignore"):
        # 0 log 0 is 0 here: nothing is known against an outcome that did not occur.
        successes = np.where(count > 0, count * np.log(p), 0.0)
        failures = np.where(count < trials, (trials - count) * np.log1p(-p), 0.0)
    rows: FloatArray = np.exp(ways + successes + failures)
    return rows


def logistic_rows(
    mean: ArrayLike, scale: ArrayLike, alphabet: int, low: float = -0.5, high: float | None = None
) -> FloatArray:
    """Return rows of a logistic distribution over `alphabet` cells of equal width from `low` to `high`.

    The outer cells take the tails. By default value k has the cell from k - 1/2 to k + 1/2. Salimans et al.,
    PixelCNN++, ICLR 2017.

    >>> logistic_rows([0.5], [0.1], 2).round(3).tolist()
    [[0.5, 0.5]]
    """
    place = _standardised(mean, scale, alphabet, low, high)
    with np.errstate(over="ignore"):
        return _cells(1 / (1 + np.exp(-place)), 1 / (1 + np.exp(place)))


def gaussian_rows(
    mean: ArrayLike, deviation: ArrayLike, alphabet: int, low: float = -0.5, high: float | None = None
) -> FloatArray:
    """Return rows of a Gaussian over `alphabet` cells of equal width from `low` to `high`, as `logistic_rows` does.

    >>> gaussian_rows([1], [0.5], 3).round(4).tolist()
    [[0.1587, 0.6827, 0.1587]]
    """
    place = _standardised(mean, deviation, alphabet, low, high)
    tail = np.vectorize(lambda x: erfc(x) / 2, otypes=[np.float64])
    return _cells(tail(-place / sqrt(2)), tail(place / sqrt(2)))


def _standardised(
    mean: ArrayLike, scale: ArrayLike, alphabet: int, low: float, high: float | None
) -> FloatArray:
    """Return the (n, A - 1) inner borders of the cells, in scales from the mean."""
    top = alphabet - 0.5 if high is None else high
    if alphabet < 1 or not low < top:
        raise InvalidModel(f"{alphabet} cells from {low} to {top} cannot be")
    borders = low + (top - low) / alphabet * np.arange(1, alphabet)
    width = _column("scale", scale, 0, np.inf)
    if (width <= 0).any():
        raise InvalidModel("the scale of a leaf is 0, which must be above 0")
    result: FloatArray = (borders - _column("mean", mean, -np.inf, np.inf)) / width
    return result


def _cells(below: FloatArray, above: FloatArray) -> FloatArray:
    """Return cell masses from the mass below and above each inner border.

    Each difference is taken of the smaller pair: far in a tail, the other pair are both 1.
    """
    ends = np.zeros((len(below), 1))
    low = np.concatenate([ends, below, ends + 1], axis=1)
    high = np.concatenate([ends + 1, above, ends], axis=1)
    left, right = np.diff(low, axis=1), -np.diff(high, axis=1)
    rows: FloatArray = np.maximum(np.where(low[:, 1:] < 0.5, left, right), 0)
    return rows


def _column(name: str, values: ArrayLike, least: float, most: float) -> FloatArray:
    column = np.atleast_1d(np.asarray(values, np.float64)).reshape(-1, 1)
    wrong = ~(np.isfinite(column) & (column >= least) & (column <= most))
    if wrong.any():
        found = column[wrong][0]
        raise InvalidModel(f"the {name} of a leaf is {found}, which must be {least:g} to {most:g}")
    return column
