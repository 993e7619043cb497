"""Trains a representation that ships with the package, and puts it into the zoo.

    NEURALCODEC_DATA=... python benchmarks/recombiner_zoo.py recombiner-cifar-4

A run may start from another, of the next higher rate, which must have been trained before. A checkpoint in runs/ is
written every 250 mini-batches; the same command goes on from it. The result beside this script,
recombiner_zoo.NAME.json, has the course of the run, and what the network reaches on signals that it was not trained on.
"""

import argparse
import json
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import HERE
from numpy.typing import NDArray
from PIL import Image
from train_zoo import RUNS, ZOO, index

from neuralcodec.artifact import write_artifact
from neuralcodec.evaluation.data.opening import open_data
from neuralcodec.native import thread_count
from neuralcodec.recombiner.finishing import finish, guessed, mean_psnr
from neuralcodec.recombiner.layout import Layout
from neuralcodec.recombiner.learning import Progress, Recipe, Run, Sampler
from neuralcodec.recombiner.network import cut
from neuralcodec.recombiner.posterior import Target

EVERY = 250
FINISHED_ON = {"whole": 192, "crops": 12}
"""Training signals, and crops of photographs, whose posteriors give the blocks."""

CIFAR = Layout((32, 32), 3, encoding=(64, 64, 32, 16))
MNIST = Layout(
    (28, 28), 1, hidden=(32, 32), features=8, latents=(96, 96, 33), encoding=(24, 32, 16), factors=(2, 2)
)
PHOTO = Layout(
    (32, 32), 3, whole=False, group=(4, 4), latents=(24, 16, 16, 8), encoding=(96, 64, 16), factors=(2, 8)
)  # fmt: skip


@dataclass(frozen=True)
class Data:
    """Training signals, the same kind held out, and what to say of them."""

    training: Callable[[], Sequence[NDArray[np.uint8]]]
    held_out: Callable[[], Sequence[NDArray[np.uint8]]]
    words: str
    licence: str


def known(name: str) -> Sequence[NDArray[np.uint8]]:
    """The images of a data set, with a last axis for channels."""
    images = np.stack([item.load() for item in open_data(name).items])
    return images.reshape(*images.shape[:3], -1)


def crops() -> Sequence[NDArray[np.uint8]]:
    """Free-licence photographs, 512x512, from $NEURALCODEC_DATA/photo_train/crops."""
    files = sorted((Path(os.environ["NEURALCODEC_DATA"]) / "photo_train" / "crops").glob("*.webp"))
    return [np.asarray(Image.open(path).convert("RGB")) for path in files]


DATA = {
    "cifar": Data(
        lambda: known("cifar10-train"),
        lambda: known("cifar10"),
        "CIFAR-10 training images (Krizhevsky); the test images were not used",
        "none stated; research data set",
    ),
    "mnist": Data(
        lambda: known("mnist-train"),
        lambda: known("mnist"),
        "MNIST training images (LeCun, Cortes, Burges); the test images were not used",
        "CC BY-SA 3.0, as commonly stated for MNIST",
    ),
    "photo": Data(
        lambda: crops()[:-8],
        lambda: crops()[-8:],
        "157 crops of photographs of free licences, credited in docs/photo-credits.md",
        "CC0, public domain, Unsplash, Pexels, CC BY and CC BY-SA, each as its repository states",
    ),
}


@dataclass(frozen=True)
class Plan:
    """A model of the zoo."""

    data: str
    layout: Layout
    bpp: float
    recipe: Mapping[str, Any]
    after: str | None = None
    index_bits: int = 20
    transform: bool = False

    @property
    def bits(self) -> float:
        """Index bits of a patch."""
        return self.bpp * self.layout.points


PLANS = {
    "recombiner-cifar-4": Plan("cifar", CIFAR, 1.5, {"steps": 25_000}),
    "recombiner-mnist-3": Plan("mnist", MNIST, 0.6, {"steps": 8_000, "mirror": False, "width": 64}),
    "recombiner-photo": Plan(
        "photo",
        PHOTO,
        0.155,
        {
            "steps": 16_000,
            "crop": (4, 4),
            "rate": 2.5e-4,
            "network_rate": 0.5,
            "map_rate": 0.01,
            "width": 192,
            "balance": 0.5,
        },
        index_bits=16,
        transform=True,
    ),
}


def _later(before: str, bpp: float, steps: int) -> Plan:
    first = PLANS[before]
    recipe = {**first.recipe, "steps": steps, "rate": 1e-3}
    return Plan(first.data, first.layout, bpp, recipe, before, first.index_bits)


PLANS["recombiner-cifar-3"] = _later("recombiner-cifar-4", 0.95, 6_000)
PLANS["recombiner-cifar-2"] = _later("recombiner-cifar-3", 0.7, 6_000)
PLANS["recombiner-cifar-1"] = _later("recombiner-cifar-2", 0.3, 8_000)
PLANS["recombiner-mnist-2"] = _later("recombiner-mnist-3", 0.35, 4_000)
PLANS["recombiner-mnist-1"] = _later("recombiner-mnist-2", 0.18, 4_000)


def checkpoint_of(name: str) -> Path:
    """Where the state of a run is kept."""
    return RUNS / f"{name}.ck"


def target_of(signals: Sequence[NDArray[np.uint8]], plan: Plan, count: int, seed: int) -> Target:
    """Some of the signals, drawn by seed, or random crops of them."""
    recipe = Recipe(plan.bits, **{**plan.recipe, "batch": count * math.prod(plan.recipe.get("crop", (1,)))})
    x, counts = Sampler(signals, plan.layout, 0, 255).draw(np.random.default_rng(seed), recipe)
    return Target.of(cut(x, counts, plan.layout.grid), counts, plan.layout)


def reached(run: Run, target: Target) -> dict[str, float]:
    """PSNR in dB and bits a patch of the guessed posteriors: the same on training and other signals?"""
    levels = guessed(run.network, run.inference, target, 1.0)
    bits = sum(float(level.block_bits().sum()) for level in levels) / len(target.samples)
    return {"psnr": round(mean_psnr(run.network, levels, target), 3), "bits": round(bits, 1)}


def train(name: str, threads: int) -> tuple[Run, list[dict[str, float]]]:
    """Run or take up a training; return it with a line for each report."""
    plan = PLANS[name]
    sampler = Sampler(DATA[plan.data].training(), plan.layout, 0, 255)
    run = Run(sampler, plan.layout, Recipe(plan.bits, **plan.recipe), threads)
    checkpoint, history = checkpoint_of(name), RUNS / f"{name}.jsonl"
    if checkpoint.exists():
        run.resume(checkpoint)
    else:
        history.unlink(missing_ok=True)
        if plan.after is not None:
            run.start_from(checkpoint_of(plan.after))
        elif plan.transform:
            run.start_from_transform()

    def report(now: Progress) -> None:
        line = {
            "step": now.step,
            "psnr": round(now.psnr, 3),
            "bits": round(now.bits, 1),
            "beta": float(f"{now.beta:.3g}"),
            "seconds": round(now.seconds, 1),
            "load_average": round(os.getloadavg()[0], 1),
        }
        with history.open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(line, flush=True)

    run.train(report=report, every=EVERY, checkpoint=checkpoint)
    return run, [json.loads(line) for line in history.read_text().splitlines()]


def main() -> None:
    """Train, quantise and ship one model."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=sorted(PLANS))
    parser.add_argument("--threads", type=int, default=thread_count())
    arguments = parser.parse_args()
    name, plan = arguments.name, PLANS[arguments.name]
    torch.set_num_threads(arguments.threads)
    RUNS.mkdir(exist_ok=True)
    run, history = train(name, arguments.threads)
    data = DATA[plan.data]
    training, start = data.training(), time.perf_counter()
    count = FINISHED_ON["whole" if plan.layout.whole else "crops"]
    figures: dict[str, Any] = {
        "training": reached(run, target_of(training, plan, count, 1)),
        "held_out": reached(run, target_of(data.held_out(), plan, count, 1)),
    }
    words: list[str] = []
    header = {
        "name": name,
        "description": f"lossy, {plan.bpp} bits a point",
        "command": f"python benchmarks/recombiner_zoo.py {name}",
        "recipe": run.recipe.to_json(),
        "data": data.words,
        "data_licence": data.licence,
        "licence": "Apache-2.0",
        "figures": figures,
    }
    model = finish(
        run.network,
        run.inference,
        target_of(training, plan, count, 2),
        bits=plan.bits,
        beta=math.exp(run.log_beta),
        seed=1,
        index_bits=plan.index_bits,
        report=words.append,
        dtype=np.dtype(np.uint8),
        low=0,
        high=255,
        header=header,
    )
    write_artifact(ZOO / f"{name}.ncm", model.artifact)
    index(name, model.identity.hex())
    result = {
        "figures": {
            **figures,
            "bytes": (ZOO / f"{name}.ncm").stat().st_size,
            "finishing_seconds": round(time.perf_counter() - start),
            "finishing": words,
        },
        "course": history,
        "recipe": run.recipe.to_json(),
        "after": plan.after,
        "torch": torch.__version__,
        "threads": arguments.threads,
    }
    (HERE / f"recombiner_zoo.{name}.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result["figures"], indent=2))


if __name__ == "__main__":
    main()
