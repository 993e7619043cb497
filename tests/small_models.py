"""Small circuits with random parameters, for tests of what stands on circuits."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuralcodec.circuits.circuit import Circuit
from neuralcodec.circuits.parameters import Levels
from neuralcodec.circuits.structure import TreeStructure


def small_circuit(
    shape: tuple[int, ...] = (4, 3),
    dtype: str = "uint8",
    alphabet: int | ArrayLike = 256,
    states: int = 3,
    seed: int = 0,
    name: str = "small",
) -> Circuit:
    """Return a random tree of one node a sample with free emissions and random levels."""
    rng = np.random.default_rng(seed)
    size = int(np.prod(shape))
    parent, path = [-1], [0]
    for node in range(1, size):
        parent.append(path[rng.integers(max(0, len(path) - 3), len(path))])
        path = [*path[: path.index(parent[-1]) + 1], node]
    structure = TreeStructure(
        shape=shape,
        dtype=np.dtype(dtype),
        parent=np.array(parent, np.int32),
        variable=rng.permutation(size).astype(np.int32),
        states=np.full(size, states, np.int32),
        alphabet=np.broadcast_to(np.asarray(alphabet, np.int32), size).copy(),
        emission=np.zeros(size, np.int32),
        basis_size=(),
    ).validate()
    levels = (rng.integers(1, 60, entries).astype(np.uint16) for entries in structure.sizes.values())
    return Circuit(structure, Levels(*levels), {"name": name})


def random_signals(circuit: Circuit, n: int, seed: int = 0, dtype: str | None = None) -> NDArray:
    """Return n random signals (n, *shape) with values in the circuit's alphabets."""
    structure = circuit.structure
    rng = np.random.default_rng(seed)
    values = rng.integers(0, structure.alphabet, (n, structure.variables))
    return values.reshape(n, *structure.shape).astype(dtype or structure.dtype)
