"""A codec's record while it grows: rows are kept as they come, so that an interrupted run can go on.

Beside the record `jpeg.json` that a run ends with, `jpeg.part.jsonl` holds a line that says what is being measured
and by what, and then one row a line. Rows of other versions, machines or data are never mixed with them.
"""

import contextlib
import hashlib
import io
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from neuralcodec.container.files import atomic_write
from neuralcodec.errors import UnsupportedInput
from neuralcodec.evaluation.results import REFUSED, Result, Row, is_row

_SAME = ("codec", "parameters", "data", "metrics", "versions", "machine")
_UNKNOWN_BEFORE = ("sha256",)  # of the data, which the images tell
FILES = "files"


class Record:
    """The rows of one codec in a run's folder.

    Parameters
    ----------
    folder
        The run's folder.
    name, title, description
        The codec's name, unique in the run, and what people call it.
    meta
        How the rows are made (see :class:`Result`).
    restart
        Forget what is there.

    Raises
    ------
    UnsupportedInput
        If what is there was measured otherwise.
    """

    def __init__(
        self, folder: Path, name: str, title: str, description: str, meta: Mapping[str, Any], *, restart: bool
    ) -> None:
        self._folder, self.name, self.slug = folder, name, slug(name)
        self._title, self._description, self._meta = title, description, meta
        self.path, self._part = folder / f"{self.slug}.json", folder / f"{self.slug}.part.jsonl"
        self.rows: list[Row] = []
        if restart:
            for path in (self.path, self._part):
                path.unlink(missing_ok=True)
        self._resume()
        self._done = {(row["image"], row["quality"]) for row in self.rows}
        self._file: TextIO | None = None

    def has(self, image: str, quality: float | None) -> bool:
        """Tell whether an image was measured at a rate point."""
        return (image, quality) in self._done

    def add(self, rows: Iterable[Row], versions: Mapping[str, str]) -> None:
        """Keep rows, made with some versions: in memory, and in the file of this run's part.

        Raises
        ------
        UnsupportedInput
            If the versions are not the record's, as on a worker that has others installed.
        """
        if _comparable(versions) != _comparable(self._meta["versions"]):
            raise UnsupportedInput(
                f"{self.name}: a worker has {_difference(versions, self._meta['versions'])}: results are not mixed; "
                "install the same versions everywhere"
            )
        if self._file is None:
            self._file = self._open()
        stored = [self._store(row) for row in rows]
        try:
            self._file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in stored)
            self._file.flush()
        except OSError as error:
            error.filename = str(self._part)
            raise
        self.rows += stored
        self._done |= {(row["image"], row["quality"]) for row in stored}

    def finish(self, order: Mapping[str, int], meta: Mapping[str, Any]) -> Result:
        """Write the record, with rows in the order of images and rate points; the part goes."""
        self.close()
        points = sorted({row["quality"] for row in self.rows}, key=lambda q: (q is not None, q))
        rows = sorted(self.rows, key=lambda row: (order.get(row["image"], -1), points.index(row["quality"])))
        digest = hashlib.sha256()
        for image in dict.fromkeys((row["image"], row["sha256"]) for row in rows):
            digest.update(f"{image[0]}\0{image[1]}\n".encode("utf-8", "surrogateescape"))
        data = dict(self._meta["data"]) | {"sha256": digest.hexdigest()}
        result = Result(self._title, self._description, {**self._meta, **meta, "data": data}, rows)
        result.write(self.path)
        self._part.unlink(missing_ok=True)
        return result

    def close(self) -> None:
        """Close the file of the part."""
        if self._file is not None:
            with contextlib.suppress(OSError):  # rows that a full disk did not take are measured again
                self._file.close()
            self._file = None

    def _resume(self) -> None:
        # A part began with the rows of the record that was there, and has more.
        head, rows = _read_part(self._part) if self._part.exists() else (None, [])
        if head is not None:
            self._check(head, self._part)
            self.rows = rows
        elif self.path.exists():
            found = self._read()
            self._check(found.meta, self.path)
            self.rows = list(found.rows)
        # What a codec refused it will refuse again; what failed may have failed for reasons that are gone.
        self.rows = [row for row in self.rows if row.get("error", REFUSED).startswith(REFUSED)]

    def _read(self) -> Result:
        try:
            return Result.read(self.path)
        except UnsupportedInput as error:
            raise UnsupportedInput(f"{error}; name another folder, or measure anew with --restart") from None

    def _check(self, found: Mapping[str, Any], path: Path) -> None:
        for key in _SAME:
            there, here = _comparable(found.get(key)), _comparable(self._meta[key])
            if there != here:
                raise UnsupportedInput(
                    f"{path}: was measured with {key} {_difference(there, here)}: results are not mixed; name another "
                    "folder, or measure anew with --restart"
                )

    def _open(self) -> TextIO:
        """Open the part for more rows, beginning it anew where there is none."""
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in (self._meta, *self.rows))
        atomic_write(self._part, text.encode())
        return open(self._part, "a", encoding="utf-8")

    def _store(self, row: Row) -> Row:
        """Put the files that a row brings into the run's folder; the row then tells where they are."""
        row = dict(row)
        encoded, original = row.pop("_file", None), row.pop("_original", None)
        if encoded is None:
            return row
        stem = f"{slug(Path(row['image']).stem)}-{row['sha256'][:8]}"
        point = "" if row["quality"] is None else f"@{row['quality']:g}"
        row["file"] = self._put(f"{FILES}/{self.slug}/{stem}{point}.bin", encoded)
        row["original"] = self._put_samples(f"{FILES}/original/{stem}", original)
        return row

    def _put(self, place: str, content: bytes) -> str:
        path = self._folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, content)
        return place

    def _put_samples(self, place: str, samples: Any) -> str:
        from neuralcodec.signals.images import is_image, write_png

        png = is_image(samples)
        place += ".png" if png else ".npy"
        if not (self._folder / place).exists():
            file = io.BytesIO()
            if png:
                write_png(file, samples, level=1)  # the usual level takes 5 times as long
            else:
                np.save(file, samples)
            self._put(place, file.getvalue())
        return place


def slug(name: str) -> str:
    """Return a file name for a codec or an image: the same for the same name, another for another.

    >>> slug("jpeg"), slug("avif:speed=8"), slug("cmd:a {in} {out}")
    ('jpeg', 'avif-speed-8-5b30', 'cmd-a-in-out-52dc')
    """
    plain = re.sub(r"[^A-Za-z0-9._]+", "-", name).strip("-.")[:60]
    return (
        plain
        if plain == name
        else f"{plain}-{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()[:4]}"
    )


def check_images(results: Iterable[Result]) -> None:
    """Refuse records of a run in which an image of one name has different samples."""
    seen: dict[str, tuple[str, str]] = {}
    for result in results:
        for row in result.rows:
            sha, where = seen.setdefault(row["image"], (row["sha256"], result.name))
            if sha and row["sha256"] and sha != row["sha256"]:
                raise UnsupportedInput(
                    f"{row['image']} has other samples in the records of {where} and of {result.name}: the data "
                    "changed between them; measure anew with --restart"
                )


def _read_part(path: Path) -> tuple[dict[str, Any] | None, list[Row]]:
    """Return the head and the whole rows; a last line that an interrupt cut is left out."""
    lines: list[Any] = []
    for line in path.read_bytes().split(b"\n")[:-1]:
        with contextlib.suppress(ValueError):
            lines.append(json.loads(line))
    head = lines[0] if lines and isinstance(lines[0], dict) and "codec" in lines[0] else None
    return head, list(filter(is_row, lines[1:]))


def _comparable(value: Any) -> Any:
    """Return a part of the meta as JSON gives it back, without what is known only at the end."""
    plain = json.loads(json.dumps(value))
    if isinstance(plain, dict):
        return {key: one for key, one in plain.items() if key not in _UNKNOWN_BEFORE}
    return plain


def _difference(there: Any, here: Any) -> str:
    """Return in words where two parts of the meta differ.

    >>> _difference({"numpy": "1.26", "python": "3.11"}, {"numpy": "2.4", "python": "3.11"})
    "numpy '1.26', not '2.4'"
    """
    if isinstance(there, dict) and isinstance(here, dict):
        keys = [key for key in {**there, **here} if there.get(key) != here.get(key)]
        return ", ".join(f"{key} {there.get(key)!r}, not {here.get(key)!r}" for key in keys)
    return f"{there!r}, not {here!r}"


def writable_folder(path: str | os.PathLike[str]) -> Path:
    """Return a folder that is made if need be; :class:`OSError` if nothing can be written there.

    :class:`UnsupportedInput` if it is a file.
    """
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise UnsupportedInput(f"{folder} is a file: name a folder for the records, which is made if need be")
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / f".{os.urandom(6).hex()}.tmp"
    try:
        probe.touch()
    except OSError as error:
        error.filename = os.fspath(path)
        raise
    probe.unlink()
    return folder
