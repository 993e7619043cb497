"""Separable formats: each two- or three-way kernel a sum of products of one-way filters, put so before training.

"A priori compression of convolutional neural networks" (arXiv:2304.04964): every pair of an output and an input channel
has a kernel of its own, a sum of R products. Of a linear layer's matrix the like is a sum of R Kronecker products.
"""

import math
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from neuralcodec.layers import decomposition
from neuralcodec.layers.decomposition import Array
from neuralcodec.layers.formats.base import Factors, Format, Ranks, contract, outer
from neuralcodec.layers.geometry import Geometry


class Separable(Format):
    """`W[o, i, taps] = sum_r prod_a axis_a[r, o, i, tap_a]`. One rank: the products of each kernel.

    R k-tap filters per axis instead of all taps: of 3 x 3 taps 6 R, of 5 x 5 10 R, of 3 x 3 x 3 9 R; exact at R = k in
    two dimensions. Applied one after the other the filters save nothing where channels are mixed, so only depthwise
    layers have a chain.
    """

    name = "separable"
    parts = ("products",)

    @classmethod
    def why_not(cls, geometry: Geometry) -> str | None:
        """It needs two axes with more than one tap."""
        if sum(size > 1 for size in geometry.kernel) >= 2:
            return None
        return f"a kernel of {geometry.kernel} taps has no two axes to separate"

    @classmethod
    def largest(cls, geometry: Geometry) -> Ranks:
        """One product for each line of taps along the longest axis."""
        return (math.prod(geometry.kernel) // max(geometry.kernel),)

    @classmethod
    def steps(cls, geometry: Geometry, lanes: int) -> Sequence[Ranks]:
        """All numbers of products."""
        return [(rank,) for rank in range(1, 1 + cls.largest(geometry)[0])]

    @classmethod
    def for_energy(cls, geometry: Geometry, kernel: Array, energy: float) -> Ranks:
        """The products are orthogonal: their squares add up."""
        sizes = [size for size in geometry.kernel if size > 1]
        _, weights = decomposition.nested_svd(kernel.reshape(-1, *sizes))
        kept = np.cumsum(np.square(weights).sum(axis=0)) / max(np.square(kernel).sum(), 1e-300)
        return (min(1 + int((kept < energy).sum()), cls.largest(geometry)[0]),)

    def _axes(self) -> list[int]:
        return [axis for axis, size in enumerate(self.geometry.kernel) if size > 1]

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """One factor for each axis with more than one tap."""
        groups, outs, ins, *taps = self.geometry.grouped
        return {f"factor_{axis}": (self.ranks[0], groups, outs, ins, taps[axis]) for axis in self._axes()}

    def build(self, factors: Factors) -> Tensor:
        """Sum of the products."""
        filters = [factors[f"factor_{axis}"] for axis in self._axes()]
        return outer(filters).sum(0).reshape(self.geometry.grouped)

    def operations(self, positions_in: int, positions_out: int) -> int | None:
        """Multiply-adds, were strides along the last axis alone; depthwise layers only."""
        _, _, ins, *taps = self.geometry.grouped
        if ins != 1:
            return None
        return self.ranks[0] * self.geometry.outputs * sum(taps) * max(positions_in, positions_out)

    def chain(self, x: Tensor, factors: Factors, bias: Tensor | None, size: Sequence[int] | None) -> Tensor:
        """One-way filters, axis by axis; the last also sums the products up."""
        geometry, rank = self.geometry, self.ranks[0]
        groups, outputs = geometry.groups, geometry.outputs
        wide = rank * outputs
        if geometry.transposed:
            geometry = geometry.with_extra(geometry.extra(x, size))
        last = self._axes()[-1]
        axes = [axis for axis in range(geometry.axes) if axis != last] + [last]
        for place, axis in enumerate(axes):
            into, share = (groups, groups) if place == 0 else (wide, wide)
            out = outputs if axis == last else wide
            one = geometry.with_channels(into, out, out if axis == last else share).along(axis)
            if axis in self._axes():
                # channels lie by group, output, product
                kernel = factors[f"factor_{axis}"].flatten(1, 3).transpose(0, 1)
            else:
                kernel = x.new_ones(outputs, rank, 1)
            x = one.apply(x, one.to_torch(kernel.reshape(one.grouped)), bias if axis == last else None)
        return x

    def decompose(self, kernel: Array, thorough: bool) -> dict[str, Array]:
        """The largest of the orthogonal products that nested singular value decompositions give."""
        axes, rank = self._axes(), self.ranks[0]
        groups, outs, ins, *taps = self.geometry.grouped
        filters, weights = decomposition.nested_svd(kernel.reshape(-1, *(taps[axis] for axis in axes)))
        share = weights[:, :rank] ** (1 / len(axes))
        return {
            f"factor_{axis}": (one[:, :rank] * share[..., None])
            .transpose(1, 0, 2)
            .reshape(rank, groups, outs, ins, -1)
            for axis, one in zip(axes, filters, strict=True)
        }


class Kronecker(Format):
    """The matrix of a linear layer as `sum_r A[r] (x) B[r]`. One rank: the products."""

    name = "separable"
    parts = ("products",)

    def __init__(self, geometry: Geometry, ranks: Ranks) -> None:
        super().__init__(geometry, ranks)
        self.outs, self.ins = self._sizes(geometry)

    @staticmethod
    def _sizes(geometry: Geometry) -> tuple[tuple[int, int], tuple[int, int]]:
        return balanced(geometry.outputs), balanced(geometry.inputs)

    @classmethod
    def largest(cls, geometry: Geometry) -> Ranks:
        """The smaller of the two factors' numbers of entries."""
        outs, ins = cls._sizes(geometry)
        return (min(outs[0] * ins[0], outs[1] * ins[1]),)

    @classmethod
    def steps(cls, geometry: Geometry, lanes: int) -> Sequence[Ranks]:
        """All numbers of products."""
        return [(rank,) for rank in range(1, 1 + cls.largest(geometry)[0])]

    @classmethod
    def for_energy(cls, geometry: Geometry, kernel: Array, energy: float) -> Ranks:
        """From singular values of the rearranged matrix (Van Loan and Pitsianis, 1993)."""
        made = cls(geometry, cls.largest(geometry))
        squares = np.cumsum(np.square(np.linalg.svd(made._rearranged(kernel), compute_uv=False)))
        return (min(1 + int((squares < energy * squares[-1]).sum()), len(squares)),)

    def _rearranged(self, kernel: Array) -> Array:
        (o1, o2), (i1, i2) = self.outs, self.ins
        return kernel.reshape(o1, o2, i1, i2).transpose(0, 2, 1, 3).reshape(o1 * i1, o2 * i2)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Both factors of all products."""
        return {f"factor_{place}": (self.ranks[0], self.outs[place], self.ins[place]) for place in range(2)}

    def build(self, factors: Factors) -> Tensor:
        """One matrix product, and a permutation."""
        (o1, o2), (i1, i2) = self.outs, self.ins
        blocks = factors["factor_0"].flatten(1).T @ factors["factor_1"].flatten(1)
        return blocks.view(o1, i1, o2, i2).transpose(1, 2).reshape(self.geometry.grouped)

    def operations(self, positions_in: int, positions_out: int) -> int:
        """Multiply-adds of a product with each factor."""
        (o1, o2), (i1, i2) = self.outs, self.ins
        return self.ranks[0] * o2 * i1 * (i2 + o1)

    def chain(self, x: Tensor, factors: Factors, bias: Tensor | None, size: Sequence[int] | None) -> Tensor:
        """Multiply by the second factors, then by the first."""
        (o1, o2), (i1, i2) = self.outs, self.ins
        parts = x.reshape(-1, i1, i2)
        inner = contract("zij,rpj->zirp", parts, factors["factor_1"])
        y = contract("zirp,roi->zop", inner, factors["factor_0"]).reshape(*x.shape[:-1], o1 * o2)
        return y if bias is None else y + bias

    def decompose(self, kernel: Array, thorough: bool) -> dict[str, Array]:
        """Singular vectors of the rearranged matrix."""
        left, sizes, right = np.linalg.svd(self._rearranged(kernel), full_matrices=False)
        rank = self.ranks[0]
        share = sizes[:rank] ** 0.5
        return {
            "factor_0": (left[:, :rank] * share).T.reshape(rank, self.outs[0], self.ins[0]),
            "factor_1": (share[:, None] * right[:rank]).reshape(rank, self.outs[1], self.ins[1]),
        }


def balanced(size: int) -> tuple[int, int]:
    """Two factors of a number, as near to each other as they can be, the smaller first.

    Examples
    --------
    >>> balanced(64), balanced(24), balanced(7)
    ((8, 8), (4, 6), (1, 7))
    """
    small = next(d for d in range(math.isqrt(size), 0, -1) if size % d == 0)
    return small, size // small
