"""Posteriors of the latents of a batch of signals, as diagonal Gaussians by level."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from neuralcodec.recombiner.layout import Layout
from neuralcodec.recombiner.network import Network

NATS_PER_BIT = math.log(2)


@dataclass(frozen=True, eq=False)
class Target:
    """Signals to represent.

    Attributes
    ----------
    samples
        float32 (patches, points, channels), from 0 to 1; the patches of a signal stand together.
    counts
        Patches of a signal along each dimension.
    units
        For each level, the unit of each patch.
    """

    samples: Tensor
    counts: tuple[int, ...]
    units: list[Tensor]

    @classmethod
    def of(cls, samples: Tensor, counts: tuple[int, ...], layout: Layout) -> "Target":
        """Return the target of patches (n, points, channels) of signals of `counts` patches."""
        signals = len(samples) // math.prod(counts)
        units = []
        for one in layout.units(counts):
            shift = np.arange(signals)[:, None] * (int(one.max()) + 1)
            units.append(torch.from_numpy((one[None] + shift).ravel()))
        return cls(samples, counts, units)

    @property
    def signals(self) -> int:
        """How many signals there are."""
        return len(self.samples) // math.prod(self.counts)


def errors(network: Network, latents: list[Tensor], target: Target) -> Tensor:
    """Return the mean squared error of each signal, (signals,), for latents by level."""
    n = network.layout.weight_latents
    h = [latents[0][:, :n], *latents[1:]]
    error = network.errors(h, latents[0][:, n:], target.units, target.counts, target.samples)
    return error.reshape(target.signals, -1).sum(1) / (target.samples[0].numel() * math.prod(target.counts))


def divergence(mean: Tensor, log_deviation: Tensor) -> Tensor:
    """Return the KL divergence of N(mean, deviation) from N(0, 1) in nats, elementwise."""
    return 0.5 * (mean * mean + torch.expm1(2 * log_deviation)) - log_deviation
