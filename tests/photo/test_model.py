"""Models of photographs go through their files, and are refused if they break a rule."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from photo.tiny_photos import tiny_model

from neuralcodec.artifact import Artifact
from neuralcodec.errors import InvalidModel
from neuralcodec.photo.context import OWN, inputs, kinds, padded, places_of, words
from neuralcodec.photo.model import Network, PhotoModel


def tensors(planes: int = 3) -> dict[str, NDArray[Any]]:
    return {name: tensor.copy() for name, tensor in tiny_model(planes).artifact.tensors.items()}


@pytest.mark.parametrize("planes", [1, 3])
def test_models_return_from_their_files(planes: int) -> None:
    model = tiny_model(planes)
    again = PhotoModel.from_artifact(Artifact.from_bytes(model.artifact.to_bytes()))
    assert again.identity == model.identity
    assert again.header == model.header
    for one, other in zip(model.networks, again.networks, strict=True):
        assert (one.hidden, one.components, one.shifts) == (other.hidden, other.components, other.shifts)
        assert all(np.array_equal(one.weights[name], other.weights[name]) for name in one.weights)
        assert all(np.array_equal(one.biases[name], other.biases[name]) for name in one.biases)


def refused(changed: dict[str, NDArray[Any]], words: str) -> None:
    with pytest.raises(InvalidModel, match=words):
        PhotoModel.from_artifact(Artifact("photo", {}, changed))


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (0, 6, "is .*, not|hidden units are"),
        (0, 132, "is .*, not|hidden units"),
        (1, 20, "is .*, not|components are"),
        (2, 6, "tells 6 for what adapts, not 0 to 5"),
        (3, 5, "6 to 14 fraction bits"),
        (6, 15, "6 to 14 fraction bits"),
    ],
)
def test_sizes_out_of_range_are_refused(place: int, value: int, words: str) -> None:
    changed = tensors()
    changed["sizes.1"][0, place] = value
    refused(changed, words)


def test_sums_that_could_overflow_are_refused() -> None:
    changed = tensors()
    changed["second.0"] = changed["second.0"].astype(np.uint32)
    changed["second.0"][3] = 2 * 32767
    refused(changed, "plane 0: layer second: the sums of output 3 could overflow")


def test_weights_of_more_than_16_bits_are_refused() -> None:
    changed = tensors()
    changed["last.2"] = changed["last.2"].astype(np.uint32)
    changed["last.2"][0, 0] = 2 * 32768
    refused(changed, "a parameter is 32768 in size, above 32767")


def test_missing_and_foreign_tensors_are_refused() -> None:
    changed = tensors()
    del changed["linear.1"]
    refused(changed, "has no tensor linear.1")
    refused({**tensors(), "more": np.ones((1, 1), np.uint8)}, "do not belong there: more")
    changed = tensors()
    changed["first.0"] = changed["first.0"][:, :-1]
    refused(changed, "layer first of plane 0")
    with pytest.raises(InvalidModel, match="1 or 3 networks, not 2"):
        PhotoModel(tiny_model().networks[:2])
    with pytest.raises(InvalidModel, match="is not one of photographs"):
        PhotoModel.from_artifact(Artifact("circuit", {}, tensors()))


def test_networks_read_only_what_comes_before() -> None:
    for plane in range(3):
        for of, down, right in places_of(plane):
            assert of < plane or (of == plane and (down, right) in OWN)
            # In the order of decoding, t = x + 3 y, what is read comes first.
            assert of < plane or right + 3 * down < 0
        assert inputs(plane) == sum(len(places) for _, _, places in kinds(plane)) + 1  # and the fit
        assert inputs(plane) < words(plane) <= inputs(plane) + 3


def test_surroundings() -> None:
    plane = np.array([[10, 20], [30, 40]], np.uint8)
    assert padded(plane).tolist() == [
        [128] * 8,
        [128] * 8,
        [128] * 8,
        [128, 128, 128, 10, 20, 20, 20, 20],
        [10, 10, 10, 30, 40, 40, 40, 40],
        [30, 30, 30, 30, 40, 40, 40, 40],
    ]


def test_a_network_is_plain_data() -> None:
    network = tiny_model().networks[0]
    assert isinstance(network, Network)
    assert network.weights["first"].shape == (8, 2 * words(0))
