"""Records of measurements: means, missing figures, the file."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from neuralcodec.errors import UnsupportedInput
from neuralcodec.evaluation.results import SCHEMA, Result, Row


def row(image: str, quality: float, **figures: float | None) -> Row:
    return {"image": image, "sha256": image * 2, "quality": quality, "bpp": quality / 10, **figures}


def two_by_two() -> Result:
    rows = [
        row("a", 1, mse=4.0, **{"psnr-rgb": 30.0}),
        row("a", 2, mse=1.0, **{"psnr-rgb": 40.0}),
        row("b", 1, mse=2.0, **{"psnr-rgb": 32.0}),
        row("b", 2, mse=0.0, **{"psnr-rgb": None}),
    ]
    return Result("Toy", "A toy.", {"codec": "toy", "peak": 255}, rows)


def test_means_are_over_the_images() -> None:
    result = two_by_two()
    assert result.qualities == [1, 2]
    assert result.curve("bpp") == pytest.approx([0.1, 0.2])
    psnr = result.curve("psnr-rgb")
    assert psnr[0] == 31.0
    assert math.isnan(psnr[1])  # an image came back equal: its PSNR is infinite, and so is the mean
    assert result.curve("psnr-rgb-of-mean-mse") == pytest.approx(10 * np.log10(255**2 / np.array([3.0, 0.5])))


def test_the_greatest_is_of_those_images_that_have_the_figure() -> None:
    rows = [row("a", 1, peak_memory=None), row("b", 1, peak_memory=3), row("b", 2, peak_memory=None)]
    rows.append(row("a", 2, peak_memory=None))
    greatest = Result("x", rows=rows).curve("peak_memory")
    assert greatest[0] == 3
    assert np.isnan(greatest[1])


def test_an_image_that_failed_once_counts_at_no_rate_point() -> None:
    result = two_by_two()
    failed = {"image": "a", "sha256": "aa", "quality": 2, "error": "no"}
    result = Result("Toy", "", {}, [result.rows[0], failed, *result.rows[2:]])
    assert result.images == ["bb"]
    assert result.errors == [failed]
    assert result.curve("mse") == pytest.approx([2.0, 0.0])


def test_an_image_that_a_metric_refuses_is_left_out_of_its_mean() -> None:
    rows = [row("a", 1, ssim=0.5), row("b", 1)]
    assert Result("Toy", "", {}, rows).curve("ssim") == pytest.approx([0.5])


def test_the_file_is_read_back_and_speaks_compressai(tmp_path: Path) -> None:
    path = tmp_path / "ünï.json"
    two_by_two().write(path)
    value = json.loads(path.read_text(encoding="utf-8"))
    assert value["schema"] == SCHEMA
    assert value["results"]["bpp"] == pytest.approx([0.1, 0.2])
    assert value["results"]["psnr-rgb"] == [31.0, None]
    assert Result.read(path) == two_by_two()


def test_compressai_files_are_published_curves(tmp_path: Path) -> None:
    path = tmp_path / "hyperprior.json"
    path.write_text(json.dumps({"name": "hp", "results": {"bpp": [0.1, 0.2], "psnr-rgb": [27.5, 29.0]}}))
    result = Result.read(path)
    assert result.is_published
    assert result.curve("psnr-rgb").tolist() == [27.5, 29.0]
    assert np.isnan(result.curve("ms-ssim-rgb")).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[]", 'no object "results"'),
        ('{"results": 3}', 'no object "results"'),
        ('{"schema": "neuralcodec-rd/9", "results": {}}', "neuralcodec-rd/9"),
        ('{"results": {"bpp": [1], "psnr-rgb": [1, 2]}}', "one length"),
        ('{"results": {"psnr-rgb": [1]}}', "bpp"),
        ('{"results": {}, "rows": [3]}', "damaged"),
        ('{"results": {}, "rows": [{"image": "a"}]}', "damaged"),
        ('{"results": {}, "rows": [{"image": 1, "sha256": "", "quality": 1, "bpp": 1}]}', "damaged"),
        ('{"results": {}, "rows": [{"image": "a", "sha256": "", "quality": "1", "bpp": 1}]}', "damaged"),
        ('{"results": {}, "rows": [{"image": "a", "sha256": "", "quality": 1, "bpp": "one"}]}', "damaged"),
        (
            '{"results": {}, "rows": [{"image": "a", "sha256": "", "quality": 1, "bpp": 1, "mse": []}]}',
            "damaged",
        ),
        ('{"results": {}, "rows": [{"image": "a", "sha256": "", "quality": 1, "error": 3}]}', "damaged"),
    ],
)
def test_other_files_are_refused_by_name(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(UnsupportedInput, match=message) as error:
        Result.read(path)
    assert str(path) in str(error.value)
