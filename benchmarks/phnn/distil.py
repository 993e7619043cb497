"""The hypercomplex network (n=4) goes on learning, from the answers of the real one of the same seed too.

    NEURALCODEC_DATA=... python benchmarks/phnn/distil.py [--epochs 10] [--width 24] [--more 10] [--only 0]

It starts from what train.py left in `runs/phnn/`. The loss is the mean of the cross entropy and of the divergence from
the real network's answers, both softened (temperature 3; Hinton et al., arXiv:1503.02531); one cycle of the learning
rate up to a third of the recipe's. Nothing was tuned. coded.py makes files of these networks. Runs go on where they
were interrupted.
"""

import argparse
import json
import sys
from pathlib import Path

import torch
from torch import Tensor, nn

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from train import SEEDS, Recipe, Run, images, recipe  # noqa: E402

COMPONENTS, TEMPERATURE = 4, 3.0


class Distilled(Run):
    """One network that goes on learning."""

    def __init__(self, seed: int, options: argparse.Namespace) -> None:
        start, self.teacher = (Run(n, seed, options) for n in (COMPONENTS, 1))
        missing = [run.name for run in (start, self.teacher) if not run.done]
        if missing:
            sys.exit(f"train.py has not finished {', '.join(missing)}")
        chosen = recipe(COMPONENTS)
        gentler = Recipe(chosen.rate / 3, chosen.decay)
        super().__init__(COMPONENTS, seed, options, gentler, f"distilled-{options.more}-")
        self.wanted = options.more
        if not self.epochs:
            self.model.load_state_dict(start.model.state_dict())
        self.teacher.model.eval()

    def loss(self, x: Tensor, classes: Tensor) -> Tensor:
        """Cross entropy with the classes, and divergence from the teacher."""
        told = self.model(x)
        with torch.no_grad():
            wanted = (self.teacher.model(x) / TEMPERATURE).log_softmax(1)
        softened = (told / TEMPERATURE).log_softmax(1)
        divergence = nn.functional.kl_div(softened, wanted, reduction="batchmean", log_target=True)
        return (nn.functional.cross_entropy(told, classes) + TEMPERATURE**2 * divergence) / 2


def main() -> int:
    """Go on with all runs, in turn."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=10, help="of train.py")
    parser.add_argument("--width", type=int, default=24)
    parser.add_argument("--blocks", type=int, default=1)
    parser.add_argument("--more", type=int, default=10, help="epochs here")
    parser.add_argument("--only", type=int, help="one seed")
    options = parser.parse_args()
    train, test = images("train"), images("test")
    for seed in SEEDS if options.only is None else [options.only]:
        run = Distilled(seed, options)
        while not run.done:
            run.epoch(train, test, None)
            print(f"{run.name}, epoch {len(run.epochs)}: {json.dumps(run.epochs[-1])}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
