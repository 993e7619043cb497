"""Learning rates and weight decays for train.py, of real and of hypercomplex networks, chosen by held-out images.

    NEURALCODEC_DATA=... python benchmarks/phnn/recipes.py

The real network and that with n=4 try the same recipes: one seed, 4 epochs on 50,000 training images, and the accuracy
on the 10,000 others. What is best for n=4 is taken for all hypercomplex ones. Runs keep their state in `runs/phnn/`.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from common import write_result  # noqa: E402
from train import Recipe, Run, images  # noqa: E402

RECIPES = tuple(Recipe(rate, decay) for rate in (0.1, 0.3) for decay in (1e-4, 5e-4))
HELD_OUT, EPOCHS = 10_000, 4


def main() -> int:
    """Try all recipes on all networks, and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--width", type=int, default=24)
    parser.add_argument("--blocks", type=int, default=1)
    options = parser.parse_args()
    options.epochs = EPOCHS
    x, classes = images("train")
    train, held_out = (x[:-HELD_OUT], classes[:-HELD_OUT]), (x[-HELD_OUT:], classes[-HELD_OUT:])
    networks: dict[str, Any] = {}
    for n, name in ((4, "hypercomplex"), (1, "real")):
        accuracies = []
        for recipe in RECIPES:
            run = Run(n, 0, options, recipe, "held-out-")
            while not run.done:
                run.epoch(train, held_out, None)
            accuracies.append(run.epochs[-1]["accuracy"])
            print(f"n={n}, {recipe}: {accuracies[-1]:.4f}", file=sys.stderr, flush=True)
        best = RECIPES[max(range(len(RECIPES)), key=accuracies.__getitem__)]
        tried = [
            {**recipe._asdict(), "accuracy": one} for recipe, one in zip(RECIPES, accuracies, strict=True)
        ]
        networks[name] = {"chosen": best._asdict(), "tried": tried}
    write_result(__file__, {"networks": networks, "epochs": EPOCHS, "held_out": HELD_OUT})
    return 0


if __name__ == "__main__":
    sys.exit(main())
