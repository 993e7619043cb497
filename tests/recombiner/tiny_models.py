"""Small models with random parameters, and signals for them; numpy alone."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuralcodec.entropy.relative import IndexModel
from neuralcodec.recombiner.layout import Layout
from neuralcodec.recombiner.model import Representation, Weights, weight_shapes

BITS = 6

LAYOUTS = {
    "line": Layout((16,), 1, hidden=(5,), features=4, latents=(7, 3), encoding=(3, 4), factors=(4,)),
    "gray": Layout((8, 12), 1, hidden=(6, 5), features=8, latents=(6, 5, 4), encoding=(4, 3, 5), factors=(2, 2)),
    "plain": Layout((3, 5), 2, hidden=(4,), features=4, latents=(5, 4), encoding=(3,), factors=()),
    "volume": Layout((4, 4, 2), 2, hidden=(5,), features=6, latents=(5, 4), encoding=(3, 2), factors=(2,)),
    "patches": Layout(
        (8, 8), 3, whole=False, group=(2, 2), hidden=(6,), features=4, latents=(8, 5), encoding=(4, 3), factors=(2,)
    ),
    "sound": Layout(
        (12,), 1, whole=False, group=(3,), hidden=(5,), features=4, latents=(6, 4), encoding=(3, 4), factors=(2,)
    ),
    "film": Layout(
        (2, 4, 4), 1, whole=False, group=(1, 2, 2), hidden=(5,), features=6, latents=(5, 4), encoding=(3, 4),
        factors=(2,),
    ),
}  # fmt: skip
SHAPES: dict[str, list[tuple[int, ...]]] = {
    "line": [(16,)],
    "gray": [(8, 12)],
    "plain": [(3, 5, 2)],
    "volume": [(4, 4, 2, 2)],
    "patches": [(8, 8, 3), (17, 20, 3), (1, 1, 3), (1, 30), (9, 8, 1)],
    "sound": [(12,), (100,), (1,), (37, 1)],
    "film": [(3, 9, 5), (1, 1, 1)],
}
DTYPES = {"line": "int16", "sound": "int16", "volume": "uint16"}
RANGES = {"uint8": (0, 255), "int16": (-3000, 3000), "uint16": (0, 4095)}


def random_weights(layout: Layout, seed: int = 0) -> Weights:
    """Return weights under which outputs are about 0 to 1."""
    rng = np.random.default_rng(seed)
    named: dict[str, NDArray[np.float32]] = {}
    for name, (rows, columns) in weight_shapes(layout).items():
        scale = 0.5 / np.sqrt(rows) if name.startswith(("map", "stage")) else 0.3
        named[name] = rng.normal(0, scale, (rows, columns)).astype(np.float32)
    named["level_scale"] = np.full_like(named["level_scale"], 0.7)
    named["encoding"][1] = 0.8
    named["base"][0, -layout.channels * (layout.hidden[-1] + 1) :][: layout.channels] = 0.5
    return Weights.of_named(named, layout)


def sizes_of(latents: int, block: int) -> NDArray[np.int64]:
    """Cut latents into blocks of a size, the last being what is left."""
    sizes = [block] * (latents // block)
    return np.array(sizes + [latents % block] * (latents % block > 0), np.int64)


def tiny_model(name: str = "gray", *, seed: int = 3, bits: int = BITS, **header: Any) -> Representation:
    """Return the model of a layout."""
    layout = LAYOUTS[name]
    dtype = np.dtype(DTYPES.get(name, "uint8"))
    low, high = RANGES[dtype.name]
    weights = random_weights(layout, seed)
    levels = range(len(layout.levels))
    return Representation.quantised(
        layout, weights, dict.fromkeys(weights.named(), 2.0 ** (-10)), dtype=dtype, low=low, high=high,
        sizes=[sizes_of(layout.unit_latents(level), 4 + level) for level in levels], bits=bits, seed=seed,
        frequencies=[IndexModel.uniform(bits).frequencies for _ in levels], beta=1e-4,
        header={"name": f"tiny-{name}", **header},
    )  # fmt: skip


def tiny_signals(name: str, shape: tuple[int, ...], n: int = 1, seed: int = 0) -> NDArray[Any]:
    """Return smooth signals, (n, *shape), in the model's dtype."""
    rng = np.random.default_rng(seed)
    dtype = DTYPES.get(name, "uint8")
    low, high = RANGES[dtype]
    x = rng.random((n, *shape))
    for axis in range(1, x.ndim):
        x = (x + np.roll(x, 1, axis) + np.roll(x, -1, axis)) / 3
    return np.rint(low + (high - low) * x).astype(dtype)


def random_indices(
    model: Representation, units: list[int], n: int, seed: int = 0
) -> list[NDArray[np.uint32]]:
    """Return indices of n signals, level by level, signal after signal."""
    rng = np.random.default_rng(seed)
    return [
        rng.integers(0, 1 << model.bits, n * count * partition.blocks).astype(np.uint32)
        for count, partition in zip(units, model.partitions, strict=True)
    ]
