"""The page, the figures and the table that a report consists of."""

import base64
import csv
import hashlib
import json
import os
import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from evaluation.reporting.conftest import HOSTILE
from evaluation.reporting.sample_run import LOSSLESS, LOSSY, drawn, make_run
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from neuralcodec.errors import UnsupportedInput
from neuralcodec.evaluation.reporting import report
from neuralcodec.evaluation.reporting.export import cell
from neuralcodec.evaluation.reporting.page import in_script
from neuralcodec.evaluation.results import Result

for library in ("plotly", "matplotlib"):
    pytest.importorskip(library, reason="needs the extra eval")


@pytest.fixture(scope="session")
def page(measured: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report(measured, output=tmp_path_factory.mktemp("report"))


def data_of(page: Path) -> dict[str, Any]:
    [text] = re.findall(r'id="data">(.*?)</script>', page.read_text())
    value: dict[str, Any] = json.loads(text)
    return value


def test_the_report_is_a_page_a_table_and_figures(page: Path) -> None:
    assert sorted(path.name for path in page.parent.iterdir()) == ["figures", "report.html", "results.csv"]
    names = {path.stem for path in (page.parent / "figures").iterdir()}
    assert {"rate-psnr-rgb", "rate-ms-ssim-rgb-db", "rate-encoding_time", "lossless-decoding_time"} <= names
    for name in names:
        with Image.open(page.parent / "figures" / f"{name}.png") as picture:
            assert picture.width > 1000
        assert ET.parse(page.parent / "figures" / f"{name}.svg").getroot().tag.endswith("svg")


def test_the_page_allows_its_own_scripts_and_nothing_else(page: Path) -> None:
    text = page.read_text()
    [policy] = re.findall(r'Content-Security-Policy" content="(.*?)"', text)
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert len(scripts) == 4
    for script in scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert not re.findall(r"<(?:script|img|iframe)[^>]* src=|<link[^>]+href=\"(?!data:)", text)


def test_hostile_names_stay_text(page: Path) -> None:
    text = page.read_text()
    assert "<img src=x" not in text
    assert "\u2028" not in text
    assert HOSTILE in data_of(page)["rows"]["images"]


def test_the_headline_names_the_codec_that_takes_the_fewest_bits(page: Path) -> None:
    data = data_of(page)
    rows = data["bd"]["psnr-rgb"][data["anchor"]]
    best = min((row for row in rows if row["rate"] is not None), key=lambda row: row["rate"])
    name, anchor = data["codecs"][best["codec"]]["name"], data["codecs"][data["anchor"]]["name"]
    assert data["headline"] == f"At equal PSNR, {name} takes {-best['rate']:.0f}% fewer bits than {anchor}"
    assert anchor == "JPEG 4:2:0"


def test_the_anchor_can_be_chosen(small_run: Path) -> None:
    data = data_of(report(small_run, anchor="webp"))
    assert data["codecs"][data["anchor"]]["name"] == "WebP"
    with pytest.raises(UnsupportedInput, match="no record is of 'nope'"):
        report(small_run, anchor="nope")


def test_plain_jpeg_is_the_anchor_rather_than_a_variant(tmp_path: Path) -> None:
    [result] = make_run(tmp_path, {"a": drawn(0, 16, 16)}, LOSSY[:1], kept=0)
    (tmp_path / "jpeg.json").rename(tmp_path / "zzz.json")
    variant = type(result)("Variant", "", {**result.meta, "codec": "jpeg:optimize=yes"}, result.rows)
    variant.write(tmp_path / "aaa.json")
    data = data_of(report(tmp_path))
    assert data["codecs"][data["anchor"]]["name"] == result.name


def test_a_lossless_run_has_a_report(tmp_path: Path) -> None:
    make_run(tmp_path, {str(n): drawn(n, 24, 32) for n in range(3)}, LOSSLESS)
    data = data_of(report(tmp_path))
    assert data["headline"].startswith(f"{data['lossless'][0]['codec']} makes the smallest files, ")
    assert data["bd"] == {}
    assert data["metrics"] == []


def test_runs_of_one_point_one_image_or_nothing_but_failures_have_a_report(tmp_path: Path) -> None:
    [result, *_] = make_run(tmp_path, {"only": drawn(0, 24, 32)}, LOSSY[:2])
    Result("point", "", {"codec": "point"}, result.rows[:1]).write(tmp_path / "point.json")
    failed = [{"image": "only", "sha256": result.rows[0]["sha256"], "quality": 1.0, "error": "no"}]
    Result("failed", "", {"codec": "failed"}, failed).write(tmp_path / "failed.json")
    sentences = " ".join(data_of(report(tmp_path))["warnings"])
    assert "point has one rate point only" in sentences
    assert "failed coded no image at all its rate points" in sentences


def test_the_same_run_gives_the_same_files(small_run: Path) -> None:
    def contents() -> dict[str, bytes]:
        page = report(small_run)
        return {path.name: path.read_bytes() for path in (page, *(page.parent / "figures").iterdir())}

    assert contents() == contents()


def test_the_table_has_every_row(page: Path, measured: Path) -> None:
    with open(page.parent / "results.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    results = [Result.read(measured / f"{codec.spec}.json") for codec in (*LOSSY, *LOSSLESS)]
    assert len(rows) == sum(len(result.rows) for result in results)
    mine = [row for row in rows if row["codec"] == "WebP"]
    webp = next(result for result in results if result.name == "WebP")
    assert [float(row["psnr-rgb"]) for row in mine] == [row["psnr-rgb"] for row in webp.rows]
    assert [row["image"] for row in mine] == [row["image"] for row in webp.rows]
    assert {row["error"] for row in rows if row["codec"] == "JPEG 2000"} == {
        "",
        "ValueError: it refuses <images> & such",
    }


@given(st.text())
def test_no_text_ends_a_script_or_is_changed_by_it(text: str) -> None:
    written = in_script({"name": text})
    assert json.loads(written)["name"] == text
    assert "<" not in written
    written.encode()


@given(st.text(st.characters(codec=None, categories=["Cs", "L"])))
def test_names_that_are_no_unicode_can_be_written(text: str) -> None:
    in_script([text]).encode()


def test_cells_are_no_formulas() -> None:
    assert [cell(text) for text in ("=1", "+1", "-1", "@a", "a=1")] == ["'=1", "'+1", "'-1", "'@a", "a=1"]
    assert cell(-1.5) == -1.5


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_an_error(small_run: Path) -> None:
    small_run.chmod(0o500)
    try:
        with pytest.raises(OSError, match="Permission"):
            report(small_run)
    finally:
        small_run.chmod(0o700)


@pytest.mark.parametrize("library", ["plotly", "matplotlib"])
def test_a_missing_library_is_named(small_run: Path, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(UnsupportedInput, match=rf"{library}: pip install 'neuralcodec\[eval\]'"):
        report(small_run)
