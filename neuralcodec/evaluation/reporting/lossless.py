"""The table of lossless codecs: bits per sub-pixel, ratio and times."""

from typing import Any

import numpy as np

from neuralcodec.evaluation.reporting.run import Run
from neuralcodec.evaluation.results import Result, Row


def lossless_table(run: Run) -> list[dict[str, Any]]:
    """Return a row for each lossless codec, the smallest files first.

    Returns
    -------
    list of dict
        codec; bits_per_sample: mean over the images; ratio: all samples as they lie in memory over all files;
        bytes: of all files; encoding_time, decoding_time: mean seconds of a file; peak_memory: bytes; exact:
        whether every image came back as it was.
    """
    rows = [_row(run, result) for result in run.lossless]
    return sorted(
        (row for row in rows if row["bits_per_sample"] is not None), key=lambda row: row["bits_per_sample"]
    )


def _row(run: Run, result: Result) -> dict[str, Any]:
    images = set(run.over(result))
    rows = [row for row in result.rows if row["sha256"] in images and "error" not in row]
    peaks = [row["peak_memory"] for row in rows if row.get("peak_memory") is not None]
    errors = [row["max-error"] for row in rows if row.get("max-error") is not None]
    total = sum(row["bytes"] for row in rows)
    return {
        "codec": run.labels[id(result)],
        "bits_per_sample": _mean(rows, "bits_per_sample"),
        "ratio": sum(samples_of(row) * _sample_bytes(row) for row in rows) / total if total else None,
        "bytes": total,
        **{key: _mean(rows, key) for key in ("encoding_time", "decoding_time")},
        "peak_memory": max(peaks, default=None),
        "exact": max(errors) == 0 if errors else None,
    }


def samples_of(row: Row) -> int:
    """Return how many samples the file of a row holds.

    >>> samples_of({"bytes": 9, "bits_per_sample": 1.0})
    72
    """
    return round(8 * row["bytes"] / row["bits_per_sample"]) if row.get("bits_per_sample") else 0


def _sample_bytes(row: Row) -> int:
    return np.dtype(row.get("dtype") or "uint8").itemsize


def _mean(rows: list[Row], key: str) -> float | None:
    values = [row[key] for row in rows if row.get(key) is not None]
    return sum(values) / len(values) if values else None
