"""Amortised inference: a network that guesses the posterior of a signal's latents, so that the prior learns fast."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from neuralcodec.recombiner.layout import Layout
from neuralcodec.recombiner.network import bfloat16_convolutions, cut

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
SLOPE = 0.1
LOG_DEVIATION = -2.0
"""What a log deviation of the posterior is before learning."""

WIDEST = 0.5
"""Log deviations stay below: a posterior much wider than the prior is an accident of early learning."""


class InferenceNetwork(nn.Module):
    """Guesses means and log deviations of all latents of signals.

    It is learned along with a :class:`~neuralcodec.recombiner.network.Network`, and is no part of the model: the
    encoder optimises each signal's posterior instead.

    Parameters
    ----------
    layout
        Sizes of the representation.
    width
        Channels of its features at the places of z.
    """

    def __init__(self, layout: Layout, width: int = 128) -> None:
        super().__init__()
        self.layout = layout
        convolution = _CONVOLUTIONS[layout.dimensions - 1]
        widths = [layout.channels] + [max(16, width * 3 // 8 << i) for i in range(len(layout.factors))]
        widths = [min(w, width) for w in widths[:-1]] + [width]
        down: list[nn.Module] = []
        for number, (a, b, f) in enumerate(zip(widths, widths[1:], reversed(layout.factors), strict=False)):
            kernel = 2 * f + 1 if number == 0 else f + f // 2
            down += [convolution(a, b, kernel, f, (kernel - f + 1) // 2), nn.LeakyReLU(SLOPE)]
        if not down:  # z has a place for each point
            down = [convolution(layout.channels, width, 1), nn.LeakyReLU(SLOPE)]
        self.down = nn.Sequential(*down[:-1])
        self.residuals = nn.ModuleList(
            nn.Sequential(
                nn.LeakyReLU(SLOPE),
                convolution(width, width, 3, 1, 1),
                nn.LeakyReLU(SLOPE),
                convolution(width, width, 1),
            )
            for _ in range(2)
        )
        self.encoding = convolution(width, 2 * layout.encoding[0], 1)
        hidden = 4 * width
        self.summary = nn.Linear(width * math.prod(layout.coarse), hidden)
        self.heads = nn.ModuleList(nn.Linear(hidden, 2 * layout.weight_latents) for _ in layout.levels)

    def forward(self, x: Tensor, counts: tuple[int, ...]) -> list[tuple[Tensor, Tensor]]:
        """Return (means, log deviations) of each level's latents, (units, latents).

        Parameters
        ----------
        x
            Signals (n, channels, *sides), samples from -1 to 1.
        counts
            Patches of a signal along each dimension.
        """
        layout = self.layout
        with bfloat16_convolutions():
            y = self.down(x)
            for residual in self.residuals:
                y = y + residual(y)
            y = functional.leaky_relu(y, SLOPE)
            z = cut(self.encoding(y), counts, layout.coarse)
            summary = functional.leaky_relu(self.summary(cut(y, counts, layout.coarse).flatten(1)), SLOPE)
            found = []
            for level, head in enumerate(self.heads):
                pooled = summary if level == 0 else pool(summary.float(), layout.units(counts)[level], len(x))
                found.append(head(pooled).float())
        places, channels = z.shape[1], layout.encoding[0]
        z = z.float().reshape(-1, places, 2, channels).permute(2, 0, 3, 1).reshape(2, -1, places * channels)
        mean, deviation = found[0].chunk(2, dim=1)
        found[0] = torch.cat([mean, z[0], deviation, z[1]], dim=1)
        return [(a, b + LOG_DEVIATION) for a, b in (h.chunk(2, dim=1) for h in found)]


def pool(x: Tensor, units: NDArray[np.int64], signals: int) -> Tensor:
    """Return the mean of each unit's patches, (signals * units, features), of (signals * patches, features)."""
    count = int(units.max()) + 1
    index = (
        torch.from_numpy(units).repeat(signals) + torch.arange(signals).repeat_interleave(len(units)) * count
    )
    total = torch.zeros(signals * count, x.shape[1]).index_add(0, index, x)
    return total / torch.bincount(index, minlength=signals * count)[:, None]


def narrowed(log_deviation: Tensor) -> Tensor:
    """Return log deviations bounded by WIDEST, smoothly."""
    return WIDEST - functional.softplus(WIDEST - log_deviation)
