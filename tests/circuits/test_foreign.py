"""Circuits that PyJuice and cirkit made: their likelihoods are what those libraries say they are."""

import json
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from foreign_models import FOLDER, Foreign, cirkit_models, pyjuice_models
from random_arrays import evaluate

from neuralcodec.circuits.arrays import load_arrays
from neuralcodec.circuits.importing import from_arrays
from neuralcodec.circuits.normalising import log_partition, scaled_weights
from neuralcodec.circuits.parameters import QuantisationSteps
from neuralcodec.circuits.regions import find_regions
from neuralcodec.codecs.pc import PcCodec

FACTS: dict[str, Any] = json.loads((FOLDER / "likelihoods.json").read_text())
FINEST = QuantisationSteps(*[1 / 4095] * 5)


def recorded(name: str) -> Foreign:
    facts = FACTS[name]
    signals, found = np.array(facts["signals"]), np.array(facts["log_likelihood"])
    return Foreign(load_arrays(FOLDER / f"{name}.npz"), signals, found)


def assert_alike(model: Foreign) -> None:
    """The arrays, made normalised, are worth what the library says; the model as much, but for quantisation."""
    regions = find_regions(model.arrays)
    root = log_partition(model.arrays, regions)[model.arrays.root]
    found = np.log(evaluate(model.arrays, model.signals)) - root
    assert found == pytest.approx(model.log_likelihood, abs=1e-5)
    normalised = replace(model.arrays, weight=scaled_weights(model.arrays, regions), relative=True)
    assert np.log(evaluate(normalised, model.signals)) == pytest.approx(model.log_likelihood, abs=1e-5)
    circuit = from_arrays(model.arrays, steps=FINEST)
    assert circuit.log2_likelihood(model.signals) * np.log(2) == pytest.approx(model.log_likelihood, abs=0.02)


@pytest.mark.parametrize("name", sorted(FACTS))
def test_recorded_circuits(name: str) -> None:
    assert_alike(recorded(name))


@pytest.mark.parametrize("name", sorted(FACTS))
def test_recorded_circuits_code_signals(name: str) -> None:
    model = recorded(name)
    circuit = from_arrays(model.arrays, header={"name": name})
    stack = np.repeat(model.signals, 50, axis=0).astype(np.uint8)
    (group,) = PcCodec(circuit).encode_many(stack, group=len(stack), verify=True)
    assert 8 * len(group) == pytest.approx(-circuit.log2_likelihood(stack).sum(), rel=1e-3, abs=64)


def test_what_was_tied_is_shared() -> None:
    assert from_arrays(recorded("pyjuice-tree").arrays).structure.basis_size == (4,)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [name for name in sorted(FACTS) if name.startswith("pyjuice")])
@pytest.mark.skipif(find_spec("pyjuice") is None, reason="pyjuice is not installed")
def test_pyjuice_itself(name: str) -> None:
    assert_alike(pyjuice_models()[name]())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [name for name in sorted(FACTS) if name.startswith("cirkit")])
@pytest.mark.skipif(find_spec("cirkit") is None, reason="cirkit is not installed")
def test_cirkit_itself(name: str) -> None:
    assert_alike(cirkit_models()[name]())
