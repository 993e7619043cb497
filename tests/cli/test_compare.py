"""`neuralcodec compare`: the page, the table, and what is told where it cannot be made."""

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import invoke, run
from PIL import Image

ROWS, COLUMNS = np.mgrid[0:48, 0:64]
PHOTO = (
    np.dstack([ROWS * 5, COLUMNS * 4, ROWS + COLUMNS]) + np.random.default_rng(1).integers(0, 16, 3)
) % 256


@pytest.fixture
def photo(place: Path) -> str:
    """A small picture, phöto.png."""
    Image.fromarray(PHOTO.astype(np.uint8)).save(place / "phöto.png")
    return "phöto.png"


def test_a_page_and_a_table(photo: str, place: Path) -> None:
    outcome = invoke(
        "compare", photo, "--codec", "jpeg", "-c", "webp", "-c", "png", "--bpp", "2.5", "--open", "no"
    )
    assert outcome.code == 0, outcome.stderr
    lines = outcome.text.splitlines()
    assert lines[0].split() == ["CODEC", "QUALITY", "BPP", "PSNR-RGB", "PSNR-Y", "SSIM-RGB"]
    assert [line.split()[0] for line in lines[1:]] == ["JPEG", "WebP", "PNG"]
    assert "infinite" in lines[3]
    assert "it has one rate for an image" in lines[3]
    page = (place / "phöto.html").read_text()
    for words in ("phöto.png", "nearest to 2.5 bits per pixel", "are shown at their nearest", "JPEG", "WebP"):
        assert words in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert sorted(path.name for path in place.iterdir()) == ["phöto.html", "phöto.png"]


def test_json_has_the_figures(photo: str, place: Path) -> None:
    outcome = invoke(
        *(
            "compare",
            photo,
            "-c",
            "jpeg@10,60",
            "-c",
            "jpeg:optimize=yes",
            "-c",
            "nosuch:Codec",
            "--bpp",
            "0.1",
        ),
        *("-o", "page.html", "--metric", "psnr-y", "--json"),
    )
    outcome.assert_error("nosuch:Codec cannot be imported")
    outcome = invoke(
        *("compare", photo, "-c", "jpeg@10,60", "-c", "jpeg:optimize=yes", "--bpp", "0.1"),
        *("-o", "page.html", "--metric", "psnr-y", "--json"),
    )
    value = json.loads(outcome.text)
    assert (value["image"], value["bpp"], value["page"]) == (photo, 0.1, "page.html")
    first, second = value["codecs"]
    assert first["quality"] == 10
    assert first["missed"] == f"its least rate for this image is {first['bpp']:.3f} bpp"
    assert first["bpp"] == 8 * first["bytes"] / (48 * 64)
    assert second["bytes"] < first["bytes"]
    assert [one["title"] for one in value["codecs"]] == ["JPEG", "JPEG (optimize=yes)"]
    assert set(first) == {
        *("codec", "title", "quality", "bpp", "bytes", "missed", "tried", "mse", "max-error", "psnr-y")
    }


def test_a_codec_that_fails_is_told_and_the_others_are_shown(photo: str, place: Path) -> None:
    Image.fromarray(PHOTO[..., 0].astype(np.uint16) * 200).save(place / "deep.png")
    outcome = invoke("compare", "deep.png", "-c", "jpeg2000", "-c", "jpeg", "--bpp", "1", "--json")
    assert outcome.code == 0
    good, bad = json.loads(outcome.text)["codecs"]
    assert good["codec"] == "jpeg2000"
    assert bad["codec"] == "jpeg"
    assert "jpeg cannot code the image: it" in bad["error"]
    assert bad["error"] in outcome.stderr
    invoke("compare", "deep.png", "-c", "jpeg", "--bpp", "1", "-f").assert_error("jpeg cannot code the image")


def test_a_codec_may_raise_anything(photo: str, place: Path) -> None:
    (place / "raising.py").write_text(
        "from neuralcodec.codecs.classical.png import Png\n"
        "class Raising(Png):\n"
        "    def decode(self, payload, fields):\n"
        "        raise ZeroDivisionError('boom')\n"
    )
    outcome = invoke("compare", photo, "-c", "raising:Raising", "-c", "jpeg", "--bpp", "1")
    assert outcome.code == 0
    assert "raising:Raising: ZeroDivisionError: boom" in outcome.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-c", "jpeg", "--bpp", "0"], "0 bits per pixel is no rate"),
        (["-c", "jpeg", "--bpp", "1", "--metric", "vmaf"], "no metric is called 'vmaf'"),
        (
            ["-c", "jpeg", "--bpp", "1", "--metric", "ms-ssim-rgb"],
            "needs a short side of more than 160 pixels",
        ),
        (["-c", "jpeg", "-c", "jpeg", "--bpp", "1"], "--codec jpeg is given twice"),
        (["-c", "jpgg", "--bpp", "1"], "did you mean jpeg"),
        (["-c", "jpeg", "--bpp", "1", "--open", "maybe"], "--open maybe: it is yes or no"),
        (["-c", "jpeg", "--bpp", "1", "-o", "phöto.png"], "phöto.png"),
        (["-c", "jpeg", "--bpp", "1", "-o", "no/page.html"], "no/page.html: there is no folder"),
        (["-c", "jpeg", "--bpp", "1", "-o", "-"], "-o -: the page is a file"),
        (["-c", "jpeg"], "--bpp"),
        (["--bpp", "1"], "--codec"),
        (
            ["phöto.png", "-c", "jpeg", "--bpp", "1"],
            "2 images were given (phöto.png, phöto.png); compare shows one",
        ),
    ],
)
def test_what_cannot_be_done_is_told(photo: str, place: Path, words: list[str], message: str) -> None:
    invoke("compare", photo, *words).assert_error(message)
    assert [path.name for path in place.iterdir()] == ["phöto.png"]


def test_several_images_in_one_file_or_folder_are_refused(photo: str, place: Path) -> None:
    np.save(place / "many.npy", np.zeros((3, 8, 8), np.uint8))
    for given, count in (("many.npy", 3), (".", 4)):
        invoke("compare", given, "-c", "jpeg", "--bpp", "1").assert_error(
            f"{given} holds {count} images; compare shows one"
        )


def test_a_page_is_not_overwritten_unasked(photo: str, place: Path) -> None:
    (place / "phöto.html").write_text("mine")
    words = ("compare", photo, "-c", "jpeg", "--bpp", "1")
    run(*words).assert_error("exists already")
    assert (place / "phöto.html").read_text() == "mine"
    assert run(*words, "--force").code == 0
    assert (place / "phöto.html").read_text() != "mine"


def test_a_browser_is_started_only_if_asked(photo: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or False)
    words = ("compare", photo, "-c", "jpeg", "--bpp", "1", "-f")
    assert invoke(*words).code == 0
    assert opened == []
    outcome = invoke(*words, "--open", "yes")
    assert opened == [(place / "phöto.html").resolve().as_uri()]
    assert "no browser could be started: open phöto.html yourself" in outcome.stderr


def test_codecs_of_one_title_are_told_apart(photo: str) -> None:
    words = ("compare", photo, "-c", "jpeg@10,60", "-c", "jpeg@70,90", "--bpp", "1", "--json")
    titles = [one["title"] for one in json.loads(invoke(*words).text)["codecs"]]
    assert titles == ["JPEG (jpeg@10,60)", "JPEG (jpeg@70,90)"]
