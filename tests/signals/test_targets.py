"""Writing decoded signals: every kind of target, overwriting, and what stays after a failure."""

import gzip
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from neuralcodec.errors import UnsupportedInput
from neuralcodec.signals.arrays import read_npz
from neuralcodec.signals.idx import read_idx
from neuralcodec.signals.outputs import check_free
from neuralcodec.signals.targets import Label, Plan, default_kind, file_stem, kind_of, open_target

STACK = np.arange(5 * 12, dtype=np.uint8).reshape(5, 3, 4)
UINT8 = np.dtype(np.uint8)


def write(
    path: Path, stack: NDArray[Any], labels: Sequence[Label] | None = None, single: bool = False
) -> None:
    plan = Plan(None if single else len(stack), stack.shape[1:], stack.dtype)
    labels = labels or [Label()] * len(stack)
    with open_target(str(path), kind_of(str(path)), plan) as target:
        for start in range(0, len(stack), 2):
            target.write(stack[start : start + 2], labels[start : start + 2])


def test_arrays_keep_shape_and_order(tmp_path: Path) -> None:
    write(tmp_path / "a.npy", STACK)
    write(tmp_path / "a.npz", STACK)
    write(tmp_path / "a.idx", STACK)
    write(tmp_path / "a-idx3-ubyte.gz", STACK)
    again = [
        np.load(tmp_path / "a.npy"),
        np.load(tmp_path / "a.npz")["data"],
        read_idx((tmp_path / "a.idx").read_bytes()),
        read_idx(gzip.decompress((tmp_path / "a-idx3-ubyte.gz").read_bytes())),
    ]
    for array in again:
        np.testing.assert_array_equal(array, STACK)
        assert array.dtype == STACK.dtype


def test_idx_is_big_endian(tmp_path: Path) -> None:
    write(tmp_path / "a.idx", np.array([[258]], np.int16))
    assert (tmp_path / "a.idx").read_bytes()[-2:] == b"\1\2"


def test_equal_samples_make_equal_gzip_files(tmp_path: Path) -> None:
    write(tmp_path / "a.idx.gz", STACK)
    write(tmp_path / "b.idx.gz", STACK)
    assert (tmp_path / "a.idx.gz").read_bytes() == (tmp_path / "b.idx.gz").read_bytes()


def test_one_signal_has_no_axis_that_counts(tmp_path: Path) -> None:
    write(tmp_path / "a.npy", STACK[:1], single=True)
    assert np.load(tmp_path / "a.npy").shape == (3, 4)
    write(tmp_path / "b.npz", STACK[:1], single=True)
    assert np.load(tmp_path / "b.npz")["data"].shape == (3, 4)
    write(tmp_path / "c.png", STACK[:1], [Label("x", b"profile", b"II*\0")], single=True)
    with Image.open(tmp_path / "c.png") as image:
        np.testing.assert_array_equal(np.asarray(image), STACK[0])
        assert image.info["icc_profile"] == b"profile"


def test_no_signals_at_all(tmp_path: Path) -> None:
    for name in ("a.npy", "a.npz", "folder"):
        write(tmp_path / name, STACK[:0])
    assert np.load(tmp_path / "a.npy").shape == (0, 3, 4)
    assert np.load(tmp_path / "a.npz")["data"].shape == (0, 3, 4)
    assert os.listdir(tmp_path / "folder") == []


def test_a_folder_gives_each_signal_its_name_back(tmp_path: Path) -> None:
    labels = [Label("scän.jpg"), Label("scän.png"), Label(None), Label("../../evil.png"), Label("SCÄN.tif")]
    write(tmp_path / "out", STACK, labels)
    assert sorted(os.listdir(tmp_path / "out")) == [
        "2.png",
        "SCÄN-3.png",
        "evil.png",
        "scän-2.png",
        "scän.png",
    ]
    with Image.open(tmp_path / "out" / "evil.png") as image:
        np.testing.assert_array_equal(np.asarray(image), STACK[3])


def test_a_folder_of_arrays_that_are_no_images(tmp_path: Path) -> None:
    write(tmp_path / "out", STACK.astype(np.int32))
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "4.npy"), STACK[4])


def test_missing_samples(tmp_path: Path) -> None:
    masked = np.ma.MaskedArray(STACK, STACK == 7)
    write(tmp_path / "a.npz", masked)
    ((_, again),) = read_npz((tmp_path / "a.npz").read_bytes())
    assert isinstance(again, np.ma.MaskedArray)
    np.testing.assert_array_equal(np.ma.getmaskarray(again), STACK == 7)
    write(tmp_path / "a.npy", masked)
    assert np.load(tmp_path / "a.npy").ravel().tolist() == [0 if x == 7 else x for x in range(60)]
    write(tmp_path / "out", masked)
    assert sorted(os.listdir(tmp_path / "out")) == ["0.npz", "1.png", "2.png", "3.png", "4.png"]


@pytest.mark.parametrize(
    ("name", "stack", "words"),
    [
        ("a.png", STACK, "one image, not 5"),
        ("a.png", STACK[:1].astype(np.int32), "cannot hold int32"),
        ("a.idx", STACK.astype(np.uint16), "uint16"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(
    tmp_path: Path, name: str, stack: NDArray[Any], words: str
) -> None:
    (tmp_path / name).write_bytes(b"old")
    with pytest.raises(UnsupportedInput, match=words):
        write(tmp_path / name, stack)
    assert (tmp_path / name).read_bytes() == b"old"


def test_suffixes_that_are_not_written() -> None:
    with pytest.raises(UnsupportedInput, match=r"\.jpg files are not written"):
        kind_of("a.jpg")


def test_defaults() -> None:
    assert default_kind(Plan(None, (3, 4), UINT8), False) == "png"
    assert default_kind(Plan(None, (4,), UINT8), False) == "npy"
    assert default_kind(Plan(9, (3, 4), UINT8), False) == "npy"
    assert default_kind(Plan(9, (3, 4), UINT8), True) == "npz"


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.png", "a.idx.gz", "folder"])
def test_a_failure_leaves_the_old_target_and_no_rubbish(tmp_path: Path, name: str) -> None:
    one = STACK[:1] if name == "a.png" else STACK
    write(tmp_path / name, one)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    plan = Plan(len(one), one.shape[1:], one.dtype)

    def write_and_be_interrupted() -> None:
        with open_target(str(tmp_path / name), kind_of(name), plan) as target:
            target.write(one + 1, [Label()] * len(one))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_be_interrupted()
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before
    assert os.listdir(tmp_path) == [name]


def test_overwriting_needs_force(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("a", "full", "dangling"):
        with pytest.raises(FileExistsError, match="--force"):
            check_free(str(tmp_path / name), False)
        check_free(str(tmp_path / name), True)
    for name in ("empty", "new"):
        check_free(str(tmp_path / name), False)
    check_free("-", False)
    check_free(os.devnull, False)


@pytest.mark.skipif(sys.platform == "win32", reason="no /dev/null")
def test_a_device_is_written_to_not_replaced() -> None:
    with open_target(os.devnull, "npy", Plan(5, (3, 4), UINT8)) as target:
        target.write(STACK, [Label()] * 5)
    assert not os.path.isfile(os.devnull)


def test_writing_into_a_folder_that_exists_keeps_its_other_files(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    (tmp_path / "out" / "0.png").write_text("old")
    write(tmp_path / "out", STACK)
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"
    with Image.open(tmp_path / "out" / "0.png") as image:
        np.testing.assert_array_equal(np.asarray(image), STACK[0])


@given(st.text(max_size=300))
def test_stored_names_never_lead_elsewhere(name: str) -> None:
    stem = file_stem(name)
    assert not set(stem) & set('/\\\0<>:"|?*\n')
    assert stem not in (".", "..")
    assert not stem.startswith(".")
    assert len(os.fsencode(stem)) <= 200
