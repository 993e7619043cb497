"""Recipes: their checks and their plans."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuralcodec.circuits.recipe import Recipe
from neuralcodec.errors import UnsupportedInput


@given(st.integers(1, 300), st.integers(1, 60), st.integers(1, 64))
def test_stages_grow_to_the_latents_and_use_every_epoch(latents: int, epochs: int, start: int) -> None:
    stages = Recipe(latents=latents, epochs=epochs, start_latents=start).stages()
    assert stages[-1][0] == latents
    assert sum(e for _, e in stages) == epochs
    assert all(e >= 1 for _, e in stages)
    assert all(a < b <= 2 * a for (a, _), (b, _) in pairwise(stages))


def test_fewer_epochs_than_stages_leave_the_first_ones_out() -> None:
    assert Recipe(latents=64, epochs=2, start_latents=8).stages() == [(32, 1), (64, 1)]


def test_the_rate_falls_from_first_to_last() -> None:
    recipe = Recipe(first_rate=0.4, last_rate=0.1)
    assert [recipe.rate(p) for p in (0.0, 0.5, 1.0)] == pytest.approx([0.4, 0.2, 0.1])


@pytest.mark.parametrize(
    "wrong",
    [
        {"latents": 0},
        {"epochs": 0},
        {"structure": "ring"},
        {"last_rate": 0.9},
        {"pseudocount": 0.0},
        {"basis": 5000},
    ],
)
def test_impossible_settings_are_named(wrong: dict[str, object]) -> None:
    with pytest.raises(UnsupportedInput, match=f"{next(iter(wrong))} cannot be"):
        Recipe(**wrong)  # type: ignore[arg-type]


def test_growth_starts_from_twice_the_budget_and_a_stage_prunes_after_its_first_quarter() -> None:
    recipe = Recipe(latents=256, transitions=4096)
    assert recipe.kept_before_growth(128, 256) == 2 * 4096 / 4
    assert [recipe.kept_after(epoch, 9) for epoch in range(1, 5)] == [
        float("inf"),
        4096.0,
        *[float("inf")] * 2,
    ]
    assert recipe.kept_after(1, 2) == 4096.0
    whole = Recipe(transitions=None)
    assert whole.kept_before_growth(64, 128) == whole.kept_after(1, 4) == float("inf")


@pytest.mark.parametrize("field", ["transitions", "epoch_signals"])
def test_budgets_must_be_positive(field: str) -> None:
    with pytest.raises(UnsupportedInput, match=field):
        Recipe(**{field: 0})
