"""RECOMBINER on signals of one and three dimensions: speech, protein backbones, video, and made ones.

    NEURALCODEC_DATA=... python benchmarks/recombiner_signals.py [--steps 400] [--only blobs]

A model is trained from nothing on each set, by a short recipe, and codes signals that were held out, one file each,
with the preset `fast`. The sets are small and so are the models: this shows that the same code takes such signals, not
how well it could do. PSNR is relative to the whole range of samples that the model knows. With --only NAME the other
sets keep the figures that the result file has.
"""

import argparse
import json
import math
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import HERE, write_result
from numpy.typing import NDArray

import neuralcodec
from neuralcodec.artifact import write_artifact
from neuralcodec.native import thread_count
from neuralcodec.recombiner.training import TRANSFORMED, USUAL, Recipe, Sizes, layout_for, prepared, train
from neuralcodec.signals.wav import read_wav

Signals = list[NDArray[Any]]
MOST_HELD_OUT, FINISHING = 3, 60
ATOMS, PER_ANGSTROM = 96, 100


def data_folder(name: str) -> Path:
    """Where a data set lies."""
    return Path(os.environ["NEURALCODEC_DATA"]) / name


def speech() -> Signals:
    """Sentences of speech at 16 kHz, 16 bits."""
    return [read_wav(path.read_bytes())[0] for path in sorted(data_folder("audio_speech").glob("*.wav"))]


def proteins() -> Signals:
    """C-alpha positions of the first 96 residues, from their mean, in hundredths of an angstrom."""
    chains = np.load(data_folder("protein_ca") / "ca_coords.npz")
    found = [chains[key][:ATOMS] for key in sorted(chains.files) if len(chains[key]) >= ATOMS]
    return [np.rint((one - one.mean(0)) * PER_ANGSTROM).astype(np.int16) for one in found]


def video() -> Signals:
    """Clips of 24 frames of 128x128 pixels."""
    return [np.load(path)["frames"] for path in sorted(data_folder("video").glob("*.npz"))]


def chirps() -> Signals:
    """Sums of three tones whose pitch glides, 16 bits."""
    rng, t = np.random.default_rng(0), np.linspace(0, 1, 4096)
    tones = rng.uniform([2, -8, 0], [60, 8, 6], (24, 3, 3))[..., None]
    x = np.sin(2 * np.pi * (tones[:, :, 0] * t + tones[:, :, 1] * t**2) + tones[:, :, 2]).mean(1)
    return list(np.rint(20_000 * x).astype(np.int16))


def blobs() -> Signals:
    """Two bright blobs that move through 16 frames of 24x24 pixels."""
    rng = np.random.default_rng(0)
    t, y, x = np.meshgrid(np.linspace(-1, 1, 16), *2 * [np.linspace(-1, 1, 24)], indexing="ij")
    made = []
    for _ in range(48):
        place, speed = rng.uniform(-0.6, 0.6, (2, 2)), rng.uniform(-0.4, 0.4, (2, 2))
        light = sum(
            np.exp(-20 * ((y - a - c * t) ** 2 + (x - b - d * t) ** 2))
            for (a, b), (c, d) in zip(place, speed, strict=True)
        )
        made.append(np.rint(110 * np.asarray(light) + 20).astype(np.uint8))
    return made


@dataclass(frozen=True)
class Case:
    """A set of signals, and how a model of it is made."""

    signals: Callable[[], Signals]
    dimensions: int
    bits_a_point: float
    sizes: Sizes
    batch: int
    rate_unit: str
    points_a_unit: float
    transform: bool = True


LATENTS = TRANSFORMED.latents
CASES = {
    "speech": Case(
        speech, 1, 0.7, Sizes(patch=(800,), latents=LATENTS, encoding=(16, 16, 16), factors=(2, 8)), 48, "kbit/s",
        1000 / 16_000,
    ),
    "proteins": Case(proteins, 1, 40.0, Sizes(), 24, "bits an atom", 1, transform=False),
    "video": Case(
        video, 3, 0.25, Sizes(patch=(8, 16, 16), latents=LATENTS, encoding=(96, 64, 15), factors=(2, 4)), 16,
        "bits a pixel", 1,
    ),
    "chirps (made)": Case(
        chirps, 1, 0.5, Sizes(patch=(1024,), latents=LATENTS, encoding=(16, 16, 16), factors=(2, 8)), 32,
        "bits a sample", 1,
    ),
    "blobs (made)": Case(
        blobs, 3, 0.02, Sizes(latents=LATENTS, encoding=(48, 64, 16), factors=(2, 4)), 8, "bits a pixel", 1
    ),
}  # fmt: skip


def measure(case: Case, steps: int, folder: Path) -> dict[str, Any]:
    """Train on a set, and code what was held out."""
    signals = case.signals()
    kept, training = signals[-MOST_HELD_OUT:], signals[:-MOST_HELD_OUT]
    if not training:  # three clips: two are learned from
        kept, training = signals[-1:], signals[:-1]
    full = prepared(training, case.dimensions)
    layout = layout_for(full, case.dimensions, case.sizes)
    usual = TRANSFORMED if case.transform else USUAL
    recipe = Recipe(
        case.bits_a_point * layout.points, steps=steps, batch=case.batch, mirror=False, crop=layout.group,
        rate=usual.rate, map_rate=usual.map_rate, network_rate=usual.network_rate, width=usual.width,
    )  # fmt: skip
    start = time.process_time()
    model = train(
        full, layout, recipe, threads=thread_count(), transform=case.transform, finishing_steps=FINISHING
    )
    learning = time.process_time() - start
    path = folder / "model.ncm"
    write_artifact(path, model.artifact)
    rows = [coded(x, path, model.high - model.low) for x in kept]
    points = sum(x.size // layout.channels for x in kept)
    psnr = [row["psnr"] for row in rows]
    return {
        "training_signals": len(training),
        "held_out": len(kept),
        "patch": list(layout.grid),
        "learning_processor_seconds": learning,
        "model_bytes": path.stat().st_size,
        "rate": 8 * sum(row["bytes"] for row in rows) / points / case.points_a_unit,
        "rate_unit": case.rate_unit,
        "psnr": float(np.mean(psnr)),
        "snr": float(np.mean([row["snr"] for row in rows])),
        "rmsd": float(np.sqrt(np.mean([row["mse"] for row in rows]) * layout.channels)),
        "encode_seconds": float(np.mean([row["encode_seconds"] for row in rows])),
        "decode_seconds": float(np.mean([row["decode_seconds"] for row in rows])),
    }


def coded(x: NDArray[Any], model: Path, peak: int) -> dict[str, float]:
    """Size, error and times of one file."""
    start = time.perf_counter()
    data = neuralcodec.compress(x, model, preset="fast")
    middle = time.perf_counter()
    y = neuralcodec.decompress(data, model)
    end = time.perf_counter()
    exact = x.astype(np.float64)
    mse = float(((y - exact) ** 2).mean())
    return {
        "bytes": len(data),
        "mse": mse,
        "psnr": 10 * math.log10(peak**2 / mse),
        "snr": 10 * math.log10(float(((exact - exact.mean()) ** 2).mean()) / mse),
        "encode_seconds": middle - start,
        "decode_seconds": end - middle,
    }


def main() -> None:
    """Measure all sets."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--only", help="a set, by how its name starts")
    options = parser.parse_args()
    steps = options.steps
    torch.set_num_threads(thread_count())
    path = HERE / "recombiner_signals.json"
    before = json.loads(path.read_text())["figures"] if options.only and path.exists() else {}
    figures: dict[str, Any] = before if before.get("steps") == steps else {"steps": steps}
    with tempfile.TemporaryDirectory() as folder:
        for name, case in CASES.items():
            if not name.startswith(options.only or ""):
                continue
            figures[name] = measure(case, steps, Path(folder))
            write_result(__file__, figures)


if __name__ == "__main__":
    main()
