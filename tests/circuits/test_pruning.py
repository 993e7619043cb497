"""Pruning: the best blocks stay, what is left is a circuit, and growth and training go on from it."""

from dataclasses import replace

import numpy as np
import pytest
from edge_circuits import edge_circuit, with_support
from hypothesis import given, settings
from hypothesis import strategies as st
from random_circuits import random_parameters, random_structure, seeds

from neuralcodec.circuits import reference
from neuralcodec.circuits.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from neuralcodec.circuits.circuit import Circuit, pack, unpack
from neuralcodec.circuits.growth import split, split_structure
from neuralcodec.circuits.learning import train
from neuralcodec.circuits.parameters import FIELDS, Parameters, dequantise, normalise, quantise
from neuralcodec.circuits.pruning import block_sums, prune, restrict
from neuralcodec.circuits.recipe import Recipe
from neuralcodec.circuits.structure import BLOCK, TreeStructure
from neuralcodec.errors import InvalidModel


def checkpoint(seed: int, states: int = 20, nodes: int = 5) -> Checkpoint:
    """A run between two epochs: statistics are the joint distributions of its parameters."""
    rng = np.random.default_rng(seed)
    structure = random_structure(rng, nodes, 1, states=states)
    theta = random_parameters(structure, rng)
    drawn = np.concatenate([structure.alphabet * 0])[None]
    missing = np.ones((1, structure.variables), bool)
    flows = reference.expected_counts(structure, theta, drawn, missing)
    narrow = (Parameters(*(getattr(part, f).astype(np.float32) for f in FIELDS)) for part in (theta, flows))
    return Checkpoint(structure, *narrow, epoch=1, step=1, best=None, best_bpd=1.0)


@given(seeds, st.floats(1, 300))
@settings(max_examples=40, deadline=None)
def test_the_blocks_of_least_flow_go_and_a_circuit_is_left(seed: int, kept: float) -> None:
    before = checkpoint(seed)
    after = prune(before, kept)
    old, new = before.structure, after.structure
    new.validate()
    after.theta.validate(new)
    if old.transition_size <= kept * (old.nodes - 1):
        assert after is before
        return
    assert new.transition_size <= old.transition_size
    gone, stays = [], []
    for v in range(1, new.nodes):
        flow, support = block_sums(before.statistics.transition_of(old, v)), new.support_of(v)
        assert support.any(axis=1).all()
        best = flow == flow.max(axis=1, keepdims=True)
        gone += flow[~support].tolist()
        stays += flow[support & ~best].tolist()
    assert not gone or not stays or max(gone) <= min(stays)
    assert len(stays) * BLOCK**2 <= max(kept, 0) * (new.nodes - 1)


@given(seeds)
@settings(max_examples=30, deadline=None)
def test_what_is_pruned_is_zero_and_the_rest_keeps_its_proportions(seed: int) -> None:
    before = checkpoint(seed)
    after = prune(before, 30)
    for v in range(1, before.structure.nodes):
        old, new = (c.theta.transition_of(c.structure, v) for c in (before, after))
        stored = after.structure.stored(v)
        assert not new[~stored].any()
        kept = np.where(stored, old, 0)
        assert np.allclose(new, kept / kept.sum(axis=1, keepdims=True), rtol=1e-5)


@given(seeds, st.floats(1, 2))
@settings(max_examples=30, deadline=None)
def test_split_states_keep_the_distribution_of_a_pruned_circuit(seed: int, growth: float) -> None:
    rng = np.random.default_rng(seed)
    states = int(rng.integers(4, 14))
    dense = random_structure(rng, 4, 1).with_states(states)
    structure = with_support(rng, dense, 0.6)
    theta = random_parameters(structure, rng)
    drawn = np.array([[rng.integers(size) for size in structure.alphabet] for _ in range(20)])
    missing = np.ones((1, structure.variables), bool)
    flows = reference.expected_counts(structure, theta, drawn[:1], missing)
    grown = split_structure(structure, int(states * growth)).validate()
    # emissions count nothing where samples are missing: they keep the parameters' own proportions
    counts = replace(flows, weight=theta.weight, free=theta.free, basis=theta.basis)
    after = normalise(grown, split(structure, grown, counts, rng, 1e-6))
    assert np.allclose(
        reference.log_likelihood(grown, after, drawn),
        reference.log_likelihood(structure, theta, drawn),
        atol=1e-3,
    )


@given(seeds)
@settings(max_examples=30, deadline=None)
def test_a_pruned_circuit_is_written_and_read_as_the_same_circuit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    circuit = edge_circuit(rng, 8, 2, states=(16, 20, 33), pruned=0.8, zeros=0.0)
    again = Circuit.from_artifact(circuit.to_artifact())
    assert again.identity == circuit.identity
    assert np.array_equal(again.structure.support, circuit.structure.support)
    assert all(np.array_equal(a, b) for a, b in zip(again.levels.arrays, circuit.levels.arrays, strict=True))
    whole = unpack(circuit.structure, circuit.levels)
    assert whole[0].support is None
    assert np.array_equal(pack(*whole)[0].support, circuit.structure.support)


def test_few_zeros_are_stored() -> None:
    circuit = edge_circuit(np.random.default_rng(1), 8, 2, pruned=0.1)
    assert Circuit.from_artifact(circuit.to_artifact()).structure.support is None


def test_the_reference_and_sampling_know_pruned_circuits() -> None:
    rng = np.random.default_rng(3)
    circuit = edge_circuit(rng, 6, 1, states=(17, 40), alphabets=(2, 3), pruned=0.7)
    dense = Circuit(*unpack(circuit.structure, circuit.levels))
    x = circuit.sample(50)
    assert np.array_equal(x, dense.sample(50))
    logs = [
        reference.log_likelihood(c.structure, dequantise(c.structure, c.levels), x) for c in (circuit, dense)
    ]
    assert np.allclose(*logs)
    assert np.allclose(circuit.log2_likelihood(x), logs[0] / np.log(2), rtol=1e-4)


def test_training_prunes_to_its_budget_and_still_learns() -> None:
    rng = np.random.default_rng(0)
    phase = rng.random((1200, 1, 1))
    wave = np.sin(2 * np.pi * (phase + np.arange(12).reshape(1, 3, 4) / 12))
    x = np.rint(3.5 + 3 * wave + 0.3 * rng.standard_normal(wave.shape)).clip(0, 7).astype(np.uint8)
    base = {"latents": 32, "start_latents": 8, "epochs": 9, "batch": 32, "basis": 8, "mi_samples": 300}
    dense = train(x, Recipe(**base), alphabet=8)
    sparse = train(x, Recipe(**base, transitions=256), alphabet=8)
    assert dense.structure.support is None
    assert sparse.structure.transition_size <= 256 * 11 < dense.structure.transition_size / 3
    bpd = [c.header["figures"]["validation_bpd"] for c in (dense, sparse)]
    assert bpd[1] < bpd[0] + 0.05
    assert sparse.header["recipe"]["transitions"] == 256


def test_checkpoints_keep_the_support(tmp_path: object) -> None:
    path = f"{tmp_path}/run.npz"
    state, recipe = prune(checkpoint(4), 40), Recipe()
    save_checkpoint(path, recipe, "data", state)
    again = load_checkpoint(path, recipe, "data")
    assert again is not None
    assert np.array_equal(again.structure.support, state.structure.support)
    assert np.array_equal(again.theta.transition, state.theta.transition)


@pytest.mark.parametrize(("blocks", "message"), [(3, "support has shape"), (4, "keeps no block")])
def test_supports_that_no_circuit_has_are_refused(blocks: int, message: str) -> None:
    chain = TreeStructure((2,), np.dtype(np.uint8), [-1, 0], [0, 1], [8, 8], [2, 2], [0, 0], ())
    support = np.zeros(blocks, bool)
    support[:2] = True
    with pytest.raises(InvalidModel, match=message):
        replace(chain, support=support).validate()


def test_rows_of_a_pruned_circuit_are_quantised_like_others() -> None:
    rng = np.random.default_rng(5)
    structure = with_support(rng, random_structure(rng, 4, 0).with_states(12), 0.5)
    theta = random_parameters(structure, rng)
    back = dequantise(structure, quantise(structure, theta))
    back.validate(structure)
    assert np.allclose(back.transition, theta.transition, atol=0.05)
    assert restrict(back, structure, structure).transition.tolist() == back.transition.tolist()
