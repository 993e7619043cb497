"""Relative entropy coding on aarch64 (emulated): the encoder's choice and the decoder's normals are those of here."""

import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from cross.run import CROSS, FLAGS, HERE, SOURCE, emulator

from neuralcodec import native
from neuralcodec.entropy.tables import load_normal


def expected() -> str:
    """What the driver must print, by the installed package."""
    d = np.arange(37)
    centre, steepness = ((d % 9 - 4) / 8).astype(np.float32), ((24 + d % 5) / 32).astype(np.float32)
    target = centre, steepness, np.full(37, 20.25, np.float32)
    block = np.array([5, 7], np.uint32), load_normal(), np.array([3], np.uint32), np.array([0, 37])
    index = native.relative_select(*block, target, 1 << 14, 1.0)
    z = native.relative_sample(*block, index)
    return " ".join([str(index[0]), *(f"{bits:08x}" for bits in z.view(np.uint32).tolist())])


@pytest.mark.slow
def test_aarch64_chooses_and_samples_alike(tmp_path: Path) -> None:
    run = emulator()
    if run is None or not shutil.which(CROSS):
        pytest.skip(f"{CROSS} or qemu-aarch64 is missing")
    program, table = tmp_path / "driver", tmp_path / "normal.i32"
    table.write_bytes((files("neuralcodec.entropy.tables") / "normal.i32").read_bytes())
    sources = [
        str(HERE / "relative_driver.cpp"),
        str(SOURCE / "relative_scalar.cpp"),
        str(SOURCE / "cpu.cpp"),
    ]
    sources += [str(SOURCE / "walk_scalar.cpp")]
    for name in ("circuit", "blocks", "tensor_coder"):
        sources.append(str(SOURCE / f"{name}.cpp"))
    subprocess.run([CROSS, *FLAGS, "-static", *sources, "-o", str(program)], check=True)
    done = subprocess.run([run, str(program), str(table)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected()
