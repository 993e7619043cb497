"""Sparse rows, and the levels that rows of masses become."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from random_circuits import random_parameters, random_structure, seeds

from neuralcodec.circuits.parameters import FIELDS, quantise
from neuralcodec.circuits.rows import Rows, levels_of, transition


@given(seeds, st.integers(1, 6), st.integers(1, 6))
def test_rows_are_the_matrix(seed: int, height: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    entries = rng.integers(0, 9, height)
    column, mass = rng.integers(0, width, entries.sum()), rng.random(entries.sum())
    rows = Rows(np.concatenate([[0], np.cumsum(entries)]), column, mass)
    expected = np.zeros((height, width))
    np.add.at(expected, (np.repeat(np.arange(height), entries), column), mass)
    np.testing.assert_array_equal(transition(rows, width), expected)
    order = rng.permutation(height)
    np.testing.assert_array_equal(rows.take(order).dense(width), expected[order])


@given(seeds)
def test_levels_are_the_quantiser_s_or_exact(seed: int) -> None:
    rng = np.random.default_rng(seed)
    structure = random_structure(rng)
    parameters = random_parameters(structure, rng)
    scale = float(rng.random()) + 0.1
    masses = {name: getattr(parameters, name) * scale for name in FIELDS}
    quantised, found = quantise(structure, parameters), levels_of(structure, masses)
    for name in FIELDS:
        wide = np.repeat(structure.row_widths(name) > 1, structure.row_widths(name))
        np.testing.assert_allclose(getattr(found, name)[wide], getattr(quantised, name)[wide], atol=1)
    squares = {name: np.square(getattr(quantised, name).astype(np.float64)) for name in FIELDS}
    exact = levels_of(structure, squares)
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(exact, name), getattr(quantised, name))
