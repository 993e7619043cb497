"""Deltas of curves: the reference's goldens, exact cases, and curves that do not fit the definition."""

import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from neuralcodec.errors import UnsupportedInput
from neuralcodec.evaluation.bd import BD, bd_psnr, bd_rate, compare_curves
from neuralcodec.evaluation.bd.curves import front

METHODS = ("pchip", "akima", "cubic")
GOLDEN_CURVES = json.loads(Path(__file__).with_name("golden_curves.json").read_text())["curves"]
# test curve: BD-rate by PCHIP and by cubic polynomial, against JPEG and against VTM
GOLDENS = {
    "WebP": {"JPEG": (-36.18, -36.62), "VTM": (78.75, 78.14)},
    "BPG": {"JPEG": (-58.86, -59.10), "VTM": (21.99, 22.05)},
    "AV1": {"JPEG": (-62.43, -62.72), "VTM": (16.18, 16.22)},
    "hyperprior": {"JPEG": (-54.99, -55.29), "VTM": (30.49, 30.14)},
    "mbt2018": {"JPEG": (-61.00, -61.27), "VTM": (11.02, 10.61)},
    "cheng-anchor": {"JPEG": (-65.41, -65.43), "VTM": (3.68, 3.79)},
}


@st.composite
def curves(draw: Any) -> tuple[list[float], list[float]]:
    """A rising curve: rates in bpp, qualities in dB."""
    rises = draw(st.lists(st.tuples(st.floats(0.05, 1.0), st.floats(0.2, 4.0)), min_size=4, max_size=9))
    logs = np.cumsum([draw(st.floats(-3, 0)), *(rise[0] for rise in rises)])
    qualities = np.cumsum([draw(st.floats(20, 30)), *(rise[1] for rise in rises)])
    return np.exp(logs).tolist(), qualities.tolist()


@pytest.mark.parametrize("anchor", ["JPEG", "VTM"])
@pytest.mark.parametrize("test", GOLDENS)
def test_goldens(anchor: str, test: str) -> None:
    a, t = GOLDEN_CURVES[anchor], GOLDEN_CURVES[test]
    for method, golden in zip(("pchip", "cubic"), GOLDENS[test][anchor], strict=True):
        found = bd_rate(a["bpp"], a["psnr-rgb"], t["bpp"], t["psnr-rgb"], method)
        # half a unit of the last digit that the golden was rounded to
        assert found == pytest.approx(golden, abs=0.0051)


@given(curves(), st.floats(0.2, 5.0), st.sampled_from(METHODS))
def test_a_scaled_rate_is_that_many_percent(
    curve: tuple[list[float], list[float]], factor: float, method: str
) -> None:
    rate, quality = curve
    scaled = [factor * r for r in rate]
    assert bd_rate(rate, quality, scaled, quality, method) == pytest.approx(100 * (factor - 1), abs=1e-6)


@given(curves(), st.floats(-3.0, 3.0), st.sampled_from(METHODS))
def test_a_shifted_quality_is_that_many_db(
    curve: tuple[list[float], list[float]], shift: float, method: str
) -> None:
    rate, quality = curve
    assert bd_psnr(rate, quality, rate, [q + shift for q in quality], method) == pytest.approx(
        shift, abs=1e-6
    )


@given(curves(), curves(), st.sampled_from(METHODS))
def test_swapping_the_curves_inverts_the_ratio(
    one: tuple[list[float], list[float]], two: tuple[list[float], list[float]], method: str
) -> None:
    there, back = compare_curves(*one, *two, method=method), compare_curves(*two, *one, method=method)
    assume(there.reason is None and back.reason is None)
    assert (1 + there.value / 100) * (1 + back.value / 100) == pytest.approx(1, rel=1e-6)
    assert there.overlap == back.overlap
    assert there.common == back.common
    assert bd_psnr(*one, *two, method) == pytest.approx(-bd_psnr(*two, *one, method), abs=1e-9, nan_ok=True)


@given(curves(), curves(), st.sampled_from(METHODS), st.randoms(), st.floats(0.1, 10), st.floats(-5, 5))
def test_units_and_the_order_of_points_do_not_matter(
    one: tuple[list[float], list[float]],
    two: tuple[list[float], list[float]],
    method: str,
    random: Any,
    factor: float,
    shift: float,
) -> None:
    value = compare_curves(*one, *two, method=method)
    assume(value.reason is None and value.value < 1e6)
    points = list(zip(*two, strict=True))
    random.shuffle(points)
    other = compare_curves(
        [factor * r for r in one[0]],
        [q + shift for q in one[1]],
        [factor * r for r, _ in points],
        [q + shift for _, q in points],
        method=method,
    )
    assert other.value == pytest.approx(value.value, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_curves_on_a_line_are_exact(method: str) -> None:
    # log2 rate = quality / 6 and quality / 6 + (quality - 30) / 12, from 30 to 42: a mean of 1/2 is a factor sqrt 2
    anchor, test = np.linspace(30, 42, 6), np.linspace(30, 42, 9)
    found = bd_rate(2 ** (anchor / 6), anchor, 2 ** (test / 6 + (test - 30) / 12), test, method)
    assert found == pytest.approx(100 * (math.sqrt(2) - 1), abs=1e-9)


def test_a_cubic_is_exact_for_the_cubic() -> None:
    quality = np.array([28.0, 31, 33, 37, 40])
    t = (quality - 30) / 10
    anchor, test = 0.3 * t**3 - 0.1 * t**2 + t, 0.2 * t**3 + 0.3 * t**2 + 0.8 * t - 0.2

    def primitive(x: float) -> float:
        return -0.1 * x**4 / 4 + 0.4 * x**3 / 3 - 0.2 * x**2 / 2 - 0.2 * x

    mean = (primitive(1.0) - primitive(-0.2)) / 1.2
    found = bd_rate(10**anchor, quality, 10**test, quality, "cubic")
    assert found == pytest.approx(100 * (10**mean - 1), abs=1e-9)


def test_methods_agree_on_smooth_curves() -> None:
    quality = np.linspace(28, 42, 8)
    anchor = 10 ** (quality / 20 - 1.5 + 0.0015 * (quality - 30) ** 2)
    test = 10 ** (quality / 21 - 1.5 + 0.001 * (quality - 30) ** 2)
    found = [bd_rate(anchor, quality, test, quality, method) for method in METHODS]
    assert max(found) - min(found) < 0.05
    assert -25 < found[0] < -15


def test_no_overlap_has_no_value() -> None:
    found = compare_curves([1, 2, 3], [30, 31, 32], [1, 2, 3], [32, 33, 34])
    assert math.isnan(found.value)
    assert found.reason == "no quality is common to both: the anchor has 30 to 32, the test 32 to 34"
    found = compare_curves([1, 2], [30, 31], [4, 5], [30, 32], of="quality")
    assert found.reason == "no rate is common to both: the anchor has 1 to 2, the test 4 to 5"
    assert math.isnan(bd_rate([1, 2, 3], [30, 31, 32], [1, 2, 3], [32, 33, 34]))


def test_overlap_is_of_the_range_of_both_together() -> None:
    found = compare_curves([1, 2], [30, 38], [1, 2], [32, 40])
    assert (found.overlap, found.common) == (0.6, (32, 38))
    assert found.warnings == ("the curves share only 60% of their range of quality, 32 to 38",)
    assert compare_curves([1, 2], [30, 38], [1, 2], [31, 39]).warnings == ()


@pytest.mark.parametrize(("method", "needed"), [("pchip", 2), ("akima", 2), ("cubic", 4)])
def test_too_few_points(method: str, needed: int) -> None:
    rate, quality = [1.0, 2, 3, 4], [30.0, 32, 33, 34]
    few = needed - 1
    found = compare_curves(rate, quality, rate[:few], quality[:few], method=method)
    assert found.reason == f"the test has {few} usable point{'s' * (few != 1)}, {method} needs {needed}"
    found = compare_curves(rate[:few], quality[:few], rate, quality, method=method)
    assert found.reason is not None
    assert found.reason.startswith("the anchor has")
    assert compare_curves(rate, quality, rate[:needed], quality[:needed], method=method).reason is None


def test_points_without_a_number_are_left_out_and_told() -> None:
    rate, quality = [0.5, 1, 2, 4], [30, 33, 36, 39]
    plain = compare_curves(rate, quality, rate, quality)
    assert plain == BD(0.0, 1.0, (30, 39))
    odd = [*rate, 8, math.nan, 0, 9, -1], [*quality, math.inf, 40, 20, None, 21]
    found = compare_curves(*odd, rate, quality)
    assert (found.value, found.overlap) == (0, 1)
    assert found.warnings == ("the anchor: without a finite rate and quality, left out: 5 points",)


def test_points_that_others_beat_are_left_out_and_told() -> None:
    rate, quality = [0.5, 1, 2, 4], [30, 33, 36, 39]
    found = compare_curves([*rate, 1.5, 3], [*quality, 32, 36], rate, quality)
    assert found.value == 0
    assert found.warnings == ("the anchor: no better than a lower rate, left out: 1.5, 3 bpp",)
    found = compare_curves(rate, quality, [*rate, 2], [*quality, 35])
    assert found.value == 0
    assert found.warnings == ("the test: rates that come twice, the better quality stays: 2 bpp",)


@given(
    st.lists(st.tuples(st.floats(), st.floats()), max_size=8),
    st.lists(st.tuples(st.floats(), st.floats()), max_size=8),
    st.sampled_from(METHODS),
    st.sampled_from(["rate", "quality"]),
)
def test_any_numbers_give_a_value_or_a_reason(
    one: list[tuple[float, float]], two: list[tuple[float, float]], method: str, of: str
) -> None:
    a, t = (tuple(map(list, zip(*points, strict=True))) or ([], []) for points in (one, two))
    found = compare_curves(*a, *t, method=method, of=of)
    assert math.isfinite(found.value) == (found.reason is None)
    assert 0 <= found.overlap <= 1


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=12),
)
def test_what_is_left_rises(points: list[tuple[int, int]]) -> None:
    rate, quality = np.array(points, np.float64).T
    kept = front(rate, quality, "x").points
    chosen = [points[i] for i in kept]
    assert all(a[0] < b[0] and a[1] < b[1] for a, b in pairwise(chosen))
    assert all(any(r <= rate and q >= quality for r, q in chosen) for rate, quality in points)


def test_errors_name_what_is_wrong() -> None:
    with pytest.raises(
        UnsupportedInput, match="no interpolation is called 'spline'; there are pchip, akima, cubic"
    ):
        bd_rate([1, 2], [3, 4], [1, 2], [3, 4], "spline")
    with pytest.raises(
        UnsupportedInput, match=r"the test has rates of shape \(2,\) and qualities of shape \(3,\)"
    ):
        bd_rate([1, 2], [3, 4], [1, 2], [3, 4, 5])
    with pytest.raises(UnsupportedInput, match="the anchor: rates and qualities are lists of numbers"):
        bd_psnr(["low", "high"], [3, 4], [1, 2], [3, 4])
