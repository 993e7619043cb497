"""Pairwise mutual information of discrete variables, from samples."""

from collections.abc import Iterator
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

# Samples are one-hot encoded this many at a time: float32 counts stay exact (below 2^24) within a slice.
SAMPLE_SLICE = 4_096
DEFAULT_MEMORY = 512 << 20


def mutual_information(
    samples: NDArray[np.integer],
    *,
    alphabet: int | NDArray[np.integer] | None = None,
    bins: int = 16,
    max_samples: int = 5_000,
    seed: int = 0,
    missing: NDArray[np.bool_] | None = None,
    memory: int = DEFAULT_MEMORY,
) -> NDArray[np.float64]:
    """Return the (D, D) float64 mutual information of all pairs of variables in nats, 0 on the diagonal.

    The plug-in estimate, without bias correction; a pair counts the samples in which neither is missing.

    Args:
        samples: (n, D) values, variable i from 0 to alphabet[i] - 1.
        alphabet: number of values, of all variables or (D,) of each; None: the largest value met, plus 1.
        bins: number of bins of equal width, at least 2.
        max_samples: a random subset of this many samples, drawn with `seed`, is used if there are more.
        missing: (n, D) true where a sample is not known.
        memory: bytes that temporary arrays may take, roughly; the result takes 8 D^2 more.

    Raises:
        ValueError: samples are not a non-empty (n, D) array of integers in the alphabet, or bins < 2.

    >>> x = np.array([[0, 0, 1], [1, 1, 1], [0, 0, 0], [1, 1, 0]])
    >>> np.round(mutual_information(x, bins=2), 4).tolist()
    [[0.0, 0.6931, 0.0], [0.6931, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """
    binned = _binned(samples, alphabet, bins, max_samples, seed, missing)
    result = np.zeros((variables := binned.shape[1], variables))
    block = _block_size(variables, bins, len(binned), memory)
    blocks = [slice(start, start + block) for start in range(0, variables, block)]
    for first, second in combinations_with_replacement(blocks, 2):
        part = _information(_joint_counts(binned, first, second, bins), len(binned))
        result[first, second] = part
        result[second, first] = part.T
    np.fill_diagonal(result, 0)
    return np.maximum(result, 0, out=result)


def _binned(
    samples: NDArray[np.integer],
    alphabet: int | NDArray[np.integer] | None,
    bins: int,
    max_samples: int,
    seed: int,
    missing: NDArray[np.bool_] | None,
) -> NDArray[np.int16]:
    """Return (min(n, max_samples), D) bin numbers, `bins` where a sample is missing."""
    if samples.ndim != 2 or not samples.size or samples.dtype.kind not in "iub":
        found = f"{samples.dtype} {samples.shape}"
        raise ValueError(f"samples must be a non-empty (n, D) array of integers, not {found}")
    if bins < 2 or max_samples < 1:
        raise ValueError(f"bins is {bins} (at least 2) and max_samples {max_samples} (at least 1)")
    if len(samples) > max_samples:
        subset = np.random.default_rng(seed).choice(len(samples), max_samples, replace=False)
        subset.sort()
        samples = samples[subset]
        missing = None if missing is None else missing[subset]
    if missing is not None:
        samples = np.where(missing, samples.dtype.type(0), samples)
    sizes = np.int64(int(samples.max()) + 1) if alphabet is None else np.asarray(alphabet, np.int64)
    if samples.min() < 0 or (samples >= sizes).any():
        raise ValueError(f"samples run from {samples.min()} to {samples.max()}, beyond the alphabet")
    binned = np.empty(samples.shape, np.int16)
    for row, values in zip(binned, samples, strict=True):  # row by row: a wide copy of all would not be small
        wide = values.astype(np.int64)
        row[:] = np.where(sizes <= bins, wide, wide * bins // sizes)
    if missing is not None:
        binned[missing] = bins
    return binned


def _block_size(variables: int, bins: int, samples: int, memory: int) -> int:
    """Variables a block, so that one-hot slices and a block's joint counts (a few copies) fit into memory."""
    per_slice = 2 * 4 * bins * min(samples, SAMPLE_SLICE)
    block = 1
    while block < variables and 2 * block * per_slice + (2 * block * bins) ** 2 * 24 <= memory:
        block *= 2
    return min(block, variables)


def _joint_counts(binned: NDArray[np.int16], first: slice, second: slice, bins: int) -> NDArray[np.int32]:
    """Return (d1, bins, d2, bins) counts of pairs of values."""
    left, right = binned[:, first], binned[:, second]
    shape = (left.shape[1], bins, right.shape[1], bins)
    counts = np.zeros((shape[0] * bins, shape[2] * bins), np.int32)
    for rows in _slices(len(binned)):
        one_hot = _one_hot(left[rows], bins)
        other = one_hot if first == second else _one_hot(right[rows], bins)
        counts += (one_hot.T @ other).astype(np.int32)
    return counts.reshape(shape)


def _slices(samples: int) -> Iterator[slice]:
    return (slice(start, start + SAMPLE_SLICE) for start in range(0, samples, SAMPLE_SLICE))


def _one_hot(values: NDArray[np.int16], bins: int) -> NDArray[np.float32]:
    """Return (n, d * bins); a missing value (equal to `bins`) is a row of zeros."""
    hot = values[:, :, None] == np.arange(bins, dtype=np.int16)
    flat: NDArray[np.float32] = hot.reshape(len(values), -1).astype(np.float32)
    return flat


def _information(joint: NDArray[np.int32], samples: int) -> NDArray[np.float64]:
    """Return the (d1, d2) mutual information in nats, from (d1, bins, d2, bins) counts.

    With f(n) = n log n: f summed over cells, less f over rows and columns, plus f(total); all over total.
    """
    count = np.arange(samples + 1, dtype=np.float64)
    n_log_n = count * np.log(np.maximum(count, 1))
    rows, columns = joint.sum(axis=3), joint.sum(axis=1)
    total = rows.sum(axis=1)
    inner = n_log_n[joint].sum(axis=(1, 3))
    outer = n_log_n[rows].sum(axis=1) + n_log_n[columns].sum(axis=2)
    information: NDArray[np.float64] = (inner - outer + n_log_n[total]) / np.maximum(total, 1)
    return information
