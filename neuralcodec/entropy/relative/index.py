"""A fitted model of block indices: ordered arrivals favour small indices, which then cost fewer bits.

An index is coded as a token, its size to a quarter of an octave, under an integer table, and the bits below as they
are (docs/format.md, section 8.4). What decides a table is the divergence of the blocks and its spread: fit one for
each model, on the indices of training signals, and keep its frequencies with the model.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuralcodec.entropy.ans import AnsDecoder, AnsEncoder
from neuralcodec.entropy.integers import checked_integer, integer_array, normalise_counts
from neuralcodec.entropy.models import Categorical
from neuralcodec.entropy.relative.blocks import BITS
from neuralcodec.entropy.relative.coding import BITS_LIMIT
from neuralcodec.errors import EntropyCodingError

TABLE_PRECISION = 20
"""The frequencies of a token table sum to 2^20: enough to give all indices of 20 bits the same probability."""

_PIECE = 12
"""Bits are coded as they are in pieces of at most 12."""


class IndexModel:
    """A model of the indices of blocks, all of `bits` bits.

    Parameters
    ----------
    frequencies
        Shape (tokens,), integers of at least 1 with the sum 2^20; ``tokens`` is 4 bits - 4, or 2 for 1 bit.
    bits
        Indices are below 2^bits, 1 to 20.

    Raises
    ------
    EntropyCodingError
        For another number of frequencies or another sum.

    >>> model = IndexModel.fit([0, 1, 1, 2, 7, 9], bits=8)
    >>> encoder = AnsEncoder()
    >>> model.encode(encoder, [3, 200, 1])
    >>> decoder = AnsDecoder(encoder.to_bytes())
    >>> model.decode(decoder, 3)
    array([  3, 200,   1], dtype=uint32)
    >>> decoder.finish()
    """

    def __init__(self, frequencies: ArrayLike, *, bits: int = BITS) -> None:
        self.bits = checked_integer("bits", bits, 1, BITS_LIMIT)
        self._tokens = Categorical(frequencies, precision=TABLE_PRECISION)
        if self._tokens.size is not None or self._tokens.alphabet != token_count(self.bits):
            raise EntropyCodingError(
                f"indices of {self.bits} bits need {token_count(self.bits)} frequencies, not an array of shape "
                f"{np.shape(frequencies)}"
            )

    @classmethod
    def uniform(cls, bits: int = BITS) -> "IndexModel":
        """Return the model under which every index costs `bits` bits.

        >>> IndexModel.uniform(16).information([0, 1, 40_000])
        48.0
        """
        bits = checked_integer("bits", bits, 1, BITS_LIMIT)
        return cls(_widths(bits) << (TABLE_PRECISION - bits), bits=bits)

    @classmethod
    def fit(cls, indices: ArrayLike, *, bits: int = BITS, weight: float = 8.0) -> "IndexModel":
        """Fit a table to the indices of training blocks.

        Parameters
        ----------
        indices
            Shape (n,).
        bits
            Of the indices.
        weight
            The uniform model counts as much as this many indices, so that no token is given up.
        """
        uniform = cls.uniform(bits)
        tokens, _ = _split(_checked(indices, uniform.bits))
        counts = np.bincount(tokens, minlength=token_count(uniform.bits)).astype(np.float64)
        counts += weight * _widths(uniform.bits) / 2.0**uniform.bits
        scaled = np.rint(counts * (2.0**40 / max(counts.sum(), 1.0))).astype(np.int64)
        return cls(normalise_counts(scaled, TABLE_PRECISION), bits=uniform.bits)

    @property
    def frequencies(self) -> NDArray[np.int64]:
        """The table, int64, of the sum 2^20: what a model file keeps."""
        return np.diff(self._tokens.cdf())

    def information(self, indices: ArrayLike) -> float:
        """Return the ideal code length of indices in bits."""
        tokens, below = _split(_checked(indices, self.bits))
        return self._tokens.information(tokens) + float(below.sum())

    def encode(self, encoder: AnsEncoder, indices: ArrayLike) -> None:
        """Push indices on a stream.

        Raises
        ------
        EntropyCodingError
            For an index that is not an integer from 0 to 2^bits - 1.
        """
        array = _checked(indices, self.bits)
        tokens, below = _split(array)
        for width in range(_PIECE, 0, -1):
            at, shift = _pieces(below, width)
            encoder.encode_reverse((array[at] >> shift) & ((1 << width) - 1), _plain(width))
        encoder.encode_reverse(tokens, self._tokens)

    def decode(self, decoder: AnsDecoder, count: int) -> NDArray[np.uint32]:
        """Pop the indices of `count` blocks."""
        tokens = decoder.decode(self._tokens, count).astype(np.int64)
        below = np.maximum(tokens // 4 - 1, 0)
        indices = np.where(tokens < 4, tokens, (4 + tokens % 4) << below)
        for width in range(1, _PIECE + 1):
            at, shift = _pieces(below, width)
            pieces = decoder.decode(_plain(width), len(at)).astype(np.int64)
            indices[at] += pieces << shift
        return indices.astype(np.uint32)


def token_count(bits: int) -> int:
    """Return the number of tokens that indices of so many bits have."""
    return max(4 * bits - 4, 2)


def _widths(bits: int) -> NDArray[np.int64]:
    """Return how many indices share each token."""
    tokens = np.arange(token_count(bits))
    return np.int64(1) << np.maximum(tokens // 4 - 1, 0)


def _split(indices: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the token of each index, and how many of its bits are below the token."""
    below = np.maximum(np.frexp(indices.astype(np.float64))[1].astype(np.int64) - 3, 0)
    return 4 * below + (indices >> below), below


def _pieces(below: NDArray[np.int64], width: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return which indices have a piece of `width` bits, and how far each stands above the lowest bit.

    Up to 12 bits are one piece; of more, the low 12 are one and the others the second.
    """
    low, high = np.minimum(below, _PIECE) == width, below == width + _PIECE
    at = np.flatnonzero(low | high)
    return at, np.where(high[at], _PIECE, 0)


def _plain(width: int) -> Categorical:
    return Categorical(np.ones(1 << width, dtype=np.int64), precision=width)


def _checked(indices: ArrayLike, bits: int) -> NDArray[np.int64]:
    array = integer_array("indices", indices, 1)
    if array.size and not (int(array.min()) >= 0 and int(array.max()) < 1 << bits):
        raise EntropyCodingError(
            f"indices must be 0 to {(1 << bits) - 1}; found {array.min()} to {array.max()}"
        )
    return array
