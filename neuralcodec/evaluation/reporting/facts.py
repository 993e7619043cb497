"""What a reader has to know to trust a run: how it was made, and what is odd about it."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from neuralcodec.evaluation.bd.delta import LEAST_OVERLAP
from neuralcodec.evaluation.reporting.bd import Tables
from neuralcodec.evaluation.reporting.curves import rising
from neuralcodec.evaluation.reporting.run import Run, data_of, layout_of
from neuralcodec.evaluation.results import Result

# The keys of meta that the page words itself; whatever else is there is listed as it is.
SHARED = ("command", "seed", "machine", "load_average", "metrics")


def facts_of(run: Run) -> dict[str, Any]:
    """Return how the run was made: {shared: [[name, value], ...], codecs: [[name, [[name, value], ...]], ...]}.

    What all codecs agree on is shared; what differs stands with each codec.
    """
    shared = [["data", text_of(data_of(run.measured[0]))]] if _agree(run, "data") else []
    shared += [[_worded(key), text_of(run.measured[0].meta[key])] for key in SHARED if _agree(run, key)]
    versions = _common_versions(run)
    if versions:
        shared.append(["versions", text_of(versions)])
    return {
        "shared": shared,
        "codecs": [[run.labels[id(result)], list(_own(run, result, versions))] for result in run.measured],
        "published": [[run.labels[id(result)], _source(result)] for result in run.published],
    }


def warnings_of(run: Run, metric: str | None, tables: Tables, anchor: int) -> list[str]:
    """Return what is odd about a run, a sentence each.

    Parameters
    ----------
    run
        The run.
    metric
        The one that curves are judged by, None if nothing lossy was measured.
    tables
        What `bd.bd_tables` returns.
    anchor
        Number of the codec that the others are compared with.
    """
    return [
        *(f"{name} was left out: {reason}" for name, reason in run.left_out.items()),
        *_of_images(run),
        *_of_data(run),
        *_of_machines(run),
        *(_of_overlap(run, tables[metric][anchor], anchor) if metric else ()),
        *(sentence for result in run.lossy for sentence in _of_curve(run, result, metric)),
    ]


def text_of(value: Any) -> str:
    """Return a value of a record in words.

    >>> text_of({"Pillow": "13.0.0", "cores": 2}), text_of([0.5, 1])
    ('Pillow 13.0.0, cores 2', '0.5, 1')
    """
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {text_of(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(text_of, value))
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else f"{value:,}" if _is_large(value) else str(value)


def _is_large(value: Any) -> bool:
    return isinstance(value, int) and abs(value) >= 100_000


def _of_images(run: Run) -> Iterator[str]:
    for result in run.measured:
        failed = {row["sha256"] for row in result.errors}
        if failed:
            yield (
                f"{run.labels[id(result)]} failed on {_count(len(failed), 'image')} "
                f"({_count(len(result.errors), 'row')}); the first error: {result.errors[0]['error']}"
            )
    every = {row["sha256"] for result in run.measured for row in result.rows}
    if not run.images:
        yield "No image was coded by every codec: each curve is over the codec's own images, which differ."
    elif len(run.images) < len(every):
        yield f"All figures are over the {len(run.images)} of {len(every)} images that every codec coded."
    names = {text_of(data_of(result).get("name", "")) for result in run.measured} - {""}
    if len(names) > 1:
        yield f"The records are of different data: {', '.join(sorted(names))}."
    layouts = {layout_of(result) for result in run.measured}
    if len(layouts) > 1:
        yield f"The images were coded in different layouts: {', '.join(sorted(layouts))}."


def _of_data(run: Run) -> Iterator[str]:
    if any(data_of(result).get("limit") for result in run.measured):
        yield "Only a part of the data was measured: figures published of the whole do not compare."
    skipped = dict.fromkeys(str(name) for result in run.measured for name in result.meta.get("skipped") or ())
    if skipped:
        yield f"Left out of the data, {_count(len(skipped), 'file')}: {', '.join(list(skipped)[:5])}."
    for result in run.measured:
        refused = result.meta.get("refused_metrics")
        if isinstance(refused, Mapping) and refused:
            reasons = "; ".join(f"{metric}: {reason}" for metric, reason in refused.items())
            yield f"Not measured of {run.labels[id(result)]}: {reasons}."


def _of_machines(run: Run) -> Iterator[str]:
    if len({text_of(result.meta.get("machine")) for result in run.measured}) > 1:
        yield "The codecs were measured on different machines: their times do not compare."
    for result in run.measured:
        load, machine = result.meta.get("load_average"), result.meta.get("machine")
        cores = machine.get("cpus") if isinstance(machine, Mapping) else None
        first = load[0] if isinstance(load, list) and load else load
        if isinstance(first, int | float) and isinstance(cores, int) and first > cores:
            yield (
                f"The machine was busy when {run.labels[id(result)]} was measured (load {first:.1f} on "
                f"{_count(cores, 'core')}): its times are too long."
            )
    versions = {_version_of_ours(result) for result in run.measured}
    if len(versions) > 1:
        yield f"The records come from different versions of neuralcodec: {', '.join(sorted(versions))}."


def _of_curve(run: Run, result: Result, metric: str | None) -> Iterator[str]:
    name, images = run.labels[id(result)], run.over(result)
    if not images:
        yield f"{name} coded no image at all its rate points: it has no curve."
        return
    rate = result.curve("bpp", images).tolist()
    if len(rate) == 1:
        yield f"{name} has one rate point only: a point, not a curve."
    if len({f"{value:.9g}" for value in rate}) < len(rate):
        yield f"{name} has rate points of the same size."
    if metric and len(rate) > 1:
        quality = result.curve(metric, images).tolist()
        if np.isfinite(quality).all() and not rising(rate, quality):
            yield f"The curve of {name} does not rise everywhere: more bits gave less quality."


def _of_overlap(run: Run, rows: Sequence[Mapping[str, Any]], anchor: int) -> Iterator[str]:
    everyone = [*run.measured, *run.published]
    for row in rows:
        if row["codec"] < len(run.measured) and row["overlap"] < LEAST_OVERLAP:
            names = (run.labels[id(everyone[number])] for number in (row["codec"], anchor))
            yield f"{' and '.join(names)} have only {row['overlap']:.0%} of their range of quality in common."


def _own(run: Run, result: Result, versions: Mapping[str, Any]) -> Iterator[list[str]]:
    if result.description:
        yield ["description", result.description]
    for key, value in result.meta.items():
        if key == "versions" and isinstance(value, Mapping):
            value = {name: version for name, version in value.items() if name not in versions}
        if key in (*SHARED, "data") and _agree(run, key):
            continue
        if value not in ({}, [], None, ""):
            yield [_worded(key), _moment(value) if key in ("started", "finished") else text_of(value)]


def _agree(run: Run, key: str) -> bool:
    values = [text_of(result.meta[key]) for result in run.measured if key in result.meta]
    return len(values) == len(run.measured) and len(set(values)) == 1


def _common_versions(run: Run) -> dict[str, Any]:
    each = [result.meta.get("versions") for result in run.measured]
    maps = [versions for versions in each if isinstance(versions, Mapping)]
    if len(maps) < len(each):
        return {}
    return {
        name: version
        for name, version in maps[0].items()
        if all(name in other and other[name] == version for other in maps)
    }


def _version_of_ours(result: Result) -> str:
    versions = result.meta.get("versions")
    return str(versions.get("neuralcodec", "unknown")) if isinstance(versions, Mapping) else "unknown"


def _source(result: Result) -> str:
    return str(result.meta.get("published", ""))


def _moment(value: Any) -> str:
    """Return a time in seconds since 1970 as date and time, in UTC."""
    try:
        return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (TypeError, ValueError, OverflowError, OSError):
        return text_of(value)


def _worded(key: str) -> str:
    return str(key).replace("_", " ")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"
