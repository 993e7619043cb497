"""Layers that the benchmarks of `neuralcodec.layers` measure: torch's own, and the compact ones in their place."""

import warnings
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from typing import Any

import torch
from torch import nn

from neuralcodec import layers
from neuralcodec.errors import InvalidLayer

# Layers of every kind, and inputs without a border: (name, layer, sizes of the input after the channels)
SHAPES: list[tuple[str, Callable[[], nn.Module], tuple[int, ...]]] = [
    ("conv2d 64 -> 64, 3x3", lambda: nn.Conv2d(64, 64, 3), (20, 20)),
    ("conv2d 192 -> 192, 3x3", lambda: nn.Conv2d(192, 192, 3), (12, 12)),
    ("conv2d 32 -> 128, 5x5", lambda: nn.Conv2d(32, 128, 5), (20, 20)),
    ("conv2d 128 -> 64, 3x5, stride 2", lambda: nn.Conv2d(128, 64, (3, 5), stride=2), (25, 25)),
    ("conv2d 96 -> 96, 3x3, 2 groups", lambda: nn.Conv2d(96, 96, 3, groups=2), (20, 20)),
    ("conv2d 64 -> 96, 3x3, dilation 2", lambda: nn.Conv2d(64, 96, 3, dilation=2), (20, 20)),
    ("conv1d 128 -> 128, 9", lambda: nn.Conv1d(128, 128, 9), (200,)),
    ("conv3d 32 -> 32, 3x3x3", lambda: nn.Conv3d(32, 32, 3), (8, 10, 10)),
    ("convtranspose2d 64 -> 64, 4x4, stride 2", lambda: nn.ConvTranspose2d(64, 64, 4, stride=2), (20, 20)),
    ("linear 512 -> 256", lambda: nn.Linear(512, 256), ()),
]


def compact(layer: nn.Module, family: str, trained: bool = False, **options: Any) -> nn.Module | None:
    """A compact layer in the place of one of torch's own; None where the family has none."""
    kind = getattr(layers, f"{family}{type(layer).__name__}", None)
    if kind is None:
        return None
    try:
        made: nn.Module = kind.from_dense(layer, trained=trained, **options)
    except InvalidLayer:
        return None
    return made


def tensorly_torch() -> Any:
    """The package `tltorch`, or None where it is not installed (`pip install tensorly-torch`)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import_module("tensorly").set_backend("pytorch")
            return import_module("tltorch")
    except ImportError:
        return None


def versions() -> dict[str, str]:
    """Versions of what is measured."""
    found = {name: version(name) for name in ("torch", "tensorly")}
    if tensorly_torch() is not None:
        found["tensorly-torch"] = version("tensorly-torch")
    return found


def seeded(seed: int) -> None:
    """Start all random numbers anew."""
    torch.manual_seed(seed)
