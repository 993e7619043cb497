import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_circuits import seeds

from neuralcodec.circuits.builders import binary_tree, hclt, hmm, low_rank
from neuralcodec.circuits.structure import TreeStructure
from neuralcodec.errors import InvalidModel


def random_edges(rng: np.random.Generator, vertices: int) -> np.ndarray:
    names = rng.permutation(vertices)
    edges = np.array([[names[rng.integers(v)], names[v]] for v in range(1, vertices)]).reshape(-1, 2)
    return rng.permuted(edges, axis=1)


def subtree_sizes(tree: TreeStructure) -> list[int]:
    sizes = [1] * tree.nodes
    for node in range(tree.nodes - 1, 0, -1):
        sizes[tree.parent[node]] += sizes[node]
    return sizes


def assert_largest_subtree_is_last(tree: TreeStructure) -> None:
    sizes = subtree_sizes(tree)
    for children in tree.children:
        keys = [(sizes[child], tree.variable[child]) for child in children]
        assert keys == sorted(keys)


@given(seeds, st.integers(1, 40), st.booleans())
@settings(max_examples=60, deadline=None)
def test_hclt_joins_latents_as_the_tree_joins_samples(seed: int, variables: int, central: bool) -> None:
    rng = np.random.default_rng(seed)
    edges = random_edges(rng, variables)
    root = None if central else int(rng.integers(variables))
    tree = hclt(edges, shape=(variables,), dtype=np.uint8, alphabet=4, states=2, root=root)
    found = {
        frozenset((int(tree.variable[node]), int(tree.variable[tree.parent[node]])))
        for node in range(1, tree.nodes)
    }
    assert found == {frozenset(edge) for edge in edges.tolist()}
    assert root is None or tree.variable[0] == root
    assert_largest_subtree_is_last(tree)


def test_hclt_exact() -> None:
    edges = [[0, 1], [1, 2], [2, 3], [1, 4], [5, 1]]
    tree = hclt(edges, shape=(2, 3), dtype=np.uint8, alphabet=4, states=[3, 2, 2, 2, 2, 2], root=1)
    assert tree.variable.tolist() == [1, 0, 4, 5, 2, 3]
    assert tree.parent.tolist() == [-1, 0, 0, 0, 0, 4]
    assert tree.states.tolist() == [3, 2, 2, 2, 2, 2]
    assert tree.emission.tolist() == [1] * 6
    assert tree.basis_size == (64,)


def test_long_chains_need_no_recursion() -> None:
    edges = np.stack([np.arange(4999), np.arange(1, 5000)], axis=1)
    tree = hclt(edges, shape=(5000,), dtype=np.uint8, alphabet=2, states=1, root=0)
    assert tree.variable.tolist() == list(range(5000))


def test_each_alphabet_has_its_own_basis() -> None:
    tree = hmm(shape=(4,), dtype=np.uint8, alphabet=[9, 4, 9, 2], states=3, basis_size=5)
    assert tree.emission.tolist() == [3, 2, 3, 1]
    assert tree.basis_alphabet == (2, 4, 9)
    assert tree.basis_size == (5, 5, 5)


def test_free_emissions_have_no_basis() -> None:
    tree = hmm(shape=(2, 2), dtype=np.uint8, alphabet=4, states=3, emission="free")
    assert tree.emission.tolist() == [0] * 4
    assert tree.basis_size == ()
    assert (tree.free_size, tree.weight_size) == (48, 0)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=3))
@settings(max_examples=40, deadline=None)
def test_binary_tree_is_balanced(shape: list[int]) -> None:
    tree = binary_tree(shape=tuple(shape), dtype=np.uint8, alphabet=4, states=2)
    assert tree.nodes == 2 * tree.variables - 1
    assert_largest_subtree_is_last_by_size(tree)
    depth = [0] * tree.nodes
    for node in range(1, tree.nodes):
        depth[node] = depth[tree.parent[node]] + 1
    for node, children in enumerate(tree.children):
        assert len(children) == (2 if tree.variable[node] < 0 else 0)
    assert max(depth) <= sum(int(np.ceil(np.log2(side))) for side in shape)


def assert_largest_subtree_is_last_by_size(tree: TreeStructure) -> None:
    sizes = subtree_sizes(tree)
    for children in tree.children:
        assert [sizes[child] for child in children] == sorted(sizes[child] for child in children)


def test_binary_tree_meets_neighbours_low() -> None:
    tree = binary_tree(shape=(2, 4), dtype=np.uint8, alphabet=4, states=2)
    leaves = tree.variable[tree.variable >= 0]
    assert leaves.tolist() == [0, 1, 4, 5, 2, 3, 6, 7]


def test_low_rank_puts_a_silent_node_on_every_edge() -> None:
    tree = hclt([[0, 1], [1, 2], [1, 3]], shape=(4,), dtype=np.uint8, alphabet=4, states=8, root=1)
    thin = low_rank(tree, 2)
    assert thin.parent.tolist() == [-1, 0, 1, 0, 3, 0, 5]
    assert thin.variable.tolist() == [1, -1, 0, -1, 2, -1, 3]
    assert thin.emission.tolist() == [1, -1, 1, -1, 1, -1, 1]
    assert thin.transition_size == 3 * 2 * 16


def test_bad_options_are_refused() -> None:
    with pytest.raises(InvalidModel, match="'tied'"):
        hmm(shape=(2,), dtype=np.uint8, alphabet=4, states=2, emission="tied")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="root is 2"):
        hclt([[0, 1]], shape=(2,), dtype=np.uint8, alphabet=4, states=2, root=2)
    with pytest.raises(InvalidModel, match="node 1: states is 0"):
        hmm(shape=(2,), dtype=np.uint8, alphabet=4, states=[1, 0])
