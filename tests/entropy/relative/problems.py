"""Gaussian blocks to code, with posteriors like those of a Bayesian neural representation."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neuralcodec.entropy.relative import Blocks, decode_blocks, encode_blocks, kl_bits

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Problem:
    """Posterior and prior of blocks of equal size, block after block."""

    mu_q: Array
    sigma_q: Array
    mu_p: Array
    sigma_p: Array
    blocks: Blocks

    @property
    def divergence(self) -> Array:
        """Bits of each block."""
        bits = kl_bits(self.mu_q, self.sigma_q, self.mu_p, self.sigma_p)
        return np.add.reduceat(bits[self.blocks.members], self.blocks.starts[:-1])

    def encode(
        self, bits: int, seed: int = 1, threads: int | None = None, weight: float = 1.0
    ) -> tuple[NDArray[np.uint32], NDArray[np.float32]]:
        return encode_blocks(
            self.mu_q,
            self.sigma_q,
            self.mu_p,
            self.sigma_p,
            self.blocks,
            bits=bits,
            seed=seed,
            threads=threads,
            weight=weight,
        )

    def decode(self, indices: NDArray[np.uint32], bits: int, seed: int = 1) -> NDArray[np.float32]:
        return decode_blocks(indices, self.mu_p, self.sigma_p, self.blocks, bits=bits, seed=seed)

    def standardised(self, samples: NDArray[np.float32]) -> Array:
        """Samples in units of their posteriors, shape (blocks, size)."""
        members = self.blocks.members
        return ((samples - self.mu_q[members]) / self.sigma_q[members]).reshape(len(self.blocks), -1)


def problem(count: int, size: int, total: float, seed: int = 0) -> Problem:
    """Blocks of which each has exactly `total` bits of divergence, unevenly spread over its dimensions."""
    rng = np.random.default_rng(seed)
    shares = rng.exponential(1, (count, size)) + 0.1
    nats = total * np.log(2) * shares / shares.sum(axis=1, keepdims=True)
    # half of a dimension's divergence by its width, half by its mean, of either sign
    low, high = np.full(nats.shape, 1e-6), np.ones(nats.shape)
    for _ in range(60):
        middle = (low + high) / 2
        wide = -np.log(middle) + (middle**2 - 1) / 2 < nats / 2
        low, high = np.where(wide, low, middle), np.where(wide, middle, high)
    ratio = (low + high) / 2
    shift = np.sqrt(2 * (nats + np.log(ratio) - (ratio**2 - 1) / 2)) * rng.choice([-1, 1], nats.shape)
    mu_p, sigma_p = rng.normal(0, 3, count * size), rng.uniform(0.01, 2, count * size)
    mu_p, sigma_p = mu_p.astype(np.float32).astype(float), sigma_p.astype(np.float32).astype(float)
    blocks = Blocks.from_sizes(np.full(count, size), seed=seed)
    mu_q, sigma_q = np.empty_like(mu_p), np.empty_like(sigma_p)
    members = blocks.members
    mu_q[members] = mu_p[members] + sigma_p[members] * shift.ravel()
    sigma_q[members] = sigma_p[members] * ratio.ravel()
    return Problem(mu_q, sigma_q, mu_p, sigma_p, blocks)
