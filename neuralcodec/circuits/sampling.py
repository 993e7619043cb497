"""Exact ancestral sampling from latent-tree circuits, of whole signals and of what is missing in them."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuralcodec.circuits.messages import BATCH_FLOATS, FloatArray, Messages, Network, evidence, upward
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
    values = np.zeros((n, structure.variables), np.uint16)
    _Descent(structure, parameters.validate(structure), n, seed).fill(values, 0)
    return values


def conditional_sample(
    structure: TreeStructure, parameters: Parameters, x: ArrayLike, missing: ArrayLike, count: int, seed: int
) -> NDArray[np.uint16]:
    """Draw what is missing of each signal `count` times, independently, from its distribution given the rest.

    A signal of which everything is missing is drawn as `sample` draws it. Weights are sums in float64: on another
    machine a rounding may, very rarely, tip a draw.

    Args:
        x: (n, *shape) or (n, D) integers.
        missing: bool, of one signal or of all (see `messages.evidence`).

    Returns:
        (n, count, D) uint16 values, those of `x` where they are not missing.

    Raises:
        InvalidModel: if the parameters are not distributions.
        UnsupportedInput: if the signals do not fit the structure.

    >>> s = TreeStructure((2,), np.dtype(np.uint8), [-1, 0], [0, 1], [2, 2], [2, 2], [0, 0], ())
    >>> none, same = np.zeros(0), np.eye(2).ravel()
    >>> p = Parameters(np.array([0.5, 0.5]), same, none, np.tile(same, 2), none)
    >>> conditional_sample(s, p, [[1, 0]], [False, True], count=2, seed=1).tolist()
    [[[1, 1], [1, 1]]]
    """
    network = Network(structure, parameters)
    known, absent = evidence(structure, x, missing)
    descent = _Descent(structure, parameters, len(known) * count, seed)
    result = np.repeat(known[:, None, :], count, axis=1)
    flat = result.reshape(-1, structure.variables)
    part = max(1, BATCH_FLOATS // int(structure.states.sum(dtype=np.int64)))
    for rows in network.batches(len(known)):
        given = _Given(network, known[rows], absent[rows])
        stop = rows.stop * count
        for first in range(rows.start * count, stop, part):
            draws = flat[first : min(first + part, stop)]
            descent.fill(draws, first, given, (first + np.arange(len(draws))) // count - rows.start)
    return result


class _Given:
    """What is known of a batch of signals: their messages, what is missing, and the nodes that these concern."""

    def __init__(self, network: Network, x: NDArray[np.uint16], missing: NDArray[np.bool_]) -> None:
        self.missing = missing
        self.messages: Messages = upward(network, x, missing)
        self.informed = network.nodes_above(~missing)
        self.wanted = network.nodes_above(missing)


class _Descent:
    """Draws of n signals; the numbers that a signal takes do not depend on those drawn along with it."""

    def __init__(self, structure: TreeStructure, parameters: Parameters, n: int, seed: int) -> None:
        self._structure, self._parameters = structure, parameters
        self._n, self._rng, self._position = n, np.random.PCG64(seed), 0
        self._bases = [_keys(parameters.basis_of(structure, b)) for b in range(len(structure.basis_size))]

    def fill(
        self,
        values: NDArray[np.uint16],
        first: int,
        given: _Given | None = None,
        signal: NDArray[np.int64] | None = None,
    ) -> None:
        """Draw the (m, D) values of the draws from number `first` on, those of the given signals being known."""
        structure, turn, m = self._structure, 0, len(values)
        parents, kinds = structure.parent.tolist(), structure.emission.tolist()
        state = [np.zeros(0, np.uint16)] * structure.nodes
        for node, (parent, kind) in enumerate(zip(parents, kinds, strict=True)):
            if given is None or given.wanted[node]:
                above = state[parent] if parent >= 0 else np.zeros(m, np.uint16)
                total = None
                if given is not None and given.informed[node]:
                    total = given.messages.total[node][signal]
                state[node] = self._state(node, above, total, self._uniform(turn, first, m))
            variable = structure.variable[node]
            if kind >= 0 and (given is None or given.missing[:, variable].any()):
                drawn = self._value(node, state[node], turn + 1, first)
                holes = True if given is None else given.missing[signal, variable]
                np.copyto(values[:, variable], drawn, where=holes)
            turn += 1 + (kind >= 0) + (kind > 0)

    def _state(
        self, node: int, above: NDArray[np.uint16], total: FloatArray | None, uniform: FloatArray
    ) -> NDArray[np.uint16]:
        p = self._parameters
        rows = p.transition_of(self._structure, node) if node else p.root[None, :]
        if total is None:
            return _invert(_keys(rows), above, uniform)
        return _invert_rows(rows[above] * np.exp(total - total.max(axis=1, keepdims=True)), uniform)

    def _value(self, node: int, state: NDArray[np.uint16], turn: int, first: int) -> NDArray[np.uint16]:
        structure, kind = self._structure, int(self._structure.emission[node])
        uniform = self._uniform(turn, first, len(state))
        if kind == 0:
            return _invert(_keys(self._parameters.free_of(structure, node)), state, uniform)
        index = _invert(_keys(self._parameters.weight_of(structure, node)), state, uniform)
        return _invert(self._bases[kind - 1], index, self._uniform(turn + 1, first, len(state)))

    def _uniform(self, turn: int, first: int, m: int) -> FloatArray:
        """Return the numbers of one turn: the generator gives each of the n draws one before the next turn."""
        start = turn * self._n + first
        self._rng.advance((start - self._position) % (1 << 128))
        self._position = start + m
        # Raw outputs: numpy promises never to change them, unlike those of Generator's methods.
        return (self._rng.random_raw(m) >> np.uint64(64 - UNIFORM_BITS)) / (1 << UNIFORM_BITS)


def _keys(rows: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return cumulative probabilities plus the number of the row, so that one search serves all rows.

    They are rounded to multiples of 2^-40, on which sums with row numbers below 4,096 are exact.
    """
    cumulative = np.cumsum(rows, axis=1, dtype=np.float64)
    cumulative /= cumulative[:, -1:]
    steps = np.rint(cumulative * (1 << UNIFORM_BITS)) / (1 << UNIFORM_BITS)
    keys: NDArray[np.float64] = steps + np.arange(len(rows))[:, None]
    return keys


def _invert(keys: FloatArray, row: NDArray[np.uint16], uniform: FloatArray) -> NDArray[np.uint16]:
    """Draw one column for each entry of `row`, by inversion. An entry of probability 0 is never drawn."""
    place = np.searchsorted(keys.reshape(-1), row + uniform, side="right")
    drawn: NDArray[np.uint16] = (place - row.astype(np.int64) * keys.shape[1]).astype(np.uint16)
    return drawn


def _invert_rows(weights: FloatArray, uniform: FloatArray) -> NDArray[np.uint16]:
    """Draw one column of each row of weights, by inversion. A weight of 0 is never drawn."""
    cumulative = np.cumsum(weights, axis=1, dtype=np.float64)
    target = uniform * cumulative[:, -1]  # less than the last: a uniform number is at most 1 - 2^-40
    drawn: NDArray[np.uint16] = (cumulative <= target[:, None]).sum(axis=1).astype(np.uint16)
    return drawn
