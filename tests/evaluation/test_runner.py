"""Runs: complete, resumable, the same in one process or several, and never ended by one bad image."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from measured_codecs import Step
from PIL import Image
from small_images import write_images

from neuralcodec.errors import EntropyCodingError, UnsupportedInput
from neuralcodec.evaluation import runner
from neuralcodec.evaluation.execution import DIED
from neuralcodec.evaluation.measure import NOT_EXACT
from neuralcodec.evaluation.results import Result, Row
from neuralcodec.evaluation.runner import evaluate
from neuralcodec.evaluation.specs import find_subject

MEASURED = ("encoding_time", "decoding_time", "peak_memory")


def settled(rows: Sequence[Row]) -> list[Row]:
    """Rows without what differs from run to run."""
    return [{key: value for key, value in row.items() if key not in MEASURED} for row in rows]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return write_images(tmp_path / "bïlder", [1, 2, 3, 4])


def test_a_row_for_every_image_and_rate_point(images: Path, tmp_path: Path) -> None:
    (result,) = evaluate(str(images), ["measured_codecs:Step"], tmp_path / "run")
    assert [(row["image"], row["quality"]) for row in result.rows] == [
        (f"{n}.png", q) for n in range(4) for q in (4, 8, 16)
    ]
    for row in result.rows:
        samples = np.asarray(Image.open(images / row["image"]))
        step = Step()
        payload = step.encode(samples, quality=row["quality"])
        difference = step.decode(payload, find_fields(samples)).astype(int) - samples
        assert row["bytes"] == len(payload)
        assert row["payload_bytes"] == len(payload) - 1
        assert row["bpp"] == 8 * len(payload) / 400
        assert row["bits_per_sample"] == pytest.approx(row["bpp"] / 3)
        assert row["mse"] == pytest.approx((difference**2).mean())
        assert row["psnr-rgb"] == pytest.approx(10 * np.log10(255**2 / (difference**2).mean()))
        assert row["max-error"] == abs(difference).max()
        assert row["encoding_time"] > 0
        assert (row["width"], row["height"], row["channels"], row["dtype"]) == (20, 20, 3, "uint8")
    assert result.meta["refused_metrics"].keys() == {"ms-ssim-rgb", "ms-ssim-rgb-db"}
    assert Result.read(tmp_path / "run" / f"{slug_of('measured_codecs:Step')}.json") == result


def find_fields(samples: Any) -> Any:
    from neuralcodec.codec import Fields
    from neuralcodec.evaluation.subject import kind_of

    return Fields(kind_of(samples))


def slug_of(name: str) -> str:
    from neuralcodec.evaluation.records import slug

    return slug(name)


@pytest.mark.slow
def test_processes_measure_the_same(images: Path, tmp_path: Path) -> None:
    codecs = ["measured_codecs:Step", "measured_codecs:Exact"]
    alone = evaluate(str(images), codecs, tmp_path / "a")
    together = evaluate(str(images), codecs, tmp_path / "b", jobs=2)
    assert [settled(one.rows) for one in alone] == [settled(one.rows) for one in together]


@pytest.mark.slow
def test_a_codec_that_kills_its_process_is_an_error_row(tmp_path: Path) -> None:
    images = write_images(tmp_path / "images", [1, 7, 3, 4])
    dying, step = evaluate(
        str(images), ["measured_codecs:Dying", "measured_codecs:Step"], tmp_path / "run", jobs=2
    )
    assert {(row["image"], row["error"]) for row in dying.errors} == {("1.png", DIED)}
    assert len(dying.rows) == len(step.rows) == 12
    assert not step.errors
    assert len(dying.images) == 3


@pytest.mark.slow
def test_one_job_too_can_be_kept_apart_from_a_codec_that_dies(tmp_path: Path) -> None:
    images = write_images(tmp_path / "images", [1, 7])
    [dying] = evaluate(str(images), ["measured_codecs:Dying"], tmp_path / "run", isolate=True)
    assert {(row["image"], row["error"]) for row in dying.errors} == {("1.png", DIED)}


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.0, 60.0])
def test_processes_end_with_a_parent_that_is_killed(seconds: float) -> None:
    # Idle or at work, they would stay for ever: nobody is left to tell them.
    program = f"""
import os, signal, time
from neuralcodec.evaluation.execution import _pool
if __name__ == "__main__":
    with _pool(2) as pool:
        list(pool.map(time.sleep, [0.2] * 4))
        pool.submit(time.sleep, {seconds})
        print(*pool._processes, flush=True)
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
    )
    pids = [int(word) for word in done.stdout.split()]
    assert len(pids) == 2
    deadline = time.monotonic() + 20
    while any(is_running(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_peak_memory_is_of_a_few_images_and_of_what_the_codec_takes(tmp_path: Path) -> None:
    images = write_images(tmp_path / "images", list(range(25)))
    [step] = evaluate(str(images), ["measured_codecs:Big"], tmp_path / "run")
    peaks = {row["image"]: row["peak_memory"] for row in step.rows}
    measured = {image: peak for image, peak in peaks.items() if peak is not None}
    assert list(measured) == ["14.png", "3.png"]
    assert all(5e6 < peak < 15e6 for peak in measured.values())


def test_an_error_is_a_row_and_not_the_end(tmp_path: Path) -> None:
    images = write_images(tmp_path / "images", [1, 7, 3])
    failing, step = evaluate(
        str(images), ["measured_codecs:Failing", "measured_codecs:Step"], tmp_path / "run"
    )
    assert {(row["image"], row["error"]) for row in failing.errors} == {("1.png", "seven is too much")}
    assert len(failing.images) == 2
    assert not step.errors


def test_an_inexact_lossless_codec_fails_the_run_after_all_is_recorded(tmp_path: Path) -> None:
    images = write_images(tmp_path / "images", [2, 3, 4])
    with pytest.raises(EntropyCodingError, match=r"Toy inexact on 1\.png"):
        evaluate(str(images), ["measured_codecs:Inexact", "measured_codecs:Exact"], tmp_path / "run")
    record = Result.read(tmp_path / "run" / f"{slug_of('measured_codecs:Inexact')}.json")
    assert [row["error"] for row in record.errors] == [NOT_EXACT]
    assert len(record.rows) == 3


def test_lossless_rows_say_that_nothing_was_lost(images: Path, tmp_path: Path) -> None:
    (result,) = evaluate(str(images), ["measured_codecs:Exact"], tmp_path / "run")
    assert result.meta["lossless"]
    assert {(row["mse"], row["max-error"], row["quality"]) for row in result.rows} == {(0, 0, None)}


def test_an_interrupted_run_goes_on(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = evaluate(str(images), ["measured_codecs:Step"], tmp_path / "whole")
    measured = 0

    def interrupt(n: int) -> None:
        nonlocal measured
        measured += n
        if measured >= 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(str(images), ["measured_codecs:Step"], tmp_path / "run", advance=interrupt)
    left: list[int] = []
    again = evaluate(str(images), ["measured_codecs:Step"], tmp_path / "run", begin=left.append)
    assert left == [12 - measured]
    assert [settled(one.rows) for one in again] == [settled(one.rows) for one in whole]
    evaluate(str(images), ["measured_codecs:Step"], tmp_path / "run", begin=left.append)
    assert left[-1] == 0


def test_rate_points_and_codecs_can_be_added(images: Path, tmp_path: Path) -> None:
    evaluate(str(images), ["measured_codecs:Step@8"], tmp_path / "run")
    left: list[int] = []
    step, _ = evaluate(
        str(images),
        ["measured_codecs:Step@4,8", "measured_codecs:Exact"],
        tmp_path / "run",
        begin=left.append,
    )
    assert left == [8]
    assert step.qualities == [4, 8]


def test_data_that_changed_is_not_mixed(images: Path, tmp_path: Path) -> None:
    evaluate(str(images), ["measured_codecs:Step"], tmp_path / "run")
    write_images(images, [9, 2, 3, 4])
    with pytest.raises(UnsupportedInput, match=r"0\.png has other samples"):
        evaluate(str(images), ["measured_codecs:Step", "measured_codecs:Exact"], tmp_path / "run")


def test_mosaics_count_the_images_alone(images: Path, tmp_path: Path) -> None:
    (result,) = evaluate(str(images), ["measured_codecs:Step"], tmp_path / "run", layout="mosaic")
    each = evaluate(str(images), ["measured_codecs:Step"], tmp_path / "each")[0]
    for row in result.rows:
        assert row["images"] == 4
        assert row["bpp"] == 8 * row["bytes"] / (4 * 400)
    assert result.curve("psnr-rgb") == pytest.approx(each.curve("psnr-rgb"))
    assert (result.curve("bpp") < each.curve("bpp")).all()


def test_archives_are_for_codecs_that_have_them(images: Path, tmp_path: Path) -> None:
    (result,) = evaluate(str(images), ["measured_codecs:Step"], tmp_path / "run", layout="archive")
    assert {row["error"] for row in result.rows} == {
        "refused: it has no archives: measure it on a mosaic, or image by image"
    }


def test_an_archive_of_digits(tmp_path: Path) -> None:
    path = tmp_path / "digits.npy"
    np.save(path, np.stack([np.asarray(Image.open("examples/digit.png"))] * 40))
    (result,) = evaluate(str(path), ["pc-mnist-fast"], tmp_path / "run", layout="archive")
    (row,) = result.rows
    assert row["images"] == 40
    assert row["max-error"] == 0
    assert row["bits_per_sample"] == row["bpp"] < 1.5
    assert result.meta["model_bytes"] > 100_000
    assert result.name == "pc-mnist-fast"


def test_files_of_some_images_are_kept(images: Path, tmp_path: Path) -> None:
    (result,) = evaluate(str(images), ["measured_codecs:Step@8"], tmp_path / "run", keep=2)
    kept = [row for row in result.rows if "file" in row]
    assert [row["image"] for row in kept] == ["1.png", "3.png"]
    for row in kept:
        file = (tmp_path / "run" / row["file"]).read_bytes()
        assert len(file) == row["bytes"]
        samples = np.asarray(Image.open(images / row["image"]))
        assert np.array_equal(np.asarray(Image.open(tmp_path / "run" / row["original"])), samples)
        decoded = find_subject("measured_codecs:Step").decode(file, find_fields(samples).signal)
        assert abs(decoded.astype(int) - samples).max() == row["max-error"]


def test_limits_draw_by_seed(images: Path, tmp_path: Path) -> None:
    drawn = [
        {
            row["image"]
            for row in evaluate(str(images), ["measured_codecs:Exact"], tmp_path / str(n), limit=2, seed=n)[
                0
            ].rows
        }
        for n in (0, 1, 2, 3)
    ]
    assert {len(some) for some in drawn} == {2}
    assert len({frozenset(some) for some in drawn}) > 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"codecs": []}, "no codec"),
        ({"codecs": ["measured_codecs:Step", "measured_codecs:Step@4"]}, "given twice"),
        ({"codecs": ["measured_codecs:Step@4,4"]}, "4 is given twice"),
        ({"codecs": ["measured_codecs:Step@65"]}, "outside the range"),
        ({"codecs": ["measured_codecs:Step@4.5"]}, "whole numbers"),
        ({"codecs": ["measured_codecs:Exact@4"]}, "no rate points"),
        ({"layout": "sideways"}, "sideways"),
        ({"metrics": ["psnr"]}, "no metric is called 'psnr'"),
        ({"metrics": ["ms-ssim-rgb"]}, "ms-ssim-rgb cannot be measured here"),
        ({"data": "nowhere/at/all"}, "nowhere"),
    ],
)
def test_requests_that_do_not_fit(
    images: Path, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    request = {"data": str(images), "codecs": ["measured_codecs:Step"], **options}
    data, codecs = request.pop("data"), request.pop("codecs")
    with pytest.raises((UnsupportedInput, OSError), match=message):
        evaluate(data, codecs, tmp_path / "run", **request)


def test_records_are_json_with_all_that_made_them(images: Path, tmp_path: Path) -> None:
    evaluate(str(images), ["measured_codecs:Step"], tmp_path / "run", seed=3)
    meta = json.loads((tmp_path / "run" / f"{slug_of('measured_codecs:Step')}.json").read_text())["meta"]
    assert {"neuralcodec", "python", "numpy"} <= meta["versions"].keys()
    assert meta["seed"] == 3
    assert len(meta["load_average"]) == 3
    assert {
        "command",
        "machine",
        "model_bytes",
        "parameters",
        "metrics",
        "started",
        "finished",
    } <= meta.keys()
    assert len(meta["data"]["sha256"]) == 64


def test_images_of_kept_files_are_evenly_spread() -> None:
    items = [type("Named", (), {"name": str(n)})() for n in range(24)]
    assert sorted(map(int, runner._spread(items, 3))) == [4, 12, 20]
