"""Where the tests of the command run, and with which model."""

import os
from pathlib import Path

import pytest
from command_line import digits, make_model
from PIL import Image


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Path of a model file of 6x4 8-bit gray images."""
    return make_model(tmp_path_factory.mktemp("models") / "tiny.ncm")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run in an empty folder, with an empty user folder for models."""
    monkeypatch.setenv("NEURALCODEC_MODELS", str(tmp_path / "user models"))
    folder = tmp_path / "plàce"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def installed(model: Path) -> str:
    """Name of the small model, installed for the user."""
    folder = Path(os.environ["NEURALCODEC_MODELS"])
    folder.mkdir()
    (folder / "tiny.ncm").write_bytes(model.read_bytes())
    return "tiny"


@pytest.fixture
def digit(place: Path) -> Path:
    """A 6x4 image, digit.png."""
    Image.fromarray(digits(1)[0]).save(place / "digit.png")
    return place / "digit.png"
