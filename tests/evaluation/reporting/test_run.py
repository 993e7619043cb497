"""The records of a folder."""

import json
from pathlib import Path

import pytest
from evaluation.reporting.sample_run import LOSSY, drawn, make_run

from neuralcodec.errors import UnsupportedInput
from neuralcodec.evaluation.reporting.facts import text_of, warnings_of
from neuralcodec.evaluation.reporting.run import read_run


def test_every_record_is_read_and_other_json_passed_over(measured: Path) -> None:
    run = read_run(measured)
    assert [result.name for result in run.lossy] == ["AVIF", "JPEG 4:2:0", "JPEG 2000", "Learned <b>", "WebP"]
    assert len(run.lossless) == 3
    assert not run.left_out


def test_figures_are_over_the_images_that_all_codecs_coded(measured: Path) -> None:
    run = read_run(measured)
    assert len(run.images) == 7
    jpeg = run.find("jpeg")
    assert len(jpeg.images) == 8
    assert run.over(jpeg) == run.images
    sentences = warnings_of(run, None, {}, 0)
    assert "All figures are over the 7 of 8 images that every codec coded." in sentences
    assert any(text.startswith("JPEG 2000 failed on 1 image (8 rows)") for text in sentences)


def test_codecs_of_one_name_are_told_apart(tmp_path: Path) -> None:
    [result] = make_run(tmp_path, {"a": drawn(0, 16, 16)}, LOSSY[:1], kept=0)
    twin = type(result)(result.name, "", {**result.meta, "codec": "jpeg:quality=1"}, result.rows)
    twin.write(tmp_path / "twin.json")
    third = type(result)(result.name, "", {**result.meta, "codec": "jpeg"}, result.rows)
    third.write(tmp_path / "zzz.json")
    labels = list(read_run(tmp_path).labels.values())
    assert labels == ["JPEG 4:2:0 (jpeg)", "JPEG 4:2:0 (jpeg:quality=1)", "JPEG 4:2:0 (jpeg) [2]"]


def test_a_record_of_another_schema_is_left_out_with_the_reason(run_folder: Path) -> None:
    value = json.loads((run_folder / "jpeg.json").read_text())
    (run_folder / "new.json").write_text(json.dumps(value | {"schema": "neuralcodec-rd/99"}))
    (run_folder / "cut.json").write_text('{"schema"')
    run = read_run(run_folder)
    assert "neuralcodec-rd/99" in run.left_out["new.json"]
    assert "not JSON" in run.left_out["cut.json"]
    assert any(text.startswith("new.json was left out") for text in warnings_of(run, None, {}, 0))


def test_a_folder_without_records_is_an_error_that_says_what_makes_them(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedInput, match="neuralcodec eval"):
        read_run(tmp_path)
    with pytest.raises(UnsupportedInput, match="is no folder"):
        read_run(tmp_path / "nowhere")


def test_compressai_records_count_as_published(run_folder: Path) -> None:
    record = {"name": "theirs", "results": {"bpp": [0.5, 1], "psnr-rgb": [30, 33]}}
    (run_folder / "theirs.json").write_text(json.dumps(record))
    run = read_run(run_folder)
    assert "theirs" in [result.name for result in run.published]
    assert "theirs" not in [result.name for result in run.measured]
    assert not read_run(run_folder, published=False).published


def test_an_unknown_anchor_is_an_error_that_lists_the_known(measured: Path) -> None:
    with pytest.raises(UnsupportedInput, match="jpeg, jpeg2000"):
        read_run(measured).find("jpg")


def test_busy_machines_and_mixed_versions_are_told(tmp_path: Path) -> None:
    [one, other] = make_run(tmp_path, {"a": drawn(0, 16, 16)}, LOSSY[:2], kept=0)
    busy = {**other.meta, "load_average": [7.0, 1, 1], "versions": {"neuralcodec": "0.0.9"}}
    type(other)(other.name, "", busy, other.rows).write(tmp_path / "webp.json")
    one.write(tmp_path / "jpeg.json")
    text = " ".join(warnings_of(read_run(tmp_path), None, {}, 0))
    assert "busy when WebP was measured (load 7.0 on 2 cores)" in text
    assert "different versions of neuralcodec: 0.0.9, 0.1.0" in text


def test_values_are_put_in_words() -> None:
    assert text_of({"a": [True, 0.25], "memory": 24_000_000_000}) == "a yes, 0.25, memory 24,000,000,000"


def test_published_curves_are_those_of_the_whole_data_set(tmp_path: Path) -> None:
    [result] = make_run(tmp_path, {"a": drawn(0, 16, 16)}, LOSSY[:1], kept=0, data="kodak")
    run = read_run(tmp_path)
    assert "VTM" in [curve.name for curve in run.published]
    assert len(run.featured) == 4
    assert all(curve in run.published for curve in run.featured)
    meta = {**result.meta, "data": {"name": "kodak", "limit": 1}}
    type(result)(result.name, "", meta, result.rows).write(tmp_path / "jpeg.json")
    part = read_run(tmp_path)
    assert list(part.published) == []
    assert any("Only a part of the data" in text for text in warnings_of(part, None, {}, 0))
