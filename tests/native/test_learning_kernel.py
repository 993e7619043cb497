"""The sums of EM against the float64 reference, and the M-step against numpy."""

from functools import partial

import numpy as np
import pytest
from edge_circuits import EDGES, edge_circuit, random_samples
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from neuralcodec.circuits import reference
from neuralcodec.circuits.circuit import Circuit, learner_of
from neuralcodec.circuits.parameters import Parameters, dequantise
from neuralcodec.circuits.structure import FIELDS
from neuralcodec.errors import InvalidModel
from neuralcodec.native import FlatArrays, Learner, maximisation


def learner(circuit: Circuit) -> Learner:
    return learner_of(circuit.structure)


def arrays(theta: Parameters) -> FlatArrays:
    root, transition, weight, free, basis = (
        np.ascontiguousarray(getattr(theta, field), np.float32) for field in FIELDS
    )
    return root, transition, weight, free, basis


def check_counts(
    circuit: Circuit, x: NDArray[np.uint16], missing: NDArray[np.bool_] | None, tile: int
) -> None:
    """Compare likelihoods and expected counts with the reference's."""
    s, theta = circuit.structure, dequantise(circuit.structure, circuit.levels)
    expected = reference.expected_counts(s, theta, x, missing)
    logs, sums = learner(circuit).expectation(arrays(theta), x, missing, tile=tile, threads=2)
    assert np.allclose(logs, reference.log_likelihood(s, theta, x, missing), rtol=1e-5, atol=2e-5)
    for field, flat in zip(FIELDS, sums, strict=True):
        wanted = getattr(expected, field)
        counts = flat.astype(np.float64) * getattr(theta, field)
        assert flat.shape == wanted.shape
        assert counts.sum() == pytest.approx(wanted.sum(), rel=1e-4, abs=1e-6), field
        assert np.allclose(counts, wanted, rtol=2e-3, atol=2e-4 * max(1, len(x) / 64)), field


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 8),
    st.integers(0, 3),
    st.integers(1, 70),
    st.sampled_from([0.0, 0.5]),
    st.sampled_from([0.0, 0.3, 0.8]),
)
@settings(max_examples=60, deadline=None)
def test_counts_are_those_of_the_reference(
    seed: int, variables: int, silent: int, n: int, holes: float, pruned: float
) -> None:
    rng = np.random.default_rng(seed)
    circuit = edge_circuit(rng, variables, silent, alphabets=(1, 2, 3, 16, 17), zeros=0.0, pruned=pruned)
    x = random_samples(rng, circuit, n)
    missing = rng.random(x.shape) < holes if holes else None
    check_counts(circuit, x, missing, int(rng.choice([1, 7, 16, 33, 64])))


def test_everything_missing_leaves_the_prior() -> None:
    rng = np.random.default_rng(1)
    circuit = edge_circuit(rng, 5, 1, zeros=0.0)
    x = np.full((9, 5), 65_535, np.uint16)  # what stands at missing places does not matter
    missing = np.ones(x.shape, bool)
    theta = dequantise(circuit.structure, circuit.levels)
    logs, (root, _, weight, free, basis) = learner(circuit).expectation(arrays(theta), x, missing)
    assert np.allclose(logs, 0, atol=1e-5)
    assert np.allclose(root, 9, rtol=1e-4)
    for part in (weight, free, basis):
        assert not part.any()


def test_impossible_values_stay_finite() -> None:
    circuit = edge_circuit(np.random.default_rng(2), 6, 2, alphabets=(16,), zeros=0.95)
    x = random_samples(np.random.default_rng(2), circuit, 40)
    theta = arrays(dequantise(circuit.structure, circuit.levels))
    logs, sums = learner(circuit).expectation(theta, x)
    assert np.isfinite(logs).all()
    assert all(np.isfinite(part * t).all() for part, t in zip(sums, theta, strict=True))


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_the_same_threads_give_the_same_bits(threads: int) -> None:
    rng = np.random.default_rng(3)
    circuit = edge_circuit(rng, 10, 2, states=EDGES)
    x = random_samples(rng, circuit, 300)
    theta = arrays(dequantise(circuit.structure, circuit.levels))
    runs = [learner(circuit).expectation(theta, x, tile=16, threads=threads) for _ in range(3)]
    for logs, sums in runs[1:]:
        assert np.array_equal(logs, runs[0][0])
        assert all(np.array_equal(a, b) for a, b in zip(sums, runs[0][1], strict=True))


def test_tiles_and_threads_change_only_the_last_bits() -> None:
    rng = np.random.default_rng(4)
    circuit = edge_circuit(rng, 10, 2, zeros=0.0)
    x = random_samples(rng, circuit, 150)
    theta = arrays(dequantise(circuit.structure, circuit.levels))
    logs, sums = learner(circuit).expectation(theta, x, tile=64, threads=1)
    for tile, threads in [(1, 1), (16, 4), (50, 3), (512, 2)]:
        other, others = learner(circuit).expectation(theta, x, tile=tile, threads=threads)
        assert np.allclose(other, logs, rtol=1e-6)
        assert all(np.allclose(a, b, rtol=1e-3, atol=1e-4) for a, b in zip(others, sums, strict=True))
        alone = learner(circuit).log_likelihood(theta, x, tile=tile, threads=threads)
        assert np.array_equal(alone, other)


def test_likelihoods_of_no_signals() -> None:
    circuit = edge_circuit(np.random.default_rng(5))
    theta = arrays(dequantise(circuit.structure, circuit.levels))
    logs, sums = learner(circuit).expectation(theta, np.zeros((0, 6), np.uint16))
    assert logs.shape == (0,)
    assert not any(part.any() for part in sums)


def test_what_does_not_fit_the_structure_is_refused() -> None:
    circuit = edge_circuit(np.random.default_rng(6), 4, alphabets=(3,))
    kernel, theta = learner(circuit), arrays(dequantise(circuit.structure, circuit.levels))
    x = np.zeros((5, 4), np.uint16)
    with pytest.raises(ValueError, match="array sizes"):
        kernel.expectation((theta[0][:-1], *theta[1:]), x)
    with pytest.raises(ValueError, match="array sizes"):
        kernel.expectation(theta, x[:, :3])
    with pytest.raises(ValueError, match="mask shape"):
        kernel.expectation(theta, x, np.zeros((5, 3), bool))
    with pytest.raises(ValueError, match="do not fit the structure"):
        kernel.expectation(theta, x, tile=0)
    x[4, 1] = 3
    with pytest.raises(ValueError, match="signal 4, sample 1"):
        kernel.log_likelihood(theta, x)


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([[1], [1] * 5, [7], [17] * 300, [4096] * 40, [70_000] * 3, [3, 1, 64, 8, 8, 20] * 50]),
)
@settings(max_examples=30, deadline=None)
def test_maximisation_is_that_of_numpy(seed: int, widths: list[int]) -> None:
    rng = np.random.default_rng(seed)
    offset = np.concatenate(([0], np.cumsum(widths)))
    theta = np.concatenate([rng.dirichlet(np.ones(width)) for width in widths]).astype(np.float32)
    statistics = rng.gamma(0.5, 10, theta.shape).astype(np.float32)
    counts = (rng.gamma(0.5, 10, theta.shape) * (rng.random(theta.shape) < 0.5)).astype(np.float32)
    rate, scale, pseudocount = (float(np.float32(v)) for v in (rng.random(), 10 * rng.random(), rng.random()))
    keep = float(np.float32(1) - np.float32(rate))
    wanted = keep * statistics.astype(np.float64) + rate * scale * counts.astype(np.float64) * theta
    share = wanted + pseudocount / np.repeat(widths, widths)
    total = np.repeat(np.add.reduceat(share, offset[:-1]), widths)
    outs = []
    for threads in (1, 3):
        t, s = theta.copy(), statistics.copy()
        maximisation(t, s, counts, offset, rate=rate, scale=scale, pseudocount=pseudocount, threads=threads)
        outs.append((t, s))
    (t, s), (t3, s3) = outs
    assert np.array_equal(t, t3)
    assert np.array_equal(s, s3)
    assert np.allclose(s, wanted, rtol=1e-5)
    assert np.allclose(t, share / total, rtol=2e-4)


def test_maximisation_refuses_arrays_that_do_not_fit() -> None:
    theta = np.full(6, 1 / 3, np.float32)
    step = partial(maximisation, rate=1.0, scale=1.0, pseudocount=0.0)
    for statistics, counts, offset in [
        (5, 6, [0, 3, 6]),
        (6, 5, [0, 3, 6]),
        (6, 6, [0, 4]),
        (6, 6, [0, 4, 2, 6]),
        (6, 6, [-1, 6]),
        (6, 6, []),
    ]:
        with pytest.raises(ValueError, match="array sizes"):
            step(
                theta,
                np.zeros(statistics, np.float32),
                np.zeros(counts, np.float32),
                np.array(offset, np.int64),
            )


@pytest.mark.parametrize(
    ("array", "value"),
    [("parent", 1), ("parent", -1), ("variable", 2), ("states", 0), ("emission", 2), ("emission", -1)],
)
def test_structures_that_index_out_of_bounds_are_refused(array: str, value: int) -> None:
    arrays = {
        "parent": np.array([-1, 0], np.int32),
        "variable": np.array([0, 1], np.int32),
        "states": np.array([2, 2], np.int32),
        "alphabet": np.array([3, 3], np.int32),
        "emission": np.array([1, 0], np.int32),
        "basis_size": np.array([4], np.int32),
    }
    Learner(**arrays)
    arrays[array][1] = value
    with pytest.raises(InvalidModel, match="node 1"):
        Learner(**arrays)


def test_arrays_to_be_filled_are_never_converted() -> None:
    theta = np.ones(4)  # float64: a converted copy would take the result and vanish
    with pytest.raises(TypeError):
        maximisation(
            theta,  # type: ignore[arg-type]
            np.ones(4, np.float32),
            np.ones(4, np.float32),
            2,
            rate=0.5,
            scale=1.0,
            pseudocount=0.1,
        )
