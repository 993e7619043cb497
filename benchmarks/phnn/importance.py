"""What importance from examples saves: change of a network's outputs at equal bytes, with and without it.

    NEURALCODEC_DATA=... python benchmarks/phnn/importance.py [--epochs 10] [--width 24]

Reads the states that train.py left in `runs/phnn/`: the real network and the one with n=4, of the first seed. Files of
several sizes about each number of bits a parameter are decoded; what counts is the mean, over these sizes, of the
logarithm of the divergence (Kullback and Leibler's, nats) of the outputs on 2,000 training images, and the accuracy
there. The importance is measured on 1,024 other images.
"""

import argparse
import copy
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from coded import CALIBRATION  # noqa: E402
from common import write_result  # noqa: E402
from network import for_inference  # noqa: E402
from train import Run, images  # noqa: E402

from neuralcodec import compress_weights, decompress_weights  # noqa: E402
from neuralcodec.weights import measure_importance  # noqa: E402

IMAGES, BOUND, SPREAD = 2_000, 1e-3, (-0.3, -0.2, -0.1, 0.0, 0.1, 0.2, 0.3)
BITS = (3.5, 5.0)
DAMPINGS = (0.5, 0.75, 1.0)


def outputs(model: nn.Module, x: Tensor) -> Tensor:
    """Logarithms of probabilities."""
    with torch.no_grad():
        return torch.cat([model(some) for some in x.split(500)]).log_softmax(1)


def one(
    model: nn.Module, options: Mapping[str, Any], bits: float, x: Tensor, classes: Tensor
) -> dict[str, float]:
    """Bytes, divergence and accuracy, means over files of nearly the same size."""
    before = outputs(model, x)
    found = []
    for more in SPREAD:
        data = compress_weights(model.state_dict(), bits=bits + more, bound=BOUND, **options)
        made = copy.deepcopy(model)
        made.load_state_dict(decompress_weights(data, framework="torch"))
        after = outputs(made, x)
        divergence = float(nn.functional.kl_div(after, before, reduction="batchmean", log_target=True))
        found.append((len(data), np.log(divergence), float((after.argmax(1) == classes).float().mean())))
    size, logarithm, right = np.mean(found, axis=0)
    return {"bytes": size, "divergence": float(np.exp(logarithm)), "accuracy": right}


def main() -> int:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--width", type=int, default=24)
    parser.add_argument("--blocks", type=int, default=1)
    options = parser.parse_args()
    x, classes = images("train")
    networks: dict[str, Any] = {}
    for n in (1, 4):
        run = Run(n, 0, options)
        if not run.done:
            sys.exit(f"train.py has not finished {run.name}")
        model = for_inference(run.model)
        ways: dict[str, dict[str, Any]] = {"one step": {"factors": False}, "built kernels": {}}
        raw = measure_importance(model, x[:CALIBRATION].split(16), damping=1)
        for damping in DAMPINGS:
            importance = {name: value**damping for name, value in raw.items()}
            ways[f"importance, power {damping}"] = {"importance": importance}
        found: dict[str, Any] = {}
        for bits in BITS:
            found[f"{bits} bits"] = {
                way: one(model, how, bits, x[-IMAGES:], classes[-IMAGES:]) for way, how in ways.items()
            }
            print(n, found, file=sys.stderr, flush=True)
        networks["real" if n == 1 else f"n={n}"] = found
    recipe = {name: getattr(options, name) for name in ("epochs", "width", "blocks")}
    write_result(__file__, {"networks": networks, **recipe})
    return 0


if __name__ == "__main__":
    sys.exit(main())
