"""The shared randomness: Philox words and fixed-point normals, in plain numpy (docs/format.md, section 8).

The native kernels do the same faster; tests hold them against this module.

Source: J. Salmon and others, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

import numpy as np
from numpy.typing import NDArray

from neuralcodec.entropy.integers import checked_integer
from neuralcodec.entropy.tables import NORMAL_BITS, load_normal

FOR_SAMPLES, FOR_ARRIVALS, FOR_ORDER = 0, 1, 2
"""The fourth word of a counter: what its words are for."""

_MULTIPLIERS = np.array([0xD2511F53, 0xCD9E8D57], dtype=np.uint64)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_ROUNDS = 10


def seed_key(seed: int) -> NDArray[np.uint32]:
    """Return the key of a seed, 0 to 2^64 - 1: its low word, then its high one.

    Raises
    ------
    EntropyCodingError
        For another seed.

    >>> seed_key((7 << 32) + 5)
    array([5, 7], dtype=uint32)
    """
    seed = checked_integer("seed", seed, 0, (1 << 64) - 1)
    return np.array([seed & 0xFFFFFFFF, seed >> 32], dtype=np.uint32)


def philox(key: NDArray[np.uint32], counters: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return the words (n, 4) of Philox4x32-10 for counters (n, 4) under a key of two words.

    >>> [hex(word) for word in philox(seed_key(0), np.zeros((1, 4), np.uint32))[0].tolist()]
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    c0, c1, c2, c3 = counters.astype(np.uint64).T
    k0, k1 = (int(word) for word in key)
    for _ in range(_ROUNDS):
        first, second = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c1 = (second >> 32) ^ c1 ^ np.uint64(k0), second & _LOW
        c2, c3 = (first >> 32) ^ c3 ^ np.uint64(k1), first & _LOW
        k0, k1 = (k0 + _WEYL[0]) & 0xFFFFFFFF, (k1 + _WEYL[1]) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], axis=1).astype(np.uint32)


def words_to_normals(words: NDArray[np.uint32]) -> NDArray[np.int32]:
    """Return standard normals in 2^-21 of uniform words, elementwise: symmetric, |z| below 6.34.

    The top bit is the sign; the others, m, are the tail probability ``(2 m + 1) / 2^33``, whose quantile is
    interpolated linearly between the 128 steps of its octave.

    >>> words_to_normals(np.array([0x7FFFFFFF, 0, 0x80000000, 0x28000000], np.uint32)) / 2**21
    array([ 0.        ,  6.33795786, -6.33795786,  1.00999022])
    """
    table = load_normal().astype(np.int64)
    bits = words.astype(np.int64)
    tail = 2 * (bits & 0x7FFFFFFF) + 1
    octave = np.frexp(tail.astype(np.float64))[1].astype(np.int64) - 1
    aligned = tail << (31 - octave)  # the leading one is bit 31
    entry = (octave << 7) + ((aligned >> 24) & 127)
    fraction = (aligned >> 8) & 0xFFFF
    size = table[entry] - (((table[entry] - table[entry + 1]) * fraction + (1 << 15)) >> 16)
    signed: NDArray[np.int32] = np.where(bits >> 31, -size, size).astype(np.int32)
    return signed


def sample(seed: int, block: int, index: int, dim: int) -> NDArray[np.float32]:
    """Return the standard normals of one candidate, shape (dim,): multiples of 2^-21, exact in float32.

    >>> sample(1, 0, 5, 3)
    array([0.9933162 , 0.53716516, 1.2593694 ], dtype=float32)
    """
    counters = np.zeros((-(-dim // 4), 4), dtype=np.uint32)
    counters[:] = (index, block, 0, FOR_SAMPLES)
    counters[:, 2] = np.arange(len(counters))
    z = words_to_normals(philox(seed_key(seed), counters).ravel()[:dim])
    return np.ldexp(z.astype(np.float32), np.int32(-NORMAL_BITS))
