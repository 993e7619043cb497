"""Trains a model that ships with the package, from the training images of its data set alone, and puts it into the zoo.

    NEURALCODEC_DATA=... python benchmarks/train_zoo.py pc-mnist-fast
    NEURALCODEC_DATA=... python benchmarks/train_zoo.py pc-mnist
    NEURALCODEC_DATA=... python benchmarks/train_zoo.py pc-fashion-mnist

A checkpoint in runs/ is written after every epoch; the same command goes on from it. Results beside this script:
train_zoo.NAME.json, with every epoch, the time, and the loss by quantisation on the held-out images.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from common import HERE, fashion_mnist, mnist

from neuralcodec.artifact import write_artifact
from neuralcodec.circuits.learning import Progress, train
from neuralcodec.circuits.parameters import QuantisationSteps
from neuralcodec.circuits.recipe import Recipe
from neuralcodec.native import thread_count

ZOO = HERE.parent / "neuralcodec" / "zoo"
RUNS = HERE.parent / "runs"
STEPS = QuantisationSteps(transition=1 / 32, weight=1 / 24)
MNIST = "MNIST training images (LeCun, Cortes, Burges); the test images were not used"
FASHION = "Fashion-MNIST training images (Xiao, Rasul, Vollgraf; Zalando); the test images were not used"


@dataclass(frozen=True)
class Model:
    """A model of the zoo: what it is trained on and how."""

    images: Callable[[str], Any]
    recipe: Recipe
    description: str
    data: str
    data_licence: str


MODELS = {
    "pc-mnist-fast": Model(
        mnist,
        Recipe(latents=64, epochs=36, basis=16, transitions=800),
        "28x28 gray 8-bit images like handwritten digits; small and fast",
        MNIST,
        "CC BY-SA 3.0, as commonly stated for MNIST",
    ),
    "pc-mnist": Model(
        mnist,
        Recipe(latents=256, epochs=27, basis=32, transitions=12_288),
        "28x28 gray 8-bit images like handwritten digits; smallest files",
        MNIST,
        "CC BY-SA 3.0, as commonly stated for MNIST",
    ),
    "pc-fashion-mnist": Model(
        fashion_mnist,
        Recipe(latents=256, epochs=31, basis=128, transitions=16_384, pseudocount=1.0),
        "28x28 gray 8-bit images like pictures of clothes",
        FASHION,
        "MIT (Zalando)",
    ),
}


def header(name: str) -> dict[str, Any]:
    """What the model file says of itself."""
    model = MODELS[name]
    return {
        "name": name,
        "description": model.description,
        "command": f"python benchmarks/train_zoo.py {name}",
        "data": model.data,
        "data_licence": model.data_licence,
        "licence": "Apache-2.0",
    }


class History:
    """Keeps a line for each epoch beside the checkpoint, so that a resumed run has them all."""

    def __init__(self, path: Path) -> None:
        self.path, self.start = path, time.perf_counter()

    def report(self, progress: Progress) -> None:
        """Write an epoch's line, here and on standard output."""
        if not progress.epoch_done:
            return
        line = {
            "epoch": progress.epoch,
            "states": progress.states,
            "training_bpd": round(progress.train_bpd, 4),
            "validation_bpd": round(progress.validation_bpd, 4),
            "seconds": round(time.perf_counter() - self.start, 1),
            "load_average": round(os.getloadavg()[0], 1),
        }
        self.start = time.perf_counter()
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(line, flush=True)

    def lines(self) -> list[dict[str, Any]]:
        """All epochs, the last time each was run."""
        lines = map(json.loads, self.path.read_text().splitlines()) if self.path.exists() else []
        return [line for _, line in sorted({line["epoch"]: line for line in lines}.items())]


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
    parser.add_argument("name", choices=sorted(MODELS))
    name = parser.parse_args().name
    model, history = MODELS[name], History(RUNS / f"{name}.jsonl")
    RUNS.mkdir(exist_ok=True)
    checkpoint = RUNS / f"{name}.npz"
    if not checkpoint.exists():
        history.path.unlink(missing_ok=True)
    circuit = train(
        model.images("train"),
        model.recipe,
        header=header(name),
        steps=STEPS,
        checkpoint=checkpoint,
        resume=True,
        report=history.report,
    )
    artifact = circuit.to_artifact()
    write_artifact(ZOO / f"{name}.ncm", artifact)
    index(name, artifact.identity.hex())
    reached = circuit.header["figures"]
    figures = {
        **reached,
        "loss_by_quantisation_bpd": round(
            reached["validation_bpd"] - reached["validation_bpd_before_quantisation"], 5
        ),
        "bytes": (ZOO / f"{name}.ncm").stat().st_size,
        "parameters": circuit.structure.parameter_count,
        "seconds": round(sum(line["seconds"] for line in history.lines())),
    }
    result = {
        "figures": figures,
        "epochs": history.lines(),
        "recipe": model.recipe.to_json(),
        "steps": vars(STEPS),
        "numpy": np.__version__,
        "threads": thread_count(),
    }
    (HERE / f"train_zoo.{name}.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    sys.exit(main())
