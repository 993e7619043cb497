"""Finding and reading inputs: folders, kinds told by content, stacks, conversions, messages."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from neuralcodec.errors import UnsupportedInput
from neuralcodec.signals.idx import idx_header
from neuralcodec.signals.signal import Signal, Wanted
from neuralcodec.signals.sources import expand, read_mask, read_signals

DIGITS = Wanted("pc-test", (4, 6), np.dtype(np.uint8))


def wanted(*, resize: bool = False, grayscale: bool = False) -> Wanted:
    return Wanted("pc-test", (4, 6), np.dtype(np.uint8), resize, grayscale)


def gray(path: Path, height: int = 4, width: int = 6) -> Path:
    Image.fromarray(np.arange(height * width, dtype=np.uint8).reshape(height, width)).save(path)
    return path


def test_folders_are_searched_in_sorted_order(tmp_path: Path) -> None:
    for name in (
        "b.png",
        "a/z.png",
        "a/ü.NPY",
        "a.b/1.idx",
        "notes.txt",
        ".hidden.png",
        ".git/0.png",
        "x-idx3-ubyte.gz",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [Path(file).relative_to(tmp_path).as_posix() for file in expand([str(tmp_path), "-"])[:-1]]
    assert found == ["a/z.png", "a/ü.NPY", "a.b/1.idx", "b.png", "x-idx3-ubyte.gz"]


def test_a_folder_without_signals_and_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedInput, match="no images"):
        expand([str(tmp_path)])
    with pytest.raises(FileNotFoundError):
        expand([str(tmp_path / "gone.png")])


def test_one_signal_keeps_its_name_and_a_stack_has_none(tmp_path: Path) -> None:
    (one,) = read_signals(str(gray(tmp_path / "zïffer.png")), DIGITS)
    assert (one.name, one.stacked, len(one)) == ("zïffer.png", False, 1)
    np.save(tmp_path / "many.npy", np.zeros((3, 4, 6), np.uint8))
    (many,) = read_signals(str(tmp_path / "many.npy"), DIGITS)
    assert (many.name, many.stacked, len(many)) == (None, True, 3)


def test_kinds_are_told_by_content_not_by_name(tmp_path: Path) -> None:
    array = np.arange(48, dtype=np.uint8).reshape(2, 4, 6)
    (tmp_path / "a").write_bytes(gzip.compress(idx_header(array.shape, array.dtype) + array.tobytes()))
    (tmp_path / "b").write_bytes(idx_header(array.shape, array.dtype) + array.tobytes())
    np.savez(tmp_path / "c.npz", array)
    for name in ("a", "b", "c.npz"):
        (signal,) = read_signals(str(tmp_path / name), DIGITS)
        assert signal.stacked
        np.testing.assert_array_equal(signal.samples, array)


def test_npz_of_several_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "c.npz", one=np.zeros((4, 6), np.uint8), many=np.zeros((2, 4, 6), np.uint8))
    assert [(s.name, s.stacked) for s in read_signals(str(tmp_path / "c.npz"), DIGITS)] == [
        ("one", False),
        (None, True),
    ]


@pytest.mark.parametrize(
    ("image", "words", "remedies"),
    [
        (Image.new("L", (28, 28)), "an 8-bit gray image of 28x28", "with --resize,"),
        (Image.new("1", (6, 4)), "a 1-bit image of 6x4", "with --grayscale,"),
        (Image.new("LA", (6, 4)), "an 8-bit gray-and-alpha image", "with --grayscale,"),
        (Image.new("RGB", (6, 4)), "an 8-bit RGB image", "with --grayscale,"),
        (Image.new("RGBA", (8, 4)), "an 8-bit RGBA image of 8x4", "with --grayscale and --resize,"),
        (Image.new("I;16", (6, 4)), "a 16-bit gray image", "with --grayscale,"),
        (Image.new("P", (6, 4)), "a palette image", "--grayscale"),
    ],
)
def test_a_wrong_image_gets_one_clear_error(
    tmp_path: Path, image: Image.Image, words: str, remedies: str
) -> None:
    path = tmp_path / "scan.png"
    image.save(path)
    with pytest.raises(UnsupportedInput) as caught:
        read_signals(str(path), DIGITS)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    for part in (words, remedies, "pc-test takes 6x4 8-bit gray images (uint8 arrays of shape (4, 6))"):
        assert part in message


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_conversions_make_every_image_fit(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (28, 20)).save(tmp_path / "scan.png")
    (signal,) = read_signals(str(tmp_path / "scan.png"), wanted(resize=True, grayscale=True))
    assert signal.samples.shape == (4, 6)
    assert signal.samples.dtype == np.uint8


def test_stacks_are_converted_too(tmp_path: Path) -> None:
    np.save(tmp_path / "rgb.npy", np.full((3, 8, 8, 3), 5, np.uint8))
    (signal,) = read_signals(str(tmp_path / "rgb.npy"), wanted(resize=True, grayscale=True))
    assert signal.stacked
    assert signal.samples.shape == (3, 4, 6)
    assert (signal.samples == 5).all()


def test_a_fitting_signal_is_not_touched_by_conversions(tmp_path: Path) -> None:
    path = gray(tmp_path / "digit.png")
    (signal,) = read_signals(str(path), wanted(resize=True, grayscale=True))
    assert signal.samples.tolist() == np.arange(24).reshape(4, 6).tolist()


def test_masked_arrays_cannot_be_resized(tmp_path: Path) -> None:
    np.savez(tmp_path / "m.npz", data=np.zeros((8, 8), np.uint8), mask=np.ones((8, 8), bool))
    with pytest.raises(UnsupportedInput, match="missing samples"):
        read_signals(str(tmp_path / "m.npz"), wanted(resize=True))


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89NCZ\x01\x00"])
def test_what_is_no_signal(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(UnsupportedInput, match=r"x\.png"):
        read_signals(str(tmp_path / "x.png"), DIGITS)


@pytest.mark.parametrize(
    ("shape", "stacked", "mask"),
    [
        ((4, 6), False, (4, 6)),
        ((4, 6), False, (4, 6, 1)),
        ((4, 6, 3), False, (4, 6)),
        ((4, 6, 3), False, (4, 6, 3)),
        ((5, 4, 6), True, (4, 6)),
        ((5, 4, 6), True, (5, 4, 6)),
        ((5, 4, 6, 3), True, (4, 6)),
        ((7,), False, (7,)),
    ],
)
def test_masks_stand_for_channels_and_signals(
    tmp_path: Path, shape: tuple[int, ...], stacked: bool, mask: tuple[int, ...]
) -> None:
    holes = np.random.default_rng(0).integers(-1, 2, mask)
    np.save(tmp_path / "m.npy", holes)
    found = read_mask(str(tmp_path / "m.npy"), Signal(np.zeros(shape, np.uint8), stacked))
    channels = (
        holes[..., None]
        if shape[-1] == 3 != mask[-1]
        else holes.reshape(mask[:2])
        if mask[-1] == 1
        else holes
    )
    np.testing.assert_array_equal(found, np.broadcast_to(channels != 0, shape))


@pytest.mark.parametrize("shape", [(6, 4), (24,), (2, 4, 6), (4, 7), (4,)])
def test_masks_of_another_size_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "m.npy", np.ones(shape, bool))
    with pytest.raises(UnsupportedInput, match=r"m.npy is .*, but the signal is 6x4"):
        read_mask(str(tmp_path / "m.npy"), Signal(np.zeros((4, 6), np.uint8)))
