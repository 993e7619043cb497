from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from random_circuits import all_values, circuits, random_parameters, random_structure

from neuralcodec.circuits.parameters import Parameters
from neuralcodec.circuits.reference import log_likelihood
from neuralcodec.circuits.sampling import sample
from neuralcodec.circuits.structure import TreeStructure
from neuralcodec.errors import InvalidModel


@pytest.mark.parametrize("seed", range(4))
def test_frequencies_match_the_enumeration(seed: int) -> None:
    rng = np.random.default_rng(seed)
    structure = random_structure(rng, 3, 2)
    parameters = random_parameters(structure, rng)
    x = all_values(structure)
    expected = np.exp(log_likelihood(structure, parameters, x)) * 40_000
    places = np.ravel_multi_index(tuple(sample(structure, parameters, 40_000, seed).T), structure.alphabet)
    observed = np.bincount(places, minlength=len(x))
    common = expected >= 5
    assert observed[~common].sum() <= expected[~common].sum() + 5 * np.sqrt(expected[~common].sum() + 1)
    chi_square = (np.square(observed - expected) / np.maximum(expected, 1e-300))[common].sum()
    freedom = common.sum()
    # The 99.99% quantile of chi-square, by Wilson and Hilferty's cube approximation.
    assert chi_square < freedom * (1 - 2 / (9 * freedom) + 3.72 * np.sqrt(2 / (9 * freedom))) ** 3


@given(circuits(zeros=0.5))
@settings(max_examples=25, deadline=None)
def test_samples_are_possible_and_seeded(circuit: tuple[TreeStructure, Parameters]) -> None:
    x = sample(*circuit, 50, seed=9)
    assert x.dtype == np.uint16
    assert np.isfinite(log_likelihood(*circuit, x)).all()
    np.testing.assert_array_equal(x, sample(*circuit, 50, seed=9))


def test_pinned_samples() -> None:
    structure = TreeStructure(
        (4,), np.dtype(np.uint8), [-1, 0, 1, 2], [0, 1, 2, 3], [1] * 4, [10] * 4, [0] * 4, ()
    )
    none = np.zeros(0)
    parameters = Parameters(np.ones(1), np.ones(3), none, np.full(40, 0.1), none)
    assert sample(structure, parameters, 3, seed=2024).tolist() == [[7, 1, 4, 4], [9, 5, 9, 2], [1, 6, 7, 8]]


def test_no_samples_and_bad_parameters() -> None:
    rng = np.random.default_rng(1)
    structure = random_structure(rng)
    parameters = random_parameters(structure, rng)
    assert sample(structure, parameters, 0, seed=1).shape == (0, 4)
    with pytest.raises(InvalidModel, match="node 0"):
        sample(structure, replace(parameters, root=parameters.root * 2), 1, seed=1)
