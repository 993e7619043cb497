"""Model files of representations: round trip, and everything that is refused."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import LAYOUTS, tiny_model

import neuralcodec
from neuralcodec.artifact import Artifact, write_artifact
from neuralcodec.errors import InvalidModel, NeuralCodecError
from neuralcodec.recombiner.model import Representation

Tensors = dict[str, Any]


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_a_model_comes_back(name: str, tmp_path: Path) -> None:
    model = tiny_model(name)
    again = Representation.from_artifact(Artifact.from_bytes(model.to_artifact().to_bytes()))
    assert again.identity == model.identity
    assert again.header == model.header
    assert (again.layout, again.dtype, again.low, again.high) == (
        model.layout,
        model.dtype,
        model.low,
        model.high,
    )
    assert (again.bits, again.seed, again.beta) == (model.bits, model.seed, pytest.approx(model.beta))
    assert again.steps == model.steps
    for a, b in zip(again.sizes, model.sizes, strict=True):
        assert np.array_equal(a, b)
    for key, matrix in model.weights.named().items():
        assert np.array_equal(again.weights.named()[key], matrix)
    write_artifact(tmp_path / "m.ncm", model.artifact)
    assert neuralcodec.load_model(tmp_path / "m.ncm").identity == model.identity


def test_weights_are_quantised_to_their_steps() -> None:
    model = tiny_model()
    for name, matrix in model.weights.named().items():
        whole = matrix / np.float32(model.steps[name])
        assert np.array_equal(whole, np.rint(whole)), name


@pytest.mark.parametrize("low", [-(2**32), -1, 0, 1])
def test_limits_of_samples_come_back(low: int) -> None:
    model = replace(tiny_model("line"), low=low, high=2**32, seed=2**56 - 1)
    again = Representation.from_artifact(model.artifact)
    assert (again.low, again.high, again.seed) == (low, 2**32, 2**56 - 1)


def edited(edit: Callable[[Tensors], Any], name: str = "patches") -> Artifact:
    model = tiny_model(name)
    tensors: Tensors = {key: value.copy() for key, value in model.artifact.tensors.items()}
    edit(tensors)
    return Artifact("recombiner", {}, tensors)


def cell(name: str, row: int, column: int, value: int) -> Callable[[Tensors], None]:
    def edit(tensors: Tensors) -> None:
        tensors[name][row, column] = value

    return edit


def put(name: str, value: Any) -> Callable[[Tensors], None]:
    def edit(tensors: Tensors) -> None:
        tensors[name] = np.asarray(value, np.uint32)

    return edit


FAULTS: dict[str, tuple[Callable[[Tensors], Any], str]] = {
    "no layout": (lambda t: t.pop("layout"), "no tensor layout"),
    "no steps": (lambda t: t.pop("steps"), "no tensor steps"),
    "no signal": (lambda t: t.pop("signal"), "no tensor signal"),
    "no map": (lambda t: t.pop("map.0"), "map.0|other tensors"),
    "no blocks": (lambda t: t.pop("blocks.1"), "blocks.1"),
    "no tokens": (lambda t: t.pop("tokens.2"), "tokens.2"),
    "one more tensor": (put("more", [[1]]), "other tensors"),
    "one more level": (put("blocks.3", [[1]]), "other tensors"),
    "layout cut off": (lambda t: t.update(layout=t["layout"][:, :-1]), "cut off"),
    "layout with more": (lambda t: t.update(layout=np.pad(t["layout"], ((0, 0), (0, 1)))), "damaged"),
    "another grid": (cell("layout", 0, 1, 16), "blocks|level"),
    "whole is 2": (cell("layout", 0, 5, 2), "damaged"),
    "a map of another shape": (lambda t: t.update({"map.0": t["map.0"][:, 1:]}), "map.0"),
    "a kernel of another shape": (put("stage.0.kernel", [[1, 2]]), "stage.0.kernel"),
    "dtype 9": (cell("signal", 0, 0, 9), "dtype code 9"),
    "dtype 4": (cell("signal", 0, 0, 4), "dtype code 4"),
    "dtype 0": (cell("signal", 0, 0, 0), "dtype code 0"),
    "indices of 0 bits": (cell("signal", 1, 0, 0), "0 bits"),
    "indices of 21 bits": (cell("signal", 1, 0, 21), "21 bits"),
    "low is high": (cell("signal", 3, 0, 0), "out of range"),
    "high beyond 2^32": (cell("signal", 3, 3, 1), "out of range"),
    "a seed beyond 2^56": (cell("signal", 4, 3, 0x100), "seed"),
    "a word beyond 16 bits": (cell("signal", 4, 0, 0x10000), "damaged"),
    "signal of four rows": (lambda t: t.update(signal=t["signal"][:4]), "damaged"),
    "a step of 0": (cell("steps", 0, 0, 0), "positive"),
    "a step beyond 2^10": (cell("steps", 0, 0, 0x4480 + 0x80), "out of range"),
    "a step below 2^-30": (cell("steps", 0, 0, 0x0080), "out of range"),
    "a beta that is not finite": (cell("steps", -1, 0, 0x7F80), "positive"),
    "one step less": (lambda t: t.update(steps=t["steps"][1:]), "steps"),
    "blocks that do not add up": (cell("blocks.0", 0, 0, 7), "do not add up"),
    "a block of size 0": (cell("blocks.0", 0, 0, 0), "blocks.0"),
    "two rows of blocks": (put("blocks.1", [[1], [12]]), "blocks.1"),
    "tokens that do not add up": (cell("tokens.0", 0, 0, 7), "token table"),
    "too few tokens": (put("tokens.0", [[2**19, 2**19]]), "token table"),
}  # fmt: skip


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_broken_models_are_refused(fault: str) -> None:
    edit, words = FAULTS[fault]
    with pytest.raises(InvalidModel, match=words):
        Representation.from_artifact(edited(edit))


def test_another_family_is_refused() -> None:
    with pytest.raises(InvalidModel, match="circuit"):
        Representation.from_artifact(Artifact("circuit", {}, dict(tiny_model().artifact.tensors)))


@given(st.sampled_from(["layout", "steps", "signal", "blocks.0", "tokens.0", "base", "map.0"]), st.data())
def test_a_changed_element_is_read_or_refused(name: str, data: st.DataObject) -> None:
    def edit(tensors: Tensors) -> None:
        place = data.draw(st.integers(0, tensors[name].size - 1))
        tensors[name] = tensors[name].astype(np.uint32)
        tensors[name].reshape(-1)[place] = data.draw(st.integers(0, 2**23 - 1))

    try:
        model = Representation.from_artifact(edited(edit, "gray"))
    except NeuralCodecError:
        return
    assert np.isfinite(np.concatenate([m.ravel() for m in model.weights.named().values()])).all()
