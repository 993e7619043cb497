"""Training a model from signals, from the layout to the finished model: what `neuralcodec train recombiner` does."""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from neuralcodec.errors import UnsupportedInput
from neuralcodec.native import thread_count
from neuralcodec.recombiner.finishing import BITS, finish, guessed, mean_psnr
from neuralcodec.recombiner.layout import Layout
from neuralcodec.recombiner.learning import Progress, Recipe, Run, Sampler
from neuralcodec.recombiner.model import Representation
from neuralcodec.recombiner.network import cut
from neuralcodec.recombiner.posterior import Target

CHANNELS = (48, 48, 48, 32, 16)
"""Of z and of the upsampling stages, for as many stages as there are at most; fewer take the last ones."""

LATENTS = 384
FINISHED_ON = 192
"""Patches whose posteriors give the blocks, and those that figures are measured on."""

MOST_BYTES = 4


@dataclass(frozen=True)
class Sizes:
    """What a layout may be told; what is None follows from the signals."""

    patch: tuple[int, ...] | None = None
    group: tuple[int, ...] | None = None
    hidden: tuple[int, ...] = (32, 32, 32)
    features: int | None = None
    latents: tuple[int, ...] | None = None
    encoding: tuple[int, ...] | None = None
    factors: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Defaults:
    """What a training run takes unless it is told otherwise; see :class:`Layout` and :class:`Recipe`."""

    latents: tuple[int, ...] | None = None
    encoding: tuple[int, ...] | None = None
    factors: tuple[int, ...] | None = None
    rate: float = 2e-3
    map_rate: float = 0.1
    network_rate: float = 1.0
    width: int = 128
    balance: float = 0.0


USUAL = Defaults()
TRANSFORMED = Defaults((24, 16, 16, 8), (96, 64, 16), (2, 8), 2.5e-4, 0.01, 0.5, 192, 0.5)
"""Of a start as a transform codec: the networks begin near an optimum, and large steps would leave it."""


def layout_for(signals: Sequence[NDArray[Any]], dimensions: int, sizes: Sizes) -> Layout:
    """Return the layout for signals (*sides, channels): their common shape, or patches.

    Raises
    ------
    UnsupportedInput
        Signals of several sizes without patches, and sizes that do not go together.

    >>> layout_for([np.zeros((28, 28, 1))], 2, Sizes()).factors
    (2, 2)
    >>> layout_for([np.zeros((70, 50, 3))], 2, Sizes(patch=(32,))).grid
    (32, 32)
    """
    grids = {one.shape[:dimensions] for one in signals}
    if sizes.patch is None and len(grids) > 1:
        some = ", ".join("x".join(map(str, g)) for g in sorted(grids)[:3])
        raise UnsupportedInput(f"the signals are of {len(grids)} sizes ({some}, ...): cut them with --patch")
    whole = sizes.patch is None
    grid = next(iter(grids)) if sizes.patch is None else spread(sizes.patch, dimensions, "patch")
    group = (1,) * dimensions
    if not whole:
        usual = (1, 4, 4) if dimensions == 3 else (4,) * dimensions
        group = usual if sizes.group is None else spread(sizes.group, dimensions, "group")
    elif sizes.group is not None:
        raise UnsupportedInput("groups are of patches: give --patch with --group")
    if math.prod(grid) > 2**16 and whole:
        raise UnsupportedInput(
            f"signals of {math.prod(grid)} points are too large whole: cut them with --patch"
        )
    factors = _factors(grid) if sizes.factors is None else sizes.factors
    channels = signals[0].shape[-1]
    features = sizes.features or (18 if dimensions == 3 else 16)
    encoding = CHANNELS[-len(factors) - 1 :] if sizes.encoding is None else sizes.encoding
    widths = (features + encoding[-1], *sizes.hidden, channels)
    layers = [(a + 1) * b for a, b in pairwise(widths)]
    latents = sizes.latents or tuple(min(LATENTS, n) for n in layers)
    return Layout(grid, channels, whole, group, sizes.hidden, features, latents, encoding, factors)


def spread(sides: tuple[int, ...], dimensions: int, what: str) -> tuple[int, ...]:
    """Return a side for each dimension; one stands for all."""
    if len(sides) not in (1, dimensions):
        raise UnsupportedInput(f"{what} {sides} does not have {dimensions} sides")
    return sides * dimensions if len(sides) == 1 else sides


def _factors(grid: tuple[int, ...]) -> tuple[int, ...]:
    """Return twos: as many as all sides are divisible by, up to 3, or 4 for large patches."""
    most = 4 if math.prod(grid) >= 2**12 else 3
    count = 0
    while count < most and all(n % 2 ** (count + 1) == 0 for n in grid):
        count += 1
    return (2,) * count


def prepared(signals: Sequence[NDArray[Any]], dimensions: int) -> list[NDArray[Any]]:
    """Return signals as (*sides, channels), gray ones with the channels of the others.

    Raises
    ------
    UnsupportedInput
        No signals, a dtype that models cannot have, or channels that do not go together.
    """
    if not signals:
        raise UnsupportedInput("there are no training signals")
    dtype = signals[0].dtype
    if dtype.kind not in "iu" or dtype.itemsize > MOST_BYTES:
        raise UnsupportedInput(
            f"training on {dtype} samples is not possible: convert them to integers of 8, 16 or 32 bits"
        )
    full = [one if one.ndim > dimensions else one[..., None] for one in signals]
    most = max(one.shape[-1] for one in full)
    for one in full:
        if one.shape[-1] != most and (one.shape[-1], most) != (1, 3):
            raise UnsupportedInput(
                f"the signals have {one.shape[-1]} and {most} channels: train on signals of one kind"
            )
    return [np.broadcast_to(one, (*one.shape[:-1], most)) for one in full]


def limits(signals: Sequence[NDArray[Any]]) -> tuple[int, int]:
    """Return the samples that become 0 and 1: all of 8 bits, else the least and greatest that occur."""
    dtype = signals[0].dtype
    if dtype.itemsize == 1:
        return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    low, high = min(int(one.min()) for one in signals), max(int(one.max()) for one in signals)
    if low == high:
        raise UnsupportedInput(f"all samples of the training signals are {low}: there is nothing to learn")
    return low, high


def padded(signals: Sequence[NDArray[Any]], layout: Layout, recipe: Recipe) -> list[NDArray[Any]]:
    """Return signals that are at least as large as a crop, going on with their last samples."""
    if layout.whole:
        return list(signals)
    sides = [c * g for c, g in zip(recipe.crop or layout.group, layout.grid, strict=True)]
    grown = []
    for one in signals:
        more = [(0, max(0, b - a)) for a, b in zip(one.shape, sides, strict=False)]
        grown.append(np.pad(one, (*more, (0, 0)), mode="edge") if any(b for _, b in more) else one)
    return grown


def split(
    signals: Sequence[NDArray[Any]], held_out: float, seed: int
) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
    """Return training signals, and those held out: so many, or below 1 a fraction; at least one is trained on."""
    n = len(signals)
    count = min(round(held_out * n) if held_out < 1 else int(held_out), n - 1)
    order = np.random.default_rng(seed).permutation(n)
    return [signals[i] for i in sorted(order[count:])], [signals[i] for i in sorted(order[:count])]


def drawn(signals: Sequence[NDArray[Any]], run: Run, seed: int) -> Target:
    """Return some signals, or crops of them, drawn by seed."""
    recipe = Recipe(
        run.recipe.bits,
        batch=FINISHED_ON
        if run.layout.whole
        else max(FINISHED_ON, math.prod(run.recipe.crop or run.layout.group)),
        crop=run.recipe.crop,
        mirror=False,
    )
    sampler = Sampler(signals, run.layout, run.sampler.low, run.sampler.high)
    x, counts = sampler.draw(np.random.default_rng(seed), recipe)
    return Target.of(cut(x, counts, run.layout.grid), counts, run.layout)


def reached(run: Run, target: Target) -> tuple[float, float]:
    """Return PSNR in dB and bits a patch of the posteriors that the inference network guesses."""
    levels = guessed(run.network, run.inference, target, 1.0)
    bits = sum(float(level.block_bits().sum()) for level in levels) / len(target.samples)
    return mean_psnr(run.network, levels, target), bits


def figures_of(run: Run, held_out: Sequence[NDArray[Any]]) -> dict[str, float]:
    """Return PSNR and rate on training signals and on others, by the guesses of the inference network."""
    figures: dict[str, float] = {}
    for name, signals in (("training", run.sampler.signals), ("held_out", held_out)):
        if signals:
            psnr, bits = reached(run, drawn(signals, run, 1))
            figures |= {f"{name}_psnr": round(psnr, 3), f"{name}_bits": round(bits, 1)}
    return figures


def train(
    signals: Sequence[NDArray[Any]],
    layout: Layout,
    recipe: Recipe,
    *,
    held_out: float = 0.0,
    header: Mapping[str, Any] | None = None,
    transform: bool = False,
    warm_start: str | os.PathLike[str] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    every: int = 200,
    threads: int | None = None,
    index_bits: int = BITS,
    finishing_steps: int = 200,
    report: Callable[[Progress], None] | None = None,
) -> Representation:
    """Train and finish a model.

    Parameters
    ----------
    signals
        As :func:`prepared` gives them; of the layout's grid if it is whole.
    layout, recipe
        What is learned, and how.
    held_out
        Signals that are not trained on, see :func:`split`; the header's figures compare them with the others.
    header
        Of the model; recipe and figures are added.
    transform
        Whether to start as a transform codec, see :mod:`neuralcodec.recombiner.transform`.
    warm_start
        Checkpoint of another run to start from.
    checkpoint, resume
        Where the state of the run is kept, and whether to go on from it, if it is there.
    every
        Steps between reports, and between writings of the checkpoint.
    threads
        Of the kernels and of torch.
    index_bits
        Of a block's index.
    finishing_steps
        Of optimising posteriors, twice, before blocks are built.
    report
        Told of the run's progress.

    Raises
    ------
    UnsupportedInput
        For checkpoints of other runs.
    """
    torch.set_num_threads(thread_count(threads))
    low, high = limits(signals)
    training, others = split(padded(signals, layout, recipe), held_out, recipe.seed)
    run = Run(Sampler(training, layout, low, high), layout, recipe, threads)
    if resume and checkpoint is not None and os.path.exists(checkpoint):
        run.resume(checkpoint)
    elif warm_start is not None:
        run.start_from(warm_start)
    elif transform:
        run.start_from_transform()
    run.train(report=report, every=every, checkpoint=checkpoint)
    figures = figures_of(run, others)
    return finish(
        run.network, run.inference, drawn(training, run, 2), bits=recipe.bits, beta=math.exp(run.log_beta),
        seed=recipe.seed + 1, index_bits=index_bits, steps=finishing_steps, dtype=signals[0].dtype, low=low, high=high,
        header={**(header or {}), "recipe": recipe.to_json(), "figures": figures},
    )  # fmt: skip
