"""Random circuits whose states, ranks and alphabets lie at the edges of the kernels' 16 lanes."""

import contextlib
import os
from collections.abc import Sequence
from dataclasses import replace
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from neuralcodec.circuits.circuit import Circuit
from neuralcodec.circuits.parameters import Levels
from neuralcodec.circuits.structure import FIELDS, TreeStructure
from neuralcodec.errors import NeuralCodecError
from neuralcodec.native import simd

EDGES = (1, 2, 15, 16, 17, 31, 32, 33, 40)
MAX_SUM = 2**24 - 1


def random_levels(rng: np.random.Generator, widths: NDArray[np.int64], zeros: float) -> NDArray[np.uint16]:
    """Return rows of levels of the given widths, flat or peaked, a share `zeros` of them 0."""
    rows = []
    for width in widths.tolist():
        cap = min(4095, int(np.sqrt(MAX_SUM // width)))
        row = (cap * rng.random(width) ** rng.choice([0.5, 1, 8])).astype(int)
        row = np.maximum(row, 1) * (rng.random(width) >= zeros)
        row[rng.integers(width)] |= 1
        rows.append(row.astype(np.uint16))
    return np.concatenate(rows) if rows else np.zeros(0, np.uint16)


def random_parents(rng: np.random.Generator, nodes: int, depth: int) -> list[int]:
    """Return the parents of a random tree in preorder; a new node hangs at most `depth` above the last."""
    parent, path = [-1], [0]
    for node in range(1, nodes):
        parent.append(path[int(rng.integers(max(0, len(path) - depth), len(path)))])
        path = [*path[: path.index(parent[-1]) + 1], node]
    return parent


def edge_circuit(
    rng: np.random.Generator,
    variables: int = 6,
    silent: int = 2,
    *,
    states: Sequence[int] = EDGES,
    ranks: Sequence[int] = EDGES,
    alphabets: Sequence[int] = (1, 2, 3, 16, 17, 256),
    zeros: float = 0.3,
    pruned: float = 0.0,
    dtype: str = "uint16",
) -> Circuit:
    """Return a circuit of `variables + silent` nodes; half of the emissions are free, half share a basis.

    A share `pruned` of the blocks of transitions is left out.
    """
    nodes = variables + silent
    variable = rng.permutation(np.r_[np.arange(variables), np.full(silent, -1)])
    alphabet = rng.choice(alphabets, variables)
    emission = np.full(nodes, -1)
    bases: dict[int, int] = {}
    for node in np.flatnonzero(variable >= 0):
        width = int(alphabet[variable[node]])
        emission[node] = 0 if rng.random() < 0.5 else bases.setdefault(width, len(bases) + 1)
    structure = TreeStructure(
        shape=(variables,),
        dtype=np.dtype(dtype),
        parent=np.array(random_parents(rng, nodes, 3), np.int32),
        variable=variable.astype(np.int32),
        states=rng.choice(states, nodes).astype(np.int32),
        alphabet=alphabet.astype(np.int32),
        emission=emission.astype(np.int32),
        basis_size=tuple(int(size) for size in rng.choice(ranks, len(bases))),
        floor=int(rng.choice([0, 40])),
    ).validate()
    if pruned:
        structure = with_support(rng, structure, pruned)
    levels = (random_levels(rng, structure.row_widths(field), zeros) for field in FIELDS)
    return Circuit(structure, Levels(*levels).validate(structure), {"name": "edges"})


def with_support(rng: np.random.Generator, structure: TreeStructure, pruned: float) -> TreeStructure:
    """Leave out about a share `pruned` of the blocks of transitions; every row keeps one."""
    blocks = [np.ones(0, np.bool_)]
    for node in range(1, structure.nodes):
        stored = rng.random(structure.support_of(node).shape) >= pruned
        stored[np.arange(len(stored)), rng.integers(0, stored.shape[1], len(stored))] = True
        blocks.append(stored.reshape(-1))
    return replace(structure, support=np.concatenate(blocks)).validate()


def random_samples(rng: np.random.Generator, circuit: Circuit, n: int) -> NDArray[np.uint16]:
    """Return (n, D) samples: a third even over the alphabets, a third nearly constant, a third nearly alike."""
    alphabet = circuit.structure.alphabet
    x = rng.integers(0, alphabet, (n, len(alphabet)))
    models = rng.integers(0, alphabet, (3, len(alphabet)))[rng.integers(0, 3, n)]
    changed = rng.random(x.shape) < 0.1
    x[::3] = np.where(changed, x, 0)[::3]
    x[1::3] = np.where(changed, x, models)[1::3]
    return x.astype(np.uint16)


def subnormal_circuit() -> Circuit:
    """Return a chain of 9 bits of two states that never change, each sure of its own bit.

    Every bit against a state costs it a factor of 2^-40, the floor of messages. So after three 0s the state that
    emits 1s stands at about 2^-130, which is subnormal, and the six 1s of :func:`subnormal_samples` bring it back:
    where subnormals are flushed to zero it is lost, and the last bits have other tables.
    """
    size = 9
    structure = TreeStructure(
        shape=(size,),
        dtype=np.dtype(np.uint8),
        parent=np.arange(-1, size - 1, dtype=np.int32),
        variable=np.arange(size, dtype=np.int32),
        states=np.full(size, 2),
        alphabet=np.full(size, 2),
        emission=np.zeros(size, int),
        basis_size=(),
        floor=0,
    ).validate()
    none, same = np.zeros(0, np.uint16), np.eye(2, dtype=np.uint16).ravel()
    levels = Levels(
        np.array([4000, 100], np.uint16), np.tile(same, size - 1), none, np.tile(same, size), none
    )
    return Circuit(structure, levels.validate(structure), {"name": "subnormal"})


def subnormal_samples(n: int = 20) -> NDArray[np.uint16]:
    """Return (n, 9) signals of :func:`subnormal_circuit`, all the same."""
    return np.tile(np.array([0, 0, 0, 1, 1, 1, 1, 1, 1], np.uint16), (n, 1))


def kernel_paths() -> list[str]:
    """Return the instruction sets that this processor has, as NEURALCODEC_SIMD names them."""
    found = []
    for name in ("scalar", "avx2", "avx512", "avx512vnni"):
        with mock.patch.dict(os.environ, NEURALCODEC_SIMD=name), contextlib.suppress(NeuralCodecError):
            found.append(simd())
    return found
