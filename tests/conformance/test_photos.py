"""Codec 4: the package and the independent decoder accept the same models and files, and decode them alike."""

from unittest import mock

import numpy as np
import pytest
from decoder import decode
from decoder_model import read_model
from decoder_photo_network import Mixture
from decoder_primitives import Refused
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from photo.tiny_photos import Image, deep, images, networks_only, tiny_model, waves

import neuralcodec
from neuralcodec.artifact import Artifact
from neuralcodec.errors import NeuralCodecError
from neuralcodec.photo import payload as payloads
from neuralcodec.photo.model import PhotoModel

COLOUR, GRAY = tiny_model(), tiny_model(1, 12, 8, seed=3)


def alike(data: bytes, model: PhotoModel, image: Image) -> None:
    found = decode(data, read_model(model.artifact.to_bytes())).array()
    assert found.dtype == image.dtype
    assert np.array_equal(found, image)


@settings(max_examples=25, deadline=None)
@given(images(most=9), st.sampled_from([COLOUR, GRAY]))
def test_any_images_decode_alike(image: Image, model: PhotoModel) -> None:
    alike(neuralcodec.compress(image, model), model, image)


@pytest.mark.parametrize("shape", [(7, 19, 3), (30, 8, 3), (21, 17, 4), (16, 16, 1), (1, 12, 3), (12, 1, 3)])
@pytest.mark.parametrize("small", [0, 2**14])
@pytest.mark.parametrize("deepen", [False, True])
def test_networks_decode_alike(shape: tuple[int, int, int], small: int, deepen: bool) -> None:
    image = deep(waves(*shape)) if deepen else waves(*shape)
    with networks_only(), mock.patch.object(payloads, "SMALL", small):
        data = neuralcodec.compress(image, COLOUR)
    alike(data, COLOUR, image)


def accepted(tensors: dict[str, NDArray[np.unsignedinteger]]) -> bool:
    """Tell whether a model is accepted; both decoders must agree."""
    data = Artifact("photo", {}, tensors).to_bytes()
    outcome, independent = True, True
    try:
        PhotoModel.from_artifact(Artifact.from_bytes(data))
    except NeuralCodecError:
        outcome = False
    try:
        read_model(data)
    except Refused:
        independent = False
    assert independent == outcome, {name: tensor.tolist() for name, tensor in tensors.items()}
    return outcome


def test_mutated_models() -> None:
    rng = np.random.default_rng(0)
    outcomes = []
    for _ in range(300):
        tensors = {name: tensor.astype(np.uint32) for name, tensor in COLOUR.artifact.tensors.items()}
        name = str(rng.choice(sorted(tensors)))
        kind = rng.integers(4)
        if kind == 0:
            del tensors[name]
        elif kind == 1:
            tensors[name] = np.ascontiguousarray(tensors[name][:, : tensors[name].shape[1] // 2 + 1])
        elif name.startswith("sizes"):
            tensors[name][0, rng.integers(6)] = rng.choice([0, 4, 6, 8, 14, 15, 128, 132])
        else:
            at = tuple(rng.integers(n) for n in tensors[name].shape)
            tensors[name][at] = rng.choice([0, 7, 65533, 65534, 65535, 2**22, 2**22 + 2, 2**23 - 1])
        outcomes.append(accepted(tensors))
    assert 0 < sum(outcomes) < len(outcomes)


def test_mutated_files() -> None:
    image = waves(18, 9, 3)
    with mock.patch.object(payloads, "SIDE", 9):
        data = neuralcodec.compress(image, COLOUR)
    reader, rng = read_model(COLOUR.artifact.to_bytes()), np.random.default_rng(1)
    for _ in range(60):
        changed = bytearray(data)
        changed[rng.integers(10, len(data))] ^= 1 << rng.integers(8)
        with pytest.raises(Refused):
            decode(bytes(changed), reader)
        with pytest.raises(NeuralCodecError):
            neuralcodec.decompress(bytes(changed), COLOUR)


@given(st.integers(0, 2**32 - 1), st.integers(0, 255))
def test_networks_learn_the_code_length(seed: int, value: int) -> None:
    """The gradients of section 11.8 are those of the bits that a sample takes."""
    rng = np.random.default_rng(seed)
    outputs = rng.normal(0, 1, (3, 4)).astype(np.float32)
    prediction, sums = int(value + rng.normal(0, 6)), int(rng.integers(4, 200))

    def bits(x: NDArray[np.float64]) -> float:
        logits, means, scales = x
        weights = 2.0**logits / (2.0**logits).sum()
        centres, inverses = means * sums / 8 + prediction, 2.0**scales / (sums / 8)

        def below(edge: float) -> NDArray[np.float64]:
            return 1 / (1 + 2.0 ** ((centres - edge) * inverses))

        low = below(value - 0.5) if value > 0 else 0
        high = below(value + 0.5) if value < 255 else 1
        return float(-np.log2((weights * (high - low)).sum()))

    exact = outputs.astype(np.float64)
    if bits(exact) > 14:
        return  # the floor under probabilities is felt
    found = Mixture((outputs, np.zeros(4, np.float32)), prediction, sums, 256).gradients(value) / 1024
    for i, place in enumerate(np.ndindex(3, 4)):
        step = np.zeros((3, 4))
        step[place] = 1e-4
        slope = (bits(exact + step) - bits(exact - step)) / 2e-4
        assert abs(found[i] - np.clip(slope, -4, 4)) < 0.01 + 0.01 * abs(slope)
