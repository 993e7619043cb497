"""What was tried to make better circuits: each idea against the same baseline, on held-out MNIST training images.

    NEURALCODEC_DATA=... python benchmarks/experiments.py            runs those that experiments.json lacks
    NEURALCODEC_DATA=... python benchmarks/experiments.py NAME ...   runs these again

Small models and few epochs, so that a run takes a minute or two: what is told apart is ideas, not final figures.
Rates are of quantised models on 4,998 images held out of training; sizes are those of whole model files; times are
processor time, which other programs on the machine disturb least.
"""

import json
import sys
import time
from typing import Any

import numpy as np
from common import HERE, mnist

import neuralcodec.circuits.learning as learning
from neuralcodec.circuits.builders import low_rank
from neuralcodec.circuits.recipe import Recipe
from neuralcodec.circuits.structure import TreeStructure

RESULTS = HERE / "experiments.json"

BASE: dict[str, Any] = {"latents": 32, "epochs": 10, "basis": 32, "transitions": None}
LOW_RANK = 16
EXPERIMENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "baseline": ("32 states, dense, batches of 256, 10 epochs", {}),
    "batch-1000": ("batches of 1,000", {"batch": 1000}),
    "batch-128": ("batches of 128", {"batch": 128}),
    "last-rate": ("last step size 0.05 instead of 0.02", {"last_rate": 0.05}),
    "pseudocount-3": ("ten times the pseudocount", {"pseudocount": 3.0}),
    "no-growth": ("32 states from the start", {"start_latents": 32}),
    "free": ("free emissions instead of a shared basis", {"emission": "free"}),
    "basis-16": ("basis of 16", {"basis": 16}),
    "basis-64": ("basis of 64", {"basis": 64}),
    "tree-more-data": ("tree from 20,000 images and 16 bins", {"mi_samples": 20_000, "mi_bins": 16}),
    "binary": ("balanced binary tree over the image", {"structure": "binary"}),
    "hmm": ("chain over the samples in order", {"structure": "hmm"}),
    "wide": ("64 states, dense: 4 times the transitions", {"latents": 64}),
    "wide-pruned": ("64 states pruned to 1,024 transitions an edge", {"latents": 64, "transitions": 1024}),
    "wider-pruned": ("128 states pruned to 1,024", {"latents": 128, "transitions": 1024}),
    "pruned-half": ("32 states pruned to 512", {"transitions": 512}),
    "low-rank": (
        f"48 states, edges of rank {LOW_RANK} (1,536 transitions), no growth",
        {"latents": 48, "start_latents": 48},
    ),
}


def run(name: str) -> dict[str, Any]:
    """Train one experiment and measure it."""
    idea, changes = EXPERIMENTS[name]
    build = learning.build_structure
    if name == "low-rank":
        learning.build_structure = _low_rank_structure
    start = time.process_time()
    try:
        circuit = learning.train(mnist("train"), Recipe(**{**BASE, **changes}))
    finally:
        learning.build_structure = build
    figures = circuit.header["figures"]
    return {
        "idea": idea,
        "validation_bpd": figures["validation_bpd"],
        "training_bpd": figures["training_bpd"],
        "loss_by_quantisation_bpd": figures["validation_bpd"] - figures["validation_bpd_before_quantisation"],
        "model_bytes": len(circuit.to_artifact().to_bytes()),
        "transitions_per_edge": circuit.structure.transition_size / (circuit.structure.variables - 1),
        "cpu_seconds": round(time.process_time() - start),
    }


def _low_rank_structure(
    x: np.ndarray, shape: tuple[int, ...], dtype: np.dtype[Any], recipe: Recipe, alphabet: int
) -> TreeStructure:
    return low_rank(BUILD(x, shape, dtype, recipe, alphabet), LOW_RANK)


BUILD = learning.build_structure


def main() -> None:
    """Run what is asked for; every result is written at once."""
    results: dict[str, Any] = json.loads(RESULTS.read_text())["figures"] if RESULTS.exists() else {}
    for name in sys.argv[1:] or [name for name in EXPERIMENTS if name not in results]:
        if name not in EXPERIMENTS:
            sys.exit(f"no experiment is called {name}; there are {', '.join(EXPERIMENTS)}")
        results[name] = run(name)
        print(name, results[name], flush=True)
        ordered = {key: results[key] for key in EXPERIMENTS if key in results}
        RESULTS.write_text(json.dumps({"base": BASE, "figures": ordered}, indent=2) + "\n")


if __name__ == "__main__":
    main()
