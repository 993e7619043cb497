"""The run: codecs are measured on a data set, and every row is kept as it comes."""

import hashlib
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from neuralcodec.codec import Codec
from neuralcodec.container.files import PathLike
from neuralcodec.errors import EntropyCodingError, UnsupportedInput
from neuralcodec.evaluation import layouts
from neuralcodec.evaluation.data import Dataset, Item, open_data
from neuralcodec.evaluation.execution import Finished, run_here, run_processes
from neuralcodec.evaluation.measure import NOT_EXACT, Task, subject_of
from neuralcodec.evaluation.metrics import PEAKS, refuses
from neuralcodec.evaluation.records import Record, check_images, writable_folder
from neuralcodec.evaluation.resources import command, machine, versions
from neuralcodec.evaluation.results import Result
from neuralcodec.evaluation.subject import Subject

DEFAULT_METRICS = ("psnr-rgb", "psnr-y", "ms-ssim-rgb", "ms-ssim-rgb-db")
_MOST_ITEMS = 64  # in one task
_WEIGHED, _MOST_WEIGHED = 24, 3  # of so many images one has its peak memory measured, up to so many


def evaluate(
    data: str | Dataset,
    codecs: Sequence[str | Codec],
    output: PathLike,
    *,
    metrics: Sequence[str] | None = None,
    layout: str = layouts.EACH,
    limit: int | None = None,
    seed: int = 0,
    jobs: int = 1,
    scheduler: str | None = None,
    keep: int = 3,
    restart: bool = False,
    isolate: bool = False,
    advance: Callable[[int], None] | None = None,
    begin: Callable[[int], None] | None = None,
) -> list[Result]:
    """Measure codecs on a data set and write one record for each into a folder.

    What the folder holds already is not measured again; rows of other versions, machines or data are refused.

    Parameters
    ----------
    data
        Name of a data set, a folder or a file (see :func:`open_data`), or one that is open.
    codecs
        Specs (see :func:`find_subject`), or codecs, which then must be picklable for `jobs` above 1.
    output
        The run's folder.
    metrics
        Names among `QUALITY_METRICS`; None means PSNR (RGB and Y) and, where images are large enough, MS-SSIM.
    layout
        "each": a file for each image. "mosaic": all images as the tiles of one picture. "archive": all in one
        `.ncz` archive.
    limit, seed
        How many images are drawn at random from the data set, if not all.
    jobs
        Processes of this machine.
    scheduler
        Address of a Dask scheduler, to run on its workers instead.
    keep
        How many images' encoded files are kept, for the report to show.
    restart
        Measure anew what the folder holds.
    isolate
        Measure in a process apart also with one job, if some codec is neither built in nor a command: one that
        crashes gives an error row then, rather than ending this process. The caller's main module is imported
        there, so that scripts need the usual guard.
    advance, begin
        Called with the number of measurements just done, and once, at the start, with how many there will be.

    Raises
    ------
    UnsupportedInput
        If the data, a codec or a metric does not fit, or the folder holds another run.
    EntropyCodingError
        At the end, if a lossless codec did not return the very samples.
    """
    if scheduler is not None and jobs > 1:
        raise UnsupportedInput(
            "jobs are processes of this machine, and a scheduler has workers: give one of both"
        )
    dataset = open_data(data, limit=limit, seed=seed) if isinstance(data, str) else data
    plan = _plan(dataset, codecs, metrics, layout, limit, seed, keep)
    folder = writable_folder(output)
    records = {one.name: _record(folder, one, plan.meta(one), restart) for one in plan.subjects}
    tasks = list(_tasks(plan, records, jobs))
    if begin is not None:
        begin(sum(map(_measurements, tasks)))
    ends = {"command": command(), "load_average": list(os.getloadavg()), "jobs": jobs, "started": time.time()}
    apart = isolate and any(map(_is_foreign, plan.codecs.values()))
    try:
        for task, measured in _finished(tasks, jobs, scheduler, apart=apart):
            records[subject_of(task.codec).name].add(measured.rows, measured.versions)
            if advance is not None:
                advance(_measurements(task))
    finally:
        for record in records.values():
            record.close()
    order = {item.name: number for number, item in enumerate(dataset.items)}
    results = [record.finish(order, ends | {"finished": time.time()}) for record in records.values()]
    check_images(results)
    _check_exact(results)
    return results


@dataclass(frozen=True)
class _Plan:
    """What is to be measured, once the request has been checked."""

    dataset: Dataset
    codecs: Mapping[str, str | Subject]
    layout: str
    metrics: tuple[str, ...]
    facts: Mapping[str, Any]
    kept: frozenset[str]
    weighed: frozenset[str]

    @property
    def subjects(self) -> list[Subject]:
        """The codecs."""
        return [subject_of(codec) for codec in self.codecs.values()]

    def meta(self, subject: Subject) -> dict[str, Any]:
        """Return what the record of a codec says of how it was made."""
        own = {
            "codec": subject.name,
            "lossless": subject.lossless,
            "parameters": dict(subject.codec.parameters),
            "model_bytes": subject.model_bytes,
            "versions": versions(subject.versions),
        }
        return own | dict(self.facts)


def _plan(
    dataset: Dataset,
    codecs: Sequence[str | Codec],
    metrics: Sequence[str] | None,
    layout: str,
    limit: int | None,
    seed: int,
    keep: int,
) -> _Plan:
    if layout not in layouts.LAYOUTS:
        raise UnsupportedInput(f"no layout is called {layout!r}; there are {', '.join(layouts.LAYOUTS)}")
    named: dict[str, str | Subject] = {}
    for codec in codecs:
        source = codec if isinstance(codec, str) else Subject(codec, codec.name)
        name = subject_of(source).name
        if name in named:
            raise UnsupportedInput(
                f"the codec {name} is given twice: give its rate points together, as {name}@q1,q2"
            )
        named[name] = source
    if not named:
        raise UnsupportedInput("no codec to measure: name some, for example jpeg")
    first = dataset.items[0].load()
    chosen, refused = _metrics(metrics, first)
    data: dict[str, Any] = {
        "name": dataset.name,
        "spec": dataset.spec,
        "layout": layout,
        "images": len(dataset.items),
    }
    data |= {"limit": limit, "seed": seed, "names_sha256": _names_sha256(dataset.items)}
    facts: dict[str, Any] = {
        "data": data,
        "metrics": list(chosen),
        "refused_metrics": refused,
        "skipped": list(dataset.skipped),
    }
    facts |= {"peak": PEAKS.get(first.dtype), "machine": machine(), "seed": seed}
    kept = _spread(dataset.items, keep) if layout == layouts.EACH else frozenset()
    weighed = _spread(dataset.items, min(math.ceil(len(dataset.items) / _WEIGHED), _MOST_WEIGHED))
    return _Plan(dataset, named, layout, chosen, facts, kept, weighed)


def _metrics(asked: Sequence[str] | None, image: NDArray[Any]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the metrics to compute, and those which the images do not allow, with the reason.

    Raises
    ------
    UnsupportedInput
        If a metric that was asked for does not exist, or does not take the images.
    """
    reasons = {one: refuses(one, image.shape, image.dtype) for one in dict.fromkeys(asked or DEFAULT_METRICS)}
    refused = {metric: reason for metric, reason in reasons.items() if reason}
    if refused and asked:
        metric, reason = next(iter(refused.items()))
        raise UnsupportedInput(f"{metric} cannot be measured here: {reason}")
    return tuple(metric for metric in reasons if metric not in refused), refused


def _spread(items: Sequence[Item], count: int) -> frozenset[str]:
    """Return the names of some items, evenly spaced.

    >>> from types import SimpleNamespace
    >>> sorted(_spread([SimpleNamespace(name=name) for name in "abcdefg"], 3))
    ['b', 'd', 'f']
    """
    n = min(count, len(items))
    return frozenset(items[(2 * number + 1) * len(items) // (2 * n)].name for number in range(n))


def _names_sha256(items: Iterable[Item]) -> str:
    names = "\n".join(item.name for item in items)
    return hashlib.sha256(names.encode("utf-8", "surrogateescape")).hexdigest()


def _record(folder: Path, subject: Subject, meta: Mapping[str, Any], restart: bool) -> Record:
    about = subject.codec.takes if subject.codec.model is not None else ""
    return Record(folder, subject.name, subject.title, about, meta, restart=restart)


def _tasks(plan: _Plan, records: Mapping[str, Record], jobs: int) -> Iterator[Task]:
    """Yield what is not measured yet, the tasks of an image following each other."""
    if plan.layout != layouts.EACH:
        name = layouts.set_name(plan.layout, len(plan.dataset.items))
        for codec in plan.codecs:
            for quality in _missing(plan, records, codec, name):
                yield _task(plan, codec, plan.dataset.items, (quality,))
        return
    items = plan.dataset.items
    step = max(1, min(_MOST_ITEMS, len(items) // (8 * jobs)))
    for start in range(0, len(items), step):
        for codec in plan.codecs:
            parts: dict[tuple[float | None, ...], list[Item]] = {}
            for item in items[start : start + step]:
                parts.setdefault(_missing(plan, records, codec, item.name), []).append(item)
            yield from (_task(plan, codec, some, points) for points, some in parts.items() if points)


def _missing(plan: _Plan, records: Mapping[str, Record], codec: str, image: str) -> tuple[float | None, ...]:
    return tuple(q for q in subject_of(plan.codecs[codec]).qualities if not records[codec].has(image, q))


def _task(plan: _Plan, codec: str, items: Sequence[Item], points: tuple[float | None, ...]) -> Task:
    keep, weigh = (
        tuple(number for number, item in enumerate(items) if item.name in names)
        for names in (plan.kept, plan.weighed)
    )
    return Task(plan.codecs[codec], tuple(items), points, plan.layout, plan.metrics, keep, weigh)


def _measurements(task: Task) -> int:
    return len(task.qualities) * (len(task.items) if task.layout == layouts.EACH else 1)


def _is_foreign(codec: str | Subject) -> bool:
    """Tell whether a codec named by a spec is code of others, run in this process."""
    return isinstance(codec, str) and not type(subject_of(codec).codec).__module__.startswith("neuralcodec.")


def _finished(tasks: Sequence[Task], jobs: int, scheduler: str | None, *, apart: bool) -> Finished:
    if scheduler is not None:
        from neuralcodec.evaluation.cluster import run_cluster

        return run_cluster(tasks, scheduler)
    return run_processes(tasks, jobs) if jobs > 1 or apart else run_here(tasks)


def _check_exact(results: Iterable[Result]) -> None:
    for result in results:
        for row in result.errors:
            if row["error"] == NOT_EXACT:
                raise EntropyCodingError(f"{result.name} on {row['image']}: {NOT_EXACT}")
