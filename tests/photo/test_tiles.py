"""Tiles cover an image once, and are nearly alike."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from neuralcodec.photo.tiles import Box, Grid

sides = st.integers(1, 60)


@given(sides, sides, st.integers(1, 20))
def test_every_pixel_is_in_one_tile(height: int, width: int, side: int) -> None:
    count = np.zeros((height, width), int)
    grid = Grid(height, width, side)
    boxes = [grid[number] for number in range(len(grid))]
    for box in boxes:
        count[box.slices] += 1
    assert (count == 1).all()
    for sizes in ([b.width for b in boxes], [b.height for b in boxes]):
        assert 1 <= min(sizes) <= max(sizes) <= side
        assert max(sizes) - min(sizes) <= 1


@given(sides, sides, st.integers(1, 20), st.data())
def test_tiles_that_touch_a_box(height: int, width: int, side: int, data: st.DataObject) -> None:
    left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    box = Box(left, top, data.draw(st.integers(1, width - left)), data.draw(st.integers(1, height - top)))
    inside = np.zeros((height, width), bool)
    inside[box.slices] = True
    grid = Grid(height, width, side)
    touching = [number for number in range(len(grid)) if inside[grid[number].slices].any()]
    assert grid.touching(box) == touching
