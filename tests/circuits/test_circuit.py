"""Circuits: model files and back, likelihoods, what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from random_circuits import random_parameters, random_structure, seeds

from neuralcodec.artifact import Artifact
from neuralcodec.circuits import reference
from neuralcodec.circuits.circuit import Circuit
from neuralcodec.circuits.parameters import FIELDS, dequantise, quantise
from neuralcodec.errors import InvalidModel


def random_circuit(seed: int) -> Circuit:
    """A circuit of a random tree with mixed states, alphabets, silent nodes and both kinds of emissions."""
    rng = np.random.default_rng(seed)
    structure = random_structure(rng)
    return Circuit(structure, quantise(structure, random_parameters(structure, rng)), {"name": "random"})


@given(seeds)
@settings(deadline=None)
def test_the_model_file_keeps_everything(seed: int) -> None:
    circuit = random_circuit(seed)
    back = Circuit.from_artifact(Artifact.from_bytes(circuit.to_artifact().to_bytes()))
    for name in FIELDS:
        assert np.array_equal(getattr(back.levels, name), getattr(circuit.levels, name))
    for name in ("parent", "variable", "states", "alphabet", "emission"):
        assert np.array_equal(getattr(back.structure, name), getattr(circuit.structure, name))
    assert (back.structure.shape, back.structure.dtype) == (circuit.structure.shape, circuit.structure.dtype)
    assert back.identity == circuit.identity == back.to_artifact().identity
    assert dict(back.header) == {"name": "random"}


@given(seeds)
@settings(deadline=None, max_examples=25)
def test_likelihoods_are_the_reference_s(seed: int) -> None:
    circuit = random_circuit(seed)
    x = circuit.sample(7, seed % 1000).reshape(7, -1)
    missing = np.random.default_rng(seed).random(x.shape) < 0.3
    theta = dequantise(circuit.structure, circuit.levels)
    for mask in (None, missing):
        expected = reference.log_likelihood(circuit.structure, theta, x, mask) / np.log(2)
        assert circuit.log2_likelihood(x, mask) == pytest.approx(expected, rel=1e-4, abs=1e-3)


def edited(circuit: Circuit, **changes: object) -> Artifact:
    """The circuit's artifact with tensors replaced, or left out where the change is None."""
    tensors = {**circuit.to_artifact().tensors, **changes}
    return Artifact("circuit", {}, {k: v for k, v in tensors.items() if v is not None})  # type: ignore[misc]


CHAIN = Artifact(
    "circuit",
    {},
    {
        "shape": np.array([[2]], np.uint8),
        "dtype": np.array([[1]], np.uint8),
        "parent": np.array([[0, 1]], np.uint8),
        "variable": np.array([[1, 2]], np.uint8),
        "states": np.array([[2, 2]], np.uint8),
        "alphabet": np.array([[3, 3]], np.uint8),
        "emission": np.array([[1, 2]], np.uint8),
        "root": np.array([[5, 6]], np.uint8),
        "transition.2": np.array([[1, 2], [3, 1]], np.uint8),
        "free.3": np.array([[1, 0, 2], [0, 0, 9]], np.uint8),
        "weight.1": np.array([[1], [1]], np.uint8),
        "basis.0": np.array([[1, 1, 1]], np.uint8),
    },
)


def test_the_smallest_of_each_kind_is_accepted() -> None:
    circuit = Circuit.from_artifact(CHAIN)
    x = np.array([[0, 1], [2, 2]], np.uint16)
    assert np.array_equal(circuit.kernel.decode(circuit.kernel.encode(x, None, 2), 2, None, 2), x)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"parent": np.array([[0, 0]])}, "node 1: bad parent"),
        ({"parent": np.array([[0, 2]])}, "node 1: bad parent"),
        ({"parent": np.array([[1, 1]])}, "node 0: bad parent"),
        ({"dtype": np.array([[10]])}, "dtype code is 10"),
        ({"shape": np.array([[3]])}, "3"),
        ({"variable": np.array([[1, 1]])}, "node 1"),
        ({"variable": np.array([[1, 9]])}, "node 1"),
        ({"states": np.array([[0, 2]])}, "node 0"),
        ({"states": np.array([[2, 3]])}, "transition.3"),
        ({"states": np.array([[2, 2, 2]])}, "states"),
        ({"alphabet": np.array([[3, 4]])}, "basis 0"),
        ({"alphabet": np.array([[300, 3]])}, "300"),
        ({"emission": np.array([[1, 3]])}, "node 1"),
        ({"emission": np.array([[0, 2]])}, "node 0"),
        ({"root": np.array([[1, 2, 3]])}, "root"),
        ({"root": None}, "lacks its tensor 'root'"),
        ({"surplus": np.array([[1]])}, "surplus"),
        ({"weight.1": np.array([[1, 1]])}, "weight.1"),
        ({"basis.0": np.array([[70_000, 1, 1]])}, "70000"),
    ],
)
def test_hostile_models_are_refused_by_name(change: dict[str, np.ndarray | None], message: str) -> None:
    tensors = {k: None if v is None else v.astype(np.uint32) for k, v in change.items()}
    with pytest.raises(InvalidModel, match=message):
        Circuit.from_artifact(edited(Circuit.from_artifact(CHAIN), **tensors))


@pytest.mark.parametrize("row", [[0, 0, 0], [4096, 1, 1], [4095, 4095, 1]])
def test_rows_that_are_no_distribution_are_refused(row: list[int]) -> None:
    circuit = Circuit.from_artifact(
        edited(Circuit.from_artifact(CHAIN), **{"basis.0": np.array([row], np.uint16)})
    )
    with pytest.raises(InvalidModel, match="basis"):
        _ = circuit.kernel


def test_other_families_are_refused() -> None:
    with pytest.raises(InvalidModel, match="'recombiner', not a circuit"):
        Circuit.from_artifact(Artifact("recombiner", {}, {}))
