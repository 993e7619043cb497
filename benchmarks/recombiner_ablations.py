"""What positional encodings and the index model are worth to RECOMBINER.

    NEURALCODEC_DATA=... python benchmarks/recombiner_ablations.py [steps]

Positional encodings: two models of CIFAR-10 at 0.7 bits a pixel are trained from nothing by the same recipe, shorter
than the shipped models', one with its encodings kept at zero. Index model: IMAGES test images are coded with the
likeliest candidate, as shipped, and with a sample of the posterior (A* coding), whose indices have a distribution that
a table can learn: it is fitted to half of the images and measured on the other half. Both with the preset `fast`.
"""

import math
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from common import write_result
from numpy.typing import NDArray
from recombiner_zoo import CIFAR, known

import neuralcodec
from neuralcodec.artifact import write_artifact
from neuralcodec.entropy.relative import IndexModel
from neuralcodec.evaluation.data.opening import open_data
from neuralcodec.native import thread_count
from neuralcodec.recombiner.batches import PRESETS, encode_signals
from neuralcodec.recombiner.cutting import Cutting
from neuralcodec.recombiner.finishing import finish
from neuralcodec.recombiner.learning import Recipe, Run, Sampler
from neuralcodec.recombiner.training import drawn, figures_of
from neuralcodec.zoo.resolve import codec_with

IMAGES, MODEL, BPP = 12, "recombiner-cifar-2", 0.7


def rate_and_psnr(images: NDArray[np.uint8], model: str | Path) -> dict[str, float]:
    """Bits a pixel of an archive on disk, and the mean PSNR of its images."""
    archive = neuralcodec.compress_many(images, model, preset="fast")
    error = ((neuralcodec.decompress_many(archive, model=model).astype(np.float64) - images) ** 2).mean(
        axis=(1, 2, 3)
    )
    return {
        "bpp": 8 * len(archive) / (images.size / images.shape[-1]),
        "psnr": float((10 * np.log10(255**2 / error)).mean()),
    }


def trained(encodings: bool, steps: int, images: NDArray[np.uint8]) -> dict[str, Any]:
    """Figures of a model with or without positional encodings."""
    recipe = Recipe(BPP * CIFAR.points, steps=steps)
    run = Run(Sampler(list(known("cifar10-train")), CIFAR, 0, 255), CIFAR, recipe, thread_count())
    if not encodings:
        for parameter in run.network.stages.parameters():
            parameter.requires_grad_(False).zero_()
    run.train()
    figures = figures_of(run, list(known("cifar10")))
    model = finish(
        run.network, run.inference, drawn(run.sampler.signals, run, 2), bits=recipe.bits, beta=math.exp(run.log_beta),
        seed=1, index_bits=16, dtype=np.dtype(np.uint8), low=0, high=255, header={"recipe": recipe.to_json()},
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ablation.ncm"
        write_artifact(path, model.artifact)
        return {**rate_and_psnr(images, path), "guessed": figures}


def indexed(images: NDArray[np.uint8], weight: float) -> dict[str, float]:
    """PSNR, and bits of a block's index with and without a fitted index model."""
    model = codec_with(MODEL).model
    with mock.patch.dict(PRESETS, {"fast": replace(PRESETS["fast"], weight=weight)}):
        figures = rate_and_psnr(images, MODEL)
        (indices,) = encode_signals(model, Cutting(model.layout, model.dtype), images, "fast", None)
    half, bits = len(indices) // 2, model.bits
    fitted = IndexModel.fit(indices[:half].ravel(), bits=bits)
    test = indices[half:].ravel()
    return {
        "psnr": figures["psnr"],
        "bits_uniform": float(bits),
        "bits_fitted": float(fitted.information(test)) / test.size,
    }


def main(steps: str = "1000") -> None:
    """Measure both ablations."""
    torch.set_num_threads(thread_count())
    images = np.stack([item.load() for item in open_data("cifar10", limit=IMAGES, seed=0).items])
    figures: dict[str, Any] = {
        "images": IMAGES,
        "index_model": {
            "likeliest candidate": indexed(images, 0.0),
            "posterior sample": indexed(images, 1.0),
        },
        "steps": int(steps),
        "encodings": {
            words: trained(encodings, int(steps), images)
            for words, encodings in (("with", True), ("without", False))
        },
    }
    write_result(__file__, figures)


if __name__ == "__main__":
    main(*sys.argv[1:])
