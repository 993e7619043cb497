"""The verb eval: what users type, and what they are told."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from command_line import invoke, run
from PIL import Image
from small_images import write_images

from neuralcodec.evaluation.results import Result


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return write_images(tmp_path / "images", [1, 2, 3])


def test_a_run_writes_records_and_tells_the_means(images: Path, tmp_path: Path) -> None:
    done = invoke(
        "eval", "--data", images, "--codec", "jpeg@30,90", "-c", "png", "-o", tmp_path / "run", "--no-report"
    )
    assert done.code == 0, done.stderr
    lines = done.text.splitlines()
    assert lines[0].split()[:4] == ["codec", "quality", "bpp", "PSNR"]
    assert [line.split()[:2] for line in lines[1:]] == [["JPEG", "30"], ["JPEG", "90"], ["PNG", "lossless"]]
    record = Result.read(tmp_path / "run" / "jpeg.json")
    assert float(lines[1].split()[2]) == pytest.approx(record.curve("bpp")[0], abs=1e-4)
    assert record.meta["versions"]["Pillow"]


def test_json_for_scripts(images: Path, tmp_path: Path) -> None:
    done = invoke(
        "eval", "-d", images, "-c", "measured_codecs:Step", "-o", tmp_path / "run", "--no-report", "--json"
    )
    value = json.loads(done.stdout)
    assert value["report"] is None
    assert value["results"][0]["codec"] == "measured_codecs:Step"
    assert len(value["results"][0]["bpp"]) == 3
    assert value["errors"] == []


def test_the_list_of_codecs(tmp_path: Path) -> None:
    value = json.loads(invoke("eval", "--list", "--json").stdout)
    assert {"jpeg", "webp", "png", "pc-mnist"} <= value["codecs"].keys()
    assert "psnr-rgb" in value["metrics"]
    assert "jpeg" in invoke("eval", "--list").text


def test_failures_are_told_and_do_not_fail_the_command(tmp_path: Path) -> None:
    images = write_images(tmp_path / "images", [1, 7])
    done = invoke(
        "eval", "-d", images, "-c", "measured_codecs:Failing", "-o", tmp_path / "run", "--no-report"
    )
    assert done.code == 0
    assert "3 measurements failed" in done.stderr
    assert "1.png: seven is too much" in done.stderr


@pytest.mark.slow
def test_codecs_of_one_title_are_told_apart(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("toy_twins.py").write_text("from measured_codecs import Step\n")
    codecs = ("measured_codecs:Step", "toy_twins:Step", "measured_codecs:Raising")
    words = [word for codec in codecs for word in ("-c", codec)]
    done = invoke("eval", "-d", images, *words, "-o", "run", "--no-report")
    assert "of measured_codecs:Raising on 0.png: ZeroDivisionError: boom" in done.stderr
    names = [line.split()[0] for line in done.text.splitlines()[1:]]
    assert names[:6] == ["measured_codecs:Step"] * 3 + ["toy_twins:Step"] * 3


def test_means_that_are_infinite_are_called_so(tmp_path: Path) -> None:
    (tmp_path / "flat").mkdir()
    Image.new("L", (16, 16), 128).save(tmp_path / "flat" / "flat.png")
    done = invoke("eval", "-d", tmp_path / "flat", "-c", "jpeg@50", "-o", tmp_path / "run", "--no-report")
    assert done.text.splitlines()[1].split()[3] == "infinite"


def test_an_unknown_anchor_is_told_before_anything_is_measured(images: Path, tmp_path: Path) -> None:
    for library in ("plotly", "matplotlib"):
        pytest.importorskip(library, reason="needs the extra eval")
    arguments = ("eval", "-d", images, "-c", "jpeg@50", "-o", tmp_path / "run", "--anchor")
    invoke(*arguments, "webp").assert_error("--anchor webp", "there are jpeg, JPEG")
    assert not (tmp_path / "run").exists()
    assert invoke(*arguments, "Jpeg").code == 0
    assert invoke(*arguments[:4], "webp@50", *arguments[5:], "jpeg").code == 0  # measured before


def test_an_inexact_codec_fails_the_command(images: Path, tmp_path: Path) -> None:
    done = invoke(
        "eval", "-d", images, "-c", "measured_codecs:Inexact", "-o", tmp_path / "run", "--no-report"
    )
    done.assert_error("Toy inexact", "0.png", "lossless")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ("--data is missing", "--help")),
        (["--data", "{images}"], ("--codec is missing",)),
        (["--data", "{images}", "--codec", "jpeg"], ("--output is missing",)),
        (["--data", "{images}", "--codec", "jpg", "-o", "{tmp}/run"], ("jpg", "jpeg")),
        (["--data", "{images}", "--codec", "jpeg@500", "-o", "{tmp}/run"], ("500", "range")),
        (["--data", "{tmp}/nothing", "--codec", "jpeg", "-o", "{tmp}/run"], ("nothing",)),
        (["--data", "{tmp}/empty", "--codec", "jpeg", "-o", "{tmp}/run"], ("empty", "no images")),
        (["--data", "{images}", "--codec", "jpeg", "-o", "{images}/0.png"], ("0.png is a file",)),
        (["--data", "{images}", "--codec", "jpeg", "-o", "{tmp}/run", "--metric", "ms-ssim-rgb"], ("160",)),
        (
            ["--data", "{images}", "--codec", "jpeg", "-o", "{tmp}/run", "--metric", "vmaf"],
            ("vmaf", "psnr-rgb"),
        ),
        (["--data", "{images}", "--codec", "jpeg", "-o", "{tmp}/run", "--layout", "x"], ("x", "mosaic")),
        (["--data", "{images}", "--codec", "jpeg", "-o", "{tmp}/run", "--jobs", "0"], ("--jobs",)),
    ],
)
def test_one_clear_line_for_what_does_not_fit(
    images: Path, tmp_path: Path, arguments: list[str], words: tuple[str, ...]
) -> None:
    (tmp_path / "empty").mkdir()
    given = [argument.format(images=images, tmp=tmp_path) for argument in arguments]
    invoke("eval", *given, "--no-report").assert_error(*words)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(images: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o500)
    run("eval", "-d", images, "-c", "jpeg", "-o", tmp_path / "run", "--no-report").assert_error(
        "run", "denied"
    )


def test_a_folder_on_a_read_only_system(images: Path) -> None:
    invoke("eval", "-d", images, "-c", "jpeg", "-o", "/proc/run", "--no-report").assert_error("/proc/run")


def test_a_full_disk_is_told_and_what_was_measured_is_used_again(images: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    arguments = ("eval", "-d", images, "-c", "jpeg", "-o", folder, "--no-report", "--keep", "0")
    limit = 6000  # bytes that a file may have: enough for some rows

    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    run(*arguments, preexec_fn=fill).assert_error("jpeg")
    assert not (folder / "jpeg.json").exists()
    assert not list(folder.glob(".*"))
    assert run(*arguments).code == 0
    assert len(Result.read(folder / "jpeg.json").rows) == 24


def test_odd_images_are_coded_or_refused_by_name(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "images", [1])
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (9, 7, 4), dtype=np.uint8)).save(folder / "alpha.png")
    Image.fromarray(rng.integers(0, 65536, (9, 7), dtype=np.uint16)).save(folder / "deep.png")
    (folder / "notes.txt").write_text("no image")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    done = invoke(
        "eval", "-d", folder, "-c", "jpeg@50", "-c", "png", "-o", tmp_path / "run", "--no-report", "--json"
    )
    assert done.code == 0
    errors = {row["image"]: row["error"] for row in json.loads(done.stdout)["errors"]}
    assert errors.keys() == {"alpha.png", "deep.png"}
    assert "alpha" in errors["alpha.png"]
    assert "16" in errors["deep.png"]
    png = Result.read(tmp_path / "run" / "png.json")
    assert not png.errors
    assert len(png.rows) == 3
    assert any("broken.png" in line for line in png.meta["skipped"])
    assert "left out of the data: 2 files, the first notes.txt" in done.stderr


def test_a_report_that_cannot_be_made_is_told_first(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    invoke("eval", "-d", images, "-c", "jpeg", "-o", tmp_path / "run").assert_error(
        "plotly", "neuralcodec[eval]"
    )
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_an_interrupt_leaves_a_run_that_goes_on(images: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "neuralcodec", "eval", "-d", str(images), "-c", "measured_codecs:Slow"]
    command += ["-o", str(folder), "--no-report", "--jobs", "2"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent / "evaluation")}
    with subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        deadline = time.monotonic() + 60
        while not any(b'"image"' in part.read_bytes() for part in folder.glob("*.part.jsonl")):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)
        assert process.stderr is not None
        assert process.stderr.read() == b"neuralcodec: interrupted\n"
        assert process.wait(timeout=20) == 130
    assert not list(folder.glob("*.json"))
    assert not list(folder.glob(".*"))
    again = run("eval", *command[4:], env=environment)
    assert again.code == 0, again.stderr
    (path,) = folder.glob("*.json")
    assert len(Result.read(path).rows) == 9


@pytest.mark.slow
def test_an_interrupt_ends_the_commands_under_way(images: Path, tmp_path: Path) -> None:
    ends = tmp_path / "ended"
    script = tmp_path / "sleep.py"
    script.write_text(
        f"import os, time\nopen({str(tmp_path / 'pid')!r}, 'a').write(f'{{os.getpid()}} ')\ntime.sleep(60)\n"
    )
    spec = f"cmd:{sys.executable} {script} {{in}} {{out}} ::: {sys.executable} {script} {{in}} {{out}}"
    command = [sys.executable, "-m", "neuralcodec", "eval", "-d", str(images), "-c", spec, "-o", str(ends)]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [*command, "--no-report", "--jobs", "2"], env=environment, start_new_session=True
    ) as run:
        deadline = time.monotonic() + 60
        while not (tmp_path / "pid").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(0.5)
        os.killpg(run.pid, signal.SIGINT)
        assert run.wait(timeout=20) == 130
    time.sleep(0.5)
    for pid in (tmp_path / "pid").read_text().split():
        assert not Path(f"/proc/{pid}").exists()
    assert not list(tmp_path.glob("neuralcodec-*"))
