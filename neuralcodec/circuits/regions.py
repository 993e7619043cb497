"""What the units of a circuit are over: the tree of regions, found from the arrays and checked.

All units over one set of samples are a region. The circuit is structured-decomposable if the products of a
region all split it alike (Pipatsrisawat and Darwiche, New compilation languages based on structured
decomposability, AAAI 2008): the regions then form a tree, the vtree. Sums keep to their region, so that it
has levels: products and leaves lie on level 0, a sum one above the highest of its inputs.
"""

from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from neuralcodec.circuits.arrays import LEAF, PRODUCT, SUM, CircuitArrays
from neuralcodec.errors import InvalidModel

Units = NDArray[np.int64]
Block = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Regions:
    """The regions of a circuit of U units, numbered so that the parts of a region come before it.

    Attributes:
        child: (E,) inputs of units, with products of one input replaced by that input.
        root: the root, likewise.
        blocks: (start, stop) of runs of units in which none is an input of another.
        region: (U,) region of each unit.
        level: (U,) level of each unit in its region.
        parts: the regions that the products of a region split it into, in the order of the first product; ()
            for the region of one variable.
        parent: the region that a region is a part of, -1 for the root's.
        variable: the variable of a region without parts, -1 for others.
        members: the units of each region, ascending; products of one input are left out.
    """

    child: Units
    root: int
    blocks: list[Block]
    region: Units
    level: Units
    parts: list[tuple[int, ...]]
    parent: list[int]
    variable: list[int]
    members: list[Units]


def find_regions(arrays: CircuitArrays) -> Regions:
    """Find the regions of a circuit.

    Raises:
        InvalidModel: an array alone is wrong, the root does not reach a unit, or the circuit is not smooth,
            decomposable and structured, naming the units; or the vtree given is another.

    >>> coin = CircuitArrays([0, 2], [0, 0, 1], [0], [1.0], [0, -1], [0, -1], [0, 2], [0.5, 0.5], root=1)
    >>> found = find_regions(coin)
    >>> found.parts, found.variable, found.level.tolist()
    ([()], [0], [0, 1])
    """
    arrays.validate()
    alias = _aliases(arrays)
    child, root = alias[arrays.child], int(alias[arrays.root])
    blocks = _blocks(arrays.indptr, child)
    _check_connected(arrays, child, root, alias)
    search = _Search(arrays, child, blocks)
    for block in blocks:
        search.visit(block)
    search.check_samples(root)
    kept = alias == np.arange(arrays.units)
    order = np.argsort(np.where(kept, search.region, -1), kind="stable")[np.count_nonzero(~kept) :]
    sizes = np.bincount(search.region[order], minlength=len(search.parts))
    found = Regions(
        child, root, blocks, search.region, search.level, search.parts, search.parent, search.variable,
        np.split(order, np.cumsum(sizes)[:-1]),
    )  # fmt: skip
    _check_vtree(arrays, found)
    return found


def _aliases(arrays: CircuitArrays) -> Units:
    """Return the unit that each unit stands for: a product of one input is that input."""
    alias = np.arange(arrays.units)
    single = np.flatnonzero((arrays.kind == PRODUCT) & (np.diff(arrays.indptr) == 1))
    alias[single] = arrays.child[arrays.indptr[single]]
    while (alias[alias] != alias).any():
        alias = alias[alias]
    return alias


def _blocks(indptr: Units, child: Units) -> list[Block]:
    """Cut the units into runs in which none is an input of another; numpy then takes a run at a time."""
    newest = np.full(len(indptr) - 1, -1)
    inner = np.flatnonzero(np.diff(indptr))
    if inner.size:
        newest[inner] = np.maximum.reduceat(child, indptr[inner])
    starts = [0]
    for unit, last in enumerate(newest.tolist()):
        if last >= starts[-1]:
            starts.append(unit)
    return list(zip(starts, [*starts[1:], len(newest)], strict=True))


def _check_connected(arrays: CircuitArrays, child: Units, root: int, alias: Units) -> None:
    owner = np.repeat(np.arange(arrays.units), np.diff(arrays.indptr))
    # A product of one input is no longer an input of anything: it counts as reached, its edge does not.
    reached = alias != np.arange(arrays.units)
    edges = ~reached[owner]
    reached[root] = True
    reached[child[edges]] = True
    # Units that are inputs of no unit are the only places where a part without the root can end.
    if not reached.all():
        unit = int(np.flatnonzero(~reached)[-1])
        raise InvalidModel(f"unit {unit}: the root, unit {arrays.root}, does not reach it")


class _Search:
    """Finds regions from the leaves up."""

    def __init__(self, arrays: CircuitArrays, child: Units, blocks: list[Block]) -> None:
        self.arrays, self.child, self.blocks = arrays, child, blocks
        self.region: Units = np.full(arrays.units, -1)
        self.level: Units = np.zeros(arrays.units, np.int64)
        self.parts: list[tuple[int, ...]] = []
        self.parent: list[int] = []
        self.variable: list[int] = []
        self._first: list[int] = []  # a unit of each region, for messages
        self._of_variable: dict[int, int] = {}
        self._of_parts: dict[tuple[int, ...], int] = {}

    def visit(self, block: Block) -> None:
        """Find the regions and levels of the units of a block."""
        units = np.arange(*block)
        kind, inputs = self.arrays.kind[units], np.diff(self.arrays.indptr[block[0] : block[1] + 1])
        self._leaves(units[kind == LEAF])
        self._sums(units[(kind == SUM) | ((kind == PRODUCT) & (inputs == 1))])
        for count in np.unique(inputs[(kind == PRODUCT) & (inputs > 1)]).tolist():
            self._products(units[(kind == PRODUCT) & (inputs == count)], count)

    def _leaves(self, units: Units) -> None:
        if not units.size:
            return
        variables, first, which = np.unique(
            self.arrays.variable[units], return_index=True, return_inverse=True
        )
        regions = []
        for variable, unit in zip(variables.tolist(), units[first].tolist(), strict=True):
            if variable not in self._of_variable:
                self._of_variable[variable] = self._add((), variable, unit)
            regions.append(self._of_variable[variable])
        self.region[units] = np.array(regions)[which]

    def _sums(self, units: Units) -> None:
        """A sum has the region of its inputs, and lies a level above them; a product of one input stays there."""
        if not units.size:
            return
        edges, starts = edges_of(self.arrays.indptr, units)
        regions, levels = self.region[self.child[edges]], self.level[self.child[edges]]
        low, high = np.minimum.reduceat(regions, starts), np.maximum.reduceat(regions, starts)
        wrong = np.flatnonzero(low != high)
        if wrong.size:
            self._refuse_sum(int(units[wrong[0]]))
        self.region[units] = low
        self.level[units] = np.maximum.reduceat(levels, starts) + (self.arrays.kind[units] == SUM)

    def _products(self, units: Units, count: int) -> None:
        edges, _ = edges_of(self.arrays.indptr, units)
        regions = self.region[self.child[edges]].reshape(-1, count)
        ordered = np.sort(regions, axis=1)
        same = np.flatnonzero((ordered[:, 1:] == ordered[:, :-1]).any(axis=1))
        if same.size:
            found = ordered[same[0]]
            twice = int(found[1:][found[1:] == found[:-1]][0])
            self._refuse_product(int(units[same[0]]), self._samples(twice)[0])
        keys, first, which = np.unique(ordered, axis=0, return_index=True, return_inverse=True)
        numbers = np.zeros(len(keys), np.int64)
        for place in np.argsort(first).tolist():
            key, unit = tuple(keys[place].tolist()), int(units[first[place]])
            if key not in self._of_parts:
                self._of_parts[key] = self._add(tuple(regions[first[place]].tolist()), -1, unit)
            numbers[place] = self._of_parts[key]
        self.region[units] = numbers[which.reshape(-1)]

    def _add(self, parts: tuple[int, ...], variable: int, unit: int) -> int:
        """Add a region; no other may have a part of it."""
        number = len(self.parts)
        self.parts.append(parts)
        self.parent.append(-1)
        self.variable.append(variable)
        self._first.append(unit)
        for part in parts:
            if self.parent[part] >= 0:
                self._refuse_part(part, self.parent[part], number)
            self.parent[part] = number
        return number

    def check_samples(self, root: int) -> None:
        """Raise unless the root is over samples 0 to D - 1."""
        samples = self._samples(int(self.region[root]))
        missing = next((place for place, sample in enumerate(samples) if place != sample), None)
        if missing is not None:
            raise InvalidModel(f"no leaf is over sample {missing}, but one is over sample {samples[-1]}")

    def _samples(self, region: int) -> list[int]:
        """Return the samples of a region, ascending."""
        samples, stack = set(), [region]
        while stack:
            one = stack.pop()
            stack += self.parts[one]
            if not self.parts[one]:
                samples.add(self.variable[one])
        return sorted(samples)

    def _inputs(self, unit: int) -> Units:
        return self.arrays.child[self.arrays.indptr[unit] : self.arrays.indptr[unit + 1]]

    def _refuse_sum(self, unit: int) -> NoReturn:
        inputs = self._inputs(unit)
        regions = self.region[inputs]
        other = int(np.flatnonzero(regions != regions[0])[0])
        first, second = self._samples(int(regions[0])), self._samples(int(regions[other]))
        if first == second:
            raise InvalidModel(
                f"unit {unit}: its inputs {inputs[0]} and {inputs[other]} split the same samples differently: "
                "the circuit is not structured-decomposable"
            )
        odd = min(set(first) ^ set(second))
        raise InvalidModel(
            f"unit {unit}: of its inputs {inputs[0]} and {inputs[other]} only one is over sample {odd}: "
            "the sum is not smooth"
        )

    def _refuse_product(self, unit: int, sample: int) -> NoReturn:
        over = [int(one) for one in self._inputs(unit) if sample in self._samples(int(self.region[one]))]
        raise InvalidModel(
            f"unit {unit}: its inputs {over[0]} and {over[1]} are both over sample {sample}: "
            "the product is not decomposable"
        )

    def _refuse_part(self, part: int, one: int, other: int) -> NoReturn:
        """A region is part of two: some product has a sample twice, or two products split differently."""
        sample = self._samples(part)[0]
        holds = [0] * len(self.parts)
        for region, parts in enumerate(self.parts):
            holds[region] = sum(holds[inner] for inner in parts) if parts else self.variable[region] == sample
            if holds[region] > 1:
                self._refuse_product(self._first[region], sample)
        raise InvalidModel(
            f"units {self._first[one]} and {self._first[other]}: they share the part that is over sample {sample}, "
            "but not the others: the circuit is not structured-decomposable"
        )


def edges_of(indptr: Units, units: Units) -> tuple[Units, Units]:
    """Return the edges of some units, unit after unit, and where each unit's start among them.

    >>> edges_of(np.array([0, 2, 5, 6]), np.array([2, 0]))
    (array([5, 0, 1]), array([0, 1]))
    """
    counts = indptr[units + 1] - indptr[units]
    starts = np.cumsum(counts) - counts
    return np.repeat(indptr[units] - starts, counts) + np.arange(int(counts.sum())), starts


def _check_vtree(arrays: CircuitArrays, found: Regions) -> None:
    """Raise unless the regions and the vtree that were given, if any, are those found."""
    if arrays.region is None or arrays.vtree is None:
        return
    wrong = np.flatnonzero((arrays.region < 0) | (arrays.region >= len(arrays.vtree)))
    if wrong.size:
        unit = int(wrong[0])
        raise InvalidModel(f"unit {unit}: its region is {arrays.region[unit]} of {len(arrays.vtree)}")
    given = np.full(len(found.parts), -1)
    given[found.region] = arrays.region
    other = np.flatnonzero(arrays.region != given[found.region])
    if other.size:
        unit = int(other[0])
        raise InvalidModel(
            f"unit {unit}: its region is {arrays.region[unit]}, but units over the same samples are in region "
            f"{given[found.region[unit]]}"
        )
    first: dict[int, int] = {}
    for region, number in enumerate(given.tolist()):
        if first.setdefault(number, region) != region:
            units = [int(found.members[one][0]) for one in (first[number], region)]
            raise InvalidModel(
                f"units {units[0]} and {units[1]} are over other samples, but both in region {number}"
            )
    for region, parent in enumerate(found.parent):
        expected = -1 if parent < 0 else int(given[parent])
        if arrays.vtree[given[region]] != expected:
            raise InvalidModel(
                f"region {given[region]}: its parent in the vtree is {arrays.vtree[given[region]]}, but in the "
                f"circuit {expected}"
            )
