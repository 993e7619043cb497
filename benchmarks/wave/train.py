"""A convolutional surrogate of the wave equation, dense against compact at several sizes: error, size, time, memory.

    pip install 'neuralcodec[torch]' scikit-fem matplotlib
    python benchmarks/wave/rates.py
    python benchmarks/wave/train.py [--epochs 40] [--only 'Tucker, rank 7:0'] [--minutes 30]

The data set is solved once (some minutes) and kept, with the state of every run, in `runs/wave/`: an interrupted
benchmark goes on. The result file tells of the surrogates whose three runs are done (`--minutes 0` writes it at once).
Of 1,400 problems 1,000 train, 200 choose learning rates and the epoch, and 200 are for the figures: the relative L2
error of all fields of a problem, its mean over the problems. All surrogates have one recipe: Adam, batches of 10, and
one cycle of the learning rate; its highest is each one's own, from rates.json. Tucker's rank 19 has under a quarter of
the dense one's parameters in all, rank 7 under a tenth. "Coded" are the bytes of a file of the codec of weights, at
35 dB of the kernels that are built, and "coded error" is that of the surrogate which it decodes to; "kept" are bytes
for the backward pass of a batch.
"""

import argparse
import copy
import itertools
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from common import write_result  # noqa: E402
from fields import TIMES, kept  # noqa: E402
from layers_speed import kept as kept_bytes  # noqa: E402
from resumable import RUNS, Resumable, one_cycle  # noqa: E402

from neuralcodec import compress_weights, decompress_weights  # noqa: E402
from neuralcodec.layers import Hypercomplex, Tensorized, compact  # noqa: E402
from neuralcodec.layers.report import measured  # noqa: E402

BATCH, WIDTH, SQNR = 10, 48, 35
SEEDS = (0, 1, 2)
SHOWN = ("dense", "Tucker, rank 7")  # the picture of fields
CHOICES: dict[str, Any] = {
    "dense": None,
    "separable, 1 product": Tensorized("separable", 1, nonlinearity="relu"),
    "Tucker, rank 19": Tensorized("tucker", 19, nonlinearity="relu"),
    "Tucker, rank 13": Tensorized("tucker", 13, nonlinearity="relu"),
    "Tucker, rank 7": Tensorized("tucker", 7, nonlinearity="relu"),
    "CP, rank 48": Tensorized("cp", 48, nonlinearity="relu"),
    "hypercomplex, n=4": Hypercomplex(4, nonlinearity="relu"),
    "hypercomplex, n=8": Hypercomplex(8, nonlinearity="relu"),
    "dense, 24 channels": 24,
    "dense, 16 channels": 16,
}


class Surrogate(nn.Module):
    """A quarter of the resolution, four residual convolutions of 5 x 5, the middle of it, and up again."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, width, 8, 4, 2)
        self.middle = nn.ModuleList(nn.Conv2d(width, width, 5, 1, 2 * d, d) for d in (1, 2, 2, 1))
        self.last = nn.ConvTranspose2d(width, len(TIMES), 8, 4, 2)
        for layer in self.middle:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        # what comes out has its channels last, and so has all that follows: a fifth less time
        self.first.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, 1, 64, 64)` of the edge to `(batch, times, 32, 32)` of the zone."""
        x = torch.relu(self.first(x))
        for layer in self.middle:
            x = x + torch.relu(layer(x))
        result: Tensor = self.last(x[..., 4:-4, 4:-4])
        return result


def surrogate(name: str) -> Surrogate:
    """A surrogate whose convolutions in the middle, where nearly all parameters are, are compact."""
    choice = CHOICES[name]
    if isinstance(choice, int):
        return Surrogate(choice)
    model = Surrogate(WIDTH)
    compact(model, {"middle.*": choice}, strict=True)
    return model


def errors(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Relative L2 error of each problem."""
    model.eval()
    with torch.no_grad():
        told = torch.cat([model(some) for some in x.split(100)])
    return (told - y).flatten(1).norm(dim=1) / y.flatten(1).norm(dim=1)


def data_set(share: int = 1) -> dict[str, tuple[Tensor, Tensor]]:
    """What is seen and told, by part; of each a share of the problems."""
    parts = (("train", 1000, 1), ("held out", 200, 2), ("test", 200, 3))
    return {
        name: tuple(map(torch.from_numpy, kept(RUNS / "wave", name.replace(" ", "-"), count // share, seed)))  # type: ignore[misc]
        for name, count, seed in parts
    }


class Run(Resumable):
    """One surrogate under training; the weights of its best epoch on held-out problems lie beside its state."""

    def __init__(self, name: str, seed: int, epochs: int, rate: float) -> None:
        self.name, self.seed, self.rate = name, seed, rate
        torch.manual_seed(seed)
        model = surrogate(name)
        place = "".join(c if c.isalnum() else "-" for c in name)
        path = RUNS / "wave" / f"{place}-seed{seed}-e{epochs}-r{rate:g}.pt"
        super().__init__(path, model, torch.optim.Adam(model.parameters(), rate), seed, epochs)
        self.best = path.with_suffix(".best.pt")

    def epoch(self, data: dict[str, tuple[Tensor, Tensor]], few: int | None) -> None:
        """Train for an epoch, or its first few batches, and save."""
        x, y = data["train"]
        self.model.train()
        start, losses = time.process_time(), []
        order = torch.randperm(len(x), generator=self.generator)
        batches = -(-len(x) // BATCH)
        for place, some in enumerate(order.split(BATCH)[: few or batches]):
            self.set_rate(one_cycle(self.share_done(place, batches), self.rate))
            loss = nn.functional.mse_loss(self.model(x[some]), y[some])
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
            losses.append(float(loss.detach()))
        seconds = time.process_time() - start
        held_out = float(errors(self.model, *data["held out"]).mean())
        before = min((epoch["held_out"] for epoch in self.epochs), default=float("inf"))
        self.epochs.append(
            {"loss": float(np.mean(losses)), "held_out": held_out, "processor_seconds": seconds}
        )
        if not few:
            if held_out < before:
                self.best.parent.mkdir(parents=True, exist_ok=True)
                torch.save(self.model.state_dict(), self.best)
            self.save()

    @property
    def held_out(self) -> float:
        """The error of its best epoch on held-out problems."""
        return min(epoch["held_out"] for epoch in self.epochs)

    def finished(self) -> nn.Module:
        """The model of its best epoch."""
        model = copy.deepcopy(self.model)
        model.load_state_dict(torch.load(self.best, weights_only=True))
        return model.eval()


def decoded(model: nn.Module, data: bytes) -> nn.Module:
    """A copy of a surrogate with the weights of a file."""
    made = copy.deepcopy(model)
    made.load_state_dict(decompress_weights(data, framework="torch"))
    return made


def figures(runs: dict[tuple[str, int], Run], test: tuple[Tensor, Tensor]) -> dict[str, Any]:
    """Errors with their spread over the seeds, sizes, times and memory."""
    found: dict[str, Any] = {}
    for name in CHOICES:
        mine = [runs[name, seed] for seed in SEEDS]
        if not all(run.done for run in mine):
            continue
        models = [run.finished() for run in mine]
        error = [float(errors(model, *test).mean()) for model in models]
        size = measured(models[0], test[0][:1])
        data = compress_weights(models[0].state_dict(), sqnr=SQNR)
        start = time.process_time()
        errors(models[0], *test)
        seconds = time.process_time() - start
        found[name] = {
            "error": float(np.mean(error)),
            "spread": float(np.std(error, ddof=1)),
            "rate": mine[0].rate,
            "errors": error,
            "parameters": size.parameters,
            "coded_bytes": len(data),
            "coded_error": float(errors(decoded(models[0], data), *test).mean()),
            "flops": size.flops,
            "kept_bytes": kept_bytes(models[0].train(), test[0][:BATCH]),
            "training_seconds_per_epoch": float(
                np.median([epoch["processor_seconds"] for run in mine for epoch in run.epochs])
            ),
            "inference_seconds_per_problem": seconds / len(test[0]),
            "epochs": [run.epochs for run in mine],
        }
    dense = found["dense"]
    for one in found.values():
        one["error_to_dense"] = one["error"] / dense["error"]
        one["parameters_to_dense"] = one["parameters"] / dense["parameters"]
    return found


def main() -> int:
    """Go on with all runs, in turn, until they are done or the time is up."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--only", help="one surrogate, as name or name:seed")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start no epoch after so many")
    parser.add_argument("--try", dest="few", type=int, help="a few batches of each run on a small set")
    options = parser.parse_args()
    data = data_set(20 if options.few else 1)
    rates = json.loads((HERE / "rates.json").read_text())["figures"]["chosen"]
    chosen = [(n, s) for n, s in itertools.product(CHOICES, SEEDS) if options.only in (None, n, f"{n}:{s}")]
    if not chosen:
        sys.exit(f"--only {options.only}: there are {', '.join(CHOICES)}, with :0, :1 or :2 for one run")
    runs = {(n, s): Run(n, s, options.epochs, rates[n]) for n, s in chosen}
    start = time.monotonic()
    for run in runs.values():
        while not run.done and time.monotonic() - start < 60 * options.minutes:
            run.epoch(data, options.few)
            print(f"{run.name}:{run.seed}, epoch {len(run.epochs)}: {json.dumps(run.epochs[-1])}", flush=True)
            if options.few:
                break
    if options.few or options.only:
        return 0
    if not all(runs[name, seed].done for name in SHOWN for seed in SEEDS):
        sys.exit(f"{' or '.join(SHOWN)}, which the others are compared to and pictures show, has runs to do")
    found = figures(runs, data["test"])
    write_result(__file__, {"surrogates": found, "epochs": options.epochs})
    import plots

    plots.sizes(found)
    plots.fields({name: runs[name, 0].finished() for name in SHOWN}, data["test"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
