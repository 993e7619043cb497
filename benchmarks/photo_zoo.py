"""Trains a model of photographs that ships with the package, and puts it into the zoo.

    NEURALCODEC_DATA=... python benchmarks/photo_zoo.py pc-photo --plane 0 [--minutes 25]
    NEURALCODEC_DATA=... python benchmarks/photo_zoo.py pc-photo --plane 1 ...
    NEURALCODEC_DATA=... python benchmarks/photo_zoo.py pc-photo

The planes are learned apart, at the same time if there are cores; the last call learns those that are missing, and
puts them together. Checkpoints in runs/ are written every half minute; the same command goes on from them. With
--minutes the step size falls to 0 by then, however many steps that gives. The result beside this script,
photo_zoo.NAME.json, has the course of the runs, and what they reach on crops that were not learned from.
"""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import HERE
from recombiner_zoo import DATA
from train_zoo import RUNS, ZOO, index

from neuralcodec.artifact import write_artifact
from neuralcodec.native import thread_count
from neuralcodec.photo.context import PLANES
from neuralcodec.photo.model import PhotoModel
from neuralcodec.photo.network import Sizes
from neuralcodec.photo.pool import Pool
from neuralcodec.photo.quantise import quantised
from neuralcodec.photo.training import Checkpoint, PlaneRun, Progress, Recipe, bits_of, learn, pool_of

EVERY = 100
PLANS = {
    "pc-photo": Recipe(Sizes(96, 8), steps=60_000, variants=3),
    "pc-photo-best": Recipe(Sizes(128, 12, online=2), steps=60_000, variants=3),
    "pc-photo-fast": Recipe(Sizes(32, 8, fitted=False), steps=30_000, variants=3),
}
DESCRIPTIONS = {
    "pc-photo": "lossless, photographs of any size; small files",
    "pc-photo-best": "lossless, photographs of any size; smallest files, slow",
    "pc-photo-fast": "lossless, photographs of any size; fast",
}


def checkpoint_of(name: str, plane: int) -> Path:
    """Where the state of a plane's run is kept; the course of the run is beside it."""
    return RUNS / f"{name}.{plane}.ck"


def course_of(name: str, plane: int) -> Path:
    """A line for each report."""
    return checkpoint_of(name, plane).with_suffix(".jsonl")


def train(name: str, plane: int, pool: Pool, minutes: float | None) -> PlaneRun:
    """Run or take up the training of a plane."""
    run = PlaneRun(pool, plane, PLANS[name])
    checkpoint, course = checkpoint_of(name, plane), course_of(name, plane)
    if not checkpoint.exists():
        course.unlink(missing_ok=True)
    kept = Checkpoint(checkpoint, run.recipe, PLANES, pool.depth, resume=True)
    if plane in kept.states:
        run.restore(kept.states[plane])
    start, first = time.monotonic(), run.step

    def report(now: Progress) -> None:
        seconds = time.monotonic() - start
        if minutes is not None:
            left = int((60 * minutes - seconds) * (now.step - first) / seconds)
            run.last = min(run.recipe.steps, now.step + max(0, left))
        line = {"step": now.step, "last": run.last, "bits": round(now.bits, 4), "seconds": round(seconds, 1)}
        with course.open("a") as file:
            file.write(json.dumps(line) + "\n")
        if now.step % (10 * EVERY) == 0:
            print(plane, line, flush=True)

    if not done(name, plane):
        learn(run, PLANES, kept, EVERY, report)
        kept.keep(run, now=True)
        done_mark(name, plane).write_text(str(run.step))
    return run


def done_mark(name: str, plane: int) -> Path:
    """A file that is there if a plane's run has come to its end."""
    return checkpoint_of(name, plane).with_suffix(".done")


def done(name: str, plane: int) -> bool:
    """Tell whether a plane's run has come to its end."""
    return done_mark(name, plane).exists()


def ship(name: str, pool: Pool, runs: list[PlaneRun]) -> dict[str, Any]:
    """Put the planes together, measure them, and enter the model into the zoo."""
    data = DATA["photo"]
    held_out = Pool(list(data.held_out()), fitted=runs[0].recipe.sizes.fitted)
    figures: dict[str, Any] = {
        "training_bpd": [round(bits_of(run, pool), 4) for run in runs],
        "validation_bpd": [round(bits_of(run, held_out), 4) for run in runs],
    }
    header = {
        "name": name,
        "description": DESCRIPTIONS[name],
        "command": f"python benchmarks/photo_zoo.py {name}",
        "recipe": {**runs[0].recipe.to_json(), "steps": [run.step for run in runs]},
        "data": data.words,
        "data_licence": data.licence,
        "licence": "Apache-2.0",
        "figures": {key: round(float(np.mean(values)), 4) for key, values in figures.items()},
    }
    model = PhotoModel([quantised(run.network) for run in runs], header)
    write_artifact(ZOO / f"{name}.ncm", model.artifact)
    index(name, model.identity.hex())
    return {**figures, "bytes": (ZOO / f"{name}.ncm").stat().st_size}


def main() -> None:
    """Train planes, and ship the model once all of them are there."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=sorted(PLANS))
    parser.add_argument("--plane", type=int, choices=range(PLANES))
    parser.add_argument("--minutes", type=float, help="of each plane's training")
    parser.add_argument("--threads", type=int, default=thread_count())
    arguments = parser.parse_args()
    name = arguments.name
    torch.set_num_threads(arguments.threads)
    RUNS.mkdir(exist_ok=True)
    pool = pool_of(list(DATA["photo"].training()), PLANS[name])
    if arguments.plane is not None:
        train(name, arguments.plane, pool, arguments.minutes)
        return
    runs = [train(name, plane, pool, arguments.minutes) for plane in range(PLANES)]
    result = {
        "figures": ship(name, pool, runs),
        "course": {
            str(plane): [json.loads(line) for line in course_of(name, plane).read_text().splitlines()][::10]
            for plane in range(PLANES)
        },
        "recipe": PLANS[name].to_json(),
        "torch": torch.__version__,
        "threads": arguments.threads,
        "load_average": round(os.getloadavg()[0], 1),
    }
    (HERE / f"photo_zoo.{name}.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result["figures"], indent=2))


if __name__ == "__main__":
    main()
