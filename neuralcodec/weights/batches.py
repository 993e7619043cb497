"""Tensors that are coded together: which share a record, and what a meter is told of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neuralcodec.weights.coder import FILE_STEP, Bytes, Coded
from neuralcodec.weights.tensors import BLOCK, TensorSpec
from neuralcodec.weights.weighing import Meter, as_reals

UNLIMITED = 1 << 62


@dataclass(frozen=True)
class Group:
    """Tensors of a record: the number of the first, all of them, and how many elements of each are looked at."""

    first: int
    specs: Sequence[TensorSpec]
    limit: int = UNLIMITED


def grouped(specs: Sequence[TensorSpec]) -> list[Group]:
    """Return the tensors of each record: a large one alone, small ones until they are a block together.

    >>> from neuralcodec.weights.dtypes import BY_NAME
    >>> sizes = [10, 70_000, 20, 40_000, 40_000, 5]
    >>> [len(group.specs) for group in grouped([TensorSpec(str(n), BY_NAME["F32"], (n,)) for n in sizes])]
    [1, 1, 3, 1]
    """
    groups: list[Group] = []
    first, held = 0, 0
    for number, spec in enumerate(specs):
        large = spec.count > BLOCK
        if number > first and (large or held >= BLOCK):
            groups.append(Group(first, specs[first:number]))
            first, held = number, 0
        held += spec.count if not large else BLOCK
    if first < len(specs):
        groups.append(Group(first, specs[first:]))
    return groups


@dataclass(frozen=True)
class Batch:
    """A group, how its tensors are to be coded, and their bytes."""

    group: Group
    aims: Sequence[int]
    data: Sequence[Bytes]

    @property
    def count(self) -> int:
        """Number of elements that have levels of the file's step, or of one that follows from it."""
        return sum(
            min(spec.count, self.group.limit)
            for spec, aim in zip(self.group.specs, self.aims, strict=True)
            if aim == FILE_STEP
        )

    def measure(self, coded: Coded | None, meter: Meter, whole: bool = True) -> None:
        """Tell a meter of the tensors: of their power alone if they are not coded; by factors if some are missing."""
        for place, (spec, aim) in enumerate(zip(self.group.specs, self.aims, strict=True)):
            if aim != FILE_STEP:
                continue
            number, data = self.group.first + place, self.data[place]
            if coded is None:
                reals = as_reals(data, spec)
                meter.add_values(number, data, data, float(np.dot(reals, reals)), 0.0)
                continue
            power, noise, decoded = coded.power[place], coded.noise[place], coded.decoded[place]
            if whole:
                meter.add_values(number, data, data if decoded is None else decoded, power, noise)
            else:
                meter.add(number, power, noise)
