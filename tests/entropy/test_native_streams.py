"""The circuit kernel's streams are constriction's: its `AnsCoder` reads them by the same integer tables."""

from dataclasses import dataclass

import constriction  # type: ignore[import-untyped]
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from neuralcodec.entropy import AnsDecoder, AnsEncoder, Categorical, bytes_to_words, words_to_bytes
from neuralcodec.native import CircuitKernel

from .rans_reference import Rans, encode_reverse

Samples = NDArray[np.uint16]


@dataclass
class Tree:
    """A random circuit: the kernel, and in node order the variables with their alphabets."""

    kernel: CircuitKernel
    variables: list[int]
    alphabet: NDArray[np.int32]

    def samples(self, rng: np.random.Generator, n: int) -> Samples:
        return (rng.random((n, len(self.alphabet))) * self.alphabet).astype(np.uint16)

    def coded(self, x: Samples, missing: NDArray[np.uint8] | None) -> list[tuple[int, Samples]]:
        """Alphabet and coded samples of each variable, in coding order."""
        seen = [x[:, i] if missing is None else x[missing[:, i] == 0, i] for i in self.variables]
        return [(int(self.alphabet[i]), part) for i, part in zip(self.variables, seen, strict=True)]


def levels(rng: np.random.Generator, rows: int, cols: int) -> NDArray[np.uint16]:
    """Rows of levels with sums of squares from 1 to below 2^24: sparse, dense, or of one peak."""
    table = rng.integers(0, max(2, 4000 // int(np.sqrt(cols) + 1)), (rows, cols))
    table *= rng.random((rows, cols)) < rng.choice([0.1, 0.5, 1.0])
    table[np.arange(rows), rng.integers(0, cols, rows)] += 1
    return table.astype(np.uint16).ravel()


def random_tree(rng: np.random.Generator, nodes: int, max_states: int, alphabets: list[int]) -> Tree:
    parent = np.array([-1] + [0] * (nodes - 1), dtype=np.int32)
    for v in range(1, nodes):  # the previous node or one of its ancestors: depth-first preorder
        parent[v] = v - 1
        while parent[v] > 0 and rng.random() < 0.5:
            parent[v] = parent[parent[v]]
    states = rng.integers(1, max_states + 1, nodes, dtype=np.int32)
    silent = rng.random(nodes) < 0.2
    silent[-1] = False
    owners = np.flatnonzero(~silent)
    variable = np.full(nodes, -1, dtype=np.int32)
    variable[owners] = rng.permutation(len(owners))
    alphabet = rng.choice(alphabets, len(owners)).astype(np.int32)
    used = sorted(set(alphabet.tolist()))  # one shared basis for each alphabet
    sizes = rng.integers(1, 7, len(used), dtype=np.int32)
    emission = np.full(nodes, -1, dtype=np.int32)
    for v in owners.tolist():
        emission[v] = 0 if rng.random() < 0.5 else 1 + used.index(alphabet[variable[v]])
    absent = sorted(set(range(1, len(used) + 1)) - set(emission.tolist()))
    for b in reversed(absent):  # bases are numbered without gaps
        emission[emission > b] -= 1
        used.pop(b - 1)
        sizes = np.delete(sizes, b - 1)
    free = [levels(rng, states[v], alphabet[variable[v]]) for v in owners if emission[v] == 0]
    weight = [levels(rng, states[v], sizes[emission[v] - 1]) for v in owners if emission[v] > 0]
    basis = [levels(rng, size, width) for size, width in zip(sizes, used, strict=True)]
    transition = [levels(rng, states[parent[v]], states[v]) for v in range(1, nodes)]
    root = levels(rng, 1, states[0])
    tables = (flat(transition), flat(weight), flat(free), flat(basis))
    kernel = CircuitKernel(parent, variable, states, alphabet, emission, root, *tables, sizes)
    return Tree(kernel, variable[owners].tolist(), alphabet)


def flat(parts: list[NDArray[np.uint16]]) -> NDArray[np.uint16]:
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.uint16)


def frequencies(row: NDArray[np.uint32], alphabet: int) -> NDArray[np.int64]:
    table = row[1 : alphabet + 1].astype(np.int64) - row[:alphabet]
    assert row[0] == 0
    assert row[alphabet] == 1 << 24
    assert int(table.min()) >= 1
    return table


def assert_constriction_reads(
    tree: Tree, stream: bytes, x: Samples, missing: NDArray[np.uint8] | None
) -> None:
    """Decode with constriction itself, symbol by symbol, then encode again: the same words."""
    tables = iter(tree.kernel.tables(x, missing))
    models = []
    coder = constriction.stream.stack.AnsCoder(bytes_to_words(stream)) if stream else None
    coder = coder or constriction.stream.stack.AnsCoder()
    for alphabet, samples in tree.coded(x, missing):
        for sample in samples.tolist():
            table = frequencies(next(tables), alphabet)
            if alphabet == 1:  # constriction has no such alphabet; it takes no bits
                assert sample == 0
                continue
            model = constriction.stream.model.Categorical((table - 1).astype(np.float64), perfect=False)
            assert coder.decode(model) == sample
            models.append((sample, model))
    assert next(tables, None) is None
    assert coder.is_empty()
    for sample, model in reversed(models):
        coder.encode_reverse(sample, model)
    assert words_to_bytes(coder.get_compressed()) == stream


def assert_entropy_reads(tree: Tree, stream: bytes, x: Samples, missing: NDArray[np.uint8] | None) -> None:
    """Decode with this package, a family of tables for each variable; encode with the pure-integer coder."""
    tables = tree.kernel.tables(x, missing)
    decoder, encoder, at = AnsDecoder(stream), AnsEncoder(), 0
    families, intervals = [], []
    for alphabet, samples in tree.coded(x, missing):
        rows = tables[at : at + len(samples), : alphabet + 1]
        at += len(samples)
        family = Categorical.from_cdf(rows.reshape(-1, alphabet + 1))
        assert np.array_equal(decoder.decode(family), samples)
        families.append((samples, family))
        starts, widths = family.intervals(family.offsets(samples))
        intervals += list(zip(starts.tolist(), widths.tolist(), strict=True))
    decoder.finish()
    for samples, family in reversed(families):
        encoder.encode_reverse(samples, family)
    assert encoder.to_bytes() == stream
    assert encode_reverse(intervals).to_bytes() == stream


@given(
    seed=st.integers(0, 2**32 - 1),
    nodes=st.integers(1, 12),
    n=st.integers(1, 20),
    alphabets=st.sampled_from([[1, 2, 3], [2], [5, 40], [256]]),
    masked=st.booleans(),
)
def test_a_group_word_for_word(seed: int, nodes: int, n: int, alphabets: list[int], masked: bool) -> None:
    rng = np.random.default_rng(seed)
    tree = random_tree(rng, nodes, 20, alphabets)
    x = tree.samples(rng, n)
    missing = (rng.random(x.shape) < 0.3).astype(np.uint8) if masked else None
    (stream,) = tree.kernel.encode(x, missing, n)
    assert_constriction_reads(tree, stream, x, missing)
    assert_entropy_reads(tree, stream, x, missing)


def test_the_largest_alphabet() -> None:
    rng = np.random.default_rng(1)
    tree = random_tree(rng, 5, 6, [4096, 2])
    x = tree.samples(rng, 30)
    (stream,) = tree.kernel.encode(x, None, 30)
    assert_constriction_reads(tree, stream, x, None)
    assert_entropy_reads(tree, stream, x, None)


@pytest.mark.parametrize("group", [1, 3, 8, 100])
def test_every_group_is_a_stream_of_its_own(group: int) -> None:
    rng = np.random.default_rng(2)
    tree = random_tree(rng, 15, 33, [17, 4])
    x = tree.samples(rng, 20)
    streams = tree.kernel.encode(x, None, group)
    assert len(streams) == -(-20 // group)
    for number, stream in enumerate(streams):
        assert_entropy_reads(tree, stream, x[number * group : (number + 1) * group], None)


def test_streams_made_by_constriction_are_read_by_the_kernel() -> None:
    rng = np.random.default_rng(3)
    tree = random_tree(rng, 9, 12, [7, 30])
    x = tree.samples(rng, 12)
    tables = tree.kernel.tables(x)
    encoder, at = AnsEncoder(), len(tables)
    for alphabet, samples in reversed(tree.coded(x, None)):
        rows = tables[at - len(samples) : at, : alphabet + 1]
        at -= len(samples)
        encoder.encode_reverse(samples, Categorical.from_cdf(rows))
    assert np.array_equal(tree.kernel.decode([encoder.to_bytes()], 12, None, 12), x)


def test_everything_missing_leaves_an_empty_stream() -> None:
    rng = np.random.default_rng(4)
    tree = random_tree(rng, 4, 3, [5])
    x = tree.samples(rng, 6)
    missing = np.ones(x.shape, dtype=np.uint8)
    assert tree.kernel.encode(x, missing, 6) == [b""]
    assert tree.kernel.tables(x, missing).shape[0] == 0


def test_the_code_length_is_that_of_the_tables() -> None:
    rng = np.random.default_rng(5)
    tree = random_tree(rng, 40, 16, [32])
    x = tree.samples(rng, 64)
    (stream,) = tree.kernel.encode(x, None, 64)
    tables, at, bits = tree.kernel.tables(x), 0, 0.0
    for alphabet, samples in tree.coded(x, None):
        rows = tables[at : at + len(samples), : alphabet + 1]
        bits += Categorical.from_cdf(rows).information(samples)
        at += len(samples)
    assert bits / 8 - 1 <= len(stream) <= bits / 8 * 1.001 + 4
    assert Rans.from_bytes(stream).to_bytes() == stream
