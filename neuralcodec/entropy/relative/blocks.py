"""Blocks: which parameters are coded together by one index."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuralcodec.entropy.integers import checked_integer, integer_array
from neuralcodec.entropy.relative.generator import FOR_ORDER, philox, seed_key
from neuralcodec.errors import EntropyCodingError

BITS = 16
"""Bits of the KL divergence that a block holds at most, and of the indices, unless told otherwise."""

NUMBER_LIMIT = 1 << 32
SIZE_LIMIT = 1 << 28


@dataclass(frozen=True, eq=False)
class Blocks:
    """Parameters in coding order, cut into blocks.

    Attributes
    ----------
    members
        Shape (m,), int64: the parameters of the blocks, block after block.
    starts
        Shape (blocks + 1,), int64: block j holds ``members[starts[j]:starts[j + 1]]``.
    numbers
        Shape (blocks,), uint32: the number that a block's randomness depends on. Two blocks of one number have
        the same candidates: right for different signals, wasteful within one.

    Raises
    ------
    EntropyCodingError
        For arrays that do not fit each other.
    """

    members: NDArray[np.int64]
    starts: NDArray[np.int64]
    numbers: NDArray[np.uint32]

    def __post_init__(self) -> None:
        members, starts = integer_array("members", self.members, 1), integer_array("starts", self.starts, 1)
        numbers = integer_array("block numbers", self.numbers, 1)
        if len(starts) != len(numbers) + 1 or starts[0] != 0 or starts[-1] != len(members):
            raise EntropyCodingError(
                f"{len(numbers)} blocks of {len(members)} members need {len(numbers) + 1} starts, from 0 to "
                f"{len(members)}"
            )
        if np.any(np.diff(starts) < 1):
            raise EntropyCodingError("a block is empty: starts must ascend")
        if np.any(members < 0) or np.any(numbers < 0) or np.any(numbers >= NUMBER_LIMIT):
            raise EntropyCodingError("members must not be negative, nor block numbers beyond 32 bits")
        for name, array in (("members", members), ("starts", starts), ("numbers", numbers.astype(np.uint32))):
            frozen = np.array(array, order="C")
            frozen.flags.writeable = False
            object.__setattr__(self, name, frozen)

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Parameters of each block: what a model file keeps; see :meth:`from_sizes`."""
        return np.diff(self.starts)

    @classmethod
    def from_sizes(cls, sizes: ArrayLike, *, seed: int) -> "Blocks":
        """Return the blocks of these sizes over the parameters in the order that `seed` gives.

        >>> Blocks.from_sizes([2, 3], seed=1).members
        array([2, 1, 0, 3, 4])
        """
        counts = integer_array("block sizes", sizes, 1)
        if counts.size and not (int(counts.min()) >= 1 and int(counts.max()) <= SIZE_LIMIT):
            raise EntropyCodingError("block sizes must be 1 to 2^28")
        total = checked_integer("the number of parameters", int(counts.sum()), 0, SIZE_LIMIT)
        starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
        return cls(parameter_order(total, seed), starts, np.arange(len(counts), dtype=np.uint32))

    def take(self, positions: ArrayLike) -> "Blocks":
        """Return some of the blocks, with their numbers: what was coded block by block decodes as a whole.

        >>> blocks = Blocks.from_sizes([2, 3], seed=1).take([1])
        >>> blocks.members, blocks.numbers
        (array([0, 3, 4]), array([1], dtype=uint32))
        """
        chosen = integer_array("positions", positions, 1)
        if chosen.size and not (int(chosen.min()) >= 0 and int(chosen.max()) < len(self)):
            raise EntropyCodingError(f"positions must be 0 to {len(self) - 1}")
        sizes = self.sizes[chosen]
        starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
        within = np.arange(starts[-1]) - np.repeat(starts[:-1], sizes)
        return Blocks(
            self.members[np.repeat(self.starts[chosen], sizes) + within], starts, self.numbers[chosen]
        )

    def of_signals(self, positions: ArrayLike, parameters: int) -> "Blocks":
        """Return, for signals whose parameters stand one after the other, one block of each, coded in one call.

        Parameters
        ----------
        positions
            Shape (signals,): the block of each signal.
        parameters
            Parameters of a signal; signal s has those from ``s * parameters`` on.

        >>> Blocks.from_sizes([2, 3], seed=1).of_signals([0, 1], 5).members
        array([2, 1, 5, 8, 9])
        """
        taken = self.take(positions)
        shift = np.arange(len(taken), dtype=np.int64) * parameters
        return Blocks(taken.members + np.repeat(shift, taken.sizes), taken.starts, taken.numbers)


def parameter_order(count: int, seed: int) -> NDArray[np.int64]:
    """Return the permutation of 0 to count - 1 that sorts their 64-bit Philox words (equal ones by number).

    >>> parameter_order(5, seed=1)
    array([2, 1, 0, 3, 4])
    """
    counters = np.zeros((count, 4), dtype=np.uint32)
    counters[:, 0] = np.arange(count)
    counters[:, 3] = FOR_ORDER
    words = philox(seed_key(seed), counters).astype(np.uint64)
    return np.argsort(words[:, 1] << np.uint64(32) | words[:, 0], kind="stable").astype(np.int64)


def build_blocks(kl: ArrayLike, *, budget: float = BITS, seed: int) -> Blocks:
    """Group parameters greedily into blocks of at most `budget` bits.

    The parameters are taken in the order of :func:`parameter_order`; a block ends before the parameter that would
    take it beyond the budget (RECOMBINER, arXiv:2309.17182, section 4; COMBINER's order, arXiv:2305.19185). A
    parameter that alone exceeds the budget makes a block of its own, which is coded with a bias.

    Parameters
    ----------
    kl
        Shape (n,): mean KL divergence of each parameter in bits (:func:`kl_bits`), over training signals.
    budget
        Bits of a block, above 0.
    seed
        Seed of the order, 0 to 2^64 - 1.

    Raises
    ------
    EntropyCodingError
        For divergences that are negative or not finite, and a budget that is not positive.

    >>> build_blocks([6.0, 6.0, 6.0, 1.0, 6.0], seed=1).sizes
    array([2, 3])
    """
    divergence = np.asarray(kl, dtype=np.float64)
    if divergence.ndim != 1 or not np.all((divergence >= 0) & (divergence < np.inf)):
        raise EntropyCodingError("divergences must be a row of finite numbers from 0 up")
    if not budget > 0:
        raise EntropyCodingError(f"the budget must be positive, not {budget}")
    sizes: list[int] = []
    size, held = 0, 0.0
    for bits in divergence[parameter_order(len(divergence), seed)].tolist():
        if size and held + bits > budget:
            sizes.append(size)
            size, held = 0, 0.0
        size, held = size + 1, held + bits
    return Blocks.from_sizes(np.array([*sizes, size] if size else sizes, dtype=np.int64), seed=seed)
