"""The network of a representation in torch, for learning and encoding: latents to errors, and the gradients back."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from neuralcodec import native
from neuralcodec.recombiner.layout import Layout, fourier_features

SLOPE = 0.01
"""Of the leaky rectifiers between the stages of the positional encoding."""

MAP_SCALE = 0.1
"""Deviation that the prior of h gives the weights of an untrained network, whose own is about 0.25."""

LAST_SCALE = 0.3
"""Of the last layer's initial weights: outputs are samples from 0 to 1."""

_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


class SquaredError(torch.autograd.Function):
    """Summed squared error of each patch's sine network, by the native kernel, which gives the gradients too."""

    @staticmethod
    def forward(
        ctx: Any, own: Tensor, weights: Tensor, target: Tensor, network: "Network", threads: int | None
    ) -> Tensor:
        """Return (patches,) errors of (patches, points, channels) targets."""
        error, own_gradient, gradient = native.siren_gradient(
            network.layout.widths,
            network.coordinates,
            own.detach().contiguous().numpy(),
            weights.detach().contiguous().numpy(),
            target.contiguous().numpy(),
            threads,
        )
        ctx.save_for_backward(torch.from_numpy(own_gradient), torch.from_numpy(gradient))
        return torch.from_numpy(error)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Scale the gradients by what arrives for each patch."""
        own, weights = ctx.saved_tensors
        (arriving,) = gradients
        return own * arriving[:, None, None], weights * arriving[:, None], None, None, None


class Network(nn.Module):
    """Sine networks and positional encodings of patches, as functions of their latents.

    All latents have the prior N(0, 1): means and deviations are part of the maps (see :mod:`..model`).

    Parameters
    ----------
    layout
        Sizes.
    threads
        Of the native kernel; None as for :func:`neuralcodec.native.thread_count`.
    """

    def __init__(self, layout: Layout, threads: int | None = None) -> None:
        super().__init__()
        self.layout, self.threads = layout, threads
        self.low_precision = False
        self.coordinates = fourier_features(layout.grid, layout.features)
        self.base = nn.Parameter(torch.cat([_layer(layout, i) for i in range(len(layout.layers))]))
        self.maps = nn.ParameterList(
            torch.randn(n, size) * (MAP_SCALE / math.sqrt(n))
            for n, size in zip(layout.latents, layout.layers, strict=True)
        )
        self.level_scale = nn.Parameter(
            torch.ones(len(layout.levels), layout.weight_latents) / len(layout.levels)
        )
        self.encoding_mean = nn.Parameter(torch.zeros(layout.encoding_latents))
        self.encoding_scale = nn.Parameter(torch.ones(layout.encoding_latents))
        transposed = _TRANSPOSED[layout.dimensions - 1]
        self.stages = nn.ModuleList(
            transposed(a, b, 2 * f, f, f // 2)
            for a, b, f in zip(layout.encoding, layout.encoding[1:], layout.factors, strict=False)
        )

    def weights(self, h: Sequence[Tensor], units: Sequence[Tensor]) -> Tensor:
        """Return the sine networks' parameters, (patches, n), of latents h of each level: (its units, latents)."""
        total = sum((x * scale)[unit] for x, scale, unit in zip(h, self.level_scale, units, strict=True))
        parts = torch.as_tensor(total).split(self.layout.latents, dim=1)
        return torch.cat([x @ a for x, a in zip(parts, self.maps, strict=True)], dim=1) + self.base

    def encodings(self, z: Tensor, counts: tuple[int, ...]) -> Tensor:
        """Return the positional encodings, (patches, points, channels), of latents z, (patches, latents)."""
        layout = self.layout
        z = z * self.encoding_scale + self.encoding_mean
        x = stitch(z.reshape(-1, *counts, layout.encoding[0], *layout.coarse), layout.dimensions)
        if layout.dimensions == 2:
            x = x.contiguous(memory_format=torch.channels_last)
        with bfloat16_convolutions(self.low_precision):
            for number, stage in enumerate(self.stages):
                x = stage(functional.leaky_relu(x, SLOPE) if number else x)
        return cut(x.float(), counts, layout.grid)

    def errors(
        self, h: Sequence[Tensor], z: Tensor, units: Sequence[Tensor], counts: tuple[int, ...], target: Tensor
    ) -> Tensor:
        """Return the summed squared error of each patch, (patches,), against (patches, points, channels)."""
        own, weights = self.encodings(z, counts), self.weights(h, units)
        error: Tensor = SquaredError.apply(own, weights, target, self, self.threads)
        return error


def bfloat16_convolutions(wanted: bool = True) -> torch.autocast:
    """Let convolutions compute in bfloat16 if wanted, and if the processor is made for it.

    Elsewhere torch falls back to loops that took fifty times as long as float32.
    """
    fast = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return torch.autocast("cpu", torch.bfloat16, enabled=wanted and fast)


def stitch(x: Tensor, dimensions: int) -> Tensor:
    """Join patches: (signals, *counts, channels, *grid) becomes (signals, channels, *(counts * grid))."""
    d = dimensions
    pairs = [axis for i in range(d) for axis in (1 + i, 2 + d + i)]
    x = x.permute(0, 1 + d, *pairs)
    sides = [x.shape[2 + 2 * i] * x.shape[3 + 2 * i] for i in range(d)]
    return x.reshape(x.shape[0], x.shape[1], *sides)


def cut(x: Tensor, counts: tuple[int, ...], grid: tuple[int, ...]) -> Tensor:
    """Cut (signals, channels, *(counts * grid)) into patches: (patches, points, channels)."""
    d = len(grid)
    sides = [n for pair in zip(counts, grid, strict=True) for n in pair]
    x = x.reshape(x.shape[0], x.shape[1], *sides)
    x = x.permute(0, *(2 + 2 * i for i in range(d)), *(3 + 2 * i for i in range(d)), 1)
    return x.reshape(-1, math.prod(grid), x.shape[-1])


def _layer(layout: Layout, number: int) -> Tensor:
    """Initial biases and weights of a layer: SIREN's (arXiv:2006.09661, section 3.2), without its factor of 30."""
    fan_in, fan_out = layout.widths[number], layout.widths[number + 1]
    last = number + 1 == len(layout.layers)
    limit = math.sqrt(6 / fan_in) * (LAST_SCALE if last else 1.0)
    weights = torch.empty(fan_in, fan_out).uniform_(-limit, limit)
    if number == 0:  # the encodings, which start small, weigh more than the coordinates
        weights[: layout.features] *= 2.0
        weights[layout.features :] *= 4.0
    bias = torch.zeros(fan_out) if last else torch.empty(fan_out).uniform_(-1, 1)
    return torch.cat([bias, weights.flatten()])
