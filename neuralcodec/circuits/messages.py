"""Messages of latent-tree circuits for queries: what is known goes up the tree, what follows from it comes down.

Sum-product message passing after Pearl, Probabilistic Reasoning in Intelligent Systems, 1988, chapter 4, in
float64 and with logarithms at the nodes, so that nothing underflows however many children a node has.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuralcodec.circuits.parameters import Parameters
from neuralcodec.circuits.structure import TreeStructure
from neuralcodec.errors import UnsupportedInput

FloatArray = NDArray[np.float64]
Samples = NDArray[np.uint16]
Mask = NDArray[np.bool_]

# What has probability 0 counts as this, so that contradictory evidence is weighed rather than divided by.
TINY = 1e-300
# Numbers in the messages of one batch, which bounds the memory that a query takes (64 MiB).
BATCH_FLOATS = 1 << 23


class Network:
    """A structure with its parameters, seen node by node as float64 matrices.

    Raises:
        InvalidModel: if the parameters are not distributions.
    """

    def __init__(self, structure: TreeStructure, parameters: Parameters) -> None:
        self.structure = structure
        self._parameters = parameters.validate(structure)
        self._bases = [_float64(parameters.basis_of(structure, b)) for b in range(len(structure.basis_size))]

    @property
    def root(self) -> FloatArray:
        """(M_0,) the root's prior."""
        return _float64(self._parameters.root)

    def transition(self, node: int) -> FloatArray:
        """(M_parent, M_node) transitions of a node other than the root."""
        return _float64(self._parameters.transition_of(self.structure, node))

    def emission(self, node: int) -> FloatArray:
        """(M_node, A) distributions of the node's sample, one for each state."""
        free, basis = self._factors(node)
        return free if basis is None else free @ basis

    def emitted(self, node: int, values: Samples) -> FloatArray:
        """(n, M_node) log probability of each of (n,) values in each state."""
        free, basis = self._factors(node)
        # The values are picked from the basis first: they are fewer than the alphabet.
        table = free.T[values] if basis is None else basis.T[values] @ free.T
        return np.log(np.maximum(table, TINY))

    def predicted(self, node: int, belief: FloatArray) -> FloatArray:
        """(n, A) distributions of the node's sample under (n, M_node) distributions of its latent."""
        free, basis = self._factors(node)
        return belief @ free if basis is None else (belief @ free) @ basis

    def _factors(self, node: int) -> tuple[FloatArray, FloatArray | None]:
        kind = int(self.structure.emission[node])
        if kind == 0:
            return _float64(self._parameters.free_of(self.structure, node)), None
        return _float64(self._parameters.weight_of(self.structure, node)), self._bases[kind - 1]

    def batches(self, n: int) -> Iterator[slice]:
        """Yield ranges of n signals whose messages fit in `BATCH_FLOATS` numbers."""
        size = max(1, BATCH_FLOATS // (2 * int(self.structure.states.sum(dtype=np.int64))))
        yield from (slice(start, min(start + size, n)) for start in range(0, n, size))

    def nodes_above(self, samples: Mask) -> Mask:
        """(N,) which nodes own a sample that is true in some signal of (n, D), or have such a node below them."""
        structure = self.structure
        above: Mask = np.zeros(structure.nodes, np.bool_)
        above[structure.node_of_variable[samples.any(axis=0)]] = True
        parents = structure.parent.tolist()
        for node in range(structure.nodes - 1, 0, -1):
            above[parents[node]] |= above[node]
        return above


@dataclass(frozen=True)
class Messages:
    """Logarithms that a batch of n signals sends up the tree; entries of nodes above nothing known are 0.

    Attributes:
        total: for each node (n, M_node): log probability of what is known below and at the node, given its state.
        message: for each node but the root (n, M_parent): the same, given its parent's state.
    """

    total: list[FloatArray]
    message: list[FloatArray]

    def log_evidence(self, network: Network) -> FloatArray:
        """(n,) natural-log probability of what is known."""
        return log_product(self.total[0], network.root[:, None])[:, 0]


def upward(network: Network, x: Samples, missing: Mask) -> Messages:
    """Send what is known of (n, D) samples from the leaves to the root.

    >>> s = TreeStructure((1,), np.dtype(np.uint8), [-1], [0], [2], [2], [0], ())
    >>> none = np.zeros(0)
    >>> network = Network(s, Parameters(np.array([0.5, 0.5]), none, none, np.array([1, 0, 0.5, 0.5]), none))
    >>> messages = upward(network, np.array([[0], [1], [0]]), np.array([[False], [False], [True]]))
    >>> np.exp(messages.log_evidence(network)).tolist()
    [0.75, 0.25, 1.0]
    """
    structure, n = network.structure, len(x)
    informed = network.nodes_above(~missing)
    nothing = [np.broadcast_to(0.0, (n, int(states))) for states in structure.states]
    messages = Messages(list(nothing), [nothing[max(0, parent)] for parent in structure.parent])
    for node in np.flatnonzero(informed)[::-1].tolist():
        total = local(network, node, x, missing)
        for child in structure.children[node]:
            if informed[child]:
                total = total + messages.message[child]
        messages.total[node] = total
        if node > 0:
            messages.message[node] = log_product(total, network.transition(node).T)
    return messages


def local(network: Network, node: int, x: Samples, missing: Mask) -> FloatArray:
    """(n, M_node) log probability of the node's own sample in each state; 0 where it is missing, or silent."""
    structure = network.structure
    variable = int(structure.variable[node])
    result = np.zeros((len(x), int(structure.states[node])))
    if variable >= 0:
        known = ~missing[:, variable]
        result[known] = network.emitted(node, x[known, variable])
    return result


def predictions(
    network: Network, messages: Messages, missing: Mask
) -> Iterator[tuple[int, Mask, FloatArray]]:
    """Come down the tree and yield, sample by sample, what follows for those that are missing.

    Args:
        missing: (n, D) samples to predict, none of which was known when the messages were sent.

    Yields:
        the sample's number, (n,) in which signals it is missing, and its (m, A) distributions in these m signals,
        given all that is known of them.
    """
    structure = network.structure
    wanted = network.nodes_above(missing)
    outside = {0: np.log(np.maximum(network.root, TINY))}
    for node in np.flatnonzero(wanted).tolist():
        joint = outside.pop(node) + messages.total[node]
        variable = int(structure.variable[node])
        if variable >= 0 and missing[:, variable].any():
            absent = missing[:, variable]
            chances = network.predicted(node, normalised(joint[absent]))
            yield variable, absent, chances / chances.sum(axis=1, keepdims=True)
        for child in structure.children[node]:
            if wanted[child]:
                rest = joint - messages.message[child]
                outside[child] = log_product(rest, network.transition(child))


def log_product(message: FloatArray, matrix: FloatArray) -> FloatArray:
    """Return log(exp(message) @ matrix) of (n, J) and (J, K), scaled by each row's largest entry."""
    peak = message.max(axis=1, keepdims=True)
    result: FloatArray = np.log(np.maximum(np.exp(message - peak) @ matrix, TINY)) + peak
    return result


def normalised(logs: FloatArray) -> FloatArray:
    """Return the distributions that rows of unnormalised log probabilities stand for."""
    rows: FloatArray = np.exp(logs - logs.max(axis=1, keepdims=True))
    rows /= rows.sum(axis=1, keepdims=True)
    return rows


def out_of_range(structure: TreeStructure, x: NDArray[np.integer]) -> tuple[int, int] | None:
    """Return (signal, sample) of the first of (n, D) values that is beyond its alphabet, or None.

    >>> s = TreeStructure((2,), np.dtype(np.uint8), [-1, 0], [0, 1], [1, 1], [2, 3], [0, 0], ())
    >>> out_of_range(s, np.array([[1, 2], [0, 3]]))
    (1, 1)
    """
    wrong = (x < 0) | (x >= structure.alphabet)
    if not wrong.any():
        return None
    signal, sample = np.unravel_index(int(wrong.argmax()), wrong.shape)
    return int(signal), int(sample)


def evidence(structure: TreeStructure, x: ArrayLike, missing: ArrayLike | None) -> tuple[Samples, Mask]:
    """Return (n, D) uint16 samples, 0 where missing, and the (n, D) mask, of what a caller gave.

    Args:
        x: (n, *shape) or (n, D) integers; what stands at missing places is ignored.
        missing: bool, one mask of shape `shape` or (D,) for all signals, or one for each as in `x`; None: no sample.

    Raises:
        UnsupportedInput: if shapes or dtypes do not fit, or a sample is beyond its alphabet.

    >>> s = TreeStructure((1, 2), np.dtype(np.uint8), [-1, 0], [0, 1], [1, 1], [2, 3], [0, 0], ())
    >>> x, missing = evidence(s, [[[1, 9]]], [[False, True]])
    >>> x.tolist(), missing.tolist()
    ([[1, 0]], [[False, True]])
    """
    values = np.asarray(x)
    # Without a mask, one row of it is repeated: nothing of the signals' size is made.
    absent = signal_mask(structure, missing, len(values) if values.ndim else 0)
    if values.shape[1:] not in (structure.shape, (structure.variables,)) or values.dtype.kind not in "iub":
        raise UnsupportedInput(
            f"signals are integers of shape (n, {', '.join(map(str, structure.shape))}), "
            f"not {values.dtype} of shape {values.shape}"
        )
    flat = values.reshape(absent.shape)
    if missing is not None:
        flat = np.where(absent, flat.dtype.type(0), flat)
    wrong = out_of_range(structure, flat)
    if wrong is not None:
        most = int(structure.alphabet[wrong[1]]) - 1
        raise UnsupportedInput(
            f"signal {wrong[0]}: sample {wrong[1]} is {flat[wrong]}, but the model takes 0 to {most} there"
        )
    return flat.astype(np.uint16), absent


def signal_mask(structure: TreeStructure, mask: ArrayLike | None, n: int) -> Mask:
    """Return a mask of one signal, or of each of n, as read-only (n, D) bool; None is true nowhere.

    Raises:
        UnsupportedInput: if it is not of bools, or of another shape.
    """
    given = np.zeros(structure.shape, np.bool_) if mask is None else np.asarray(mask)
    shapes = (structure.shape, (structure.variables,))
    if given.dtype != np.bool_ or not (
        given.shape in shapes or (given.shape[1:] in shapes and len(given) == n)
    ):
        raise UnsupportedInput(
            f"a mask is an array of bools of shape {structure.shape}, or with the number of signals ({n}) in "
            f"front, not {given.dtype} of shape {given.shape}"
        )
    flat = given.reshape(-1, structure.variables)
    return np.broadcast_to(flat, (n, structure.variables))


def _float64(values: NDArray[np.floating]) -> FloatArray:
    return values.astype(np.float64, copy=False)
