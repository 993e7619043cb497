"""Archives from the command line: appending, streams, repair and salvage, jobs, signals of several shapes."""

import gzip
import io
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Outcome, digits, heed_signals, invoke, make_model, run
from PIL import Image

from neuralcodec.container.archive import ArchiveReader
from neuralcodec.container.files import BufferSource
from neuralcodec.signals.idx import idx_header


def ok(outcome: Outcome) -> Outcome:
    assert (outcome.code, outcome.stderr) == (0, "")
    return outcome


@pytest.fixture
def many(installed: str) -> Path:
    """An archive of 3000 signals in three chunks, many.ncz, and its samples, many.npy."""
    np.save("many.npy", digits(3000))
    ok(invoke("encode", "many.npy", "-m", installed))
    return Path("many.ncz")


def decoded(path: Path | str) -> "np.ndarray[Any, Any]":
    ok(invoke("decode", path, "-o", "decoded.npy", "--force"))
    return np.load("decoded.npy")


def npy(array: "np.ndarray[Any, Any]") -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def test_append(many: Path, installed: str) -> None:
    before = many.stat().st_size
    np.save("more.npy", digits(100, 5))
    report = json.loads(ok(invoke("encode", "more.npy", "--append", many, "--json")).stdout)
    assert (report["signals"], report["total_signals"], report["model"]) == (100, 3100, "tiny")
    assert report["bytes"] == many.stat().st_size - before
    Image.fromarray(digits(1, 6)[0]).save("one.png")
    ok(invoke("encode", "one.png", "--append", many, "-m", installed, "--verify", "--jobs", 4))
    np.testing.assert_array_equal(decoded(many), np.concatenate([digits(3000), digits(100, 5), digits(1, 6)]))
    assert json.loads(invoke("info", many, "--json").stdout)["names"][3099:] == [None, "one.png"]
    ok(invoke("encode", "-", "--append", many, stdin=npy(digits(3, 7))))
    assert len(decoded(many)) == 3104


def test_append_refuses_what_does_not_fit(many: Path, installed: str, place: Path) -> None:
    before = many.read_bytes()
    np.save("wide.npy", np.zeros((3, 5, 6), np.uint8))
    np.save("long.npy", digits(3).astype(np.int64))
    other = make_model(place / "other.ncm", seed=2)
    for arguments, words in (
        (("wide.npy",), ("wide.npy", "4 x 6 uint8")),
        (("long.npy",), ("long.npy", "int64, but those of the archive are 4 x 6 uint8")),
        (("many.npy", "-m", other), ("many.ncz", "made with the model")),
        (("many.npy", "-o", "x.ncz"), ("--output", "--append")),
        (("many.npy", "--group", 3), ("--group", "--append")),
        (("many.ncz",), ("is an input",)),
        (("gone.npy",), ("gone.npy: No such file",)),
    ):
        invoke("encode", *arguments, "--append", many).assert_error(*words)
        assert many.read_bytes() == before
    invoke("encode", "many.npy", "--append", "gone.ncz").assert_error("gone.ncz", "No such file")
    invoke("encode", "many.npy", "--append", "-").assert_error("only an archive that is a file")
    Path("cut.ncz").write_bytes(before[:-4])
    invoke("encode", "many.npy", "--append", "cut.ncz").assert_error("cut.ncz: footer")
    shutil.rmtree(os.environ["NEURALCODEC_MODELS"])
    invoke("encode", "many.npy", "--append", many).assert_error("many.ncz", "not here", "-m")
    assert sorted(os.listdir()) == [
        *("cut.ncz", "long.npy", "many.ncz", "many.npy", "other.ncm", "wide.npy"),
    ]


def limit_files() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))


def test_a_full_disk_leaves_everything_as_it_was(many: Path) -> None:
    before, files = many.read_bytes(), sorted(os.listdir())
    run("encode", "many.npy", "--append", many, preexec_fn=limit_files).assert_error("File too large")
    run("repair", many, "-o", "x.ncz", preexec_fn=limit_files).assert_error("x.ncz: File too large")
    assert many.read_bytes() == before
    assert sorted(os.listdir()) == files
    if os.path.exists("/dev/full"):
        run("repair", many, "-o", "/dev/full").assert_error("No space left on device")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_an_interrupted_append_leaves_the_old_archive(many: Path, number: signal.Signals, code: int) -> None:
    before = many.read_bytes()
    command = [sys.executable, "-m", "neuralcodec", "encode", "-", "--raw", "--append", str(many)]
    pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, preexec_fn=heed_signals) as process:  # type: ignore[call-overload]
        process.stdin.write(digits(20_000).tobytes())
        process.stdin.flush()
        deadline = time.monotonic() + 30
        while not any(name.endswith(".tmp") and os.path.getsize(name) > len(before) for name in os.listdir()):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(number)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == code
    assert many.read_bytes() == before
    if number == signal.SIGINT:
        assert stderr == b"neuralcodec: interrupted\n"
        assert not [name for name in os.listdir() if name.endswith(".tmp")]
    np.testing.assert_array_equal(decoded(many), digits(3000))


def test_repair_and_salvage_tell_what_is_lost(many: Path) -> None:
    whole = many.read_bytes()
    entries = ArchiveReader(BufferSource(whole)).entries
    middle = entries[1].offset + 99
    many.write_bytes(whole[:middle] + b"inserted" + whole[middle:])
    outcome = invoke("repair", many, "--json")
    assert outcome.code == 1
    assert outcome.stderr == "neuralcodec: many.ncz is damaged: 1976 signals recovered; lost: 1024-2047\n"
    facts = json.loads(outcome.stdout)
    assert facts == {
        "output": "many.repaired.ncz",
        "complete": False,
        "recovered": 1976,
        "lost": [[1024, 2047]],
        "end_known": True,
        "header_whole": True,
        "index_whole": False,
        "repeated_chunks": 0,
    }
    left = np.delete(digits(3000), np.s_[1024:2048], axis=0)
    np.testing.assert_array_equal(decoded("many.repaired.ncz"), left)
    assert invoke("verify", "many.repaired.ncz").code == 0
    outcome = invoke("decode", many, "--salvage", "-o", "left.npy", "--json")
    assert (outcome.code, outcome.stderr.count("\n")) == (1, 1)
    report = json.loads(outcome.stdout)
    assert (report["signals"], report["salvage"]["lost"]) == (1976, [[1024, 2047]])
    np.testing.assert_array_equal(np.load("left.npy"), left)


def test_repair_without_loss(many: Path) -> None:
    whole = many.read_bytes()
    ok(invoke("repair", many, "-o", "same.ncz"))
    assert Path("same.ncz").read_bytes() == whole
    invoke("repair", many, "-o", "same.ncz").assert_error("same.ncz", "--force")
    invoke("repair", many, "-o", many, "--force").assert_error("is an input")
    for damaged in (b"?" + whole[1:], whole[:20] + whole[30:], whole[:-3], whole[7:]):
        many.write_bytes(damaged)
        outcome = invoke("repair", many, "-o", "same.ncz", "--force")
        assert outcome.code == 0
        assert "3000 signals recovered; none lost" in outcome.stderr
        assert Path("same.ncz").read_bytes() == whole
        outcome = invoke("decode", many, "--salvage", "-o", "again.npy", "--force")
        assert outcome.code == 0
        np.testing.assert_array_equal(np.load("again.npy"), digits(3000))
    piped = invoke("repair", "-", stdin=whole[:-3])
    assert (piped.code, piped.stdout) == (0, whole)


def test_what_is_no_archive_is_not_repaired(digit: Path, installed: str) -> None:
    ok(invoke("encode", digit, "-m", installed))
    Path("x.ncz").write_bytes(b"hello")
    invoke("repair", "digit.ncz").assert_error("digit.ncz", "holds one signal")
    invoke("decode", "digit.ncz", "--salvage").assert_error("digit.ncz", "holds one signal", "`decode`")
    invoke("repair", "x.ncz").assert_error("x.ncz: not a neuralcodec file")
    invoke("repair", "gone.ncz").assert_error("gone.ncz: No such file")
    assert not [name for name in os.listdir() if "repaired" in name]


def test_json_of_decode(many: Path, digit: Path, installed: str) -> None:
    report = json.loads(ok(invoke("decode", many, "-o", "x.npy", "--json")).stdout)
    assert report == {"output": "x.npy", "signals": 3000}
    ok(invoke("encode", digit, "-m", installed))
    report = json.loads(ok(invoke("decode", "digit.ncz", "-o", "y.png", "--json")).stdout)
    assert report == {"output": "y.png", "signals": 1}
    invoke("decode", many, "-o", "-", "--json").assert_error("--json")


@pytest.mark.parametrize("kind", ["npy", "idx", "idx.gz", "raw"])
@pytest.mark.parametrize("n", [1, 1024, 2500])
def test_arrays_on_standard_input_are_coded_as_they_come(installed: str, kind: str, n: int) -> None:
    stack = digits(n)
    idx = idx_header(stack.shape, stack.dtype) + stack.tobytes()
    data = {"npy": npy(stack), "idx": idx, "idx.gz": gzip.compress(idx), "raw": stack.tobytes()}[kind]
    raw = ["--raw"] if kind == "raw" else []
    coded = ok(invoke("encode", "-", "-m", installed, *raw, stdin=data)).stdout
    np.save("stack.npy", stack)
    ok(invoke("encode", "stack.npy", "-m", installed))
    assert coded == Path("stack.ncz").read_bytes()
    Path("data").write_bytes(data)
    ok(invoke("encode", "data", "-m", installed, *raw, "-o", "file.ncz"))
    assert coded == Path("file.ncz").read_bytes()


@pytest.mark.parametrize("kind", ["npy", "idx", "idx.gz", "raw"])
def test_streams_that_end_early_or_late(installed: str, kind: str) -> None:
    stack = digits(1500)
    idx = idx_header(stack.shape, stack.dtype) + stack.tobytes()
    data = {"npy": npy(stack), "idx": idx, "idx.gz": gzip.compress(idx), "raw": stack.tobytes()}[kind]
    raw = ["--raw"] if kind == "raw" else []
    for wrong in (data[:-1], data[:-5000], data + b"x", data[:0]):
        outcome = invoke("encode", "-", "-m", installed, *raw, "-o", "x.ncz", stdin=wrong)
        outcome.assert_error("standard input")
        assert not os.listdir()


def test_standard_input_of_other_kinds(installed: str) -> None:
    fortran = np.asfortranarray(digits(5))
    coded = ok(invoke("encode", "-", "-m", installed, stdin=npy(fortran))).stdout
    Path("x.ncz").write_bytes(coded)
    np.testing.assert_array_equal(decoded("x.ncz"), fortran)
    big = digits(5).astype(">u2")
    Path("x.ncz").write_bytes(ok(invoke("encode", "-", "-m", installed, stdin=npy(big))).stdout)
    np.testing.assert_array_equal(decoded("x.ncz"), big)
    colour = np.repeat(digits(3)[..., None], 3, axis=3)
    outcome = invoke("encode", "-", "-m", installed, "--grayscale", "-o", "y.ncz", stdin=npy(colour))
    ok(outcome)
    assert decoded("y.ncz").shape == (3, 4, 6)
    invoke("encode", "-", "-m", installed, "-o", "z.ncz", stdin=npy(digits(3) / 2)).assert_error("float64")


def test_several_raw_files(installed: str) -> None:
    Path("a.bin").write_bytes(digits(5).tobytes())
    Path("b.bin").write_bytes(digits(3, 1).tobytes())
    ok(invoke("encode", "a.bin", "b.bin", "-m", installed, "--raw", "-o", "x.ncz"))
    np.testing.assert_array_equal(decoded("x.ncz"), np.concatenate([digits(5), digits(3, 1)]))
    Path("b.bin").write_bytes(bytes(25))
    invoke("encode", "a.bin", "b.bin", "-m", installed, "--raw", "-o", "y.ncz").assert_error(
        "b.bin ends 1 bytes behind its first 1 signals of 24 bytes"
    )
    assert not Path("y.ncz").exists()


def test_jobs_change_nothing(many: Path, installed: str) -> None:
    for spelling in (["--jobs", 1], ["-j", 3], ["--jobs=16"], ["--threads", 40]):
        ok(invoke("encode", "many.npy", "-m", installed, "-o", "x.ncz", "-f", *spelling))
        assert Path("x.ncz").read_bytes() == many.read_bytes()
        ok(invoke("decode", many, "-o", "x.npy", "-f", *spelling))
        assert Path("x.npy").read_bytes() == Path("many.npy").read_bytes()
        assert invoke("verify", many, *spelling).code == 0


def test_verify_tells_a_missing_model_from_damage(many: Path, model: Path, place: Path) -> None:
    other = make_model(place / "other.ncm", seed=2)
    invoke("verify", many, "-m", other).assert_error("many.ncz", "made with the model")
    shutil.rmtree(os.environ["NEURALCODEC_MODELS"])
    outcome = invoke("verify", many)
    outcome.assert_error("many.ncz: the file was made with the model ", "not here", "-m on the command line")
    assert invoke("verify", many, "-m", model).code == 0
    report = json.loads(invoke("verify", many, "--json").stdout)
    assert (report["ok"], report["files"][0]["checked"]) == (False, False)
    Path("bad.ncz").write_bytes(many.read_bytes()[:-1])
    both = invoke("verify", many, "bad.ncz")
    assert both.code == 1
    assert both.text.startswith("FAIL  bad.ncz")
    assert both.stderr.startswith("neuralcodec: error: many.ncz: ")
    invoke("verify", "gone.ncz").assert_error("gone.ncz: No such file")


def test_verify_standard_input(many: Path) -> None:
    data = many.read_bytes()
    assert invoke("verify", "-", stdin=data).text == "ok    standard input (3000 signals)\n"
    bad = invoke("verify", "-", stdin=data[:-1])
    assert (bad.code, bad.text[:23]) == (1, "FAIL  standard input: f")


def test_a_folder_of_several_shapes_is_refused(installed: str) -> None:
    Path("scans").mkdir()
    for number in range(3):
        Image.fromarray(digits(3)[number]).save(f"scans/{number}.png")
    Image.new("L", (9, 8)).save("scans/1b.png")
    invoke("encode", "scans", "-m", installed).assert_error(
        "scans/1b.png is ", "9x8", "tiny takes 6x4 8-bit gray images", "--resize", "encode it apart"
    )
    os.remove("scans/1b.png")
    np.save("scans/3.npy", digits(2).astype(np.int16))
    invoke("encode", "scans", "-m", installed).assert_error(
        "scans/3.npy: signal 3 is 4 x 6 int16, but the first is 4 x 6 uint8", "write several files"
    )
    assert os.listdir() == ["scans"]
