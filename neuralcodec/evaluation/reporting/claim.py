"""The page's first lines: which codec is best at what."""

from typing import Any

import numpy as np

from neuralcodec.evaluation.reporting.bd import Tables
from neuralcodec.evaluation.reporting.lossless import lossless_table
from neuralcodec.evaluation.reporting.run import Run, data_of
from neuralcodec.evaluation.results import Result

NAMES = {
    "psnr-rgb": "PSNR",
    "psnr-y": "luma PSNR",
    "ms-ssim-rgb": "MS-SSIM",
    "ms-ssim-rgb-db": "MS-SSIM",
    "ssim-rgb": "SSIM",
}
Card = dict[str, str]


def claim_of(run: Run, tables: Tables, anchor: int) -> dict[str, Any]:
    """Return eyebrow, headline, lead and cards.

    Parameters
    ----------
    run
        The run.
    tables
        What `bd.bd_tables` returns.
    anchor
        Number of the codec that the others are compared with.
    """
    lossless = _lossless_cards(run)
    cards = [*_bd_cards(run, tables, anchor)[: 2 - len(lossless)], *lossless, *_time_cards(run)]
    return {
        **{"eyebrow": _eyebrow(run), "headline": _headline(run, tables, anchor), "lead": _lead(run)},
        "cards": cards,
    }


def _headline(run: Run, tables: Tables, anchor: int) -> str:
    names = [run.labels[id(result)] for result in run.measured]
    for metric, by_anchor in tables.items():
        rows = _ranked(run, by_anchor[anchor])
        if rows and rows[0]["rate"] < 0:
            name, share = names[rows[0]["codec"]], _percent(rows[0])
            return f"At equal {NAMES[metric]}, {name} takes {share} fewer bits than {names[anchor]}"
        if rows:
            return f"At equal {NAMES[metric]}, nothing measured here takes fewer bits than {names[anchor]}"
    lossless = lossless_table(run)
    if lossless:
        ratio = f", {lossless[0]['ratio']:.2f} : 1" if lossless[0]["ratio"] else ""
        return f"{lossless[0]['codec']} makes the smallest files{ratio}"
    return f"{', '.join(names)}: rate and quality"


def _bd_cards(run: Run, tables: Tables, anchor: int) -> list[Card]:
    cards: list[Card] = []
    names = [run.labels[id(result)] for result in run.measured]
    for metric in tables:
        rows = _ranked(run, tables[metric][anchor])
        label = f"Fewest bits at equal {NAMES[metric]}"
        if not rows or any(card["label"] == label for card in cards) or len(cards) == 2:
            continue
        if rows[0]["rate"] >= 0:
            cards.append({"label": label, "value": names[anchor], "detail": "no other needs fewer"})
            continue
        interval = (
            f" (95%: {rows[0]['rateLow']:+.1f} to {rows[0]['rateHigh']:+.1f}%)"
            if rows[0]["rateLow"] is not None
            else ""
        )
        detail = f"{rows[0]['rate']:+.1f}% against {names[anchor]}{interval}".replace("-", "−")
        cards.append({"label": label, "value": names[rows[0]["codec"]], "detail": detail})
    return cards


def _lossless_cards(run: Run) -> list[Card]:
    rows = lossless_table(run)
    if not rows:
        return []
    detail = f"{rows[0]['bits_per_sample']:.3f} bits per sub-pixel"
    return [{"label": "Smallest without loss", "value": rows[0]["codec"], "detail": detail}]


def _time_cards(run: Run) -> list[Card]:
    """Return who is fastest: by the mean over the rate points of the mean over the images."""
    cards = []
    for key, label in (("encoding_time", "Fastest to encode"), ("decoding_time", "Fastest to decode")):
        times = [(_mean_time(run, result, key), run.labels[id(result)]) for result in run.measured]
        found = sorted((time, name) for time, name in times if np.isfinite(time))
        if len(found) > 1:
            second = f", {found[1][1]} {_seconds(found[1][0])}"
            cards.append(
                {"label": label, "value": found[0][1], "detail": f"{_seconds(found[0][0])} a file{second}"}
            )
    return cards


def _mean_time(run: Run, result: Result, key: str) -> float:
    values = result.curve(key, run.over(result))
    return float(np.mean(values[np.isfinite(values)])) if np.isfinite(values).any() else np.nan


def _eyebrow(run: Run) -> str:
    names = sorted({str(data_of(result).get("name", "")) for result in run.measured} - {""})
    images = len(run.images)
    parts = [
        "Rate and distortion",
        ", ".join(names),
        f"{images:,} image{'s' * (images != 1)}" if images else "",
    ]
    return " · ".join(part for part in parts if part)


def _lead(run: Run) -> str:
    points = sum(len(result.rows) - len(result.errors) for result in run.measured)
    codecs = len(run.measured)
    return (
        f"{codecs} codec{'s' * (codecs != 1)}, {points:,} files written, decoded again and compared with their "
        "originals. Rates are sizes of files."
    )


def _ranked(run: Run, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of measured codecs that have a BD-rate, the least first."""
    mine = [row for row in rows if row["codec"] < len(run.measured) and row["rate"] is not None]
    return sorted(mine, key=lambda row: float(row["rate"]))


def _percent(row: dict[str, Any]) -> str:
    return f"{-row['rate']:.0f}%" if row["rate"] <= -1 else f"{-row['rate']:.2f}%"


def _seconds(value: float) -> str:
    for least, unit in ((1.0, "s"), (1e-3, "ms")):
        if value >= least:
            return f"{value / least:.3g} {unit}"
    return f"{value * 1e6:.3g} µs"
