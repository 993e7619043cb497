"""What the page draws: means of each codec at each rate point, and the rows they come from."""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from neuralcodec.evaluation.reporting.run import Run, spec_of
from neuralcodec.evaluation.results import QUALITY_METRICS, Result

# Figures of a row in the page's table, in its order.
COLUMNS = (
    *("bytes", "bpp", "bits_per_sample", *QUALITY_METRICS, "max-error"),
    *("encoding_time", "decoding_time", "peak_memory"),
)
# Rows that the page lists; a run of a large set of small images has more, all of them in results.csv.
ROW_LIMIT = 8000
DIGITS = 6


def codecs_of(run: Run) -> list[dict[str, Any]]:
    """Return the measured codecs, then the published curves, as the page draws them.

    Each has its name, where it was published if it was, its rate points and means over `Run.over`.
    """
    return [codec_of(run, result) for result in (*run.measured, *run.published)]


def codec_of(run: Run, result: Result) -> dict[str, Any]:
    """Return one codec as the page draws it; figures that were not measured are left out."""
    images = None if result.is_published else run.over(result)
    keys = (*COLUMNS, "bpp_payload", "psnr-rgb-of-mean-mse")
    curves = {key: plain(result.curve(key, images)) for key in keys}
    return {
        "name": run.labels[id(result)],
        "spec": spec_of(result),
        "description": result.description,
        "published": str(result.meta.get("published", "")) if result.is_published else None,
        "shown": not result.is_published or result in run.featured,
        "lossless": bool(result.meta.get("lossless")),
        "modelBytes": int(result.meta.get("model_bytes") or 0),
        "images": len(images or ()),
        "quality": list(result.qualities) or [None] * len(curves.get("bpp", ())),
        "means": {key: values for key, values in curves.items() if any(v is not None for v in values)},
    }


def rows_of(run: Run) -> dict[str, Any]:
    """Return the rows of measured codecs for the page's table and per-image plots.

    Returns
    -------
    dict
        columns: names of figures; images: names; rows: [codec, image, rate point, figure, ...] with the codec and
        image as indices; errors: [codec, image, quality, message]; left_out: number of rows that are not listed.
    """
    present = {key for result in run.measured for row in result.rows for key in row if row[key] is not None}
    columns = [key for key in COLUMNS if key in present]
    images: dict[str, str] = {}
    for result in run.measured:
        for row in result.rows:
            images.setdefault(str(row["sha256"]), str(row["image"]))
    places = {sha: number for number, sha in enumerate(images)}
    listed = _listed(run, places)
    rows, errors = [], []
    for number, result in enumerate(run.measured):
        for row in result.rows:
            place = places[str(row["sha256"])]
            if "error" in row:
                errors.append([number, place, row["quality"], str(row["error"])])
            elif place < listed:
                rows.append([number, place, row["quality"], *(_short(row.get(key)) for key in columns)])
    left_out = sum(len(result.rows) for result in run.measured) - len(rows) - len(errors)
    return {
        **{"columns": columns, "images": list(images.values()), "rows": rows, "errors": errors[:ROW_LIMIT]},
        "leftOut": left_out + max(0, len(errors) - ROW_LIMIT),
    }


def _listed(run: Run, places: dict[str, int]) -> int:
    """Return how many images, from the first on, have no more than `ROW_LIMIT` rows."""
    counts = np.zeros(len(places), int)
    for result in run.measured:
        for row in result.rows:
            counts[places[str(row["sha256"])]] += 1
    return int(np.searchsorted(np.cumsum(counts), ROW_LIMIT, side="right"))


def rising(rate: Sequence[float | None], quality: Sequence[float | None]) -> bool:
    """Tell whether a curve rises: more bits never give less quality.

    >>> rising([0.5, 0.2, 1.0], [30, 25, 34]), rising([0.2, 0.5], [30, 29])
    (True, False)
    """
    points = sorted((r, q) for r, q in zip(rate, quality, strict=True) if r is not None and q is not None)
    return all(after[1] >= before[1] for before, after in pairwise(points))


def plain(values: Iterable[float]) -> list[float | None]:
    """Return numbers for JSON, to six digits; None for what is not finite."""
    return [_short(value) for value in values]


def _short(value: Any) -> float | None:
    if value is None or isinstance(value, str) or not math.isfinite(value):
        return None
    return float(f"{value:.{DIGITS}g}") if not float(value).is_integer() else int(value)
