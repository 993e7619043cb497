"""Training and coding of photographs, as users do it."""

import io
import json
import zlib
from pathlib import Path

import numpy as np
import pytest
from command_line import invoke, run
from hypothesis import HealthCheck, given, settings
from photo.tiny_photos import tiny_model, waves
from PIL import Image
from png_files import Drawn, facts_of, pngs

from neuralcodec.artifact import read_artifact, write_artifact
from neuralcodec.container.png import SIGNATURE, Head, chunk, exact_samples, read_head
from neuralcodec.info import read_info
from neuralcodec.photo import payload as payloads
from neuralcodec.photo.payload import encode_image

QUICK = ("--hidden", "8", "--components", "4", "--steps", "5", "--batch", "64", "--threads", "1")


@pytest.fixture
def tiny(place: Path) -> Path:
    write_artifact("tiny.ncm", tiny_model().artifact)
    Image.fromarray(waves(40, 30, 3)).save("photo.png", exif=b"II*\0", icc_profile=b"profile")
    return place


@pytest.mark.usefixtures("tiny")
def test_a_png_returns_with_what_it_had() -> None:
    assert invoke("encode", "photo.png", "-m", "tiny.ncm", "--verify").code == 0
    assert invoke("decode", "photo.ncz", "-m", "tiny.ncm", "-o", "again.png").code == 0
    with Image.open("photo.png") as before, Image.open("again.png") as after:
        assert np.array_equal(np.asarray(before), np.asarray(after))
        assert after.info["icc_profile"] == b"profile"
        assert after.info["exif"].removeprefix(b"Exif\0\0") == b"II*\0"
    outcome = invoke("info", "photo.ncz", "--json")
    assert json.loads(outcome.text)["codec"] == "photo"


@pytest.mark.usefixtures("tiny")
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pngs())
def test_png_files_of_every_layout_return_and_are_no_larger(drawn: Drawn) -> None:
    Path("any.png").write_bytes(drawn.file)
    assert invoke("encode", "any.png", "-m", "tiny.ncm", "-f").code == 0
    assert invoke("decode", "any.ncz", "-m", "tiny.ncm", "-o", "again.png", "-f").code == 0
    again = Path("again.png").read_bytes()
    assert facts_of(again) == facts_of(drawn.file)
    head = read_head(again)
    assert head is not None
    assert np.array_equal(exact_samples(again, head), drawn.samples)
    assert Path("any.ncz").stat().st_size <= len(drawn.file) + 64


@pytest.mark.usefixtures("tiny")
def test_an_image_needs_no_model() -> None:
    photo = Path("photo.png").read_bytes()
    Path("unnamed").write_bytes(photo)
    coded = run("encode", "-", stdin=photo)
    assert coded.code == 0, coded.stderr
    assert run("encode", "unnamed", "-o", "unnamed.ncz").code == 0
    assert read_info("unnamed.ncz").model == read_info(coded.stdout).model == "pc-photo"
    again = run("decode", "-", stdin=coded.stdout).stdout
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(again))), np.asarray(Image.open("photo.png")))
    run("encode", "-", stdin=b"no image").assert_error("no model is given")


@pytest.mark.usefixtures("tiny")
def test_a_png_that_is_smaller_than_ours_is_kept() -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, 300).astype(np.uint8)
    # The first rows go best without a filter, the others with the filter that takes differences to the row above.
    rows = np.stack([np.roll(noise, int(rng.integers(300))) for _ in range(40)])
    samples = np.concatenate(
        [rows, noise + np.arange(40, dtype=np.uint8)[:, None] * 7 + rng.integers(0, 2, (40, 1))]
    )
    samples = samples.astype(np.uint8)
    above = np.concatenate([samples[39:], samples[-1:]])[:40]
    body = [b"\0" + row.tobytes() for row in samples[:40]]
    body += [b"\2" + (row - one).tobytes() for row, one in zip(samples[40:], above, strict=True)]
    head = Head(300, 80, 8, 0)
    file = SIGNATURE + chunk(b"IHDR", head.to_bytes()) + chunk(b"IDAT", zlib.compress(b"".join(body), 9))
    Path("kept.png").write_bytes(file + chunk(b"IEND", b""))
    with Image.open("kept.png") as image:
        assert np.array_equal(np.asarray(image), samples)
    assert len(encode_image(tiny_model(), samples)) > len(file) + 64
    assert invoke("encode", "kept.png", "-m", "tiny.ncm", "--verify").code == 0
    assert Path("kept.ncz").stat().st_size < len(file)
    assert invoke("decode", "kept.ncz", "-m", "tiny.ncm", "-o", "kept.npy").code == 0
    assert np.array_equal(np.load("kept.npy"), samples)


@pytest.mark.usefixtures("place")
def test_a_shuffled_palette_is_coded_as_colours_and_restored() -> None:
    order = np.random.default_rng(0).permutation(256).astype(np.uint8)
    picture = Image.fromarray(order[waves(80, 90, 1)[:, :, 0]])
    picture.putpalette(bytes(np.repeat(order.argsort(), 3).astype(np.uint8)))
    picture.save("shuffled.png")
    assert invoke("encode", "shuffled.png", "-m", "pc-photo-fast", "--verify").code == 0
    assert read_info("shuffled.ncz").shape == (80, 90, 3)
    assert invoke("decode", "shuffled.ncz", "-o", "again.png").code == 0
    with Image.open("shuffled.png") as before, Image.open("again.png") as after:
        assert np.array_equal(np.asarray(before), np.asarray(after))
        assert before.getpalette() == after.getpalette()
    size = Path("shuffled.ncz").stat().st_size
    assert size < 0.7 * Path("shuffled.png").stat().st_size
    assert invoke("decode", "shuffled.ncz", "--crop", "3,4,20,10", "-o", "part.png").code == 0
    with Image.open("shuffled.png") as before, Image.open("part.png") as part:
        assert np.array_equal(np.asarray(before)[4:14, 3:23], np.asarray(part))


@pytest.mark.usefixtures("tiny")
def test_palettes_in_an_archive() -> None:
    Path("many").mkdir()
    for number in range(3):
        picture = Image.fromarray(waves(9, 12, 1, number)[:, :, 0] // 32)
        picture.putpalette([number, 0, 0, *range(60)])
        picture.save(f"many/{number}.png", transparency=number)
    assert invoke("encode", "many", "-m", "tiny.ncm", "-o", "many.ncz").code == 0
    assert invoke("decode", "many.ncz", "-m", "tiny.ncm", "-o", "out").code == 0
    for number in range(3):
        before, after = (Path(folder, f"{number}.png").read_bytes() for folder in ("many", "out"))
        assert facts_of(before) == facts_of(after)
    assert invoke("encode", "many/0.png", "-m", "pc-mnist").code == 2


@pytest.mark.usefixtures("tiny")
def test_crop() -> None:
    invoke("encode", "photo.png", "-m", "tiny.ncm")
    assert invoke("decode", "photo.ncz", "-m", "tiny.ncm", "--crop", "2,3,10,20", "-o", "part.npy").code == 0
    assert np.array_equal(np.load("part.npy"), waves(40, 30, 3)[3:23, 2:12])
    for crop, words in (
        ("1,2,3", "such as 0,0,640,480"),
        ("1,2,0,4", "such as"),
        ("9,9,99,1", "does not lie"),
    ):
        invoke("decode", "photo.ncz", "-m", "tiny.ncm", "--crop", crop, "-o", "x.npy").assert_error(words)
    invoke(
        "decode", "photo.ncz", "-m", "tiny.ncm", "--crop", "0,0,1,1", "--salvage", "-o", "x.npy"
    ).assert_error("--crop does not go with --salvage")


@pytest.mark.usefixtures("tiny")
def test_salvage_of_a_damaged_photograph(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payloads, "SIDE", 20)
    monkeypatch.setattr(payloads, "_looks_synthetic", lambda *_: False)
    monkeypatch.setattr("neuralcodec.codecs.photo.payload_of_png", lambda *_: None)
    monkeypatch.setattr(payloads.encode_image, "__defaults__", (20,))
    invoke("encode", "photo.png", "-m", "tiny.ncm")
    data = bytearray(Path("photo.ncz").read_bytes())
    data[-9] ^= 1
    Path("photo.ncz").write_bytes(data)
    invoke("decode", "photo.ncz", "-m", "tiny.ncm", "-o", "x.npz").assert_error("is damaged")
    outcome = invoke("decode", "photo.ncz", "-m", "tiny.ncm", "--salvage", "-o", "x.npz")
    assert outcome.code == 1
    assert "the tile of 15x20 at 15,20 is damaged" in outcome.stderr
    with np.load("x.npz") as file:
        assert file["mask"].reshape(40, 30, 3).sum() == 15 * 20 * 3
        kept = ~file["mask"].reshape(40, 30, 3)
        assert np.array_equal(file["data"].reshape(40, 30, 3)[kept], waves(40, 30, 3)[kept])


def test_training(place: Path) -> None:
    pytest.importorskip("torch", reason="learning needs torch")
    Path("images").mkdir()
    for seed in range(3):
        Image.fromarray(waves(40, 36, 3, seed)).save(f"images/{seed}.png")
    words = (
        "train",
        "photo",
        "images",
        "-o",
        "my.ncm",
        *QUICK,
        "--checkpoint",
        "my.part",
        "--licence",
        "CC0-1.0",
        "--online",
        "all",
    )
    outcome = invoke(*words)
    assert outcome.code == 0, outcome.stderr
    header = read_artifact("my.ncm").header
    assert (header["name"], header["licence"], header["recipe"]["steps"]) == ("my", "CC0-1.0", 5)
    assert b"all layers" in invoke("models", "show", "my.ncm").stdout
    assert invoke(*words, "--resume", "-f").code == 0
    assert invoke("encode", "images/0.png", "-m", "my.ncm", "--verify").code == 0
    for wrong, told in (
        (("--hidden", "6"), "--hidden 6: it takes a multiple of 4"),
        (("--rate", "0"), "a step size is above 0"),
        (("--online", "both"), "--online both: it takes none, last, all"),
    ):
        invoke(*words, *wrong, "-f").assert_error(told)
    invoke("train", "photo", "images", "-o", "x.ncm", "--resume").assert_error(
        "name its file with --checkpoint"
    )
