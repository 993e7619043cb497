"""Residuals of 16-bit samples give them back, are short where there is something to predict, and are checked."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from neuralcodec.errors import CorruptFile
from neuralcodec.photo.fallback import encode_differences
from neuralcodec.photo.residuals import decode_residuals, encode_residuals

SHAPES = st.tuples(st.integers(1, 12), st.integers(1, 12), st.integers(1, 4))


@given(SHAPES.flatmap(lambda shape: hnp.arrays(np.uint16, shape)))
def test_samples_return(tile: NDArray[np.uint16]) -> None:
    assert np.array_equal(decode_residuals(encode_residuals(tile), tile.shape), tile)


@given(SHAPES, st.sampled_from([3, 200, 2**15]), st.integers(0, 2**32 - 1))
def test_noise_on_a_slope_returns(shape: tuple[int, int, int], size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    slope = np.indices(shape[:2]).sum(0)[:, :, None] * 3000
    tile = (slope + rng.integers(-size, size, shape)).astype(np.uint16)
    assert np.array_equal(decode_residuals(encode_residuals(tile), shape), tile)


def photo(height: int, width: int) -> NDArray[np.uint16]:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width]
    base = 30000 + 12000 * np.sin(x / 9) + 9000 * np.cos(y / 13 + x / 31)
    colours = (
        base[:, :, None] + rng.normal(0, 300, (height, width, 1)) + rng.normal(0, 60, (height, width, 3))
    )
    return colours.astype(np.uint16)


def test_photographs_are_shorter_than_by_differences() -> None:
    tile = photo(96, 128)
    assert len(encode_residuals(tile)) < 0.98 * len(encode_differences(tile))


DATA = encode_residuals(photo(5, 7)[:, :, :1])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "a way needs"),
        (b"\1" + DATA[1:], "is no way"),
        (b"\0\x11" + DATA[2:], "too many low bits"),
        (DATA[:4], "low bits needs"),
        (b"\0\1" + bytes(4) + b"\xff", "behind the low bits"),
    ],
)
def test_what_is_damaged_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(CorruptFile, match=words):
        decode_residuals(data, (5, 7, 1))


def test_residuals_above_16_bits_are_refused() -> None:
    tile = np.full((1, 1, 1), 40000, np.uint16)
    data = encode_residuals(tile)
    assert data[1] > 0
    with pytest.raises(CorruptFile, match="too large"):
        decode_residuals(b"\0\x10" + bytes(2) + data[2 + (data[1] + 7) // 8 :], (1, 1, 1))


@given(st.binary(max_size=60))
def test_any_bytes_are_refused_or_decoded(data: bytes) -> None:
    try:
        found = decode_residuals(data, (4, 5, 3))
    except CorruptFile:
        return
    assert found.shape == (4, 5, 3)
