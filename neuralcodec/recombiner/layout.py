"""Sizes of a neural representation: its sine network, positional encodings, patches and latents."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuralcodec.errors import InvalidModel

HIGHEST_FREQUENCY = 1024.0
MAX_POINTS = 2**16
MAX_WIDTH = 256
MAX_LATENTS = 2**16
_LEVELS = ("patch", "group", "signal")


@dataclass(frozen=True)
class Layout:
    """Structure of a representation (RECOMBINER, arXiv:2309.17182, sections 3 and 4).

    A signal is one patch, or is cut into patches, and the patches into groups. Each patch is a sine network
    ``R^(features + encoding) -> R^channels`` of its coordinates and a positional encoding; its weights are a linear
    map of latents h that the patch, its group and the whole signal add up, and its encodings are upsampled from
    latents z.

    Attributes
    ----------
    grid
        Points of a patch along each of its 1 to 3 dimensions.
    channels
        Values at each point.
    whole
        Whether a signal is one patch; otherwise it is cut into patches, of any number along each dimension.
    group
        Patches of a group along each dimension; all 1 if `whole`.
    hidden
        Widths of the hidden layers.
    features
        Fourier features of the coordinates, a multiple of twice the dimensions.
    latents
        Latents h of each layer, the last included.
    encoding
        Channels of z and of what each upsampling stage makes; the last is the positional encoding's.
    factors
        By how much each stage upsamples, an even number.
    """

    grid: tuple[int, ...]
    channels: int
    whole: bool = True
    group: tuple[int, ...] = ()
    hidden: tuple[int, ...] = (32, 32, 32)
    features: int = 16
    latents: tuple[int, ...] = (384, 384, 384, 99)
    encoding: tuple[int, ...] = (48, 48, 32, 16)
    factors: tuple[int, ...] = (2, 2, 2)

    def __post_init__(self) -> None:
        if not self.group:
            object.__setattr__(self, "group", (1,) * len(self.grid))
        d, zoom = len(self.grid), math.prod(self.factors)
        if not 1 <= d <= 3:
            raise InvalidModel(f"a representation cannot have the grid {self.grid!r}")
        checks = {
            "grid": all(n >= 1 for n in self.grid) and math.prod(self.grid) <= MAX_POINTS,
            "channels": 1 <= self.channels <= 16,
            "group": len(self.group) == d and all(1 <= n <= (1 if self.whole else 64) for n in self.group),
            "hidden": 1 <= len(self.hidden) <= 8 and all(1 <= n <= MAX_WIDTH for n in self.hidden),
            "features": self.features >= 2 * d
            and self.features % (2 * d) == 0
            and self.features <= MAX_WIDTH,
            "latents": len(self.latents) == len(self.hidden) + 1
            and all(1 <= n <= 4096 for n in self.latents),
            "encoding": 1 <= len(self.encoding) == len(self.factors) + 1
            and all(1 <= n <= MAX_WIDTH for n in self.encoding),
            "factors": all(2 <= f <= 8 and f % 2 == 0 for f in self.factors)
            and all(n % zoom == 0 for n in self.grid),
        }
        for name, holds in checks.items():
            if not holds:
                raise InvalidModel(f"a representation cannot have {name} {getattr(self, name)!r}")
        if self.patch_latents > MAX_LATENTS:
            raise InvalidModel(f"a patch of {self.patch_latents} latents is above the limit of {MAX_LATENTS}")

    @property
    def dimensions(self) -> int:
        """Dimensions of a signal without its channels."""
        return len(self.grid)

    @property
    def points(self) -> int:
        """Points of a patch."""
        return math.prod(self.grid)

    @property
    def widths(self) -> tuple[int, ...]:
        """Values that enter each layer of the sine network, and those that leave the last."""
        return (self.features + self.encoding[-1], *self.hidden, self.channels)

    @property
    def layers(self) -> list[int]:
        """Parameters of each layer: out biases, then in x out weights."""
        return [(a + 1) * b for a, b in zip(self.widths, self.widths[1:], strict=False)]

    @property
    def coarse(self) -> tuple[int, ...]:
        """Places of z along each dimension of a patch."""
        zoom = math.prod(self.factors)
        return tuple(n // zoom for n in self.grid)

    @property
    def weight_latents(self) -> int:
        """Latents h of a patch, of a group and of a signal each."""
        return sum(self.latents)

    @property
    def encoding_latents(self) -> int:
        """Latents z of a patch: places times channels."""
        return math.prod(self.coarse) * self.encoding[0]

    @property
    def patch_latents(self) -> int:
        """All latents of a patch: h, then z."""
        return self.weight_latents + self.encoding_latents

    @property
    def levels(self) -> tuple[str, ...]:
        """Units that have latents: the patch alone, or patch, group and signal."""
        return _LEVELS[:1] if self.whole else _LEVELS

    def units(self, counts: tuple[int, ...]) -> list[NDArray[np.int64]]:
        """Return, for each level, the unit of each patch of a signal of so many patches along each dimension.

        >>> Layout((64, 64), 3, whole=False, group=(4, 4)).units((5, 1))[1]
        array([0, 0, 0, 0, 1])
        """
        places = np.indices(counts).reshape(len(counts), -1)
        groups = tuple(-(-n // g) for n, g in zip(counts, self.group, strict=True))
        at = [places[i] // g for i, g in enumerate(self.group)]
        levels = [np.arange(math.prod(counts)), np.ravel_multi_index(at, groups), np.zeros(math.prod(counts))]
        return [level.astype(np.int64) for level in levels[: len(self.levels)]]

    def unit_counts(self, counts: tuple[int, ...]) -> list[int]:
        """Return how many units each level of a signal of so many patches has.

        >>> Layout((64, 64), 3, whole=False, group=(4, 4)).unit_counts((5, 1))
        [5, 2, 1]
        """
        groups = [-(-n // g) for n, g in zip(counts, self.group, strict=True)]
        return [math.prod(counts), math.prod(groups), 1][: len(self.levels)]

    def unit_latents(self, level: int) -> int:
        """Latents of a unit of a level."""
        return self.weight_latents if level else self.patch_latents

    def to_row(self) -> NDArray[np.uint32]:
        """Return the integers that a model file keeps of it."""
        parts = [self.grid, (self.channels, int(self.whole), self.features), self.group]
        parts += [self.hidden, self.latents, self.encoding, self.factors]
        row = [value for part in parts for value in (len(part), *part)]
        return np.array([row], np.uint32)

    @classmethod
    def from_row(cls, row: NDArray[np.unsignedinteger[Any]]) -> "Layout":
        """Read what :meth:`to_row` made; :class:`InvalidModel` if it is something else.

        >>> layout = Layout((32, 32), 3)
        >>> Layout.from_row(layout.to_row()) == layout
        True
        """
        values = iter(row.ravel().tolist())
        grid, scalars, group, hidden, latents, encoding, factors = (_part(values) for _ in range(7))
        if len(scalars) != 3 or not group or scalars[1] > 1 or next(values, None) is not None:
            raise InvalidModel("the layout of the representation is damaged")
        channels, whole, features = scalars
        return cls(grid, channels, bool(whole), group, hidden, features, latents, encoding, factors)


def _part(values: Iterator[int]) -> tuple[int, ...]:
    try:
        length = next(values)
        if length > 64:
            raise InvalidModel("the layout of the representation is damaged")
        return tuple(next(values) for _ in range(length))
    except (StopIteration, RuntimeError):
        raise InvalidModel("the layout of the representation is cut off") from None


def fourier_features(grid: tuple[int, ...], count: int) -> NDArray[np.float32]:
    """Return the Fourier features of cell centres in (-1, 1): float32 of shape (points, count).

    ``cos(pi w x)`` and ``sin(pi w x)`` for each dimension x, with frequencies w from 1 to 1024 in geometric steps.

    >>> fourier_features((2,), 4).round(3) + 0
    array([[ 0.,  1., -1.,  0.],
           [ 0.,  1.,  1.,  0.]], dtype=float32)
    """
    d = len(grid)
    axes = [(2 * np.arange(n) + 1) / n - 1 for n in grid]
    places = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, d)
    frequencies = np.exp(np.linspace(0, math.log(HIGHEST_FREQUENCY), count // (2 * d)))
    angles = np.pi * places[:, :, None] * frequencies
    return (
        np.concatenate([np.cos(angles), np.sin(angles)], axis=-1).reshape(len(places), -1).astype(np.float32)
    )
