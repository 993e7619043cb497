"""`neuralcodec weights`, as users run it."""

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import invoke, run
from safetensors.numpy import load_file, save_file

RNG = np.random.default_rng(0)
STATE = {
    "conv.weight": RNG.normal(size=(16, 8, 3, 3)).astype(np.float32),
    "bn.bias": RNG.normal(size=16).astype(np.float32),
    "steps": np.array(12, np.int64),
}


@pytest.fixture
def model_file(place: Path) -> Path:
    """A network, mödel.safetensors."""
    save_file(STATE, place / "mödel.safetensors", {"format": "np"})
    return place / "mödel.safetensors"


def test_lossless_round_trip(model_file: Path) -> None:
    done = invoke("weights", "encode", "mödel.safetensors", "--verify", "--json")
    facts = json.loads(done.text)
    assert facts["output"] == "mödel.ncz"
    assert facts["bytes"] == Path("mödel.ncz").stat().st_size
    assert facts["step"] is None
    assert invoke("weights", "decode", "mödel.ncz", "-o", "again.safetensors").code == 0
    assert Path("again.safetensors").read_bytes() == model_file.read_bytes()


@pytest.mark.usefixtures("model_file")
def test_targets() -> None:
    facts = json.loads(
        invoke("weights", "encode", "mödel.safetensors", "-o", "a.ncz", "--sqnr", "30", "--json").text
    )
    assert 30 <= facts["sqnr"] <= 30.1
    assert facts["vector_error"] <= 1e-4
    small = json.loads(
        invoke(
            "weights",
            "encode",
            "mödel.safetensors",
            "-o",
            "b.ncz",
            "--bits",
            "9.5",
            "--states",
            "64",
            "--json",
        ).text
    )
    assert small["bits_per_parameter"] <= 9.5
    step = json.loads(
        invoke("weights", "encode", "mödel.safetensors", "-o", "c.ncz", "--step", "0.5", "--json").text
    )
    assert step["step"] == 0.5
    assert invoke("weights", "decode", "c.ncz").code == 0
    back = load_file("c.safetensors")
    assert np.abs(back["conv.weight"] - STATE["conv.weight"]).max() < 1.5
    info = json.loads(invoke("weights", "info", "a.ncz", "--json").text)
    assert [one["name"] for one in info["tensors"]] == list(load_file("mödel.safetensors"))
    assert info["metadata"] == {"format": "np"}
    conv = next(one for one in info["tensors"] if one["name"] == "conv.weight")
    assert conv["shape"] == [16, 8, 3, 3]
    assert conv["sqnr"] == pytest.approx(30, abs=0.6)
    table = invoke("weights", "info", "a.ncz").text
    assert "conv.weight" in table
    assert "16 x 8 x 3 x 3" in table
    assert "conv.weight" in invoke("info", "a.ncz").text
    assert invoke("verify", "a.ncz").code == 0


@pytest.mark.usefixtures("model_file")
def test_one_tensor_and_other_kinds_of_files() -> None:
    invoke("weights", "encode", "mödel.safetensors", "-o", "a.ncz")
    assert invoke("weights", "decode", "a.ncz", "--tensor", "conv.weight", "-o", "conv.npy").code == 0
    assert np.array_equal(np.load("conv.npy"), STATE["conv.weight"])
    assert invoke("weights", "decode", "a.ncz", "-o", "a.npz").code == 0
    with np.load("a.npz") as arrays:
        assert {name: arrays[name].tobytes() for name in arrays} == {n: a.tobytes() for n, a in STATE.items()}
    assert invoke("weights", "encode", "a.npz", "-o", "b.ncz").code == 0
    assert invoke("weights", "decode", "b.ncz", "-o", "b.safetensors").code == 0
    assert {n: a.tobytes() for n, a in load_file("b.safetensors").items()} == {
        n: a.tobytes() for n, a in STATE.items()
    }


def test_pipes(model_file: Path) -> None:
    coded = run("weights", "encode", "-", "--sqnr", "20", stdin=model_file.read_bytes())
    assert coded.code == 0, coded.stderr
    back = run("weights", "decode", "-", "-o", "-", stdin=coded.stdout)
    assert back.code == 0, back.stderr
    assert len(back.stdout) == len(model_file.read_bytes())


def test_errors_are_one_line(model_file: Path) -> None:
    invoke("weights", "encode", "missing.safetensors").assert_error("missing.safetensors")
    invoke("weights", "encode", "mödel.safetensors", "--sqnr", "30", "--bits", "4").assert_error(
        "one of sqnr"
    )
    invoke("weights", "encode", "mödel.safetensors", "--lossless", "--bits", "4").assert_error("--lossless")
    invoke("weights", "encode", "mödel.safetensors", "--bits", "0.001").assert_error("cannot be as small")
    invoke("weights", "encode", "mödel.safetensors", "--step", "1", "--states", "5").assert_error("states")
    invoke("weights", "encode", "mödel.safetensors", "-o", "mödel.safetensors", "-f").assert_error(
        "is an input"
    )
    assert invoke("weights", "encode", "mödel.safetensors").code == 0
    invoke("weights", "encode", "mödel.safetensors").assert_error("exists already", "--force")
    invoke("weights", "decode", "mödel.ncz").assert_error("exists already")
    invoke("weights", "decode", "mödel.ncz", "-o", "x.jpg").assert_error("x.jpg", ".safetensors")
    invoke("weights", "decode", "mödel.ncz", "-o", "x.npy").assert_error("--tensor")
    invoke("weights", "decode", "mödel.ncz", "--tensor", "conv", "-o", "x.npy").assert_error("'conv.weight'")
    invoke("decode", "mödel.ncz").assert_error("weights decode")
    invoke("weights", "info", "mödel.safetensors").assert_error("not a neuralcodec file")
    bad = dict(STATE, **{"conv.weight": np.full((4, 4), np.nan, np.float32)})
    save_file(bad, "nan.safetensors")
    invoke("weights", "encode", "nan.safetensors", "--sqnr", "30").assert_error(
        "conv.weight", "--keep-nonfinite"
    )
    assert not Path("nan.ncz").exists()
    assert invoke("weights", "encode", "nan.safetensors", "--step", "0.1", "--keep-nonfinite").code == 0
    damaged = bytearray(Path("mödel.ncz").read_bytes())
    damaged[60] ^= 1
    Path("damaged.ncz").write_bytes(damaged)
    invoke("weights", "decode", "damaged.ncz").assert_error("damaged.ncz", "record 0")
    assert not Path("damaged.safetensors").exists()
    assert invoke("verify", "damaged.ncz").code == 1
    lost = invoke("weights", "decode", "damaged.ncz", "--salvage")
    assert lost.code == 1
    assert "record 0" in lost.stderr


def test_help_shows_examples() -> None:
    for verb in ("encode", "decode", "info"):
        assert "neuralcodec weights" in invoke("weights", verb, "--help").text


@pytest.mark.usefixtures("place")
def test_factors_and_importance() -> None:
    rng = np.random.default_rng(1)
    shapes = {"a.algebra": (4, 4, 4), "a.filters": (4, 8, 8, 3, 3), "b.weight": (32, 32)}
    np.savez("net.npz", **{name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()})
    facts = invoke("weights", "encode", "net.npz", "-o", "a.ncz", "--sqnr", "30", "--json")
    assert json.loads(facts.text)["kernels"] == 1
    facts = invoke("weights", "encode", "net.npz", "-o", "b.ncz", "--sqnr", "30", "--plain-factors", "--json")
    assert json.loads(facts.text)["kernels"] is None
    np.savez("importance.npz", **{"b.weight": np.float32(100)})
    options = ("--sqnr", "30", "--importance", "importance.npz")
    assert invoke("weights", "encode", "net.npz", "-o", "c.ncz", *options).code == 0
    sizes = {}
    for name in ("a", "c"):
        tensors = json.loads(invoke("weights", "info", f"{name}.ncz", "--json").text)["tensors"]
        sizes[name] = {tensor["name"]: tensor["bytes"] for tensor in tensors}
    assert sizes["c"]["b.weight"] > sizes["a"]["b.weight"]
    assert sizes["c"]["a.filters"] < sizes["a"]["a.filters"]
    np.savez("importance.npz", **{"d.weight": np.float32(1)})
    invoke("weights", "encode", "net.npz", "-o", "d.ncz", *options).assert_error("d.weight")
    invoke("weights", "encode", "net.npz", "-o", "d.ncz", "--importance", "none.npz").assert_error("none.npz")
