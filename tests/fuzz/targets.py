"""Fuzz targets: what each reads, with which model, and the files that fuzzing starts from.

Checksums and identities would stop nearly every changed input at the gate. So each target takes its inputs in two
forms, told apart by the first byte: as they are, or with all checksums and identities held to be zeros (the seeds
of that form are written so), which lets the parsers behind the gate be reached.
"""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from edge_circuits import edge_circuit
from fuzz.native_seeds import tensor_seeds
from photo.tiny_photos import tiny_model as tiny_photo
from photo.tiny_photos import waves
from recombiner.tiny_models import random_indices, tiny_model
from small_models import random_signals, small_circuit

import neuralcodec
from neuralcodec import artifact as artifacts
from neuralcodec.api import decode_file
from neuralcodec.archives import rescue
from neuralcodec.artifact import Artifact
from neuralcodec.circuits.circuit import Circuit
from neuralcodec.codec import Fields
from neuralcodec.codecs.recombiner import RecombinerCodec
from neuralcodec.container import archive, chunk, primitives, salvage, single
from neuralcodec.container.archive import ArchiveReader
from neuralcodec.container.files import BufferSource
from neuralcodec.container.header import Header
from neuralcodec.container.signal import SignalType
from neuralcodec.entropy.tensor_reference import decode_tensor_reference
from neuralcodec.errors import CorruptFile, NeuralCodecError
from neuralcodec.native import decode_tensor, decode_weights
from neuralcodec.photo import indexed as photo_tables
from neuralcodec.photo import payload as photo_payload
from neuralcodec.photo.model import PhotoModel
from neuralcodec.recombiner.model import Representation
from neuralcodec.weights import WeightsReader, coder, compress_weights, layout
from neuralcodec.weights.dtypes import of_numpy
from neuralcodec.weights.safetensors_format import read_layout
from neuralcodec.weights.tensors import TensorSpec

CHECKED, OPEN = b"\0", b"\1"
ZEROS = bytes(4)
MODULES: tuple[Any, ...] = (
    artifacts, archive, chunk, rescue, salvage, single, coder, layout, photo_payload, photo_tables,
)  # fmt: skip


@dataclass(frozen=True)
class Target:
    """A reader of bytes, and the inputs to start from."""

    read: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]


def _zeros(*_: Any) -> bytes:
    return ZEROS


@contextmanager
def no_checksums() -> Iterator[None]:
    """Hold every checksum and every identity to be zeros."""
    kept = vars(Artifact)["identity"]
    for module in MODULES:
        module.crc32 = _zeros
    Artifact.identity = bytes(32)  # type: ignore[assignment,method-assign]
    try:
        yield
    finally:
        Artifact.identity = kept  # type: ignore[method-assign]
        for module in MODULES:
            module.crc32 = primitives.crc32


@cache
def model() -> Circuit:
    """The model that single files and archives are read with."""
    circuit = small_circuit((4, 3), alphabet=[2] * 6 + [256] * 6)
    assert circuit.kernel
    return circuit


def run(data: bytes, read: Callable[[bytes], None]) -> None:
    """Read an input in the form that its first byte names; only errors of ours may come out."""
    if not data:
        return
    try:
        if data[:1] == CHECKED:
            read(data[1:])
        else:
            with no_checksums():
                read(data[1:])
    except NeuralCodecError:
        return


def forms(write: Callable[[], list[bytes]]) -> list[bytes]:
    """Return seeds in both forms."""
    checked = [CHECKED + data for data in write()]
    with no_checksums():
        return checked + [OPEN + data for data in write()]


@cache
def zero_model() -> Circuit:
    """Return the same model under an identity of zeros."""
    circuit = Circuit(model().structure, model().levels, model().header)
    vars(circuit).update(identity=bytes(32), _kernel=model().kernel)
    return circuit


def current() -> Circuit:
    """Return the model under the identity that is in force."""
    return zero_model() if isinstance(Artifact.identity, bytes) else model()


def read_single(data: bytes) -> None:
    decode_file(data, current())


def write_singles() -> list[bytes]:
    circuit = current()
    signals = random_signals(circuit, 3)
    holes = np.ma.masked_array(signals[0], np.arange(12).reshape(4, 3) % 4 == 0)
    return [
        neuralcodec.compress(signals[0], circuit),
        neuralcodec.compress(np.zeros((4, 3), bool), circuit),
        neuralcodec.compress(signals[1].astype(np.int32)[None], circuit, name="a.png", exif=b"Exif"),
        neuralcodec.compress(holes, circuit, icc_profile=bytes(40)),
    ]


def read_archive(data: bytes) -> None:
    for damaged in (False, True):
        try:
            with neuralcodec.open_archive(data, current(), salvage=damaged, threads=1) as opened:
                assert len(opened.numbers) == len(opened)
                if len(opened):
                    _ = opened[-1]
                assert sum(1 for _ in opened) == len(opened)
                _ = opened.names
        except NeuralCodecError:
            continue
    repaired = io.BytesIO()
    try:
        neuralcodec.repair_archive(data, repaired, current())
    except NeuralCodecError:
        return
    ArchiveReader(BufferSource(repaired.getvalue()))


def write_archives() -> list[bytes]:
    circuit = current()
    signals = random_signals(circuit, 9)
    holes = np.ma.masked_array(signals, np.random.default_rng(1).random(signals.shape) < 0.2)
    names: list[str | None] = [f"{number}.png" for number in range(9)]
    return [
        neuralcodec.compress_many(signals[:0], circuit),
        neuralcodec.compress_many(signals[:3], circuit, group=1),
        neuralcodec.compress_many(signals, circuit, group=2, chunk=4, names=names),
        neuralcodec.compress_many(holes.astype(np.int16), circuit, group=4, chunk=4),
    ]


def read_model(data: bytes) -> None:
    artifact = Artifact.from_bytes(data)
    circuit = Circuit.from_artifact(artifact)
    x = np.zeros((1, circuit.structure.variables), np.uint16)
    assert np.array_equal(circuit.kernel.decode(circuit.kernel.encode(x, None, 1, 1), 1, None, 1, 1), x)


def write_models() -> list[bytes]:
    circuits = [small_circuit((1,), alphabet=2, states=1), small_circuit((2, 2), alphabet=4, states=2)]
    for seed in range(4):
        rng = np.random.default_rng(seed)
        circuits.append(edge_circuit(rng, 3, 1, states=(1, 2), ranks=(1, 2), alphabets=(2, 3)))
    return [circuit.to_artifact().to_bytes() for circuit in circuits]


@cache
def representation() -> Representation:
    """The model that files of neural representations are read with."""
    return tiny_model("patches")


def read_represented(data: bytes) -> None:
    decode_file(data, representation())


def write_represented() -> list[bytes]:
    """Files of random indices, which need no encoder."""
    codec, files = RecombinerCodec(representation()), []
    for number, shape in enumerate([(8, 8, 3), (17, 20, 3), (1, 30), (9, 8, 1)]):
        kind = SignalType(shape, np.dtype(np.uint8))
        payload = codec._pack(random_indices(codec.model, codec._rows(kind), 1, number))
        checked = codec.checked(np.zeros((1, *shape), np.uint8), [payload], 1)
        files.append(single.write_single(Header("recombiner", codec.model.identity, kind), payload, checked))
    return files


def read_representation(data: bytes) -> None:
    model = Representation.from_artifact(Artifact.from_bytes(data))
    codec = RecombinerCodec(model)
    kind = codec.signal or SignalType((*model.layout.grid, model.layout.channels), model.dtype)
    blocks = sum(units * one.blocks for units, one in zip(codec._rows(kind), model.partitions, strict=True))
    if max(blocks, kind.samples, model.layout.patch_latents) < 2**12:
        codec.decode(codec._pack(random_indices(model, codec._rows(kind), 1)), Fields(kind))


def write_representations() -> list[bytes]:
    return [tiny_model(name).artifact.to_bytes() for name in ("line", "gray", "patches", "film")]


@cache
def photo_model() -> PhotoModel:
    """The model that photographs are read with."""
    return tiny_photo()


def current_photo() -> PhotoModel:
    """Return it under the identity that is in force."""
    if not isinstance(Artifact.identity, bytes):
        return photo_model()
    return PhotoModel(photo_model().networks)  # its identity is taken anew from its artifact


def read_photo(data: bytes) -> None:
    model = current_photo()
    for read in (decode_file, neuralcodec.salvage_image):
        try:
            read(data, model)
        except NeuralCodecError:
            continue


def write_photos() -> list[bytes]:
    model = current_photo()
    wide = np.arange(90, dtype=np.uint16).reshape(9, 10) * 700
    few = np.arange(120, dtype=np.uint8).reshape(40, 3)[waves(30, 20, 1)[..., 0] // 7]
    images = [waves(9, 12, 3), waves(20, 3, 4), few, wide, wide % 3 == 0, np.full((4, 4), 9, np.uint8)]
    files = [neuralcodec.compress(image, model) for image in images]
    tiled = photo_payload.encode_image(model, images[0], 5)
    kind = SignalType(images[0].shape, images[0].dtype)
    header = Header("photo", model.identity, kind)
    return [*files, single.write_single(header, tiled, bytes(images[0].tobytes()))]


def read_photo_model(data: bytes) -> None:
    model, image = PhotoModel.from_artifact(Artifact.from_bytes(data)), waves(6, 5, 1)
    payload = photo_payload.encode_image(model, image)
    kind = SignalType(image.shape, image.dtype)
    assert np.array_equal(photo_payload.ImageReader(model, payload, kind).decode(), image)


def write_photo_models() -> list[bytes]:
    return [tiny_photo(planes, 4, 4).artifact.to_bytes() for planes in (1, 3)]


def read_tensor(data: bytes) -> None:
    """Read a body behind its shape (two bytes for the rows, two for the columns) as the reference does."""
    rows, cols = int.from_bytes(data[:2], "little"), int.from_bytes(data[2:4], "little")
    try:
        matrix = decode_tensor(data[4:], rows, cols, threads=1)
    except NeuralCodecError:
        matrix = None
    if rows * cols > 1024:
        return  # too slow for the reference
    try:
        expected = decode_tensor_reference(data[4:], rows, cols)
    except NeuralCodecError:
        assert matrix is None
    else:
        assert matrix is not None
        assert np.array_equal(matrix, expected)


def read_weights(data: bytes) -> None:
    with WeightsReader(data, threads=1) as opened:
        if sum(spec.nbytes for spec in opened.index.specs) < 2**22:
            lost: list[CorruptFile] = []
            for spec, one, _ in opened.tensors(skip_damaged=lost):
                assert len(one) == spec.nbytes


def write_weights() -> list[bytes]:
    rng = np.random.default_rng(0)
    state = {
        "w": rng.normal(size=(6, 2, 3, 3)).astype(np.float32),
        "b": rng.normal(size=9).astype(np.float32),
        "n": rng.integers(-2, 3, (5, 20)).astype(np.int8),
        "r": rng.integers(0, 255, (20, 30), np.uint8),
        "z": np.where(rng.random((9, 9)) < 0.8, 0, 1.5).astype(np.float16),
    }
    return [compress_weights(state), *(compress_weights(state, sqnr=one, states=4) for one in (2, 30))]


WEIGHTS = {
    "w": np.random.default_rng(0).normal(size=(5, 4, 2, 2)).astype(np.float32),
    "i": np.random.default_rng(1).integers(-3, 4, (9, 6)).astype(np.int8),
    "f": np.where(np.arange(60) % 3, 0, np.random.default_rng(2).normal(size=60)).astype(np.float16),
}
SPECS = [TensorSpec(name, of_numpy(array.dtype, name), array.shape) for name, array in WEIGHTS.items()]


def read_record(data: bytes) -> None:
    """Decode tensors of known shapes: two lengths of two bytes, then parameters, stored bytes, and the block."""
    first, second = int.from_bytes(data[:2], "little"), int.from_bytes(data[2:4], "little")
    parameters, stored, block = (
        data[4 : 4 + first],
        data[4 + first : 4 + first + second],
        data[4 + first + second :],
    )
    layouts = [(spec.count, *spec.layout) for spec in SPECS]
    for (one, _), spec in zip(
        decode_weights(coder.coder(), parameters, stored, [block], layouts, 0.1, 1, "record"),
        SPECS,
        strict=True,
    ):
        assert len(one) == spec.nbytes


def record_seeds() -> list[bytes]:
    seeds = []
    for aims, step in (([0, 0, 0], 0.0), ([1, 0, 2], 0.1), ([1, 0, 2], 3.0)):
        given = [
            (np.frombuffer(array.tobytes(), np.uint8), *spec.layout, aim, 0)
            for array, spec, aim in zip(WEIGHTS.values(), SPECS, aims, strict=True)
        ]
        parameters, stored, blocks, _ = coder.coder().encode(given, step, 1e-3, 3, 0.25, False, 1, "")
        lengths = len(parameters).to_bytes(2, "little") + len(stored).to_bytes(2, "little")
        seeds.append(lengths + parameters + stored + blocks[0])
    return seeds


def read_safetensors(data: bytes) -> None:
    layout = read_layout(BufferSource(data))
    assert layout.offsets[-1] == len(data)


def safetensors_seeds() -> list[bytes]:
    head = b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[],"data_offsets":[8,9]}}'
    return [len(head).to_bytes(8, "little") + head + bytes(9)]


TARGETS = {
    "single": Target(read_single, lambda: forms(write_singles)),
    "archive": Target(read_archive, lambda: forms(write_archives)),
    "model": Target(read_model, lambda: forms(write_models)),
    "represented": Target(read_represented, lambda: forms(write_represented)),
    "representation": Target(read_representation, lambda: forms(write_representations)),
    "photo": Target(read_photo, lambda: forms(write_photos)),
    "photo model": Target(read_photo_model, lambda: forms(write_photo_models)),
    "tensor": Target(read_tensor, lambda: [CHECKED + data for data in tensor_seeds()]),
    "weights": Target(read_weights, lambda: forms(write_weights)),
    "weights record": Target(read_record, lambda: [CHECKED + data for data in record_seeds()]),
    "safetensors": Target(read_safetensors, lambda: [CHECKED + data for data in safetensors_seeds()]),
}


def one_input(name: str) -> Callable[[bytes], None]:
    """Return the function that runs one input of a target."""
    read: Any = TARGETS[name].read
    return lambda data: run(bytes(data), read)
