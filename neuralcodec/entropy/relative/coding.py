"""A* coding of blocks of diagonal Gaussians: a sample of the posterior as the index of a shared prior sample.

Encoder and decoder share, by seed and block number, the candidates ``x_i = mu_p + sigma_p z_i``, i = 0 to N - 1, drawn
from the prior. The encoder chooses::

    argmax over i of  ln q(x_i) / p(x_i) - ln T_i

where ``T_i`` is the i-th arrival of a Poisson process: ``-ln T_i`` are decreasing Gumbels. The chosen candidate is a
sample of the posterior in the limit of many; of finitely many each is chosen with a probability proportional to q / p,
and where N is too small for the divergence that is a bias towards the prior. As T grows, small indices win where they
can, which :class:`~neuralcodec.entropy.relative.index.IndexModel` turns into fewer bits.

Sources: C. Maddison, D. Tarlow and T. Minka, "A* sampling", arXiv:1411.0030; G. Flamich, S. Markou and J. M.
Hernandez-Lobato, "Fast relative entropy coding with A* coding", arXiv:2201.12857, algorithm 2 (global bound, ordered
arrivals: Li and El Gamal's Poisson functional representation).
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuralcodec import native
from neuralcodec.entropy.integers import checked_integer, integer_array
from neuralcodec.entropy.relative.blocks import BITS, Blocks
from neuralcodec.entropy.relative.generator import seed_key
from neuralcodec.entropy.tables import load_normal
from neuralcodec.errors import EntropyCodingError

BITS_LIMIT = 20
"""Indices have at most this many bits: every bit doubles the encoder's work."""

_LARGEST_NORMAL = 6.34


def kl_bits(mu_q: ArrayLike, sigma_q: ArrayLike, mu_p: ArrayLike, sigma_p: ArrayLike) -> NDArray[np.float64]:
    """Return the KL divergence of N(mu_q, sigma_q) from N(mu_p, sigma_p) in bits, elementwise.

    Raises
    ------
    EntropyCodingError
        For means that are not finite, or deviations that are not finite and positive.

    >>> kl_bits([0.0, 1.0], 0.25, 0.0, 1.0).round(4)
    array([1.3237, 2.0451])
    """
    posterior_mean, posterior = _real("posterior means", mu_q), _deviation("posterior deviations", sigma_q)
    prior_mean, prior = _real("prior means", mu_p), _deviation("prior deviations", sigma_p)
    ratio, shift = posterior / prior, (posterior_mean - prior_mean) / prior
    nats = (ratio * ratio + shift * shift - 1) / 2 - np.log(ratio)
    divergence: NDArray[np.float64] = np.maximum(nats, 0) / np.log(2)
    return divergence


def encode_blocks(
    mu_q: ArrayLike,
    sigma_q: ArrayLike,
    mu_p: ArrayLike,
    sigma_p: ArrayLike,
    blocks: Blocks,
    *,
    bits: int = BITS,
    seed: int,
    weight: float = 1.0,
    threads: int | None = None,
) -> tuple[NDArray[np.uint32], NDArray[np.float32]]:
    """Choose a candidate for each block.

    The choice is the same on every machine, whatever the threads. Time grows with ``2^bits`` times the dimensions that
    are looked at: after every four, candidates whose score cannot reach the best one any more are given up, and all
    that are left once ``T`` exceeds what the largest possible log ratio allows.

    Parameters
    ----------
    mu_q, sigma_q
        Posterior means and standard deviations, shape (n,).
    mu_p, sigma_p
        Those of the prior, shape (n,); they are used as float32, as the decoder has them.
    blocks
        Which parameters are coded together; a block should hold at most `bits` bits of divergence.
    bits
        Candidates are 2^bits, 1 to 20.
    seed
        Of the candidates, 0 to 2^64 - 1, shared with the decoder.
    weight
        Of ``ln T``, 0 to 1. 1 samples the posterior. Less of it chooses likelier samples with larger indices: at 0 the
        likeliest candidate, whose index takes `bits` bits. That pays where the divergence is near `bits`, where
        the bias costs most; the decoder need not know.
    threads
        Blocks are encoded in parallel; None: as many as there are cores, or NEURALCODEC_THREADS.

    Returns
    -------
    indices, uint32 (blocks,), and the samples that :func:`decode_blocks` gives for them.

    Raises
    ------
    EntropyCodingError
        For parameters that are not finite, deviations that are not positive, and members outside the arrays.

    >>> blocks = Blocks.from_sizes([2, 1], seed=0)
    >>> mu, sigma = np.array([1.0, -1.0, 0.5]), np.full(3, 0.1)
    >>> indices, samples = encode_blocks(mu, sigma, np.zeros(3), np.ones(3), blocks, bits=12, seed=0)
    >>> bool(np.abs(samples - mu[blocks.members]).max() < 0.5)
    True
    >>> bool((samples == decode_blocks(indices, np.zeros(3), np.ones(3), blocks, bits=12, seed=0)).all())
    True
    """
    bits = checked_integer("bits", bits, 1, BITS_LIMIT)
    if not 0 <= weight <= 1:
        raise EntropyCodingError(f"the weight of the arrivals must be 0 to 1, not {weight}")
    prior_mean, prior = _prior(mu_p, sigma_p, blocks)
    posterior_mean = _members(_real("posterior means", mu_q), blocks)
    posterior = _members(_deviation("posterior deviations", sigma_q), blocks)
    target = _target(posterior_mean, posterior, prior_mean, prior)
    indices = native.relative_select(
        seed_key(seed), load_normal(), blocks.numbers, blocks.starts, target, 1 << bits, weight, threads
    )
    return indices, _samples(indices, prior_mean, prior, blocks, seed, threads)


def decode_blocks(
    indices: ArrayLike,
    mu_p: ArrayLike,
    sigma_p: ArrayLike,
    blocks: Blocks,
    *,
    bits: int = BITS,
    seed: int,
    threads: int | None = None,
) -> NDArray[np.float32]:
    """Return the samples that indices stand for: docs/format.md, section 8.3.

    Returns
    -------
    float32, shape (m,): sample i belongs to parameter ``blocks.members[i]``. The same on every machine.

    Raises
    ------
    EntropyCodingError
        For indices outside 0 to 2^bits - 1, or not one for each block; for priors as in :func:`encode_blocks`.
    """
    limit = 1 << checked_integer("bits", bits, 1, BITS_LIMIT)
    array = integer_array("indices", indices, 1)
    if len(array) != len(blocks):
        raise EntropyCodingError(f"{len(array)} indices for {len(blocks)} blocks")
    outside = (array < 0) | (array >= limit)
    if outside.any():
        at = int(np.argmax(outside))
        raise EntropyCodingError(f"index {int(array[at])} of block {at} is outside 0 to {limit - 1}")
    prior_mean, prior = _prior(mu_p, sigma_p, blocks)
    return _samples(array.astype(np.uint32), prior_mean, prior, blocks, seed, threads)


def _samples(
    indices: NDArray[np.uint32],
    mean: NDArray[np.float32],
    deviation: NDArray[np.float32],
    blocks: Blocks,
    seed: int,
    threads: int | None,
) -> NDArray[np.float32]:
    z = native.relative_sample(seed_key(seed), load_normal(), blocks.numbers, blocks.starts, indices, threads)
    z *= deviation  # two roundings, never fused: numpy's element-wise products and sums are plain IEEE ones
    z += mean
    return z


def _target(
    posterior_mean: NDArray[np.float64],
    posterior: NDArray[np.float64],
    prior_mean: NDArray[np.float32],
    prior: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return centre, steepness and peak of the log ratios: ``z^2 / 2 - (z - m)^2 / (2 s^2)`` without its constant."""
    with np.errstate(over="ignore", divide="ignore"):
        m = (posterior_mean - prior_mean) / prior
        s = posterior / prior
        narrower = np.maximum(1 - s * s, np.finfo(np.float64).tiny)
        peak = np.minimum(m * m / (2 * narrower), _LARGEST_NORMAL**2 / 2)
        wide = (s >= 1) & (m != 0) | (s > 1)
        peak[wide] = _LARGEST_NORMAL**2 / 2
        steepness = 1 / (s * np.sqrt(2))
        return m.astype(np.float32), steepness.astype(np.float32), peak.astype(np.float32)


def _prior(
    mu_p: ArrayLike, sigma_p: ArrayLike, blocks: Blocks
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    with np.errstate(over="ignore"):
        mean = np.asarray(_real("prior means", mu_p), dtype=np.float32)
        deviation = np.asarray(_deviation("prior deviations", sigma_p), dtype=np.float32)
    # what is finite and positive may not be so any more as float32
    return _members(_real("prior means", mean), blocks), _members(
        _deviation("prior deviations", deviation), blocks
    )


def _real(name: str, values: ArrayLike) -> NDArray[Any]:
    array = np.asarray(values)
    if array.dtype.kind not in "iuf":
        raise EntropyCodingError(f"{name} must be real numbers, not {array.dtype}")
    if array.dtype != np.float32:
        array = array.astype(np.float64)
    bad = ~np.isfinite(array)
    if bad.any():
        raise EntropyCodingError(f"{name} must be finite; found {array.flat[int(np.argmax(bad))]}")
    return array


def _deviation(name: str, values: ArrayLike) -> NDArray[Any]:
    array = _real(name, values)
    bad = ~(array > 0)
    if bad.any():
        raise EntropyCodingError(f"{name} must be positive; found {array.flat[int(np.argmax(bad))]}")
    return array


def _members(values: NDArray[Any], blocks: Blocks) -> NDArray[Any]:
    if values.ndim != 1:
        raise EntropyCodingError(f"Gaussians must be arrays of rank 1, not of shape {values.shape}")
    if len(blocks.members) and int(blocks.members.max()) >= len(values):
        raise EntropyCodingError(
            f"a block has the parameter {int(blocks.members.max())}; there are {len(values)}"
        )
    return values[blocks.members]
