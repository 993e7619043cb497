"""Means of interpolated curves between two bounds, many curves at a time.

scipy interpolates curves that share their abscissae; those of resampled means do not. Slopes are those of
`scipy.interpolate.PchipInterpolator` and `Akima1DInterpolator`, which the tests hold them to.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LEAST_POINTS = {"pchip": 2, "akima": 2, "cubic": 4}
"""The methods, and how many points each needs."""


def mean_between(x: Array, y: Array, low: Array, high: Array, method: str) -> Array:
    """Return the mean of each curve between two bounds.

    Parameters
    ----------
    x, y
        Points of the curves, float64 (curves, points); each row of x increases strictly.
    low, high
        Bounds, (curves,), within each curve's range, low below high.
    method
        "pchip" (Fritsch and Butland 1984), "akima" (Akima 1970), or "cubic", the polynomial of degree 3 that fits
        the points best (Bjontegaard 2001, VCEG-M33).

    Returns
    -------
    ndarray
        (curves,).

    >>> line = np.array([[0.0, 1.0, 4.0]])
    >>> mean_between(line, 2 * line, np.array([1.0]), np.array([3.0]), "pchip")
    array([4.])
    """
    if method == "cubic":
        return _mean_of_polynomial(x, y, low, high)
    slopes = _SLOPES[method](x, y) if x.shape[1] > 2 else np.repeat(np.diff(y) / np.diff(x), 2, axis=1)
    return (_antiderivative(x, y, slopes, high) - _antiderivative(x, y, slopes, low)) / (high - low)


def _antiderivative(x: Array, y: Array, slopes: Array, at: Array) -> Array:
    """Return the integral of cubic Hermite pieces from the first point to `at`."""
    h = np.diff(x)
    pieces = h * (y[:, :-1] + y[:, 1:]) / 2 + h**2 * (slopes[:, :-1] - slopes[:, 1:]) / 12
    before = np.concatenate([np.zeros((len(x), 1)), np.cumsum(pieces, axis=1)], axis=1)
    row, piece = np.arange(len(x)), (x[:, 1:-1] <= at[:, None]).sum(axis=1)
    h = h[row, piece]
    s = (at - x[row, piece]) / h
    values = y[row, piece] * (s - s**3 + s**4 / 2) + y[row, piece + 1] * (s**3 - s**4 / 2)
    values += h * slopes[row, piece] * (s**2 / 2 - 2 * s**3 / 3 + s**4 / 4)
    values += h * slopes[row, piece + 1] * (s**4 / 4 - s**3 / 3)
    return np.asarray(before[row, piece] + h * values)


def _pchip_slopes(x: Array, y: Array) -> Array:
    h, delta = np.diff(x), np.diff(y) / np.diff(x)
    left, right = delta[:, :-1], delta[:, 1:]
    w1, w2 = 2 * h[:, 1:] + h[:, :-1], h[:, 1:] + 2 * h[:, :-1]
    flat = left * right <= 0
    with np.errstate(divide="ignore", invalid="ignore"):
        inner = np.where(flat, 0.0, (w1 + w2) / (w1 / left + w2 / right))
    first = _end_slope(h[:, 0], h[:, 1], delta[:, 0], delta[:, 1])
    last = _end_slope(h[:, -1], h[:, -2], delta[:, -1], delta[:, -2])
    return np.column_stack([first, inner, last])


def _end_slope(h0: Array, h1: Array, delta0: Array, delta1: Array) -> Array:
    """Return the three-point slope at an end, limited so that the curve keeps its shape."""
    slope = ((2 * h0 + h1) * delta0 - h0 * delta1) / (h0 + h1)
    turns = (np.sign(delta0) != np.sign(delta1)) & (np.abs(slope) > 3 * np.abs(delta0))
    slope = np.where(turns, 3 * delta0, slope)
    return np.where(np.sign(slope) != np.sign(delta0), 0.0, slope)


def _akima_slopes(x: Array, y: Array) -> Array:
    m = np.pad(np.diff(y) / np.diff(x), [(0, 0), (2, 2)])
    for new, near, far in ((1, 2, 3), (0, 1, 2), (-2, -3, -4), (-1, -2, -3)):
        m[:, new] = 2 * m[:, near] - m[:, far]
    change = np.abs(np.diff(m))
    before, after = change[:, :-2], change[:, 2:]
    weight = before + after
    straight = weight <= 1e-9 * weight.max(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = (after * m[:, 1:-2] + before * m[:, 2:-1]) / weight
    return np.where(straight, (m[:, 1:-2] + m[:, 2:-1]) / 2, slopes)


_SLOPES: dict[str, Callable[[Array, Array], Array]] = {"pchip": _pchip_slopes, "akima": _akima_slopes}


def _mean_of_polynomial(x: Array, y: Array, low: Array, high: Array) -> Array:
    middle, half = (x[:, :1] + x[:, -1:]) / 2, (x[:, -1:] - x[:, :1]) / 2
    powers = np.arange(4)
    fit = np.linalg.pinv(((x - middle) / half)[:, :, None] ** powers)
    coefficients = (fit @ y[:, :, None])[:, :, 0]
    bounds = (np.column_stack([low, high]) - middle) / half
    integrals = bounds[:, :, None] ** (powers + 1) / (powers + 1)
    total = ((integrals[:, 1] - integrals[:, 0]) * coefficients).sum(axis=1)
    return np.asarray(total / (bounds[:, 1] - bounds[:, 0]))
