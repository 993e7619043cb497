"""Golden files of weights: read by the package, and their blocks by the plain decoder."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from neuralcodec.weights import WeightsReader
from neuralcodec.weights.coder import parts_of
from neuralcodec.weights.reference import decode_block

BITSTREAMS = Path(__file__).parents[2] / "bitstreams"
MANIFEST: dict[str, dict[str, Any]] = json.loads((BITSTREAMS / "manifest.json").read_text())["weights"]
goldens = pytest.mark.parametrize("name", sorted(MANIFEST))


@goldens
def test_package_reads_golden(name: str) -> None:
    digest = hashlib.sha256()
    with WeightsReader(BITSTREAMS / name) as reader:
        for _, data, _ in reader.tensors():
            digest.update(data.data)
        tensors = {spec.name: [spec.type.name, list(spec.shape)] for spec in reader.index.specs}
    assert digest.hexdigest() == MANIFEST[name]["samples"]
    assert tensors == MANIFEST[name]["tensors"]


@pytest.mark.parametrize("name", sorted(set(MANIFEST) - {"weights-large.ncz"}))
def test_plain_decoder_reads_golden(name: str) -> None:
    with WeightsReader(BITSTREAMS / name) as reader:
        for number, record in enumerate(reader.index.records):
            specs, models = reader.specs_of(record), reader.models(number)
            _, blocks = parts_of(reader.body(number), specs, "record")
            if not blocks:
                continue
            plain = decode_block(blocks[0], models, specs, reader.index.step)
            for spec, model, one in zip(specs, models, plain, strict=True):
                assert model["kind"] < 2 or bytes(one) == bytes(reader.read(spec.name)), spec.name


def test_goldens_use_every_part_of_the_format() -> None:
    models = []
    for name in MANIFEST:
        with WeightsReader(BITSTREAMS / name) as reader:
            models += [
                model for number in range(len(reader.index.records)) for model in reader.models(number)
            ]
    assert {model["kind"] for model in models} == {0, 1, 2, 3, 4}
    assert {model["lattice"] for model in models} == {0, 1, 2, 3}
    assert {model["trellis"] for model in models} == {0, 2, 3, 4, 5, 6, 7, 8}
    for key in ("bins", "spike", "above", "beside", "order", "zeros", "centre", "step", "dropped"):
        assert any(model[key] for model in models), key
    for i in range(3):
        assert any(model["gains"][i] for model in models), ("row", "channel", "near")[i]
