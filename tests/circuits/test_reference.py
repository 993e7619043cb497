import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray
from random_circuits import all_values, circuits, random_parameters, seeds

from neuralcodec.circuits import reference
from neuralcodec.circuits.builders import hmm
from neuralcodec.circuits.parameters import Parameters, row_reduce
from neuralcodec.circuits.reference import em_step, expected_counts, log_likelihood
from neuralcodec.circuits.structure import FIELDS, TreeStructure

Circuit = tuple[TreeStructure, Parameters]
quick = settings(max_examples=25, deadline=None)


@given(circuits())
@quick
def test_enumeration_sums_to_one(circuit: Circuit) -> None:
    x = all_values(circuit[0])
    assert np.exp(log_likelihood(*circuit, x)).sum() == pytest.approx(1, abs=1e-9)


@given(circuits())
@quick
def test_all_missing_has_probability_one(circuit: Circuit) -> None:
    x = np.full((1, circuit[0].variables), 250)
    assert log_likelihood(*circuit, x, np.ones(x.shape, bool))[0] == pytest.approx(0, abs=1e-9)


@given(circuits(zeros=0.3), seeds)
@quick
def test_marginal_is_the_sum_over_missing_values(circuit: Circuit, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = all_values(circuit[0])
    joint = np.exp(log_likelihood(*circuit, x))
    missing = rng.random(x.shape[1]) < 0.5
    point = x[rng.integers(len(x))]
    agrees = (x[:, ~missing] == point[~missing]).all(axis=1)
    found = np.exp(log_likelihood(*circuit, point[None, :], missing[None, :]))[0]
    assert found == pytest.approx(joint[agrees].sum(), abs=1e-12)


def brute_force_joint(
    structure: TreeStructure, parameters: Parameters, value: NDArray[np.int64], missing: NDArray[np.bool_]
) -> dict[tuple[tuple[int, ...], tuple[int, ...]], float]:
    """The probability of a value with every assignment of states and basis indices, by plain products."""
    result = {}
    owners = [node for node in range(structure.nodes) if structure.emission[node] > 0]
    for states in itertools.product(*(range(size) for size in structure.states)):
        for indices in itertools.product(*(range(structure.node_basis_size[node]) for node in owners)):
            index = dict(zip(owners, indices, strict=True))
            p = parameters.root[states[0]]
            for node in range(structure.nodes):
                if node:
                    above = states[structure.parent[node]]
                    p *= parameters.transition_of(structure, node)[above, states[node]]
                variable, kind = structure.variable[node], structure.emission[node]
                if kind > 0:
                    p *= parameters.weight_of(structure, node)[states[node], index[node]]
                if kind < 0 or missing[variable]:
                    continue
                if kind > 0:
                    p *= parameters.basis_of(structure, kind - 1)[index[node], value[variable]]
                else:
                    p *= parameters.free_of(structure, node)[states[node], value[variable]]
            result[states, indices] = float(p)
    return result


@pytest.mark.parametrize("seed", range(4))
def test_counts_are_posterior_sums_over_all_assignments(seed: int) -> None:
    rng = np.random.default_rng(seed)
    structure = TreeStructure(
        (3,), np.dtype(np.uint8), [-1, 0, 0, 2], [1, 0, -1, 2], [2, 3, 2, 2], [3, 2, 3], [0, 1, -1, 1], (2,)
    ).validate()
    parameters = random_parameters(structure, rng)
    x = rng.integers(0, structure.alphabet, (3, 3))
    missing = rng.random(x.shape) < 0.3
    expected = Parameters(*(np.zeros(size) for size in structure.sizes.values()))
    for value, absent in zip(x, missing, strict=True):
        joint = brute_force_joint(structure, parameters, value, absent)
        total = sum(joint.values())
        for (states, indices), p in joint.items():
            share, index = p / total, dict(zip((1, 3), indices, strict=True))
            expected.root[states[0]] += share
            for node in range(4):
                if node:
                    above = states[structure.parent[node]]
                    expected.transition_of(structure, node)[above, states[node]] += share
                variable = structure.variable[node]
                if variable < 0 or absent[variable]:
                    continue
                if node == 0:
                    expected.free_of(structure, 0)[states[0], value[variable]] += share
                else:
                    expected.weight_of(structure, node)[states[node], index[node]] += share
                    expected.basis_of(structure, 0)[index[node], value[variable]] += share
    found = expected_counts(structure, parameters, x, missing)
    for field in FIELDS:
        np.testing.assert_allclose(getattr(found, field), getattr(expected, field), atol=1e-10)


@given(circuits(), seeds)
@quick
def test_counts_agree_along_the_tree(circuit: Circuit, seed: int) -> None:
    structure, parameters = circuit
    rng = np.random.default_rng(seed)
    x = rng.integers(0, structure.alphabet, (7, structure.variables))
    counts = expected_counts(structure, parameters, x)
    assert counts.root.sum() == pytest.approx(7)
    of_states = [counts.root]
    for node in range(1, structure.nodes):
        pairs = counts.transition_of(structure, node)
        np.testing.assert_allclose(pairs.sum(axis=1), of_states[structure.parent[node]], atol=1e-9)
        of_states.append(pairs.sum(axis=0))
    for node in np.flatnonzero(structure.emission >= 0).tolist():
        own = counts.free_of if structure.emission[node] == 0 else counts.weight_of
        np.testing.assert_allclose(own(structure, node).sum(axis=1), of_states[node], atol=1e-9)
    users = (structure.emission > 0).sum()
    assert counts.basis.sum() == pytest.approx(7 * users)


@given(circuits(), seeds)
@quick
def test_em_never_lowers_the_likelihood(circuit: Circuit, seed: int) -> None:
    structure, parameters = circuit
    rng = np.random.default_rng(seed)
    x = rng.integers(0, structure.alphabet, (30, structure.variables))
    missing = rng.random(x.shape) < 0.2
    last = log_likelihood(structure, parameters, x, missing).sum()
    for _ in range(4):
        parameters = em_step(structure, parameters, x, missing).validate(structure)
        now = log_likelihood(structure, parameters, x, missing).sum()
        assert now >= last - 1e-9
        last = now


def test_em_on_one_node_finds_the_frequencies() -> None:
    structure = TreeStructure((1,), np.dtype(np.uint8), [-1], [0], [1], [3], [0], ())
    start = random_parameters(structure, np.random.default_rng(1))
    x = np.array([[0], [2], [2], [2]])
    np.testing.assert_allclose(em_step(structure, start, x).free, [0.25, 0, 0.75])
    half = em_step(structure, start, x, step=0.5)
    np.testing.assert_allclose(half.free, start.free / 2 + np.array([0.125, 0, 0.375]))
    smooth = em_step(structure, start, x, pseudocount=3.0)
    np.testing.assert_allclose(smooth.free, np.array([2, 1, 4]) / 7)


def test_rows_without_counts_keep_their_parameters() -> None:
    structure = hmm(shape=(2,), dtype=np.uint8, alphabet=2, states=2, emission="free")
    none = np.zeros(0)
    start = Parameters(np.array([1.0, 0]), np.array([0.5, 0.5, 0.3, 0.7]), none, np.tile([0.4, 0.6], 4), none)
    after = em_step(structure, start, np.array([[0, 1]]))
    assert after.transition_of(structure, 1)[1].tolist() == [0.3, 0.7]
    assert after.free_of(structure, 0).tolist() == [[1.0, 0.0], [0.4, 0.6]]


def test_weights_shrink_towards_the_mean_of_their_node() -> None:
    structure = hmm(shape=(1,), dtype=np.uint8, alphabet=2, states=2, basis_size=2)
    start = random_parameters(structure, np.random.default_rng(4))
    x = np.array([[0], [0], [1]])
    counts = expected_counts(structure, start, x).weight_of(structure, 0)
    mean = counts.sum(axis=0) / counts.sum()
    found = em_step(structure, start, x, pseudocount=1e9).weight_of(structure, 0)
    np.testing.assert_allclose(found, [mean, mean], atol=1e-6)


def test_impossible_samples_have_no_counts() -> None:
    structure = TreeStructure((1,), np.dtype(np.uint8), [-1], [0], [1], [2], [0], ())
    none = np.zeros(0)
    parameters = Parameters(np.ones(1), none, none, np.array([1.0, 0]), none)
    x = np.array([[0], [1]])
    assert log_likelihood(structure, parameters, x).tolist() == [0, -np.inf]
    with pytest.raises(ValueError, match="sample 1 has probability 0"):
        expected_counts(structure, parameters, x)


def test_nothing_underflows_on_a_hub_of_many_unlikely_children() -> None:
    leaves = 400
    structure = TreeStructure(
        shape=(leaves,),
        dtype=np.dtype(np.uint8),
        parent=np.r_[-1, np.zeros(leaves, int)].astype(np.int32),
        variable=np.arange(-1, leaves, dtype=np.int32),
        states=np.full(leaves + 1, 2, np.int32),
        alphabet=np.full(leaves, 2, np.int32),
        emission=np.r_[-1, np.zeros(leaves, int)].astype(np.int32),
        basis_size=(),
    ).validate()
    rare = 1e-30
    none = np.zeros(0)
    parameters = Parameters(
        root=np.array([0.5, 0.5]),
        transition=np.tile([1.0, 0, 0, 1], leaves),
        weight=none,
        free=np.tile([rare, 1 - rare, rare / 2, 1 - rare / 2], leaves),
        basis=none,
    )
    x = np.zeros((1, leaves), np.uint8)
    expected = leaves * np.log(rare) - np.log(2) + np.log1p(2.0**-leaves)
    assert log_likelihood(structure, parameters, x)[0] == pytest.approx(expected, rel=1e-12)
    counts = expected_counts(structure, parameters, x)
    np.testing.assert_allclose(counts.root, [1, 0], atol=1e-12)
    np.testing.assert_allclose(counts.transition_of(structure, 7), [[1, 0], [0, 0]], atol=1e-12)


def test_batches_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    structure = hmm(shape=(4,), dtype=np.uint8, alphabet=3, states=2, basis_size=2)
    rng = np.random.default_rng(2)
    parameters = random_parameters(structure, rng)
    x, missing = rng.integers(0, 3, (20, 4)), rng.random((20, 4)) < 0.2
    whole = expected_counts(structure, parameters, x, missing)
    likelihood = log_likelihood(structure, parameters, x, missing)
    monkeypatch.setattr(reference, "BATCH", 3)
    np.testing.assert_allclose(log_likelihood(structure, parameters, x, missing), likelihood, rtol=1e-13)
    for field in FIELDS:
        parts = getattr(expected_counts(structure, parameters, x, missing), field)
        np.testing.assert_allclose(parts, getattr(whole, field), rtol=1e-10)


def test_bool_samples_are_values_not_masks() -> None:
    structure = hmm(shape=(3,), dtype=bool, alphabet=2, states=2, basis_size=2)
    parameters = random_parameters(structure, np.random.default_rng(2))
    x = np.array([[True, False, True], [False, False, True]])
    np.testing.assert_array_equal(
        log_likelihood(structure, parameters, x), log_likelihood(structure, parameters, x.astype(int))
    )
    counts = expected_counts(structure, parameters, x)
    sums = row_reduce(np.add, counts.basis, structure.row_widths("basis"), np.float64)
    assert sums.sum() == pytest.approx(6)
