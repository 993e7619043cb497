import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_circuits import random_structure, seeds

from neuralcodec.circuits.builders import hmm
from neuralcodec.circuits.initialise import fit_weights, initial_basis, initial_parameters
from neuralcodec.circuits.reference import em_step, log_likelihood
from neuralcodec.circuits.structure import FIELDS


@given(seeds, st.booleans())
@settings(max_examples=30, deadline=None)
def test_positive_distributions_for_any_circuit(seed: int, masked: bool) -> None:
    rng = np.random.default_rng(seed)
    structure = random_structure(rng, 5, 2, alphabet=9)
    x = rng.integers(0, structure.alphabet, (20, 5))
    missing = rng.random(x.shape) < 0.3 if masked else None
    parameters = initial_parameters(structure, x, seed, missing=missing).validate(structure)
    again = initial_parameters(structure, x, seed, missing=missing)
    other = initial_parameters(structure, x, seed + 1, missing=missing)
    for field in FIELDS:
        values = getattr(parameters, field)
        assert values.dtype == np.float32
        assert (values > 0).all()
        np.testing.assert_array_equal(values, getattr(again, field))
    certain = (structure.row_widths("transition") == 1).all()
    assert certain == np.array_equal(parameters.transition, other.transition)


@given(st.integers(1, 80), st.integers(1, 300), seeds)
@settings(max_examples=60, deadline=None)
def test_basis_rows_are_positive_distributions(size: int, width: int, seed: int) -> None:
    histogram = np.random.default_rng(seed).gamma(0.1, size=width)
    basis = initial_basis(size, histogram)
    assert basis.shape == (size, width)
    assert (basis > 0).all()
    np.testing.assert_allclose(basis.sum(axis=1), 1)


def test_basis_has_spikes_at_frequent_values_and_covers_the_rest() -> None:
    histogram = np.ones(256)
    histogram[[0, 253, 254]] = 5000, 400, 200
    basis = initial_basis(32, histogram)
    spikes = basis.max(axis=1) > 0.99
    assert basis[spikes].argmax(axis=1).tolist() == [0, 253, 254]
    assert basis[~spikes].max(axis=0).min() > 0.004
    assert (np.diff(basis @ np.arange(256)) >= 0).all()
    large = initial_basis(300, histogram)
    assert set(large.argmax(axis=1)) == set(range(256))


def test_empty_histograms_give_a_usable_basis() -> None:
    assert (initial_basis(8, np.zeros(20)) > 0).all()


def test_fitted_weights_recover_a_mixture() -> None:
    basis = np.array([[0.9, 0.05, 0.05], [0.05, 0.9, 0.05], [0.05, 0.05, 0.9]])
    weights = fit_weights(np.array([[0.7, 0.2, 0.1]]) @ basis, basis)
    np.testing.assert_allclose(weights, [[0.7, 0.2, 0.1]], atol=0.02)


@pytest.mark.parametrize("emission", ["shared", "free"])
def test_start_is_near_the_marginals_and_em_breaks_the_symmetry(emission: str) -> None:
    rng = np.random.default_rng(3)
    x = (rng.integers(0, 2, (300, 1)) * 8 + rng.integers(0, 3, (300, 6))).astype(np.uint8)
    structure = hmm(
        shape=(6,),
        dtype=np.uint8,
        alphabet=11,
        states=4,
        emission=emission,
        basis_size=8,  # type: ignore[arg-type]
    )
    parameters = initial_parameters(structure, x, seed=1)
    independent = 6 * np.log(6)
    quiet = initial_parameters(structure, x, seed=1, transition_noise=0.1, emission_noise=0.1)
    start = -log_likelihood(structure, quiet, x).mean()
    # A basis of 8 bumps over 11 values is coarse; free emissions are exact.
    assert abs(start - independent) < (0.1 if emission == "shared" else 0.01) * independent
    for _ in range(30):
        parameters = em_step(structure, parameters, x)
    assert -log_likelihood(structure, parameters, x).mean() < np.log(2) + 6 * np.log(3) + 0.3


def test_samples_that_do_not_fit_are_refused() -> None:
    structure = hmm(shape=(3,), dtype=np.uint8, alphabet=4, states=2, basis_size=2)
    x = np.zeros((5, 3), int)
    x[2, 1] = 4
    with pytest.raises(ValueError, match="sample 2: variable 1 is 4"):
        initial_parameters(structure, x, 0)
    mask = x == 4
    assert initial_parameters(structure, x, 0, missing=mask).validate(structure)
    with pytest.raises(ValueError, match=r"integers \(n, 3\)"):
        initial_parameters(structure, x[:, :2], 0)
    with pytest.raises(ValueError, match="missing has shape"):
        initial_parameters(structure, x, 0, missing=mask[:2])
