"""The small neural representations that the golden files are coded with, and signals for them; learning needs torch."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuralcodec.recombiner.layout import Layout
from neuralcodec.recombiner.model import Representation

Array = NDArray[Any]


def waves(shape: tuple[int, ...], n: int, seed: int) -> Array:
    """Return n smooth signals of a shape, from 0 to 1: sums of waves, channels a little apart."""
    rng = np.random.default_rng(seed)
    places = np.stack(np.meshgrid(*(np.arange(s) for s in shape[:-1]), indexing="ij"), axis=-1)
    x = np.full((n, *shape), 0.5)
    for _ in range(3):
        frequency = rng.normal(0, 0.35, (n, *(1,) * len(shape), len(shape) - 1))
        phase = 0.3 * rng.uniform(0, 6, (n, *(1,) * (len(shape) - 1), shape[-1])) + rng.uniform(0, 6)
        x += 0.18 * np.sin((places[None, ..., None, :] * frequency).sum(-1) + phase)
    return np.clip(x, 0, 1)


def line() -> Representation:
    """Return a model of sounds of any length in patches of 16, int16."""
    layout = Layout(
        (16,), 1, whole=False, group=(3,), hidden=(8, 8), features=4, latents=(10, 10, 9), encoding=(6, 8, 6),
        factors=(2, 2),
    )  # fmt: skip
    sounds = np.rint((waves((160, 1), 30, 1) - 0.5) * 8000).astype(np.int16)
    return _trained("line", sounds, layout, 40.0, 11)


def gray() -> Representation:
    """Return a model of 12 x 8 gray images."""
    layout = Layout(
        (12, 8), 1, hidden=(8, 8), features=8, latents=(12, 12, 9), encoding=(6, 8, 6), factors=(2, 2)
    )
    return _trained("gray", np.rint(waves((12, 8, 1), 60, 2) * 255).astype(np.uint8), layout, 64.0, 10)


def colour() -> Representation:
    """Return a model of colour images of any size in patches of 8 x 8."""
    layout = Layout(
        (8, 8), 3, whole=False, group=(2, 3), hidden=(8, 8), features=4, latents=(12, 12, 12), encoding=(8, 8, 6),
        factors=(4, 2),
    )  # fmt: skip
    return _trained("colour", np.rint(waves((40, 48, 3), 20, 3) * 255).astype(np.uint8), layout, 60.0, 12)


def _trained(name: str, signals: Array, layout: Layout, bits: float, index_bits: int) -> Representation:
    from neuralcodec.recombiner.learning import Recipe
    from neuralcodec.recombiner.training import train

    recipe = Recipe(bits, steps=300, batch=12, rate=5e-3, width=16, mirror=False, seed=len(name))
    return train(
        list(signals), layout, recipe, threads=1, index_bits=index_bits, finishing_steps=40,
        header={"name": f"golden-{name}"},
    )  # fmt: skip


REPRESENTATIONS: dict[str, Callable[[], Representation]] = {
    model.__name__: model for model in (line, gray, colour)
}
