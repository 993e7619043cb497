"""`neuralcodec data`: what there is, where it is, and how to get it."""

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import invoke, run
from evaluation.file_server import Files, serving
from PIL import Image

from neuralcodec.evaluation.data import sample_sha256, sets
from neuralcodec.evaluation.data.sets import Download, KnownSet
from neuralcodec.evaluation.data.verifying import file_sha256


@pytest.fixture(autouse=True)
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NEURALCODEC_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "data"


@pytest.fixture
def known(place: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, KnownSet]:
    """One data set of one image, which is nowhere yet."""
    samples = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    Image.fromarray(samples).save(place / "a.png")
    download = Download(
        "a.png",
        (place / "a.png").stat().st_size,
        file_sha256(str(place / "a.png")),
        ["http://127.0.0.1:9/a.png"],
        sample_sha256(samples),
    )
    found = {"tiny": KnownSet("tiny", "A tiny set", "http://home", 1, ["tiny"], [download])}
    monkeypatch.setattr(sets, "known_sets", lambda: found)
    return found


def test_list_tells_what_there_is_and_where(known: dict[str, KnownSet], data_folder: Path) -> None:
    for words in (["data"], ["data", "list"]):
        lines = invoke(*words).text.splitlines()
        assert [line.split() for line in lines] == [
            ["NAME", "IMAGES", "DOWNLOAD", "WHERE", "TITLE"],
            *[["tiny", "1", str(known["tiny"].bytes), "bytes", "not", "here", "A", "tiny", "set"]],
        ]
        (row,) = json.loads(invoke(*words, "--json").text)
        assert (row["name"], row["path"], row["images"]) == ("tiny", None, 1)


def test_list_of_a_set_tells_its_files(known: dict[str, KnownSet], data_folder: Path) -> None:
    one = known["tiny"].downloads[0]
    text = invoke("data", "list", "tiny").text
    assert f"to be put in {data_folder / 'tiny'}" in text
    assert f"a.png  {one.bytes}" in text
    assert one.sha256 in text
    value = json.loads(invoke("data", "list", "tiny", "--json").text)
    assert value["folder"] == str(data_folder / "tiny")
    assert value["files"] == [
        {"file": "a.png", "bytes": one.bytes, "sha256": one.sha256, "urls": list(one.urls)}
    ]


def test_fetch_and_path(known: dict[str, KnownSet], place: Path, data_folder: Path) -> None:
    invoke("data", "path", "tiny").assert_error("not on this machine", "neuralcodec data fetch tiny")
    invoke("data", "fetch", "tiny").assert_error("Connection refused", "download http://127.0.0.1:9/a.png")
    with serving(Files({"/a.png": (place / "a.png").read_bytes()})) as files:
        known["tiny"].downloads[0].urls[0:] = [f"{files.url}/a.png"]  # type: ignore[index]
        value = json.loads(invoke("data", "fetch", "tiny", "--json").text)
        assert value["path"] == str(data_folder / "tiny")
        assert invoke("data", "fetch", "tiny").code == 0
        assert len(files.asked) == 1
    assert invoke("data", "path", "tiny").text == f"{data_folder / 'tiny'}\n"
    found = json.loads(invoke("data", "path", "tiny", "--json").text)
    assert found["files"] == [str(data_folder / "tiny" / "a.png")]


def test_unknown_names_are_told() -> None:
    for verb in ("list", "fetch", "path"):
        run("data", verb, "kodka").assert_error(
            "no data set is called 'kodka'; there are kodak, set14, mnist"
        )


def test_a_folder_that_cannot_be_written_to_is_told(known: dict[str, KnownSet], data_folder: Path) -> None:
    data_folder.write_text("a file")
    invoke("data", "fetch", "tiny").assert_error("Not a directory", str(data_folder))
