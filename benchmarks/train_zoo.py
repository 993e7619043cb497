"""Trains a model that ships with the package, from the MNIST training images alone, and puts it into the zoo.

    NEURALCODEC_DATA=... python benchmarks/train_zoo.py pc-mnist-fast
    NEURALCODEC_DATA=... python benchmarks/train_zoo.py pc-mnist

A checkpoint in runs/ is written after every epoch; the same command goes on from it. Results beside this script:
train_zoo.NAME.json, with the loss by quantisation on the held-out images.
"""

import argparse
import json
import sys
from typing import Any

import numpy as np
from common import HERE, mnist

from neuralcodec.artifact import write_artifact
from neuralcodec.circuits.checkpoint import load_checkpoint
from neuralcodec.circuits.learning import Progress, train
from neuralcodec.circuits.parameters import QuantisationSteps
from neuralcodec.circuits.recipe import Recipe

ZOO = HERE.parent / "neuralcodec" / "zoo"
RUNS = HERE.parent / "runs"
RECIPES = {
    "pc-mnist-fast": (
        Recipe(latents=32, epochs=30, basis=16),
        QuantisationSteps(transition=1 / 64, weight=1 / 64),
    ),
    "pc-mnist": (
        Recipe(latents=160, start_latents=20, epochs=28),
        QuantisationSteps(transition=1 / 64, weight=1 / 64),
    ),
}
DESCRIPTIONS = {
    "pc-mnist-fast": "28x28 gray 8-bit images like handwritten digits; small and fast",
    "pc-mnist": "28x28 gray 8-bit images like handwritten digits; smallest files",
}


def header(name: str) -> dict[str, Any]:
    """What the model file says of itself."""
    return {
        "name": name,
        "description": DESCRIPTIONS[name],
        "command": f"python benchmarks/train_zoo.py {name}",
        "data": "MNIST training images (LeCun, Cortes, Burges); the test images were not used",
        "data_licence": "CC BY-SA 3.0, as commonly stated for MNIST",
        "licence": "Apache-2.0",
    }


def report(progress: Progress) -> None:
    """One line for each epoch."""
    if progress.epoch_done:
        figures = f"train {progress.train_bpd:.4f} held out {progress.validation_bpd:.4f}"
        print(
            f"epoch {progress.epoch}/{progress.epochs}, {progress.states} states: {figures} bpd", flush=True
        )


def index(name: str, identity: str) -> None:
    """Enter the model into the zoo's index."""
    path = ZOO / "index.json"
    entries = json.loads(path.read_text())
    entries[name] = {"file": f"{name}.ncm", "identity": identity, "aliases": []}
    path.write_text(json.dumps(dict(sorted(entries.items())), indent=2) + "\n")


def main() -> None:
    """Train, quantise, measure and ship one model."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=sorted(RECIPES))
    name = parser.parse_args().name
    recipe, steps = RECIPES[name]
    RUNS.mkdir(exist_ok=True)
    checkpoint = RUNS / f"{name}.npz"
    circuit = train(
        mnist("train"),
        recipe,
        header=header(name),
        steps=steps,
        checkpoint=checkpoint,
        resume=True,
        report=report,
    )
    artifact = circuit.to_artifact()
    write_artifact(ZOO / f"{name}.ncm", artifact)
    index(name, artifact.identity.hex())
    state = load_checkpoint(checkpoint, recipe)
    figures = {
        **circuit.header["figures"],
        "validation_bpd_before_last_step_and_quantisation": None
        if state is None
        else round(state.best_bpd, 5),
        "bytes": (ZOO / f"{name}.ncm").stat().st_size,
        "parameters": circuit.structure.parameter_count,
    }
    result = {"figures": figures, "recipe": recipe.to_json(), "steps": vars(steps), "numpy": np.__version__}
    (HERE / f"train_zoo.{name}.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    sys.exit(main())
