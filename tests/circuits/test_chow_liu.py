import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_circuits import seeds

from neuralcodec.circuits.chow_liu import adjacency, chow_liu_tree, tree_centre


def is_tree(edges: list[tuple[int, int]], vertices: int) -> bool:
    parts = list(range(vertices))
    for one, other in edges:
        parts = [parts[one] if part == parts[other] else part for part in parts]
    return len(set(parts)) == 1


@given(seeds, st.integers(1, 5), st.booleans())
@settings(max_examples=40, deadline=None)
def test_no_spanning_tree_is_heavier(seed: int, vertices: int, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    half = rng.integers(0, 3, (vertices, vertices)) if ties else rng.standard_normal((vertices, vertices))
    weights = (half + half.T).astype(float)
    edges = [tuple(edge) for edge in chow_liu_tree(weights).tolist()]
    pairs = list(itertools.combinations(range(vertices), 2))
    trees = [tree for tree in itertools.combinations(pairs, vertices - 1) if is_tree(list(tree), vertices)]
    assert is_tree(edges, vertices)
    best = max(sum(weights[edge] for edge in tree) for tree in trees)
    assert sum(weights[edge] for edge in edges) == pytest.approx(best)


def test_ties_go_to_the_lowest_vertices() -> None:
    assert chow_liu_tree(np.zeros((4, 4))).tolist() == [[0, 1], [0, 2], [0, 3]]


@pytest.mark.parametrize("weights", [np.zeros((2, 3)), np.zeros((0, 0)), np.full((2, 2), np.nan)])
def test_bad_weights_are_refused(weights: np.ndarray) -> None:
    with pytest.raises(ValueError, match="information"):
        chow_liu_tree(weights)


@given(seeds, st.integers(1, 30))
@settings(max_examples=60)
def test_centre_is_the_lowest_vertex_of_least_eccentricity(seed: int, vertices: int) -> None:
    rng = np.random.default_rng(seed)
    names = rng.permutation(vertices)
    edges = np.array([[names[rng.integers(v)], names[v]] for v in range(1, vertices)]).reshape(-1, 2)
    distance = np.full((vertices, vertices), vertices)
    np.fill_diagonal(distance, 0)
    for one, other in edges:
        distance[one, other] = distance[other, one] = 1
    for middle in range(vertices):
        distance = np.minimum(distance, distance[:, middle, None] + distance[middle])
    eccentricity = distance.max(axis=1)
    assert tree_centre(edges, vertices) == int(np.argmin(eccentricity))


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ([[0, 1]], "2 edges, not 1"),
        ([[0, 1], [1, 3]], "from 0 to 3"),
        ([[0, 1], [1, 0]], "cycle"),
        ([[0, 1], [2, 2]], "cycle"),
    ],
)
def test_edges_that_are_no_tree_are_refused(edges: list[list[int]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        adjacency(np.array(edges), 3)
