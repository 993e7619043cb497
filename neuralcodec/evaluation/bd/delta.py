"""Bjontegaard's deltas: how much rate, or quality, lies between two curves on average.

G. Bjontegaard, "Calculation of average PSNR differences between RD-curves", ITU-T VCEG-M33, 2001. docs/metrics.md
tells the definitions and what is done with curves that do not fit them.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuralcodec.errors import UnsupportedInput
from neuralcodec.evaluation.bd.curves import as_curve, front
from neuralcodec.evaluation.bd.interpolation import LEAST_POINTS, mean_between

Array = NDArray[np.float64]

LEAST_OVERLAP = 0.75


@dataclass(frozen=True)
class BD:
    """A delta between two curves, and how far it can be trusted.

    Attributes
    ----------
    value
        BD-rate in percent, or the mean difference of quality in its unit; NaN if there is none.
    overlap
        Share of the range that the two curves cover together (from the lesser minimum to the greater maximum) which
        both cover, 0 to 1.
    common
        The bounds of what both cover: of quality for BD-rate, in bpp for a difference of quality.
    warnings
        What a reader should know, a sentence each.
    reason
        Why there is no value.
    interval
        Confidence interval of the value; None if it is not known.
    """

    value: float
    overlap: float = 0.0
    common: tuple[float, float] | None = None
    warnings: tuple[str, ...] = ()
    reason: str | None = None
    interval: tuple[float, float] | None = None


def bd_rate(
    anchor_bpp: ArrayLike,
    anchor_psnr: ArrayLike,
    test_bpp: ArrayLike,
    test_psnr: ArrayLike,
    method: str = "pchip",
) -> float:
    """Return how much more rate the test needs than the anchor for the same quality, in percent.

    Parameters
    ----------
    anchor_bpp, anchor_psnr, test_bpp, test_psnr
        The curves: rates in any one unit, qualities in any one unit that is better when greater.
    method
        "pchip", "akima" or "cubic" (see `mean_between`).

    Returns
    -------
    float
        Negative if the test saves rate; NaN where :func:`compare_curves` tells the reason.

    Raises
    ------
    UnsupportedInput
        If the method is unknown, or the lists of a curve differ in length.

    Examples
    --------
    >>> rate, psnr = [0.25, 0.5, 1.0, 2.0], [28, 31, 34, 37]
    >>> round(bd_rate(rate, psnr, [r / 2 for r in rate], psnr), 6)
    -50.0
    """
    return compare_curves(anchor_bpp, anchor_psnr, test_bpp, test_psnr, method=method).value


def bd_psnr(
    anchor_bpp: ArrayLike,
    anchor_psnr: ArrayLike,
    test_bpp: ArrayLike,
    test_psnr: ArrayLike,
    method: str = "pchip",
) -> float:
    """Return how much better the test is than the anchor at the same rate, in the unit of quality (dB for PSNR).

    Parameters, errors and NaN are as for :func:`bd_rate`.

    >>> rate, psnr = [0.25, 0.5, 1.0, 2.0], [28, 31, 34, 37]
    >>> round(bd_psnr(rate, psnr, [r / 2 for r in rate], psnr), 6)
    3.0
    """
    return compare_curves(anchor_bpp, anchor_psnr, test_bpp, test_psnr, method=method, of="quality").value


def compare_curves(
    anchor_bpp: ArrayLike,
    anchor_quality: ArrayLike,
    test_bpp: ArrayLike,
    test_quality: ArrayLike,
    *,
    method: str = "pchip",
    of: str = "rate",
) -> BD:
    """Return Bjontegaard's delta of two curves with what is to be said of it.

    Parameters
    ----------
    anchor_bpp, anchor_quality, test_bpp, test_quality
        The curves, in any order of points; each is reduced to its Pareto front first.
    method
        "pchip", "akima" or "cubic".
    of
        "rate" for BD-rate in percent, "quality" for the mean difference of quality.

    Raises
    ------
    UnsupportedInput
        If the method is unknown, or the lists of a curve differ in length.

    Examples
    --------
    >>> compare_curves([1, 2, 3], [30, 33, 35], [1, 2], [36, 38]).reason
    'no quality is common to both: the anchor has 30 to 35, the test 36 to 38'
    """
    check_method(method)
    names = ("the anchor", "the test")
    curves = [
        as_curve(rate, quality, name)
        for rate, quality, name in zip(
            (anchor_bpp, test_bpp), (anchor_quality, test_quality), names, strict=True
        )
    ]
    fronts = [front(*curve, name) for curve, name in zip(curves, names, strict=True)]
    notes = (*fronts[0].notes, *fronts[1].notes)
    for one, name in zip(fronts, names, strict=True):
        if len(one.points) < LEAST_POINTS[method]:
            points = f"{len(one.points)} usable point{'s' * (len(one.points) != 1)}"
            reason = f"{name} has {points}, {method} needs {LEAST_POINTS[method]}"
            return BD(math.nan, warnings=notes, reason=reason)
    anchor, test = (
        axes(rate[None, one.points], quality[None, one.points], of)
        for (rate, quality), one in zip(curves, fronts, strict=True)
    )
    return _described(float(deltas(anchor, test, method, of)[0]), anchor[0][0], test[0][0], notes, of)


def check_method(method: str) -> None:
    """Raise :class:`UnsupportedInput` for a method that does not exist."""
    if method not in LEAST_POINTS:
        raise UnsupportedInput(f"no interpolation is called {method!r}; there are {', '.join(LEAST_POINTS)}")


def axes(rate: Array, quality: Array, of: str) -> tuple[Array, Array]:
    """Return what is integrated over, and what is integrated: quality and log10 rate for BD-rate."""
    return (quality, np.log10(rate)) if of == "rate" else (np.log10(rate), quality)


def deltas(anchor: tuple[Array, Array], test: tuple[Array, Array], method: str, of: str) -> Array:
    """Return the deltas of many pairs of curves, NaN where two have nothing in common.

    Parameters
    ----------
    anchor, test
        The two :func:`axes`, each (pairs, points), of which the first increases strictly along each row.
    """
    low = np.maximum(anchor[0][:, 0], test[0][:, 0])
    high = np.minimum(anchor[0][:, -1], test[0][:, -1])
    common = high > low
    values = np.full(len(low), math.nan)
    with np.errstate(over="ignore", invalid="ignore"):  # two points may lie closer than their slope can tell
        means = [
            mean_between(x[common], y[common], low[common], high[common], method) for x, y in (anchor, test)
        ]
        values[common] = means[1] - means[0]
        return 100 * (10**values - 1) if of == "rate" else values


def _described(value: float, anchor: Array, test: Array, notes: tuple[str, ...], of: str) -> BD:
    """Return a delta with the common part of the two ranges that it was integrated over."""
    low, high = max(anchor[0], test[0]), min(anchor[-1], test[-1])
    what = "quality" if of == "rate" else "rate"
    ends = [
        10**end if of == "quality" else end for end in (low, high, anchor[0], anchor[-1], test[0], test[-1])
    ]
    if low >= high:
        reason = "no {} is common to both: the anchor has {:.4g} to {:.4g}, the test {:.4g} to {:.4g}"
        return BD(math.nan, warnings=notes, reason=reason.format(what, *ends[2:]))
    overlap = float((high - low) / (max(anchor[-1], test[-1]) - min(anchor[0], test[0])))
    if not math.isfinite(value):
        return BD(
            math.nan, overlap, warnings=notes, reason="the curves are too steep or too far apart for a number"
        )
    if overlap < LEAST_OVERLAP:
        notes = (
            *notes,
            f"the curves share only {overlap:.0%} of their range of {what}, {ends[0]:.4g} to {ends[1]:.4g}",
        )
    return BD(value, overlap, (float(ends[0]), float(ends[1])), notes)
