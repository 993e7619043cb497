"""Relative entropy coding: bits of an index, what the bias costs, and speed.

    python benchmarks/relative_entropy.py [blocks]

The problem is a Gaussian source, coded at its rate-distortion function: s ~ N(0, v), prior N(0, v - D), posterior
N((1 - D / v) s, D (1 - D / v)) in each dimension, D the mean squared error of an exact posterior sample. Each block's
source is scaled so that the block takes exactly 16 bits of divergence. Rates are spread over the dimensions evenly, or
exponentially, as they are over the weights of a neural representation. Index models are fitted to one half of the
blocks; what the other half takes on the coder's stream is reported. `beyond_rate_distortion_bits` is what an
index takes beyond the rate at which an ideal code would reach the same error.
"""

import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from common import write_result
from numpy.typing import NDArray

from neuralcodec.entropy.ans import AnsEncoder
from neuralcodec.entropy.relative import Blocks, IndexModel, decode_blocks, encode_blocks, kl_bits
from neuralcodec.native import thread_count

KL = 16.0
SIZES = (20, 80, 200)
CANDIDATES = ((14, 1.0), (16, 1.0), (16, 0.5), (16, 0.0), (18, 1.0))
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Source:
    """Sources (blocks, size), and the Gaussians that code them; the distortion is 1 in every dimension."""

    source: Array
    rates: Array
    mu_q: Array
    sigma_q: Array
    sigma_p: Array

    @classmethod
    def draw(cls, blocks: int, rates: Array, seed: int) -> "Source":
        """Sources of so many bits in each dimension, scaled to KL bits a block."""
        rng = np.random.default_rng(seed)
        variance = 4.0**rates
        sigma_p, gain = np.sqrt(variance - 1), 1 - 1 / variance
        source = rng.standard_normal((blocks, len(rates))) * np.sqrt(variance)
        fixed = kl_bits(0, np.sqrt(gain), 0, sigma_p).sum()
        moving = ((gain * source / sigma_p) ** 2).sum(axis=1) / (2 * np.log(2))
        source *= np.sqrt((KL - fixed) / moving)[:, None]
        return cls(source, rates, gain * source, np.broadcast_to(np.sqrt(gain), source.shape), sigma_p)

    def encode(self, bits: int, weight: float) -> dict[str, Any]:
        """Figures of coding all blocks with 2^bits candidates, and this weight of the arrivals."""
        count, size = self.source.shape
        blocks = Blocks(
            np.arange(count * size), np.arange(0, count * size + 1, size), np.arange(count, dtype=np.uint32)
        )
        prior = np.zeros(count * size), np.tile(self.sigma_p, count)
        start = time.perf_counter()
        indices, samples = encode_blocks(
            self.mu_q.ravel(), self.sigma_q.ravel(), *prior, blocks, bits=bits, seed=1, weight=weight
        )
        seconds = time.perf_counter() - start
        start = time.perf_counter()
        again = decode_blocks(indices, *prior, blocks, bits=bits, seed=1)
        decoding = time.perf_counter() - start
        if not np.array_equal(again, samples):
            sys.exit("the decoder gives other samples than the encoder")
        error = float(np.mean((samples.reshape(count, size) - self.source) ** 2))
        exact = float(np.mean((self.mu_q - self.source) ** 2 + self.sigma_q**2))
        deviation = float(np.mean(((samples.reshape(count, size) - self.mu_q) / self.sigma_q) ** 2))
        coded = stream_bits(indices, bits)
        return {
            "index_bits": coded,
            "loss_db": 10 * np.log10(error / exact),
            "deviation_db": 10 * np.log10(deviation),
            "beyond_rate_distortion_bits": coded - (KL - size / 2 * float(np.log2(error / exact))),
            "encoder_seconds_per_block": seconds / count,
            "encoder_million_dimensions_per_second": count * size * 2**bits / seconds / 1e6,
            "decoder_million_dimensions_per_second": count * size / decoding / 1e6,
        }


def stream_bits(indices: NDArray[np.uint32], bits: int) -> float:
    """Bits of an index on the stream, each half of the blocks under a model fitted to the other."""
    half = len(indices) // 2
    total = 0
    for held_out, training in ((indices[:half], indices[half:]), (indices[half:], indices[:half])):
        encoder = AnsEncoder()
        IndexModel.fit(training, bits=bits).encode(encoder, held_out)
        total += 8 * len(encoder.to_bytes())
    return total / len(indices)


def spread(size: int, kind: str) -> Array:
    """Rates of the dimensions, KL bits in all."""
    if kind == "even":
        return np.full(size, KL / size)
    shares = -np.log((np.arange(size) + 0.5) / size)
    rates: Array = KL * shares / shares.sum()
    return rates


def main() -> None:
    """Code the sources of each kind."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    figures = {
        f"{kind}, {size} dimensions, 2^{bits} candidates, weight {weight}": Source.draw(
            count, spread(size, kind), size
        ).encode(bits, weight)
        for kind in ("even", "exponential")
        for size in SIZES
        for bits, weight in CANDIDATES
    }
    write_result(__file__, {"blocks": count, "kl_bits": KL, "threads": thread_count(), **figures})


if __name__ == "__main__":
    main()
