"""Tucker formats: a small core between mixes of channels, and, if full, between mixes of taps.

Kim et al., "Compression of deep convolutional neural networks for fast and low power mobile applications"
(arXiv:1511.06530).
"""

import math
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from neuralcodec.layers import decomposition
from neuralcodec.layers.decomposition import Array
from neuralcodec.layers.formats.base import Factors, Format, Ranks, contract, mix, rounded, stacked
from neuralcodec.layers.geometry import Geometry

SWEEPS = 3


def useful(ranks: Ranks, rest: int = 1) -> Ranks:
    """Ranks without what no core can use: each is at most the product of the others, and of the sizes of other modes.

    Examples
    --------
    >>> useful((64, 2), 9), useful((15, 24))
    ((18, 2), (15, 15))
    """
    total = math.prod(ranks) * rest
    for place, rank in enumerate(ranks):
        if rank > total // rank:
            return useful((*ranks[:place], total // rank, *ranks[place + 1 :]), rest)
    return ranks


class Tucker(Format):
    """Tucker-2: `W[o, i, taps] = sum_pq out[o, p] core[p, q, taps] in[q, i]`. Ranks: output, input."""

    name = "tucker"
    parts = ("out", "in")

    def __init__(self, geometry: Geometry, ranks: Ranks) -> None:
        rest = math.prod(geometry.grouped[1 + len(ranks) :])
        super().__init__(geometry, useful(ranks, rest))

    @classmethod
    def largest(cls, geometry: Geometry) -> Ranks:
        """The numbers of channels."""
        return geometry.grouped[1:3]

    @classmethod
    def steps(cls, geometry: Geometry, lanes: int) -> Sequence[Ranks]:
        """Both ranks at one share of the channels, or one of them a few more."""
        outs, ins = geometry.grouped[1:3]
        most = max(outs, ins)
        found = set()
        for q in range(1, most + 1):
            out, into = (rounded(max(1, size * q // most), lanes) for size in (outs, ins))
            found |= {(out, into), (min(out + lanes, outs), into), (out, min(into + lanes, ins))}
        return sorted(found)

    @classmethod
    def for_energy(cls, geometry: Geometry, kernel: Array, energy: float) -> Ranks:
        """Each mode loses an even share of what may be lost, which bounds what is lost in all (HOSVD)."""
        count = len(cls.largest(geometry))
        lost = (1 - energy) / count * np.square(kernel).sum(axis=tuple(range(1, kernel.ndim)))
        ranks = []
        for mode in range(1, 1 + count):
            needed = 1
            for group, least in zip(kernel, lost, strict=True):
                unfolded = np.moveaxis(group, mode - 1, 0).reshape(group.shape[mode - 1], -1)
                squares = np.maximum(np.linalg.eigvalsh(unfolded @ unfolded.T), 0)
                needed = max(needed, int((np.cumsum(squares) > least).sum()))
            ranks.append(needed)
        return tuple(ranks)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Factors of both channel modes, and the core."""
        groups, outs, ins, *taps = self.geometry.grouped
        out, into = self.ranks[:2]
        return {
            "factor_out": (groups, outs, out),
            "core": (groups, out, into, *taps),
            "factor_in": (groups, into, ins),
        }

    def core(self, factors: Factors) -> Tensor:
        """The core with all taps."""
        return factors["core"]

    def build(self, factors: Factors) -> Tensor:
        """Two matrix products for each group."""
        groups, outs, ins, *taps = self.geometry.grouped
        out, into = self.ranks[:2]
        core = self.core(factors).reshape(groups, out, into, -1)
        left = (factors["factor_out"] @ core.flatten(2)).view(groups, outs, into, -1)
        built = contract("gopt,gpi->goit", left, factors["factor_in"])
        return built.reshape(groups, outs, ins, *taps)

    def operations(self, positions_in: int, positions_out: int) -> int:
        """Multiply-adds of the mixes and of the core."""
        groups, outs, ins, *taps = self.geometry.grouped
        out, into = self.ranks[:2]
        core = out * into * math.prod(taps)
        centre = core * (positions_in if self.geometry.transposed else positions_out)
        return groups * (into * ins * positions_in + centre + outs * out * positions_out)

    def chain(self, x: Tensor, factors: Factors, bias: Tensor | None, size: Sequence[int] | None) -> Tensor:
        """A mix of channels, the core, a mix of channels."""
        geometry, groups = self.geometry, self.geometry.groups
        within = geometry.with_channels(groups * self.ranks[1], groups * self.ranks[0], groups)
        small = mix(x, factors["factor_in"], geometry.axes)
        done = within.apply(small, within.to_torch(self.core(factors)), None, size)
        return mix(done, factors["factor_out"], geometry.axes, bias)

    def decompose(self, kernel: Array, thorough: bool) -> dict[str, Array]:
        """HOSVD, with sweeps of HOOI where thorough; `tensorly`."""
        exact = self.ranks == useful(
            self.largest(self.geometry), math.prod(kernel.shape[1 + len(self.ranks) :])
        )
        sweeps = SWEEPS if thorough and not exact else 0
        groups = []
        for group in kernel:
            modes = range(len(self.ranks))
            core, found = decomposition.tucker(group, self.ranks, modes, sweeps)
            taps = {f"factor_{axis}": factor for axis, factor in enumerate(found[2:])}
            groups.append({"factor_out": found[0], "core": core, "factor_in": found[1].T, **taps})
        return stacked(groups)


class FullTucker(Tucker):
    """Tucker over all modes: the core of Tucker-2 is itself a core times `(k, s)` factors along the taps' axes."""

    name = "tucker-full"

    @classmethod
    def largest(cls, geometry: Geometry) -> Ranks:
        """The sizes of all modes."""
        return geometry.grouped[1:]

    @classmethod
    def steps(cls, geometry: Geometry, lanes: int) -> Sequence[Ranks]:
        """All ranks at one share of the modes' sizes, those of the taps rounded up."""
        most = max(geometry.grouped[1:3])
        return [
            (*ranks, *(-(-size * max(ranks) // most) for size in geometry.kernel))
            for ranks in super().steps(geometry, lanes)
        ]

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Factors of all modes, and the core."""
        shapes, groups = super().shapes(), self.geometry.groups
        shapes["core"] = (groups, *self.ranks)
        for axis, size in enumerate(self.geometry.kernel):
            shapes[f"factor_{axis}"] = (groups, size, self.ranks[2 + axis])
        return shapes

    def core(self, factors: Factors) -> Tensor:
        """The core times the factors of the taps' axes."""
        core = factors["core"]
        for axis in range(self.geometry.axes):
            moved = core.movedim(3 + axis, -1).flatten(1, -2)
            made = moved @ factors[f"factor_{axis}"].transpose(1, 2)
            rest = [size for place, size in enumerate(core.shape[1:], 1) if place != 3 + axis]
            core = made.view(core.shape[0], *rest, -1).movedim(-1, 3 + axis)
        return core
