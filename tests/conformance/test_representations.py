"""Codec 2: the package and the independent decoder accept the same models and files, and decode them alike."""

from typing import Any

import numpy as np
import pytest
from decoder import decode
from decoder_model import read_model
from decoder_primitives import Refused
from numpy.typing import NDArray
from recombiner.tiny_models import LAYOUTS, SHAPES, random_indices, tiny_model

import neuralcodec
from neuralcodec.artifact import Artifact
from neuralcodec.codecs.recombiner import RecombinerCodec
from neuralcodec.container.header import Header
from neuralcodec.container.signal import SignalType
from neuralcodec.container.single import write_single
from neuralcodec.errors import NeuralCodecError
from neuralcodec.recombiner.model import Representation

CASES = [(name, shape) for name in sorted(LAYOUTS) for shape in SHAPES[name]]


def file_of(model: Representation, shape: tuple[int, ...], seed: int = 0) -> bytes:
    """A single file of random indices."""
    codec, kind = RecombinerCodec(model), SignalType(shape, model.dtype)
    payload = codec._pack(random_indices(model, codec._rows(kind), 1, seed))
    header = Header("recombiner", model.identity, None if kind == codec.signal else kind)
    return write_single(header, payload, codec.checked(np.zeros((1, *shape), kind.dtype), [payload], 1))


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_files_decode_alike(name: str, shape: tuple[int, ...]) -> None:
    model = tiny_model(name, bits=5 + len(shape))
    data = file_of(model, shape)
    decoded = decode(data, read_model(model.artifact.to_bytes()))
    ours = neuralcodec.decompress(data, model)
    assert decoded.array().shape == ours.shape == shape
    assert np.abs(decoded.array().astype(np.int64) - ours.astype(np.int64)).max() <= 1


def accepted(tensors: dict[str, NDArray[Any]]) -> bool:
    """Tell whether a model is accepted; both decoders must agree."""
    data = Artifact("recombiner", {}, tensors).to_bytes()
    outcome, independent = True, True
    try:
        Representation.from_artifact(Artifact.from_bytes(data))
    except NeuralCodecError:
        outcome = False
    try:
        read_model(data)
    except Refused:
        independent = False
    assert independent == outcome, {name: tensor.tolist() for name, tensor in tensors.items()}
    return outcome


@pytest.mark.parametrize("name", ["gray", "patches", "plain"])
def test_mutated_models(name: str) -> None:
    rng = np.random.default_rng(len(name))
    original = tiny_model(name).artifact.tensors
    steering = ["layout", "signal", "steps", "blocks.0", "tokens.0"]
    values = [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 64, 65, 255, 256, 257, 4_096, 65_535, 65_536, (1 << 23) - 1]
    kept = 0
    for _ in range(400):
        tensors = {key: tensor.astype(np.uint32) for key, tensor in original.items()}
        key = str(rng.choice(steering if rng.random() < 0.8 else list(tensors)))
        tensor, kind = tensors[key], int(rng.integers(8))
        if kind < 6:
            place = int(rng.integers(tensor.size))
            tensor.flat[place] = int(
                rng.choice([*values, max(0, int(tensor.flat[place]) - 1), int(tensor.flat[place]) + 1])
            )
        elif kind == 6:
            tensors[key] = np.repeat(tensor, 2, int(rng.integers(2)))
        else:
            del tensors[key]
        kept += accepted(tensors)
    assert 5 < kept < 395


def test_layouts_that_differ_in_a_list() -> None:
    for name, layout in LAYOUTS.items():
        tensors = dict(tiny_model(name).artifact.tensors)
        assert accepted(tensors)
        row = layout.to_row()
        ends = np.cumsum([0, *(1 + len(part) for part in parts_of(row))])
        for number in range(7):
            emptied = np.concatenate([row[0, : ends[number]], [0], row[0, ends[number + 1] :]])
            assert not accepted({**tensors, "layout": emptied[None].astype(np.uint32)}) or number == 6


def parts_of(row: NDArray[Any]) -> list[list[int]]:
    values, parts = row[0].tolist(), []
    while values:
        parts.append(values[1 : 1 + values[0]])
        values = values[1 + values[0] :]
    return parts


@pytest.mark.parametrize("name", ["gray", "sound"])
def test_damaged_files_are_refused_by_both(name: str) -> None:
    model = tiny_model(name)
    theirs, shape = read_model(model.artifact.to_bytes()), SHAPES[name][-1]
    data = file_of(model, shape)
    rng = np.random.default_rng(0)
    for _ in range(60):
        changed = bytearray(data)
        if rng.random() < 0.5:
            changed[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
        else:
            del changed[int(rng.integers(len(data))) :]
        with pytest.raises(NeuralCodecError):
            neuralcodec.decompress(bytes(changed), model)
        with pytest.raises(Refused):
            decode(bytes(changed), theirs)


def test_short_payloads_are_refused_by_both() -> None:
    """A payload that decodes, but has fewer bytes than its shape asks for."""
    model = tiny_model("patches")
    theirs = read_model(model.artifact.to_bytes())
    codec = RecombinerCodec(model)
    small = SignalType((8, 8, 3), model.dtype)
    payload = codec._pack(random_indices(model, codec._rows(small), 1))
    for shape in ((80, 80, 3), (2_000, 2_000, 3), (2**20, 2**10, 1)):
        header = Header("recombiner", model.identity, SignalType(shape, model.dtype))
        data = write_single(header, payload, b"")
        with pytest.raises(NeuralCodecError):
            neuralcodec.decompress(data, model)
        with pytest.raises(Refused):
            decode(data, theirs)
