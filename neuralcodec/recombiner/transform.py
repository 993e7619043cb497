"""Starting a representation as a transform codec, from which it learns far faster than from nothing.

The latents z become coefficients of a block transform of the training signals, the best one at its rate among linear
ones: a Karhunen-Loeve transform of the colours, a DCT of blocks, a Karhunen-Loeve transform of two blocks along each
dimension. Where a coefficient of variance v is worth bits, the forward channel of a Gaussian source at distortion t
gives prior and posterior (Cover and Thomas, Elements of Information Theory, section 10.3): what is sent has variance
v - t, so that is what its prior is scaled to; given the signal, its mean is the coefficient times (v - t) / v, its
variance t (v - t) / v. The sine network begins as the identity, bands of coefficients each having units of their own
that latents h can learn to amplify and to switch off.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import dctn, idctn
from torch import Tensor

from neuralcodec.errors import UnsupportedInput
from neuralcodec.recombiner import inference as guessing
from neuralcodec.recombiner.inference import LOG_DEVIATION, WIDEST, InferenceNetwork
from neuralcodec.recombiner.layout import Layout
from neuralcodec.recombiner.network import SLOPE, Network

Real = NDArray[np.float64]

BLOCKS = 20_000
"""Windows of training signals that variances come from."""

GAIN = 0.2
"""Of samples in the sine network: small enough that sines are nearly linear."""

GATE, GATED_FROM, GATE_DEVIATION = 0.4, (1, 3), 0.15
"""A latent h of the patch for each of GATED_FROM: what a deviation of it adds to the gain of all bands from there on,
relative to that gain, and the posterior's deviation at first. With it smooth patches get few bits."""

QUIET = 0.01
"""Relative variance of a coefficient that is worth no bits at first, and of what is left random."""


@dataclass(frozen=True)
class Transform:
    """A block transform, from samples between 0 and 1.

    Attributes
    ----------
    mean, colours
        (channels,), and an orthonormal (channels, channels): columns are directions of falling variance.
    bases
        (coefficients, *block): the DCT's basis functions that are kept, as for one colour.
    colour, band
        (coefficients,): the colour of each, and its band of frequencies.
    vectors
        (blocks of a window, coefficients, components): the second transform.
    variances
        (components,), falling.
    level
        Distortion of each component that has bits (reverse water-filling).
    """

    mean: Real
    colours: Real
    bases: Real
    colour: NDArray[np.int64]
    band: NDArray[np.int64]
    vectors: Real
    variances: Real
    level: float

    @property
    def sent(self) -> NDArray[np.bool_]:
        """Which components are worth bits."""
        return self.variances > self.level

    @property
    def scales(self) -> Real:
        """Deviation of what is sent of each component."""
        scales: Real = np.sqrt(np.maximum(self.variances - self.level, QUIET * self.variances))
        return scales


def check(layout: Layout) -> None:
    """Raise :class:`UnsupportedInput` if a layout has no room for a transform."""
    if len(layout.factors) != 2 or layout.factors[0] != 2:
        raise UnsupportedInput(
            f"a start as a transform needs the factors 2,F for blocks of F points, not {layout.factors}"
        )
    if layout.encoding[-1] < layout.channels or min(layout.hidden) < layout.channels:
        raise UnsupportedInput("a start as a transform needs as many encodings and hidden units as channels")


def bands_of(layout: Layout) -> int:
    """Return how many bands of frequencies have encodings and hidden units of their own."""
    return min(layout.encoding[-1], *layout.hidden) // layout.channels


def fitted(signals: Sequence[NDArray[Any]], layout: Layout, bits: float, seed: int) -> Transform:
    """Return the transform of signals (*sides, channels), from 0 to 1, at so many bits a patch."""
    check(layout)
    d, side, kept = layout.dimensions, layout.factors[1], layout.encoding[1] // 2
    windows = _windows(signals, 2 * side, d, seed)
    points = windows.reshape(-1, layout.channels)
    mean = points.mean(0)
    colours = np.linalg.eigh(np.cov((points - mean).T).reshape(len(mean), -1))[1][:, ::-1]
    centred = ((windows - mean) @ colours).reshape(-1, *((2, side) * d), layout.channels)
    found = dctn(centred, axes=[2 + 2 * i for i in range(d)], norm="ortho")
    found = found.transpose(0, *(1 + 2 * i for i in range(d)), *(2 + 2 * i for i in range(d)), 1 + 2 * d)
    found = found.reshape(len(windows), 2**d, -1)  # a window's blocks, frequencies and colours
    order = np.argsort(-(found**2).mean((0, 1)))[:kept]
    *frequencies, colour = np.unravel_index(order, (side,) * d + (layout.channels,))
    unit = np.zeros((len(order), *(side,) * d))
    unit[(np.arange(len(order)), *frequencies)] = 1.0
    rows = found[..., order].reshape(len(windows), -1)
    variances, vectors = np.linalg.eigh(rows.T @ rows / len(rows))
    components = min(layout.encoding[0], len(variances))
    variances, vectors = variances[::-1][:components], vectors[:, ::-1][:, :components]
    return Transform(
        mean, colours, idctn(unit, axes=range(1, d + 1), norm="ortho"), colour,
        np.minimum(np.max(frequencies, axis=0), bands_of(layout) - 1),
        vectors.reshape(2**d, len(order), components), variances,
        water_level(variances, bits / math.prod(layout.coarse)),
    )  # fmt: skip


def _windows(signals: Sequence[NDArray[Any]], side: int, d: int, seed: int) -> Real:
    """Return windows of signals, drawn by seed: (n, side, ..., channels)."""
    rng = np.random.default_rng(seed)
    found = []
    for i in rng.integers(len(signals), size=BLOCKS):
        at = [int(rng.integers(n - side + 1)) for n in signals[i].shape[:d]]
        found.append(signals[i][tuple(slice(a, a + side) for a in at)])
    return np.stack(found).astype(np.float64)


def water_level(variances: Real, bits: float) -> float:
    """Return the distortion at which Gaussian components take so many bits together.

    >>> round(water_level(np.array([16.0, 4.0, 0.1]), 3.0), 3)
    1.0
    """
    high = float(variances.max())
    low = high * 1e-60
    for _ in range(100):
        level = math.sqrt(low * high)
        taken = 0.5 * float(np.log2(np.maximum(variances / level, 1.0)).sum())
        low, high = (level, high) if taken > bits else (low, level)
    return level


def first_beta(transform: Transform, layout: Layout) -> float:
    """Return the slope of error over divergence: a nat more of a component lowers its squared error by 2 t."""
    return 2 * transform.level / (layout.channels * layout.points)


def start(network: Network, inference: InferenceNetwork, transform: Transform) -> None:
    """Make networks compute a transform and its inverse."""
    with torch.no_grad():
        _synthesis(network, transform)
        _identity(network, transform)
        _analysis(inference, transform)


def _pairs(matrix: Real) -> Real:
    """Return rows for x and -x of what takes x: a leaky rectifier of both keeps x, times 1 + its slope."""
    return np.concatenate([matrix, -matrix])


def _set(parameter: Tensor, values: NDArray[np.floating[Any]], at: tuple[Any, ...] = ()) -> None:
    parameter[at or ...] = torch.from_numpy(np.ascontiguousarray(values)).to(parameter.dtype)


def _synthesis(network: Network, transform: Transform) -> None:
    d, side = network.layout.dimensions, network.layout.factors[1]
    _, kept, components = transform.vectors.shape
    first, second = network.stages
    for stage in (first, second):
        stage.weight *= QUIET
        stage.bias.zero_()
    # taps 1 and 2 of the 4 of the first stage are a window's blocks, those from side / 2 on of the second a block
    values = (transform.vectors * transform.scales).transpose(2, 1, 0).reshape(components, kept, *(2,) * d)
    taps = (slice(1, 3),) * d
    for sign, channels in ((1, slice(0, kept)), (-1, slice(kept, 2 * kept))):
        _set(first.weight, sign * values, (slice(0, components), channels, *taps))
    taps = (slice(side // 2, side // 2 + side),) * d
    channel = transform.band * network.layout.channels + transform.colour
    for number, row in enumerate(_pairs(transform.bases / (1 + SLOPE))):
        _set(second.weight, row, (number, int(channel[number % kept]), *taps))


def _identity(network: Network, transform: Transform) -> None:
    layout = network.layout
    channels, units = layout.channels, bands_of(layout) * layout.channels
    for number, layer in enumerate(network.base.split(layout.layers)):
        fan_in, fan_out = layout.widths[number], layout.widths[number + 1]
        bias, weights = layer[:fan_out], layer[fan_out:].view(fan_in, fan_out)
        if number + 1 == len(layout.layers):
            weights *= 0.05
            _set(bias, transform.mean)
            for unit in range(units):
                _set(weights, transform.colours[:, unit % channels] / GAIN, (unit,))
        else:
            weights[:, :units], bias[:units] = 0.0, 0.0
            offset = 0 if number else layout.features
            for unit in range(units):
                weights[offset + unit, unit] = 1.0 if number else GAIN
    for a in network.maps:
        a *= 0.003
    _gates(network)


def _gates(network: Network) -> None:
    """Let the first latents h of a patch amplify bands of coefficients, or switch them off."""
    layout = network.layout
    first = network.maps[0]
    for latent, band in enumerate(GATED_FROM):
        first[latent] = 0.0
        for unit in range(band * layout.channels, bands_of(layout) * layout.channels):
            first[latent, layout.widths[1] * (1 + layout.features + unit) + unit] = GATE * GAIN
    network.level_scale[0, : len(GATED_FROM)] = 1.0
    network.level_scale[1:, : len(GATED_FROM)] = 0.05


def _analysis(inference: InferenceNetwork, transform: Transform) -> None:
    layout, slope = inference.layout, guessing.SLOPE
    d, side = layout.dimensions, layout.factors[1]
    _, kept, components = transform.vectors.shape
    first, second = inference.down[0], inference.down[2]
    if first.out_channels < 2 * kept or second.out_channels < 2 * components:
        width = max(2 * components, -(-16 * kept // 3))
        raise UnsupportedInput(f"a start as a transform needs an inference network of width {width} or more")
    # its input is 2 x - 1
    taps = (slice(side // 2 + 1, side // 2 + 1 + side),) * d
    rows = np.einsum("k...,kc->kc...", transform.bases, transform.colours.T[transform.colour]) / 2
    shift = ((0.5 - transform.mean) @ transform.colours)[transform.colour]
    shift = shift * transform.bases.reshape(kept, -1).sum(1)
    first.weight[: 2 * kept] = 0.0
    _set(first.weight, _pairs(rows), (slice(0, 2 * kept), slice(None), *taps))
    _set(first.bias, _pairs(shift), (slice(0, 2 * kept),))
    whitened = (transform.vectors / np.sqrt(transform.variances) / (1 + slope)).transpose(2, 1, 0)
    rows = _pairs(whitened.reshape(components, kept, *(2,) * d))
    second.weight[: 2 * components] *= 0.02
    second.bias[: 2 * components] = 0.0
    taps = (slice(1, 3),) * d
    _set(
        second.weight, np.concatenate([rows, -rows], 1), (slice(0, 2 * components), slice(0, 2 * kept), *taps)
    )
    for residual in inference.residuals:
        for parameter in residual[3].parameters():
            parameter *= QUIET
    _posterior(inference, transform, 1 + slope)


def _posterior(inference: InferenceNetwork, transform: Transform, gain: float) -> None:
    """Set what gives means and deviations of z, and those of h to the prior's."""
    components, channels = len(transform.variances), inference.layout.encoding[0]
    head = inference.encoding
    head.weight *= 0.02
    head.bias.zero_()
    means = np.where(transform.sent, transform.scales / np.sqrt(transform.variances), 0.0) / gain
    for k in range(components):
        head.weight[k, k] += means[k]
        head.weight[k, components + k] -= means[k]
    narrow = np.zeros(channels)
    narrow[:components] = 0.5 * np.log(np.minimum(1.0, transform.level / transform.variances))
    _set(head.bias, _widened(narrow), (slice(channels, 2 * channels),))
    for level, one in enumerate(inference.heads):
        n = one.out_features // 2
        one.weight *= 0.05
        one.bias.zero_()
        wide = np.zeros(n)
        if level == 0:
            wide[: len(GATED_FROM)] = math.log(GATE_DEVIATION)
        _set(one.bias, _widened(wide), (slice(n, 2 * n),))


def _widened(log_deviation: Real) -> Real:
    """Return what the inference network has to give for log deviations: the inverse of `narrowed`."""
    bounded = np.minimum(log_deviation, -0.02)
    widened: Real = WIDEST - np.log(np.expm1(WIDEST - bounded)) - LOG_DEVIATION
    return widened
