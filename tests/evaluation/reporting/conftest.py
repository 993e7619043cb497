"""Runs to report on, measured once."""

import shutil
from pathlib import Path

import pytest
from evaluation.reporting.sample_run import LOSSLESS, LOSSY, drawn, make_run

HOSTILE = "</script><img src=x onerror=alert(1)> 𝒳\u2028%{x}"


@pytest.fixture(scope="session")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of lossy and lossless codecs on eight images, one of them with a hostile name; one codec fails once."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    names = [*(f"drawn {n}" for n in range(1, 8)), HOSTILE]
    images = {
        name: drawn(number, 48 if number else 96, 64 if number else 128) for number, name in enumerate(names)
    }
    make_run(folder, images, LOSSY, failing="jpeg2000")
    make_run(folder, images, LOSSLESS)
    (folder / "notes.json").write_text('{"some": "other JSON"}')
    return folder


@pytest.fixture
def small_run(tmp_path: Path) -> Path:
    """A run of two codecs on two images."""
    make_run(tmp_path / "small", {"a": drawn(0, 24, 32), "b": drawn(1, 24, 32)}, LOSSY[:2])
    return tmp_path / "small"


@pytest.fixture
def run_folder(measured: Path, tmp_path: Path) -> Path:
    """A copy of that run that a test may change."""
    return Path(shutil.copytree(measured, tmp_path / "run"))
