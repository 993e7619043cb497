"""From how many images on a codec that carries a model makes the smaller collection.

A model of m bytes has to be stored or sent once. With r bytes per image at some quality, n images cost m + n r;
against another codec (m', r') the count sought is the least n with m + n r < m' + n r'.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuralcodec.evaluation.reporting.run import Run
from neuralcodec.evaluation.results import Result

# Where in the interval of qualities that both curves reach the counts are taken.
PLACES = {"low": 0.1, "middle": 0.5, "high": 0.9}


def break_even(model: int, rate: float, other_model: int, other_rate: float) -> int | None:
    """Return the least number of images for which model and files together are smaller than another codec's.

    Parameters
    ----------
    model, other_model
        Bytes of the models, 0 for a codec without one.
    rate, other_rate
        Mean bytes of a file.

    Returns
    -------
    int or None
        None if no number of images does it.

    >>> break_even(1000, 50, 0, 60), break_even(1000, 60, 0, 50), break_even(0, 50, 1000, 60)
    (101, None, 1)
    """
    if model + rate < other_model + other_rate:
        return 1
    if not rate < other_rate:
        return None
    return math.floor((model - other_model) / (other_rate - rate)) + 1


def break_even_table(run: Run, metric: str) -> list[dict[str, Any]]:
    """Return the counts of each codec with a model against every other measured codec.

    Lossy codecs are compared at equal quality by `metric`: bytes per image are interpolated linearly in the
    logarithm over quality, at 10, 50 and 90% of the interval that both curves reach. Lossless codecs have one
    rate. Lossy and lossless ones are not compared with each other.

    Returns
    -------
    list of dict
        codec, other: names; model: bytes; at: list of {place, quality, bytes, otherBytes, images}; images is
        None where no number of images is enough; an empty list where the curves share no quality.
    """
    rows = []
    for result in run.measured:
        for other in run.measured:
            if other is result or not _model(result) or (result in run.lossless) != (other in run.lossless):
                continue
            points = (
                _lossless(run, result, other)
                if result in run.lossless
                else _lossy(run, metric, result, other)
            )
            names = {"codec": run.labels[id(result)], "other": run.labels[id(other)]}
            rows.append({**names, "model": _model(result), "otherModel": _model(other), "at": points})
    return rows


def _model(result: Result) -> int:
    return int(result.meta.get("model_bytes") or 0)


def _lossless(run: Run, result: Result, other: Result) -> list[dict[str, Any]]:
    rates = [float(_bytes(run, one).mean()) for one in (result, other) if run.over(one)]
    return [_point("lossless", None, result, other, *rates)] if len(rates) == 2 else []


def _lossy(run: Run, metric: str, result: Result, other: Result) -> list[dict[str, Any]]:
    curves = [_by_quality(run, metric, one) for one in (result, other)]
    if any(len(quality) < 2 for quality, _ in curves):
        return []
    low = max(float(quality[0]) for quality, _ in curves)
    high = min(float(quality[-1]) for quality, _ in curves)
    if not low < high:
        return []
    points = []
    for place, share in PLACES.items():
        quality = low + share * (high - low)
        rates = [float(np.exp(np.interp(quality, axis, np.log(rate)))) for axis, rate in curves]
        points.append(_point(place, quality, result, other, *rates))
    return points


def _point(
    place: str, quality: float | None, result: Result, other: Result, rate: float, other_rate: float
) -> dict[str, Any]:
    count = break_even(_model(result), rate, _model(other), other_rate)
    return {
        **{"place": place, "quality": quality, "images": count},
        **{"bytes": round(rate, 1), "otherBytes": round(other_rate, 1)},
    }


def _by_quality(run: Run, metric: str, result: Result) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return qualities, ascending, and the mean bytes of an image; of points with one quality, the smallest."""
    quality, rate = result.curve(metric, run.over(result)), _bytes(run, result)
    known = np.isfinite(quality) & np.isfinite(rate) & (rate > 0)
    order = np.lexsort((rate[known], quality[known]))
    axis, first = np.unique(quality[known][order], return_index=True)
    return axis, rate[known][order][first]


def _bytes(run: Run, result: Result) -> NDArray[np.float64]:
    """Return the mean bytes of one image at each rate point, of files that may hold many images."""
    images = run.over(result)
    total = result.table("bytes", images).sum(axis=0)
    counts = {str(row["sha256"]): int(row.get("images") or 1) for row in result.rows if "error" not in row}
    return np.asarray(total / max(1, sum(counts[sha] for sha in images)))
