"""Mosaics: tiles come back in order."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from neuralcodec.evaluation.layouts import mosaic, tiles


@given(n=st.integers(1, 30), height=st.integers(1, 4), width=st.integers(1, 4), colour=st.booleans())
def test_tiles_undo_a_mosaic(n: int, height: int, width: int, colour: bool) -> None:
    shape = (n, height, width, 3) if colour else (n, height, width)
    images = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    picture = mosaic(images)
    assert picture.ndim == images.ndim - 1
    assert np.array_equal(tiles(picture, n, height, width), images)
    down, across = picture.shape[0] // height, picture.shape[1] // width
    assert (down - 1) * across < n <= down * across
