"""Which latents of a unit are coded together: blocks, and how latents are spread over the units of a signal."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from neuralcodec.entropy.relative import Blocks
from neuralcodec.entropy.relative.blocks import parameter_order


@dataclass(frozen=True, eq=False)
class Partition:
    """Blocks of the units of one level.

    A *row* holds as many latents as a unit and is cut into blocks. In a signal of many units, column j of the rows is
    column j of the units in a random order of its own, so that every row has its share of the units that take many bits
    (RECOMBINER, arXiv:2309.17182, section 4).

    Attributes
    ----------
    sizes
        Latents of each block.
    seed
        Of the orders.
    level
        0 for patches, 1 for groups, 2 for signals.
    """

    sizes: NDArray[np.int64]
    seed: int
    level: int

    @property
    def latents(self) -> int:
        """Latents of a row."""
        return int(self.sizes.sum())

    @property
    def blocks(self) -> int:
        """Blocks of a row."""
        return len(self.sizes)

    def block_of(self) -> NDArray[np.int64]:
        """Return the block of each latent of a row, (latents,)."""
        one = self._row()
        block = np.empty(len(one.members), np.int64)
        block[one.members] = np.repeat(np.arange(len(one)), one.sizes)
        return block

    def rows(self, units: int) -> NDArray[np.int64]:
        """Return the unit that each place of the rows holds a latent of, (units, latents).

        >>> Partition(np.array([2, 1]), 7, 0).rows(3)
        array([[1, 1, 1],
               [2, 0, 2],
               [0, 2, 0]])
        """
        return _columns(self.latents, units, self.seed + (self.level << 56))

    def of_rows(self, rows: NDArray[np.int64], blocks: NDArray[np.int64], units: int) -> Blocks:
        """Return blocks of an array of rows, (rows, latents), flattened.

        Equal rows of different signals have the same candidates, rows of one signal have not.

        Parameters
        ----------
        rows, blocks
            Row and number of each block that is wanted.
        units
            Rows of a signal.
        """
        one = self._row()
        taken = one.take(blocks)
        numbers = rows % units * self.blocks + blocks
        members = taken.members + np.repeat(rows * self.latents, taken.sizes)
        return Blocks(members, taken.starts, (numbers + (self.level << 30)).astype(np.uint32))

    def _row(self) -> Blocks:
        return Blocks.from_sizes(self.sizes, seed=self.seed)


@lru_cache(maxsize=16)
def _columns(latents: int, units: int, seed: int) -> NDArray[np.int64]:
    if units == 1:
        return np.zeros((1, latents), np.int64)
    # One order of all pairs, then a stable sort by column: each column has its units in a random order.
    order = parameter_order(latents * units, seed)
    columns = order % latents
    place = np.argsort(columns, kind="stable")
    rows = np.ascontiguousarray((order[place] // latents).reshape(latents, units).T)
    rows.flags.writeable = False
    return rows
