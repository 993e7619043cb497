"""What `neuralcodec verify` does with each file, and the manifests that say what files must be.

A manifest is a JSON object with two objects, "models" and "files", whose keys are paths relative to the manifest.
Of a model it may say "sha256" (of the file) and "identity"; of a file also "model" (path of the model to decode
with), "samples" (SHA-256 of the sample strings of all signals, in order, as docs/format.md defines them), "mask"
(SHA-256 of one byte a sample, 1 where it is missing), "shape" (with the number of signals first in an archive),
"dtype", and "metadata" (SHA-256 of name, ICC profile, EXIF and, if there, PNG form of each signal, each after its
length as a u32).
"""

import contextlib
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from neuralcodec.errors import (
    CorruptFile,
    NeuralCodecError,
    NotNeuralCodecFile,
    UnknownModel,
    UnsupportedInput,
    WrongModel,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

MANIFEST = "manifest.json"
SUFFIXES = (".ncz", ".ncm")
_TEXTS = ("sha256", "identity", "samples", "mask", "dtype", "metadata")
_NAMES = {
    "sha256": "the file's SHA-256",
    "identity": "the identity of its model",
    "samples": "the SHA-256 of its samples",
    "mask": "the SHA-256 of its mask",
    "shape": "its shape",
    "dtype": "its dtype",
    "metadata": "the SHA-256 of its metadata",
}


@dataclass(frozen=True)
class Entry:
    """A file to check, the model to decode it with, and what it must be where that is known (keys of `_NAMES`)."""

    path: str
    model: str | None = None
    wanted: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """What a check gave.

    `error` is None if all is well; `checked` is false if nothing can be said, for want of the model or the file.
    `signals` and `samples` are None for a model file.
    """

    path: str
    kind: str | None = None
    signals: int | None = None
    sha256: str | None = None
    samples: str | None = None
    error: str | None = None
    checked: bool = True


def find(path: str) -> Iterator[Entry]:
    """Yield what is to be checked at a path: a file, what a manifest lists, or the files below a folder.

    Raises
    ------
    UnsupportedInput
        If a folder has nothing to check, or a manifest cannot be read.
    """
    if not os.path.isdir(path):
        yield Entry(path)
        return
    if os.path.exists(os.path.join(path, MANIFEST)):
        yield from read_manifest(os.path.join(path, MANIFEST))
        return
    walk = os.walk(path)
    found = sorted(
        os.path.join(parent, name) for parent, _, names in walk for name in names if name.endswith(SUFFIXES)
    )
    if not found:
        raise UnsupportedInput(f"{path}: no .ncz or .ncm files and no {MANIFEST} in this folder")
    yield from map(Entry, found)


def read_manifest(path: str) -> list[Entry]:
    """Read a manifest; its paths become paths from here.

    Raises
    ------
    UnsupportedInput
        If it is not a manifest, or lists a path outside its folder.
    """
    try:
        with open(path, encoding="utf-8") as file:
            manifest = json.load(file)
        items = [item for part in ("models", "weights") for item in manifest.get(part, {}).items()] + list(
            manifest["files"].items()
        )
        return [_entry(os.path.dirname(path), name, item) for name, item in items]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UnsupportedInput(f"{path} is not a manifest: {type(error).__name__}: {error}") from None


def _entry(folder: str, name: str, item: Any) -> Entry:
    wanted = {key: item[key] for key in _NAMES if item.get(key) is not None}
    model = item.get("model")
    for key, value in wanted.items():
        if not isinstance(value, str if key in _TEXTS else list):
            raise TypeError(f"{key} of {name} is {value!r}")
    for relative in (name, model or name):
        if os.path.isabs(relative) or ".." in relative.replace("\\", "/").split("/"):
            raise ValueError(f"{relative} leads out of the folder")
    return Entry(os.path.join(folder, name), None if model is None else os.path.join(folder, model), wanted)


def check(entry: Entry, model: str | None = None, threads: int | None = None) -> Result:
    """Check a file in full; what is wrong with it is told in the result, not raised.

    Parameters
    ----------
    entry
        The file, and what it must be.
    model
        Model to decode with, if the entry names none; None finds the one that the file names.
    threads
        Threads to use.
    """
    from neuralcodec.signals.outputs import is_special

    kind, checked = None, True
    try:
        if is_special(entry.path):
            raise UnsupportedInput(
                "it is a pipe or a device, and verify reads a file several times: copy it, or give - and "
                "lead it to standard input"
            )
        found: dict[str, Any] = {"sha256": _file_digest(entry.path)}
        _compare(found, entry.wanted)
        kind = _kind(entry.path)
        if kind == "model":
            found["identity"] = _check_model(entry.path)
            signals = None
        elif kind == "weights":
            found["samples"] = _check_weights(entry.path, threads)
            signals = None
        else:
            signals, facts = _decode(entry.path, kind, entry.model or model, threads)
            found |= facts
        _compare(found, entry.wanted)
        return Result(entry.path, kind, signals, found["sha256"], found.get("samples"))
    except (NeuralCodecError, MemoryError) as error:
        message = str(error) or "not enough memory"
        # The model that a manifest names belongs to what is checked, one that the user names does not.
        unfit = (UnknownModel, UnsupportedInput, MemoryError, *([] if entry.model else [WrongModel]))
        checked = not isinstance(error, unfit)
    except OSError as error:
        message, checked = error.strerror or str(error), False
    return Result(entry.path, kind, error=message.removeprefix(f"{entry.path}: "), checked=checked)


@contextlib.contextmanager
def spooled(entry: Entry) -> Iterator[Entry]:
    """Give standard input a place on the disk while it is checked; other entries stay as they are."""
    if entry.path != "-":
        yield entry
        return
    if sys.stdin is None:
        raise UnsupportedInput("standard input is closed")
    with tempfile.NamedTemporaryFile() as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
        file.flush()
        yield replace(entry, path=file.name)


def _compare(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    for key in found.keys() & wanted.keys():
        # A single file carries only the start of its model's identity.
        must = wanted[key][: len(found[key])] if key == "identity" else wanted[key]
        if found[key] != must:
            raise CorruptFile(f"{_NAMES[key]} is {found[key]}, not {must}")


def _file_digest(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _kind(path: str) -> str:
    """Tell what a file is by its first bytes."""
    from neuralcodec.artifact import MAGIC as MODEL
    from neuralcodec.container.header import ARCHIVE, MAGIC, WEIGHTS

    with open(path, "rb") as file:
        head = file.read(6)
    if head.startswith(MODEL):
        return "model"
    if not head.startswith(MAGIC):
        raise NotNeuralCodecFile("it does not start like a neuralcodec file")
    if len(head) == 6 and head[5] == WEIGHTS:
        return "weights"
    return "archive" if len(head) == 6 and head[5] & ARCHIVE else "single"


def _check_model(path: str) -> str:
    from neuralcodec.artifact import read_artifact
    from neuralcodec.codec import codec_for

    artifact = read_artifact(path)
    codec_for(artifact.family).load(artifact)
    return artifact.identity.hex()


def _check_weights(path: str, threads: int | None) -> str:
    """Decode all tensors; return the SHA-256 of their bytes, in order."""
    from neuralcodec.weights import WeightsReader

    digest = hashlib.sha256()
    with WeightsReader(path, threads=threads) as reader:
        for _, data, _ in reader.tensors():
            digest.update(data.data)
    return digest.hexdigest()


def _decode(path: str, kind: str, model: str | None, threads: int | None) -> tuple[int, dict[str, Any]]:
    """Decode a file; return how many signals it has, and the facts that a manifest may tell."""
    from neuralcodec.api import decode_file, open_archive
    from neuralcodec.archives import Metadata
    from neuralcodec.info import read_info
    from neuralcodec.signals.sources import read_bytes

    samples, mask, metadata = hashlib.sha256(), hashlib.sha256(), hashlib.sha256()
    if kind == "single":
        decoded = decode_file(read_bytes(path), model)
        info, shape = decoded.info, decoded.array.shape
        name = info.names[0] if info.names else None
        item = Metadata(name, info.icc_profile, info.exif, info.png_form)
        _add(decoded.array[None], [item], samples, mask, metadata)
        signals = 1
    else:
        info = read_info(path)
        with open_archive(path, model, threads=threads) as archive:
            signals = 0
            for chunk in archive.chunks():
                _add(chunk, archive.metadata(signals, signals + len(chunk)), samples, mask, metadata)
                signals += len(chunk)
            shape = (signals, *archive.signal.shape)
            dtype = str(archive.signal.dtype)
    return signals, {
        "identity": info.identity,
        "samples": samples.hexdigest(),
        "mask": mask.hexdigest(),
        "shape": list(shape),
        "dtype": str(decoded.array.dtype) if kind == "single" else dtype,
        "metadata": metadata.hexdigest(),
    }


def _add(stack: "NDArray[Any]", items: "list[Any]", samples: Any, mask: Any, metadata: Any) -> None:
    """Add signals and their metadata to the digests."""
    import numpy as np

    from neuralcodec.container.signal import sample_string

    missing = np.ma.isMaskedArray(stack)
    samples.update(sample_string(np.ma.filled(stack, 0) if missing else stack))
    mask.update(np.ma.getmaskarray(stack).tobytes() if missing else bytes(stack.size))
    for item in items:
        form = () if item.png_form is None else (item.png_form,)
        for content in ((item.name or "").encode(), item.icc_profile or b"", item.exif or b"", *form):
            metadata.update(len(content).to_bytes(4, "little") + content)
