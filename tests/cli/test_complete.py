"""`neuralcodec complete`: inputs, masks, ways, outputs, and messages when something does not fit."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from command_line import HEIGHT, WIDTH, Outcome, digits, invoke, run
from numpy.typing import NDArray
from PIL import Image

from neuralcodec.circuits.circuit import Circuit
from neuralcodec.circuits.queries import HOWS
from neuralcodec.zoo.resolve import load_model

LOWER = np.arange(HEIGHT)[:, None] + np.zeros((1, WIDTH), int) >= HEIGHT // 2


@pytest.fixture
def mask(place: Path) -> Path:
    """The lower half of the image, mask.png."""
    Image.fromarray((LOWER * 200).astype(np.uint8)).save(place / "mask.png")
    return place / "mask.png"


@pytest.fixture
def circuit(model: Path) -> Circuit:
    loaded = load_model(model)
    assert isinstance(loaded, Circuit)
    return loaded


def samples(path: Path | str) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image)


def ok(outcome: Outcome) -> Outcome:
    assert outcome.code == 0, outcome.stderr
    assert outcome.stderr == ""
    return outcome


@pytest.mark.parametrize("how", HOWS)
def test_each_way_is_the_circuit_s(digit: Path, mask: Path, model: Path, circuit: Circuit, how: str) -> None:
    assert ok(invoke("complete", "digit.png", "--mask", "mask.png", "-m", model, "--how", how)).stdout == b""
    expected = circuit.complete(digits(1), LOWER, how)[0]  # type: ignore[arg-type]
    np.testing.assert_array_equal(samples("digit.completed.png"), expected)
    np.testing.assert_array_equal(expected[~LOWER], digits(1)[0][~LOWER])


def test_what_stands_at_missing_places_does_not_matter(mask: Path, model: Path) -> None:
    for name, value in (("a ä.png", 0), ("b.png", 255)):
        Image.fromarray(np.where(LOWER, value, digits(1)[0]).astype(np.uint8)).save(name)
        ok(invoke("complete", name, "--mask", "mask.png", "-m", model))
    np.testing.assert_array_equal(samples("a ä.completed.png"), samples("b.completed.png"))


@pytest.mark.parametrize("kind", ["bool.npy", "int64.npy", "1-bit.png", "rgb.png", "bool.npz", "idx"])
def test_kinds_of_masks(digit: Path, model: Path, circuit: Circuit, kind: str) -> None:
    name = f"mask.{kind}"
    if kind == "rgb.png":
        Image.fromarray(np.repeat(LOWER[:, :, None] * np.uint8(9), 3, axis=2)).save(name)
    elif kind == "1-bit.png":
        Image.fromarray(LOWER).save(name)
    elif kind == "idx":
        Path(name).write_bytes(bytes([0, 0, 8, 2, 0, 0, 0, HEIGHT, 0, 0, 0, WIDTH]) + LOWER.tobytes())
    elif kind == "bool.npz":
        np.savez(name, LOWER)
    else:
        np.save(name, -3 * LOWER if kind == "int64.npy" else LOWER)
    extra = ["--grayscale"] if kind == "rgb.png" else []
    ok(invoke("complete", "digit.png", "--mask", name, "-m", model, *extra))
    np.testing.assert_array_equal(samples("digit.completed.png"), circuit.complete(digits(1), LOWER)[0])


def test_several_draws(digit: Path, mask: Path, model: Path, circuit: Circuit) -> None:
    words = ["complete", "digit.png", "--mask", "mask.png", "-m", model, "--how", "sample", "--seed", 3]
    expected = circuit.conditional_sample(digits(1), LOWER, 11, 3)[0]
    ok(invoke(*words, "--count", 11, "-o", "drawn.npy"))
    np.testing.assert_array_equal(np.load("drawn.npy"), expected)
    ok(invoke(*words, "-n", 11))
    assert sorted(os.listdir("digit.completed"))[:2] == ["00.png", "01.png"]
    np.testing.assert_array_equal(samples("digit.completed/10.png"), expected[10])
    ok(invoke(*words, "-o", "one/"))
    assert os.listdir("one") == ["digit.png"]
    invoke(*words, "-n", 2, "-o", "two.png").assert_error("two.png", "one image, not 2", ".npy")
    invoke(*words, "-n", 2).assert_error("digit.completed", "--force")


def test_a_stack_with_one_mask_or_one_each(model: Path, circuit: Circuit) -> None:
    stack = digits(5)
    each = np.random.default_rng(0).random(stack.shape) < 0.5
    np.save("stack.npy", stack)
    np.save("one.npy", LOWER)
    np.save("each.npy", each)
    for name, missing in (("one", LOWER), ("each", each)):
        ok(invoke("complete", "stack.npy", "--mask", f"{name}.npy", "-m", model, "-o", f"{name}-out.npy"))
        np.testing.assert_array_equal(np.load(f"{name}-out.npy"), circuit.complete(stack, missing))
    ok(invoke("complete", "stack.npy", "--mask", "one.npy", "-m", model))
    assert np.load("stack.completed.npy").shape == stack.shape
    np.savez("masked.npz", data=stack, mask=each)
    ok(invoke("complete", "masked.npz", "-m", model))
    np.testing.assert_array_equal(np.load("masked.completed.npy"), np.load("each-out.npy"))
    words = ["complete", "stack.npy", "--mask", "one.npy", "-m", model, "--how", "sample"]
    invoke(*words, "--count", 2, "-o", "x.npy").assert_error("stack.npy", "5 signals", "--count")


def test_the_report(digit: Path, mask: Path, model: Path, circuit: Circuit) -> None:
    words = ["complete", "digit.png", "--mask", "mask.png", "-m", model, "--json"]
    report = json.loads(ok(invoke(*words)).text)
    bits = -circuit.log2_conditional(samples("digit.completed.png")[None], LOWER)
    assert report == {
        "output": "digit.completed.png",
        "model": str(model),
        "how": "median",
        "seed": None,
        "signals": 1,
        "samples": HEIGHT * WIDTH,
        "missing": int(LOWER.sum()),
        "bits": bits.round(3).tolist(),
    }
    report = json.loads(ok(invoke(*words, "-f", "--how", "sample", "-n", 3, "-o", "x.npy", "--seed", 5)).text)
    assert (report["signals"], report["seed"], len(report["bits"])) == (3, 5, 3)
    invoke(*words, "-o", "-").assert_error("--json", "--output")


def test_pipes(digit: Path, mask: Path, model: Path) -> None:
    ok(invoke("complete", "digit.png", "--mask", "mask.png", "-m", model))
    expected = samples("digit.completed.png")
    done = run("complete", "-", "--mask", "mask.png", "-m", model, stdin=digit.read_bytes())
    assert done.code == 0, done.stderr
    Path("piped.png").write_bytes(done.stdout)
    np.testing.assert_array_equal(samples("piped.png"), expected)
    done = run("complete", "digit.png", "--mask", "-", "-m", model, "-o", "b.png", stdin=mask.read_bytes())
    assert (done.code, done.stderr) == (0, "")
    np.testing.assert_array_equal(samples("b.png"), expected)
    invoke("complete", "-", "--mask", "-", "-m", model).assert_error("standard input")


def test_colour_profiles_are_kept(mask: Path, model: Path) -> None:
    Image.fromarray(digits(1)[0]).save("digit.png", icc_profile=b"profile")
    ok(invoke("complete", "digit.png", "--mask", "mask.png", "-m", model))
    with Image.open("digit.completed.png") as image:
        assert image.info["icc_profile"] == b"profile"


def test_nothing_is_overwritten_unasked(digit: Path, mask: Path, model: Path) -> None:
    words = ["complete", "digit.png", "--mask", "mask.png", "-m", model]
    ok(invoke(*words))
    invoke(*words).assert_error("digit.completed.png", "--force")
    ok(invoke(*words, "--force"))
    before = mask.read_bytes()
    invoke(*words, "-f", "-o", "mask.png").assert_error("mask.png is an input")
    assert mask.read_bytes() == before
    invoke(*words, "-o", "x.jpg").assert_error("x.jpg", ".png")


def test_what_does_not_fit_is_refused(digit: Path, mask: Path, model: Path) -> None:
    Image.fromarray(np.zeros((HEIGHT, WIDTH - 1), np.uint8)).save("narrow.png")
    Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save("rgb.png")
    np.save("float.npy", LOWER.astype(float))
    np.save("big.npy", np.full((HEIGHT, WIDTH), 256))
    np.savez("two.npz", LOWER, LOWER)

    def refused(file: str, mask: str | None, *words: str, extra: tuple[object, ...] = ()) -> None:
        given = [] if mask is None else ["--mask", mask]
        invoke("complete", file, *given, "-m", model, *extra).assert_error(*words)

    refused("digit.png", "narrow.png", "narrow.png is 5x4, but digit.png is 6x4")
    refused("digit.png", "rgb.png", "rgb.png is an 8-bit RGB image", "--grayscale")
    refused("digit.png", "float.npy", "float.npy has float64 samples")
    refused("digit.png", "two.npz", "two.npz holds 2 arrays")
    refused("digit.png", "none.png", "none.png", "No such file")
    refused("digit.png", None, "digit.png does not say what is missing", "--mask")
    refused("narrow.png", "mask.png", "narrow.png", "5x4", "6x4", "convert it first")
    refused("rgb.png", "mask.png", "rgb.png", "--grayscale")
    refused("two.npz", "mask.png", "two.npz holds 2 arrays")
    refused("big.npy", "mask.png", "big.npy does not fit", "its sample at (0, 0) is 256")
    refused("digit.png", "mask.png", "--how takes median, mean", "best", extra=("--how", "best"))
    refused("digit.png", "mask.png", "--count 2 needs --how sample", extra=("-n", 2))
    refused("digit.png", "mask.png", "--format takes", extra=("--format", "gif"))


def test_the_dtype_is_the_model_s_whatever_stands_where_samples_are_missing(
    model: Path, circuit: Circuit
) -> None:
    np.save("mask.npy", LOWER)
    for kept, dtype in ((digits(1)[0], np.int64), (digits(1)[0] > 100, np.bool_)):
        given = kept.astype(np.int64)
        np.save("in.npy", np.where(LOWER, 5000, given).astype(dtype))
        ok(invoke("complete", "in.npy", "--mask", "mask.npy", "-m", model, "-f", "-o", "out.npy"))
        filled = np.load("out.npy")
        assert filled.dtype == np.uint8
        np.testing.assert_array_equal(filled, circuit.complete(given[None], LOWER)[0])


def test_models_without_completions_are_refused(
    digit: Path, mask: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Plain:
        model = None

    monkeypatch.setattr("neuralcodec.zoo.resolve.codec_with", lambda name: Plain())
    invoke("complete", "digit.png", "--mask", "mask.png", "-m", "raw").assert_error("raw", "cannot complete")
