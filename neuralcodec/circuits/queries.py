"""What a latent-tree circuit says of missing samples, given the others: distributions, and completions of signals."""

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuralcodec.circuits.completion import ascend, most_probable_explanation
from neuralcodec.circuits.messages import (
    FloatArray,
    Mask,
    Network,
    Samples,
    evidence,
    predictions,
    upward,
)
from neuralcodec.circuits.parameters import Parameters
from neuralcodec.circuits.sampling import conditional_sample
from neuralcodec.circuits.structure import TreeStructure
from neuralcodec.errors import UnsupportedInput

How = Literal["median", "mean", "mode", "map", "mpe", "sample"]
HOWS: tuple[How, ...] = get_args(How)


def conditional_marginals(
    structure: TreeStructure,
    parameters: Parameters,
    x: ArrayLike,
    missing: ArrayLike,
    samples: ArrayLike | None = None,
) -> FloatArray:
    """Return the distribution of each sample, given all that is known of its signal.

    Args:
        x: (n, *shape) or (n, D) integers.
        missing: bool, of one signal or of all (see `messages.evidence`).
        samples: numbers of the samples that are asked for, in C order; all by default.

    Returns:
        (n, samples asked for, largest alphabet among them) float64, 0 beyond a sample's alphabet. What is known has
        probability 1.

    Raises:
        InvalidModel: if the parameters are not distributions.
        UnsupportedInput: if the signals do not fit the structure, or there is no such sample.

    >>> s = TreeStructure((2,), np.dtype(np.uint8), [-1, 0], [0, 1], [2, 2], [2, 2], [0, 0], ())
    >>> none, half = np.zeros(0), np.array([0.5, 0.5, 0, 1])
    >>> p = Parameters(np.array([0.5, 0.5]), np.eye(2).ravel(), none, np.r_[half, half], none)
    >>> conditional_marginals(s, p, [[0, 0]], [False, True]).tolist()
    [[[1.0, 0.0], [0.5, 0.5]]]
    """
    network = Network(structure, parameters)
    known, absent = evidence(structure, x, missing)
    asked = np.arange(structure.variables) if samples is None else np.asarray(samples, np.int64).reshape(-1)
    if asked.size and not 0 <= asked.min() <= asked.max() < structure.variables:
        raise UnsupportedInput(
            f"samples are numbered 0 to {structure.variables - 1}; asked for are {asked.min()} to {asked.max()}"
        )
    result = np.zeros((len(known), len(asked), int(structure.alphabet[asked].max(initial=0))))
    wanted = np.zeros(structure.variables, np.bool_)
    wanted[asked] = True
    for rows in network.batches(len(known)):
        part, holes = result[rows], absent[rows]
        for place, sample in enumerate(asked.tolist()):
            present = np.flatnonzero(~holes[:, sample])
            part[present, place, known[rows][present, sample]] = 1
        messages = upward(network, known[rows], holes)
        for sample, where, chances in predictions(network, messages, holes & wanted):
            for place in np.flatnonzero(asked == sample).tolist():
                part[where, place, : chances.shape[1]] = chances
    return result


def complete(
    structure: TreeStructure,
    parameters: Parameters,
    x: ArrayLike,
    missing: ArrayLike,
    how: How = "median",
    seed: int = 0,
) -> NDArray[np.uint16]:
    """Fill in what is missing of each signal.

    Args:
        x: (n, *shape) or (n, D) integers.
        missing: bool, of one signal or of all (see `messages.evidence`).
        how: what to fill in.

            - "median", "mean" (rounded), "mode": of each missing sample's distribution given the known ones, each by
              itself. They make the expected absolute error, squared error, and number of wrong samples least.
            - "map": all missing samples together at a local maximum of their probability given the known ones (see
              `most_probable_completion`).
            - "mpe": those of the most probable explanation, in which the latents are chosen too (see
              `completion.most_probable_explanation`).
            - "sample": drawn from their distribution given the known ones.
        seed: of the draws, for "sample".

    Returns:
        (n, D) uint16 values, those of `x` where they are not missing.

    Raises:
        InvalidModel: if the parameters are not distributions.
        UnsupportedInput: if the signals do not fit the structure, or there is no such way.

    >>> s = TreeStructure((2,), np.dtype(np.uint8), [-1, 0], [0, 1], [2, 2], [2, 2], [0, 0], ())
    >>> none, same = np.zeros(0), np.eye(2).ravel()
    >>> p = Parameters(np.array([0.5, 0.5]), same, none, np.tile(same, 2), none)
    >>> complete(s, p, [[0, 0], [1, 0]], [False, True]).tolist()
    [[0, 0], [1, 1]]
    """
    if how == "sample":
        return conditional_sample(structure, parameters, x, missing, 1, seed)[:, 0]
    if how == "map":
        return most_probable_completion(structure, parameters, x, missing)
    if how == "mpe":
        return most_probable_explanation(structure, parameters, x, missing).values
    if how not in HOWS:
        raise UnsupportedInput(f"signals are completed by {', '.join(HOWS)}, not by {how!r}")
    network = Network(structure, parameters)
    known, absent = evidence(structure, x, missing)
    result = known.copy()
    for rows in network.batches(len(known)):
        result[rows] = _point_estimates(network, known[rows], absent[rows], how)
    return result


def most_probable_completion(
    structure: TreeStructure, parameters: Parameters, x: ArrayLike, missing: ArrayLike
) -> NDArray[np.uint16]:
    """Seek the most probable values of all missing samples together, given the known ones (MAP).

    Finding them for certain is NP-hard. Two candidates (the samples of the most probable explanation, and values
    chosen one after the other) are bettered sample by sample until no change of one sample helps; the more probable
    of them is returned. So it is a local maximum, at least as probable as the most probable explanation's samples.

    Arguments, result and errors are those of `complete`.

    >>> s = TreeStructure((1,), np.dtype(np.uint8), [-1], [0], [3], [2], [0], ())
    >>> none = np.zeros(0)
    >>> p = Parameters(np.array([0.4, 0.3, 0.3]), none, none, np.array([1, 0, 0, 1, 0, 1]), none)
    >>> explained = most_probable_explanation(s, p, [[0]], [True]).values
    >>> explained.tolist(), most_probable_completion(s, p, [[0]], [True]).tolist()
    ([[0]], [[1]])
    """
    network = Network(structure, parameters)
    known, absent = evidence(structure, x, missing)
    result = most_probable_explanation(structure, parameters, known, absent).values
    for rows in network.batches(len(known)):
        holes, nothing = absent[rows], np.zeros_like(absent[rows])
        explained = ascend(network, result[rows], holes, holes)
        found = np.stack([explained, ascend(network, known[rows], holes, nothing)])
        scores = np.stack([upward(network, values, nothing).log_evidence(network) for values in found])
        result[rows] = found[scores.argmax(axis=0), np.arange(len(holes))]
    return result


def _point_estimates(network: Network, x: Samples, missing: Mask, how: How) -> Samples:
    """Return the samples of a batch with the missing ones set to the median, mean or mode of each."""
    result = x.copy()
    for sample, where, chances in predictions(network, upward(network, x, missing), missing):
        top = chances.shape[1] - 1
        if how == "median":
            # The least value at which half of the probability is reached; rounding may leave the sum below 1.
            estimate = np.minimum((np.cumsum(chances, axis=1) < 0.5).sum(axis=1), top)
        elif how == "mean":
            estimate = np.clip(np.rint(chances @ np.arange(top + 1)), 0, top)
        else:
            estimate = chances.argmax(axis=1)
        result[where, sample] = estimate
    return result
