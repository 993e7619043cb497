"""Small random circuits for the tests: silent nodes, mixed states and alphabets, both kinds of emissions."""

import itertools

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from neuralcodec.circuits.parameters import Parameters, normalise
from neuralcodec.circuits.structure import TreeStructure


def random_structure(
    rng: np.random.Generator, variables: int = 4, silent: int = 1, states: int = 3, alphabet: int = 3
) -> TreeStructure:
    """Return a valid structure of `variables + silent` nodes in preorder."""
    nodes = variables + silent
    parent, path = [-1], [0]
    for node in range(1, nodes):
        parent.append(path[rng.integers(len(path))])
        path = [*path[: path.index(parent[-1]) + 1], node]
    variable = rng.permutation(np.r_[np.arange(variables), np.full(silent, -1)])
    alphabets = rng.integers(1, alphabet + 1, variables)
    kinds = np.full(nodes, -1)
    bases: dict[int, int] = {}
    for node in np.flatnonzero(variable >= 0):
        width = int(alphabets[variable[node]])
        kinds[node] = 0 if rng.random() < 0.4 else bases.setdefault(width, len(bases) + 1)
    return TreeStructure(
        shape=(variables,),
        dtype=np.dtype(np.uint8),
        parent=np.array(parent, np.int32),
        variable=variable.astype(np.int32),
        states=rng.integers(1, states + 1, nodes).astype(np.int32),
        alphabet=alphabets.astype(np.int32),
        emission=kinds.astype(np.int32),
        basis_size=tuple(int(size) for size in rng.integers(1, 4, len(bases))),
    ).validate()


def random_parameters(structure: TreeStructure, rng: np.random.Generator, zeros: float = 0.0) -> Parameters:
    """Return float64 parameters; about a share `zeros` of the entries is 0 (a row of zeros is uniform)."""
    arrays = [
        rng.gamma(0.7, size=size) * (rng.random(size) >= zeros) + (0.0 if zeros else 1e-6)
        for size in structure.sizes.values()
    ]
    return normalise(structure, Parameters(*arrays))


def all_values(structure: TreeStructure) -> NDArray[np.int64]:
    """Return every value that a signal of the structure can take."""
    return np.array(list(itertools.product(*(range(size) for size in structure.alphabet))))


seeds = st.integers(0, 2**32 - 1)


@st.composite
def circuits(draw: st.DrawFn, zeros: float = 0.0) -> tuple[TreeStructure, Parameters]:
    rng = np.random.default_rng(draw(seeds))
    structure = random_structure(rng, draw(st.integers(1, 5)), draw(st.integers(0, 3)))
    return structure, random_parameters(structure, rng, zeros)
