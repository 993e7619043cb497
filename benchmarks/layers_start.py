"""Compact layers at their start: variance of outputs over ten shapes, and how exactly full rank is dense.

    python benchmarks/layers_start.py

Variance: the mean square of outputs for normal inputs of mean square 1, over the gain's square, for a relu's gain;
of outputs that no padding touches. Exactness: layers of full rank, and hypercomplex ones with n=1, from torch's own,
on either path; |difference| / |output|, float32.
"""

import statistics
from typing import Any

import torch
from common import write_result
from layers_cases import SHAPES, compact, seeded, versions
from torch import nn

FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "hypercomplex, n=2": ("PH", {"n": 2}),
    "hypercomplex, n=4": ("PH", {"n": 4}),
    "hypercomplex, n=8": ("PH", {"n": 8}),
    "quaternion": ("PH", {"algebra": "quaternion"}),
    "hypercomplex, n=4, rank 4": ("PH", {"n": 4, "algebra_rank": 4}),
    "hypercomplex, n=4, rank 8": ("PH", {"n": 4, "algebra_rank": 8}),
    "Tucker, 25%": ("Tensor", {"format": "tucker", "rank": 0.25}),
    "full Tucker, 25%": ("Tensor", {"format": "tucker-full", "rank": 0.25}),
    "CP, 25%": ("Tensor", {"format": "cp", "rank": 0.25}),
    "separable, one product": ("Tensor", {"format": "separable", "rank": 1}),
}
EXACT: dict[str, tuple[str, dict[str, Any]]] = {
    "hypercomplex, n=1": ("PH", {"n": 1}),
    "Tucker": ("Tensor", {"format": "tucker", "rank": "full"}),
    "full Tucker": ("Tensor", {"format": "tucker-full", "rank": "full"}),
    "CP": ("Tensor", {"format": "cp", "rank": "full"}),
    "separable": ("Tensor", {"format": "separable", "rank": "full"}),
}
SEEDS = 3


def example(layer: nn.Module, sizes: tuple[int, ...], batch: int) -> torch.Tensor:
    """Normal inputs."""
    channels = layer.in_channels if sizes else layer.in_features
    return torch.randn(batch, channels, *sizes)


def within(y: torch.Tensor, layer: nn.Module) -> torch.Tensor:
    """Outputs where as many inputs meet as anywhere: without the border of a transposed convolution."""
    if not isinstance(layer, nn.ConvTranspose2d):
        return y
    border = layer.kernel_size[0]
    return y[..., border:-border, border:-border]


def variances() -> dict[str, Any]:
    """Of every family: the ratios of all shapes and seeds."""
    found: dict[str, Any] = {}
    for name, (family, options) in FAMILIES.items():
        ratios: dict[str, list[float]] = {}
        for shape, make, sizes in SHAPES:
            for seed in range(SEEDS):
                seeded(seed)
                layer = make()
                made = compact(layer, family, nonlinearity="relu", path="kernel", **options)
                if made is None:
                    continue
                with torch.no_grad():
                    y = within(made(example(layer, sizes, 2000 if not sizes else 8)), layer)
                ratios.setdefault(shape, []).append(float(y.square().mean()) / 2)
        values = [value for each in ratios.values() for value in each]
        found[name] = {
            "least": min(values),
            "median": statistics.median(values),
            "most": max(values),
            "shapes": ratios,
        }
    return found


def errors() -> dict[str, Any]:
    """Of every family at full rank: the relative error on either path, by shape."""
    found: dict[str, Any] = {}
    for name, (family, options) in EXACT.items():
        each: dict[str, float] = {}
        for shape, make, sizes in SHAPES:
            seeded(0)
            layer = make()
            x = example(layer, sizes, 4)
            for path in ("kernel", "chain"):
                made = compact(layer, family, trained=True, path=path, **options)
                if made is None:
                    continue
                with torch.no_grad():
                    expected = layer(x)
                    each[f"{shape}, {path}"] = float((made(x) - expected).norm() / expected.norm())
        found[name] = {"most": max(each.values()), "shapes": each}
    return found


def main() -> None:
    """Measure and write."""
    write_result(__file__, {"variance": variances(), "error": errors(), "versions": versions()})


if __name__ == "__main__":
    main()
