"""Signals as patches, and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import LAYOUTS, SHAPES, tiny_signals

from neuralcodec.container.signal import SignalType
from neuralcodec.recombiner.cutting import Cutting
from neuralcodec.recombiner.layout import Layout
from neuralcodec.recombiner.synthesis import join

U8 = np.dtype(np.uint8)


def restored(cutting: Cutting, x: np.ndarray) -> np.ndarray:
    """Put patches together again, as the decoder does."""
    kind = SignalType(x.shape[1:], x.dtype)
    counts, layout = cutting.counts(kind), cutting.layout
    patches = cutting.patches(x, 0, 255)
    assert patches.dtype == np.float32
    assert patches.shape[1:] == (layout.points, layout.channels)
    whole = np.rint(patches * 255).astype(x.dtype)
    full = join(whole.reshape(-1, *counts, *layout.grid, layout.channels), layout.dimensions)
    return cutting.restored(full, kind)


@pytest.mark.parametrize("name", ["gray", "plain", "patches", "film"])
def test_signals_of_all_shapes_come_back(name: str) -> None:
    cutting = Cutting(LAYOUTS[name], U8)
    for shape in SHAPES[name]:
        x = tiny_signals(name, shape, 2)
        assert cutting.fault(SignalType(shape, U8)) is None
        assert np.array_equal(restored(cutting, x), x)


@given(st.integers(1, 3), st.integers(1, 3), st.data())
def test_signals_of_any_size_come_back(d: int, channels: int, data: st.DataObject) -> None:
    sides = st.lists(st.integers(1, 9), min_size=d, max_size=d).map(tuple)
    grid = data.draw(st.lists(st.integers(1, 4), min_size=d, max_size=d).map(tuple))
    layout = Layout(grid, channels, False, (2,) * d, (2,), 2 * d, (2, 2), (2,), ())
    shape = data.draw(sides) + (() if channels == 1 and data.draw(st.booleans()) else (channels,))
    x = np.random.default_rng(0).integers(0, 256, (2, *shape), np.uint8)
    assert np.array_equal(restored(Cutting(layout, U8), x), x)


def test_padding_goes_on_with_the_last_samples() -> None:
    cutting = Cutting(LAYOUTS["sound"], np.dtype(np.int16))
    x = np.arange(13, dtype=np.int16)[None]
    patches = cutting.patches(x, 0, 1).reshape(-1)
    assert patches.tolist() == [*range(13), *[12] * 11]


def test_gray_becomes_colour_and_gray_again() -> None:
    cutting = Cutting(LAYOUTS["patches"], U8)
    x = tiny_signals("patches", (9, 10))
    patches = cutting.patches(x, 0, 255)
    assert (patches == patches[..., :1]).all()
    assert np.array_equal(restored(cutting, x), x)


@pytest.mark.parametrize(
    ("name", "shape", "dtype", "words"),
    [
        ("gray", (8, 12), "uint16", "uint16"),
        ("gray", (12, 8), "uint8", "12 x 8"),
        ("gray", (8, 12, 3), "uint8", "3"),
        ("patches", (9, 9, 4), "uint8", "4 channels"),
        ("patches", (9, 9, 2), "uint8", "2 channels"),
        ("patches", (9,), "uint8", "1 dimensions"),
        ("patches", (2, 9, 9, 3), "uint8", "4 dimensions"),
        ("patches", (9, 9, 3), "int8", "int8"),
        ("sound", (9, 2), "int16", "2 channels"),
        ("film", (3, 9, 9, 3), "uint8", "3 channels"),
    ],
)
def test_what_does_not_fit_is_told(name: str, shape: tuple[int, ...], dtype: str, words: str) -> None:
    own = np.dtype(np.int16) if name == "sound" else U8
    fault = Cutting(LAYOUTS[name], own).fault(SignalType(shape, np.dtype(dtype)))
    assert fault is not None
    assert fault.startswith("it")
    assert words in fault


def test_axes_of_length_1_do_not_count_in_whole_signals() -> None:
    assert Cutting(LAYOUTS["gray"], U8).fault(SignalType((1, 8, 12, 1), U8)) is None
