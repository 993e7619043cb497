"""The package and the independent decoder read the same from every golden file, and from what the package writes."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import astuple, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from decoder import Decoded, decode, main
from decoder_model import Model, read_model
from decoder_primitives import read_tensor
from decoder_representation import Representation
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import neuralcodec
from neuralcodec.api import decode_file
from neuralcodec.circuits.builders import binary_tree, hclt, hmm
from neuralcodec.circuits.circuit import Circuit
from neuralcodec.circuits.initialise import initial_parameters
from neuralcodec.circuits.parameters import quantise
from neuralcodec.circuits.structure import TreeStructure
from neuralcodec.codec import codec_for
from neuralcodec.native import decode_tensor, encode_tensor

BITSTREAMS = Path(__file__).parents[2] / "bitstreams"
MANIFEST: dict[str, dict[str, dict[str, Any]]] = json.loads((BITSTREAMS / "manifest.json").read_text())
SCRIPTS = {
    *("make.py", "make_models.py", "make_photos.py", "make_representations.py", "make_weights.py"),
    "manifest.json",
}
LOSSY = {name: entry for name, entry in MANIFEST["files"].items() if "reconstruction" in entry}
Array = NDArray[Any]
goldens = pytest.mark.parametrize("name", sorted(MANIFEST["files"].keys() - LOSSY.keys()))
lossy = pytest.mark.parametrize("name", sorted(LOSSY))


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@cache
def model(path: str) -> Model | Representation:
    return read_model((BITSTREAMS / path).read_bytes())


def test_every_golden_file_is_there_and_listed() -> None:
    there = {
        str(path.relative_to(BITSTREAMS).as_posix())
        for path in BITSTREAMS.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    arrays = {entry["reconstruction"] for entry in LOSSY.values()}
    assert there == {*MANIFEST["files"], *MANIFEST["models"], *MANIFEST["weights"], *arrays, *SCRIPTS}


def test_golden_files_have_not_changed() -> None:
    for name, entry in (
        *MANIFEST["files"].items(),
        *MANIFEST["models"].items(),
        *MANIFEST["weights"].items(),
    ):
        assert sha256((BITSTREAMS / name).read_bytes()) == entry["sha256"], name


@pytest.mark.parametrize("name", sorted(MANIFEST["models"]))
def test_golden_models_have_their_identity(name: str) -> None:
    identity = MANIFEST["models"][name]["identity"]
    assert model(name).identity.hex() == identity
    artifact = neuralcodec.artifact.read_artifact(BITSTREAMS / name)
    loaded: Any = codec_for(artifact.family).load(artifact)
    assert replace(loaded).identity.hex() == identity


@goldens
def test_independent_decoder_reads_golden(name: str) -> None:
    entry = MANIFEST["files"][name]
    decoded = decode((BITSTREAMS / name).read_bytes(), model(entry["model"]))
    array = decoded.array()
    assert (list(array.shape), array.dtype.name) == (entry["shape"], entry["dtype"])
    assert decoded.archive == entry["archive"]
    assert sha256(decoded.sample_strings()) == entry["samples"]
    assert (None if decoded.missing is None else sha256(decoded.missing.tobytes())) == entry["mask"]
    assert metadata_hash(texts(decoded)) == entry["metadata"]


@goldens
def test_package_reads_golden(name: str) -> None:
    entry = MANIFEST["files"][name]
    path = BITSTREAMS / entry["model"]
    if entry["archive"]:
        with neuralcodec.open_archive(BITSTREAMS / name, path) as archive:
            array = archive[:]
            items = list(map(astuple, archive.metadata()))
        assert np.array_equal(array, neuralcodec.decompress_many(BITSTREAMS / name, model=path))
    else:
        data = (BITSTREAMS / name).read_bytes()
        single = decode_file(data, path)
        array = single.array
        info = single.info
        items = [(info.names[0] if info.names else None, info.icc_profile, info.exif, info.png_form)]
        assert np.array_equal(array, neuralcodec.decompress(data, path))
    assert (list(array.shape), array.dtype.name) == (entry["shape"], entry["dtype"])
    values = np.ma.getdata(array)
    assert sha256(values.astype(values.dtype.newbyteorder("<")).tobytes()) == entry["samples"]
    assert isinstance(array, np.ma.MaskedArray) == (entry["mask"] is not None)
    if entry["mask"] is not None:
        assert sha256(np.ma.getmaskarray(array).tobytes()) == entry["mask"]
    contents = [[(name or "").encode(), *(part or b"" for part in parts)] for name, *parts in items]
    assert metadata_hash(contents) == entry["metadata"]


@lossy
def test_lossy_goldens_have_their_indices_and_samples_within_1(name: str) -> None:
    entry = LOSSY[name]
    path = BITSTREAMS / entry["model"]
    decoded = decode((BITSTREAMS / name).read_bytes(), model(entry["model"]))
    array = decoded.array()
    assert (list(array.shape), array.dtype.name) == (entry["shape"], entry["dtype"])
    assert sha256(decoded.checked) == entry["indices"]
    if entry["archive"]:
        found = neuralcodec.decompress_many(BITSTREAMS / name, model=path)
    else:
        found = neuralcodec.decompress((BITSTREAMS / name).read_bytes(), path)
    assert (found.shape, found.dtype) == (array.shape, array.dtype)
    kept = np.load(BITSTREAMS / entry["reconstruction"])
    assert np.abs(found.astype(np.int64) - array.astype(np.int64)).max() <= 1
    assert np.abs(found.astype(np.int64) - kept.astype(np.int64)).max() <= 1


def texts(decoded: Decoded) -> list[list[bytes]]:
    return [[s.get(kind, b"") for kind in ("name", "icc", "exif", "png")] for s in decoded.sections]


def metadata_hash(items: list[list[bytes]]) -> str | None:
    """Return the SHA-256 of each signal's name, ICC profile, EXIF and PNG form, as bitstreams/make.py does."""
    contents = [
        content for name, icc, exif, png in items for content in (name, icc, exif, *([png] if png else []))
    ]
    if not any(contents):
        return None
    return sha256(b"".join(len(content).to_bytes(4, "little") + content for content in contents))


def test_command_line_decodes_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "archive-tree-129.ncz"
    entry = MANIFEST["files"][name]
    files = [str(BITSTREAMS / name), str(BITSTREAMS / entry["model"])]
    assert main([*files, "-o", str(tmp_path / "out.npy")]) == 0
    assert sha256(np.load(tmp_path / "out.npy").tobytes()) == entry["samples"]
    assert "uint8 (129, 6, 7)" in capsys.readouterr().out
    assert main([files[0], str(BITSTREAMS / "models/bits.ncm")]) == 1
    assert "another model" in capsys.readouterr().err


def random_structure(rng: np.random.Generator) -> TreeStructure:
    """Return a tree of any kind that the builders make; some nodes get free emissions."""
    shape = tuple(int(side) for side in rng.integers(1, 5, rng.integers(1, 4)))
    size = int(np.prod(shape))
    alphabet = rng.choice([1, 2, 3, 16, 40, 256, 700], 3)[rng.integers(0, 3, size)]
    kind = int(rng.integers(3))
    states = rng.integers(1, 24, 2 * size - 1 if kind == 2 else size)
    common: dict[str, Any] = {"shape": shape, "dtype": np.uint16, "alphabet": alphabet, "states": states}
    common["basis_size"] = int(rng.integers(1, 40))
    if kind == 0:
        edges = [(int(rng.integers(0, sample)), sample) for sample in range(1, size)]
        structure = hclt(edges, **common)
    else:
        structure = hmm(**common) if kind == 1 else binary_tree(**common)
    emission = structure.emission.copy()
    first = np.unique(emission, return_index=True)[1]  # of each basis, which must keep a user
    switched = np.setdiff1d(np.flatnonzero((emission > 0) & (rng.random(len(emission)) < 0.4)), first)
    emission[switched] = 0
    return replace(structure, emission=emission).validate()


def random_circuit(rng: np.random.Generator) -> Circuit:
    structure = random_structure(rng)
    samples = rng.binomial(structure.alphabet - 1, rng.random(structure.variables), (20, structure.variables))
    noise = float(rng.choice([1.0, 4.0]))
    parameters = initial_parameters(structure, samples, int(rng.integers(1 << 32)), transition_noise=noise)
    return Circuit(structure, quantise(structure, parameters))


def random_signals(circuit: Circuit, rng: np.random.Generator) -> Array:
    """Return up to 40 signals, likely or not, in any dtype and shape that the format allows, masked or not."""
    n = int(rng.integers(1, 41))
    structure = circuit.structure
    x = circuit.sample(n, int(rng.integers(1 << 32)))
    if rng.random() < 0.4:
        x = rng.integers(0, structure.alphabet, (n, structure.variables)).reshape(x.shape)
    if rng.random() < 0.5:
        top = int(structure.alphabet.max()) - 1
        dtypes = [t for t in ("u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8") if top <= np.iinfo(t).max]
        x = x.astype(rng.choice([*dtypes, "?"] if top <= 1 else dtypes))
        x = x.reshape(n, 1, *[side for side in structure.shape if side > 1], 1)
    else:
        x = x.astype(structure.dtype)
    if rng.random() < 0.5:
        holes = rng.random(x.shape) < rng.random()
        x = np.ma.MaskedArray(np.where(holes, 0, x).astype(x.dtype), holes)
    return x


def check_same(decoded: Decoded, x: Array) -> None:
    array = decoded.array()
    assert (array.shape, array.dtype) == (x.shape, x.dtype)
    assert np.array_equal(array, np.ma.getdata(x))
    holes = np.ma.getmaskarray(x)
    found = np.zeros(holes.shape, np.bool_) if decoded.missing is None else decoded.missing
    assert np.array_equal(found.reshape(holes.shape), holes)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_independent_decoder_reads_what_the_package_writes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    circuit = random_circuit(rng)
    model = read_model(circuit.to_artifact().to_bytes())
    x = random_signals(circuit, rng)
    check_same(decode(neuralcodec.compress(x[0], circuit), model), x[0])
    group, chunk = (int(size) for size in rng.integers(1, 20, 2))
    names = [f"{i}.png" for i in range(len(x))]
    data = neuralcodec.compress_many(x, circuit, names=names, group=group, chunk=chunk)
    decoded = decode(data, model)
    check_same(decoded, x)
    assert [item["name"].decode() for item in decoded.sections] == names


@st.composite
def matrices(draw: st.DrawFn) -> NDArray[np.uint32]:
    shape = draw(st.integers(1, 12)), draw(st.integers(1, 30))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    top = draw(st.sampled_from([1, 2, 4, 20, 239, 240, 241, 255, 256, 4_096, 1 << 16, 1 << 23]))
    matrix: Array = rng.integers(0, top, shape)
    if draw(st.booleans()):
        matrix = np.minimum(rng.geometric(0.4, shape) ** rng.integers(1, 9, (1, shape[1])), top - 1)
    result: NDArray[np.uint32] = matrix.astype(np.uint32)
    return result


def edge_matrices() -> Iterator[Array]:
    powers = 2 ** np.arange(23)
    yield np.unique(np.concatenate([powers, powers - 1, powers + 1, [239, 240, 241]]))[None, :-1]
    yield np.zeros((1, 1))
    yield np.full((1, 1), 2**23 - 1)
    yield np.zeros((70, 60))  # more than 4,096 elements for each byte, were it not padded
    rng = np.random.default_rng(0)
    yield rng.integers(0, 3, (3, 2**17)) * (rng.random((3, 2**17)) < 0.01)  # two blocks


@settings(max_examples=150, deadline=None)
@given(matrices())
def test_tensor_bodies(matrix: NDArray[np.uint32]) -> None:
    body = encode_tensor(matrix)
    assert np.array_equal(read_tensor(body, *matrix.shape), matrix)
    assert np.array_equal(decode_tensor(body, *matrix.shape), matrix)


@pytest.mark.parametrize(
    "matrix", list(edge_matrices()), ids=lambda matrix: f"{matrix.shape[0]}x{matrix.shape[1]}"
)
def test_tensor_bodies_at_the_edges(matrix: Array) -> None:
    body = encode_tensor(matrix.astype(np.uint32))
    assert np.array_equal(read_tensor(body, *matrix.shape), matrix)
    assert np.array_equal(decode_tensor(body, *matrix.shape), matrix)
