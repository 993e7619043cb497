"""Circuits from plain arrays: the levels of the regions become nodes of a latent tree.

The units of one level of a region are the states of one node. Sum weights are transitions to the level
below; a product's choice of an input is a transition of ones. Choices that only rename states are folded away,
so that a product and what it owns become one node again and an exported tree comes back as it was. Sums over
leaves of a shared basis become its weights.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from neuralcodec.circuits.arrays import LEAF, PRODUCT, CircuitArrays
from neuralcodec.circuits.bases import FREE, Bases, find_bases
from neuralcodec.circuits.circuit import Circuit, pack
from neuralcodec.circuits.normalising import scaled_weights
from neuralcodec.circuits.parameters import QuantisationSteps
from neuralcodec.circuits.regions import Regions, Units, edges_of, find_regions
from neuralcodec.circuits.rows import Rows, levels_of, transition
from neuralcodec.circuits.structure import MAX_STATES, TreeStructure
from neuralcodec.errors import InvalidModel


@dataclass(eq=False)
class _Node:
    """A node of the tree in the making.

    Attributes:
        states: number of states.
        incoming: transition from the parent's states, None for the root's.
        variable: the sample owned, -1 for none.
        emission: masses over table rows (free: one of mass 1), or over the rows of the basis.
        basis: which, FREE for none.
    """

    states: int
    incoming: Rows | None = None
    variable: int = -1
    emission: Rows | None = None
    basis: int = FREE
    children: list["_Node"] = field(default_factory=list)


def from_arrays(
    arrays: CircuitArrays,
    shape: Sequence[int] | None = None,
    dtype: DTypeLike | None = None,
    header: Mapping[str, Any] | None = None,
    steps: QuantisationSteps | None = None,
) -> Circuit:
    """Make a circuit of any smooth, structured-decomposable circuit over discrete samples.

    Weights need not be normalised. They are quantised, except rows of perfect squares that are levels already
    (docs/format.md, 7.1): an exported circuit comes back with the same parameters, to the bit.

    Args:
        arrays: the circuit.
        shape: of a signal; None: what the arrays say, else (D,).
        dtype: of a signal; None: what the arrays say, else uint8.
        header: of the model: name, licence, data.
        steps: of the quantiser, None for those of training.

    Raises:
        InvalidModel: the circuit cannot be a model; the message names the unit and the value.

    >>> from neuralcodec.circuits.array_builder import ArrayBuilder
    >>> build = ArrayBuilder()
    >>> a, b = (build.leaves(sample, build.rows([[9, 1], [2, 8]])) for sample in (0, 1))
    >>> root = build.sums(build.products([a, b]), [[1, 3]])
    >>> circuit = from_arrays(build.build(root[0]))
    >>> (2 ** circuit.log2_likelihood(np.array([[1, 1]]))).round(2).tolist()
    [0.48]
    """
    regions = find_regions(arrays)
    samples = sum(variable >= 0 for variable in regions.variable)
    sides = tuple(int(side) for side in shape) if shape is not None else arrays.shape or (samples,)
    if prod(sides) != samples:
        raise InvalidModel(f"the circuit is over {samples} samples, but shape {sides} has {prod(sides)}")
    bases = find_bases(arrays, regions)
    prior, top = _tree(arrays, regions, bases, scaled_weights(arrays, regions))
    nodes, parent = _preorder(top)
    used = sorted({node.basis for node in nodes if node.basis != FREE})
    number = {basis: place + 1 for place, basis in enumerate(used)} | {FREE: 0}
    structure = TreeStructure(
        shape=sides,
        dtype=np.dtype(
            dtype if dtype is not None else arrays.dtype if arrays.dtype is not None else np.uint8
        ),
        parent=_int32(parent),
        variable=_int32([node.variable for node in nodes]),
        states=_int32([node.states for node in nodes]),
        alphabet=_alphabet(arrays, samples),
        emission=_int32([number[node.basis] if node.variable >= 0 else -1 for node in nodes]),
        basis_size=tuple(len(bases.rows[basis]) for basis in used),
        floor=arrays.floor,
    ).validate()
    masses = _masses(arrays, nodes, [bases.rows[basis] for basis in used], number)
    masses["root"] = prior.dense(structure.root_size).reshape(-1)
    return Circuit(*pack(structure, levels_of(structure, masses, steps)), dict(header or {}))


def _masses(
    arrays: CircuitArrays, nodes: list[_Node], bases: list[Units], number: Mapping[int, int]
) -> dict[str, NDArray[np.float64]]:
    """Return the rows of masses of all tables but the root's prior."""
    owners = [(node.emission, number[node.basis]) for node in nodes if node.emission is not None]
    return {
        "transition": _flat(
            transition(node.incoming, node.states) for node in nodes if node.incoming is not None
        ),
        "weight": _flat(rows.dense(len(bases[basis - 1])) for rows, basis in owners if basis),
        "free": _flat(_table(arrays, rows.column) for rows, basis in owners if not basis),
        "basis": _flat(_table(arrays, rows) for rows in bases),
    }


class _Trees:
    """Makes the nodes of regions, from the leaves up."""

    def __init__(
        self, arrays: CircuitArrays, regions: Regions, bases: Bases, weight: NDArray[np.float64]
    ) -> None:
        self.arrays, self.regions, self.bases, self.weight = arrays, regions, bases, weight
        self.tops: list[tuple[_Node, Units]] = []
        inputs = np.diff(arrays.indptr)
        products = np.flatnonzero((arrays.kind == PRODUCT) & (inputs > 1))
        self.chosen = np.zeros(arrays.units, bool)  # units that a product, or the world, takes
        self.chosen[regions.child[edges_of(arrays.indptr, products)[0]]] = True
        self.chosen[regions.root] = True

    def add(self, region: int) -> None:
        """Make the nodes of a region whose parts have theirs: one a level, with those of the parts below."""
        members = self.regions.members[region]
        units = members[self.chosen[members]]
        level = int(self.regions.level[members].max())
        chain = [self._node(units, None)]
        top = units
        while level > 0:
            rows = self._sum_rows(units, level)
            units = np.unique(rows.column)
            rows = Rows(rows.indptr, np.searchsorted(units, rows.column), rows.mass)
            chain.append(self._node(units, rows))
            level -= 1
        if self.regions.parts[region]:
            self._own_parts(chain[-1], region, units)
        else:
            self._own_variable(chain, region, units)
        for above, below in pairwise(chain):
            above.children.append(below)
        self.tops.append((chain[0], top))

    def _node(self, units: Units, incoming: Rows | None) -> _Node:
        if len(units) > MAX_STATES:
            raise InvalidModel(
                f"unit {units[0]}: {len(units)} units lie on its level of its region; the limit is {MAX_STATES}"
            )
        return _Node(len(units), incoming)

    def _sum_rows(self, units: Units, level: int) -> Rows:
        """Return what each unit mixes of the level below; units that lie lower pass through as they are."""
        indptr = self.arrays.indptr
        mixes = self.regions.level[units] == level
        counts = np.where(mixes, indptr[units + 1] - indptr[units], 1)
        offsets = np.concatenate([[0], np.cumsum(counts)])
        column, mass = np.repeat(units, counts), np.ones(int(offsets[-1]))
        edges, _ = edges_of(indptr, units[mixes])
        inside = np.repeat(mixes, counts)
        column[inside], mass[inside] = self.regions.child[edges], self.weight[edges]
        return Rows(offsets, column, mass)

    def _own_variable(self, chain: list[_Node], region: int, units: Units) -> None:
        """Give the last node the sample; over a shared basis, sums of leaves become the weights of theirs."""
        rows, basis = self.bases.number[self.arrays.row[units]], self.bases.of_region[region]
        owner = chain[-1]
        owner.emission = Rows.choice(rows)
        if basis != FREE:
            place = np.searchsorted(self.bases.rows[basis], rows)
            owner.emission = Rows.choice(place)
            if owner.incoming is not None:
                mixed = owner.incoming
                del chain[-1]
                owner = chain[-1]
                owner.emission = Rows(mixed.indptr, place[mixed.column], mixed.mass)
        owner.variable, owner.basis = self.regions.variable[region], basis

    def _own_parts(self, node: _Node, region: int, products: Units) -> None:
        """Hang the parts of a region below its products, or into their node where that only renames states."""
        parts = self.regions.parts[region]
        edges, _ = edges_of(self.arrays.indptr, products)
        inputs = self.regions.child[edges].reshape(len(products), len(parts))
        inputs = np.take_along_axis(inputs, np.argsort(self.regions.region[inputs], axis=1), axis=1)
        place = {part: rank for rank, part in enumerate(sorted(parts))}
        for part in parts:
            top, units = self.tops[part]
            choice = np.searchsorted(units, inputs[:, place[part]])
            # Every unit of a top is chosen by some product, so as many of both means one each.
            if top.states == node.states and (node.variable < 0 or top.variable < 0):
                _absorb(node, top, choice)
            else:
                top.incoming = Rows.choice(choice)
                node.children.append(top)


def _tree(
    arrays: CircuitArrays, regions: Regions, bases: Bases, weight: NDArray[np.float64]
) -> tuple[Rows, _Node]:
    """Return the root's prior and the root."""
    trees = _Trees(arrays, regions, bases, weight)
    for region in range(len(regions.parts)):
        trees.add(region)
    top = trees.tops[int(regions.region[regions.root])][0]
    below = top.children[0] if top.children else None
    if (
        regions.level[regions.root] > 0
        and top.variable < 0
        and below is not None
        and below.incoming is not None
    ):
        prior, below.incoming = below.incoming, None  # the root sum has one state and one node below
        return prior, below
    return Rows.choice(np.zeros(1, np.int64)), top


def _absorb(node: _Node, top: _Node, choice: Units) -> None:
    """Put into a node what hangs below another one, whose states it renames."""
    if top.variable >= 0 and top.emission is not None:
        node.variable, node.basis, node.emission = top.variable, top.basis, top.emission.take(choice)
    for child in top.children:
        if child.incoming is not None:
            child.incoming = child.incoming.take(choice)
        node.children.append(child)


def _preorder(top: _Node) -> tuple[list[_Node], list[int]]:
    """Return the nodes in depth-first preorder, and the parent of each."""
    nodes: list[_Node] = []
    parents: list[int] = []
    stack = [(top, -1)]
    while stack:
        node, parent = stack.pop()
        stack += [(child, len(nodes)) for child in reversed(node.children)]
        nodes.append(node)
        parents.append(parent)
    return nodes, parents


def _int32(values: Sequence[int]) -> NDArray[np.int32]:
    return np.array(values, np.int32)


def _alphabet(arrays: CircuitArrays, samples: int) -> NDArray[np.int32]:
    """Return the number of values of each sample, which all of its leaves must give a weight."""
    leaves = np.flatnonzero(arrays.kind == LEAF)
    width = np.diff(arrays.row_indptr)[arrays.row[leaves]]
    result = np.zeros(samples, np.int64)
    result[arrays.variable[leaves]] = width
    wrong = np.flatnonzero(width != result[arrays.variable[leaves]])
    if wrong.size:
        unit = int(leaves[wrong[0]])
        sample = int(arrays.variable[unit])
        raise InvalidModel(
            f"unit {unit}: its row has {width[wrong[0]]} entries, but another leaf over sample {sample} has "
            f"{result[sample]}"
        )
    return np.minimum(result, 2**31 - 1).astype(np.int32)


def _table(arrays: CircuitArrays, rows: Units) -> NDArray[np.float64]:
    """Return rows of one length, one after the other."""
    return arrays.table[edges_of(arrays.row_indptr, rows)[0]]


def _flat(parts: Iterable[NDArray[np.float64]]) -> NDArray[np.float64]:
    flat = [part.reshape(-1) for part in parts]
    return np.concatenate(flat) if flat else np.zeros(0)
