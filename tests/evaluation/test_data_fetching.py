"""Fetching: from a server with all the faults that servers have, checked, resumed and placed as a whole."""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from evaluation.file_server import Files, serving

from neuralcodec.errors import UnsupportedInput
from neuralcodec.evaluation.data import open_data, sample_sha256, sets
from neuralcodec.evaluation.data.fetching import fetch
from neuralcodec.evaluation.data.sets import Download, KnownSet
from neuralcodec.signals.idx import idx_header
from neuralcodec.signals.images import write_png

RNG = np.random.default_rng(4)
PICTURES = {name: RNG.integers(0, 256, (40, 50, 3), np.uint8) for name in ("a", "b")}
DIGITS = RNG.integers(0, 256, (7, 28, 28), np.uint8)
IDX = idx_header(DIGITS.shape, DIGITS.dtype) + DIGITS.tobytes()
BATCH = RNG.integers(0, 256, 5 * 3073, np.uint8).tobytes()


def png(samples: np.ndarray) -> bytes:
    file = io.BytesIO()
    write_png(file, samples)
    return file.getvalue()


def tar(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return file.getvalue()


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def download(name: str, data: bytes, url: str, samples: str = "", **extra: object) -> Download:
    urls = [f"{url}/mirror/{name}", f"{url}/{name}"]
    return Download(name, len(data), sha(data), urls, samples, **extra)  # type: ignore[arg-type]


@pytest.fixture
def server() -> Iterator[Files]:
    """A server whose mirror has nothing, and whose root has all."""
    files = Files({f"/{name}.png": png(picture) for name, picture in PICTURES.items()})
    files.content |= {"/d.gz": gzip.compress(IDX), "/c.tar.gz": tar({"in/b.bin": BATCH, "in/readme": b"x"})}
    with serving(files):
        yield files


@pytest.fixture(autouse=True)
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NEURALCODEC_DATA", str(tmp_path / "dätä"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "dätä"


@pytest.fixture
def pictures(server: Files) -> KnownSet:
    files = [
        download(f"{name}.png", png(picture), server.url, sample_sha256(picture))
        for name, picture in PICTURES.items()
    ]
    return KnownSet("pictures", "Pictures", "http://home", 2, ["pictures"], files)


@pytest.fixture
def digits(server: Files) -> KnownSet:
    hashed = sample_sha256(DIGITS)
    one = download("d.gz", server.content["/d.gz"], server.url, hashed)
    return KnownSet("digits", "Digits", "http://home", 7, ["digits"], [one], "idx", [["d.gz"]], hashed)


@pytest.fixture
def batch(server: Files) -> KnownSet:
    one = download("c.tar.gz", server.content["/c.tar.gz"], server.url, members={"in/b.bin": sha(BATCH)})
    return KnownSet("batch", "Batch", "http://home", 5, ["batch"], [one], "cifar", [["in/b.bin"]], "0" * 64)


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Callable[[KnownSet], None]:
    """Make a data set known by its name."""

    def register(one: KnownSet) -> None:
        monkeypatch.setattr("neuralcodec.evaluation.data.opening.known_sets", lambda: {one.name: one})

    return register


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_images_are_fetched_from_the_first_address_that_has_them(
    pictures: KnownSet, data_folder: Path, known: Callable[[KnownSet], None]
) -> None:
    moved: list[int] = []
    copy = fetch(pictures, moved.append)
    assert names(data_folder) == ["pictures/a.png", "pictures/b.png"]
    assert copy.folder == str(data_folder / "pictures")
    assert sum(moved) == pictures.bytes
    known(pictures)
    loaded = {item.name: item.load() for item in open_data("pictures").items}
    for name, picture in PICTURES.items():
        np.testing.assert_array_equal(loaded[name], picture, strict=True)


def test_what_is_here_is_not_fetched_again(pictures: KnownSet, server: Files, data_folder: Path) -> None:
    fetch(pictures)
    (data_folder / "pictures/b.png").unlink()
    server.asked.clear()
    fetch(pictures)
    assert [path for path, _ in server.asked] == ["/mirror/b.png", "/b.png"]
    server.asked.clear()
    fetch(pictures)
    assert server.asked == []


def test_a_stack_is_fetched(digits: KnownSet, known: Callable[[KnownSet], None]) -> None:
    fetch(digits)
    known(digits)
    dataset = open_data("digits")
    assert [item.name for item in dataset.items][:2] == ["digits/00000", "digits/00001"]
    np.testing.assert_array_equal([item.load() for item in dataset.items], DIGITS)


def test_an_archive_is_unpacked_and_removed(
    batch: KnownSet, data_folder: Path, known: Callable[[KnownSet], None]
) -> None:
    fetch(batch)
    assert names(data_folder) == ["batch/in/b.bin"]
    known(batch)
    records = np.frombuffer(BATCH, np.uint8).reshape(5, 3073)
    for number, item in enumerate(open_data("batch").items):
        red, green, blue = records[number, 1:].reshape(3, 32, 32)
        np.testing.assert_array_equal(item.load(), np.dstack([red, green, blue]))


@pytest.mark.parametrize("ranges", [True, False], ids=["with Range", "without Range"])
def test_a_download_that_was_cut_goes_on(
    digits: KnownSet, server: Files, data_folder: Path, ranges: bool
) -> None:
    whole = server.content["/d.gz"]
    (data_folder / "digits").mkdir(parents=True)
    (data_folder / "digits/d.gz.part").write_bytes(whole[:1000])
    server.ranges = ranges
    moved: list[int] = []
    fetch(digits, moved.append)
    assert server.asked[-1] == ("/d.gz", "bytes=1000-")
    assert (data_folder / "digits/d.gz").read_bytes() == whole
    assert sum(moved) == len(whole)
    assert moved[0] == (1000 if ranges else 0)
    assert names(data_folder) == ["digits/d.gz"]


def test_a_download_that_was_whole_already_is_placed(
    digits: KnownSet, server: Files, data_folder: Path
) -> None:
    (data_folder / "digits").mkdir(parents=True)
    (data_folder / "digits/d.gz.part").write_bytes(server.content["/d.gz"])
    fetch(digits)
    assert names(data_folder) == ["digits/d.gz"]


@pytest.mark.parametrize("left", [b"another file, of some bytes", b"x" * 1_000_000], ids=["short", "long"])
def test_what_another_file_left_is_not_built_upon(
    digits: KnownSet, server: Files, data_folder: Path, left: bytes
) -> None:
    (data_folder / "digits").mkdir(parents=True)
    (data_folder / "digits/d.gz.part").write_bytes(left)
    moved: list[int] = []
    fetch(digits, moved.append)
    assert (data_folder / "digits/d.gz").read_bytes() == server.content["/d.gz"]
    assert sum(moved) == digits.bytes


def test_a_connection_that_breaks_is_tried_again_where_it_broke(digits: KnownSet, server: Files) -> None:
    server.cut_after = 2000
    fetch(digits)
    assert [asked for path, asked in server.asked if path == "/d.gz"] == [None, "bytes=2000-", "bytes=4000-"]


def test_an_interrupted_download_goes_on(digits: KnownSet, server: Files, data_folder: Path) -> None:
    server.content["/d.gz"] += bytes(700_000)  # zeros after a gzip member, so that there are several blocks
    one = download("d.gz", server.content["/d.gz"], server.url)
    digits = replace(digits, downloads=[one])

    def interrupt(n: int) -> None:
        if n:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(digits, interrupt)
    there = (data_folder / "digits/d.gz.part").stat().st_size
    assert 0 < there < one.bytes
    assert names(data_folder) == ["digits/d.gz.part"]
    fetch(digits)
    assert server.asked[-1] == ("/d.gz", f"bytes={there}-")
    assert (data_folder / "digits/d.gz").read_bytes() == server.content["/d.gz"]


def test_a_truncated_download_is_told_and_kept(digits: KnownSet, server: Files, data_folder: Path) -> None:
    server.cut_after = 500
    with pytest.raises(UnsupportedInput, match=r"the connection ended after 1500 of \d+ bytes"):
        fetch(digits)
    assert names(data_folder) == ["digits/d.gz.part"]
    server.cut_after = None
    fetch(digits)
    assert names(data_folder) == ["digits/d.gz"]


def test_a_server_that_sends_another_range_is_refused(
    digits: KnownSet, server: Files, data_folder: Path
) -> None:
    (data_folder / "digits").mkdir(parents=True)
    (data_folder / "digits/d.gz.part").write_bytes(server.content["/d.gz"][:1000])
    server.shift = 8
    with pytest.raises(
        UnsupportedInput, match="the server sent bytes from 1008 on, asked for those from 1000"
    ):
        fetch(digits)


def test_a_wrong_file_never_takes_its_place(digits: KnownSet, server: Files, data_folder: Path) -> None:
    other = DIGITS.copy()
    other[3, 4, 5] ^= 1
    server.content["/d.gz"] = gzip.compress(idx_header(other.shape, other.dtype) + other.tobytes())
    with pytest.raises(UnsupportedInput, match="a wrong file, the SHA-256 of its samples is"):
        fetch(digits)
    assert names(data_folder) == []


def test_a_page_in_place_of_the_file_is_told(pictures: KnownSet, server: Files) -> None:
    server.content["/a.png"] = b"<html>You have reached the limit</html>"
    with pytest.raises(UnsupportedInput, match=r"a wrong file, a\.png cannot be read as an image"):
        fetch(pictures)


def test_an_endless_file_is_cut_off(pictures: KnownSet, server: Files) -> None:
    server.content["/a.png"] = bytes(3_000_000)
    with pytest.raises(UnsupportedInput, match="the server sends more than"):
        fetch(pictures)


def test_the_same_samples_in_another_wrapper_are_right(
    digits: KnownSet, server: Files, data_folder: Path
) -> None:
    server.content["/d.gz"] = gzip.compress(IDX, 1)
    fetch(digits)
    assert names(data_folder) == ["digits/d.gz"]


def test_without_network_the_error_tells_what_to_do(pictures: KnownSet, data_folder: Path) -> None:
    nowhere = [replace(one, urls=["http://127.0.0.1:9/" + one.file]) for one in pictures.downloads]
    first = nowhere[0]
    with pytest.raises(UnsupportedInput) as caught:
        fetch(replace(pictures, downloads=nowhere))
    message = str(caught.value)
    for words in (
        "Connection refused",
        f"download http://127.0.0.1:9/a.png ({first.bytes} bytes, SHA-256 {first.sha256}), and 1 more, and put it",
        str(data_folder / "pictures"),
        "neuralcodec data list pictures",
    ):
        assert words in message


def test_a_missing_file_is_told(pictures: KnownSet, server: Files) -> None:
    del server.content["/b.png"]
    with pytest.raises(UnsupportedInput, match=r"b\.png of pictures cannot be fetched .*404 Not Found"):
        fetch(pictures)


def test_what_may_be_lacking_is_told_as_skipped(
    pictures: KnownSet, data_folder: Path, known: Callable[[KnownSet], None]
) -> None:
    known(replace(pictures, downloads=[pictures.downloads[0], replace(pictures.downloads[1], optional=True)]))
    (data_folder / "pictures").mkdir(parents=True)
    (data_folder / "pictures/a.png").write_bytes(png(PICTURES["a"]))
    dataset = open_data("pictures")
    assert [item.name for item in dataset.items] == ["a"]
    assert dataset.skipped == [f"b: not in this copy ({data_folder / 'pictures'})"]


def test_a_changed_file_is_refused(
    pictures: KnownSet, digits: KnownSet, data_folder: Path, known: Callable[[KnownSet], None]
) -> None:
    for one, file in ((pictures, "a.png"), (digits, "d.gz")):
        fetch(one)
        known(one)
        samples = np.zeros((40, 50, 3), np.uint8)
        other = png(samples) if file == "a.png" else gzip.compress(idx_header((1, 2), samples.dtype) + b"ab")
        (data_folder / one.name / file).write_bytes(other)
        with pytest.raises(
            UnsupportedInput, match=rf"{file}.*the SHA-256 of (its|their) samples.*remove it and"
        ):
            open_data(one.name)


def test_a_set_that_is_not_here_names_the_command(
    digits: KnownSet, server: Files, known: Callable[[KnownSet], None]
) -> None:
    known(digits)
    with pytest.raises(UnsupportedInput, match="run `neuralcodec data fetch digits`"):
        open_data("digits")
    assert server.asked == []


def test_the_cache_folder_comes_second(
    digits: KnownSet, data_folder: Path, known: Callable[[KnownSet], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    known(digits)
    monkeypatch.delenv("NEURALCODEC_DATA")
    cached = fetch(digits).folder
    assert cached == sets.home_of(digits)
    monkeypatch.setenv("NEURALCODEC_DATA", str(data_folder))
    assert open_data("digits").folder == cached
    (data_folder / "digits").mkdir(parents=True)
    (data_folder / "digits/d.gz").write_bytes(gzip.compress(IDX))
    assert open_data("digits").folder == str(data_folder / "digits")
