"""From learned networks to a model: the prior in closed form, blocks, quantisation and index models."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuralcodec.entropy.relative import IndexModel, build_blocks
from neuralcodec.recombiner.encoding import Level
from neuralcodec.recombiner.inference import InferenceNetwork, narrowed
from neuralcodec.recombiner.model import Representation, Weights
from neuralcodec.recombiner.network import Network, stitch
from neuralcodec.recombiner.partition import Partition
from neuralcodec.recombiner.posterior import NATS_PER_BIT, Target, divergence, errors

BITS = 16
"""Of an index, unless told otherwise."""
FINE = {"base": 2.0**-11, "level_scale": 2.0**-11, "encoding": 2.0**-9}
KERNEL_STEP, BIAS_STEP = 2.0**-10, 2.0**-11
MAP_STEPS = tuple(2.0**-e for e in (8, 8.5, 9, 9.5, 10, 10.5, 11, 11.5, 12, 13, 14))
TOLERANCE_DB = 0.01


def guessed(network: Network, inference: InferenceNetwork, target: Target, beta: float) -> list[Level]:
    """Return posteriors of signals as the inference network guesses them, one block a unit."""
    layout, d = network.layout, network.layout.dimensions
    full = stitch(
        target.samples.reshape(-1, *target.counts, *layout.grid, layout.channels).movedim(-1, 1 + d), d
    )
    with torch.no_grad():
        found = inference(2 * full - 1, target.counts)
    levels = []
    for number, (mean, log_deviation) in enumerate(found):
        one_block = Partition(np.array([layout.unit_latents(number)]), 0, number)
        level = Level(one_block, len(mean), 1, beta)
        with torch.no_grad():
            level.mean.copy_(mean)
            level.spread.copy_(narrowed(log_deviation))
        levels.append(level)
    return levels


def optimise(
    network: Network,
    levels: Sequence[Level],
    target: Target,
    bits: float,
    *,
    steps: int,
    rate: float,
    beta: float,
) -> None:
    """Optimise posteriors of signals, with one weight of the divergence for all.

    Parameters
    ----------
    network
        Stays as it is.
    levels
        The posteriors.
    target
        Training signals.
    bits
        Divergence of a patch, with its share of its group's and its signal's, that the weight is steered to.
    steps, rate
        Of Adam; the step size falls linearly to a tenth.
    beta
        Weight to start with, of a patch's divergence against the mean error of its signal.
    """
    log_beta = math.log(beta / math.prod(target.counts))
    for level in levels:
        level.weight_all(log_beta)
        level.forget()
    for step in range(1, steps + 1):
        error = errors(network, [level.sample() for level in levels], target).sum()
        (error + sum(level.cost() for level in levels)).backward()
        for level in levels:
            level.update(rate * (1 - 0.9 * step / steps), step)
        if step % 5 == 0:
            found = sum(float(level.block_bits().sum()) for level in levels) / len(target.samples)
            log_beta += 0.05 * max(-1.0, min(1.0, 2 * (found / bits - 1)))
            for level in levels:
                level.weight_all(log_beta)


def absorb_prior(network: Network, levels: Sequence[Level]) -> None:
    """Make N(0, 1) the best prior of posteriors: fold its mean and deviation into the network.

    The prior of least mean divergence has the mean of the posteriors' means, and the mean of their variances plus the
    variance of their means (RECOMBINER, arXiv:2309.17182, section 3.2). The posteriors are changed along.
    """
    n = network.layout.weight_latents
    with torch.no_grad():
        for number, level in enumerate(levels):
            mean = level.mean.mean(0)
            deviation = (level.mean.var(0, correction=0) + (2 * level.spread).exp().mean(0)).sqrt()
            scale = network.level_scale[number]
            shift = (scale * mean[:n]).split(network.layout.latents)
            network.base += torch.cat([m @ a for m, a in zip(shift, network.maps, strict=True)])
            scale *= deviation[:n]
            if number == 0:
                network.encoding_mean += network.encoding_scale * mean[n:]
                network.encoding_scale *= deviation[n:]
            level.mean.sub_(mean).div_(deviation)
            level.spread.sub_(deviation.log())
        if network.layout.whole:  # one level: its scale is the maps' own
            for part, a in zip(
                network.level_scale[0].split(network.layout.latents), network.maps, strict=True
            ):
                a *= part[:, None]
            network.level_scale.fill_(1.0)


def mean_bits(levels: Sequence[Level]) -> list[NDArray[np.float64]]:
    """Return the mean divergence of each latent of each level in bits."""
    found = []
    for level in levels:
        kl = divergence(level.mean.detach().double(), level.spread.detach().double()).mean(0) / NATS_PER_BIT
        found.append(kl.clamp_min(0).numpy())
    return found


def block_sizes(kl: NDArray[np.float64], bits: float, seed: int, blocks: int) -> NDArray[np.int64]:
    """Return the sizes of about so many blocks of nearly equal divergence, found by bisection over their budget."""
    low, high = bits / 8, 8 * bits
    for _ in range(40):
        budget = math.sqrt(low * high)
        sizes = build_blocks(kl, budget=budget, seed=seed).sizes
        if len(sizes) == blocks:
            break
        low, high = (budget, high) if len(sizes) > blocks else (low, budget)
    return sizes


def weights_of(network: Network) -> Weights:
    """Return the parameters of a network as matrices."""

    def real(x: Tensor, *shape: int) -> NDArray[np.float32]:
        return np.array(x.detach().float().numpy().reshape(shape), order="C")  # a copy: networks change

    layout = network.layout
    return Weights(
        real(network.base, 1, -1),
        [real(a, *a.shape) for a in network.maps],
        real(network.level_scale, *network.level_scale.shape),
        real(torch.stack([network.encoding_mean, network.encoding_scale]), 2, -1),
        [
            (real(stage.weight, layout.encoding[i], -1), real(stage.bias, 1, -1))
            for i, stage in enumerate(network.stages)
        ],
    )


def network_of(model: Representation, threads: int | None = None) -> Network:
    """Return the network of a model, with the parameters that the decoder has, for encoding."""
    network = Network(model.layout, threads)
    load_weights(network, model.weights)
    network.requires_grad_(False)
    return network


def load_weights(network: Network, weights: Weights) -> None:
    """Set the parameters of a network."""
    with torch.no_grad():
        network.base.copy_(torch.from_numpy(weights.base[0]))
        for a, matrix in zip(network.maps, weights.maps, strict=True):
            a.copy_(torch.from_numpy(matrix))
        network.level_scale.copy_(torch.from_numpy(weights.level_scale))
        network.encoding_mean.copy_(torch.from_numpy(weights.encoding[0]))
        network.encoding_scale.copy_(torch.from_numpy(weights.encoding[1]))
        for stage, (kernel, bias) in zip(network.stages, weights.stages, strict=True):
            stage.weight.copy_(torch.from_numpy(kernel).reshape(stage.weight.shape))
            stage.bias.copy_(torch.from_numpy(bias[0]))


def chosen_steps(network: Network, levels: Sequence[Level], target: Target) -> dict[str, float]:
    """Return the step of each matrix: fixed ones, and the coarsest of the maps' that costs less than TOLERANCE_DB."""
    layout, weights = network.layout, weights_of(network)
    steps = dict(FINE)
    for i in range(len(layout.factors)):
        steps |= {f"stage.{i}.kernel": KERNEL_STEP, f"stage.{i}.bias": BIAS_STEP}
    before = mean_psnr(network, levels, target)
    for step in MAP_STEPS:
        steps |= {f"map.{i}": step for i in range(len(layout.layers))}
        trial = Representation.quantised(
            layout, weights, steps, dtype=np.dtype(np.uint8), low=0, high=255, sizes=[], bits=BITS, seed=0,
            frequencies=[], beta=1.0,
        )  # fmt: skip
        load_weights(network, trial.weights)
        loss = before - mean_psnr(network, levels, target)
        load_weights(network, weights)
        if loss < TOLERANCE_DB:
            break
    return steps


def mean_psnr(network: Network, levels: Sequence[Level], target: Target) -> float:
    """Return the mean PSNR in dB of the posteriors' samples, the same noise each time."""
    torch.manual_seed(0)
    with torch.no_grad():
        error = errors(network, [level.sample() for level in levels], target)
    return float((-10 * error.log10()).mean())


def finish(
    network: Network,
    inference: InferenceNetwork,
    target: Target,
    *,
    bits: float,
    beta: float,
    seed: int,
    index_bits: int = BITS,
    steps: int = 200,
    rate: float = 2e-2,
    report: Callable[[str], None] | None = None,
    **signal: Any,
) -> Representation:
    """Return the model of a learned network.

    Parameters
    ----------
    network
        As learned; it is changed.
    inference
        Learned along with it.
    target
        Training signals, some hundred patches.
    bits
        Index bits of a patch, with its share of its group's and its signal's.
    beta
        Weight of the divergence that learning ended with.
    seed
        Of candidates and orders.
    index_bits
        Of an index: each bit more doubles the time of coding a block, and saves what blocks lose.
    steps, rate
        Of optimising posteriors.
    report
        Told in words what was reached.
    signal
        dtype, low, high and header of the model.
    """
    network.requires_grad_(False)
    levels = guessed(network, inference, target, beta)
    for _ in range(2):
        optimise(network, levels, target, bits, steps=steps, rate=rate, beta=beta)
        absorb_prior(network, levels)
    kl = mean_bits(levels)
    steps_of = chosen_steps(network, levels, target)
    sizes = []
    for level, found in zip(levels, kl, strict=True):
        blocks = max(1, round(bits * found.sum() / index_bits / _bits_a_patch(levels, kl, target)))
        sizes.append(block_sizes(found, index_bits, seed, blocks))
        if report is not None:
            report(
                f"level {level.partition.level}: {found.sum():.1f} bits in {len(sizes[-1])} blocks, "
                f"{int((found > 0.05).sum())} of {len(found)} latents in use"
            )
    uniform = IndexModel.uniform(index_bits).frequencies
    weights = weights_of(network)
    return Representation.quantised(
        network.layout, weights, steps_of, sizes=sizes, bits=index_bits, seed=seed,
        frequencies=[uniform] * len(sizes), beta=beta, **signal,
    )  # fmt: skip


def _bits_a_patch(levels: Sequence[Level], kl: Sequence[NDArray[np.float64]], target: Target) -> float:
    units = [len(level.mean) for level in levels]
    return sum(n * float(one.sum()) for n, one in zip(units, kl, strict=True)) / len(target.samples)
