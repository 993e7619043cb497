"""Makes the golden files that do not exist yet; those that do are never made again.

A golden file is the promise that what was written once stays readable. So this script only adds: it codes the
files that manifest.json does not list, with the frozen models in models/, and refuses to run if a listed file
has been changed or is gone. Run it from anywhere: `python bitstreams/make.py`.
"""

import hashlib
import io
import itertools
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, astuple
from pathlib import Path
from typing import Any

import numpy as np
from make_models import MODELS
from make_photos import PHOTOS, metadata, online, photo, settings
from make_representations import REPRESENTATIONS, waves
from make_weights import WEIGHTS, make
from numpy.typing import NDArray

import neuralcodec
from neuralcodec.archives import Metadata
from neuralcodec.artifact import read_artifact
from neuralcodec.circuits.circuit import Circuit
from neuralcodec.codec import codec_for
from neuralcodec.container.archive import ArchiveReader
from neuralcodec.container.files import BufferSource
from neuralcodec.container.single import read_single
from neuralcodec.photo.model import PhotoModel
from neuralcodec.weights import WeightsReader

HERE = Path(__file__).parent
MANIFEST = HERE / "manifest.json"
Array = NDArray[Any]


class Recipe:
    """How one golden file is made: signals drawn from a model, and options of the coder.

    Without `n` it is a single file, else an archive. `missing` is the share of samples that is masked, in the
    signals before `whole_from`. `appended` tells how many of the last signals are appended, time by time.
    """

    def __init__(
        self,
        model: str,
        n: int | None = None,
        *,
        edit: Callable[[Array], Array] | None = None,
        missing: float = 0.0,
        whole_from: int | None = None,
        metadata: Callable[[int], Metadata] | None = None,
        appended: tuple[int, ...] = (),
        **options: int,
    ) -> None:
        self.model, self.n, self.appended = model, n, appended
        self.edit, self.missing, self.whole_from = edit, missing, whole_from
        self.metadata, self.options = metadata, options

    def signals(self, circuit: Circuit, seed: int) -> Array:
        """Return the signal, or the signals along a first axis; masked if a share of samples is missing."""
        x = circuit.sample(1 if self.n is None else self.n, seed)
        x = x if self.edit is None else self.edit(x)
        if self.missing:
            holes = np.random.default_rng(seed).random(x.shape) < self.missing
            holes[self.whole_from or len(x) :] = False
            x = np.ma.MaskedArray(np.where(holes, 0, x).astype(x.dtype), holes)
        return x[0] if self.n is None else x

    def encode(self, circuit: Circuit, x: Array) -> bytes:
        """Return the golden file."""
        metadata = self.metadata or (lambda _: Metadata())
        if self.n is None:
            extra = metadata(0)
            return neuralcodec.compress(
                x,
                circuit,
                verify=True,
                name=extra.name,
                icc_profile=extra.icc_profile,
                exif=extra.exif,
            )
        stops = np.cumsum([self.n - sum(self.appended), *self.appended]).tolist()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "golden.ncz"
            with neuralcodec.create_archive(path, circuit, verify=True, **self.options) as archive:
                archive.append(x[: stops[0]], [metadata(i) for i in range(stops[0])])
            for start, stop in itertools.pairwise(stops):
                with neuralcodec.append_archive(path, circuit, verify=True) as archive:
                    archive.append(x[start:stop], [metadata(i) for i in range(start, stop)])
            return path.read_bytes()


def _described(i: int) -> Metadata:
    """Return a name beyond ASCII, and bytes in place of a colour profile and EXIF; not all for every signal."""
    return Metadata(
        name=f"Ärger-{i:03}.png" if i % 3 != 2 else None,
        icc_profile=b"profile " * 20 + bytes([i % 2]) if i % 4 == 0 else None,
        exif=b"Exif\0\0" + bytes([i]) if i % 5 == 0 else None,
    )


def _named(i: int) -> Metadata:
    return Metadata(name=f"{i}.bin")


def _any(x: Array) -> Array:
    """Return values of an alphabet of 6 that no model expects."""
    return np.random.default_rng(len(x)).integers(0, 6, x.shape).astype(x.dtype)


# New ones go to the end: a recipe's place is the seed of its signals.
RECIPES: dict[str, Recipe] = {
    "single-tree": Recipe("tree"),
    "single-tree-shape": Recipe("tree", edit=lambda x: x.reshape(-1, 1, 6, 1, 7)),
    "single-tree-int64": Recipe("tree", edit=lambda x: x.astype(np.int64)),
    "single-tree-int8": Recipe("tree", edit=lambda x: np.minimum(x, 127).astype(np.int8)),
    "single-tree-mask": Recipe("tree", missing=0.3),
    "single-tree-mask-shape": Recipe("tree", edit=lambda x: x.reshape(-1, 1, 6, 7), missing=0.3),
    "single-tree-missing": Recipe("tree", missing=2.0),
    "single-tree-sections": Recipe("tree", metadata=_described),
    "single-tree-everything": Recipe(
        "tree", edit=lambda x: x.reshape(-1, 6, 7, 1).astype(np.uint32), missing=0.5, metadata=_described
    ),
    "single-tree-uniform": Recipe("tree", edit=lambda x: np.arange(42, dtype=np.uint8).reshape(1, 6, 7) * 6),
    "single-mixed": Recipe("mixed"),
    "single-mixed-mask": Recipe("mixed", missing=0.5),
    "single-mixed-uint64": Recipe("mixed", edit=lambda x: x.astype(np.uint64)),
    "single-chain": Recipe("chain"),
    "single-chain-mask": Recipe("chain", missing=0.4),
    "single-chain-uniform": Recipe("chain", edit=lambda x: (np.arange(24) * 178).astype(np.uint16)[None]),
    "single-bits": Recipe("bits"),
    "single-bits-uint8": Recipe("bits", edit=lambda x: x.astype(np.uint8)),
    "single-lanes": Recipe("lanes"),
    "single-lanes-shape": Recipe("lanes", edit=lambda x: x.reshape(-1, 4, 3).astype(np.uint16)),
    "single-sure": Recipe("sure"),
    "single-sure-unlikely": Recipe("sure", edit=lambda x: x + (np.arange(64) % 4).reshape(8, 8).astype("u1")),
    "single-wide": Recipe("wide"),
    "archive-tree-0": Recipe("tree", 0),
    "archive-tree-1": Recipe("tree", 1),
    "archive-tree-129": Recipe("tree", 129),
    "archive-tree-300": Recipe("tree", 300, group=32, chunk=96),
    "archive-tree-mask": Recipe("tree", 70, missing=0.2, group=16, chunk=32),
    "archive-tree-mask-first": Recipe("tree", 40, missing=0.2, whole_from=16, group=8, chunk=16),
    "archive-tree-names": Recipe("tree", 50, metadata=_named, group=8, chunk=24),
    "archive-tree-everything": Recipe(
        "tree",
        40,
        edit=lambda x: x.reshape(-1, 1, 6, 7).astype(np.int32),
        missing=0.4,
        metadata=_described,
        group=7,
        chunk=21,
    ),
    "archive-mixed-129": Recipe("mixed", 129),
    "archive-mixed-mask": Recipe("mixed", 90, missing=0.3, group=20, chunk=40),
    "archive-chain-65": Recipe("chain", 65, group=16, chunk=48),
    "archive-chain-mask": Recipe("chain", 20, missing=0.3, group=1, chunk=7),
    "archive-bits-300": Recipe("bits", 300, group=64, chunk=128),
    "archive-bits-mask": Recipe("bits", 200, missing=0.5),
    "archive-lanes-129": Recipe("lanes", 129, group=17, chunk=68),
    "archive-lanes-mask": Recipe("lanes", 40, missing=0.3, group=16),
    "archive-wide-20": Recipe("wide", 20, missing=0.2),
    "archive-sure-padding": Recipe("sure", 1024, edit=lambda x: x.astype(np.int64), group=1024),
    "archive-sure-missing": Recipe("sure", 1024, missing=2.0, group=512),
    "archive-extreme-60": Recipe("extreme", 60),
    "archive-extreme-any": Recipe("extreme", 150, edit=_any, group=60),
    "archive-extreme-any-mask": Recipe("extreme", 100, edit=_any, missing=0.3),
    "single-extreme-any": Recipe("extreme", edit=_any),
    "archive-tree-appended": Recipe(
        "tree", 100, missing=0.2, whole_from=70, metadata=_named, appended=(1, 37, 12), group=8, chunk=24
    ),
    "archive-bits-appended": Recipe("bits", 150, appended=(20, 100), group=64, chunk=128),
    "single-pruned": Recipe("pruned"),
    "archive-pruned-130": Recipe("pruned", 130, group=50, chunk=100),
    "archive-pruned-any-mask": Recipe("pruned", 90, edit=_any, missing=0.3),
}


class Lossy:
    """How one golden file of a neural representation is made: smooth signals of a shape, and options of the coder."""

    def __init__(self, model: str, shape: tuple[int, ...], n: int | None = None, **options: int) -> None:
        self.model, self.shape, self.n, self.options = model, shape, n, options

    def signals(self, model: Any, seed: int) -> Array:
        """Return the signal, or the signals along a first axis."""
        layout = model.layout
        full = (*layout.grid, layout.channels) if layout.whole else self.shape
        full = full if len(full) > layout.dimensions else (*full, 1)
        x = np.rint(model.low + (model.high - model.low) * waves(full, self.n or 1, seed)).astype(model.dtype)
        x = x.reshape(-1, *self.shape)
        return x[0] if self.n is None else x

    def encode(self, model: Any, x: Array) -> bytes:
        """Return the golden file."""
        if self.n is None:
            return neuralcodec.compress(x, model, preset="fast")
        return neuralcodec.compress_many(x, model, preset="fast", **self.options)


# What these decode to is within 1 of the arrays in reconstructions/, and their indices are exact.
LOSSY: dict[str, Lossy] = {
    "single-line-70": Lossy("line", (70,)),
    "single-line-1": Lossy("line", (1,)),
    "archive-line-7": Lossy("line", (33, 1), 7, group=3, chunk=6),
    "single-gray": Lossy("gray", (12, 8)),
    "single-gray-shape": Lossy("gray", (1, 12, 1, 8)),
    "archive-gray-21": Lossy("gray", (12, 8), 21, group=8, chunk=16),
    "single-colour": Lossy("colour", (19, 30, 3)),
    "single-colour-gray": Lossy("colour", (9, 25)),
    "archive-colour-5": Lossy("colour", (8, 17, 3), 5, group=2, chunk=4),
}


def main() -> int:
    """Make what is not there; return 0, or 1 if a golden file was changed or lost."""
    manifest = json.loads(MANIFEST.read_text()) if MANIFEST.exists() else {"models": {}, "files": {}}
    if faults := list(_faults(manifest)):
        print(*faults, sep="\n", file=sys.stderr)
        return 1
    for name in (*MODELS, *REPRESENTATIONS, "photo", "photo-online"):
        _make_model(name, manifest["models"])
    for seed, name in enumerate(RECIPES):
        _make_file(name, seed, manifest["files"])
    for seed, name in enumerate(LOSSY):
        _make_lossy(name, seed, manifest["files"])
    for name in PHOTOS:
        _make_photo(name, manifest["files"])
    for name in WEIGHTS:
        _make_weights(name, manifest.setdefault("weights", {}))
    MANIFEST.write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")
    return 0


def _faults(manifest: dict[str, Any]) -> list[str]:
    """Return what is wrong with the files that exist."""
    listed = {**manifest["models"], **manifest["files"], **manifest.get("weights", {})}
    there = {str(p.relative_to(HERE)) for pattern in ("*.ncz", "models/*.ncm") for p in HERE.glob(pattern)}
    faults = [f"{name} is listed but gone; restore it" for name in sorted(set(listed) - there)]
    faults += [f"{name} is not listed" for name in sorted(there - set(listed))]
    faults += [
        f"{name} has changed; restore it"
        for name in sorted(there & set(listed))
        if _sha256((HERE / name).read_bytes()) != listed[name]["sha256"]
    ]
    return faults


def _make_model(name: str, entries: dict[str, Any]) -> None:
    path = f"models/{name}.ncm"
    if path in entries:
        return
    photos = {"photo": photo, "photo-online": lambda: online(_photo_model("models/photo.ncm"))}
    model = {**MODELS, **REPRESENTATIONS, **photos}[name]()
    _write(path, model.to_artifact().to_bytes())
    entries[path] = {"identity": model.identity.hex(), "sha256": _sha256((HERE / path).read_bytes())}


def _make_file(name: str, seed: int, entries: dict[str, Any]) -> None:
    path, recipe = f"{name}.ncz", RECIPES[name]
    if path in entries:
        return
    model = f"models/{recipe.model}.ncm"
    circuit = Circuit.from_artifact(read_artifact(HERE / model))
    x = recipe.signals(circuit, seed)
    data = recipe.encode(circuit, x)
    _write(path, data)
    entries[path] = _entry(data, x, model, circuit.identity) | {
        "mask": _sha256(np.ma.getmaskarray(x).tobytes()) if recipe.missing else None,
        "archive": recipe.n is not None,
        "metadata": recipe.metadata and _metadata(list(map(recipe.metadata, range(recipe.n or 1)))),
    }


def _entry(data: bytes, x: Array, model: str, identity: bytes) -> dict[str, Any]:
    """Return what the manifest tells of a file of one signal, without a mask and metadata, that decodes exactly."""
    values = np.ma.getdata(x)
    return {
        "sha256": _sha256(data),
        "samples": _sha256(values.astype(values.dtype.newbyteorder("<")).tobytes()),
        "mask": None,
        "shape": list(x.shape),
        "dtype": x.dtype.name,
        "archive": False,
        "model": model,
        "identity": identity.hex(),
        "metadata": None,
    }


def _make_lossy(name: str, seed: int, entries: dict[str, Any]) -> None:
    path, recipe = f"{name}.ncz", LOSSY[name]
    if path in entries:
        return
    file = f"models/{recipe.model}.ncm"
    artifact = read_artifact(HERE / file)
    kind = codec_for(artifact.family)
    model = kind.load(artifact)
    data = recipe.encode(model, recipe.signals(model, seed))
    _write(path, data)
    archive = recipe.n is not None
    x = neuralcodec.decompress_many(data, model=model) if archive else neuralcodec.decompress(data, model)
    reconstruction = f"reconstructions/{name}.npy"
    buffer = io.BytesIO()
    np.save(buffer, x)
    _write(reconstruction, buffer.getvalue())
    entries[path] = {
        "sha256": _sha256(data),
        "reconstruction": reconstruction,
        "indices": _sha256(_indices(kind.bound(model), data, archive)),
        "shape": list(x.shape),
        "dtype": x.dtype.name,
        "archive": archive,
        "model": file,
        "identity": model.identity.hex(),
    }


def _photo_model(path: str) -> PhotoModel:
    return PhotoModel.from_artifact(read_artifact(HERE / path))


def _make_photo(name: str, entries: dict[str, Any]) -> None:
    path, (image, options) = f"{name}.ncz", PHOTOS[name]
    if path in entries:
        return
    file, x = f"models/photo{'-online' * ('online' in name)}.ncm", image()
    model = _photo_model(file)
    with settings(**options):
        data = neuralcodec.compress(x, model, **asdict(metadata(name)))
    _write(path, data)
    entries[path] = _entry(data, x, file, model.identity) | {"metadata": _metadata([metadata(name)])}


def _indices(codec: Any, data: bytes, archive: bool) -> bytes:
    """Return the indices of a file, as its checksums cover them."""
    if not archive:
        file = read_single(data)
        kind = file.header.signal or codec.signal
        return bytes(codec.checked(np.empty((1, *kind.shape), kind.dtype), [file.payload], 1))
    with ArchiveReader(BufferSource(data)) as reader:
        kind = reader.header.signal or codec.signal
        chunks = [reader.read(number) for number in range(len(reader.entries))]
        return b"".join(
            bytes(codec.checked(np.empty((c.n, *kind.shape), kind.dtype), c.groups, reader.group))
            for c in chunks
        )


def _make_weights(name: str, entries: dict[str, Any]) -> None:
    path = f"{name}.ncz"
    if path in entries:
        return
    data = make(name)
    _write(path, data)
    digest = hashlib.sha256()
    with WeightsReader(data) as reader:
        for _, one, _ in reader.tensors():
            digest.update(one.data)
        tensors = {spec.name: [spec.type.name, list(spec.shape)] for spec in reader.index.specs}
    entries[path] = {"sha256": _sha256(data), "samples": digest.hexdigest(), "tensors": tensors}


def _metadata(items: Sequence[Metadata]) -> str | None:
    """Return the SHA-256 of each signal's name, ICC profile, EXIF and, if it has one, PNG form; None without any.

    Each stands after its length as a u32.
    """
    if not any(map(any, map(astuple, items))):
        return None
    digest = hashlib.sha256()
    for item in items:
        for content in ((item.name or "").encode(), item.icc_profile or b"", item.exif or b""):
            digest.update(len(content).to_bytes(4, "little") + content)
        if item.png_form:
            digest.update(len(item.png_form).to_bytes(4, "little") + item.png_form)
    return digest.hexdigest()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _write(path: str, data: bytes) -> None:
    """Write a new file; one that exists is an error."""
    (HERE / path).parent.mkdir(exist_ok=True)
    with open(HERE / path, "xb") as file:
        file.write(data)


if __name__ == "__main__":
    sys.exit(main())
