"""Metrics against independent code, published definitions and recorded figures of pytorch-msssim."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

from neuralcodec.errors import UnsupportedInput
from neuralcodec.evaluation.metrics import Reference, decibels, refuses
from neuralcodec.evaluation.results import QUALITY_METRICS

# (height, width, channels): SSIM and MS-SSIM of `pair`, by pytorch-msssim 1.0.0 in double precision, range 255
PYTORCH_MSSSIM = {
    (161, 176, 3): (0.955328603, 0.989723024),
    (193, 165, 1): (0.957744143, 0.991809546),
    (256, 224, 3): (0.955710169, 0.989542447),
}


def pair(height: int, width: int, channels: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """An image with waves, edges and flat parts, and a coarse reconstruction of it, by integer arithmetic alone."""
    y, x, c = np.ogrid[:height, :width, :channels]
    waves = (x * x // 7 + y * (3 + c) + (x * y) // 11) % 97
    original = np.where((x // 23 + y // 31) % 3 == 0, 40 + 60 * c, waves + 80 * ((x + y) // 50 % 2) + 30)
    noise = (x * 7919 + y * 104729 + c * 1299709) % 13 - 6
    return original.astype(np.uint8), np.clip(original // 8 * 8 + 4 + noise, 0, 255).astype(np.uint8)


def single_scale(x: NDArray[Any], y: NDArray[Any], peak: float) -> tuple[float, float]:
    """SSIM and its contrast factor of two planes, by the formulas of the paper in double precision."""
    taps = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
    taps /= taps.sum()

    def mean(plane: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(correlate1d(correlate1d(plane, taps, 0), taps, 1)[5:-5, 5:-5])

    x, y = x.astype(np.float64), y.astype(np.float64)
    mx, my = mean(x), mean(y)
    sxx, syy, sxy = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    contrast = (2 * sxy + c2) / (sxx + syy + c2)
    return float((contrast * (2 * mx * my + c1) / (mx**2 + my**2 + c1)).mean()), float(contrast.mean())


@pytest.mark.parametrize("size", PYTORCH_MSSSIM)
def test_ssim_and_ms_ssim_of_pytorch_msssim(size: tuple[int, int, int]) -> None:
    original, reconstruction = pair(*size)
    found = Reference(original).compare(reconstruction, ["ssim-rgb", "ms-ssim-rgb"])
    assert found["ssim-rgb"] == pytest.approx(PYTORCH_MSSSIM[size][0], abs=1e-6)
    assert found["ms-ssim-rgb"] == pytest.approx(PYTORCH_MSSSIM[size][1], abs=1e-6)


@pytest.mark.parametrize("size", [(161, 176, 3), (170, 333, 1), (300, 203, 3)])
def test_against_the_package_itself(size: tuple[int, int, int]) -> None:
    package, torch = pytest.importorskip("pytorch_msssim"), pytest.importorskip("torch")
    images = pair(*size)
    x, y = (torch.from_numpy(np.moveaxis(image, 2, 0)[None].astype(np.float64)) for image in images)
    found = Reference(images[0]).compare(images[1], ["ssim-rgb", "ms-ssim-rgb"])
    assert found["ssim-rgb"] == pytest.approx(package.ssim(x, y, data_range=255).item(), abs=1e-5)
    assert found["ms-ssim-rgb"] == pytest.approx(package.ms_ssim(x, y, data_range=255).item(), abs=1e-5)


@settings(max_examples=60)
@given(
    st.sampled_from([np.uint8, np.uint16, np.bool_]),
    st.tuples(st.integers(11, 60), st.integers(11, 60)),
    st.sampled_from([0, 1, 2, 3, 4, 5]),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.01, 0.3, 1.0]),
)
def test_against_the_formulas(
    dtype: Any, size: tuple[int, int], channels: int, seed: int, noise: float
) -> None:
    rng = np.random.default_rng(seed)
    peak = 1 if dtype is np.bool_ else np.iinfo(dtype).max
    base = rng.integers(0, peak, endpoint=True) * (rng.random() < 0.5)
    shape = (*size, channels) if channels else size
    original = np.clip(base + rng.normal(0, noise * peak, shape), 0, peak).astype(dtype)
    reconstruction = np.clip(original + rng.normal(0, noise * peak, shape), 0, peak).astype(dtype)
    found = Reference(original).compare(reconstruction, ["psnr-rgb", "ssim-rgb"])
    x, y = original.astype(np.int64), reconstruction.astype(np.int64)
    assert found["max-error"] == np.abs(x - y).max()
    colours = {0: 1, 1: 1, 2: 1, 3: 3, 4: 3, 5: 5}[channels]
    x, y = x.reshape(*size, -1)[:, :, :colours], y.reshape(*size, -1)[:, :, :colours]
    mse = ((x - y) ** 2).sum() / x.size
    assert found["mse"] == mse
    if mse == 0:
        assert found["psnr-rgb"] is None
    else:
        assert found["psnr-rgb"] == pytest.approx(10 * math.log10(peak**2 / mse), rel=1e-12)
    ssim = np.mean([single_scale(x[:, :, c], y[:, :, c], peak)[0] for c in range(colours)])
    assert found["ssim-rgb"] == pytest.approx(ssim, abs=1e-6)


@given(hnp.arrays(np.uint8, (3, 5, 4)), hnp.arrays(np.uint8, (3, 5, 4)))
@example(np.full((1, 1, 3), 0, np.uint8), np.array([[[1, 1, 255]]], np.uint8))
def test_luma_is_that_of_bt_601_without_alpha(x: NDArray[np.uint8], y: NDArray[np.uint8]) -> None:
    luma = [image[:, :, :3].astype(np.int64) @ [299, 587, 114] for image in (x, y)]
    mse = ((luma[0] - luma[1]) ** 2).mean() / 1e6
    found = Reference(x).compare(y, ["psnr-y"])["psnr-y"]
    assert found == (pytest.approx(10 * math.log10(255**2 / mse), rel=1e-12) if mse else None)


@given(hnp.arrays(np.uint16, (7, 6)), hnp.arrays(np.uint16, (7, 6)))
def test_gray_has_one_psnr(x: NDArray[np.uint16], y: NDArray[np.uint16]) -> None:
    found = Reference(x).compare(y, ["psnr-rgb", "psnr-y"])
    assert found["psnr-rgb"] == found["psnr-y"]


def test_equal_images() -> None:
    image, _ = pair(165, 170, 3)
    found = Reference(image).compare(image.copy(), QUALITY_METRICS)
    expected = {"mse": 0, "max-error": 0, "psnr-rgb": None, "psnr-y": None}
    assert found == expected | {"ms-ssim-rgb": 1, "ms-ssim-rgb-db": None, "ssim-rgb": 1}


def test_greatest_differences_do_not_overflow() -> None:
    for dtype, peak in ((np.uint8, 255), (np.uint16, 65535), (np.bool_, 1)):
        black, white = np.zeros((300, 500, 3), dtype), np.full((300, 500, 3), peak, dtype)
        for x, y in ((black, white), (white, black)):
            found = Reference(x).compare(y, ["psnr-rgb", "psnr-y"])
            assert found == {"mse": peak**2, "max-error": peak, "psnr-rgb": 0, "psnr-y": 0}


def test_one_reference_serves_many_reconstructions_and_metrics() -> None:
    original, reconstruction = pair(180, 190, 3)
    shared = Reference(original)
    for metrics in (["ssim-rgb"], ["ms-ssim-rgb", "ssim-rgb"], ["ms-ssim-rgb-db"]):
        for image in (reconstruction, np.ascontiguousarray(original[::-1]), reconstruction):
            assert shared.compare(image, metrics) == Reference(original).compare(image, metrics)
    both = shared.compare(reconstruction, ["ssim-rgb", "ms-ssim-rgb"])["ssim-rgb"]
    assert both == shared.compare(reconstruction, ["ssim-rgb"])["ssim-rgb"]


def test_ms_ssim_of_unlike_images_is_no_negative_power() -> None:
    original, _ = pair(176, 176, 1)
    found = Reference(original).compare(255 - original, ["ms-ssim-rgb", "ssim-rgb"])
    assert found["ms-ssim-rgb"] == 0
    assert found["ssim-rgb"] is not None
    assert found["ssim-rgb"] < 0


@pytest.mark.parametrize(
    ("metric", "shape", "words"),
    [
        ("ms-ssim-rgb", (160, 500, 3), "more than 160 pixels, not 500x160: take psnr-rgb or ssim-rgb"),
        ("ms-ssim-rgb-db", (10, 500), "take psnr-rgb"),
        ("ssim-rgb", (300, 10), "more than 10 pixels, not 10x300: take psnr-rgb"),
        ("psnr-y", (20, 20, 5), "not 5 channels"),
        ("psnr-rgb", (20,), "(20)"),
        ("psnr-rgb", (20, 0, 3), "(20, 0, 3)"),
    ],
)
def test_what_a_metric_refuses(metric: str, shape: tuple[int, ...], words: str) -> None:
    reason = refuses(metric, shape, np.uint8)
    assert reason is not None
    assert reason.startswith(metric)
    assert words in reason
    image = np.zeros(shape, np.uint8)
    with pytest.raises(UnsupportedInput):
        Reference(image).compare(image, [metric])


def test_the_smallest_images_that_are_not_refused() -> None:
    for metric, side in (("ms-ssim-rgb", 161), ("ssim-rgb", 11), ("psnr-rgb", 1), ("psnr-y", 1)):
        assert refuses(metric, (side, side), np.uint8) is None
        image = np.zeros((side, side), np.uint8)
        assert Reference(image).compare(image, [metric])[metric] in (None, 1)


def test_errors_name_what_is_wrong() -> None:
    image = np.zeros((4, 4), np.uint8)
    with pytest.raises(UnsupportedInput, match="float64"):
        Reference(image.astype(np.float64))
    with pytest.raises(UnsupportedInput, match=r"uint8 of shape \(4, 4\), its reconstruction uint16"):
        Reference(image).compare(image.astype(np.uint16))
    with pytest.raises(UnsupportedInput, match=r"\(4, 3\)"):
        Reference(image).compare(image[:, 1:])
    with pytest.raises(UnsupportedInput, match="no metric is called 'lpips'; the metrics are psnr-rgb"):
        refuses("lpips", (4, 4), np.uint8)


def test_decibels_come_with_what_they_are_of() -> None:
    original, reconstruction = pair(170, 170, 1)
    found = Reference(original).compare(reconstruction, ["ms-ssim-rgb-db"])
    assert list(found) == ["mse", "max-error", "ms-ssim-rgb-db", "ms-ssim-rgb"]
    assert found["ms-ssim-rgb"] is not None
    assert found["ms-ssim-rgb-db"] == -10 * math.log10(1 - found["ms-ssim-rgb"])


def test_decibels() -> None:
    assert decibels(0.9) == pytest.approx(10)
    assert decibels(1.0) is None
