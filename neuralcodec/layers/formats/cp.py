"""CP format: sums of products of vectors, one for each mode of the kernel.

Lebedev et al., "Speeding-up convolutional neural networks using fine-tuned CP-decomposition" (arXiv:1412.6553). For a
linear layer it is the product of two thin matrices.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor

from neuralcodec.layers import decomposition
from neuralcodec.layers.decomposition import Array
from neuralcodec.layers.formats.base import Factors, Format, Ranks, mix, outer, rounded, stacked
from neuralcodec.layers.geometry import Geometry

SWEEPS = 5  # of a random kernel, which has no structure to find
TOGETHER = 2  # taps are applied axis by axis if together they are more than this many times as many


class CP(Format):
    """`W[o, i, taps] = sum_r out[o, r] in[r, i] prod_a axis_a[r, tap_a]`. One rank."""

    name = "cp"
    parts = ("terms",)

    @classmethod
    def _modes(cls, geometry: Geometry) -> list[int]:
        return [*geometry.grouped[1:3], *(size for size in geometry.kernel if size > 1)]

    @classmethod
    def largest(cls, geometry: Geometry) -> Ranks:
        """One term for each fibre along the largest mode."""
        modes = cls._modes(geometry)
        return (math.prod(modes) // max(modes),)

    @classmethod
    def steps(cls, geometry: Geometry, lanes: int) -> Sequence[Ranks]:
        """All numbers of terms."""
        return [(rounded(rank, lanes),) for rank in range(1, 1 + cls.largest(geometry)[0])]

    @classmethod
    def for_energy(cls, geometry: Geometry, kernel: Array, energy: float) -> Ranks:
        """Doubles the rank until it suffices, then halves the interval."""
        total = np.square(kernel).sum()

        def enough(rank: int) -> bool:
            made = cls(geometry, (rank,)).decompose(kernel, thorough=True)
            built = _rebuilt(made, kernel.shape)
            return bool(np.square(kernel - built).sum() <= (1 - energy) * total)

        most = cls.largest(geometry)[0]
        if geometry.groups == 1 and len(cls._modes(geometry)) == 2:
            squares = np.cumsum(np.linalg.svd(kernel.reshape(kernel.shape[1:3]), compute_uv=False) ** 2)
            return (1 + int((squares < energy * total).sum()),)
        high = 1
        while high < most and not enough(high):
            high = min(2 * high, most)
        low = high // 2
        while high - low > max(1, high // 16):
            middle = (low + high) // 2
            low, high = (low, middle) if enough(middle) else (middle, high)
        return (high,)

    def _axes(self) -> list[int]:
        return [axis for axis, size in enumerate(self.geometry.kernel) if size > 1]

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Factors of both channel modes, and of the axes with more than one tap."""
        groups, outs, ins, *taps = self.geometry.grouped
        shapes: dict[str, tuple[int, ...]] = {
            "factor_out": (groups, outs, self.ranks[0]),
            "factor_in": (groups, self.ranks[0], ins),
        }
        return shapes | {f"factor_{axis}": (groups, self.ranks[0], taps[axis]) for axis in self._axes()}

    def build(self, factors: Factors) -> Tensor:
        """One matrix product for each group."""
        groups, outs, ins, *taps = self.geometry.grouped
        right = factors["factor_in"]
        if self._axes():
            spatial = outer([factors[f"factor_{axis}"] for axis in self._axes()]).flatten(2)
            right = (right.unsqueeze(-1) * spatial.unsqueeze(2)).flatten(2)
        return (factors["factor_out"] @ right).view(groups, outs, ins, *taps)

    def _apart(self) -> bool:
        sizes = [self.geometry.kernel[axis] for axis in self._axes()]
        return math.prod(sizes) > TOGETHER * sum(sizes)

    def operations(self, positions_in: int, positions_out: int) -> int:
        """Multiply-adds of the mixes, and of one filter for each term."""
        groups, outs, ins, *taps = self.geometry.grouped
        each = sum(taps) if self._apart() else math.prod(taps)
        places = positions_in if self.geometry.transposed else positions_out
        mixes = ins * positions_in + outs * positions_out
        return groups * self.ranks[0] * (mixes + (each * places if self.geometry.axes else 0))

    def chain(self, x: Tensor, factors: Factors, bias: Tensor | None, size: Sequence[int] | None) -> Tensor:
        """A mix of channels, depthwise filters, a mix of channels."""
        geometry = self.geometry
        channels = geometry.groups * self.ranks[0]
        y = mix(x, factors["factor_in"], geometry.axes)
        if geometry.axes:
            within = geometry.with_channels(channels, channels, channels)
            if geometry.transposed:
                within = within.with_extra(within.extra(y, size))
            filters = {axis: factors[f"factor_{axis}"].reshape(channels, 1, 1, -1) for axis in self._axes()}
            if self._apart():
                for axis in range(geometry.axes):
                    one = within.along(axis)
                    kernel = filters[axis] if axis in filters else y.new_ones(channels, 1, 1, 1)
                    y = one.apply(y, one.to_torch(kernel.reshape(one.grouped)), None)
            else:
                together = outer(list(filters.values())) if filters else y.new_ones(channels, 1, 1)
                y = within.apply(y, within.to_torch(together.reshape(within.grouped)), None)
        return mix(y, factors["factor_out"], geometry.axes, bias)

    def decompose(self, kernel: Array, thorough: bool) -> dict[str, Array]:
        """Alternating least squares by `tensorly`; exact from the largest rank on, and for matrices by SVD."""
        groups = []
        sweeps = decomposition.SWEEPS if thorough else SWEEPS
        for group in kernel:
            modes = self._modes(self.geometry)
            found = decomposition.cp(group.reshape(modes), self.ranks[0], sweeps)
            taps = {f"factor_{axis}": factor.T for axis, factor in zip(self._axes(), found[2:], strict=True)}
            groups.append({"factor_out": found[0], "factor_in": found[1].T, **taps})
        return stacked(groups)


def _rebuilt(factors: Mapping[str, Array], shape: tuple[int, ...]) -> Array:
    taps = [factor for name, factor in factors.items() if name not in ("factor_out", "factor_in")]
    letters = "xyz"[: len(taps)]
    spec = ",".join(["gor", "gri", *(f"gr{letter}" for letter in letters)])
    built: Array = np.einsum(
        f"{spec}->goi{letters}", factors["factor_out"], factors["factor_in"], *taps, optimize=True
    )
    return built.reshape(shape)
