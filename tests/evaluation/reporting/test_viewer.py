"""Pictures: exact, cropped to a budget, and from files of the run alone."""

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evaluation.reporting.sample_run import drawn
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from neuralcodec.errors import UnsupportedInput
from neuralcodec.evaluation.reporting import Reconstruction, write_comparison
from neuralcodec.evaluation.reporting.pictures import LEAST_SIDE, Crop, crop_for, data_uri, displayed
from neuralcodec.evaluation.reporting.run import read_run
from neuralcodec.evaluation.reporting.viewer import Decoder, pictures_of, target_rates
from neuralcodec.evaluation.results import Result


def shown(uri: str) -> NDArray[Any]:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB"))


def test_a_data_uri_holds_the_very_samples() -> None:
    image = drawn(1, 20, 30)
    np.testing.assert_array_equal(shown(data_uri(image)), image)
    np.testing.assert_array_equal(shown(data_uri(image[:, :, 0]))[:, :, 1], image[:, :, 0])


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_what_screens_cannot_show_is_left_away(channels: int) -> None:
    image = np.arange(6 * channels, dtype=np.uint8).reshape(2, 3, channels)
    expected = image[:, :, :3] if channels > 2 else image[:, :, 0]
    np.testing.assert_array_equal(displayed(image), expected)
    np.testing.assert_array_equal(displayed(image.astype(np.uint16) << 8), expected)


def test_bits_are_black_and_white() -> None:
    assert displayed(np.array([[True, False]])).tolist() == [[255, 0]]


@pytest.mark.parametrize("array", [np.zeros(4, np.uint8), np.zeros((2, 2, 5), np.uint8), np.zeros((2, 2))])
def test_what_is_no_picture_is_refused(array: NDArray[Any]) -> None:
    with pytest.raises(UnsupportedInput, match="no picture"):
        displayed(array)


def test_an_image_over_its_budget_is_cropped_in_the_middle() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (600, 800, 3), dtype=np.uint8)
    whole = len(data_uri(image))
    assert crop_for(image, 0, whole + 10) == Crop(0, 0, 600, 800)
    crop = crop_for(image, 4, whole)
    assert crop.top == (600 - crop.height) // 2
    assert len(data_uri(crop.of(image))) * (1 + 4 * 0.8) == pytest.approx(whole, rel=0.05)
    assert crop_for(image, 4, 1) == Crop.centred(600, 800, LEAST_SIDE, LEAST_SIDE)


@given(st.lists(st.lists(st.floats(0.01, 30), min_size=1, max_size=5), min_size=1, max_size=5))
def test_target_rates_lie_in_all_ranges_where_ranges_meet(rates: list[list[float]]) -> None:
    targets = target_rates(rates)
    assert targets == sorted(targets)
    low, high = max(map(min, rates)), min(map(max, rates))
    if low < high:
        assert all(low * 0.999 <= target <= high * 1.001 for target in targets)


def test_pictures_are_what_the_files_decode_to(measured: Path) -> None:
    run = read_run(measured)
    found = pictures_of(run, Decoder(trust=False))
    [image] = found["images"]
    assert [len(target["pictures"]) for target in image["targets"]] == [4, 4, 4]
    np.testing.assert_array_equal(shown(image["original"]), drawn(0, 96, 128))
    jpeg = next(one for one in image["targets"][1]["pictures"] if one["codec"] == "JPEG 4:2:0")
    row = next(row for row in run.find("jpeg").rows if row["quality"] == jpeg["quality"])
    assert jpeg["bpp"] == row["bpp"]
    expected = np.asarray(Image.open(measured / row["file"]))
    np.testing.assert_array_equal(shown(jpeg["source"]), expected)
    assert any("learned" in note for note in found["notes"])


def record_with(result: Result, **changes: Any) -> Result:
    rows = [{**row, **changes} if "file" in row else row for row in result.rows]
    return Result(result.name, "", result.meta, rows)


@pytest.mark.parametrize("name", ["../secret.png", "/etc/hostname"])
def test_records_cannot_reach_outside_their_folder(run_folder: Path, name: str) -> None:
    result = Result.read(run_folder / "jpeg.json")
    record_with(result, file=name).write(run_folder / "jpeg.json")
    found = pictures_of(read_run(run_folder), Decoder(trust=False))
    assert f"JPEG 4:2:0 is not shown: {name} lies outside the run's folder" in found["notes"]


@pytest.mark.parametrize(
    "spec", ["cmd:touch {out} ::: touch PROOF {out}", "os:PathLike", "compressai:x:1:a.pth"]
)
def test_commands_and_modules_of_a_record_run_only_if_it_is_trusted(
    run_folder: Path, spec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run_folder)
    result = Result.read(run_folder / "jpeg.json")
    Result(result.name, "", {**result.meta, "codec": spec}, result.rows).write(run_folder / "jpeg.json")
    found = pictures_of(read_run(run_folder), Decoder(trust=False))
    assert any("--trust" in note for note in found["notes"])
    assert not (run_folder / "PROOF").exists()


def test_a_damaged_file_is_a_note(run_folder: Path) -> None:
    for path in (run_folder / "files").glob("jpeg-*"):
        path.write_bytes(b"\xff\xd8 no picture")
    found = pictures_of(read_run(run_folder), Decoder(trust=False))
    assert any(note.startswith("JPEG 4:2:0 is not shown") for note in found["notes"])
    assert found["images"]


def test_a_comparison_is_one_page(tmp_path: Path) -> None:
    original = drawn(3, 40, 50)
    other = np.clip(original.astype(int) + 3, 0, 255).astype(np.uint8)
    metrics = {"psnr-rgb": 38.6, "psnr-y": None}
    path = write_comparison(
        tmp_path / "page.html",
        original,
        [Reconstruction("One </script>", other, 0.31, metrics, 55)],
        title="<i>",
    )
    text = path.read_text()
    assert "<title>&lt;i&gt;</title>" in text
    assert "One </script>" not in text
    assert "plotly.js v" not in text
    [pictures] = re.findall(r'id="pictures">(.*?)</script>', text)
    [picture] = json.loads(pictures)["images"][0]["targets"][0]["pictures"]
    np.testing.assert_array_equal(shown(picture["source"]), other)
    assert (picture["codec"], picture["bpp"], picture["metrics"]) == ("One </script>", 0.31, metrics)


def test_a_comparison_needs_reconstructions_of_the_images_shape(tmp_path: Path) -> None:
    image = drawn(0, 8, 8)
    with pytest.raises(UnsupportedInput, match="at least one"):
        write_comparison(tmp_path / "a.html", image, [])
    with pytest.raises(UnsupportedInput, match=r"has shape \(4, 8, 3\)"):
        write_comparison(tmp_path / "a.html", image, [Reconstruction("half", image[:4], 1.0)])
    assert list(tmp_path.iterdir()) == []
