"""The C++ driver over the kernel sources agrees with the package, here and (slow) emulated on aarch64."""

import subprocess
import sys
from pathlib import Path

import pytest
from cross.cases import cases_of, write_samples_of_all

RUN = Path(__file__).parent / "run.py"


def test_cases_hold_every_file(tmp_path: Path) -> None:
    write_samples_of_all(tmp_path)
    cases = list(cases_of(tmp_path))
    assert len(cases) == 4 * (2 * 2 + 2) + 1
    assert len({case.name for case in cases}) == len(cases)
    plain = {case.name: case.expected for case in cases}
    for seed in range(3):
        tables = {found["tables"] for name, found in plain.items() if name.startswith(f"edges{seed}")}
        assert len(tables) == 1
    assert list(cases_of(tmp_path / "nothing")) == []


@pytest.mark.slow
def test_aarch64_decodes_alike() -> None:
    run = subprocess.run([sys.executable, str(RUN)], capture_output=True, text=True, check=False)
    if run.returncode == 77:
        pytest.skip(run.stderr.strip())
    assert run.returncode == 0, run.stdout + run.stderr
    assert "aarch64 (emulated): " in run.stdout
    assert run.stdout.count("no differences") == len(run.stdout.splitlines())
