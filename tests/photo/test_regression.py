"""Local least squares predict what is linear, read nothing that comes later, and hold for any samples."""

import os
from unittest import mock

import numpy as np
import pytest
from edge_circuits import kernel_paths
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from photo.tiny_photos import images, waves

from neuralcodec.native.photo import regressions
from neuralcodec.photo.context import NEAR, OWN, SLOPE, padded


def gains_and_residuals(plane: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return 128 over the activity of each sample, and its residual, as docs/format.md, section 11.4 has them."""
    height, width = plane.shape
    around = padded(plane).astype(np.int64)
    values = np.stack([around[3 + y : 3 + y + height, 3 + x : 3 + x + width] for y, x in OWN])
    west, north, northwest = (values[OWN.index(place)] for place in ((0, -1), (-1, 0), (-1, -1)))
    predicted = np.sort([west, north, west + north - northwest], axis=0)[1]
    activity = 4 + np.abs(values[list(NEAR)] - predicted).sum(0)
    return 1024 / activity, plane - predicted


def test_what_is_linear_is_predicted() -> None:
    y, x = np.mgrid[:64, :96]
    plane = np.rint(128 + 60 * np.sin(x / 3 + y / 2) + 50 * np.cos(x / 5 - y / 3)).astype(np.uint8)
    gain, residual = gains_and_residuals(plane)
    found = regressions(plane[:, :, None], [0])[0]
    inner = np.s_[16:, 16:-16]
    before = np.abs(residual)[inner].mean()
    after = np.abs(residual - found[:, :, 0] / gain)[inner].mean()
    assert after < before / 8
    spread = found[:, :, 1][inner]
    assert spread.mean() < 128 * np.log2((residual * gain / 128)[inner].var()) - 3 * 128


def test_planes_are_predicted_from_those_before() -> None:
    rng = np.random.default_rng(0)
    first = rng.integers(0, 256, (40, 80))
    image = np.stack([first, np.roll(first, -1, 1) // 2 + 60], 2).astype(np.uint8)
    spread = regressions(image, [0, 1])[:, 16:, 16:-16, 1]
    assert spread[1].mean() < spread[0].mean() - 3 * 128


@pytest.mark.parametrize("channels", [[0], [1, 0], [1, 0, 2]])
def test_nothing_that_comes_later_is_read(channels: list[int]) -> None:
    image, rng = waves(33, 70, 3), np.random.default_rng(0)
    found = regressions(image, channels)[-1]
    y, x = np.mgrid[:33, :70]
    for t in (40, 93, 120):
        later = SLOPE * y + x > t
        changed = image.copy()
        changed[later, channels[-1]] = rng.integers(0, 256, int(later.sum()))
        now = x + SLOPE * y <= t + 1  # neighbours of the next diagonal come before it, too
        assert np.array_equal(regressions(changed, channels)[-1][now], found[now])


@given(images(), st.data())
def test_any_samples_give_numbers_in_range(image: NDArray[np.uint8], data: st.DataObject) -> None:
    volume = image.reshape(*image.shape[:2], -1).astype(np.uint8)[:, :, :3]
    wide = np.tile(volume, (1, data.draw(st.integers(1, 8)), 1))
    found = {}
    for path in kernel_paths():
        with mock.patch.dict(os.environ, NEURALCODEC_SIMD=path):
            found[path] = regressions(wide, range(wide.shape[2]))
    one = next(iter(found.values()))
    assert one.shape == (wide.shape[2], *wide.shape[:2], 2)
    assert np.abs(one[..., 0]).max() <= 2048
    assert np.abs(one[..., 1]).max() <= 1024
    assert all(np.array_equal(other, one) for other in found.values())
