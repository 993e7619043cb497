"""Exported circuits come back as they were, down to the bytes of what they code."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from random_arrays import evaluate
from random_circuits import all_values, random_parameters, random_structure, seeds

import neuralcodec
from neuralcodec.circuits.arrays import load_arrays, save_arrays
from neuralcodec.circuits.builders import binary_tree, hclt, hmm, low_rank
from neuralcodec.circuits.circuit import Circuit
from neuralcodec.circuits.exporting import to_arrays
from neuralcodec.circuits.importing import from_arrays
from neuralcodec.circuits.parameters import FIELDS, Levels, quantise
from neuralcodec.circuits.structure import TreeStructure

EDGES = [[0, 1], [1, 2], [2, 3], [1, 4], [5, 1]]
COMMON = {"shape": (2, 3), "dtype": np.uint8, "alphabet": [4, 5, 4, 4, 3, 4], "basis_size": 3}


def trees(emission: str, states: int) -> list[TreeStructure]:
    options = {**COMMON, "states": states, "emission": emission}
    plain = [hclt(EDGES, **options), hmm(**options), binary_tree(**options)]
    return [*plain, *(low_rank(tree, 2) for tree in plain)]


def assert_comes_back(circuit: Circuit, folder: Path) -> None:
    save_arrays(folder / "c.npz", to_arrays(circuit))
    back = from_arrays(load_arrays(folder / "c.npz"))
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(back.levels, name), getattr(circuit.levels, name))
    assert back.identity == circuit.identity
    x = circuit.sample(5, 1)
    assert neuralcodec.compress(x[0], back) == neuralcodec.compress(x[0], circuit)
    assert neuralcodec.compress_many(x, back) == neuralcodec.compress_many(x, circuit)


@pytest.mark.parametrize("emission", ["shared", "free"])
@pytest.mark.parametrize("states", [1, 3])
@pytest.mark.parametrize("number", range(6))
def test_the_same_file_by_every_kind_of_tree(tmp_path: Path, emission: str, states: int, number: int) -> None:
    structure = trees(emission, states)[number]
    rng = np.random.default_rng(number)
    assert_comes_back(Circuit(structure, quantise(structure, random_parameters(structure, rng))), tmp_path)
    # Levels without a trace of probabilities: many zeros, states that nothing leads to, rows in common.
    sparse = Levels(*(rng.integers(0, 2, size).astype(np.uint16) * 7 for size in structure.sizes.values()))
    for name in FIELDS:
        width = structure.row_widths(name)
        getattr(sparse, name)[np.cumsum(width) - width] = 1
    assert_comes_back(Circuit(structure, sparse), tmp_path)


def test_the_same_file_by_a_shipped_model(tmp_path: Path) -> None:
    circuit = neuralcodec.load_model("pc-mnist-fast")
    assert isinstance(circuit, Circuit)
    assert_comes_back(circuit, tmp_path)


@given(seeds)
@settings(max_examples=50, deadline=None)
def test_the_arrays_mean_what_the_circuit_does(seed: int) -> None:
    rng = np.random.default_rng(seed)
    structure = random_structure(rng, silent=2)
    circuit = Circuit(structure, quantise(structure, random_parameters(structure, rng)))
    x = all_values(structure)
    arrays = to_arrays(circuit)
    assert (arrays.shape, arrays.dtype) == (structure.shape, structure.dtype)
    assert circuit.log2_likelihood(x) == pytest.approx(np.log2(evaluate(arrays, x)), abs=1e-4)
    back = from_arrays(arrays)
    assert back.log2_likelihood(x) == pytest.approx(circuit.log2_likelihood(x), abs=1e-4)
    if all(structure.children[node] or structure.variable[node] >= 0 for node in range(structure.nodes)):
        assert back.identity == circuit.identity


def test_states_that_say_nothing_are_left_out() -> None:
    silent = TreeStructure(
        (1,), np.dtype(np.uint8), [-1, 0], [0, -1], [2, 3], [2, 2][:1], [0, -1], ()
    ).validate()
    circuit = Circuit(silent, Levels(*(np.ones(size, np.uint16) for size in silent.sizes.values())))
    assert from_arrays(to_arrays(circuit)).structure.nodes == 1
