"""Exact ancestral sampling from latent-tree circuits."""

import numpy as np
from numpy.typing import NDArray

from neuralcodec.circuits.parameters import Parameters
from neuralcodec.circuits.structure import TreeStructure

UNIFORM_BITS = 40


def sample(structure: TreeStructure, parameters: Parameters, n: int, seed: int) -> NDArray[np.uint16]:
    """Draw n independent samples: each node's state given its parent's, then its value given its state.

    The numbers are raw PCG64 outputs in node order, so a seed gives the same samples everywhere.

    Returns:
        (n, D) uint16 values.

    Raises:
        InvalidModel: if the parameters are not distributions.

    >>> s = TreeStructure((2,), np.dtype(np.uint8), [-1, 0], [0, 1], [2, 2], [2, 2], [0, 0], ())
    >>> none, same = np.zeros(0), np.eye(2).ravel()
    >>> p = Parameters(np.array([0.5, 0.5]), same, none, np.tile(same, 2), none)
    >>> x = sample(s, p, 100, seed=1)
    >>> bool((x[:, 0] == x[:, 1]).all())
    True
    """
    parameters.validate(structure)
    rng = np.random.PCG64(seed)
    bases = [_keys(parameters.basis_of(structure, basis)) for basis in range(len(structure.basis_size))]
    values = np.zeros((n, structure.variables), np.uint16)
    state: list[NDArray[np.uint16]] = []
    for node, parent in enumerate(structure.parent.tolist()):
        if parent < 0:
            state.append(_draw(_keys(parameters.root[None, :]), np.zeros(n, np.uint16), rng))
        else:
            state.append(_draw(_keys(parameters.transition_of(structure, node)), state[parent], rng))
        kind = int(structure.emission[node])
        if kind == 0:
            drawn = _draw(_keys(parameters.free_of(structure, node)), state[node], rng)
        elif kind > 0:
            index = _draw(_keys(parameters.weight_of(structure, node)), state[node], rng)
            drawn = _draw(bases[kind - 1], index, rng)
        else:
            continue
        values[:, structure.variable[node]] = drawn
    return values


def _keys(rows: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return cumulative probabilities plus the number of the row, so that one search serves all rows.

    They are rounded to multiples of 2^-40, on which sums with row numbers below 4,096 are exact.
    """
    cumulative = np.cumsum(rows, axis=1, dtype=np.float64)
    cumulative /= cumulative[:, -1:]
    steps = np.rint(cumulative * (1 << UNIFORM_BITS)) / (1 << UNIFORM_BITS)
    keys: NDArray[np.float64] = steps + np.arange(len(rows))[:, None]
    return keys


def _draw(keys: NDArray[np.float64], row: NDArray[np.uint16], rng: np.random.PCG64) -> NDArray[np.uint16]:
    """Draw one column for each entry of `row`, by inversion. An entry of probability 0 is never drawn."""
    # Raw outputs: numpy promises never to change them, unlike those of Generator's methods.
    uniform = (rng.random_raw(len(row)) >> np.uint64(64 - UNIFORM_BITS)) / (1 << UNIFORM_BITS)
    place = np.searchsorted(keys.reshape(-1), row + uniform, side="right")
    drawn: NDArray[np.uint16] = (place - row.astype(np.int64) * keys.shape[1]).astype(np.uint16)
    return drawn
