"""A small ResNet on Fashion-MNIST, real against hypercomplex (n = 2, 3, 4), at equal epochs, three seeds.

    NEURALCODEC_DATA=... python benchmarks/phnn/recipes.py
    NEURALCODEC_DATA=... python benchmarks/phnn/train.py [--epochs 10] [--width 24] [--only 4:0] [--minutes 30]

Every run (a number of components and a seed) keeps its state after each epoch in `runs/phnn/` and goes on from there;
the result file, written at the end, tells of the networks whose three runs are done (`--minutes 0` writes it at once).
Nothing is chosen by the test images: they are looked at once, after the last epoch. All networks have the same recipe:
SGD with Nesterov momentum 0.9, one cycle of the learning rate, batches of 128, flips and shifts by up to two pixels.
The highest rate and the weight decay (none on algebras, norms and biases) come from recipes.json, for real and for
hypercomplex networks. An epoch of one run is half a minute of a core.
"""

import argparse
import itertools
import json
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from common import fashion_mnist, fashion_mnist_labels, write_result  # noqa: E402
from network import network  # noqa: E402
from resumable import RUNS, Resumable, one_cycle  # noqa: E402

COMPONENTS, SEEDS, BATCH = (1, 2, 3, 4), (0, 1, 2), 128


def images(part: str) -> tuple[Tensor, Tensor]:
    """Normalised images `(n, 1, 28, 28)` and classes."""
    pixels = torch.from_numpy(fashion_mnist(part).astype(np.float32) / 255)[:, None]
    return (pixels - 0.286) / 0.353, torch.from_numpy(fashion_mnist_labels(part).astype(np.int64))


def varied(x: Tensor, generator: torch.Generator) -> Tensor:
    """Each image flipped or not, and shifted by up to two pixels."""
    flipped = torch.rand(len(x), generator=generator) < 0.5
    x = torch.where(flipped[:, None, None, None], x.flip(3), x)
    padded = nn.functional.pad(x, (2, 2, 2, 2), value=float(x.min()))
    rows = torch.randint(5, (len(x), 1, 1), generator=generator) + torch.arange(28)[None, :, None]
    columns = torch.randint(5, (len(x), 1, 1), generator=generator) + torch.arange(28)[None, None, :]
    return padded[torch.arange(len(x))[:, None, None], 0, rows, columns][:, None]


def accuracy(model: nn.Module, x: Tensor, classes: Tensor) -> float:
    """Share of images that are classified rightly."""
    model.eval()
    with torch.no_grad():
        right = sum(
            int((model(some).argmax(1) == known).sum())
            for some, known in zip(x.split(500), classes.split(500), strict=True)
        )
    return right / len(x)


class Recipe(NamedTuple):
    """Highest learning rate, and weight decay."""

    rate: float
    decay: float


def recipe(n: int) -> Recipe:
    """What recipes.py chose for a number of components."""
    networks = json.loads((HERE / "recipes.json").read_text())["figures"]["networks"]
    return Recipe(**networks["real" if n == 1 else "hypercomplex"]["chosen"])


class Run(Resumable):
    """One network under training, by the recipe that was chosen for it or another one."""

    def __init__(
        self, n: int, seed: int, options: argparse.Namespace, another: Recipe | None = None, prefix: str = ""
    ) -> None:
        self.recipe = another or recipe(n)
        self.name = f"{prefix}n{n}-seed{seed}-w{options.width}-b{options.blocks}-e{options.epochs}"
        self.name += f"-r{self.recipe.rate:g}-d{self.recipe.decay:g}"
        torch.manual_seed(seed)
        model, self.report = network(n, options.width, options.blocks)
        plain = [p for name, p in model.named_parameters() if "algebra" in name or p.dim() == 1]
        decayed = [p for name, p in model.named_parameters() if "algebra" not in name and p.dim() > 1]
        groups = [
            {"params": plain, "weight_decay": 0.0},
            {"params": decayed, "weight_decay": self.recipe.decay},
        ]
        optimiser = torch.optim.SGD(groups, self.recipe.rate, momentum=0.9, nesterov=True)
        super().__init__(RUNS / "phnn" / f"{self.name}.pt", model, optimiser, seed, options.epochs)

    def epoch(self, train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor], few: int | None) -> None:
        """Train for an epoch, or its first few batches, and save."""
        self.model.train()
        start, losses = time.process_time(), []
        order = torch.randperm(len(train[0]), generator=self.generator)
        batches = len(order) // BATCH
        for place, some in enumerate(order.split(BATCH)[: few or batches]):
            self.set_rate(one_cycle(self.share_done(place, batches), self.recipe.rate))
            x = varied(train[0][some], self.generator)
            loss = self.loss(x, train[1][some])
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
            losses.append(float(loss.detach()))
        seconds = time.process_time() - start
        self.epochs.append({"loss": float(np.mean(losses)), "processor_seconds": seconds})
        if few:
            test = (test[0][:500], test[1][:500])
        if few or self.done:
            self.epochs[-1]["accuracy"] = accuracy(self.model, *test)
        if not few:
            self.save()

    def loss(self, x: Tensor, classes: Tensor) -> Tensor:
        """What a batch of images costs."""
        return nn.functional.cross_entropy(self.model(x), classes)


def figures(runs: dict[tuple[int, int], Run]) -> dict[str, Any]:
    """Accuracy, with its spread over the seeds, and sizes."""
    found: dict[str, Any] = {}
    for n in COMPONENTS:
        mine = [runs[n, seed] for seed in SEEDS]
        if not all(run.done for run in mine):
            continue
        right = [run.epochs[-1]["accuracy"] for run in mine]
        size = mine[0].report.after
        found["real" if n == 1 else f"n={n}"] = {
            "accuracy": float(np.mean(right)),
            "spread": float(np.std(right, ddof=1)),
            "accuracies": right,
            "recipe": mine[0].recipe._asdict(),
            "parameters": size.parameters,
            "bytes": size.bytes,
            "flops": size.flops,
            "processor_seconds_per_epoch": float(
                np.median([e["processor_seconds"] for r in mine for e in r.epochs])
            ),
            "epochs": [run.epochs for run in mine],
        }
    for one in found.values():
        one["points_to_real"] = 100 * (one["accuracy"] - found["real"]["accuracy"])
    return found


def main() -> int:
    """Go on with all runs, in turn, until they are done or the time is up."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--width", type=int, default=24, help="channels of the first stage, a multiple of 12")
    parser.add_argument("--blocks", type=int, default=1, help="of each of the three stages")
    parser.add_argument("--only", help="one run, as n:seed")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start no epoch after so many")
    parser.add_argument("--try", dest="batches", type=int, help="a few batches of each run; nothing is kept")
    options = parser.parse_args()
    if options.width % 12:
        sys.exit(f"--width {options.width}: n = 3 and n = 4 both must divide it, so it is a multiple of 12")
    train, test = images("train"), images("test")
    chosen = list(itertools.product(COMPONENTS, SEEDS))
    if options.only:
        chosen = [tuple(map(int, options.only.split(":")))]  # type: ignore[list-item]
    runs = {(n, seed): Run(n, seed, options) for n, seed in chosen}
    start = time.monotonic()
    for run in runs.values():
        while not run.done and time.monotonic() - start < 60 * options.minutes:
            run.epoch(train, test, options.batches)
            print(f"{run.name}, epoch {len(run.epochs)}: {json.dumps(run.epochs[-1])}", flush=True)
            if options.batches:
                break
    if options.batches or options.only:
        return 0
    if not all(runs[1, seed].done for seed in SEEDS):
        sys.exit("the real network, to which the others are compared, has runs to do")
    sizes = {name: getattr(options, name) for name in ("epochs", "width", "blocks")}
    write_result(__file__, {"networks": figures(runs), **sizes})
    return 0


if __name__ == "__main__":
    sys.exit(main())
