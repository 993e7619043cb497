"""Chow-Liu trees: the maximum spanning tree of pairwise mutual information, and its centre.

Chow and Liu, Approximating discrete probability distributions with dependence trees, IEEE Transactions on
Information Theory, 1968.
"""

import numpy as np
from numpy.typing import NDArray


def chow_liu_tree(information: NDArray[np.floating]) -> NDArray[np.int32]:
    """Return the edges of a maximum spanning tree, by Prim's algorithm in O(D^2).

    Ties go to the vertex of the lowest number, and to the neighbour that joined the tree first.

    Args:
        information: (D, D) symmetric matrix of finite weights; the diagonal is ignored.

    Returns:
        (D - 1, 2) int32 edges (vertex in the tree, vertex that joins), in the order of joining.

    Raises:
        ValueError: if the matrix is not square, or not finite.

    >>> chow_liu_tree(np.array([[0, 2, 1], [2, 0, 3], [1, 3, 0]])).tolist()
    [[0, 1], [1, 2]]
    """
    if information.ndim != 2 or information.shape[0] != information.shape[1] or not len(information):
        raise ValueError(f"information must be a square matrix, not {information.shape}")
    if not np.isfinite(information).all():
        raise ValueError("information must be finite")
    vertices = len(information)
    edges = np.empty((vertices - 1, 2), np.int32)
    outside = np.ones(vertices, bool)
    outside[0] = False
    best = information[0].astype(np.float64)
    neighbour = np.zeros(vertices, np.int32)
    for edge in edges:
        vertex = int(np.where(outside, best, -np.inf).argmax())
        edge[:] = neighbour[vertex], vertex
        outside[vertex] = False
        better = outside & (information[vertex] > best)
        best[better] = information[vertex][better]
        neighbour[better] = vertex
    return edges


def adjacency(edges: NDArray[np.integer], vertices: int) -> list[list[int]]:
    """Return the ascending neighbours of every vertex of a tree.

    Raises:
        ValueError: if the edges are not those of a tree on `vertices` vertices.
    """
    pairs = np.asarray(edges).reshape(-1, 2)
    if len(pairs) != vertices - 1:
        raise ValueError(f"a tree on {vertices} vertices has {vertices - 1} edges, not {len(pairs)}")
    if pairs.size and not 0 <= pairs.min() <= pairs.max() < vertices:
        raise ValueError(f"edges name vertices from {pairs.min()} to {pairs.max()}; there are {vertices}")
    neighbours: list[list[int]] = [[] for _ in range(vertices)]
    for one, other in pairs.tolist():
        neighbours[one].append(other)
        neighbours[other].append(one)
    for near in neighbours:
        near.sort()
    if min(_distances(neighbours, 0)) < 0:
        raise ValueError("the edges close a cycle and leave a vertex unconnected")
    return neighbours


def tree_centre(edges: NDArray[np.integer], vertices: int) -> int:
    """Return the centre of a tree: the vertex of least distance to its farthest one (the lower of two).

    Two breadth-first sweeps find a longest path; the centre is its middle.

    Raises:
        ValueError: if the edges are not those of a tree on `vertices` vertices.

    >>> tree_centre(np.array([[0, 1], [1, 2], [2, 3], [3, 4]]), 5)
    2
    """
    neighbours = adjacency(edges, vertices)
    end = int(np.argmax(_distances(neighbours, 0)))
    distance = _distances(neighbours, end)
    path = [int(np.argmax(distance))]
    while path[-1] != end:
        path.append(next(near for near in neighbours[path[-1]] if distance[near] < distance[path[-1]]))
    return min(path[(len(path) - 1) // 2], path[len(path) // 2])


def _distances(neighbours: list[list[int]], start: int) -> list[int]:
    """Return the number of edges from `start` to each vertex, -1 where there is no path."""
    distance = [-1] * len(neighbours)
    distance[start] = 0
    queue = [start]
    for vertex in queue:
        for near in neighbours[vertex]:
            if distance[near] < 0:
                distance[near] = distance[vertex] + 1
                queue.append(near)
    return distance
