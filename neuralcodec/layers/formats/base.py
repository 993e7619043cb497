"""What a tensor format is: shapes of its factors, the kernel that they make, and a way to apply them without it."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import torch
from torch import Tensor
from torch.nn import functional as F

from neuralcodec.layers.decomposition import Array
from neuralcodec.layers.geometry import Geometry

_CONV = {0: F.linear, 1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
Factors = Mapping[str, Tensor]
Ranks = tuple[int, ...]


class Format(ABC):
    """A tensor format of the kernels of a geometry, with its ranks.

    Kernels are in the grouped layout `(groups, outputs, inputs, *taps)`; every group has factors of its own.
    """

    name: ClassVar[str]
    parts: ClassVar[tuple[str, ...]]  # what the numbers of `ranks` are the ranks of

    def __init__(self, geometry: Geometry, ranks: Ranks) -> None:
        self.geometry = geometry
        self.ranks = ranks

    @classmethod
    def why_not(cls, geometry: Geometry) -> str | None:
        """Why the format has nothing to offer for this geometry; None if it does."""
        return None

    @classmethod
    @abstractmethod
    def largest(cls, geometry: Geometry) -> Ranks:
        """Ranks from which on every kernel is represented exactly."""

    @classmethod
    @abstractmethod
    def steps(cls, geometry: Geometry, lanes: int) -> Sequence[Ranks]:
        """Ranks that a fraction of the parameters may become, in steps of `lanes` where they count many channels."""

    @classmethod
    @abstractmethod
    def for_energy(cls, geometry: Geometry, kernel: Array, energy: float) -> Ranks:
        """Small ranks that keep this share of the sum of squares of a kernel."""

    @abstractmethod
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the factors by name."""

    @abstractmethod
    def build(self, factors: Factors) -> Tensor:
        """The kernel, in the grouped layout; of degree one in each factor."""

    @abstractmethod
    def decompose(self, kernel: Array, thorough: bool) -> dict[str, Array]:
        """Factors of a kernel near to this one; `thorough` refines them as far as it goes."""

    def operations(self, positions_in: int, positions_out: int) -> int | None:
        """Multiply-adds of the chain; None if there is no chain."""
        return None

    def chain(self, x: Tensor, factors: Factors, bias: Tensor | None, size: Sequence[int] | None) -> Tensor:
        """Apply the factors one after the other to an input with a batch axis."""
        raise NotImplementedError  # pragma: no cover: formats without a chain say so in `operations`

    @property
    def parameters(self) -> int:
        """Number of parameters, without a bias."""
        return sum(math.prod(shape) for shape in self.shapes().values())

    @classmethod
    def at(cls, geometry: Geometry, ranks: Ranks) -> Self:
        """The format with these ranks, each at most what is exact."""
        most = cls.largest(geometry)
        return cls(geometry, tuple(min(rank, high) for rank, high in zip(ranks, most, strict=True)))


def mix(x: Tensor, matrices: Tensor, axes: int, bias: Tensor | None = None) -> Tensor:
    """Mix the channels of each group: `matrices` is `(groups, outputs, inputs)`."""
    groups, outputs, inputs = matrices.shape
    weight = matrices.reshape(groups * outputs, inputs, *(1,) * axes)
    if not axes:
        return F.linear(x, weight, bias)
    options: dict[str, Any] = {"groups": groups}
    return _CONV[axes](x, weight, bias, **options)


def outer(filters: Sequence[Tensor]) -> Tensor:
    """Products of one-way filters `(..., k_1)`, `(..., k_2)`, ...: `(..., k_1, k_2, ...)`."""
    product = filters[0]
    for done, one in enumerate(filters[1:], 1):
        product = product.unsqueeze(-1) * one.reshape(*one.shape[:-1], *(1,) * done, one.shape[-1])
    return product


def rounded(rank: int, lanes: int) -> int:
    """The multiple of `lanes` below a rank, or the rank itself where there is none.

    Examples
    --------
    >>> rounded(51, 16), rounded(25, 8), rounded(7, 8)
    (48, 24, 7)
    """
    return rank // lanes * lanes or rank


def stacked(groups: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """Factors of the groups, one behind the other."""
    import numpy as np

    return {name: np.stack([group[name] for group in groups]) for name in groups[0]}


def contract(spec: str, *tensors: Tensor) -> Tensor:
    """`torch.einsum`, with a type."""
    result: Tensor = torch.einsum(spec, *tensors)
    return result
