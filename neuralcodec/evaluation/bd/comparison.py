"""Deltas between measured or published results, with intervals where images allow them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from neuralcodec.errors import UnsupportedInput
from neuralcodec.evaluation.bd.bootstrap import LEAST_IMAGES, OF, Sample, bootstrap
from neuralcodec.evaluation.bd.curves import front
from neuralcodec.evaluation.bd.delta import BD, check_method, compare_curves
from neuralcodec.evaluation.results import DERIVED, QUALITY_METRICS, Result

METRICS = (*QUALITY_METRICS, *(key for key in DERIVED if key not in QUALITY_METRICS))


@dataclass(frozen=True)
class Comparison:
    """One codec against the anchor.

    Attributes
    ----------
    anchor, test
        Names of the results.
    metric, method, confidence
        Figure of quality, interpolation, and the percentage that intervals are for.
    images
        How many images both were measured on; None if one of them is published.
    rate, quality
        BD-rate in percent, and the mean difference of the metric at equal rate (BD-PSNR) in its unit.
    """

    anchor: str
    test: str
    metric: str
    method: str
    confidence: float
    images: int | None
    rate: BD
    quality: BD

    @property
    def warnings(self) -> list[str]:
        """What is to be said of either delta, each sentence once."""
        return list(dict.fromkeys([*self.rate.warnings, *self.quality.warnings]))


def compare_results(
    anchor: Result,
    test: Result,
    *,
    metric: str = "psnr-rgb",
    method: str = "pchip",
    confidence: float = 95,
    resamples: int = 2000,
    seed: int = 0,
) -> Comparison:
    """Compare two results: deltas of their mean curves over the images that both have, with intervals.

    Parameters
    ----------
    anchor, test
        Measured or published results. Published ones have no images and so no interval.
    metric
        psnr-rgb, psnr-y, ms-ssim-rgb, ms-ssim-rgb-db, ssim-rgb or psnr-rgb-of-mean-mse.
    method
        "pchip", "akima" or "cubic".
    confidence
        Percentage of the intervals, between 0 and 100.
    resamples, seed
        Of the bootstrap (see :mod:`neuralcodec.evaluation.bd.bootstrap`).

    Raises
    ------
    UnsupportedInput
        If the metric, the method or the confidence does not exist.
    """
    check_method(method)
    if metric not in METRICS:
        raise UnsupportedInput(f"no metric is called {metric!r}; the metrics are {', '.join(METRICS)}")
    if not 0 < confidence < 100:
        raise UnsupportedInput(f"confidence is a percentage between 0 and 100, not {confidence:g}")
    images, notes = _common(anchor, test, DERIVED.get(metric, metric))
    named = (anchor.name, test.name, metric, method, confidence, None if images is None else len(images))
    if images == []:
        lacking = [result.name for result in (anchor, test) if not result.having(DERIVED.get(metric, metric))]
        reason = (
            f"{lacking[0]} has no {metric}" if lacking else "the two were not measured on the same images"
        )
        nothing = BD(math.nan, warnings=() if lacking else notes, reason=reason)
        return Comparison(*named, nothing, nothing)
    curves = [(result.curve("bpp", images), result.curve(metric, images)) for result in (anchor, test)]
    found = {of: compare_curves(*curves[0], *curves[1], method=method, of=of) for of in OF}
    intervals: dict[str, tuple[float, float] | None] = dict.fromkeys(OF)
    if images is not None and not any(one.reason for one in found.values()):
        if len(images) < LEAST_IMAGES:
            notes = (*notes, f"no interval: {LEAST_IMAGES} images are needed, both have {len(images)}")
        else:
            samples = [
                Sample.of(result, metric, images, front(*curve, "").points)
                for result, curve in zip((anchor, test), curves, strict=True)
            ]
            intervals = bootstrap(
                samples[0],
                samples[1],
                method=method,
                confidence=confidence,
                resamples=resamples,
                seed=seed,
            )
            if None in intervals.values():
                notes = (*notes, "no interval: too many resamples of the images give curves without a delta")
    deltas = (replace(found[of], interval=intervals[of], warnings=(*notes, *found[of].warnings)) for of in OF)
    return Comparison(*named, *deltas)


def bd_table(
    results: Sequence[Result],
    anchor: str,
    metric: str = "psnr-rgb",
    *,
    method: str = "pchip",
    confidence: float = 95,
    resamples: int = 2000,
    seed: int = 0,
) -> list[Comparison]:
    """Compare every result with one of them.

    Parameters
    ----------
    results
        Measured and published results.
    anchor
        Name of the one that all others are compared with.
    metric, method, confidence, resamples, seed
        As for :func:`compare_results`.

    Raises
    ------
    UnsupportedInput
        If no result or more than one has the anchor's name, or a choice does not exist.
    """
    named = [result for result in results if result.name == anchor]
    if len(named) != 1:
        names = ", ".join(result.name for result in results)
        count = "more than one result is" if named else "no result is"
        raise UnsupportedInput(f"{count} called {anchor!r}; the results are {names}")
    return [
        compare_results(
            named[0],
            test,
            metric=metric,
            method=method,
            confidence=confidence,
            resamples=resamples,
            seed=seed,
        )
        for test in results
        if test is not named[0]
    ]


def _common(anchor: Result, test: Result, key: str) -> tuple[list[str] | None, tuple[str, ...]]:
    """Return the images that both results have, None if one has no images, and what is to be said of them."""
    if anchor.is_published or test.is_published:
        names = [_data(result) for result in (anchor, test)]
        differ = None not in names and names[0] != names[1]
        other_data = (f"the anchor is of {names[0]}, the test of {names[1]}",) if differ else ()
        return None, (*other_data, "no interval: a published curve has no images")
    first, other = anchor.having(key), set(test.having(key))
    images = [image for image in first if image in other]
    if len(images) == len(first) == len(other):
        return images, ()
    note = f"over the {len(images)} images that both have, of the anchor's {len(first)} and the test's {len(other)}"
    return images, (note,)


def _data(result: Result) -> Any:
    data = result.meta.get("data")
    return data.get("name") if isinstance(data, dict) else None
