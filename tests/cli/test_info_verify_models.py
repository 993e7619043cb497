"""The verbs that look: info, verify, models, sample, train."""

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import digits, invoke, make_model
from numpy.typing import NDArray
from PIL import Image

from neuralcodec.artifact import read_artifact


@pytest.fixture
def many(installed: str) -> Path:
    """An archive of 200 signals, many.ncz, and its samples, many.npy."""
    np.save("many.npy", digits(200))
    assert invoke("encode", "many.npy", "-m", installed).code == 0
    return Path("many.ncz")


def test_info_of_every_kind(many: Path, digit: Path, installed: str, model: Path) -> None:
    invoke("encode", digit, "-m", installed)
    identity = read_artifact(model).identity.hex()
    single = json.loads(invoke("info", "digit.ncz", "--json").stdout)
    assert (single["kind"], single["model"], single["identity"]) == ("single", "tiny", identity[:8])
    assert (single["signals"], single["shape"], single["dtype"]) == (1, [4, 6], "uint8")
    archive = json.loads(invoke("info", many, "--json").stdout)
    assert (archive["kind"], archive["signals"], archive["chunks"], archive["group"]) == (
        "archive",
        200,
        1,
        128,
    )
    assert archive["identity"] == identity
    assert archive["bits_per_dimension"] == round(8 * many.stat().st_size / 4800, 5)
    model_facts = json.loads(invoke("info", model, "--json").stdout)
    assert (model_facts["kind"], model_facts["family"]) == ("model", "circuit")
    assert model_facts["header"]["licence"] == "CC0-1.0"
    for file in ("digit.ncz", many, model):
        text = invoke("info", file).text
        assert text.startswith(str(file))
        assert identity[:8] in text


def test_info_without_the_model(many: Path) -> None:
    shutil.rmtree(os.environ["NEURALCODEC_MODELS"])
    facts = json.loads(invoke("info", many, "--json").stdout)
    assert facts["signals"] == 200
    assert "model" not in facts
    assert "not here" in invoke("info", many).text


def test_verify_tells_good_from_bad(many: Path, model: Path) -> None:
    good = invoke("verify", many, model)
    assert good.code == 0
    assert good.text == f"ok    many.ncz (200 signals)\nok    {model} (model)\n"
    data = bytearray(many.read_bytes())
    data[len(data) // 2] ^= 1
    Path("bad.ncz").write_bytes(data)
    Path("cut.ncm").write_bytes(model.read_bytes()[:-9])
    Path("other.ncz").write_bytes(b"hello")
    bad = invoke("verify", "bad.ncz", many, "cut.ncm", "other.ncz", "gone.ncz", "--json")
    assert bad.code == 1
    report = json.loads(bad.stdout)
    assert report["ok"] is False
    assert [item["error"] is None for item in report["files"]] == [False, True, False, False, False]
    assert report["files"][1]["samples"] == hashlib.sha256(digits(200).tobytes()).hexdigest()
    assert report["files"][4]["error"] == "No such file or directory"
    quiet = invoke("verify", many, "bad.ncz", "-q")
    assert quiet.code == 1
    assert quiet.text.startswith("FAIL  bad.ncz: ")
    assert quiet.text.count("\n") == 1


def test_verify_a_folder_without_manifest(many: Path) -> None:
    Path("sub").mkdir()
    shutil.copy(many, "sub/more.ncz")
    assert (
        invoke("verify", ".").text == "ok    ./many.ncz (200 signals)\nok    ./sub/more.ncz (200 signals)\n"
    )
    Path("empty").mkdir()
    invoke("verify", "empty").assert_error("empty", "manifest.json")


Manifest = dict[str, dict[str, dict[str, Any]]]


@pytest.fixture
def manifest(many: Path, model: Path, installed: str) -> Manifest:
    """A folder bitstreams/ of a single file, two archives and their model, and what its manifest should say."""
    Path("bitstreams/models").mkdir(parents=True)
    shutil.copy(model, "bitstreams/models/small.ncm")
    shutil.copy(many, "bitstreams/many.ncz")
    mask = digits(2, 9) < 60
    np.savez("holes.npz", data=np.where(mask, 0, digits(2)), mask=mask)
    invoke("encode", "holes.npz", "-m", installed, "-o", "bitstreams/holes.ncz")
    Image.fromarray(digits(1)[0]).save("digit.png", icc_profile=b"profile")
    invoke("encode", "digit.png", "-m", installed, "-o", "bitstreams/digit.ncz")
    shutil.rmtree(os.environ["NEURALCODEC_MODELS"])
    identity = read_artifact(model).identity.hex()
    nothing = bytes(12)
    cases: list[tuple[str, NDArray[Any], NDArray[Any] | None, bytes]] = [
        ("many.ncz", digits(200), None, nothing * 200),
        ("holes.ncz", np.where(mask, 0, digits(2)), mask, nothing * 2),
        ("digit.ncz", digits(1)[0], None, bytes(4) + b"\7\0\0\0profile" + bytes(4)),
    ]
    files = {
        name: {
            "sha256": sha256(Path("bitstreams", name).read_bytes()),
            "samples": sha256(array.tobytes()),
            "mask": None if holes is None else sha256(holes.tobytes()),
            "shape": list(array.shape),
            "dtype": "uint8",
            "model": "models/small.ncm",
            "identity": identity,
            "metadata": sha256(metadata),
            "archive": name != "digit.ncz",
        }
        for name, array, holes, metadata in cases
    }
    return {"models": {"models/small.ncm": {"identity": identity}}, "files": files}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def write_manifest(content: object) -> None:
    Path("bitstreams").mkdir(exist_ok=True)
    Path("bitstreams/manifest.json").write_text(json.dumps(content))


def test_verify_a_manifest(manifest: Manifest) -> None:
    write_manifest(manifest)
    outcome = invoke("verify", "bitstreams")
    assert outcome.code == 0, outcome.text
    assert [line.split()[0] for line in outcome.text.splitlines()] == ["ok"] * 4


@pytest.mark.parametrize("field", ["sha256", "samples", "mask", "identity", "metadata", "dtype", "shape"])
@pytest.mark.parametrize("name", ["many.ncz", "holes.ncz", "digit.ncz"])
def test_verify_finds_every_difference_from_a_manifest(manifest: Manifest, field: str, name: str) -> None:
    manifest["files"][name][field] = [9] if field == "shape" else "0" * 64
    write_manifest(manifest)
    outcome = invoke("verify", "bitstreams")
    assert outcome.code == 1
    assert next(line for line in outcome.text.splitlines() if name in line).startswith("FAIL")
    assert outcome.text.count("FAIL") == 1


def test_verify_finds_a_model_that_was_changed(manifest: Manifest) -> None:
    make_model(Path("bitstreams/models/small.ncm"), seed=5)
    write_manifest(manifest)
    assert invoke("verify", "bitstreams").text.count("FAIL") == 4


@pytest.mark.parametrize(
    "content",
    [
        [],
        {},
        {"files": [1]},
        {"files": {"x": 1}},
        {"files": {"../x": {}}},
        {"files": {"/x": {}}},
        {"files": {"x": {"sha256": 1}}},
        {"files": {"x": {"model": "a/../../y"}}},
        {"files": {"x": {"model": 3}}},
        {"files": {"x": {"shape": "3"}}},
    ],
)
def test_bad_manifests(content: object) -> None:
    write_manifest(content)
    invoke("verify", "bitstreams").assert_error("manifest.json is not a manifest")


def test_models_are_added_listed_and_shown(model: Path, digit: Path) -> None:
    assert "tiny" not in invoke("models").text
    assert invoke("models", "add", model, "--name", "my-digits").code == 0
    listed = json.loads(invoke("models", "list", "--json").stdout)
    mine = next(row for row in listed if row["name"] == "my-digits")
    assert (mine["shape"], mine["dtype"], mine["origin"]) == ([4, 6], "uint8", "user")
    assert mine["identity"] == read_artifact(model).identity.hex()
    assert json.loads(invoke("models", "--json").stdout) == listed
    assert "my-digits" in invoke("models").text
    shown = json.loads(invoke("models", "show", "my-digits", "--json").stdout)
    assert shown["header"]["description"] == "random levels, for tests"
    assert "random levels" in invoke("models", "show", model).text
    assert invoke("encode", digit, "-m", "my-digits").code == 0


def test_models_that_are_refused(place: Path, model: Path) -> None:
    (place / "bad.ncm").write_bytes(model.read_bytes()[:-1] + b"\0")
    invoke("models", "add", "bad.ncm").assert_error("bad.ncm")
    invoke("models", "add", "gone.ncm").assert_error("gone.ncm: No such file")
    invoke("models", "add", model, "--name", "../evil").assert_error("../evil")
    invoke("models", "show", "nonsense").assert_error("nonsense")
    assert invoke("models", "add", model).code == 0
    other = make_model(place / "other.ncm", seed=3)
    invoke("models", "add", other, "--name", "tiny").assert_error("tiny", "another model")


def test_a_damaged_model_does_not_break_the_list(model: Path, installed: str) -> None:
    folder = Path(os.environ["NEURALCODEC_MODELS"])
    (folder / "cut.ncm").write_bytes(model.read_bytes()[:60])
    listed = json.loads(invoke("models", "--json").stdout)
    assert {row["name"] for row in listed} >= {"tiny", "cut"}
    assert "error" in next(row for row in listed if row["name"] == "cut")
    assert "tiny" in invoke("models").text


def test_sampling(installed: str) -> None:
    assert invoke("sample", "-m", installed, "-n", 20, "-o", "a.npy", "--seed", 7).code == 0
    assert invoke("sample", "-m", installed, "-n", 20, "-o", "b.npy", "--seed", 7).code == 0
    assert invoke("sample", "-m", installed, "-n", 20, "-o", "c.npy").code == 0
    assert np.load("a.npy").shape == (20, 4, 6)
    np.testing.assert_array_equal(np.load("a.npy"), np.load("b.npy"))
    assert (np.load("a.npy") != np.load("c.npy")).any()
    assert invoke("sample", "-m", installed, "-n", 12, "-o", "some/").code == 0
    assert len(os.listdir("some")) == 12
    assert invoke("sample", "-m", installed, "-o", "one.png", "--seed", 7).code == 0
    with Image.open("one.png") as image:
        assert invoke("sample", "-m", installed, "-o", "one.npy", "--seed", 7).code == 0
        np.testing.assert_array_equal(np.asarray(image)[None], np.load("one.npy"))
    invoke("sample", "-m", installed, "-n", 2, "-o", "two.png").assert_error("one image, not 2")
    invoke("sample", "-m", installed, "-o", "one.png").assert_error("--force")


def test_training(place: Path) -> None:
    rng = np.random.default_rng(0)
    stack = (rng.integers(0, 2, (200, 1, 1)) * 200 + rng.integers(0, 8, (200, 2, 3))).astype(np.uint8)
    np.save("train.npy", stack)
    stages = ["--latents", "4", "--start-latents", "2", "--epochs", "4"]
    options = [*stages, "--basis", "4", "--batch", "50", "--threads", "1"]
    outcome = invoke(
        "train", "pc", "train.npy", "-o", "small.ncm", *options, "--licence", "CC0-1.0", "--json"
    )
    assert outcome.code == 0, outcome.stderr
    assert outcome.stderr == ""
    header = json.loads(outcome.stdout)["header"]
    assert (header["name"], header["licence"], header["data"]) == ("small", "CC0-1.0", "train.npy")
    assert (header["recipe"]["latents"], header["recipe"]["epochs"]) == (4, 4)
    assert header["figures"]["training_bpd"] < 8
    assert invoke("encode", "train.npy", "-m", "small.ncm").code == 0
    assert invoke("decode", "train.ncz", "-m", "small.ncm", "-o", "again.npy").code == 0
    np.testing.assert_array_equal(np.load("again.npy"), stack)
    assert invoke("train", "pc", "train.npy", "-o", "same.ncm", "--name", "small", *options).code == 0
    assert read_artifact("same.ncm").identity == read_artifact("small.ncm").identity


def test_training_on_what_is_no_data(digit: Path) -> None:
    np.save("floats.npy", np.zeros((5, 4, 6)))
    Image.new("L", (9, 9)).save("b.png")
    invoke("train", "pc", "floats.npy", "-o", "x.ncm").assert_error("float64")
    invoke("train", "pc", "digit.png", "b.png", "-o", "x.ncm").assert_error("b.png", "one kind")
    invoke("train", "pc", "digit.png", "-o", "b.png").assert_error("--force")
    invoke("train", "pc", "digit.png", "-o", "x.ncm", "--structure", "ring").assert_error("structure", "ring")
    invoke("train", "pc", "digit.png", "-o", "x.ncm", "--resume").assert_error("--checkpoint")
    assert not Path("x.ncm").exists()
