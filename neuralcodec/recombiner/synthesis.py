"""The decoder's part of a representation in numpy: from latents to samples."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuralcodec import native
from neuralcodec.errors import InvalidModel
from neuralcodec.recombiner.layout import Layout, fourier_features
from neuralcodec.recombiner.model import Representation

SLOPE = np.float32(0.01)
Real = NDArray[np.float32]
ROWS = 2**16
"""Windows that go through an upsampling stage at a time: memory is bounded by it."""


def synthesise(
    model: Representation, latents: list[Real], counts: tuple[int, ...], threads: int | None = None
) -> NDArray[Any]:
    """Return the signals that latents stand for.

    Parameters
    ----------
    model
        The model.
    latents
        For each level float32 (units of all signals, latents).
    counts
        Patches of a signal along each dimension.
    threads
        Of the native kernel.

    Returns
    -------
    (signals, *sides, channels) of the model's dtype, rounded and clamped to it. Samples may differ by one between
    machines where a value lies in the middle of two.

    Raises
    ------
    InvalidModel
        If an output is not finite, as only damaged parameters make it.
    """
    layout, n = model.layout, model.layout.weight_latents
    with np.errstate(over="ignore", invalid="ignore"):
        own = encodings(model, latents[0][:, n:], counts)
        weights = network_weights(model, [latents[0][:, :n], *latents[1:]], counts)
    out = native.siren_outputs(
        layout.widths, fourier_features(layout.grid, layout.features), own, weights, threads
    )
    if not np.isfinite(out).all():
        raise InvalidModel("the model's network gives samples that are not finite")
    limits = np.iinfo(model.dtype)
    values = np.float64(model.low) + (model.high - model.low) * out.astype(np.float64)
    whole = np.clip(np.rint(values), limits.min, limits.max).astype(model.dtype)
    return join(whole.reshape(-1, *counts, *layout.grid, layout.channels), layout.dimensions)


def network_weights(model: Representation, h: list[Real], counts: tuple[int, ...]) -> Real:
    """Return the parameters of each patch's sine network, (patches, n)."""
    layout, weights = model.layout, model.weights
    signals = len(h[0]) // math.prod(counts)
    total = np.zeros((len(h[0]), layout.weight_latents), np.float32)
    for x, scale, one in zip(h, weights.level_scale, layout.units(counts), strict=True):
        unit = (np.arange(signals)[:, None] * (int(one.max()) + 1) + one[None]).ravel()
        total += (x * scale)[unit]
    starts = np.cumsum((0, *layout.latents))
    parts = [total[:, a:b] @ m for a, b, m in zip(starts, starts[1:], weights.maps, strict=False)]
    out: Real = np.ascontiguousarray(np.concatenate(parts, axis=1) + weights.base)
    return out


def encodings(model: Representation, z: Real, counts: tuple[int, ...]) -> Real:
    """Return the positional encodings, (patches, points, channels)."""
    layout, (mean, scale) = model.layout, model.weights.encoding
    x = (z * scale + mean).reshape(-1, *counts, layout.encoding[0], *layout.coarse)
    x = join(np.moveaxis(x, 1 + layout.dimensions, -1), layout.dimensions)
    for number, ((kernel, bias), factor) in enumerate(zip(model.weights.stages, layout.factors, strict=True)):
        if number:
            x = np.maximum(x, SLOPE * x)
        x = upsample(x, kernel, bias[0], factor)
    return cut(x, counts, layout)


def upsample(x: Real, kernel: Real, bias: Real, factor: int) -> Real:
    """Transposed convolution of stride f and kernel 2f, padded by f / 2, as one matrix product.

    Each window of 2 places along each dimension makes the f outputs between their centres: an output o lies in window
    ``q = floor((o + f / 2) / f)`` with ``r = (o + f / 2) mod f``, and is ``x[q - 1] w[r + f] + x[q] w[r]``.

    Parameters
    ----------
    x
        (signals, *sides, in).
    kernel
        (in, out * taps), taps of all dimensions in C order.
    bias
        (out,).
    factor
        f, even.

    Returns
    -------
    (signals, *(f * sides), out).
    """
    d, f, (signals, *sides, wide) = x.ndim - 2, factor, x.shape
    out = len(bias)
    # (in, out, 2, f, 2, f, ...): the first half of the taps belongs to the later place of a window.
    taps = kernel.reshape(wide, out, *(2, f) * d)
    later = [2 + 2 * i for i in range(d)]
    within = [3 + 2 * i for i in range(d)]
    matrix = np.flip(taps, tuple(later)).transpose(*later, 0, *within, 1).reshape(2**d * wide, f**d * out)
    padded = np.pad(x, ((0, 0), *((1, 1),) * d, (0, 0)))
    windows = [
        padded[(slice(None), *(slice(i, i + n + 1) for i, n in zip(corner, sides, strict=True)))]
        for corner in np.ndindex(*(2,) * d)
    ]
    rows = np.concatenate(windows, axis=-1).reshape(-1, 2**d * wide)
    made = np.empty((len(rows), matrix.shape[1]), np.float32)
    for first in range(0, len(rows), ROWS):
        np.matmul(rows[first : first + ROWS], matrix, out=made[first : first + ROWS])
    made = made.reshape(signals, *(n + 1 for n in sides), *(f,) * d, out)
    whole = join(made, d)
    inner = (slice(None), *(slice(f // 2, f // 2 + n * f) for n in sides))
    result: Real = whole[inner] + bias
    return result


def join(x: NDArray[Any], dimensions: int) -> NDArray[Any]:
    """Join (signals, *counts, *grid, channels) to (signals, *(counts * grid), channels)."""
    d = dimensions
    pairs = [axis for i in range(d) for axis in (1 + i, 1 + d + i)]
    sides = [x.shape[1 + i] * x.shape[1 + d + i] for i in range(d)]
    return x.transpose(0, *pairs, 1 + 2 * d).reshape(x.shape[0], *sides, x.shape[-1])


def cut(x: Real, counts: tuple[int, ...], layout: Layout) -> Real:
    """Cut (signals, *(counts * grid), channels) into patches, (patches, points, channels)."""
    d = layout.dimensions
    sides = [n for pair in zip(counts, layout.grid, strict=True) for n in pair]
    x = x.reshape(len(x), *sides, x.shape[-1])
    x = x.transpose(0, *(1 + 2 * i for i in range(d)), *(2 + 2 * i for i in range(d)), 1 + 2 * d)
    return np.ascontiguousarray(x.reshape(-1, layout.points, x.shape[-1]))
