"""A data set: images in order, with what was left out and where they came from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from neuralcodec.errors import UnsupportedInput
from neuralcodec.evaluation.data.images import Item


@dataclass(frozen=True)
class Dataset:
    """Images to measure codecs on.

    Attributes
    ----------
    name
        What figures call it.
    spec
        What the user wrote to name it.
    items
        The images, in order.
    skipped
        What was left out, each with its reason.
    source
        Where the images came from, in words.
    folder
        Where they are on this machine.
    limit, seed
        How many images were asked for, and the seed by which they were drawn; None and 0 for the whole set.
    """

    name: str
    spec: str
    items: Sequence[Item]
    skipped: Sequence[str]
    source: str
    folder: str = ""
    limit: int | None = None
    seed: int = 0

    def drawn(self, limit: int | None, seed: int) -> "Dataset":
        """Return a subset, or the data set itself without a limit."""
        if limit is None:
            return self
        order = sorted(draw(len(self.items), seed)[: checked_limit(limit)])
        return replace(self, items=[self.items[number] for number in order], limit=limit, seed=seed)


def checked_limit(limit: int) -> int:
    """Return a limit that is at least one image; :class:`UnsupportedInput` for others."""
    if limit < 1:
        raise UnsupportedInput(f"a limit of {limit} images leaves nothing to measure: ask for 1 or more")
    return limit


def draw(count: int, seed: int) -> list[int]:
    """Return the order in which images are drawn: a permutation by NumPy's generator of a seed.

    >>> draw(5, seed=0) == draw(5, seed=0), sorted(draw(5, seed=1))
    (True, [0, 1, 2, 3, 4])
    """
    if seed < 0:
        raise UnsupportedInput(f"the seed {seed} is negative: seeds are 0 or more")
    return [int(number) for number in np.random.default_rng(seed).permutation(count)]
