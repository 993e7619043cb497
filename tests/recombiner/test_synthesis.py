"""The decoder in numpy: upsampling, networks and joining, against the definitions written out."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny_models import LAYOUTS, tiny_model

from neuralcodec.errors import InvalidModel
from neuralcodec.recombiner.layout import fourier_features
from neuralcodec.recombiner.synthesis import cut, join, network_weights, synthesise, upsample

Array = NDArray[Any]
CASES = [(d, f) for d in (1, 2, 3) for f in (2, 4)]


def transposed(x: Array, kernel: Array, bias: Array, f: int) -> Array:
    """The transposed convolution as its definition has it: every input adds the kernel around its place."""
    d, (signals, *sides, wide) = x.ndim - 2, x.shape
    out = len(bias)
    taps = kernel.reshape(wide, out, *(2 * f,) * d)
    full = np.zeros((signals, *(n * f + f for n in sides), out))
    for place in np.ndindex(*sides):
        added = np.tensordot(x[(slice(None), *place)], taps, axes=(1, 0))  # (signals, out, *taps)
        region = tuple(slice(i * f, i * f + 2 * f) for i in place)
        full[(slice(None), *region)] += np.moveaxis(added, 1, -1)
    return full[(slice(None), *(slice(f // 2, f // 2 + n * f) for n in sides))] + bias


@pytest.mark.parametrize(("d", "f"), CASES)
def test_upsampling_is_the_transposed_convolution(d: int, f: int) -> None:
    rng = np.random.default_rng(d)
    x = rng.normal(size=(2, *(3, 1, 2)[:d], 5)).astype(np.float32)
    kernel = rng.normal(size=(5, 4 * (2 * f) ** d)).astype(np.float32)
    bias = rng.normal(size=4).astype(np.float32)
    np.testing.assert_allclose(upsample(x, kernel, bias, f), transposed(x, kernel, bias, f), atol=1e-4)


@pytest.mark.parametrize(("d", "f"), CASES)
def test_it_can_be_nearest_upsampling_and_a_convolution(d: int, f: int) -> None:
    """A kernel of width f + 1 behind nearest upsampling, as RECOMBINER has it, is a case of the kernels here."""
    rng = np.random.default_rng(f)
    x = rng.normal(size=(1, *(3, 4, 2)[:d], 2)).astype(np.float32)
    small = rng.normal(size=(2, 3, *(f + 1,) * d))
    taps = np.zeros((2, 3, *(2 * f,) * d))
    for offset in itertools.product(range(f), repeat=d):  # the f equal copies of an input
        taps[(..., *(slice(o, o + f + 1) for o in offset))] += small
    found = upsample(x, taps.reshape(2, -1).astype(np.float32), np.zeros(3, np.float32), f)
    near = x
    for axis in range(1, d + 1):
        near = np.repeat(near, f, axis)
    half = f // 2
    padded = np.pad(near, ((0, 0), *((half, half),) * d, (0, 0)))
    # the transposed kernel is flipped, compared with a correlation
    flipped = np.flip(small, tuple(range(2, 2 + d)))
    expected = np.zeros((*near.shape[:-1], 3))
    for tap in itertools.product(range(f + 1), repeat=d):
        part = padded[(slice(None), *(slice(t, t + n) for t, n in zip(tap, near.shape[1:], strict=False)))]
        expected += part @ flipped[(..., *tap)]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_join_and_cut_are_inverse() -> None:
    layout = LAYOUTS["film"]
    rng = np.random.default_rng(0)
    patches = rng.normal(size=(2 * 6, layout.points, 3)).astype(np.float32)
    whole = join(patches.reshape(2, 3, 2, 1, *layout.grid, 3), 3)
    assert whole.shape == (2, 6, 8, 4, 3)
    assert np.array_equal(cut(whole, (3, 2, 1), layout), patches)


def latents_for(name: str, counts: tuple[int, ...], signals: int) -> list[NDArray[np.float32]]:
    layout = LAYOUTS[name]
    rng = np.random.default_rng(1)
    return [
        rng.normal(size=(signals * units, layout.unit_latents(level))).astype(np.float32)
        for level, units in enumerate(layout.unit_counts(counts))
    ]


def sine_network(widths: tuple[int, ...], x: Array, parameters: Array) -> Array:
    at = 0
    for number, (a, b) in enumerate(itertools.pairwise(widths)):
        bias, weights = parameters[at : at + b], parameters[at + b : at + b + a * b].reshape(a, b)
        at += b + a * b
        x = x @ weights + bias
        if number + 2 < len(widths):
            x = np.sin(x)
    return x


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_samples_are_those_of_the_definition(name: str) -> None:
    """All of the decoder in float64, patch by patch."""
    model, layout = tiny_model(name), LAYOUTS[name]
    d = layout.dimensions
    counts = (1,) * d if layout.whole else (2, 3, 1)[:d]
    latents = latents_for(name, counts, 2)
    found = synthesise(model, latents, counts, threads=1)
    weights, n = model.weights, layout.weight_latents
    z = latents[0][:, n:] * weights.encoding[1].astype(np.float64) + weights.encoding[0]
    z = np.moveaxis(z.reshape(2, *counts, layout.encoding[0], *layout.coarse), 1 + d, -1)
    x = join(z, d)
    for number, ((kernel, bias), f) in enumerate(zip(weights.stages, layout.factors, strict=True)):
        x = np.where(x < 0, 0.01 * x, x) if number else x
        x = transposed(x, kernel, bias[0], f)
    own = cut(x, counts, layout)
    coordinates = fourier_features(layout.grid, layout.features)
    expected = []
    for patch in range(2 * math.prod(counts)):
        signal, within = divmod(patch, math.prod(counts))
        h = np.zeros(n)
        for level, one in enumerate(layout.units(counts)):
            unit = signal * layout.unit_counts(counts)[level] + one[within]
            h += weights.level_scale[level].astype(np.float64) * latents[level][unit, :n]
        split = np.split(h, np.cumsum(layout.latents)[:-1])
        parameters = (
            np.concatenate([p @ m for p, m in zip(split, weights.maps, strict=True)]) + weights.base[0]
        )
        expected.append(sine_network(layout.widths, np.hstack([coordinates, own[patch]]), parameters))
    values = model.low + (model.high - model.low) * np.array(expected)
    limits = np.iinfo(model.dtype)
    exact = join(np.clip(values, limits.min, limits.max).reshape(2, *counts, *layout.grid, -1), d)
    assert found.dtype == model.dtype
    assert np.abs(found - exact).max() <= 0.5 + 1e-3 * (model.high - model.low) / 255
    assert (np.ptp(found) > 0).all()


def test_threads_change_nothing() -> None:
    model = tiny_model("patches")
    latents = latents_for("patches", (3, 3), 1)
    assert np.array_equal(synthesise(model, latents, (3, 3), 1), synthesise(model, latents, (3, 3), 4))


def test_groups_and_signals_are_shared_by_their_patches() -> None:
    model, layout = tiny_model("patches"), LAYOUTS["patches"]
    latents = latents_for("patches", (4, 2), 1)
    latents[0][:] = 0
    weights = network_weights(model, [latents[0][:, : layout.weight_latents], *latents[1:]], (4, 2))
    assert len(np.unique(weights, axis=0)) == 2


def test_parameters_that_overflow_are_refused() -> None:
    model = tiny_model("gray")
    latents = latents_for("gray", (1, 1), 1)
    latents[0][:] = 3e38
    with pytest.raises(InvalidModel, match="not finite"):
        synthesise(model, latents, (1, 1))
