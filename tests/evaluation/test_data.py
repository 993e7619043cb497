"""Data sets: folders and files of any kind, subsets, and the well-known sets where they are on this machine."""

import hashlib
import io
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from neuralcodec.errors import UnsupportedInput
from neuralcodec.evaluation.data import open_data, sample_sha256
from neuralcodec.evaluation.data.dataset import draw
from neuralcodec.evaluation.data.images import as_images, load_stack, stamped
from neuralcodec.evaluation.data.sets import find_copy, known_sets
from neuralcodec.signals.idx import idx_header

RNG = np.random.default_rng(3)
RGB = RNG.integers(0, 256, (6, 5, 3), np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with images of all kinds, and what folders hold besides."""
    place = tmp_path / "bílder"
    (place / "sub" / "deep").mkdir(parents=True)
    Image.fromarray(RGB).save(place / "b.png")
    Image.fromarray(RGB[..., 0]).save(place / "ä.png")
    Image.fromarray(np.dstack([RGB, RGB[..., :1]])).save(place / "sub" / "alpha.png")
    Image.fromarray(RGB[..., 0].astype(np.uint16) * 257).save(place / "sub" / "deep" / "sixteen.png")
    np.save(place / "stack.npy", RNG.integers(0, 256, (3, 8, 9), np.uint8))
    return place


def names(spec: Path, **options: int) -> list[str]:
    return [item.name for item in open_data(spec, **options).items]


def test_a_folder_gives_its_images_in_order(folder: Path) -> None:
    dataset = open_data(str(folder))
    assert [item.name for item in dataset.items] == [
        *("b.png", "stack.npy/00000", "stack.npy/00001", "stack.npy/00002"),
        *("sub/alpha.png", "sub/deep/sixteen.png", "ä.png"),
    ]
    assert (dataset.name, dataset.spec, dataset.skipped) == ("bílder", str(folder), [])
    kinds = [(item.load().shape, item.load().dtype.name) for item in dataset.items]
    assert kinds == [
        ((6, 5, 3), "uint8"),
        *[((8, 9), "uint8")] * 3,
        *[((6, 5, 4), "uint8"), ((6, 5), "uint16"), ((6, 5), "uint8")],
    ]
    assert all(item.load().flags.c_contiguous for item in dataset.items)
    np.testing.assert_array_equal(dataset.items[0].load(), RGB)


def test_what_is_no_image_is_skipped_and_told(folder: Path) -> None:
    (folder / "notes.txt").write_text("text")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    (folder / "cut.png").write_bytes((folder / "b.png").read_bytes()[:-40])
    (folder / "empty.jpg").touch()
    (folder / ".thumbs").mkdir()
    (folder / ".DS_Store").write_bytes(b"x")
    (folder / "link").symlink_to(folder / "sub")
    (folder / "lost.png").symlink_to(folder / "nothing")
    Image.fromarray(RGB).quantize().save(folder / "palette.png")
    np.save(folder / "floats.npy", np.zeros((4, 4)))
    np.savez(folder / "some.npz", labels=np.arange(10, dtype=np.uint8), pictures=np.stack([RGB, RGB]))
    os.mkfifo(folder / "pipe.png")
    before = names(folder)
    assert [name for name in before if "some" in name] == [
        "some.npz/pictures/00000",
        "some.npz/pictures/00001",
    ]
    assert len(before) == 9
    reasons = {
        ".DS_Store": "a hidden file",
        ".thumbs": "a hidden or linked folder",
        "broken.png": "cannot be read as an image",
        "cut.png": "cannot be read as an image",
        "empty.jpg": "is empty",
        "floats.npy": "holds float64 samples: images are uint8, uint16 or bool",
        "link": "a hidden or linked folder",
        "lost.png": "No such file or directory",
        "notes.txt": "no image, .npy, .npz or IDX file by its name",
        "palette.png": "is a palette image, which has no samples to code as they are: convert it first",
        "pipe.png": "no regular file",
        "some.npz, labels": "has the shape (10,)",
    }
    skipped = open_data(folder).skipped
    assert len(skipped) == len(reasons)
    for name, reason in reasons.items():
        (line,) = (line for line in skipped if line.startswith(name))
        assert reason in line
        assert "--grayscale" not in line


def test_every_file_is_an_item_or_skipped(folder: Path) -> None:
    for number in range(5):
        (folder / f"{number}.dat").write_bytes(b"x")
    dataset = open_data(folder)
    told = {item.name.split("/0")[0] for item in dataset.items} | {s.split(":")[0] for s in dataset.skipped}
    assert told == {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("file", [None, "notes.txt", "broken.png"])
def test_a_folder_without_an_image_is_refused(tmp_path: Path, file: str | None) -> None:
    if file:
        (tmp_path / file).write_bytes(b"x")
    with pytest.raises(UnsupportedInput, match=file or "it is empty"):
        open_data(tmp_path)


def test_names_that_no_utf8_can_hold_are_escaped(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "x.png")
    try:
        os.rename(tmp_path / "x.png", os.path.join(os.fsencode(tmp_path), b"x\xff.png"))
    except OSError:
        pytest.skip("the file system takes names in UTF-8 only")
    (item,) = open_data(tmp_path).items
    assert item.name == "x\\udcff.png"
    np.testing.assert_array_equal(item.load(), RGB)


def test_single_files(folder: Path, tmp_path: Path) -> None:
    idx = tmp_path / "digits-idx3-ubyte"
    digits = RNG.integers(0, 256, (2, 4, 3), np.uint8)
    idx.write_bytes(idx_header(digits.shape, digits.dtype) + digits.tobytes())
    assert names(idx) == ["digits-idx3-ubyte/00000", "digits-idx3-ubyte/00001"]
    np.testing.assert_array_equal(open_data(idx).items[1].load(), digits[1])
    assert names(folder / "b.png") == ["b.png"]
    np.save(tmp_path / "one.npy", RGB)
    assert names(tmp_path / "one.npy") == ["one.npy"]
    np.testing.assert_array_equal(open_data(tmp_path / "one.npy").items[0].load(), RGB)
    np.savez(tmp_path / "labels.npz", labels=np.arange(10))
    with pytest.raises(UnsupportedInput, match=r"labels\.npz holds no images: .*int64"):
        open_data(tmp_path / "labels.npz")
    (tmp_path / "text.png").write_text("text")
    with pytest.raises(UnsupportedInput, match=r"text\.png cannot be read as an image"):
        open_data(tmp_path / "text.png")


def test_a_name_goes_before_a_folder_of_that_name(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEURALCODEC_DATA", str(tmp_path / "none"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "none"))
    os.rename(folder, tmp_path / "kodak")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnsupportedInput, match="run `neuralcodec data fetch kodak`"):
        open_data("kodak")
    assert len(open_data("./kodak").items) == 7


@given(st.integers(1, 9), st.integers(0, 2**32))
def test_a_subset_is_drawn_by_the_seed(
    tmp_path_factory: pytest.TempPathFactory, limit: int, seed: int
) -> None:
    place = tmp_path_factory.getbasetemp() / "seven"
    if not place.exists():
        place.mkdir()
        for number in range(7):
            Image.fromarray(RGB).save(place / f"{number}.png")
        (place / "3.png").write_bytes(b"broken")
    dataset = open_data(place, limit=limit, seed=seed)
    found = [item.name for item in dataset.items]
    expected = [number for number in draw(7, seed) if number != 3][:limit]
    assert found == [f"{number}.png" for number in sorted(expected)]
    assert (dataset.limit, dataset.seed) == (limit, seed)


def test_a_subset_of_a_folder_reads_no_more_than_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(9):
        Image.fromarray(RGB).save(tmp_path / f"{number}.png")
    read: list[str] = []
    original = open_data.__globals__["open_path"].__globals__["load_image"]
    monkeypatch.setattr(
        "neuralcodec.evaluation.data.local.load_image",
        lambda path, name: read.append(name) or original(path, name),
    )
    assert names(tmp_path, limit=2, seed=5) == sorted(read)
    assert len(read) == 2


def test_a_subset_of_a_stack_keeps_its_order(folder: Path) -> None:
    stack = folder / "stack.npy"
    assert names(stack, limit=2, seed=1) == [f"stack.npy/0000{n}" for n in sorted(draw(3, 1)[:2])]
    assert names(stack, limit=9) == names(stack)


@pytest.mark.parametrize(
    ("options", "words"), [({"limit": 0}, "limit of 0"), ({"limit": 1, "seed": -1}, "seed -1")]
)
def test_impossible_subsets_are_refused(folder: Path, options: dict[str, int], words: str) -> None:
    for spec in (folder, folder / "stack.npy"):
        with pytest.raises(UnsupportedInput, match=words):
            open_data(spec, **options)


def test_items_are_small_and_a_process_reads_a_stack_once(tmp_path: Path) -> None:
    np.save(tmp_path / "many.npy", RNG.integers(0, 256, (500, 28, 28), np.uint8))
    items = open_data(tmp_path / "many.npy").items
    assert len(pickle.dumps(items[0])) < 500
    assert pickle.loads(pickle.dumps(items[7])) == items[7]
    before = load_stack.cache_info().misses
    for item in items:
        item.load()
    assert load_stack.cache_info().misses == before


def test_a_changed_file_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    for value in (1, 2):
        np.save(path, np.full((2, 5, 5), value, np.uint8))
        os.utime(path, (value, value))
        assert open_data(path).items[0].load()[0, 0] == value


def test_loaded_images_are_the_callers_own(folder: Path) -> None:
    item = open_data(folder / "stack.npy").items[0]
    before = item.load()
    item.load()[:] = 0
    np.testing.assert_array_equal(item.load(), before)


@pytest.mark.parametrize(
    ("shape", "dtype", "expected"),
    [
        ((4, 5), "uint8", (1, 4, 5)),
        ((4, 5), "bool", (1, 4, 5)),
        ((4, 5, 3), "uint16", (1, 4, 5, 3)),
        ((4, 5, 1), "uint8", (1, 4, 5)),
        ((4, 5, 6), "uint8", (4, 5, 6)),
        ((2, 5, 6, 4), "uint8", (2, 5, 6, 4)),
        ((2, 5, 6, 1), "uint8", (2, 5, 6)),
        ((2, 3, 6, 6), "uint8", None),
        ((4,), "uint8", None),
        ((), "uint8", None),
        ((0, 5, 5), "uint8", None),
        ((4, 5), "int16", None),
    ],
)
def test_which_arrays_are_images(
    shape: tuple[int, ...], dtype: str, expected: tuple[int, ...] | None
) -> None:
    array = np.zeros(shape, dtype)
    if expected is None:
        with pytest.raises(UnsupportedInput, match="the array"):
            as_images(array, "the array")
    else:
        assert as_images(array, "the array").shape == expected


def test_the_images_of_an_idx_file_are_counted_first() -> None:
    assert as_images(np.zeros((4, 5, 3), np.uint8), "x", stacked=True).shape == (4, 5, 3)
    with pytest.raises(UnsupportedInput, match="missing samples"):
        as_images(np.ma.MaskedArray(np.zeros((2, 2), np.uint8), True), "x")


images = arrays.arrays(
    st.sampled_from([np.dtype(bool), np.dtype(np.uint8), np.dtype(np.uint16)]),
    arrays.array_shapes(min_dims=2, max_dims=3, max_side=4),
)


@given(images, images)
def test_equal_images_and_no_others_have_one_hash(first: np.ndarray, second: np.ndarray) -> None:
    same = first.dtype == second.dtype and np.array_equal(first, second)
    assert (sample_sha256(first) == sample_sha256(second)) == same
    assert sample_sha256(np.asfortranarray(first)) == sample_sha256(first)
    assert sample_sha256(first.astype(first.dtype.newbyteorder(">"))) == sample_sha256(first)


def test_what_the_hash_of_an_image_covers() -> None:
    ramp = np.arange(6).reshape(2, 3)
    for dtype, text in (
        ("uint8", b"uint8 2x3\n\0\1\2\3\4\5"),
        ("uint16", b"uint16 2x3\n\0\0\1\0\2\0\3\0\4\0\5\0"),
        ("bool", b"bool 2x3\n\0\1\1\1\1\1"),
    ):
        assert sample_sha256(ramp.astype(dtype)) == hashlib.sha256(text).hexdigest()


def test_cifar_sheets_and_records_hold_the_same(tmp_path: Path) -> None:
    pictures = RNG.integers(0, 256, (200, 32, 32, 3), np.uint8)
    sheet = pictures.reshape(2, 100, 32, 32, 3).transpose(0, 2, 1, 3, 4).reshape(64, 3200, 3)
    Image.fromarray(sheet).save(tmp_path / "sheet.webp", lossless=True)
    planes = pictures.transpose(0, 3, 1, 2).reshape(200, 3072)
    (tmp_path / "batch.bin").write_bytes(np.insert(planes, 0, 9, axis=1).tobytes())
    for file in ("sheet.webp", "batch.bin"):
        np.testing.assert_array_equal(load_stack(stamped("cifar", [str(tmp_path / file)])), pictures)
    both = stamped("cifar", [str(tmp_path / "batch.bin")], sort=True)
    shuffled = RNG.permutation(200)
    (tmp_path / "shuffled.bin").write_bytes(np.insert(planes[shuffled], 0, 1, axis=1).tobytes())
    again = stamped("cifar", [str(tmp_path / "shuffled.bin")], sort=True)
    np.testing.assert_array_equal(load_stack(both), load_stack(again))


def test_damaged_cifar_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "batch.bin").write_bytes(bytes(3072))
    file = io.BytesIO()
    Image.fromarray(RGB).save(file, "webp")
    (tmp_path / "sheet.webp").write_bytes(file.getvalue())
    for name, words in (("batch.bin", "no number of records of 3073"), ("sheet.webp", "is no sheet of 100")):
        with pytest.raises(UnsupportedInput, match=words):
            load_stack(stamped("cifar", [str(tmp_path / name)]))


def test_the_facts_of_the_known_sets_are_whole() -> None:
    assert list(known_sets())[:2] == ["kodak", "set14"]
    for known in known_sets().values():
        for one in known.downloads:
            hashes = [one.sha256, *one.members.values(), *([one.samples] if one.samples else [])]
            assert all(len(sha) == 64 and int(sha, 16) for sha in hashes)
            assert one.bytes > 0
            assert bool(one.members) != bool(one.samples)
            assert one.urls
            assert all(url.startswith(("https://", "http://fashion-mnist.s3-website")) for url in one.urls)
        if not known.kind:
            assert len(known.downloads) == known.images
            continue
        fetched = {name for one in known.downloads for name in (one.members or [one.file])}
        assert any(fetched.issuperset(layout) for layout in known.layouts)
        assert len(known.samples) == 64


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * n.startswith("cifar10")) for n in known_sets()]
)
def test_a_known_set_that_is_here_opens(name: str) -> None:
    known = known_sets()[name]
    copy = find_copy(known)
    if copy is None:
        pytest.skip(f"{name} is not on this machine")
    dataset = open_data(name)
    assert len(dataset.items) == known.images - len(dataset.skipped)
    first, last = dataset.items[0].load(), dataset.items[-1].load()
    assert first.dtype == last.dtype == np.uint8
    assert len({item.name for item in dataset.items}) == len(dataset.items)
