"""What integers cost: bits of held-out photographs by networks in floats, and by the coder with their integers.

    NEURALCODEC_DATA=... python benchmarks/photo_integer.py [--shipped pc-photo] [--steps 400]

A network of each plane is learned for some hundred steps from crops for training, or with --shipped those that ship
are read from the checkpoints of photo_zoo.py. Over all samples of crops that were not learned from, the mean code
length that learning minimises, in floats, is set against the bytes of the coder, which learns nothing online for it;
beside them are those of the coder that does. photo_integer.json, beside this script, has all three.
"""

import argparse
import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from common import write_result
from numpy.typing import NDArray
from photo_zoo import PLANS, checkpoint_of
from recombiner_zoo import crops

from neuralcodec.native import thread_count
from neuralcodec.native.photo import STREAMS
from neuralcodec.photo.context import ORDER, PLANES
from neuralcodec.photo.model import PhotoModel
from neuralcodec.photo.network import Sizes
from neuralcodec.photo.pool import Pool
from neuralcodec.photo.quantise import quantised
from neuralcodec.photo.tiles import Box, boxes_array
from neuralcodec.photo.training import Checkpoint, PlaneRun, Recipe, pool_of

Image = NDArray[np.uint8]
ROWS = 16
"""Rows of samples that pass a network of floats together."""


def learned(images: list[Image], recipe: Recipe) -> list[PlaneRun]:
    """Networks after some hundred steps."""
    pool = pool_of(images, recipe)
    runs = [PlaneRun(pool, plane, recipe) for plane in range(PLANES)]
    for run in runs:
        run.advance(recipe.steps)
    return runs


def shipped(name: str, images: list[Image]) -> list[PlaneRun]:
    """The networks that ship, before their quantisation."""
    recipe, pool, runs = PLANS[name], Pool(images), []
    for plane in range(PLANES):
        run = PlaneRun(pool, plane, recipe)
        kept = Checkpoint(checkpoint_of(name, plane), recipe, PLANES, pool.depth, resume=True)
        run.restore(kept.states[plane])
        runs.append(run)
    return runs


def float_bits(run: PlaneRun, image: Image) -> float:
    """Bits of all samples of a plane, by the network in floats."""
    pool = Pool([image])
    total = []
    with torch.no_grad():
        for rows in pool.rows().split(ROWS):
            width = int(rows[0, 1])
            start = (rows[:, :1] + torch.arange(width)).ravel()
            stride, area = (rows[:, i].repeat_interleave(width) for i in (2, 3))
            total.append(float(run.loss(*pool.at(start, stride, area, run.plane))) * len(start))
    return math.fsum(total)


def coded_bits(model: PhotoModel, image: Image) -> float:
    """Bits of an image's coders, which are one tile."""
    box = Box(0, 0, image.shape[1], image.shape[0])
    (streams,) = model.kernel.encode(image, ORDER, boxes_array([box]), STREAMS)
    return 8.0 * sum(map(len, streams))


def main() -> None:
    """Learn, measure, and write the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shipped", choices=list(PLANS))
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--crops", type=int, default=60)
    parser.add_argument("--held-out", type=int, default=8)
    options = parser.parse_args()
    torch.set_num_threads(thread_count())
    images = crops()
    order = np.random.default_rng(0).permutation(len(images))[: options.held_out + options.crops]
    others, some = ([images[i] for i in part] for part in np.split(order, [options.held_out]))
    recipe = Recipe(Sizes(options.hidden), steps=options.steps, variants=0)
    runs = shipped(options.shipped, others) if options.shipped else learned(some, recipe)
    networks = [quantised(run.network) for run in runs]
    model = PhotoModel([replace(network, online=0) for network in networks])
    samples = sum(image.size for image in others)
    floats = sum(float_bits(run, image) for run in runs for image in others) / samples
    coded, online = (
        sum(coded_bits(one, image) for image in others) / samples for one in (model, PhotoModel(networks))
    )
    figures: dict[str, Any] = {
        "networks": options.shipped or f"learned in {options.steps} steps",
        "hidden": runs[0].recipe.sizes.hidden,
        "images": len(others),
        "samples": samples,
        "float_bits_per_subpixel": round(floats, 5),
        "coded_bits_per_subpixel": round(coded, 5),
        "lost_bits_per_subpixel": round(coded - floats, 5),
        "learning_online_bits_per_subpixel": round(online, 5),
    }
    write_result(__file__, figures)


if __name__ == "__main__":
    main()
