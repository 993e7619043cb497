"""What lies in a run's folder: the records of measured codecs, and curves that others published."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from neuralcodec.container.files import PathLike
from neuralcodec.errors import UnsupportedInput
from neuralcodec.evaluation.published import published_curves
from neuralcodec.evaluation.results import Result

# Published curves that are drawn at first: how many, and the points that they have at least.
FEATURED, FEATURED_POINTS = 4, 3
# Quality metrics in the order of the page: first those that people compare by.
METRICS = ("psnr-rgb", "ms-ssim-rgb-db", "psnr-y", "ssim-rgb", "ms-ssim-rgb")


@dataclass(frozen=True)
class Run:
    """The records of a run.

    Attributes
    ----------
    folder
        Where they lie.
    measured
        One record for each codec, in order of their file names.
    published
        Curves that were published by others; they have no rows.
    left_out
        Records that could not be read, with the reason, by file name.
    """

    folder: Path
    measured: Sequence[Result]
    published: Sequence[Result] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def lossless(self) -> list[Result]:
        """The measured codecs that return the very samples."""
        return [result for result in self.measured if result.meta.get("lossless")]

    @cached_property
    def lossy(self) -> list[Result]:
        """The measured codecs that do not."""
        return [result for result in self.measured if not result.meta.get("lossless")]

    @cached_property
    def labels(self) -> dict[int, str]:
        """What each record is called here, by its `id`: its name, with its spec or number where two share it."""
        names = Counter(result.name for result in self.measured)
        taken: Counter[str] = Counter()
        labels = {}
        for result in self.measured:
            label = result.name
            if names[label] > 1 and spec_of(result):
                label = f"{label} ({spec_of(result)})"
            if layout_of(result) != "each" and len({layout_of(other) for other in self.measured}) > 1:
                label = f"{label}, {layout_of(result)}"
            taken[label] += 1
            labels[id(result)] = label if taken[label] == 1 else f"{label} [{taken[label]}]"
        return labels | {id(result): result.name for result in self.published}

    @cached_property
    def featured(self) -> list[Result]:
        """The published curves that are drawn until a reader asks for more: a few of codecs not measured here."""
        mine = {result.name.casefold() for result in self.measured}
        new = [curve for curve in self.published if curve.name.casefold() not in mine]
        return [curve for curve in new if len(curve.curve("bpp")) >= FEATURED_POINTS][:FEATURED]

    @cached_property
    def images(self) -> list[str]:
        """The images that figures are taken over: those that every measured codec coded at all its rate points.

        A codec that coded no image at all takes none away from the others. SHA-256 of the samples, in order.
        """
        sets = [result.images for result in self.measured if result.images]
        common = set.intersection(*map(set, sets)) if sets else set()
        return [sha for sha in sets[0] if sha in common] if sets else []

    def over(self, result: Result) -> list[str]:
        """Return the images that the figures of one record are means over: the common ones if there are any."""
        return (self.images or result.images) if result.images else []

    @cached_property
    def metrics(self) -> list[str]:
        """The quality metrics that some lossy codec was measured by."""
        return [
            metric
            for metric in METRICS
            if any(np.isfinite(result.curve(metric, self.over(result))).any() for result in self.lossy)
        ]

    def find(self, name: str) -> Result:
        """Return the record of a codec, by name or spec; :class:`UnsupportedInput` if there is none."""
        wanted = name.casefold()
        for result in (*self.measured, *self.published):
            if wanted in (self.labels[id(result)].casefold(), spec_of(result).casefold()):
                return result
        known = ", ".join(spec_of(result) or result.name for result in (*self.measured, *self.published))
        raise UnsupportedInput(f"{self.folder}: no record is of {name!r}; there are {known}")


def read_run(folder: PathLike, *, published: bool = True) -> Run:
    """Read the records of a run's folder; other JSON files are passed over.

    Parameters
    ----------
    folder
        What `neuralcodec eval -o` wrote. Records in CompressAI's schema count as published.
    published
        Whether to take published curves, those of the same data that come with neuralcodec included.

    Raises
    ------
    UnsupportedInput
        If there is no such folder, or no record of a measurement in it that can be read.
    """
    place = Path(folder)
    if not place.is_dir():
        raise UnsupportedInput(f"{place} is no folder: name one that `neuralcodec eval -o` wrote")
    results, left_out = [], {}
    for path in sorted(place.glob("*.json")):
        try:
            if path.is_file() and _is_record(path):
                results.append(Result.read(path))
        except UnsupportedInput as error:
            left_out[path.name] = str(error)
    measured = [result for result in results if not result.is_published]
    if not measured:
        reasons = "".join(f"; {reason}" for reason in left_out.values())
        raise UnsupportedInput(
            f"{place} has no record of a measurement; `neuralcodec eval` makes them{reasons}"
        )
    others = [result for result in results if result.is_published]
    return Run(place, measured, [*others, *_of_same_data(measured)] if published else [], left_out)


def spec_of(result: Result) -> str:
    """Return what the codec of a record was asked for by; empty for published curves."""
    return str(result.meta.get("codec", ""))


def layout_of(result: Result) -> str:
    """Return how the images of a record were coded: "each", "mosaic" or "archive"."""
    return str(data_of(result).get("layout", "each"))


def data_of(result: Result) -> Mapping[str, Any]:
    """Return what a record says of its images."""
    data = result.meta.get("data")
    return data if isinstance(data, dict) else {"name": str(data)} if data else {}


def _of_same_data(measured: Sequence[Result]) -> list[Result]:
    """Return what others published of the data of a run; nothing if the run is of a part of it."""
    if any(data_of(result).get("limit") for result in measured):
        return []
    names = dict.fromkeys(str(data_of(result).get("name", "")) for result in measured)
    return [curve for name in names for curve in published_curves(name)]


def _is_record(path: Path) -> bool:
    """Tell whether a JSON file claims to be a record; one that is no JSON at all is reported, not passed over."""
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return True
    return isinstance(value, dict) and ("results" in value or "schema" in value)
