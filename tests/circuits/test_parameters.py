from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_circuits import random_parameters, random_structure, seeds

from neuralcodec.circuits.builders import hmm
from neuralcodec.circuits.parameters import (
    MAX_LEVEL,
    MAX_ROW_SUM,
    Levels,
    Parameters,
    QuantisationSteps,
    dequantise,
    normalise,
    quantise,
    row_reduce,
)
from neuralcodec.circuits.structure import FIELDS, TreeStructure
from neuralcodec.errors import InvalidModel


def one_row(row: list[float]) -> tuple[TreeStructure, Parameters]:
    """A circuit of one node, whose prior is the row."""
    structure = TreeStructure((1,), np.dtype(bool), [-1], [0], [len(row)], [1], [0], ())
    none = np.zeros(0, np.float32)
    return structure, Parameters(np.array(row, np.float32), none, none, np.ones(len(row), np.float32), none)


steps = st.floats(1 / MAX_LEVEL, 1)


@given(seeds, steps, st.sampled_from([0.0, 0.5]))
@settings(max_examples=60)
def test_quantised_rows_are_near_and_valid(seed: int, step: float, zeros: float) -> None:
    rng = np.random.default_rng(seed)
    structure = random_structure(rng, 5, 2, states=6, alphabet=9)
    parameters = random_parameters(structure, rng, zeros)
    levels = quantise(structure, parameters, QuantisationSteps(step, step, step, step, step))
    levels.validate(structure)
    back = dequantise(structure, levels).validate(structure)
    for field in FIELDS:
        values, widths = getattr(parameters, field), structure.row_widths(field)
        totals = row_reduce(np.add, np.square(getattr(levels, field).astype(float)), widths, float)
        # Each sqrt(p) moves by half a step (a whole one if rounded down), and so does the scale of its row.
        moved = np.abs(np.sqrt(values) - np.sqrt(getattr(back, field)))
        assert (moved <= step * (1 + np.sqrt(np.repeat(widths, widths))) + 1e-6).all()
        assert (totals >= 1).all()
        assert (getattr(levels, field)[values == 0] == 0).all()


def test_levels_are_the_rounded_roots() -> None:
    structure, parameters = one_row([0.36, 0.64, 0.0])
    levels = quantise(structure, parameters, QuantisationSteps(root=1 / 255))
    assert levels.root.tolist() == [153, 204, 0]
    assert levels.root.dtype == np.uint16
    expected = np.array([153**2, 204**2, 0], np.float32) / np.float32(255**2)
    assert dequantise(structure, levels).root.tolist() == expected.tolist()


def test_uniform_row_of_the_longest_kind_keeps_its_levels_at_a_coarse_step() -> None:
    structure, parameters = one_row([1 / 4096] * 4096)
    levels = quantise(structure, parameters, QuantisationSteps(root=1.0))
    assert levels.root.tolist() == [1] * 4096
    assert (dequantise(structure, levels).root == np.float32(1 / 4096)).all()


def test_finest_step_stays_below_the_row_sum_limit() -> None:
    finest = QuantisationSteps(root=1 / MAX_LEVEL)
    assert quantise(*one_row([1.0, 0.0]), finest).root.tolist() == [MAX_LEVEL, 0]
    structure, parameters = one_row([(62.5 / 4095) ** 2] * 4095 + [1 - 4095 * (62.5 / 4095) ** 2])
    levels = quantise(structure, parameters, finest)
    assert np.square(levels.root.astype(np.int64)).sum() <= MAX_ROW_SUM
    assert abs(dequantise(structure, levels).root[0] - parameters.root[0]) < 2e-5


@pytest.mark.parametrize("step", [0.0, 1 / 4096, 1.5, float("nan")])
def test_steps_out_of_range_are_refused(step: float) -> None:
    with pytest.raises(ValueError, match="basis"):
        QuantisationSteps(basis=step)


@pytest.fixture
def chain() -> TreeStructure:
    return hmm(shape=(3,), dtype=np.uint8, alphabet=[4, 5, 4], states=2, basis_size=3)


@pytest.mark.parametrize(
    ("field", "entry", "owner"),
    [
        ("root", 1, "node 0: the root's prior"),
        ("transition", 6, "node 2: transition row 1"),
        ("weight", 7, "node 1: weight row 0"),
        ("basis", 13, "basis 1: row 0"),
    ],
)
def test_bad_rows_are_named(chain: TreeStructure, field: str, entry: int, owner: str) -> None:
    good = random_parameters(chain, np.random.default_rng(1))
    for value, complaint in ((np.nan, "nan, not a probability"), (-0.5, "-0.5"), (2.0, "sums to")):
        values = getattr(good, field).copy()
        values[entry] = value
        with pytest.raises(InvalidModel, match=f"{owner}.*{complaint}"):
            replace(good, **{field: values}).validate(chain)
    levels = quantise(chain, good)
    raised = getattr(levels, field).copy()
    raised[entry] = 4096
    with pytest.raises(InvalidModel, match=f"{owner}: squares sum to"):
        replace(levels, **{field: raised}).validate(chain)


def test_rows_of_zeros_and_wrong_sizes_are_refused(chain: TreeStructure) -> None:
    levels = quantise(chain, random_parameters(chain, np.random.default_rng(1)))
    with pytest.raises(InvalidModel, match="node 0: the root's prior: squares sum to 0"):
        replace(levels, root=np.zeros_like(levels.root)).validate(chain)
    with pytest.raises(InvalidModel, match=r"weight has shape \(17,\)"):
        replace(levels, weight=levels.weight[:-1]).validate(chain)


def test_views_share_memory_with_the_flat_arrays(chain: TreeStructure) -> None:
    sizes = chain.sizes.values()
    numbered = Levels(*(np.arange(size, dtype=np.uint16) for size in sizes))
    assert numbered.transition_of(chain, 2).tolist() == [[4, 5], [6, 7]]
    assert numbered.weight_of(chain, 1).tolist() == [[6, 7, 8], [9, 10, 11]]
    assert numbered.basis_of(chain, 1)[0].tolist() == [12, 13, 14, 15, 16]
    numbered.weight_of(chain, 1)[0, 0] = 99
    assert numbered.weight[6] == 99
    assert numbered.copy().weight is not numbered.weight
    free = hmm(shape=(2,), dtype=np.uint8, alphabet=3, states=2, emission="free")
    table = Levels(*(np.arange(size, dtype=np.uint16) for size in free.sizes.values()))
    assert table.free_of(free, 1).tolist() == [[6, 7, 8], [9, 10, 11]]


def test_normalise_turns_empty_rows_uniform() -> None:
    structure, parameters = one_row([1.0, 3.0])
    assert normalise(structure, parameters).root.tolist() == [0.25, 0.75]
    empty = replace(parameters, root=np.zeros(2, np.float32))
    assert normalise(structure, empty).root.tolist() == [0.5, 0.5]
