"""A slow, obvious float64 reference for latent-tree circuits: likelihood, expected counts and EM.

Everything stays in log space, so that nothing underflows; the native kernels are tested against it. Messages
follow Pearl, Probabilistic Reasoning in Intelligent Systems, 1988, chapter 4.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neuralcodec.circuits.parameters import Parameters, row_reduce, row_scale
from neuralcodec.circuits.structure import FIELDS, TreeStructure

FloatArray = NDArray[np.float64]
Samples = NDArray[np.integer]
Mask = NDArray[np.bool_]

# Samples handled at a time: sums over pairs of states take (BATCH, M_parent, M) numbers.
BATCH = 64


@dataclass(frozen=True)
class Messages:
    """Log messages of a batch of n samples; node v's arrays are (n, M_v), or (n, M_parent) for `upward`.

    Attributes:
        local: log probability of the node's own sample, 0 if missing or silent.
        likelihood: log probability of the samples in the node's subtree, given its state.
        upward: the same given its parent's state.
    """

    local: list[FloatArray]
    likelihood: list[FloatArray]
    upward: list[FloatArray]


def log_likelihood(
    structure: TreeStructure, parameters: Parameters, x: Samples, missing: Mask | None = None
) -> FloatArray:
    """Return the log probability of each sample, in nats; missing values are summed out.

    Args:
        x: (n, D) values; what stands at missing places is ignored.
        missing: (n, D) true where a value is missing.

    Returns:
        (n,) float64, -inf where the probability is 0.

    >>> s = TreeStructure((1,), np.dtype(np.uint8), [-1], [0], [2], [2], [0], ())
    >>> none = np.zeros(0)
    >>> p = Parameters(np.array([0.5, 0.5]), none, none, np.array([1, 0, 0.5, 0.5]), none)
    >>> np.exp(log_likelihood(s, p, np.array([[0], [1]]))).tolist()
    [0.75, 0.25]
    """
    result: FloatArray = np.zeros(len(x))
    for rows, values, absent in _batches(x, missing):
        messages = _upward(structure, parameters, values, absent)
        result[rows] = _log_sum(_log(parameters.root) + messages.likelihood[0])
    return result


def expected_counts(
    structure: TreeStructure, parameters: Parameters, x: Samples, missing: Mask | None = None
) -> Parameters:
    """Return the expected counts of one E-step over all samples, float64 in the layout of Parameters.

    A basis index is one more latent: `weight` counts (state, index) pairs of each node, `basis` counts
    (index, value) pairs over all nodes that use the basis. Missing values count in neither, nor in `free`.

    Raises:
        ValueError: if a sample has probability 0, so that it has no posterior.
    """
    counts = Parameters(*(np.zeros(size) for size in structure.sizes.values()))
    for rows, values, absent in _batches(x, missing):
        messages = _upward(structure, parameters, values, absent)
        evidence = _log_sum(_log(parameters.root) + messages.likelihood[0])
        if not np.isfinite(evidence).all():
            impossible = rows.start + int(np.flatnonzero(~np.isfinite(evidence))[0])
            raise ValueError(f"sample {impossible} has probability 0")
        _add_counts(structure, parameters, values, absent, messages, evidence, counts)
    return counts


def _add_counts(
    structure: TreeStructure,
    parameters: Parameters,
    x: Samples,
    missing: Mask | None,
    messages: Messages,
    evidence: FloatArray,
    counts: Parameters,
) -> None:
    """Go down the tree with the messages of a batch and add its expected counts."""
    prior: list[FloatArray] = [np.zeros((0, 0))] * structure.nodes
    prior[0] = np.broadcast_to(_log(parameters.root), messages.likelihood[0].shape)
    for node in range(structure.nodes):
        posterior = np.exp(prior[node] + messages.likelihood[node] - evidence[:, None])
        if node == 0:
            counts.root[:] += posterior.sum(axis=0)
        _count_emissions(structure, parameters, node, posterior, x, missing, counts)
        _visit_children(structure, parameters, node, messages, prior, evidence, counts)


def em_step(
    structure: TreeStructure,
    parameters: Parameters,
    x: Samples,
    missing: Mask | None = None,
    *,
    step: float = 1.0,
    pseudocount: float = 0.0,
) -> Parameters:
    """Return float64 parameters after one EM step: (1 - step) old + step (count + share) / their sum.

    Each row gets `pseudocount` in all, spread evenly; a row of weights gets it in proportion to the node's
    own mean weights. A row without counts keeps its parameters. With step 1 and no pseudocount the likelihood
    never falls (Dempster, Laird and Rubin, Maximum likelihood from incomplete data via the EM algorithm,
    Journal of the Royal Statistical Society B, 1977).

    Raises:
        ValueError: if a sample has probability 0.
    """
    counts = expected_counts(structure, parameters, x, missing)
    arrays = []
    for field in FIELDS:
        widths = structure.row_widths(field)
        flow = getattr(counts, field)
        share = row_scale(np.multiply, np.ones_like(flow), pseudocount / np.maximum(widths, 1), widths)
        if field == "weight":
            share = pseudocount * _mean_weights(structure, counts)
        total = row_reduce(np.add, flow + share, widths, np.float64)
        used = total > 0
        new = row_scale(np.divide, flow + share, np.where(used, total, 1), widths)
        keep = row_scale(np.multiply, np.ones_like(new), np.where(used, 1 - step, 1.0), widths)
        move = row_scale(np.multiply, np.ones_like(new), np.where(used, step, 0.0), widths)
        arrays.append(keep * getattr(parameters, field).astype(np.float64) + move * new)
    return Parameters(*arrays)


def _upward(structure: TreeStructure, parameters: Parameters, x: Samples, missing: Mask | None) -> Messages:
    """Send the likelihoods of all subtrees to the root; children have higher numbers than their parent."""
    empty: FloatArray = np.zeros((0, 0))
    local, likelihood, upward = ([empty] * structure.nodes for _ in range(3))
    for node in reversed(range(structure.nodes)):
        local[node] = _log_emission(structure, parameters, node, x, missing)
        likelihood[node] = sum((upward[child] for child in structure.children[node]), local[node])
        if node > 0:
            transition = _log(parameters.transition_of(structure, node))
            upward[node] = _log_product(likelihood[node], transition.T)
    return Messages(local, likelihood, upward)


def _visit_children(
    structure: TreeStructure,
    parameters: Parameters,
    node: int,
    messages: Messages,
    prior: list[FloatArray],
    evidence: FloatArray,
    counts: Parameters,
) -> None:
    """Send a node's prior to each child, without that child's own message, and count its transitions."""
    children = structure.children[node]
    own = prior[node] + messages.local[node]
    after = [np.zeros_like(own)]
    for child in reversed(children):
        after.append(after[-1] + messages.upward[child])
    for child, rest in zip(children, after[-2::-1], strict=True):
        outside = own + rest
        transition = _log(parameters.transition_of(structure, child))
        prior[child] = _log_product(outside, transition)
        pairs = outside[:, :, None] + transition + messages.likelihood[child][:, None, :]
        flow = np.exp(pairs - evidence[:, None, None]).sum(axis=0)
        counts.set_transition(structure, child, counts.transition_of(structure, child) + flow)
        own = own + messages.upward[child]


def _count_emissions(
    structure: TreeStructure,
    parameters: Parameters,
    node: int,
    posterior: FloatArray,
    x: Samples,
    missing: Mask | None,
    counts: Parameters,
) -> None:
    variable, kind = int(structure.variable[node]), int(structure.emission[node])
    if kind < 0:
        return
    seen = slice(None) if missing is None else ~missing[:, variable]
    pairs = np.zeros((int(structure.alphabet[variable]), posterior.shape[1]))
    np.add.at(pairs, x[seen, variable], posterior[seen])
    if kind == 0:
        counts.free_of(structure, node)[:] += pairs.T
        return
    weight = parameters.weight_of(structure, node).astype(np.float64)
    basis = parameters.basis_of(structure, kind - 1).astype(np.float64)
    emission = weight @ basis
    ratio = np.divide(pairs.T, emission, out=np.zeros_like(emission), where=emission > 0)
    counts.weight_of(structure, node)[:] += weight * (ratio @ basis.T)
    counts.basis_of(structure, kind - 1)[:] += basis * (weight.T @ ratio)


def _mean_weights(structure: TreeStructure, counts: Parameters) -> FloatArray:
    """Return for every row of weights the node's expected index counts over all states, normalised."""
    mean = np.zeros(structure.weight_size)
    for node in np.flatnonzero(structure.emission > 0).tolist():
        start, stop = structure.weight_offset[node : node + 2]
        pooled = counts.weight_of(structure, node).sum(axis=0)
        mean[start:stop] = np.tile(pooled / max(pooled.sum(), 1e-300), structure.states[node])
    return mean


def _log_emission(
    structure: TreeStructure, parameters: Parameters, node: int, x: Samples, missing: Mask | None
) -> FloatArray:
    """Return (n, M) log probabilities of the node's own sample."""
    variable, kind = int(structure.variable[node]), int(structure.emission[node])
    if kind < 0:
        return np.zeros((len(x), structure.states[node]))
    if kind == 0:
        emission = parameters.free_of(structure, node).astype(np.float64)
    else:
        weight = parameters.weight_of(structure, node).astype(np.float64)
        emission = weight @ parameters.basis_of(structure, kind - 1).astype(np.float64)
    if missing is None:
        return _log(emission.T[x[:, variable]])
    absent = missing[:, variable]
    return np.where(absent[:, None], 0.0, _log(emission.T[np.where(absent, 0, x[:, variable])]))


def _log_product(message: FloatArray, matrix: FloatArray) -> FloatArray:
    """Return log(exp(message) @ exp(matrix)) of (n, J) and (J, K), scaled by the largest term of each sum."""
    return _log_sum(message[:, :, None] + matrix)


def _log_sum(terms: FloatArray) -> FloatArray:
    """Return log of the sum of exp(terms) over axis 1."""
    peak = terms.max(axis=1, keepdims=True)
    peak = np.where(np.isfinite(peak), peak, 0.0)  # -inf cannot be subtracted from -inf
    result: FloatArray = (peak + _log(np.exp(terms - peak).sum(axis=1, keepdims=True)))[:, 0]
    return result


def _batches(x: Samples, missing: Mask | None) -> Iterator[tuple[slice, NDArray[np.int64], Mask | None]]:
    for start in range(0, len(x), BATCH):
        rows = slice(start, start + BATCH)
        yield rows, x[rows].astype(np.int64), None if missing is None else missing[rows]


def _log(values: NDArray[np.floating]) -> FloatArray:
    with np.errstate(divide="ignore"):
        result: FloatArray = np.log(values.astype(np.float64))
    return result
