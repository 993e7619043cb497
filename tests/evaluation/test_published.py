"""The published curves are whole, sourced, and rise."""

from pathlib import Path

import numpy as np
import pytest

from neuralcodec.evaluation.bd import compare_results
from neuralcodec.evaluation.bd.curves import front
from neuralcodec.evaluation.published import data_sets, published_curves
from neuralcodec.evaluation.results import Result


@pytest.mark.parametrize("data", data_sets())
def test_every_curve_tells_its_source_and_rises(data: str) -> None:
    curves = published_curves(data)
    assert len({curve.name for curve in curves}) == len(curves)
    for curve in curves:
        assert curve.is_published
        assert curve.meta["published"]
        assert curve.meta["bpp_counts"]
        assert curve.description
        assert curve.meta["data"] == {"name": data}
        rate = curve.curve("bpp")
        for metric, low, high in (("psnr-rgb", 20, 50), ("ms-ssim-rgb", 0.8, 1)):
            quality = curve.curve(metric)
            assert quality.shape == rate.shape
            if metric in (curve.published or {}):
                assert front(rate, quality, curve.name).notes == ()
                assert low < quality.min()
                assert quality.max() < high


def test_learned_codecs_are_those_of_rounded_output() -> None:
    curves = {curve.name: curve for curve in published_curves("kodak")}
    first = curves["bmshj2018-hyperprior"].curve("psnr-rgb")[0]
    assert first == 27.57799522082011  # before rounding it was 27.5815
    assert curves["RECOMBINER"].curve("psnr-rgb").tolist() == [
        26.16,
        27.65,
        28.59,
        30.44,
        31.95,
        34.54,
        36.55,
    ]


def test_ms_ssim_in_db_is_of_the_mean() -> None:
    vtm = next(curve for curve in published_curves("kodak") if curve.name == "VTM")
    assert np.array_equal(vtm.curve("ms-ssim-rgb-db"), -10 * np.log10(1 - vtm.curve("ms-ssim-rgb")))


def test_unknown_data_has_no_curves() -> None:
    assert published_curves("my scans") == []
    assert published_curves("../kodak") == []


def test_a_published_curve_survives_writing_and_reading(tmp_path: Path) -> None:
    curve = published_curves("cifar10")[0]
    curve.write(tmp_path / "curve.json")
    assert Result.read(tmp_path / "curve.json") == curve


def test_deltas_of_published_curves_have_no_interval() -> None:
    curves = {curve.name: curve for curve in published_curves("kodak")}
    found = compare_results(curves["VTM"], curves["mbt2018"])
    assert found.rate.value == pytest.approx(11.47, abs=0.01)
    assert (found.images, found.rate.interval) == (None, None)
    assert found.warnings[0] == "no interval: a published curve has no images"
    other = compare_results(curves["COIN++"], published_curves("cifar10")[1])
    assert other.warnings[0] == "the anchor is of kodak, the test of cifar10"
    assert other.rate.reason == "the anchor has 1 usable point, pchip needs 2"
