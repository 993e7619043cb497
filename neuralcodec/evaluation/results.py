"""The record of a measurement: one JSON per codec, a superset of CompressAI's result schema.

CompressAI's keys (name, description, results: psnr-rgb, ms-ssim-rgb, bpp, encoding_time, decoding_time) come first
and mean the same; what they were averaged from, the row of every image at every rate point, comes with them.
"""

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuralcodec.container.files import PathLike, atomic_file
from neuralcodec.errors import UnsupportedInput
from neuralcodec.signals.sources import read_bytes

SCHEMA = "neuralcodec-rd/1"
MEANS = (
    *("bpp", "bpp_payload", "psnr-rgb", "psnr-y", "ms-ssim-rgb", "ms-ssim-rgb-db", "ssim-rgb", "mse"),
    *("bits_per_sample", "encoding_time", "decoding_time"),
)
GREATEST = ("max-error", "peak_memory")
DERIVED = {"psnr-rgb-of-mean-mse": "mse", "ms-ssim-rgb-db": "ms-ssim-rgb"}
"""Figures of a curve that come of the mean of another figure, as papers plot them."""
QUALITY_METRICS = ("psnr-rgb", "psnr-y", "ms-ssim-rgb", "ms-ssim-rgb-db", "ssim-rgb")
_FIGURES = {"quality", "bytes", "payload_bytes", "width", "height", *MEANS, *GREATEST}
REFUSED = "refused: "  # what the error of a row begins with if the codec does not take the image

Row = dict[str, Any]


@dataclass(frozen=True)
class Result:
    """What was measured of one codec on one data set, or published about it.

    Attributes
    ----------
    name
        What figures call it.
    description
        A sentence on it.
    meta
        How it was made. Measured: codec (its spec without rate points), lossless, parameters, model_bytes, data
        (name, images, sha256, layout), metrics, versions, machine, load_average, command, seed. Published: the key
        "published" with the source in words.
    rows
        One for each image and rate point: image, sha256, width, height, channels, images, quality, bytes,
        payload_bytes, bpp, bpp_payload, bits_per_sample, encoding_time and decoding_time (seconds), peak_memory
        (bytes beyond what was in use before; None where it was not measured), mse, max-error and the metrics;
        or, where the codec failed, image, sha256, quality and error. Infinite figures (PSNR of equal images) are None.
    published
        The means of a published curve, by name, which has no rows.
    """

    name: str
    description: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)
    rows: Sequence[Row] = ()
    published: Mapping[str, Sequence[float]] | None = None

    @property
    def is_published(self) -> bool:
        """Whether the figures were published by others rather than measured here."""
        return self.published is not None

    @property
    def qualities(self) -> list[float | None]:
        """The rate points, in order of their first rows."""
        return list(dict.fromkeys(row["quality"] for row in self.rows))

    @property
    def images(self) -> list[str]:
        """The images that were coded at every rate point, by the SHA-256 of their samples, in order."""
        failed = {row["sha256"] for row in self.rows if "error" in row}
        return [sha for sha in dict.fromkeys(row["sha256"] for row in self.rows) if sha not in failed]

    @property
    def errors(self) -> list[Row]:
        """The rows of what failed."""
        return [row for row in self.rows if "error" in row]

    def having(self, key: str) -> list[str]:
        """Return those of :attr:`images` that a metric takes; MS-SSIM leaves out small ones."""
        lacking = {row["sha256"] for row in self.rows if key not in row}
        return [sha for sha in self.images if sha not in lacking]

    def table(self, key: str, images: Sequence[str] | None = None) -> NDArray[np.float64]:
        """Return one figure of each image at each rate point, (images, rate points); NaN where there is none.

        Parameters
        ----------
        key
            Name of the figure.
        images
            Which, by SHA-256; None means :attr:`images`.
        """
        places = {sha: number for number, sha in enumerate(self.images if images is None else images)}
        columns = {quality: number for number, quality in enumerate(self.qualities)}
        out = np.full((len(places), len(columns)), math.nan)
        for row in self.rows:
            value = row.get(key)
            if row["sha256"] in places and value is not None:
                out[places[row["sha256"]], columns[row["quality"]]] = value
        return out

    def curve(self, key: str, images: Sequence[str] | None = None) -> NDArray[np.float64]:
        """Return a figure at each rate point: the mean over the images (the maximum of `GREATEST` ones).

        The figures of `DERIVED` are computed from a mean: MS-SSIM in dB is of the mean MS-SSIM.
        """
        if self.published is not None:
            derived = key not in self.published and key in DERIVED
            absent = [math.nan] * len(self.published["bpp"])
            values = self.published.get(DERIVED[key] if derived else key, absent)
            means = np.array([math.nan if v is None else v for v in values], np.float64)
            return self.of_means(key, means) if derived else means
        source = DERIVED.get(key, key)
        table = self.table(source, self.having(source) if images is None else images)
        if not table.size:
            return np.full(table.shape[1], math.nan)
        return np.fmax.reduce(table, axis=0) if key in GREATEST else self.of_means(key, table.mean(axis=0))

    def of_means(self, key: str, means: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return a figure of curves from means over images: of itself, or of what it derives from."""
        with np.errstate(divide="ignore"):
            if key == "psnr-rgb-of-mean-mse":
                return np.asarray(10 * np.log10(float(self.meta.get("peak", 255)) ** 2 / means))
            if key == "ms-ssim-rgb-db":
                return np.asarray(-10 * np.log10(1 - means))
        return means

    def to_json(self) -> dict[str, Any]:
        """Return the JSON value of the record; means are written for readers of CompressAI's schema."""
        if self.published is not None:
            results: Mapping[str, Any] = self.published
        else:
            keys = [key for key in (*MEANS, *GREATEST) if any(key in row for row in self.rows)]
            if "psnr-rgb" in keys:
                keys.append("psnr-rgb-of-mean-mse")
            results = {"quality": self.qualities} | {key: _plain(self.curve(key)) for key in keys}
        value = {"schema": SCHEMA, "name": self.name, "description": self.description}
        return value | {"meta": dict(self.meta), "results": dict(results), "rows": list(self.rows)}

    def write(self, path: PathLike) -> None:
        """Write the record; what was at `path` is replaced only by a whole one."""
        value = self.to_json()
        rows = ",\n  ".join(json.dumps(row, ensure_ascii=False) for row in value.pop("rows"))
        head = json.dumps(value, indent=1, ensure_ascii=False).removesuffix("\n}")
        text = f'{head},\n "rows": [\n  {rows}\n ]\n}}\n' if rows else f'{head},\n "rows": []\n}}\n'
        with atomic_file(path) as file:
            file.write(text.encode())

    @classmethod
    def read(cls, path: PathLike) -> "Result":
        """Read a record, ours or one in CompressAI's own schema (which counts as published).

        Raises
        ------
        UnsupportedInput
            If the file is no such record, or of another version of the schema.
        """
        where = os.fspath(path)
        try:
            value = json.loads(bytes(read_bytes(where)))
        except (ValueError, RecursionError) as error:
            raise UnsupportedInput(f"{where} is not JSON ({error})") from None
        if not isinstance(value, dict) or not isinstance(value.get("results"), dict):
            raise UnsupportedInput(f'{where} is no rate-distortion record: it has no object "results"')
        if value.get("schema") not in (None, SCHEMA):
            raise UnsupportedInput(
                f"{where} has the schema {value['schema']!r}, this version reads {SCHEMA!r}: measure again"
            )
        return _from_json(value, where)


def _from_json(value: dict[str, Any], where: str) -> Result:
    name, description = str(value.get("name", Path(where).stem)), str(value.get("description", ""))
    meta, rows, results = value.get("meta") or {}, value.get("rows") or [], value["results"]
    if not isinstance(meta, dict) or not isinstance(rows, list) or not all(map(is_row, rows)):
        raise UnsupportedInput(f"{where}: its meta or rows are damaged: measure again")
    if rows:
        return Result(name, description, meta, rows)
    lists = {key: column for key, column in results.items() if _is_column(column)}
    if "bpp" not in lists or any(len(column) != len(lists["bpp"]) for column in lists.values()):
        raise UnsupportedInput(f'{where}: its results need a list "bpp", and lists of one length')
    return Result(name, description, meta | {"published": meta.get("published") or where}, (), lists)


def is_row(row: Any) -> bool:
    """Tell whether a value has what a row must have, each of the type that it must have."""
    if not isinstance(row, dict):
        return False
    named = isinstance(row.get("image"), str) and isinstance(row.get("sha256"), str)
    measured = "bpp" in row or isinstance(row.get("error"), str)
    figures = (row[key] for key in row.keys() & _FIGURES)
    return named and measured and "quality" in row and all(map(_is_figure, figures))


def _is_figure(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _is_column(column: Any) -> bool:
    return isinstance(column, list) and all(map(_is_figure, column))


def _plain(values: NDArray[np.float64]) -> list[float | None]:
    """Return numbers for JSON, which knows neither NaN nor infinity."""
    return [float(value) if math.isfinite(value) else None for value in values]
