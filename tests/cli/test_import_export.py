"""`models import` and `models export`."""

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import digits, invoke

from neuralcodec.artifact import read_artifact, read_header
from neuralcodec.circuits.array_builder import ArrayBuilder
from neuralcodec.circuits.arrays import save_arrays


@pytest.fixture
def circuit(place: Path) -> Path:
    """Arrays of a circuit over 2 x 2 samples of 3 values, circuit.npz."""
    build = ArrayBuilder()
    leaves = [build.leaves(sample, build.rows([[1, 2, 3], [3, 1, 1]])) for sample in range(4)]
    root = build.sums(build.products(leaves), [[0.25, 0.5]])
    save_arrays("circuit.npz", build.build(root[0]))
    return place / "circuit.npz"


def test_a_model_goes_out_and_comes_back(model: Path, place: Path) -> None:
    assert invoke("models", "export", model, "-o", "c.npz").code == 0
    outcome = invoke("models", "import", "c.npz", "-o", "back.ncm", "--json", "--licence", "CC0-1.0")
    assert outcome.code == 0, outcome.stderr
    report = json.loads(outcome.stdout)
    assert (
        report["identity"] == read_artifact(model).identity.hex() == read_artifact("back.ncm").identity.hex()
    )
    header = {"name": "back", "licence": "CC0-1.0", "recipe": {"imported": "c.npz"}}
    assert report["header"] == read_header("back.ncm").header == header
    np.save("many.npy", digits(20))
    for name, path in (("a.ncz", str(model)), ("b.ncz", "./back.ncm")):
        assert invoke("encode", "many.npy", "-m", path, "-o", name).code == 0
    assert Path("a.ncz").read_bytes() == Path("b.ncz").read_bytes()


def test_a_circuit_is_imported_and_codes(circuit: Path) -> None:
    options = ["--shape", "2x2", "--dtype", "uint16", "--name", "mine", "--description", "a square"]
    assert invoke("models", "import", circuit, "-o", "my.ncm", *options).code == 0
    shown = json.loads(invoke("models", "show", "./my.ncm", "--json").stdout)
    assert (shown["shape"], shown["dtype"]) == ([2, 2], "uint16")
    assert (shown["header"]["name"], shown["header"]["description"]) == ("mine", "a square")
    np.save("one.npy", np.array([[0, 1], [2, 0]], np.uint16))
    assert invoke("encode", "one.npy", "-m", "./my.ncm", "--verify").code == 0
    assert invoke("verify", "my.ncm").code == 0


def test_what_is_refused(circuit: Path, model: Path) -> None:
    def refused(
        *words: str, file: object = circuit, output: str = "my.ncm", options: tuple[str, ...] = ()
    ) -> None:
        invoke("models", "import", file, "-o", output, *options).assert_error(*words)
        assert output == "circuit.npz" or not Path(output).exists()

    refused("over 4 samples, but shape (3, 3) has 9", "circuit.npz", options=("--shape", "3,3"))
    refused("--shape 2,,2", options=("--shape", "2,,2"))
    refused("--shape 0,4", options=("--shape", "0,4"))
    refused("--dtype float32: it must be one of uint8", options=("--dtype", "float32"))
    refused("gone.npz: No such file", file="gone.npz")
    refused("circuit.npz", output="circuit.npz", options=("--force",))
    Path("text.npz").write_text("hello")
    refused("text.npz is a damaged .npz file", file="text.npz")
    np.savez("other.npz", x=np.zeros(3))
    refused("other.npz: the array schema must be 1", file="other.npz")
    invoke("models", "export", model, "-o", circuit).assert_error("--force")
    invoke("models", "export", "nonsense", "-o", "n.npz").assert_error("no model is called 'nonsense'")
