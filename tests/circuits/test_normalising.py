"""Unnormalised circuits: partition functions and scaled weights against enumeration."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from random_arrays import alphabet_of, evaluate, every_signal, random_arrays
from random_circuits import seeds

from neuralcodec.circuits.arrays import CircuitArrays
from neuralcodec.circuits.normalising import log_partition, scaled_weights
from neuralcodec.circuits.regions import find_regions


@given(seeds)
@settings(max_examples=60, deadline=None)
def test_partition_functions_are_sums_over_all_signals(seed: int) -> None:
    arrays = random_arrays(seed, 1 + seed % 5)
    regions = find_regions(arrays)
    x = every_signal(alphabet_of(arrays))
    logs = log_partition(arrays, regions)
    total = evaluate(arrays, x).sum()
    assert logs[arrays.root] == pytest.approx(np.log(total), abs=1e-9)


@given(seeds)
@settings(max_examples=60, deadline=None)
def test_scaling_makes_every_unit_normalised_and_changes_nothing(seed: int) -> None:
    arrays = random_arrays(seed, 1 + seed % 5)
    regions = find_regions(arrays)
    x = every_signal(alphabet_of(arrays))
    values = evaluate(arrays, x)
    scaled = replace(arrays, weight=scaled_weights(arrays, regions), relative=True)
    np.testing.assert_allclose(evaluate(scaled, x), values / values.sum(), rtol=1e-9)


def test_huge_and_tiny_weights_do_not_overflow() -> None:
    arrays = CircuitArrays(
        kind=[0, 0, 2, 2],
        indptr=[0, 0, 0, 2, 4],
        child=[0, 1, 0, 2],
        weight=[1e300, 1e-300, 1e200, 1e300],
        variable=[0, 0, -1, -1],
        row=[0, 1, -1, -1],
        row_indptr=[0, 2, 4],
        table=[1e308, 1e308, 1e-308, 3e-308],
        root=3,
    )
    logs = log_partition(arrays, find_regions(arrays))
    expected = np.log(2) + 308 * np.log(10) + 300 * np.log(10)
    assert logs[2] == pytest.approx(expected, abs=1e-9)
    assert np.isfinite(scaled_weights(arrays, find_regions(arrays))).all()


def test_weights_of_even_inputs_stay_to_the_bit() -> None:
    arrays = random_arrays(3, relative=True)
    assert scaled_weights(arrays, find_regions(arrays)).tobytes() == arrays.weight.tobytes()
    coin = CircuitArrays(
        [0, 0, 2], [0, 0, 0, 2], [0, 1], [0.1, 0.3], [0, 0, -1], [0, 1, -1], [0, 2, 4], [1, 2, 2, 1], 2
    )
    assert scaled_weights(coin, find_regions(coin)).tolist() == [0.1, 0.3]
