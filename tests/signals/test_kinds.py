"""Images are known by their names or by their first bytes."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from neuralcodec.signals.kinds import holds_image, standard_input


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "AVIF", "JPEG2000"])
def test_first_bytes_of_images(format: str, tmp_path: Path) -> None:
    needed = {"WEBP": "webp", "AVIF": "avif", "JPEG2000": "jpg_2000"}.get(format)
    if needed is not None and not features.check(needed):
        pytest.skip(f"Pillow is built without {format}")
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "unnamed", format=format)
    assert holds_image(str(tmp_path / "unnamed"))


@pytest.mark.parametrize(
    "data",
    [b"", b"P7", b"BMW drivers wanted", b"Plain text", b"\x93NUMPY", b"RIFF\0\0\0\0WAVE", b"\x89NCZ\r\n"],
)
def test_other_first_bytes(data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "unnamed").write_bytes(data)
    assert not holds_image(str(tmp_path / "unnamed"))
    assert not holds_image(str(tmp_path))
    assert holds_image(str(tmp_path / "absent.PNG"))
    piped = io.TextIOWrapper(io.BufferedReader(io.BytesIO(data)))
    monkeypatch.setattr("sys.stdin", piped)
    assert not holds_image("-")
    assert standard_input().read() == data  # nothing is lost to the look


class Slowly(io.RawIOBase):
    """Gives one byte at a time."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        part = self._data.read(1)
        buffer[: len(part)] = part
        return len(part)


def test_standard_input_that_comes_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(
        file, format="WEBP" if features.check("webp") else "PNG"
    )
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(Slowly(file.getvalue()))))
    assert holds_image("-")
    assert holds_image("-")
    assert standard_input().read() == file.getvalue()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_named_pipes_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert not holds_image(str(tmp_path / "pipe"))
