"""Confidence intervals of deltas between two codecs measured on the same images.

Images are drawn with replacement, the same for both codecs, and the delta of the mean curves is computed anew.
The interval is BCa (B. Efron, "Better bootstrap confidence intervals", JASA 1987), which corrects for bias and skew,
at levels from Student's t rather than the normal distribution (T. Hesterberg, "What teachers should know about the
bootstrap", The American Statistician 2015): resampled means of n images vary too little, by a factor of (n - 1) / n,
and 24 images are few. benchmarks/bd_coverage.py measures how often such intervals hold the truth.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from neuralcodec.evaluation.bd.delta import axes, compare_curves, deltas
from neuralcodec.evaluation.results import DERIVED, Result

Array = NDArray[np.float64]

LEAST_IMAGES = 8
OF = ("rate", "quality")

_AT_ONCE = 1 << 22
# So many resamples may lack a delta before the interval would be one of the others only.
_MOST_WITHOUT = 0.02


class Sample(NamedTuple):
    """What was measured of a codec, as means are drawn from it.

    Attributes
    ----------
    result, metric
        Where it is from, and the figure of quality.
    rate, quality
        float64 (images, points), by rising mean rate; quality is what `metric` derives from.
    """

    result: Result
    metric: str
    rate: Array
    quality: Array

    @classmethod
    def of(cls, result: Result, metric: str, images: Sequence[str], points: NDArray[np.intp]) -> "Sample":
        """Return the sample of some images at some rate points."""
        tables = (result.table(key, images)[:, points] for key in ("bpp", DERIVED.get(metric, metric)))
        return cls(result, metric, *tables)

    def resampled(self, weights: Array) -> tuple[Array, Array]:
        """Return the mean curves under weights (resamples, images): rate and quality, each (resamples, points)."""
        return weights @ self.rate, self.result.of_means(self.metric, weights @ self.quality)

    def without_each(self) -> tuple[Array, Array]:
        """Return the mean curves without each of the images, (images, points)."""
        rate, quality = (
            (table.sum(axis=0) - table) / (len(table) - 1) for table in (self.rate, self.quality)
        )
        return rate, self.result.of_means(self.metric, quality)


def bootstrap(
    anchor: Sample, test: Sample, *, method: str, confidence: float, resamples: int, seed: int
) -> dict[str, tuple[float, float] | None]:
    """Return the confidence intervals of the deltas of two samples of the same images.

    Parameters
    ----------
    anchor, test
        The samples; image by image and point by point they must be finite.
    method
        Interpolation.
    confidence
        Percentage, such as 95.
    resamples, seed
        How many times images are drawn, and the seed of the drawing.

    Returns
    -------
    dict
        By "rate" and "quality": the interval, or None if the curves of too many resamples have no delta.
    """
    images = len(anchor.rate)
    generator = np.random.default_rng(seed)
    drawn = [
        _both(anchor.resampled(weights), test.resampled(weights), method)
        for weights in _weights(generator, images, resamples)
    ]
    replicates = {of: np.concatenate([part[of] for part in drawn]) for of in OF}
    without = _both(anchor.without_each(), test.without_each(), method)
    whole = np.full((1, images), 1 / images)
    values = _both(anchor.resampled(whole), test.resampled(whole), method)
    return {of: _interval(float(values[of][0]), replicates[of], without[of], confidence) for of in OF}


def _weights(generator: np.random.Generator, images: int, resamples: int) -> Iterator[Array]:
    """Return the shares of images in each resample, in blocks that fit into memory."""
    at_once = max(1, _AT_ONCE // images)
    for start in range(0, resamples, at_once):
        rows = min(at_once, resamples - start)
        yield generator.multinomial(images, np.full(images, 1 / images), rows) / images


def _both(anchor: tuple[Array, Array], test: tuple[Array, Array], method: str) -> dict[str, Array]:
    """Return both deltas of many pairs of curves, each (pairs, points)."""
    increasing = np.logical_and.reduce([(np.diff(table) > 0).all(axis=1) for table in (*anchor, *test)])
    found = {}
    for of in OF:
        values = np.full(len(increasing), math.nan)
        curves = [axes(rate[increasing], quality[increasing], of) for rate, quality in (anchor, test)]
        values[increasing] = deltas(curves[0], curves[1], method, of)
        for row in np.flatnonzero(~increasing):
            curve = (table[row] for table in (*anchor, *test))
            values[row] = compare_curves(*curve, method=method, of=of).value
        found[of] = values
    return found


def _interval(
    value: float, replicates: Array, without: Array, confidence: float
) -> tuple[float, float] | None:
    """Return the BCa interval at the levels of Student's t."""
    from scipy.special import ndtr, ndtri, stdtrit

    finite = replicates[np.isfinite(replicates)]
    if len(finite) < (1 - _MOST_WITHOUT) * len(replicates) or not np.isfinite([value, *without]).all():
        return None
    images = len(without)
    spread = math.sqrt(images / (images - 1)) * stdtrit(images - 1, 0.5 + confidence / 200)
    below = ((finite < value).sum() + (finite == value).sum() / 2) / len(finite)
    bias = ndtri(np.clip(below, 1 / len(finite), 1 - 1 / len(finite)))
    influence = without.mean() - without
    scale = 6 * (influence**2).sum() ** 1.5
    skew = (influence**3).sum() / scale if scale else 0.0
    ends = bias + np.array([-spread, spread])
    levels = ndtr(bias + ends / np.maximum(1 - skew * ends, 1e-9))
    low, high = np.quantile(finite, levels)
    return float(low), float(high)
