"""Whatever stops a writer, its target holds the old file or the whole new one."""

import errno
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_models import random_signals, small_circuit

import neuralcodec
from neuralcodec.api import create_archive
from neuralcodec.artifact import Artifact, read_artifact, write_artifact
from neuralcodec.circuits.circuit import Circuit
from neuralcodec.container.files import atomic_write

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="signals and limits of POSIX"),
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),  # the child ends without threads
]
CIRCUIT = small_circuit((4, 3))


def write_archive(path: Path, seed: int) -> None:
    """Write an archive of 300 signals in several chunks."""
    with create_archive(path, CIRCUIT, chunk=128, threads=1) as archive:
        archive.append(random_signals(CIRCUIT, 300, seed))


def write_single(path: Path, seed: int) -> None:
    atomic_write(path, neuralcodec.compress(random_signals(CIRCUIT, 1, seed)[0], CIRCUIT))


def write_model(path: Path, seed: int) -> None:
    write_artifact(path, small_circuit((4, 3), seed=seed).to_artifact())


WRITERS = [write_archive, write_single, write_model]
Writer = Callable[[Path, int], None]


def failing(code: int) -> Callable[..., Any]:
    """Return a function that fails as a system call does."""

    def fail(*_: Any, **__: Any) -> Any:
        raise OSError(code, os.strerror(code))

    return fail


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failing_call_leaves_the_old_file(
    writer: Writer, call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "target"
    writer(target, 1)
    old = target.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing(errno.EIO))
        with pytest.raises(OSError, match="Input/output error"):
            writer(target, 2)
    assert target.read_bytes() == old
    assert os.listdir(tmp_path) == ["target"]
    writer(target, 2)
    assert target.read_bytes() != old


@pytest.mark.parametrize("writer", WRITERS)
def test_a_directory_that_cannot_be_synced_is_no_failure(
    writer: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, fsync = tmp_path / "target", os.fsync
    calls: list[int] = []

    def only_files(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) > 1:
            raise OSError(errno.EINVAL, "no fsync of directories here")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", only_files)
    writer(target, 1)
    assert len(calls) == 2
    assert target.exists()


def in_child(action: Callable[[], None]) -> int:
    """Run an action in a forked process; return its exit code, or minus the signal that ended it."""
    child = os.fork()
    if child == 0:
        code = 99
        try:
            action()
            code = 0
        except OSError as error:
            code = error.errno or 98
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize(("call", "after"), [("fsync", 0), ("replace", 0), ("replace", 1)])
def test_a_kill_at_the_turning_points(writer: Writer, call: str, after: int, tmp_path: Path) -> None:
    target = tmp_path / "target"
    writer(target, 2)
    new = target.read_bytes()
    writer(target, 1)
    old = target.read_bytes()
    real = getattr(os, call)

    def deadly(*arguments: Any) -> None:
        if after:
            real(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)

    def write() -> None:
        setattr(os, call, deadly)
        writer(target, 2)

    assert in_child(write) == -signal.SIGKILL
    assert target.read_bytes() == (new if after else old)
    writer(target, 2)
    assert target.read_bytes() == new


@pytest.mark.parametrize("writer", WRITERS)
def test_a_full_disk_leaves_the_old_file(writer: Writer, tmp_path: Path) -> None:
    target = tmp_path / "target"
    writer(target, 1)
    old = target.read_bytes()

    def write(limit: int) -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        writer(target, 2)

    for limit in (0, 1, len(old) // 2, len(old) - 30):
        assert in_child(lambda limit=limit: write(max(0, limit))) == errno.EFBIG  # type: ignore[misc]
        assert target.read_bytes() == old
        assert os.listdir(tmp_path) == ["target"]


ENDLESS = """
import sys
from pathlib import Path
import numpy as np
from neuralcodec.api import create_archive
from neuralcodec.container.files import atomic_write
from neuralcodec.zoo.resolve import load_model
model = load_model(sys.argv[1])
print("ready", flush=True)
for version in range(10**9):
    with create_archive(sys.argv[2], model, group=8, chunk=32, threads=1) as archive:
        for start in range(0, 200, 50):
            archive.append(np.full((50, 4, 3), version % 250, np.uint8))
    print(version, flush=True)
"""


def killed_while_writing(model: Path, target: Path, delay: float) -> tuple[int, int]:
    """Kill a program that rewrites an archive over and over; return the last version it told, and the file's."""
    command = [sys.executable, "-c", ENDLESS, str(model), str(target)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        assert child.stdout.readline() == "0\n"
        time.sleep(delay)
        child.send_signal(signal.SIGKILL)
        told = [0, *(int(line) for line in child.stdout.read().splitlines())]
    with neuralcodec.open_archive(target, str(model), threads=1) as archive:
        signals = archive[:]
    assert signals.shape == (200, 4, 3)
    assert signals.min() == signals.max()
    return told[-1], int(signals[0, 0, 0])


def rounds_of_killing(tmp_path: Path, rounds: int) -> None:
    rng = random.Random(rounds)
    model, target = tmp_path / "model.ncm", tmp_path / "target.ncz"
    write_artifact(model, CIRCUIT.to_artifact())
    for _ in range(rounds):
        told, found = killed_while_writing(model, target, rng.uniform(0, 0.05))
        assert found in (told % 250, (told + 1) % 250)
    others = {path.name for path in tmp_path.iterdir()} - {"model.ncm", "target.ncz"}
    assert all(name.startswith(".target.ncz.") and name.endswith(".tmp") for name in others)


def test_kill_at_any_time(tmp_path: Path) -> None:
    rounds_of_killing(tmp_path, 10)


@pytest.mark.slow
def test_kill_at_very_many_times(tmp_path: Path) -> None:
    rounds_of_killing(tmp_path, 100)


def command_line(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "neuralcodec", *arguments]


def kill_the_command(tmp_path: Path, rounds: int) -> None:
    """Kill `encode` over an existing target after random delays, its start-up included."""
    rng = random.Random(rounds)
    model, target = tmp_path / "model.ncm", tmp_path / "target.ncz"
    write_artifact(model, CIRCUIT.to_artifact())
    for seed in (1, 2):
        np.save(tmp_path / f"{seed}.npy", random_signals(CIRCUIT, 20_000, seed))

    def encode(seed: int) -> list[str]:
        return command_line(
            "encode", str(tmp_path / f"{seed}.npy"), "-m", str(model), "-o", str(target), "--force"
        )

    start = time.perf_counter()
    subprocess.run(encode(2), check=True, capture_output=True)
    duration = time.perf_counter() - start
    new = target.read_bytes()
    target.unlink()
    subprocess.run(encode(1), check=True, capture_output=True)
    old = target.read_bytes()
    for _ in range(rounds):
        with subprocess.Popen(encode(2), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
            time.sleep(rng.uniform(0, 1.1 * duration))
            child.kill()
        assert target.read_bytes() in (old, new)
        target.write_bytes(old)
    subprocess.run(encode(2), check=True, capture_output=True)
    assert target.read_bytes() == new


def test_kill_the_command(tmp_path: Path) -> None:
    kill_the_command(tmp_path, 5)


@pytest.mark.slow
def test_kill_the_command_often(tmp_path: Path) -> None:
    kill_the_command(tmp_path, 40)


def test_models_written_over_are_read_again(tmp_path: Path) -> None:
    path = tmp_path / "model.ncm"
    write_model(path, 1)
    assert Circuit.from_artifact(read_artifact(path)).identity == small_circuit((4, 3), seed=1).identity
    write_model(path, 2)
    assert isinstance(read_artifact(path), Artifact)
    assert neuralcodec.load_model(path).identity == small_circuit((4, 3), seed=2).identity
