"""Rate-distortion curves as they must be for a comparison: quality increases with rate."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuralcodec.errors import UnsupportedInput

_MOST = 1e100  # what is greater counts as infinite: differences of such numbers overflow


class Front(NamedTuple):
    """The points of a curve that no other point beats, in order of rate, and what is to be said of the rest."""

    points: NDArray[np.intp]
    notes: tuple[str, ...]


def front(rate: NDArray[np.float64], quality: NDArray[np.float64], name: str) -> Front:
    """Choose the points of a curve that count: its Pareto front.

    A point without a finite rate above zero or a finite quality (a lossless one has an infinite PSNR) is left out,
    and so is one that another point equals or beats at the same rate or a lower one. What is left increases
    strictly in both coordinates.

    Parameters
    ----------
    rate, quality
        Coordinates of the points, float64 (points,), in any order.
    name
        What notes call the curve.

    >>> front(np.array([0.5, 0.25, 1.0]), np.array([30.0, 31.0, 33.0]), "the anchor")
    Front(points=array([1, 2]), notes=('the anchor: no better than a lower rate, left out: 0.5 bpp',))
    """
    usable = (rate > 0) & (rate < _MOST) & (np.abs(quality) < _MOST)
    kept: list[int] = []
    repeated: list[float] = []
    beaten: list[float] = []
    best, last = -np.inf, 0.0
    for point in sorted(np.flatnonzero(usable).tolist(), key=lambda i: (rate[i], -quality[i])):
        if quality[point] > best and rate[point] > last:
            kept.append(point)
            best, last = quality[point], rate[point]
        else:
            (repeated if rate[point] == last else beaten).append(rate[point])
    notes = []
    if not usable.all():
        notes.append(f"{name}: without a finite rate and quality, left out: {_number(int((~usable).sum()))}")
    if repeated:
        notes.append(f"{name}: rates that come twice, the better quality stays: {_bpp(repeated)}")
    if beaten:
        notes.append(f"{name}: no better than a lower rate, left out: {_bpp(beaten)}")
    return Front(np.array(kept, np.intp), tuple(notes))


def as_curve(
    rate: ArrayLike, quality: ArrayLike, name: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a curve's coordinates as float64 arrays; None is NaN.

    Raises
    ------
    UnsupportedInput
        If they are no two lists of numbers of one length.
    """
    try:
        x, y = np.asarray(rate, np.float64), np.asarray(quality, np.float64)
    except (TypeError, ValueError):
        raise UnsupportedInput(f"{name}: rates and qualities are lists of numbers") from None
    if x.ndim != 1 or x.shape != y.shape:
        raise UnsupportedInput(f"{name} has rates of shape {x.shape} and qualities of shape {y.shape}")
    return x, y


def _number(count: int) -> str:
    return f"{count} point{'s' * (count != 1)}"


def _bpp(rates: Iterable[float]) -> str:
    return ", ".join(f"{rate:.4g}" for rate in rates) + " bpp"
