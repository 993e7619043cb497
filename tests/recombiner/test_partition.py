"""Blocks of rows, and how rows are spread over units."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuralcodec.recombiner.partition import Partition

sizes = st.lists(st.integers(1, 6), min_size=1, max_size=8).map(np.array)
seeds = st.integers(0, 2**56 - 1)


@given(sizes, seeds, st.integers(0, 2), st.integers(1, 9))
def test_each_column_holds_every_unit_once(sizes: np.ndarray, seed: int, level: int, units: int) -> None:
    partition = Partition(sizes, seed, level)
    rows = partition.rows(units)
    assert rows.shape == (units, partition.latents)
    assert np.array_equal(
        np.sort(rows, axis=0), np.repeat(np.arange(units)[:, None], partition.latents, axis=1)
    )
    assert np.array_equal(rows, Partition(sizes.copy(), seed, level).rows(units))


def test_columns_differ_and_levels_differ() -> None:
    rows = [Partition(np.full(10, 4), 5, level).rows(16) for level in range(3)]
    assert len({column.tobytes() for column in rows[0].T.copy()}) > 30
    assert not np.array_equal(rows[0], rows[1])
    assert not np.array_equal(rows[1], rows[2])


def test_one_unit_stays_in_order() -> None:
    assert not Partition(np.array([3, 2]), 1, 0).rows(1).any()


@given(sizes, seeds)
def test_blocks_share_out_the_latents(sizes: np.ndarray, seed: int) -> None:
    partition = Partition(sizes, seed, 0)
    assert np.array_equal(np.bincount(partition.block_of(), minlength=len(sizes)), sizes)
    assert (partition.blocks, partition.latents) == (len(sizes), sizes.sum())


@given(sizes, seeds, st.integers(1, 5), st.integers(1, 3))
def test_numbers_of_blocks_are_apart_in_a_signal_and_equal_between_signals(
    sizes: np.ndarray, seed: int, units: int, signals: int
) -> None:
    numbers = []
    for level in range(3):
        partition = Partition(sizes, seed, level)
        rows = np.repeat(np.arange(signals * units), partition.blocks)
        blocks = np.tile(np.arange(partition.blocks), signals * units)
        found = partition.of_rows(rows, blocks, units)
        assert np.array_equal(np.sort(found.members), np.arange(signals * units * partition.latents))
        assert np.array_equal(found.members // partition.latents, np.repeat(rows, sizes[blocks]))
        per_signal = found.numbers.reshape(signals, -1)
        assert (per_signal == per_signal[0]).all()
        numbers.append(per_signal[0])
    together = np.concatenate(numbers)
    assert len(np.unique(together)) == len(together)


def test_the_order_of_a_unit_does_not_depend_on_how_many_there_are() -> None:
    """Blocks hold the same places of a row, whatever the number of rows."""
    partition = Partition(np.array([2, 3, 1]), 9, 0)
    first = partition.of_rows(np.zeros(3, np.int64), np.arange(3), 1)
    many = partition.of_rows(np.zeros(3, np.int64), np.arange(3), 50)
    assert np.array_equal(first.members, many.members)
    assert np.array_equal(first.numbers, many.numbers)


@pytest.mark.parametrize("units", [2, 3])
def test_numbers_of_some_rows(units: int) -> None:
    partition = Partition(np.array([2, 1]), 7, 0)
    found = partition.of_rows(np.array([units + 1]), np.array([1]), units)
    assert found.numbers.tolist() == [1 * 2 + 1]
    assert (found.members // 3 == units + 1).all()
