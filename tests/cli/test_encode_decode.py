"""Encoding and decoding: inputs, outputs, names, options, and messages when something does not fit."""

import gzip
import json
import os
from pathlib import Path

import numpy as np
import pytest
from command_line import Outcome, digits, invoke, make_model
from PIL import Image

from neuralcodec.signals.idx import idx_header


def ok(outcome: Outcome) -> Outcome:
    assert outcome.code == 0, outcome.stderr
    assert outcome.stderr == ""
    return outcome


def samples(path: Path | str) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    with Image.open(path) as image:
        return np.asarray(image)


def test_an_image_there_and_back(digit: Path, model: Path) -> None:
    assert ok(invoke("encode", "digit.png", "-m", model)).stdout == b""
    original = samples("digit.png")
    os.remove("digit.png")
    assert ok(invoke("decode", "digit.ncz", "-m", model)).stdout == b""
    np.testing.assert_array_equal(samples("digit.png"), original)


def test_a_single_file_carries_no_name(digit: Path, model: Path) -> None:
    ok(invoke("encode", "digit.png", "-m", model))
    data = Path("digit.ncz").read_bytes()
    assert b"digit" not in data
    report = json.loads(ok(invoke("info", "digit.ncz", "--json")).stdout)
    assert report["bytes"] - report["payload_bytes"] == 14


def test_profile_and_exif_come_back(model: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "a digit"
    Image.fromarray(digits(1)[0]).save("scan.png", icc_profile=b"profile", exif=exif)
    ok(invoke("encode", "scan.png", "-m", model))
    ok(invoke("decode", "scan.ncz", "-m", model, "-o", "again.png"))
    with Image.open("again.png") as image:
        assert image.info["icc_profile"] == b"profile"
        assert image.getexif()[0x010E] == "a digit"


def test_profile_and_exif_in_an_archive(model: Path) -> None:
    Image.fromarray(digits(1)[0]).save("a.png", icc_profile=b"profile")
    Image.fromarray(digits(1, 1)[0]).save("b.png")
    ok(invoke("encode", "a.png", "b.png", "-m", model, "-o", "two.ncz"))
    ok(invoke("decode", "two.ncz", "-m", model))
    with Image.open("two/a.png") as image:
        assert image.info["icc_profile"] == b"profile"
    with Image.open("two/b.png") as image:
        assert "icc_profile" not in image.info


@pytest.mark.parametrize("kind", ["npy", "npz", "idx", "idx.gz"])
def test_an_array_of_many_there_and_back(model: Path, kind: str) -> None:
    stack = digits(300)
    raw = idx_header(stack.shape, stack.dtype) + stack.tobytes()
    if kind == "npy":
        np.save("many.npy", stack)
    elif kind == "npz":
        np.savez("many.npz", stack)
    else:
        Path(f"many.{kind}").write_bytes(raw if kind == "idx" else gzip.compress(raw))
    ok(invoke("encode", f"many.{kind}", "-m", model, "--verify", "--group", 64))
    for out in ("again.npy", "again.npz", "again.idx", "again-idx3-ubyte.gz"):
        ok(invoke("decode", "many.ncz", "-m", model, "-o", out))
    np.testing.assert_array_equal(np.load("again.npy"), stack)
    np.testing.assert_array_equal(np.load("again.npz")["data"], stack)
    assert Path("again.idx").read_bytes() == raw == gzip.decompress(Path("again-idx3-ubyte.gz").read_bytes())


def test_a_folder_becomes_an_archive_and_a_folder_again(installed: str) -> None:
    for number, name in enumerate(["z.png", "ä ö/x.png", "ä ö/y.png"]):
        Path(name).parent.mkdir(exist_ok=True)
        Image.fromarray(digits(3)[number]).save(name)
    Path("notes.txt").touch()
    ok(invoke("encode", "ä ö", "-m", installed))
    os.rename("ä ö", "old")
    ok(invoke("decode", "ä ö.ncz"))
    assert sorted(os.listdir("ä ö")) == ["x.png", "y.png"]
    for name in ("x.png", "y.png"):
        np.testing.assert_array_equal(samples(f"ä ö/{name}"), samples(f"old/{name}"))


def test_several_inputs_keep_their_order_and_need_a_name(digit: Path, installed: str) -> None:
    np.save("many.npy", digits(3, 5))
    invoke("encode", "many.npy", "digit.png", "-m", installed).assert_error("--output")
    ok(invoke("encode", "many.npy", "digit.png", "-m", installed, "-o", "all.ncz"))
    ok(invoke("decode", "all.ncz", "-o", "all.npy"))
    np.testing.assert_array_equal(np.load("all.npy"), [*digits(3, 5), digits(1)[0]])
    facts = json.loads(ok(invoke("info", "all.ncz", "--json")).stdout)
    assert facts["names"] == [None, None, None, "digit.png"]


def test_indices(installed: str) -> None:
    np.save("many.npy", digits(300))
    ok(invoke("encode", "many.npy", "-m", installed))
    ok(invoke("decode", "many.ncz", "--index", "299,3-5", "-o", "some.npy"))
    np.testing.assert_array_equal(np.load("some.npy"), digits(300)[[299, 3, 4, 5]])
    ok(invoke("decode", "many.ncz", "--index", "7", "-o", "one.png"))
    np.testing.assert_array_equal(samples("one.png"), digits(300)[7])
    ok(invoke("decode", "many.ncz", "--index", "7-8,120", "-o", "some"))
    assert sorted(os.listdir("some")) == ["007.png", "008.png", "120.png"]
    np.testing.assert_array_equal(samples("some/120.png"), digits(300)[120])
    for wrong, words in (
        ("300", "300 signals"),
        ("5-3", "goes up"),
        ("x", "0,17,100-199"),
        ("-1", ""),
        ("", "0,17"),
    ):
        invoke("decode", "many.ncz", f"--index={wrong}", "-o", "x.npy").assert_error("--index", words)


def test_index_is_for_archives(digit: Path, installed: str) -> None:
    ok(invoke("encode", "digit.png", "-m", installed))
    invoke("decode", "digit.ncz", "--index", "0", "-o", "x.png").assert_error("one signal", "--index")


def test_missing_samples_survive(installed: str) -> None:
    mask = digits(2, 9) < 60
    np.savez("holes.npz", data=np.where(mask, 0, digits(2)), mask=mask)
    ok(invoke("encode", "holes.npz", "-m", installed))
    os.rename("holes.npz", "old.npz")
    ok(invoke("decode", "holes.ncz"))
    with np.load("holes.npz") as again, np.load("old.npz") as old:
        np.testing.assert_array_equal(again["mask"], old["mask"])
        np.testing.assert_array_equal(again["data"], old["data"])
    flat = invoke("decode", "holes.ncz", "-o", "flat.npy")
    assert (flat.code, flat.stderr.count("\n")) == (0, 1)
    assert "become 0" in flat.stderr
    np.testing.assert_array_equal(np.load("flat.npy"), np.where(mask, 0, digits(2)))


def test_conversions_only_when_asked(installed: str) -> None:
    Image.new("RGBA", (20, 20), (200, 100, 50, 255)).save("scan.png")
    invoke("encode", "scan.png", "-m", installed).assert_error(
        "scan.png", "6x4 8-bit gray", "--grayscale and --resize"
    )
    assert not Path("scan.ncz").exists()
    ok(invoke("encode", "scan.png", "-m", installed, "--grayscale", "--resize"))
    ok(invoke("decode", "scan.ncz", "-o", "small.png"))
    assert samples("small.png").tolist() == [[124] * 6] * 4


def test_the_report(digit: Path, installed: str) -> None:
    report = json.loads(ok(invoke("encode", "digit.png", "-m", installed, "--json")).stdout)
    size = Path("digit.ncz").stat().st_size
    assert report == {
        "output": "digit.ncz",
        "model": "tiny",
        "signals": 1,
        "samples": 24,
        "bytes": size,
        "bits_per_dimension": round(size / 3, 5),
    }


def test_standard_input_and_output(digit: Path, installed: str) -> None:
    coded = ok(invoke("encode", "-", "-m", installed, stdin=digit.read_bytes())).stdout
    assert coded.startswith(b"\x89NCZ")
    image = ok(invoke("decode", "-", stdin=coded)).stdout
    Path("again.png").write_bytes(image)
    np.testing.assert_array_equal(samples("again.png"), samples("digit.png"))
    array = ok(invoke("decode", "-", "-o", "-", "--format", "npy", stdin=coded)).stdout
    Path("again.npy").write_bytes(array)
    np.testing.assert_array_equal(np.load("again.npy"), samples("digit.png"))
    assert json.loads(ok(invoke("info", "-", "--json", stdin=coded)).stdout)["signals"] == 1


def test_an_archive_through_pipes(installed: str) -> None:
    np.save("many.npy", digits(50))
    coded = ok(invoke("encode", "-", "-m", installed, stdin=Path("many.npy").read_bytes())).stdout
    assert ok(invoke("decode", "-", stdin=coded)).stdout == Path("many.npy").read_bytes()


def test_overwriting_needs_force(digit: Path, installed: str) -> None:
    Path("digit.ncz").write_bytes(b"old")
    invoke("encode", "digit.png", "-m", installed).assert_error("digit.ncz", "--force")
    assert Path("digit.ncz").read_bytes() == b"old"
    ok(invoke("encode", "digit.png", "-m", installed, "--force"))
    before = digit.read_bytes()
    invoke("decode", "digit.ncz").assert_error("digit.png", "--force")
    assert digit.read_bytes() == before
    ok(invoke("decode", "digit.ncz", "-f"))


def test_a_failed_encode_leaves_the_old_file(installed: str) -> None:
    Image.fromarray(digits(1)[0]).save("a.png")
    Image.new("L", (9, 9)).save("b.png")
    Path("out.ncz").write_bytes(b"old")
    invoke("encode", "a.png", "b.png", "-m", installed, "-o", "out.ncz", "-f").assert_error("b.png")
    assert Path("out.ncz").read_bytes() == b"old"
    assert sorted(os.listdir()) == ["a.png", "b.png", "out.ncz"]


@pytest.mark.parametrize("output", ["x.npy", "folder", "x.idx.gz"])
def test_a_failed_decode_leaves_nothing(installed: str, output: str) -> None:
    np.save("many.npy", digits(2000))
    ok(invoke("encode", "many.npy", "-m", installed))
    data = bytearray(Path("many.ncz").read_bytes())
    data[-500] ^= 1  # in the last chunk, when the first is written already
    Path("many.ncz").write_bytes(data)
    invoke("decode", "many.ncz", "-o", output).assert_error("many.ncz", "chunk 1")
    assert sorted(os.listdir()) == ["many.ncz", "many.npy"]


def test_salvage(installed: str) -> None:
    np.save("many.npy", digits(3000))
    ok(invoke("encode", "many.npy", "-m", installed))
    whole = Path("many.ncz").read_bytes()
    assert invoke("decode", "many.ncz", "--salvage", "-o", "all.npy").code == 0
    np.testing.assert_array_equal(np.load("all.npy"), digits(3000))

    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 1
    Path("many.ncz").write_bytes(damaged)
    outcome = invoke("decode", "many.ncz", "--salvage", "-o", "some.npy")
    assert outcome.code == 1
    assert "1976 signals recovered; lost: 1024-2047" in outcome.stderr
    np.testing.assert_array_equal(np.load("some.npy"), np.delete(digits(3000), np.s_[1024:2048], axis=0))

    Path("many.ncz").write_bytes(whole[: len(whole) // 2])
    outcome = invoke("decode", "many.ncz", "--salvage", "-o", "first.npy")
    assert outcome.code == 1
    assert "1024 signals recovered; lost: what followed" in outcome.stderr


def test_wrong_and_unknown_models(digit: Path, installed: str, place: Path) -> None:
    ok(invoke("encode", "digit.png", "-m", installed))
    other = make_model(place / "other.ncm", seed=2)
    invoke("decode", "digit.ncz", "-m", other, "-o", "x.png").assert_error("digit.ncz", "made with the model")
    invoke("encode", "digit.png", "-m", "nonsense", "-f").assert_error("nonsense", "tiny")
    invoke("encode", "digit.png", "-m", "gone.ncm", "-f").assert_error("gone.ncm")
    invoke("encode", "digit.png", "-m", "digit.png", "-f").assert_error("digit.png")


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("x.jpg", ".jpg files are not written"),
        ("no/where.png", "no/where.png: there is no folder no"),
        ("no/folder/", "no/folder/: there is no folder no"),
    ],
)
def test_outputs_that_cannot_be(digit: Path, installed: str, output: str, words: str) -> None:
    ok(invoke("encode", "digit.png", "-m", installed))
    invoke("decode", "digit.ncz", "-o", output).assert_error(words)


def test_inputs_that_are_none(installed: str) -> None:
    Path("x.png").write_bytes(b"hello")
    Path("x.ncz").write_bytes(b"\x89NCZ\x01")
    invoke("encode", "x.png", "-m", installed, "-o", "y.ncz").assert_error("x.png")
    invoke("encode", "gone.png", "-m", installed).assert_error("gone.png: No such file")
    invoke("encode", "x.ncz", "-m", installed, "-o", "y.ncz").assert_error("neuralcodec file already")
    invoke("decode", "x.png").assert_error("x.png")
    invoke("decode", "x.ncz").assert_error("x.ncz")
    invoke("decode", "gone.ncz").assert_error("gone.ncz: No such file")
    invoke("decode", "x.ncz", "-o", "-", "--format", "bmp").assert_error("--format", "npy")


def test_a_signal_that_the_model_refuses_is_named(installed: str) -> None:
    np.save("floats.npy", np.zeros((4, 6)))
    invoke("encode", "floats.npy", "-m", installed).assert_error("floats.npy", "float64")
    np.save("wide.npy", np.zeros((3, 5, 6), np.uint8))
    invoke("encode", "wide.npy", "-m", installed).assert_error("wide.npy", "4 x 6 uint8")
    np.save("big.npy", np.full((3, 4, 6), 300, np.int32))
    invoke("encode", "big.npy", "-m", installed).assert_error("big.npy", "300")


def test_threads_do_not_change_files(installed: str) -> None:
    np.save("many.npy", digits(1500))
    for threads in (1, 2, 8):
        ok(invoke("encode", "many.npy", "-m", installed, "-o", f"{threads}.ncz", "--threads", threads))
    assert Path("1.ncz").read_bytes() == Path("2.ncz").read_bytes() == Path("8.ncz").read_bytes()


def test_a_folder_s_name_may_have_a_dot(place: Path, model: Path) -> None:
    for name in "ab":
        Image.fromarray(digits(1)[0]).save(place / f"{name}.png")
    ok(invoke("encode", "a.png", "b.png", "-m", model, "-o", "v1.0.ncz"))
    ok(invoke("decode", "v1.0.ncz", "-m", model))
    assert sorted(os.listdir("v1.0")) == ["a.png", "b.png"]
