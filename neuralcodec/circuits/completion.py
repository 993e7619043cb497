"""Most probable completions: of samples and latents together, exactly, and of samples alone, by ascent.

To find the most probable values of the missing samples with the latents summed out (MAP) is NP-hard in trees of
latents (de Campos, New complexity results for MAP in Bayesian networks, IJCAI 2011). With the latents to be found
too (MPE), max-product finds it in one walk.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuralcodec.circuits.messages import (
    TINY,
    FloatArray,
    Mask,
    Messages,
    Network,
    Samples,
    evidence,
    local,
    log_product,
    normalised,
    upward,
)
from neuralcodec.circuits.parameters import Parameters
from neuralcodec.circuits.structure import TreeStructure

# How much more probable a value must be to replace another: less could be rounding, and would go round in circles.
GAIN = 1 + 1e-9
# Numbers in a block of sums over pairs of states, for the processor's cache.
_BLOCK = 1 << 18


@dataclass(frozen=True)
class Explanation:
    """The most probable samples and latents of n signals, given what is known.

    Attributes:
        values: (n, D) uint16, those that were known and the most probable others.
        states: (n, N) uint16 state of each node.
        log_joint: (n,) natural-log probability of values and states together.
    """

    values: NDArray[np.uint16]
    states: NDArray[np.uint16]
    log_joint: FloatArray


def most_probable_explanation(
    structure: TreeStructure, parameters: Parameters, x: ArrayLike, missing: ArrayLike
) -> Explanation:
    """Find the most probable missing samples and latents together (MPE), exactly, by max-product.

    Basis indices are summed out: a node's emissions are the mixture that its weights make of the basis. Of equals,
    the least is taken. (Pearl, Probabilistic Reasoning in Intelligent Systems, 1988, chapter 5.)

    Args:
        x: (n, *shape) or (n, D) integers.
        missing: bool, of one signal or of all (see `messages.evidence`).

    Raises:
        InvalidModel: if the parameters are not distributions.
        UnsupportedInput: if the signals do not fit the structure.

    >>> s = TreeStructure((2,), np.dtype(np.uint8), [-1, 0], [0, 1], [2, 2], [2, 2], [0, 0], ())
    >>> none, same = np.zeros(0), np.eye(2).ravel()
    >>> p = Parameters(np.array([0.25, 0.75]), same, none, np.tile(same, 2), none)
    >>> found = most_probable_explanation(s, p, [[0, 0], [0, 0]], [[False, True], [True, True]])
    >>> found.values.tolist(), np.exp(found.log_joint).tolist()
    ([[0, 0], [1, 1]], [0.25, 0.75])
    """
    network = Network(structure, parameters)
    known, absent = evidence(structure, x, missing)
    values, states = known.copy(), np.zeros((len(known), structure.nodes), np.uint16)
    log_joint = np.zeros(len(known))
    for rows in network.batches(len(known)):
        total, best = _best_below(network, known[rows], absent[rows])
        log_joint[rows] = _trace(network, total, best, absent[rows], values[rows], states[rows])
    return Explanation(values, states, log_joint)


def _best_below(
    network: Network, x: Samples, missing: Mask
) -> tuple[list[FloatArray], dict[int, NDArray[np.uint16]]]:
    """Send up the log probability of the best that can be below.

    Returns:
        for each node (n, M_node) that of its subtree, given its state; and, for nodes whose sample is missing
        somewhere, (M_node,) its best value in each state.
    """
    structure = network.structure
    total: list[FloatArray] = [np.zeros((0, 0))] * structure.nodes
    best: dict[int, NDArray[np.uint16]] = {}
    for node in range(structure.nodes - 1, -1, -1):
        total[node] = local(network, node, x, missing)
        variable = int(structure.variable[node])
        if variable >= 0 and missing[:, variable].any():
            emission = network.emission(node)
            best[node] = emission.argmax(axis=1).astype(np.uint16)
            total[node][missing[:, variable]] = np.log(emission.max(axis=1))
        for child in structure.children[node]:
            total[node] += _log_max(total[child], _log(network.transition(child)))
    return total, best


def _trace(
    network: Network,
    total: list[FloatArray],
    best: dict[int, NDArray[np.uint16]],
    missing: Mask,
    values: NDArray[np.uint16],
    states: NDArray[np.uint16],
) -> FloatArray:
    """Go down from the best state of the root, write the states and values that lead there; return their joint."""
    structure = network.structure
    joint = total[0] + _log(network.root)
    log_joint: FloatArray = joint.max(axis=1)
    for node, parent in enumerate(structure.parent.tolist()):
        if node > 0:
            joint = total[node] + _log(network.transition(node)[states[:, parent]])
        states[:, node] = joint.argmax(axis=1)
        if node in best:
            variable = structure.variable[node]
            np.copyto(values[:, variable], best[node][states[:, node]], where=missing[:, variable])
    return log_joint


def _log_max(total: FloatArray, transition: FloatArray) -> FloatArray:
    """(n, M_parent) largest sum of (n, M) logarithms and a row of the (M_parent, M) log transitions."""
    result = np.empty((len(total), len(transition)))
    rows = max(1, _BLOCK // transition.size)
    for start in range(0, len(total), rows):
        part = slice(start, start + rows)
        result[part] = (total[part, None, :] + transition).max(axis=2)
    return result


def _log(probabilities: FloatArray) -> FloatArray:
    result: FloatArray = np.log(np.maximum(probabilities, TINY))
    return result


def ascend(network: Network, x: Samples, missing: Mask, filled: Mask) -> Samples:
    """Raise the probability of completions, sample by sample, until no single sample can be bettered.

    Each step gives one missing sample its most probable value given all others, exactly, so the likelihood never
    falls. One sweep is a walk of the tree that uses each edge once down and once up: at a node, what lies outside
    its subtree has come down, what lies inside has come up, and both are of the present values. (Besag, On the
    statistical analysis of dirty pictures, Journal of the Royal Statistical Society B, 1986.)

    Args:
        x: (n, D) values.
        missing: (n, D) which may be changed.
        filled: (n, D) which of them have a value yet; the others get their first in the first sweep.

    Returns:
        (n, D) values: a maximum as far as single samples go.
    """
    result, empty = x.copy(), missing & ~filled
    active = np.arange(len(x))
    while active.size:
        part, rows = result[active], active
        walk = _Ascent(network, part, missing[active], empty[active])
        while 2 * active.size > rows.size:  # the messages of the others are not worth their refreshing
            active = rows[walk.sweep()]
        result[rows], empty = part, np.zeros_like(empty)
    return result


class _Ascent:
    """Sweeps that better a batch of signals in place, and the messages of its present values."""

    def __init__(self, network: Network, x: Samples, missing: Mask, empty: Mask) -> None:
        self._network, self._x, self._missing, self._empty = network, x, missing, empty
        self._messages: Messages = upward(network, x, empty)
        self._outside: dict[int, FloatArray] = {}
        self._changed: Mask = np.zeros(len(x), np.bool_)
        self._stale: set[int] = set()  # nodes whose subtree says something else than their message
        self._route = np.flatnonzero(network.nodes_above(missing)).tolist()

    def sweep(self) -> Mask:
        """Visit each missing sample once; return in which signals one changed."""
        parents = self._network.structure.parent
        self._changed[:] = False
        path: list[int] = []
        for node in self._route:
            while path and path[-1] != parents[node]:
                self._leave(path.pop())
            self._enter(node)
            path.append(node)
        for node in path[:0:-1]:
            self._leave(node)
        return self._changed

    def _enter(self, node: int) -> None:
        """Bring what lies outside a node's subtree down to it, and give its sample the best value."""
        structure, total, message = self._network.structure, self._messages.total, self._messages.message
        if node == 0:
            self._outside[0] = _log(self._network.root) + np.zeros((len(self._x), 1))
        else:
            parent = int(structure.parent[node])
            rest = self._outside[parent] + total[parent] - message[node]
            self._outside[node] = log_product(rest, self._network.transition(node))
        variable = int(structure.variable[node])
        if variable >= 0 and self._missing[:, variable].any():
            self._choose(node, variable)

    def _choose(self, node: int, variable: int) -> None:
        """Give a sample its most probable value given all others, where that is better than what it has."""
        own = local(self._network, node, self._x, self._empty)
        rest = self._messages.total[node] - own
        chances = self._network.predicted(node, normalised(self._outside[node] + rest))
        value = self._x[:, variable]
        best = chances.argmax(axis=1)
        now = np.take_along_axis(chances, value[:, None], axis=1)[:, 0]
        better = (chances.max(axis=1) > now * GAIN) | self._empty[:, variable]
        moved = self._missing[:, variable] & better
        if moved.any():
            value[moved] = best[moved]
            own[moved] = self._network.emitted(node, value[moved])
            self._messages.total[node] = rest + own
            self._stale.add(node)
        self._changed |= moved
        self._empty[:, variable] = False

    def _leave(self, node: int) -> None:
        """Send what the subtree says by now to the parent."""
        del self._outside[node]
        if node not in self._stale:
            return
        self._stale.remove(node)
        parent, message = int(self._network.structure.parent[node]), self._messages.message
        sent = log_product(self._messages.total[node], self._network.transition(node).T)
        self._messages.total[parent] = self._messages.total[parent] + (sent - message[node])
        self._stale.add(parent)
        message[node] = sent
