"""Blocks hold every parameter once, and no more than the budget."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuralcodec.entropy.relative import Blocks, build_blocks
from neuralcodec.entropy.relative.blocks import parameter_order
from neuralcodec.errors import EntropyCodingError


@given(st.lists(st.floats(0, 30), max_size=60), st.floats(1, 20), st.integers(0, 2**64 - 1))
def test_greedy_blocks(kl: list[float], budget: float, seed: int) -> None:
    blocks = build_blocks(kl, budget=budget, seed=seed)
    assert sorted(blocks.members.tolist()) == list(range(len(kl)))
    held = [sum(kl[i] for i in part) for part in np.split(blocks.members, blocks.starts[1:-1]) if len(part)]
    assert len(held) == len(blocks)
    for total, size in zip(held, blocks.sizes.tolist(), strict=True):
        assert total <= budget or size == 1
    first = [kl[blocks.members[start]] for start in blocks.starts[1:-1]]
    assert all(total + after > budget for total, after in zip(held, first, strict=False))  # greedy
    again = Blocks.from_sizes(blocks.sizes, seed=seed)
    assert np.array_equal(again.members, blocks.members)
    assert np.array_equal(again.numbers, np.arange(len(blocks)))


def test_the_order_is_a_fixed_permutation() -> None:
    """Part of the format: a model keeps the seed alone."""
    assert parameter_order(12, 2024).tolist() == [10, 3, 5, 0, 7, 9, 8, 4, 11, 1, 6, 2]
    assert sorted(parameter_order(1000, 9).tolist()) == list(range(1000))
    assert parameter_order(1000, 9).tolist() != parameter_order(1000, 10).tolist()


@pytest.mark.parametrize(
    ("kl", "budget", "message"),
    [
        ([1.0, -0.5], 16, "from 0 up"),
        ([np.nan], 16, "finite"),
        ([np.inf], 16, "finite"),
        ([[1.0]], 16, "row"),
        ([1.0], 0, "budget"),
        ([1.0], np.nan, "budget"),
    ],
)
def test_bad_divergences_are_refused(kl: list[float], budget: float, message: str) -> None:
    with pytest.raises(EntropyCodingError, match=message):
        build_blocks(kl, budget=budget, seed=0)


@pytest.mark.parametrize("sizes", [[0], [2, -1], [1 << 29], [1 << 28, 1], [0.5]])
def test_bad_sizes_are_refused(sizes: list[int]) -> None:
    with pytest.raises(EntropyCodingError):
        Blocks.from_sizes(sizes, seed=0)


@pytest.mark.parametrize(
    ("members", "starts", "numbers", "message"),
    [
        ([0, 1], [0, 1], [0], "starts"),
        ([0, 1], [1, 2], [0], "starts"),
        ([0, 1], [0, 2, 2], [0, 1], "empty"),
        ([0, 1], [0, 3, 2], [0, 1], "empty"),
        ([0, -1], [0, 2], [0], "negative"),
        ([0, 1], [0, 2], [1 << 32], "32 bits"),
    ],
)
def test_blocks_that_do_not_fit_are_refused(
    members: list[int], starts: list[int], numbers: list[int], message: str
) -> None:
    with pytest.raises(EntropyCodingError, match=message):
        Blocks(np.array(members), np.array(starts), np.array(numbers))


def test_positions_outside_are_refused() -> None:
    blocks = Blocks.from_sizes([1, 2], seed=0)
    for position in (-1, 2):
        with pytest.raises(EntropyCodingError, match="positions"):
            blocks.take([position])
