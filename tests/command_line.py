"""A small model of 6x4 gray images, and the command as users run it."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typer.testing import CliRunner

from neuralcodec.artifact import Artifact, write_artifact
from neuralcodec.cli.app import build

HEIGHT, WIDTH, STATES, BASIS = 4, 6, 3, 5


class Outcome:
    """Exit code, standard output as bytes, and standard error as text, of one run."""

    def __init__(self, code: int, stdout: bytes, stderr: str) -> None:
        self.code, self.stdout, self.stderr = code, stdout, stderr

    @property
    def text(self) -> str:
        return self.stdout.decode()

    def assert_error(self, *words: str, code: int = 2) -> None:
        """Check that the run failed with one clear line that has these words, and printed nothing else."""
        assert self.code == code, self.stderr
        assert self.stderr.count("\n") == 1, self.stderr
        assert "Traceback" not in self.stderr
        assert self.stdout == b""
        for word in words:
            assert word in self.stderr


def make_model(path: Path, *, seed: int = 1, shape: tuple[int, ...] = (HEIGHT, WIDTH)) -> Path:
    """Write a chain with random levels: one node a sample, a shared basis, uint8."""
    rng = np.random.default_rng(seed)
    nodes = int(np.prod(shape))
    tensors: dict[str, NDArray[Any]] = {
        "shape": np.array([shape]),
        "dtype": np.array([[1]]),
        "parent": np.array([[0] + [1] * (nodes - 1)]),
        "variable": np.arange(1, nodes + 1).reshape(1, nodes),
        "states": np.full((1, nodes), STATES),
        "alphabet": np.full((1, nodes), 256),
        "emission": np.full((1, nodes), 2),
        "root": rng.integers(1, 50, (1, STATES)),
        f"transition.{STATES}": rng.integers(1, 50, ((nodes - 1) * STATES, STATES)),
        f"weight.{BASIS}": rng.integers(1, 50, (nodes * STATES, BASIS)),
        "basis.0": rng.integers(1, 200, (BASIS, 256)),
    }
    header = {"name": path.stem, "description": "random levels, for tests", "licence": "CC0-1.0"}
    levels = {key: value.astype(np.uint16) for key, value in tensors.items()}
    write_artifact(path, Artifact("circuit", header, levels))
    return path


def digits(n: int, seed: int = 0) -> NDArray[np.uint8]:
    """Return n random 6x4 images."""
    return np.random.default_rng(seed).integers(0, 256, (n, HEIGHT, WIDTH), dtype=np.uint8)


def invoke(*arguments: object, stdin: bytes = b"") -> Outcome:
    """Run the command in this process, through Typer."""
    result = CliRunner().invoke(build(), [str(argument) for argument in arguments], input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Outcome(result.exit_code, result.stdout_bytes, result.stderr)


def run(*arguments: object, stdin: bytes = b"", **options: Any) -> Outcome:
    """Run the command in a process of its own."""
    command = [sys.executable, "-m", "neuralcodec", *map(str, arguments)]
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=60, check=False, **options)
    return Outcome(done.returncode, done.stdout, done.stderr.decode())


def heed_signals() -> None:
    """Have a process heed what its parent ignores: pytest may run under nohup, or in a shell's background."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
