"""Codecs at one rate: for each the setting whose file is nearest to so many bits per pixel."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from neuralcodec.codec import QualityRange
from neuralcodec.errors import UnsupportedInput
from neuralcodec.evaluation.subject import Encoded, Subject, split_points

_CLOSE = 0.005  # of the target: near enough on a scale without steps
_FINE = 1e-4  # of the range: finer steps are not tried
_WIDE = 50.0  # ratio of a range's ends from which on its geometric middle is taken
_UNKNOWN = 1e6  # a range wider than this is no scale that is known


@dataclass(frozen=True)
class Match:
    """The setting of a codec that comes nearest to a rate.

    Attributes
    ----------
    quality
        The setting; None if the codec has no rate parameter.
    encoded
        The file that it gives.
    bpp
        Bits per pixel of the file, headers included.
    target
        Bits per pixel asked for.
    missed
        Why the target is out of reach ("..."), or None if it lies within the codec's rates.
    tried
        How many settings were tried.
    """

    quality: float | None
    encoded: Encoded
    bpp: float
    target: float
    missed: str | None
    tried: int


def match_rate(subject: Subject, image: NDArray[Any], target: float) -> Match:
    """Find the setting of a codec whose file of an image is nearest to a rate.

    The rate is searched by bisection; see :func:`nearest`. If the spec of the codec gives rate points, only settings
    from the least to the greatest of them are tried; if these are whole numbers and the codec does not say what its
    settings are (as commands do not), only whole ones.

    Parameters
    ----------
    subject
        The codec.
    image
        (H, W) or (H, W, C).
    target
        Bits per pixel.

    Raises
    ------
    UnsupportedInput
        If the target is no positive number, or the codec refuses the image.
    NeuralCodecError
        If the codec fails.
    """
    if not (math.isfinite(target) and target > 0):
        raise UnsupportedInput(f"{target:g} bits per pixel is no rate: give a number above 0, such as 0.3")
    reason = subject.refuses(image)
    if reason:
        raise UnsupportedInput(f"{subject.name} cannot code the image: {reason}")
    tries = _Tries(subject, image, target)
    scale = search_range(subject)
    if scale is None:
        tries.rate(None)
    else:
        nearest(tries.rate, scale, target)
    return tries.best(_missed(tries.rates, scale, target))


class _Tries:
    """What was tried of a codec; of the files, only the nearest to the target is kept."""

    def __init__(self, subject: Subject, image: NDArray[Any], target: float) -> None:
        self.rates: dict[float | None, float] = {}
        self._subject, self._image, self._target = subject, image, target
        self._best: tuple[float | None, Encoded]

    def rate(self, quality: float | None) -> float:
        """Return the bits per pixel at a setting."""
        encoded = self._subject.encode(self._image, quality)
        bpp: float = 8 * len(encoded.file) / (self._image.shape[0] * self._image.shape[1])
        if all(_order(bpp, self._target) < _order(other, self._target) for other in self.rates.values()):
            self._best = quality, encoded
        self.rates[quality] = bpp
        return bpp

    def best(self, missed: str | None) -> Match:
        """Return the setting nearest to the target."""
        quality, encoded = self._best
        return Match(quality, encoded, self.rates[quality], self._target, missed, len(self.rates))


def search_range(subject: Subject) -> QualityRange | None:
    """Return the settings among which a rate is searched (see :func:`match_rate`); None if there are none."""
    scale = subject.codec.quality
    points = split_points(subject.spec)[1]
    if scale is None or not points:
        return scale
    unknown = scale.greatest - scale.least > _UNKNOWN
    whole = scale.integral or (unknown and all(float(point).is_integer() for point in points))
    return QualityRange(points[0], min(points), max(points), integral=whole)


def nearest(rate: Callable[[float], float], scale: QualityRange, target: float) -> float:
    """Return the setting whose rate is nearest to a target, by bisection between the ends of a scale.

    The rate may rise or fall along the scale, and stay the same over parts of it. On a scale of whole numbers the
    nearest is found exactly; else the search ends when the rate is within 0.5% of the target, or the setting is
    known to 1/10,000 of the range. Where the rate is not monotone, the nearest setting that was tried is returned.

    Parameters
    ----------
    rate
        Gives the rate at a setting; called once for each.
    scale
        Its ends, and whether only whole numbers have a meaning.
    target
        The rate wanted.

    >>> nearest(lambda quality: quality**2, QualityRange(5, 0, 10, integral=True), 17)
    4.0
    """
    rates: dict[float, float] = {}

    def at(quality: float) -> float:
        if quality not in rates:
            rates[quality] = rate(quality)
        return rates[quality]

    low, high = float(scale.least), float(scale.greatest)
    if at(low) > at(high):
        low, high = high, low
    if at(low) < target < at(high):
        while (middle := _middle(low, high, scale)) is not None:
            found = at(middle)
            if not scale.integral and abs(found - target) <= _CLOSE * target:
                break
            low, high = (middle, high) if found < target else (low, middle)
    return min(rates, key=lambda quality: _order(rates[quality], target))


def _middle(low: float, high: float, scale: QualityRange) -> float | None:
    """Return where to try next between two settings, or None if they are next to each other."""
    if scale.integral:
        middle = float(math.floor((low + high) / 2))
        return None if middle in (low, high) else middle
    if scale.least > 0 and scale.greatest / scale.least > _WIDE:
        return math.sqrt(low * high) if abs(math.log(high / low)) > _FINE else None
    return (low + high) / 2 if abs(high - low) > _FINE * (scale.greatest - scale.least) else None


def _order(rate: float, target: float) -> tuple[float, float]:
    """Return what makes a rate the better one: being nearer, and of two as near the smaller."""
    return abs(rate - target), rate


def _missed(rates: dict[float | None, float], scale: QualityRange | None, target: float) -> str | None:
    least, greatest = min(rates.values()), max(rates.values())
    if least <= target <= greatest:
        return None
    if scale is None:
        return f"it has one rate for an image, {least:.3f} bpp"
    end, bound = ("least", least) if target < least else ("greatest", greatest)
    return f"its {end} rate for this image is {bound:.3f} bpp"
