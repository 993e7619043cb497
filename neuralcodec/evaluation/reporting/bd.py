"""Bjontegaard deltas of every codec against every other, for the page's table."""

import math
from itertools import permutations
from typing import Any

import numpy as np

from neuralcodec.evaluation.bd import Comparison, compare_results
from neuralcodec.evaluation.reporting.curves import plain
from neuralcodec.evaluation.reporting.run import Run
from neuralcodec.evaluation.results import Result

# metric -> anchor -> rows
Tables = dict[str, list[list[dict[str, Any]]]]


def bd_tables(run: Run) -> Tables:
    """Return the deltas by metric and anchor, over the images that both codecs coded.

    Returns
    -------
    dict
        metric -> list by anchor (numbered as `curves.codecs_of` does) -> list of {codec: number, rate: percent,
        rateLow, rateHigh, quality, qualityLow, qualityHigh, overlap: 0 to 1, notes: sentences}. Codecs
        without a curve, such as lossless ones, have no row. Published curves have no intervals, as nobody published
        figures of their images, and are not compared with each other.
    """
    return {metric: _tables(run, metric) for metric in run.metrics}


def _tables(run: Run, metric: str) -> list[list[dict[str, Any]]]:
    everyone = [*run.measured, *run.published]
    curves = [number for number, result in enumerate(everyone) if _has_curve(run, result, metric)]
    tables: list[list[dict[str, Any]]] = [[] for _ in everyone]
    for anchor, test in permutations(curves, 2):
        if everyone[anchor].is_published and everyone[test].is_published:
            continue
        tables[anchor].append(_row(test, compare_results(everyone[anchor], everyone[test], metric=metric)))
    return tables


def _has_curve(run: Run, result: Result, metric: str) -> bool:
    images = None if result.is_published else run.over(result)
    return result not in run.lossless and bool(np.isfinite(result.curve(metric, images)).any())


def _row(codec: int, found: Comparison) -> dict[str, Any]:
    nothing = (math.nan, math.nan)
    low, high = plain(found.rate.interval or nothing)
    quality_low, quality_high = plain(found.quality.interval or nothing)
    value, quality, overlap = plain([found.rate.value, found.quality.value, found.rate.overlap])
    notes = [*([found.rate.reason] if found.rate.reason else []), *found.rate.warnings]
    notes += [f"at equal rate, {note}" for note in found.quality.warnings if note not in found.rate.warnings]
    # The page says so once.
    notes = [note for note in notes if note != "no interval: a published curve has no images"]
    return {
        **{"codec": codec, "rate": value, "rateLow": low, "rateHigh": high},
        **{"quality": quality, "qualityLow": quality_low, "qualityHigh": quality_high, "overlap": overlap},
        "notes": [f"{note[0].upper()}{note[1:].removesuffix('.')}." for note in notes],
    }
