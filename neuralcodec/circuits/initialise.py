"""Starting points for EM: near the data's own statistics, with noise that breaks the states' symmetry."""

import numpy as np
from numpy.typing import NDArray

from neuralcodec.circuits.parameters import Parameters, row_reduce, row_scale
from neuralcodec.circuits.structure import TreeStructure

FLOOR = 1e-3
FIT_STEPS = 20
HISTOGRAM_ENTRIES = 1 << 22


def initial_parameters(
    structure: TreeStructure,
    samples: NDArray[np.integer],
    seed: int,
    *,
    missing: NDArray[np.bool_] | None = None,
    transition_noise: float = 2.0,
    emission_noise: float = 1.5,
) -> Parameters:
    """Return a starting point for EM, float32.

    Root and transitions are rows of exp(noise * normal), normalised. Each shared basis starts as
    `initial_basis` of its users' pooled histogram; the weights of a node start around those that fit its own
    histogram best, its free emissions around its own smoothed histogram. Every entry is positive.

    Args:
        samples: (n, D) values; a few thousand suffice.
        missing: (n, D) true where a sample is not known.
        transition_noise, emission_noise: standard deviations of the log-normal noise, drawn with `seed`.
            Strong noise starts lower, but EM gets ahead sooner.

    Raises:
        ValueError: if samples do not fit the structure.
    """
    _check_samples(structure, samples, missing)
    rng = np.random.default_rng(seed)
    bases = []
    for basis, size in enumerate(structure.basis_size):
        users = np.flatnonzero(structure.emission == basis + 1)
        bases.append(initial_basis(size, _pooled_histogram(structure, users, samples, missing)))
    weight, free = _mean_emissions(structure, samples, missing, bases)
    return Parameters(
        root=_noisy_rows(structure, "root", None, transition_noise, rng),
        transition=_noisy_rows(structure, "transition", None, transition_noise, rng),
        weight=_noisy_rows(structure, "weight", weight, emission_noise, rng),
        free=_noisy_rows(structure, "free", free, emission_noise, rng),
        basis=np.concatenate([np.zeros(0), *(table.reshape(-1) for table in bases)]).astype(np.float32),
    )


def initial_basis(size: int, histogram: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return (size, A) distributions that can mix into anything the histogram suggests.

    The most frequent values get a spike each (all values, if the basis is large enough); the rest are
    overlapping bumps of several widths, placed half by the histogram's quantiles without the spikes and half
    uniformly.

    Args:
        size: number of distributions, at least 1.
        histogram: (A,) non-negative counts.

    >>> initial_basis(8, np.ones(4)).shape
    (8, 4)
    """
    width = len(histogram)
    counts = histogram.astype(np.float64)
    smooth: NDArray[np.float64] = counts / max(counts.sum(), 1e-300) * (1 - FLOOR) + FLOOR / width
    smooth /= smooth.sum()
    if size == 1:
        return smooth[None, :]
    spikes = _spikes(size, smooth)
    rows = [np.eye(width)[spikes]]
    rest = smooth.copy()
    rest[spikes] = smooth.min()
    left = size - len(spikes)
    while left > 0:
        count = left if left < 4 else (left + 1) // 2
        rows.append(_bumps(count, rest / rest.sum()))
        left -= count
    table: NDArray[np.float64] = np.concatenate(rows)
    table /= table.sum(axis=1, keepdims=True)
    # by mean value: neighbours are alike, so weights of 0 lie together
    table = table[np.argsort(table @ np.arange(width), kind="stable")]
    table *= 1 - FLOOR
    table += FLOOR / width
    return table


def _spikes(size: int, smooth: NDArray[np.float64]) -> NDArray[np.int64]:
    """Choose values for spikes: those of over twice the mean frequency, size / 4 of them at most."""
    width = len(smooth)
    if size >= width:
        return np.arange(width)
    order = np.argsort(-smooth, kind="stable")[: size // 4]
    return order[smooth[order] > 2 / width]


def _bumps(count: int, histogram: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (count, A) bell curves whose widths follow the gaps between their centres."""
    values = np.arange(len(histogram))
    shares = (np.arange(count) + 0.5) / count
    by_mass = np.interp(shares, np.cumsum(histogram), values)
    centres = (by_mass + shares * len(histogram) - 0.5) / 2
    gaps = np.gradient(centres) if count > 1 else np.array([len(histogram) / 2])
    deviation = np.maximum(0.6 * gaps, 0.4)
    scaled = (values - centres[:, None]) / deviation[:, None]
    curves: NDArray[np.float64] = np.exp(-0.5 * scaled**2) + 1e-12
    return curves


def _mean_emissions(
    structure: TreeStructure,
    samples: NDArray[np.integer],
    missing: NDArray[np.bool_] | None,
    bases: list[NDArray[np.float64]],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return flat weights and free emissions in which every state has its node's own mean, without noise."""
    weight, free = (np.empty(structure.sizes[field], np.float32) for field in ("weight", "free"))
    for nodes in _node_blocks(structure):
        histograms = _histograms(structure, nodes, samples, missing)
        kind = int(structure.emission[nodes[0]])
        means = histograms if kind == 0 else fit_weights(histograms, bases[kind - 1])
        target, offset = (free, structure.free_offset) if kind == 0 else (weight, structure.weight_offset)
        for node, mean in zip(nodes.tolist(), means, strict=True):
            target[offset[node] : offset[node + 1]].reshape(-1, len(mean))[:] = mean
    return weight, free


def fit_weights(histograms: NDArray[np.float64], basis: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (nodes, K) weights with which `weights @ basis` fits (nodes, A) histograms, by EM."""
    weights: NDArray[np.float64] = np.full((len(histograms), len(basis)), 1 / len(basis))
    for _ in range(FIT_STEPS):
        weights *= (histograms / (weights @ basis)) @ basis.T
    weights /= weights.sum(axis=1, keepdims=True)
    weights *= 1 - 10 * FLOOR
    weights += 10 * FLOOR / len(basis)
    return weights


def _noisy_rows(
    structure: TreeStructure,
    field: str,
    means: NDArray[np.float32] | None,
    noise: float,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Return the rows of one array: means (None: uniform) times log-normal noise, normalised."""
    widths = structure.row_widths(field)
    drawn = rng.standard_normal(structure.sizes[field], np.float32)
    drawn *= np.float32(noise)
    np.exp(drawn, out=drawn)
    if means is not None:
        drawn *= means
    sums = row_reduce(np.add, drawn, widths, np.float64).astype(np.float32)
    return row_scale(np.divide, drawn, sums, widths).astype(np.float32, copy=False)


def _node_blocks(structure: TreeStructure) -> list[NDArray[np.int64]]:
    """Split the nodes with emissions into blocks of one kind and alphabet whose histograms stay small."""
    blocks: list[NDArray[np.int64]] = []
    for kind in range(len(structure.basis_size) + 1):
        users = np.flatnonzero(structure.emission == kind)
        for width in np.unique(structure.node_alphabet[users]).tolist():
            same = users[structure.node_alphabet[users] == width]
            step = max(HISTOGRAM_ENTRIES // width, 1)
            blocks += [same[start : start + step] for start in range(0, len(same), step)]
    return blocks


def _histograms(
    structure: TreeStructure,
    nodes: NDArray[np.int64],
    samples: NDArray[np.integer],
    missing: NDArray[np.bool_] | None,
) -> NDArray[np.float64]:
    """Return (nodes, A) frequencies of the values of nodes of one alphabet, smoothed by one count in all."""
    width = int(structure.node_alphabet[nodes[0]])
    counts: NDArray[np.float64] = np.empty((len(nodes), width))
    for row, variable in enumerate(structure.variable[nodes].tolist()):
        column = samples[:, variable] if missing is None else samples[~missing[:, variable], variable]
        counts[row] = np.bincount(column.astype(np.int64), minlength=width)
    counts += 1 / width
    counts /= counts.sum(axis=1, keepdims=True)
    return counts


def _pooled_histogram(
    structure: TreeStructure,
    nodes: NDArray[np.int64],
    samples: NDArray[np.integer],
    missing: NDArray[np.bool_] | None,
) -> NDArray[np.float64]:
    step = max(HISTOGRAM_ENTRIES // int(structure.node_alphabet[nodes[0]]), 1)
    parts = (nodes[start : start + step] for start in range(0, len(nodes), step))
    total: NDArray[np.float64] = np.sum(
        [_histograms(structure, part, samples, missing).sum(axis=0) for part in parts], axis=0
    )
    return total


def _check_samples(
    structure: TreeStructure, samples: NDArray[np.integer], missing: NDArray[np.bool_] | None
) -> None:
    if samples.ndim != 2 or samples.shape[1] != structure.variables or samples.dtype.kind not in "iub":
        found = f"{samples.dtype} {samples.shape}"
        raise ValueError(f"samples must be integers (n, {structure.variables}), not {found}")
    if missing is not None and missing.shape != samples.shape:
        raise ValueError(f"missing has shape {missing.shape}, the samples {samples.shape}")
    beyond = (samples < 0) | (samples >= structure.alphabet)
    if missing is not None:
        beyond &= ~missing
    if beyond.any():
        sample, variable = np.argwhere(beyond)[0]
        raise ValueError(
            f"sample {sample}: variable {variable} is {samples[sample, variable]}, "
            f"but its alphabet is {structure.alphabet[variable]}"
        )
