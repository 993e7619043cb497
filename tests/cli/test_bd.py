"""The verb bd: deltas of records, ours and CompressAI's, and records that are none."""

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import invoke

from neuralcodec.evaluation.bd import compare_results
from neuralcodec.evaluation.results import Result

RATES, QUALITIES = (0.25, 0.5, 1.0, 2.0), (28.0, 31.0, 34.0, 37.0)


def record(name: str, factor: float, *, images: int = 9) -> Result:
    """A codec whose images are alike but for a factor of the rate, which the mean curve shares."""
    rows = [
        {
            **{"image": f"{image}.png", "sha256": f"{image:064x}", "quality": point},
            **{"bpp": rate * factor * (1 + image / 100), "psnr-rgb": quality - image / 10},
        }
        for image in range(images)
        for point, (rate, quality) in enumerate(zip(RATES, QUALITIES, strict=True))
    ]
    return Result(name, rows=rows)


@pytest.fixture
def records(place: Path) -> Path:
    """old.json, new.json, and published.json in CompressAI's schema."""
    record("old", 1).write("old.json")
    record("new", 0.5).write("new.json")
    results: dict[str, Any] = {"bpp": RATES, "psnr-rgb": [quality + 1 for quality in QUALITIES]}
    Path("published.json").write_text(json.dumps({"name": "theirs", "description": "", "results": results}))
    return place


def test_two_records_of_ours(records: Path) -> None:
    done = invoke("bd", "old.json", "new.json")
    assert done.code == 0
    assert done.text == (
        "new against old: psnr-rgb, pchip, 9 images\n"
        "  BD-rate  -50.00 %, 95% interval -50.00 to -50.00\n"
        "  BD-PSNR  +3.000 dB, 95% interval +3.000 to +3.000\n"
        "  overlap  100%, psnr-rgb from 27.6 to 36.6\n"
        "  note: the curves share only 50% of their range of rate, 0.26 to 1.04\n"
    )


def test_json_has_what_python_returns(records: Path) -> None:
    words = ["bd", "old.json", "new.json", "--method", "cubic", "--confidence", "90", "--seed", "3", "--json"]
    facts = json.loads(invoke(*words).stdout)
    found = compare_results(record("old", 1), record("new", 0.5), method="cubic", confidence=90, seed=3)
    assert facts["bd_rate_percent"]["value"] == found.rate.value
    assert facts["bd_quality"]["value"] == found.quality.value
    assert facts["bd_rate_percent"]["interval"] == list(found.rate.interval or ())
    assert (facts["anchor"], facts["test"], facts["images"]) == ("old", "new", 9)
    assert (facts["metric"], facts["method"], facts["confidence"]) == ("psnr-rgb", "cubic", 90)


def test_a_record_in_the_schema_of_compressai(records: Path) -> None:
    done = invoke("bd", "old.json", "published.json")
    assert done.code == 0
    assert done.text.startswith("theirs against old: psnr-rgb, pchip\n  BD-rate  ")
    assert "note: no interval: a published curve has no images\n" in done.text


def test_no_value_is_told_with_its_reason(records: Path) -> None:
    assert invoke("bd", "old.json", "new.json", "--metric", "ms-ssim-rgb-db").text == (
        "new against old: ms-ssim-rgb-db, pchip, 0 images\n"
        "  BD-rate               none: old has no ms-ssim-rgb-db\n"
        "  BD of ms-ssim-rgb-db  none: old has no ms-ssim-rgb-db\n"
    )
    facts = json.loads(invoke("bd", "old.json", "new.json", "--metric", "ssim-rgb", "--json").stdout)
    assert facts["bd_rate_percent"]["value"] is None
    assert facts["bd_rate_percent"]["reason"] == "old has no ssim-rgb"


def test_errors_are_one_line(records: Path) -> None:
    invoke("bd", "old.json", "gone.json").assert_error("gone.json", "No such file")
    invoke("bd", "old.json", "new.json", "--metric", "bpp").assert_error("'bpp'", "psnr-rgb, psnr-y")
    invoke("bd", "old.json", "new.json", "--method", "x").assert_error("'x'", "pchip, akima, cubic")
    invoke("bd", "old.json", "new.json", "--confidence", "100").assert_error("--confidence", "99.99")
    Path("other.json").write_text('{"schema": "neuralcodec-rd/9", "results": {}}')
    invoke("bd", "old.json", "other.json").assert_error("other.json", "neuralcodec-rd/9", "measure again")
    Path("none.json").write_text("[]")
    invoke("bd", "none.json", "old.json").assert_error("none.json", "no rate-distortion record")
