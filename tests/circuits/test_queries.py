"""Queries against the enumeration of every value that small circuits can take."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray
from random_circuits import all_values, circuits, random_parameters, random_structure, seeds

from neuralcodec.circuits import completion, messages, queries
from neuralcodec.circuits.builders import binary_tree, hclt, hmm, low_rank
from neuralcodec.circuits.circuit import Circuit
from neuralcodec.circuits.completion import ascend, most_probable_explanation
from neuralcodec.circuits.messages import Network
from neuralcodec.circuits.parameters import Parameters, normalise, quantise
from neuralcodec.circuits.queries import HOWS, complete, conditional_marginals, most_probable_completion
from neuralcodec.circuits.reference import log_likelihood
from neuralcodec.circuits.sampling import conditional_sample, sample
from neuralcodec.circuits.structure import TreeStructure
from neuralcodec.errors import InvalidModel, UnsupportedInput

Pair = tuple[TreeStructure, Parameters]
quick = settings(max_examples=25, deadline=None)

STRUCTURES: dict[str, Callable[[], TreeStructure]] = {
    "chain": lambda: hmm(shape=(4,), dtype=np.uint8, alphabet=3, states=2, emission="free"),
    "binary": lambda: binary_tree(shape=(2, 2), dtype=np.uint8, alphabet=3, states=2, basis_size=2),
    "hclt": lambda: hclt(
        [[0, 1], [1, 2], [1, 3]], shape=(4,), dtype=np.uint16, alphabet=[2, 3, 1, 3], states=3
    ),
    "low rank": lambda: low_rank(
        hmm(shape=(3,), dtype=np.uint8, alphabet=3, states=3, emission="free"), rank=2
    ),
    "one sample": lambda: hmm(shape=(1,), dtype=np.bool_, alphabet=2, states=2, emission="free"),
    "one sample, one value": lambda: hmm(shape=(1,), dtype=np.uint8, alphabet=1, states=2),
}


@pytest.fixture(params=STRUCTURES)
def small(request: pytest.FixtureRequest) -> Pair:
    structure = STRUCTURES[request.param]()
    return structure, random_parameters(structure, np.random.default_rng(3))


def masks(structure: TreeStructure) -> NDArray[np.bool_]:
    """Every mask of a signal."""
    return np.array(list(itertools.product([False, True], repeat=structure.variables)))


def posterior(pair: Pair, point: NDArray[np.integer], missing: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Probability of every value of a signal, given those of the point that are not missing."""
    x = all_values(pair[0])
    joint = np.exp(log_likelihood(*pair, x)) * (x[:, ~missing] == point[~missing]).all(axis=1)
    result: NDArray[np.float64] = joint / joint.sum()
    return result


def assert_marginals(pair: Pair, points: NDArray[np.integer], missing: NDArray[np.bool_]) -> None:
    found = conditional_marginals(*pair, points, missing)
    x = all_values(pair[0])
    for number, (point, absent) in enumerate(zip(points, missing, strict=True)):
        weights = posterior(pair, point, absent)
        for variable in range(pair[0].variables):
            expected = np.bincount(x[:, variable], weights, minlength=found.shape[2])
            np.testing.assert_allclose(found[number, variable], expected, atol=1e-9)


def test_marginals_with_every_mask(small: Pair) -> None:
    absent = masks(small[0])
    points = np.random.default_rng(0).integers(0, small[0].alphabet, absent.shape)
    assert_marginals(small, points, absent)


@given(circuits(), seeds)
@quick
def test_marginals_are_ratios_of_sums(pair: Pair, seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = rng.integers(0, pair[0].alphabet, (6, pair[0].variables))
    assert_marginals(pair, points, rng.random(points.shape) < 0.5)


@given(circuits(zeros=0.5), seeds)
@quick
def test_impossible_values_do_not_disturb_what_is_possible(pair: Pair, seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = sample(*pair, 6, seed % 1000)
    missing = rng.random(points.shape) < 0.5
    assert_marginals(pair, points, missing)
    for how in HOWS:
        filled = complete(*pair, points, missing, how)
        assert (filled == points)[~missing].all()
        assert how in ("median", "mean", "mode") or np.isfinite(log_likelihood(*pair, filled)).all()


def test_contradictory_evidence_gets_an_answer() -> None:
    structure = hmm(shape=(3,), dtype=np.uint8, alphabet=2, states=2, emission="free")
    same = np.tile(np.eye(2).reshape(-1), 2)
    pair = (
        structure,
        Parameters(np.array([0.5, 0.5]), same, np.zeros(0), np.tile([1.0, 0, 0, 1], 3), np.zeros(0)),
    )
    found = conditional_marginals(*pair, [[0, 0, 1]], [False, True, False])
    np.testing.assert_allclose(found[0, 1], [0.5, 0.5])
    for how in HOWS:
        assert complete(*pair, [[0, 0, 1]], [False, True, False], how)[0, [0, 2]].tolist() == [0, 1]


def test_no_number_of_children_underflows() -> None:
    rng = np.random.default_rng(2)
    edges = [[0, leaf] for leaf in range(1, 400)]
    structure = hclt(
        edges, shape=(400,), dtype=np.uint8, alphabet=200, states=3, emission="free", root=0
    ).validate()
    parameters = random_parameters(structure, rng)
    x, missing = rng.integers(0, 200, (2, 400)), rng.random((2, 400)) < 0.1
    network = Network(structure, parameters)
    sent = messages.upward(network, x.astype(np.uint16), missing)
    expected = log_likelihood(structure, parameters, x, missing)
    np.testing.assert_allclose(sent.log_evidence(network), expected, rtol=1e-10)


@given(circuits(), seeds)
@quick
def test_evidence_is_the_likelihood_and_conditionals_are_ratios(pair: Pair, seed: int) -> None:
    structure = pair[0]
    circuit = Circuit(structure, quantise(*pair))
    rng = np.random.default_rng(seed)
    x = circuit.sample(5, seed % 1000).reshape(5, -1)
    everything, none = np.ones(structure.shape, bool), np.zeros(structure.shape, bool)
    np.testing.assert_allclose(circuit.log2_likelihood(x, everything), 0, atol=1e-5)
    np.testing.assert_allclose(circuit.log2_likelihood(x, none), circuit.log2_likelihood(x))
    kind = rng.integers(0, 3, x.shape)  # 0 given, 1 asked for, 2 missing
    found = circuit.log2_conditional(x, kind == 1, kind == 2)
    ratio = circuit.log2_likelihood(x, kind == 2) - circuit.log2_likelihood(x, kind > 0)
    np.testing.assert_allclose(found, ratio)
    np.testing.assert_allclose(circuit.log2_conditional(x, everything), circuit.log2_likelihood(x), atol=1e-5)
    np.testing.assert_array_equal(circuit.log2_conditional(x, none), 0)


def test_one_conditional_is_a_marginal(small: Pair) -> None:
    circuit = Circuit(small[0], quantise(*small))
    x = circuit.sample(4, seed=2)
    last = np.zeros(small[0].variables, bool)
    last[-1] = True
    chances = circuit.conditional_marginals(x, last, [small[0].variables - 1])[:, 0]
    expected = np.log2(chances[np.arange(4), x.reshape(4, -1)[:, -1].astype(int)])
    np.testing.assert_allclose(circuit.log2_conditional(x, last), expected, atol=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_conditional_frequencies_match_the_enumeration(seed: int) -> None:
    rng = np.random.default_rng(seed)
    structure = random_structure(rng, 4, 2)
    pair = structure, random_parameters(structure, rng)
    point = rng.integers(0, structure.alphabet)
    missing = np.array([True, False, True, True])
    drawn = conditional_sample(*pair, point[None], missing, 20_000, seed)[0]
    assert (drawn[:, 1] == point[1]).all()
    expected = posterior(pair, point, missing) * len(drawn)
    places = np.ravel_multi_index(tuple(drawn.T), structure.alphabet)
    observed = np.bincount(places, minlength=len(expected))
    assert observed[expected == 0].sum() == 0
    # Six standard deviations of a count, and one draw: exceeded less than once in 10^8 counts.
    assert (np.abs(observed - expected) <= 6 * np.sqrt(expected) + 1).all()


@given(circuits(), seeds)
@quick
def test_with_everything_missing_draws_are_those_of_the_model(pair: Pair, seed: int) -> None:
    missing = np.ones(pair[0].shape, bool)
    drawn = conditional_sample(*pair, np.zeros((3, pair[0].variables), int), missing, 4, seed)
    np.testing.assert_array_equal(drawn.reshape(12, -1), sample(*pair, 12, seed))


def test_batches_do_not_show(small: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(7)
    points = rng.integers(0, small[0].alphabet, (9, small[0].variables))
    missing = rng.random(points.shape) < 0.6

    def answers() -> list[NDArray[np.generic]]:
        filled = [complete(*small, points, missing, how, seed=5) for how in HOWS]
        drawn = conditional_sample(*small, points, missing, 3, 5)
        return [*filled, drawn, conditional_marginals(*small, points, missing).round(9)]

    whole = answers()
    for module in ("messages", "sampling"):
        monkeypatch.setattr(f"neuralcodec.circuits.{module}.BATCH_FLOATS", 40)
    monkeypatch.setattr(completion, "_BLOCK", 8)
    for one, other in zip(whole, answers(), strict=True):
        np.testing.assert_array_equal(one, other)


def best_joint(pair: Pair, point: NDArray[np.integer], missing: NDArray[np.bool_]) -> float:
    """Largest probability of a value together with states, by trying all of them."""
    structure, parameters = pair
    best = 0.0
    network = Network(structure, parameters)
    emissions = {node: network.emission(node) for node in np.flatnonzero(structure.variable >= 0).tolist()}
    for states in itertools.product(*(range(size) for size in structure.states)):
        p = float(parameters.root[states[0]])
        for node in range(structure.nodes):
            if node:
                p *= network.transition(node)[states[structure.parent[node]], states[node]]
            variable = structure.variable[node]
            if variable >= 0:
                row = emissions[node][states[node]]
                p *= row.max() if missing[variable] else row[point[variable]]
        best = max(best, p)
    return best


def test_explanations_are_the_best_of_all(small: Pair) -> None:
    absent = masks(small[0])
    points = np.random.default_rng(1).integers(0, small[0].alphabet, absent.shape)
    found = most_probable_explanation(*small, points, absent)
    expected = [best_joint(small, point, missing) for point, missing in zip(points, absent, strict=True)]
    np.testing.assert_allclose(np.exp(found.log_joint), expected, rtol=1e-9)
    assert (found.values == points)[~absent].all()
    # The states and values named do have the joint probability told.
    known = most_probable_explanation(*small, found.values, np.zeros(small[0].shape, bool))
    np.testing.assert_allclose(known.log_joint, found.log_joint, rtol=1e-9)
    np.testing.assert_array_equal(known.states, found.states)


@given(seeds)
@quick
def test_ascent_never_falls_and_ends_where_no_sample_helps(seed: int) -> None:
    rng = np.random.default_rng(seed)
    structure = random_structure(rng, 6, 2)
    soft = random_parameters(structure, rng)
    # Cubes: latents that hang together closely, so that the best value of a sample depends on the others.
    pair = structure, normalise(structure, Parameters(*(array**3 for array in soft.arrays)))
    start = rng.integers(0, structure.alphabet, (40, structure.variables)).astype(np.uint16)
    missing = rng.random(start.shape) < 0.8
    end = ascend(Network(*pair), start, missing, missing)
    assert (end == start)[~missing].all()
    now, after = start.copy(), log_likelihood(*pair, start)
    while (now != end).any():
        completion._Ascent(Network(*pair), now, missing, np.zeros_like(missing)).sweep()
        before, after = after, log_likelihood(*pair, now)
        assert (after >= before - 1e-9).all()
    for variable, size in enumerate(structure.alphabet.tolist()):
        for value in range(size):
            other = end.copy()
            other[missing[:, variable], variable] = value
            assert (log_likelihood(*pair, other) <= after + 1e-6).all()


def test_a_sweep_sees_what_it_has_just_changed() -> None:
    structure = TreeStructure(
        (2,), np.dtype(np.uint8), [-1, 0, 0], [-1, 0, 1], [2] * 3, [2] * 2, [-1, 0, 0], ()
    )
    agree = np.tile([0.99, 0.01, 0.01, 0.99], 2)
    parameters = Parameters(np.array([0.4, 0.6]), agree, np.zeros(0), agree, np.zeros(0))
    x, missing = np.array([[0, 1]], np.uint16), np.ones((1, 2), bool)
    # The samples want to be equal: had both changed at once, they would have changed places.
    completion._Ascent(Network(structure, parameters), x, missing, ~missing).sweep()
    assert x.tolist() == [[1, 1]]


def test_map_is_no_worse_than_mpe_and_often_exact() -> None:
    exact = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        structure = random_structure(rng, 4, 1)
        pair = structure, random_parameters(structure, rng)
        point, missing = rng.integers(0, structure.alphabet), rng.random(4) < 0.7
        weights = posterior(pair, point, missing)
        chances = {}
        for how in ("map", "mpe"):
            filled = complete(*pair, point[None], missing, how)[0]
            chances[how] = weights[np.ravel_multi_index(tuple(filled), structure.alphabet)]
        assert chances["map"] >= chances["mpe"] * (1 - 1e-6)
        exact += chances["map"] >= weights.max() * (1 - 1e-6)
    assert exact >= 36


@given(circuits(), seeds)
@quick
def test_point_estimates_are_the_best_by_their_own_measure(pair: Pair, seed: int) -> None:
    structure = pair[0]
    rng = np.random.default_rng(seed)
    points = rng.integers(0, structure.alphabet, (5, structure.variables))
    missing = rng.random(points.shape) < 0.6
    chances = conditional_marginals(*pair, points, missing)
    values = np.arange(chances.shape[2])
    distance = np.abs(values[:, None] - values)
    losses = {"median": distance, "mean": distance**2, "mode": distance > 0}
    for how, loss in losses.items():
        expected = chances @ loss  # the loss of each guess
        filled = complete(*pair, points, missing, how)  # type: ignore[arg-type]
        found = np.take_along_axis(expected, filled[:, :, None].astype(int), axis=2)[:, :, 0]
        assert (found <= expected.min(axis=2) + 1e-9)[missing].all()


def test_nothing_missing_and_no_signals(small: Pair) -> None:
    structure = small[0]
    x = sample(*small, 3, seed=1)
    for how in HOWS:
        np.testing.assert_array_equal(complete(*small, x, np.zeros(structure.shape, bool), how), x)
        assert complete(*small, x[:0], np.ones(structure.shape, bool), how).shape == (0, structure.variables)
    assert conditional_sample(*small, x, np.ones(structure.shape, bool), 0, 1).shape[1] == 0
    assert conditional_marginals(*small, x, np.ones(structure.shape, bool), []).shape == (3, 0, 0)


def test_circuits_answer_in_their_own_shape_and_dtype(small: Pair) -> None:
    circuit = Circuit(small[0], quantise(*small))
    x = circuit.sample(3, seed=4)
    missing = np.ones(small[0].shape, bool)
    for how in HOWS:
        filled = circuit.complete(x, missing, how)
        assert (filled.shape, filled.dtype) == (x.shape, x.dtype)
    drawn = circuit.conditional_sample(x, np.broadcast_to(missing, x.shape), count=2)
    assert (drawn.shape, drawn.dtype) == ((3, 2, *small[0].shape), x.dtype)
    np.testing.assert_array_equal(circuit.complete(x, missing, "sample", 9), circuit.sample(3, 9))


@pytest.mark.parametrize(
    ("x", "missing", "message"),
    [
        ([[0, 0, 0]], [True] * 4, r"shape \(n, 4\)"),
        ([[0, 0, 0, 0.5]], [True] * 4, "float64"),
        ([[0, 0, 0, 3]], [True] * 3 + [False], "signal 0: sample 3 is 3, but the model takes 0 to 2"),
        ([[0, 0, -1, 0]], [False] * 4, "sample 2 is -1"),
        ([[0, 0, 0, 0]], [1, 1, 1, 1], "bools"),
        ([[0, 0, 0, 0]], [[True] * 4] * 2, "front"),
        (3, [True] * 4, "shape"),
    ],
)
def test_what_does_not_fit_is_refused(x: object, missing: object, message: str) -> None:
    structure = STRUCTURES["chain"]()
    pair = structure, random_parameters(structure, np.random.default_rng(0))
    with pytest.raises(UnsupportedInput, match=message):
        complete(*pair, x, missing)  # type: ignore[arg-type]
    with pytest.raises(UnsupportedInput, match=message):
        Circuit(structure, quantise(*pair)).log2_likelihood(x, missing)  # type: ignore[arg-type]


def test_unknown_ways_samples_and_parameters_are_refused() -> None:
    structure = STRUCTURES["chain"]()
    pair = structure, random_parameters(structure, np.random.default_rng(0))
    x, missing = [[0, 0, 0, 0]], [True] * 4
    with pytest.raises(UnsupportedInput, match="median, mean, mode, map, mpe, sample, not by 'best'"):
        complete(*pair, x, missing, "best")  # type: ignore[arg-type]
    with pytest.raises(UnsupportedInput, match="0 to 3; asked for are -1 to 4"):
        conditional_marginals(*pair, x, missing, [-1, 4])
    bad = Parameters(pair[1].root * 2, *pair[1].arrays[1:])
    for query in (
        complete,
        most_probable_completion,
        most_probable_explanation,
        queries.conditional_marginals,
    ):
        with pytest.raises(InvalidModel, match="node 0"):
            query(structure, bad, x, missing)  # type: ignore[operator]
