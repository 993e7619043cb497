"""Adversarial frequency tables and symbols for them."""

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from neuralcodec.entropy import normalise_counts

Table = NDArray[np.int64]


def _dominant(draw: st.DrawFn, alphabet: int, total: int) -> Table:
    table = np.ones(alphabet, dtype=np.int64)
    table[draw(st.integers(0, alphabet - 1))] = total - alphabet + 1
    return table


def _zero_tails(draw: st.DrawFn, alphabet: int, precision: int) -> Table:
    counts = np.zeros(alphabet, dtype=np.int64)
    first = draw(st.integers(0, alphabet - 1))
    last = draw(st.integers(first, min(alphabet - 1, first + 5)))
    counts[first : last + 1] = draw(st.lists(st.integers(1, 10**6), min_size=last - first + 1, max_size=6))[
        : last - first + 1
    ]
    return normalise_counts(counts, precision)


def _random(draw: st.DrawFn, alphabet: int, precision: int) -> Table:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    exponent = draw(st.sampled_from([0, 1, 4, 12]))
    return normalise_counts((rng.random(alphabet) ** exponent * 2**30).astype(np.int64) + 1, precision)


@st.composite
def tables(
    draw: st.DrawFn, precision: int = 24, max_alphabet: int = 4096, alphabet: int | None = None
) -> Table:
    """Tables of sum 2^precision: a dominant symbol, zero tails, uniform, random; 2 to 4,096 symbols."""
    limit = min(max_alphabet, 1 << precision)
    if alphabet is None:
        alphabet = draw(st.sampled_from([2, 3, limit]) | st.integers(2, limit))
    kind = draw(st.sampled_from(["dominant", "tails", "uniform", "random"]))
    if kind == "dominant":
        return _dominant(draw, alphabet, 1 << precision)
    if kind == "tails":
        return _zero_tails(draw, alphabet, precision)
    if kind == "uniform":
        return normalise_counts(np.ones(alphabet, dtype=np.int64), precision)
    return _random(draw, alphabet, precision)


@st.composite
def symbols_of(draw: st.DrawFn, table: Table, max_size: int = 60) -> NDArray[np.int32]:
    """Symbols drawn by the table, uniformly, or all at one end."""
    size = draw(st.integers(0, max_size))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["model", "uniform", "first", "last"]))
    if kind == "model":
        return rng.choice(len(table), size, p=table / table.sum()).astype(np.int32)
    if kind == "uniform":
        return rng.integers(0, len(table), size, dtype=np.int32)
    return np.full(size, 0 if kind == "first" else len(table) - 1, dtype=np.int32)
