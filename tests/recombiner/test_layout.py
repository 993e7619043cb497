"""Layouts: round trips, refusals, and the features of coordinates."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import LAYOUTS

from neuralcodec.errors import InvalidModel
from neuralcodec.recombiner.layout import HIGHEST_FREQUENCY, Layout, fourier_features

names = pytest.mark.parametrize("name", sorted(LAYOUTS))


@names
def test_a_layout_comes_back_from_its_row(name: str) -> None:
    layout = LAYOUTS[name]
    assert Layout.from_row(layout.to_row()) == layout


@names
def test_sizes_add_up(name: str) -> None:
    layout = LAYOUTS[name]
    assert sum(layout.layers) == sum(
        (a + 1) * b for a, b in zip(layout.widths, layout.widths[1:], strict=False)
    )
    assert math.prod(layout.coarse) * math.prod(layout.factors) ** layout.dimensions == layout.points
    assert layout.patch_latents == sum(layout.latents) + math.prod(layout.coarse) * layout.encoding[0]
    assert [layout.unit_latents(level) for level in range(len(layout.levels))][1:] == [
        layout.weight_latents
    ] * (len(layout.levels) - 1)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("grid", ()), ("grid", (8,) * 4), ("grid", (0, 12)), ("grid", (9, 12)), ("grid", (65_536, 12)),
        ("channels", 0), ("channels", 17), ("group", (1,)), ("group", (2, 1)), ("hidden", ()), ("hidden", (0, 5)),
        ("hidden", (5,) * 9), ("hidden", (257, 5)), ("features", 0), ("features", 6), ("features", 260),
        ("latents", (6, 5)), ("latents", (6, 5, 0)), ("latents", (6, 5, 4097)), ("encoding", (4, 3)),
        ("encoding", ()), ("encoding", (0, 3, 5)), ("factors", (2, 3)), ("factors", (2, 0)), ("factors", (2, 10)),
    ],
)  # fmt: skip
def test_impossible_layouts_are_refused(field: str, value: object) -> None:
    with pytest.raises(InvalidModel):
        replace(LAYOUTS["gray"], **{field: value})


def test_too_many_latents_are_refused() -> None:
    with pytest.raises(InvalidModel, match="latents"):
        Layout((256, 256), 1, features=4, encoding=(2,), factors=())


@given(st.lists(st.integers(0, 2**23 - 1), max_size=40) | st.lists(st.integers(0, 9), max_size=60))
def test_any_row_of_integers_is_a_layout_or_refused(row: list[int]) -> None:
    if not row:
        return
    try:
        layout = Layout.from_row(np.array([row], np.uint32))
    except InvalidModel:
        return
    assert Layout.from_row(layout.to_row()) == layout


@given(st.sampled_from(sorted(LAYOUTS)), st.data())
def test_a_damaged_row_is_a_layout_or_refused(name: str, data: st.DataObject) -> None:
    row = LAYOUTS[name].to_row()
    at = data.draw(st.integers(0, row.size - 1))
    row[0, at] = data.draw(st.integers(0, 300))
    row = row[:, : data.draw(st.integers(1, row.size))]
    try:
        layout = Layout.from_row(row)
    except InvalidModel:
        return
    assert Layout.from_row(layout.to_row()) == layout


def test_units_of_patches() -> None:
    layout = replace(LAYOUTS["patches"], group=(2, 3))
    patch, group, signal = layout.units((3, 4))
    assert patch.tolist() == list(range(12))
    assert group.reshape(3, 4).tolist() == [[0, 0, 0, 1], [0, 0, 0, 1], [2, 2, 2, 3]]
    assert signal.tolist() == [0] * 12
    assert layout.unit_counts((3, 4)) == [12, 4, 1]
    assert LAYOUTS["gray"].unit_counts((1, 1)) == [1]


@given(st.lists(st.integers(1, 7), min_size=1, max_size=3), st.data())
def test_counts_are_those_of_the_units(counts: list[int], data: st.DataObject) -> None:
    d = len(counts)
    group = tuple(data.draw(st.lists(st.integers(1, 4), min_size=d, max_size=d)))
    layout = Layout((2,) * d, 1, False, group, (2,), 2 * d, (2, 2), (2,), ())
    units = layout.units(tuple(counts))
    assert layout.unit_counts(tuple(counts)) == [len(np.unique(one)) for one in units]
    assert all(int(one.max()) + 1 == len(np.unique(one)) for one in units)


@pytest.mark.parametrize(("grid", "count"), [((7,), 6), ((4, 6), 16), ((3, 2, 4), 18), ((1, 1), 4)])
def test_features_are_those_of_cell_centres(grid: tuple[int, ...], count: int) -> None:
    found = fourier_features(grid, count)
    assert found.shape == (math.prod(grid), count)
    assert found.dtype == np.float32
    d = len(grid)
    number = count // (2 * d)
    for place, index in enumerate(np.ndindex(*grid)):
        expected = []
        for i, n in zip(index, grid, strict=True):
            x = (2 * i + 1) / n - 1
            frequencies = [
                HIGHEST_FREQUENCY ** (k / (number - 1)) if number > 1 else 1.0 for k in range(number)
            ]
            expected += [math.cos(math.pi * w * x) for w in frequencies]
            expected += [math.sin(math.pi * w * x) for w in frequencies]
        np.testing.assert_allclose(found[place], expected, atol=1e-5)
