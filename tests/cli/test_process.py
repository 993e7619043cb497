"""The command in processes of its own: exit codes, pipes, terminals, interrupts, full disks, strange names."""

import os
import re
import resource
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from command_line import Outcome, digits, heed_signals, run
from PIL import Image

COMMAND = [sys.executable, "-m", "neuralcodec"]
unix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX")


def test_silent_in_a_pipe(installed: str) -> None:
    np.save("many.npy", digits(5000))
    for arguments in (("encode", "many.npy", "-m", installed), ("decode", "many.ncz", "-o", "again.npy")):
        outcome = run(*arguments)
        assert (outcome.code, outcome.stdout, outcome.stderr) == (0, b"", "")


def test_help_version_and_usage_errors() -> None:
    assert re.fullmatch(r"neuralcodec \d+\.\d+\.\d+\S*\n", run("--version").text)
    for verb in ([], ["encode"], ["train", "pc"], ["models"]):
        outcome = run(*verb, "--help")
        assert outcome.code == 0
        assert f"  neuralcodec {verb[0] if verb else 'encode'} " in outcome.text, "an example"
    for wrong, words in (
        (["encode"], "Missing argument 'INPUT' (see `neuralcodec encode --help`)"),
        (["encode", __file__], "name one with --model; the models here are pc-fashion-mnist, pc-mnist"),
        (["bogus"], "No such command 'bogus' (see `neuralcodec --help`)"),
        (["encode", "x.png", "-m", "y", "--bogus"], "No such option: --bogus"),
        (["encode", "x.png", "-m"], "'-m' requires an argument"),
        (["encode", "x.png", "-m", "y", "--jobs", "0"], "--jobs"),
        (["sample", "-m", "y"], "Missing option '--output'"),
        (["models", "bogus"], "No such command 'bogus' (see `neuralcodec models --help`)"),
        (["info"], "Missing argument 'FILE'"),
    ):
        run(*wrong).assert_error("error: ", words)
    for nothing in ([], ["train"]):
        outcome = run(*nothing)
        assert (outcome.code, outcome.stdout) == (2, b"")
        assert outcome.stderr.startswith("Usage: neuralcodec")


def test_plain_and_typer_lines_do_the_same(digit: Path, installed: str) -> None:
    assert run("encode", "digit.png", "-m", installed).code == 0
    assert run("encode", "digit.png", f"-m{installed}", "-qo", "typer.ncz").code == 0
    assert Path("digit.ncz").read_bytes() == Path("typer.ncz").read_bytes()
    run("encode", "digit.png", "-m", installed).assert_error("--force")
    run("encode", "digit.png", f"-m{installed}").assert_error("--force")


def test_encoding_an_image_imports_no_more_than_it_needs(digit: Path, installed: str) -> None:
    watch = (
        f"import sys; from neuralcodec.cli import main; main(['encode', 'digit.png', '-m', {installed!r}])"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{watch}; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    heavy = {"typer", "click", "rich", "pydantic", "scipy", "torch", "matplotlib", "constriction", "numpy.ma"}
    assert not heavy & set(done.stdout.split())


def test_unicode_and_odd_paths(installed: str) -> None:
    for name in ("zïffer 数字.png", "-dash.png", "a\nb.png"):
        Image.fromarray(digits(1)[0]).save(name)
        path = os.path.join(".", name)
        assert run("encode", path, "-m", installed).code == 0
        os.remove(name)
        assert run("decode", path.removesuffix(".png") + ".ncz").code == 0
        with Image.open(name) as image:
            np.testing.assert_array_equal(np.asarray(image), digits(1)[0])
        run("encode", path, "-m", installed).assert_error("--force")


@unix
def test_a_name_that_is_no_unicode(installed: str) -> None:
    name = os.fsdecode(b"\xff\xfe.png")
    try:
        Path(name).touch()
    except OSError:
        pytest.skip("the file system wants Unicode")
    Image.fromarray(digits(1)[0]).save("good.png")
    os.replace("good.png", name)
    Image.fromarray(digits(1)[0]).save("b.png")
    assert run("encode", name, "b.png", "-m", installed, "-o", "two.ncz").code == 0
    assert run("info", "two.ncz").code == 0
    assert run("verify", ".").code == 0
    assert run("encode", name, "-m", installed).code == 0
    run("encode", name, "-m", installed).assert_error("--force")


@unix
def test_a_closed_pipe(installed: str) -> None:
    np.save("many.npy", digits(3000))
    assert run("encode", "many.npy", "-m", installed).code == 0
    reading, writing = os.pipe()
    os.close(reading)
    try:
        with subprocess.Popen(
            [*COMMAND, "decode", "many.ncz", "-o", "-"], stdout=writing, stderr=subprocess.PIPE
        ) as process:
            assert process.stderr is not None
            stderr = process.stderr.read().decode()
        assert process.returncode == 2
        assert stderr.count("\n") == 1
        assert "standard output was closed" in stderr
    finally:
        os.close(writing)


@unix
def test_closed_standard_streams(digit: Path, installed: str) -> None:
    def shell(line: str) -> Outcome:
        command = shlex.join(COMMAND)
        done = subprocess.run(f"{command} {line}", shell=True, capture_output=True, check=False)
        return Outcome(done.returncode, done.stdout, done.stderr.decode())

    shell(f"encode - -m {installed} -o x.ncz <&-").assert_error("standard input is closed")
    shell(f"encode digit.png -m {installed} -o - >&-").assert_error("standard output is closed")
    assert shell(f"encode digit.png -m {installed} <&- >&- 2>&-").code == 0
    assert shell("info digit.ncz >&-").code == 0
    assert shell("decode digit.ncz 2>&-").code == 2


@unix
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_device(digit: Path, installed: str) -> None:
    assert run("encode", "digit.png", "-m", installed).code == 0
    for arguments in (("decode", "digit.ncz", "-o", "/dev/full", "--format", "png"), ("info", "digit.ncz")):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([*COMMAND, *arguments], stdout=full, stderr=subprocess.PIPE, check=False)
        Outcome(done.returncode, b"", done.stderr.decode()).assert_error("No space left on device")
    assert not os.path.isfile("/dev/full")


def limit_files() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))


@unix
@pytest.mark.parametrize("verb", ["encode", "decode"])
def test_a_write_that_fails_leaves_the_old_file(installed: str, verb: str) -> None:
    np.save("many.npy", digits(3000))
    assert run("encode", "many.npy", "-m", installed).code == 0
    Path("out.npy").write_bytes(b"old")
    before = sorted(os.listdir())
    arguments = {"encode": ("many.npy", "-m", installed), "decode": ("many.ncz",)}[verb]
    run(verb, *arguments, "-o", "out.npy", "-f", preexec_fn=limit_files).assert_error(
        "out.npy: File too large"
    )
    assert Path("out.npy").read_bytes() == b"old"
    assert sorted(os.listdir()) == before


@unix
def test_a_folder_that_cannot_be_written(digit: Path, installed: str) -> None:
    if os.geteuid() == 0:
        pytest.skip("root writes anywhere")
    Path("locked").mkdir(mode=0o500)
    run("encode", "digit.png", "-m", installed, "-o", "locked/x.ncz").assert_error("Permission denied")


def start_slow_encode(installed: str) -> "subprocess.Popen[bytes]":
    """Start an encoding that takes long, and return when it has written something."""
    np.save("many.npy", np.repeat(digits(2000), 200, axis=0))
    Path("many.ncz").write_bytes(b"old")
    arguments = [
        *COMMAND,
        "encode",
        "many.npy",
        "-m",
        installed,
        "-f",
        "--group",
        "1",
        "--verify",
        "--threads",
        "1",
    ]
    process = subprocess.Popen(arguments, stderr=subprocess.PIPE, preexec_fn=heed_signals)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if any(file.endswith(".tmp") and os.path.getsize(file) > 0 for file in os.listdir()):
            return process
        time.sleep(0.005)
    process.kill()
    raise AssertionError("nothing was written")


@unix
@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGKILL, -9)],
)
def test_an_interrupt_leaves_the_old_file(installed: str, number: signal.Signals, code: int) -> None:
    process = start_slow_encode(installed)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == code
    assert b"Traceback" not in stderr
    assert Path("many.ncz").read_bytes() == b"old"
    if number != signal.SIGKILL:
        assert not [file for file in os.listdir() if file.endswith(".tmp")]
    if number == signal.SIGINT:
        assert stderr == b"neuralcodec: interrupted\n"


@unix
def test_progress_on_a_terminal(installed: str) -> None:
    import pty

    np.save("many.npy", np.repeat(digits(2000), 10, axis=0))
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    arguments = [*COMMAND, "encode", "many.npy", "-m", installed]
    with subprocess.Popen(arguments, stderr=follower, stdout=subprocess.PIPE, env=environment) as process:
        os.close(follower)
        shown = b""
        while True:
            try:
                part = os.read(leader, 65536)
            except OSError:
                break
            if not part:
                break
            shown += part
    os.close(leader)
    text = shown.decode()
    assert process.returncode == 0
    assert "encoding" in text
    assert "/20000" in text
    assert re.search(r"\d/s", text)
    assert re.search(r"\d:\d\d", text)
    assert "many.ncz: 20000 signals" in text


@unix
def test_binary_is_not_written_to_a_terminal(digit: Path, installed: str) -> None:
    import pty

    leader, follower = pty.openpty()
    done = subprocess.run(
        [*COMMAND, "encode", "digit.png", "-m", installed, "-o", "-"],
        stdout=follower, stderr=subprocess.PIPE, check=False,
    )  # fmt: skip
    os.close(follower)
    os.close(leader)
    Outcome(done.returncode, b"", done.stderr.decode()).assert_error("is a terminal")


@pytest.mark.parametrize(
    "arguments", [("encode", "digit.png", "-m", "tiny"), ("train", "pc", "no.npy"), ("decode", "x.ncz")]
)
def test_a_folder_that_is_not_there(digit: Path, installed: str, arguments: tuple[str, ...]) -> None:
    run(*arguments, "-o", "nodir/x.png").assert_error("nodir/x.png: there is no folder nodir; create it")
    run(*arguments, "-o", "digit.png/x.png").assert_error("digit.png is not a folder")


@unix
def test_devices_without_end(digit: Path, installed: str) -> None:
    for arguments in (
        ("encode", "/dev/zero", "-m", installed, "-o", "x.ncz"),
        ("encode", "digit.png", "-m", "/dev/zero"),
        ("decode", "/dev/zero"),
        ("info", "/dev/zero"),
        ("models", "add", "/dev/zero"),
        ("train", "pc", "/dev/zero", "-o", "x.ncm"),
    ):
        run(*arguments).assert_error("/dev/zero is a device")
    run("verify", "/dev/zero").assert_error("/dev/zero: it is a pipe or a device")
    run("encode", "/dev/null", "-m", installed, "-o", "x.ncz").assert_error("/dev/null is empty")


@unix
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_help_on_a_full_device() -> None:
    for arguments in (["--help"], ["encode", "--help"], ["--version"]):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([*COMMAND, *arguments], stdout=full, stderr=subprocess.PIPE, check=False)
        Outcome(done.returncode, b"", done.stderr.decode()).assert_error("No space left on device")


@unix
def test_errors_do_not_go_to_standard_output(digit: Path) -> None:
    line = f"{shlex.join(COMMAND)} decode digit.png 2>&-"
    done = subprocess.run(line, shell=True, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (2, b"")


def test_an_output_that_is_the_input(digit: Path, model: Path) -> None:
    before = digit.read_bytes()
    run("encode", "digit.png", "-m", model, "-o", "./digit.png", "--force").assert_error("is an input")
    run("encode", ".", "-m", model, "-o", "./digit.png", "--force").assert_error("is an input")
    run("decode", "digit.png", "-o", "digit.png", "--force").assert_error("is an input")
    run("train", "pc", "digit.png", "-o", "digit.png", "--force").assert_error("is an input")
    assert digit.read_bytes() == before


def test_a_path_in_place_of_a_model(digit: Path, model: Path, installed: str) -> None:
    assert run("encode", "digit.png", "-m", model, "-o", "p.ncz").code == 0
    Path("copy").write_bytes(model.read_bytes())
    run("encode", "digit.png", "-m", "p.ncz").assert_error("p.ncz is a compressed signal here, not a model")
    run("encode", "digit.png", "-m", "digit.png").assert_error("digit.png is a file here, but not a model")
    run("encode", "digit.png", "-m", "copy").assert_error("give it as ./copy")
    run("decode", model).assert_error("is a model file")
    run("decode", "digit.png").assert_error("use encode")
    assert "not here" not in run("info", "copy").text


def test_wrong_threads_blame_no_file(digit: Path, installed: str) -> None:
    assert run("encode", "digit.png", "-m", installed).code == 0
    environment = {**os.environ, "NEURALCODEC_THREADS": "abc"}
    for arguments in (("encode", "digit.png", "-m", installed, "-f"), ("decode", "digit.ncz", "-f")):
        outcome = run(*arguments, env=environment)
        outcome.assert_error("NEURALCODEC_THREADS")
        assert not any(word in outcome.stderr for word in (".ncm", ".ncz", ".png"))


@unix
def test_named_pipes(digit: Path, installed: str) -> None:
    assert run("encode", "digit.png", "-m", installed).code == 0
    os.mkfifo("pipe")
    for arguments in (("decode", "pipe", "-o", "again.png"), ("info", "pipe")):
        with subprocess.Popen(["cp", "digit.ncz", "pipe"]):
            outcome = run(*arguments)
        assert (outcome.code, outcome.stderr) == (0, "")
    run("verify", "pipe").assert_error("pipe: it is a pipe")


def test_salvage_is_named_as_the_option(installed: str) -> None:
    np.save("many.npy", digits(30))
    assert run("encode", "many.npy", "-m", installed).code == 0
    Path("many.ncz").write_bytes(Path("many.ncz").read_bytes()[:-9])
    run("decode", "many.ncz", "-f").assert_error("--salvage")
    assert "--salvage" in run("verify", "many.ncz").text


def test_train_ranges_are_those_of_the_recipe(digit: Path) -> None:
    for option in ("first-rate", "last-rate", "growth-noise", "pseudocount"):
        run("train", "pc", "digit.png", "-o", "x.ncm", f"--{option}", "0").assert_error("cannot be 0.0")
