"""From decoded samples to files: PNG, WAV, .npy, .npz, IDX, a folder of these, or standard output.

A target is written in full, as a temporary file or folder beside its place, and renamed at the end.
"""

import contextlib
import gzip
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal, Protocol, cast, get_args

import numpy as np
from numpy.typing import NDArray

from neuralcodec.errors import UnsupportedInput
from neuralcodec.signals import arrays, idx, images, wav
from neuralcodec.signals.outputs import STDOUT, naming_target, open_output

Kind = Literal["png", "wav", "npy", "npz", "idx", "idx.gz", "folder"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_SUFFIXES: dict[str, Kind] = {f".{kind}": kind for kind in KINDS if kind != "folder"}


@dataclass(frozen=True)
class Label:
    """What a file keeps beside a signal's samples: its original name, colour profile, EXIF block and PNG form."""

    name: str | None = None
    icc: bytes | None = None
    exif: bytes | None = None
    png_form: bytes | None = None


@dataclass(frozen=True)
class Plan:
    """What a target will be given: how many signals of which shape and dtype.

    `count` is None for one signal by itself, which is written without an axis that counts signals. `sampling_rate` is
    in Hz, for sounds, where it is known.
    """

    count: int | None
    shape: tuple[int, ...]
    dtype: "np.dtype[Any]"
    sampling_rate: int | None = None

    @property
    def full_shape(self) -> tuple[int, ...]:
        """Shape of the array that holds all signals."""
        return self.shape if self.count is None else (self.count, *self.shape)

    @property
    def is_image(self) -> bool:
        """Whether a PNG can hold one signal."""
        return images.is_image(np.broadcast_to(np.zeros((), self.dtype), self.shape))

    @property
    def is_sound(self) -> bool:
        """Whether a WAV file can hold one signal, and its sampling rate is known."""
        return self.sampling_rate is not None and wav.is_sound(self.shape, self.dtype)


class Target(Protocol):
    """Takes the signals in order, batch by batch."""

    def write(self, batch: NDArray[Any], labels: Sequence[Label]) -> None:
        """Write a batch of shape ``(n, *signal shape)`` and its n labels."""
        ...


def kind_of(path: str) -> Kind:
    """Tell from a path what is to be written there; a name without a suffix is a folder.

    Raises
    ------
    UnsupportedInput
        If the suffix is one of a format that is not written.

    >>> [kind_of(path) for path in ("a.png", "a-idx3-ubyte.gz", "a.idx", "digits", "v1.0/")]
    ['png', 'idx.gz', 'idx', 'folder', 'folder']
    """
    lower = os.path.basename(path).lower()
    if not lower or os.path.isdir(path):
        return "folder"
    if re.search(r"-idx\d+-[a-z]+(\.gz)?$", lower):
        return "idx.gz" if lower.endswith(".gz") else "idx"
    for suffix, kind in _SUFFIXES.items():
        if lower.endswith(suffix):
            return kind
    suffix = os.path.splitext(lower)[1]
    if suffix:
        raise UnsupportedInput(
            f"{path}: {suffix} files are not written; write .png, .wav, .npy, .npz, .idx or .idx.gz, "
            f"or a folder (with a / at its end if its name has a dot)"
        )
    return "folder"


def default_kind(plan: Plan, masked: bool) -> Kind:
    """Return the best kind of file for signals when the user names none."""
    if masked:
        return "npz"
    if plan.count is None and plan.is_sound:
        return "wav"
    return "png" if plan.count is None and plan.is_image else "npy"


@contextlib.contextmanager
def open_target(path: str, kind: Kind, plan: Plan) -> Iterator[Target]:
    """Open a target for the signals of a plan; what is at `path` stays as it is until the block ends well.

    Raises
    ------
    UnsupportedInput
        If files of this kind cannot hold the signals.
    OSError
        If the target cannot be written.
    """
    _check(path, kind, plan)
    if kind == "folder":
        with naming_target(path), _new_folder(path) as folder:
            yield _FolderTarget(folder, plan)
        return
    with open_output(path) as file:
        if kind == "png":
            yield _PngTarget(file)
        elif kind == "wav":
            yield _WavTarget(file, plan)
        elif kind == "npz":
            yield (gathered := _NpzTarget(plan))
            gathered.save(file)
        elif kind == "npy":
            file.write(arrays.npy_header(plan.full_shape, plan.dtype))
            yield _ArrayTarget(file, plan.dtype)
        else:
            with _gzipped(file) if kind == "idx.gz" else contextlib.nullcontext(file) as body:
                body.write(idx.idx_header(plan.full_shape, plan.dtype))
                yield _ArrayTarget(body, plan.dtype.newbyteorder(">"))


def _check(path: str, kind: Kind, plan: Plan) -> None:
    where = "standard output" if path == STDOUT else path
    if kind == "png" and plan.count not in (None, 1):
        raise UnsupportedInput(
            f"{where}: a PNG holds one image, not {plan.count}: name a folder or a .npy file, "
            "or decode one signal with --index"
        )
    if kind == "png" and not plan.is_image:
        raise UnsupportedInput(
            f"{where}: a PNG cannot hold {plan.dtype.name} samples of shape {plan.shape}: name a .npy file"
        )
    if kind == "wav":
        _check_wav(where, plan)
    if kind in ("idx", "idx.gz"):
        idx.idx_header(plan.full_shape, plan.dtype)
    if kind == "folder" and path == STDOUT:
        raise UnsupportedInput("a folder cannot be written to standard output")


def _check_wav(where: str, plan: Plan) -> None:
    if plan.count not in (None, 1):
        raise UnsupportedInput(
            f"{where}: a WAV file holds one sound, not {plan.count}: name a folder or a .npy file, "
            "or decode one signal with --index"
        )
    if not wav.is_sound(plan.shape, plan.dtype):
        raise UnsupportedInput(
            f"{where}: a WAV file cannot hold {plan.dtype.name} samples of shape {plan.shape}, only int16 ones "
            "of shape (T,) or (T, channels): name a .npy file"
        )
    if plan.sampling_rate is None:
        raise UnsupportedInput(
            f"{where}: the model does not tell the sampling rate: give it with --sampling-rate"
        )


def _gzipped(file: BinaryIO) -> contextlib.AbstractContextManager[BinaryIO]:
    """Return a gzip stream without name and time, so that equal samples make equal files."""
    return cast("contextlib.AbstractContextManager[BinaryIO]", gzip.GzipFile("", "wb", 6, file, mtime=0))


@contextlib.contextmanager
def _new_folder(path: str) -> Iterator[str]:
    """Make a folder that becomes `path`, or whose files move into it if it is there already."""
    target = os.path.realpath(path)
    parent, name = os.path.split(target)
    temporary = os.path.join(parent, f".{name[:100]}.{os.urandom(6).hex()}.tmp")
    os.mkdir(temporary)
    try:
        yield temporary
        if os.path.isdir(target):
            for file in sorted(os.listdir(temporary)):
                os.replace(os.path.join(temporary, file), os.path.join(target, file))
            os.rmdir(temporary)
        else:
            os.rename(temporary, target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


class _ArrayTarget:
    """Elements one after another, behind a header that is written already."""

    def __init__(self, file: BinaryIO, dtype: "np.dtype[Any]") -> None:
        self._file, self._dtype = file, dtype

    def write(self, batch: NDArray[Any], labels: Sequence[Label]) -> None:
        self._file.write(np.ascontiguousarray(np.ma.filled(batch, 0), self._dtype).tobytes())


class _NpzTarget:
    """Everything is kept until the end: a .npz file has its arrays whole."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._batches: list[NDArray[Any]] = []

    def write(self, batch: NDArray[Any], labels: Sequence[Label]) -> None:
        self._batches.append(batch)

    def save(self, file: BinaryIO) -> None:
        """Write the file."""
        empty = np.zeros((0, *self._plan.shape), self._plan.dtype)
        samples: NDArray[Any] = np.ma.concatenate([empty, *self._batches])  # type: ignore[no-untyped-call]
        masked = any(np.ma.isMaskedArray(batch) for batch in self._batches)
        samples = samples.reshape(self._plan.full_shape)
        arrays.write_npz(file, samples if masked else np.ma.getdata(samples))


def _write_png(file: BinaryIO, samples: NDArray[Any], label: Label) -> None:
    images.write_png(file, np.ma.filled(samples, 0), icc=label.icc, exif=label.exif, png_form=label.png_form)


class _PngTarget:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, batch: NDArray[Any], labels: Sequence[Label]) -> None:
        for samples, label in zip(batch, labels, strict=True):
            _write_png(self._file, samples, label)


class _WavTarget:
    def __init__(self, file: BinaryIO, plan: Plan) -> None:
        self._file, self._plan = file, plan

    def write(self, batch: NDArray[Any], labels: Sequence[Label]) -> None:
        for samples in batch:
            wav.write_wav(self._file, np.ma.filled(samples, 0), self._plan.sampling_rate or 0)


class _FolderTarget:
    """One file a signal: PNG or WAV where they can hold it, else .npy, and .npz where samples are missing."""

    def __init__(self, folder: str, plan: Plan) -> None:
        self._folder, self._plan = folder, plan
        self._taken: set[str] = set()
        self._written = 0

    def write(self, batch: NDArray[Any], labels: Sequence[Label]) -> None:
        for samples, label in zip(batch, labels, strict=True):
            masked = np.ma.isMaskedArray(samples) and bool(np.ma.getmaskarray(samples).any())
            exact = ".wav" if self._plan.is_sound else ".png" if self._plan.is_image else ".npy"
            suffix = ".npz" if masked else exact
            with open(os.path.join(self._folder, self._unused(label.name, suffix)), "xb") as file:
                if masked:
                    arrays.write_npz(file, samples)
                elif self._plan.is_sound:
                    wav.write_wav(file, samples, self._plan.sampling_rate or 0)
                elif self._plan.is_image:
                    _write_png(file, samples, label)
                else:
                    np.save(file, np.ma.filled(samples, 0))
            self._written += 1

    def _unused(self, name: str | None, suffix: str) -> str:
        """Return a name that no signal has yet, on file systems that ignore case too."""
        digits = len(str(max((self._plan.count or 1) - 1, 0)))
        stem = file_stem(name) or f"{self._written:0{digits}d}"
        candidate, number = stem, 1
        while candidate.casefold() in self._taken:
            number += 1
            candidate = f"{stem}-{number}"
        self._taken.add(candidate.casefold())
        return candidate + suffix


def file_stem(name: str | None) -> str:
    """Return a stored name without folder and suffix, safe as a file's name; empty if nothing is left.

    >>> [file_stem(name) for name in ("0001.png", "../../etc/passwd", "t10k.idx.gz", "..", None, "a.b.png")]
    ['0001', 'passwd', 't10k', '', '', 'a.b']
    """
    last = re.split(r"[/\\\\]", name or "")[-1]
    last = re.sub(r"\.(idx\.gz|[A-Za-z0-9]{1,5})$", "", last)
    last = re.sub(r'[\x00-\x1f\x7f<>:"|?*]', "_", last).strip(". ")
    return last.encode("utf-8", "replace")[:200].decode("utf-8", "ignore")
