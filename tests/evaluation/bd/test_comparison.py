"""Comparisons of results: images paired, intervals by the bootstrap, and what stands against them."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from neuralcodec.errors import UnsupportedInput
from neuralcodec.evaluation.bd import bd_psnr, bd_rate, bd_table, compare_results
from neuralcodec.evaluation.bd.bootstrap import LEAST_IMAGES, Sample, bootstrap
from neuralcodec.evaluation.results import Result

POINTS = 5


def images(n: int, *, seed: int = 0, saving: float = 0.8) -> NDArray[np.float64]:
    """(2 codecs, points, n images, rate and PSNR) of a made-up codec and one that needs about `saving` of its rate."""
    rng = np.random.default_rng(seed)
    complexity = rng.normal(0, 0.3, n)
    steps = np.arange(POINTS)[:, None]
    out = np.empty((2, POINTS, n, 2))
    for codec in (0, 1):
        log_rate = -1.5 + 0.5 * steps + complexity + codec * np.log(saving) + rng.normal(0, 0.1, n)
        out[codec, :, :, 0] = np.exp(log_rate)
        out[codec, :, :, 1] = 28 + 2.5 * steps - 6 * complexity + rng.normal(0, 0.3, n)
    return out


def result(name: str, figures: NDArray[np.float64], *, first: int = 0, **meta: Any) -> Result:
    rows = [
        {
            **{"image": f"{image}.png", "sha256": f"{first + image:064x}", "quality": point},
            **{"bpp": float(rate), "psnr-rgb": float(psnr), "mse": 255**2 * 10 ** (-psnr / 10)},
            "ms-ssim-rgb": 1 - 10 ** (-psnr / 25),
        }
        for point, row in enumerate(figures)
        for image, (rate, psnr) in enumerate(row)
    ]
    return Result(name, "", meta, rows)


@pytest.fixture
def pair() -> tuple[Result, Result]:
    anchor, test = images(24)
    return result("old", anchor), result("new", test)


def test_deltas_are_those_of_the_mean_curves(pair: tuple[Result, Result]) -> None:
    found = compare_results(*pair)
    curves = [one.curve(key) for one in pair for key in ("bpp", "psnr-rgb")]
    assert found.rate.value == bd_rate(*curves)
    assert found.quality.value == bd_psnr(*curves)
    assert (found.anchor, found.test, found.images) == ("old", "new", 24)
    for delta in (found.rate, found.quality):
        assert delta.interval is not None
        assert delta.interval[0] < delta.value < delta.interval[1]


@pytest.mark.parametrize("method", ["pchip", "akima", "cubic"])
@pytest.mark.parametrize("metric", ["psnr-rgb", "ms-ssim-rgb", "ms-ssim-rgb-db", "psnr-rgb-of-mean-mse"])
def test_every_metric_and_method_has_an_interval(
    pair: tuple[Result, Result], metric: str, method: str
) -> None:
    found = compare_results(*pair, metric=metric, method=method, resamples=200)
    assert found.rate.interval is not None
    low, high = found.rate.interval
    assert -40 < low < found.rate.value < high < 0


def test_a_codec_that_needs_a_tenth_less_of_every_image_is_sure() -> None:
    figures = images(24)[0]
    less = figures * [0.9, 1]
    found = compare_results(result("old", figures), result("new", less))
    assert found.rate.interval is not None
    assert (found.rate.value, *found.rate.interval) == pytest.approx((-10, -10, -10), abs=1e-9)


def test_the_seed_and_the_number_of_resamples_decide(pair: tuple[Result, Result]) -> None:
    assert compare_results(*pair) == compare_results(*pair)
    assert compare_results(*pair, seed=1) != compare_results(*pair)
    assert compare_results(*pair, resamples=500) != compare_results(*pair)


def test_more_confidence_is_wider(pair: tuple[Result, Result]) -> None:
    widths = []
    for confidence in (50, 80, 95, 99):
        interval = compare_results(*pair, confidence=confidence).rate.interval
        assert interval is not None
        widths.append(interval[1] - interval[0])
    assert widths == sorted(set(widths))


def test_an_interval_has_about_the_width_of_the_normal_one() -> None:
    """On many images, all bootstraps tend to the jackknife's normal interval."""
    anchor, test = images(2000)
    sides = result("old", anchor), result("new", test)
    interval = compare_results(*sides).rate.interval
    points = np.arange(POINTS)
    samples = [Sample.of(one, "psnr-rgb", one.images, points) for one in sides]
    left_out = [sample.without_each() for sample in samples]
    values = [bd_rate(*(curve[row] for pair in left_out for curve in pair)) for row in range(0, 2000, 10)]
    error = math.sqrt(2000**2 * np.var(values) / 2000)
    assert interval is not None
    assert interval[1] - interval[0] == pytest.approx(2 * 1.96 * error, rel=0.15)


def test_only_common_images_count() -> None:
    anchor, test = images(30)
    old = result("old", anchor[:, :25])
    new = result("new", test[:, 5:], first=5)
    failed = {"image": "7.png", "sha256": f"{7:064x}", "quality": 2, "error": "it failed"}
    new = Result("new", "", {}, [row for row in new.rows if row["sha256"] != f"{7:064x}"] + [failed])
    found = compare_results(old, new)
    both = [5, 6, *range(8, 25)]
    assert found.images == len(both) == 19
    assert found.warnings[0] == "over the 19 images that both have, of the anchor's 25 and the test's 24"
    means = [table[:, both].mean(axis=1) for table in (anchor, test)]
    assert found.rate.value == pytest.approx(bd_rate(*means[0].T, *means[1].T), rel=1e-12)


def test_no_common_image_has_no_value(pair: tuple[Result, Result]) -> None:
    found = compare_results(pair[0], result("other", images(24)[1], first=100))
    assert found.images == 0
    assert found.rate.reason == found.quality.reason == "the two were not measured on the same images"


def test_few_images_have_no_interval() -> None:
    for n, has in ((LEAST_IMAGES - 1, False), (LEAST_IMAGES, True)):
        anchor, test = images(n)
        found = compare_results(result("old", anchor), result("new", test))
        assert (found.rate.interval is not None) == has
        assert (f"no interval: {LEAST_IMAGES} images are needed, both have {n}" in found.warnings) != has


def test_a_lossless_point_is_left_out_of_curve_and_resamples(pair: tuple[Result, Result]) -> None:
    rows = [dict(row) for row in pair[1].rows]
    next(row for row in rows if row["quality"] == POINTS - 1)["psnr-rgb"] = None  # infinite for one image
    found = compare_results(pair[0], Result("new", "", {}, rows))
    assert "the test: without a finite rate and quality, left out: 1 point" in found.warnings
    assert found.rate.interval is not None
    short = Result("new", "", {}, [row for row in pair[1].rows if row["quality"] < POINTS - 1])
    assert found.rate.interval == compare_results(pair[0], short).rate.interval


def test_resamples_that_are_not_monotone_are_compared_like_curves() -> None:
    figures = images(12)
    figures[1, 2, :, 1] = figures[1, 1, :, 1] + np.linspace(-0.5, 0.6, 12)  # a mean rise of 0.05 dB
    found = compare_results(result("old", figures[0]), result("new", figures[1]), resamples=300)
    assert found.rate.interval is not None
    assert found.rate.interval[0] < found.rate.value < found.rate.interval[1]


def test_resamples_without_a_delta_are_told() -> None:
    figures = images(12)
    # The ranges of quality overlap by a little on average, and not at all in many resamples.
    shift = figures[0, -1, :, 1].mean() - figures[1, 0, :, 1].mean() - 0.02
    figures[1, :, :, 1] += shift
    found = compare_results(result("old", figures[0]), result("new", figures[1]))
    assert math.isfinite(found.rate.value)
    assert found.rate.interval is None
    assert "no interval: too many resamples of the images give curves without a delta" in found.warnings


def test_blocks_of_resamples_change_nothing(
    pair: tuple[Result, Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = compare_results(*pair)
    monkeypatch.setattr("neuralcodec.evaluation.bd.bootstrap._AT_ONCE", 24 * 7)
    parts = compare_results(*pair)
    assert parts.rate.interval == pytest.approx(whole.rate.interval, rel=1e-12)


def test_both_deltas_come_of_the_same_resamples(pair: tuple[Result, Result]) -> None:
    samples = [Sample.of(one, "psnr-rgb", one.images, np.arange(POINTS)) for one in pair]
    choices: dict[str, Any] = {"method": "pchip", "confidence": 90, "resamples": 100, "seed": 3}
    found = bootstrap(*samples, **choices)
    assert found == bootstrap(*samples, **choices)
    assert list(found) == ["rate", "quality"]


def test_a_table_has_a_row_for_each_other_result(pair: tuple[Result, Result]) -> None:
    third = Result("published", "", {"published": "a paper"}, (), {"bpp": [0.2, 0.5], "psnr-rgb": [27, 33]})
    table = bd_table([pair[1], pair[0], third], "old", resamples=100)
    assert [(row.anchor, row.test) for row in table] == [("old", "new"), ("old", "published")]
    assert table[0] == compare_results(*pair, resamples=100)
    assert table[1].rate.interval is None
    with pytest.raises(UnsupportedInput, match="no result is called 'newer'; the results are old, new"):
        bd_table(pair, "newer")
    with pytest.raises(UnsupportedInput, match="more than one result is called 'old'"):
        bd_table([pair[0], pair[0]], "old")


def test_a_metric_that_was_not_measured_has_a_reason(pair: tuple[Result, Result]) -> None:
    found = compare_results(*pair, metric="ssim-rgb")
    assert found.rate.reason == "old has no ssim-rgb"
    assert found.warnings == []


def test_errors_name_what_is_wrong(pair: tuple[Result, Result]) -> None:
    with pytest.raises(UnsupportedInput, match="no metric is called 'bpp'; the metrics are psnr-rgb"):
        compare_results(*pair, metric="bpp")
    with pytest.raises(UnsupportedInput, match="between 0 and 100, not 100"):
        compare_results(*pair, confidence=100)
    with pytest.raises(UnsupportedInput, match="spline"):
        compare_results(*pair, method="spline")
