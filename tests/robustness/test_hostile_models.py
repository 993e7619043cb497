"""Models made to harm are refused with an error that tells why, in little memory and time."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from robustness.hostile_models import BOMBS, HOSTILE, Hostile, hostile_file, sound

from neuralcodec.artifact import Artifact
from neuralcodec.circuits.circuit import Circuit
from neuralcodec.errors import CorruptFile, InvalidModel

LIMIT = 64 * 1024  # kB of memory beyond what the process had


def load(data: bytes) -> Circuit:
    """Load a model as far as coding needs it."""
    circuit = Circuit.from_artifact(Artifact.from_bytes(data))
    assert circuit.kernel
    return circuit


def test_the_sound_model_is_accepted() -> None:
    assert load(Artifact("circuit", {}, sound()).to_bytes()).structure.nodes == 4


@pytest.mark.parametrize("case", HOSTILE, ids=lambda case: case.name)
def test_hostile_circuits_are_refused(case: Hostile) -> None:
    with pytest.raises(InvalidModel) as caught:
        load(hostile_file(case))
    message = str(caught.value)
    assert re.search(case.message, message)
    assert len(message) < 1000


@pytest.mark.parametrize("name", BOMBS)
def test_hostile_files_are_refused(name: str) -> None:
    with pytest.raises((CorruptFile, InvalidModel)) as caught:
        load(BOMBS[name])
    assert len(str(caught.value)) < 1000


PROGRAM = """
import sys, time
from pathlib import Path
from neuralcodec.artifact import Artifact
from neuralcodec.circuits.circuit import Circuit
from neuralcodec.errors import NeuralCodecError

def status(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key))

for path in sorted(Path(sys.argv[1]).iterdir()):
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before, start = status("VmRSS"), time.perf_counter()
    try:
        Circuit.from_artifact(Artifact.from_bytes(path.read_bytes())).kernel
        outcome = "accepted"
    except NeuralCodecError as error:
        outcome = type(error).__name__
    print(path.name, status("VmHWM") - before, time.perf_counter() - start, outcome, sep="|")
"""


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="needs Linux's peak counter")
def test_hostile_models_take_little_memory_and_time(tmp_path: Path) -> None:
    files = {case.name: hostile_file(case) for case in HOSTILE} | BOMBS
    names = {f"{number:03}": name for number, name in enumerate(files)}
    for number, name in names.items():
        (tmp_path / number).write_bytes(files[name])
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        env={**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "NEURALCODEC_THREADS": "2"},
        capture_output=True,
        text=True,
        check=True,
    )
    rows = [line.split("|") for line in run.stdout.splitlines()]
    assert len(rows) == len(files)
    for number, memory, seconds, outcome in rows:
        assert outcome in ("CorruptFile", "InvalidModel", "TruncatedFile"), names[number]
        assert int(memory) < LIMIT, f"{names[number]}: {memory} kB"
        assert float(seconds) < 5, f"{names[number]}: {seconds} s"
