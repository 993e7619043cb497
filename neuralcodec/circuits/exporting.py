"""Circuits to plain arrays, so that they can be read elsewhere and come back as they were."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from neuralcodec.circuits.array_builder import ArrayBuilder, Units
from neuralcodec.circuits.arrays import CircuitArrays
from neuralcodec.circuits.circuit import Circuit
from neuralcodec.circuits.regions import find_regions


def to_arrays(circuit: Circuit) -> CircuitArrays:
    """Return a circuit as arrays (docs/import.md) that `from_arrays` reads back with the same levels.

    The states of a node are products of its leaf and, for each child, a sum over the child's states; states
    with one such factor are that factor. Emissions over a shared basis are sums over leaves of its rows. Weights
    and tables are squares of levels, to be read relative to their sums. Silent nodes without a sample below them
    say nothing and are left out: then, and only then, the model that comes back is another one.

    >>> from neuralcodec.circuits.builders import hmm
    >>> from neuralcodec.circuits.parameters import Levels
    >>> chain = hmm(shape=(2,), dtype=np.uint8, alphabet=2, states=2, emission="free")
    >>> levels = Levels(*(np.ones(size, np.uint16) for size in chain.sizes.values()))
    >>> to_arrays(Circuit(chain, levels)).kind.tolist()
    [0, 0, 0, 0, 2, 2, 1, 1, 2]
    """
    structure, levels = circuit.structure, circuit.levels
    levels.validate(structure)
    build = ArrayBuilder(relative=True)
    bases = [build.rows(_square(levels.basis_of(structure, b)), b) for b in range(len(structure.basis_size))]
    states: list[Units | None] = [None] * structure.nodes
    for node in range(structure.nodes - 1, -1, -1):
        factors: list[Units] = []
        variable, kind = int(structure.variable[node]), int(structure.emission[node])
        if kind == 0:
            factors.append(build.leaves(variable, build.rows(_square(levels.free_of(structure, node)), -1)))
        elif kind > 0:
            leaves = build.leaves(variable, bases[kind - 1])
            factors.append(build.sums(leaves, _square(levels.weight_of(structure, node))))
        for child in structure.children[node]:
            below = states[child]
            if below is not None:
                factors.append(build.sums(below, _square(levels.transition_of(structure, child))))
        if factors:
            states[node] = factors[0] if len(factors) == 1 else build.products(factors)
    top = states[0]
    assert top is not None  # a structure has a sample
    root = build.sums(top, _square(levels.root))
    arrays = build.build(int(root[0]), shape=structure.shape, dtype=structure.dtype)
    regions = find_regions(arrays)
    return replace(arrays, region=regions.region, vtree=np.array(regions.parent), floor=structure.floor)


def _square(levels: NDArray[np.uint16]) -> NDArray[np.float64]:
    return np.square(levels.astype(np.float64))
