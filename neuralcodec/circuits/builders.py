"""Builders of latent trees: hidden Chow-Liu trees, hidden Markov chains, binary trees and low-rank edges.

All take the same description of the variables:

- shape, dtype: of a signal; D is the product of the shape.
- alphabet: number of values of every sample, or (D,) of each.
- states: number of states of every node, or (N,) of each in node order.
- emission: "shared": weights over shared bases, one for each distinct alphabet, ascending; or "free".
- basis_size: number of distributions in every shared basis.

They return a validated structure, and raise InvalidModel where the format's rules are broken.
"""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from neuralcodec.circuits.chow_liu import adjacency, tree_centre
from neuralcodec.circuits.structure import TreeStructure
from neuralcodec.errors import InvalidModel

Emission = Literal["shared", "free"]


def hclt(
    tree_edges: ArrayLike,
    *,
    shape: tuple[int, ...],
    dtype: DTypeLike,
    alphabet: int | ArrayLike,
    states: int | ArrayLike,
    emission: Emission = "shared",
    basis_size: int = 64,
    root: int | None = None,
) -> TreeStructure:
    """Build a hidden Chow-Liu tree: one latent for each sample, joined as the given tree joins the samples.

    Liu and Van den Broeck, Tractable regularization of probabilistic circuits, NeurIPS 2021.

    Args:
        tree_edges: (D - 1, 2) undirected edges between samples.
        root: the sample whose latent is the root; None: the centre of the tree.

    Raises:
        ValueError: if the edges are not those of a tree on D vertices.

    >>> tree = hclt([[0, 1], [1, 2]], shape=(3,), dtype=np.uint8, alphabet=4, states=2)
    >>> tree.variable.tolist(), tree.parent.tolist()
    ([1, 0, 2], [-1, 0, 0])
    """
    variables = int(np.prod(shape))
    edges = np.asarray(tree_edges, np.int64).reshape(-1, 2)
    top = tree_centre(edges, variables) if root is None else root
    if not 0 <= top < variables:
        raise ValueError(f"root is {top}; samples run from 0 to {variables - 1}")
    vertex, parent = _preorder(adjacency(edges, variables), top)
    return _structure(vertex, parent, shape, dtype, alphabet, states, emission, basis_size)


def hmm(
    *,
    shape: tuple[int, ...],
    dtype: DTypeLike,
    alphabet: int | ArrayLike,
    states: int | ArrayLike,
    emission: Emission = "shared",
    basis_size: int = 64,
) -> TreeStructure:
    """Build a hidden Markov chain over the samples in C order.

    >>> hmm(shape=(2, 2), dtype=np.uint8, alphabet=4, states=2).parent.tolist()
    [-1, 0, 1, 2]
    """
    order = np.arange(int(np.prod(shape)))
    return _structure(order, order - 1, shape, dtype, alphabet, states, emission, basis_size)


def binary_tree(
    *,
    shape: tuple[int, ...],
    dtype: DTypeLike,
    alphabet: int | ArrayLike,
    states: int | ArrayLike,
    emission: Emission = "shared",
    basis_size: int = 64,
) -> TreeStructure:
    """Build a balanced binary tree of silent nodes with the samples at its leaves: N = 2 D - 1.

    Every silent node stands for a box of samples, halved along its longest side (the first of several), so
    that neighbours in any dimension meet low in the tree.

    >>> tree = binary_tree(shape=(1, 3), dtype=np.uint8, alphabet=4, states=2)
    >>> tree.variable.tolist(), tree.parent.tolist()
    ([-1, 0, -1, 1, 2], [-1, 0, 0, 2, 2])
    """
    index = np.arange(int(np.prod(shape))).reshape(shape)
    variable: list[int] = []
    parent: list[int] = []
    boxes = [(index, -1)]
    while boxes:
        box, above = boxes.pop()
        parent.append(above)
        variable.append(int(box.flat[0]) if box.size == 1 else -1)
        if box.size > 1:
            axis = int(np.argmax(box.shape))
            half = box.shape[axis] // 2
            low, high = np.split(box, [half], axis)
            # The stack hands out the last box first: the lower half, which is never the larger one.
            boxes += [(high, len(parent) - 1), (low, len(parent) - 1)]
    return _structure(
        np.array(variable), np.array(parent), shape, dtype, alphabet, states, emission, basis_size
    )


def low_rank(structure: TreeStructure, rank: int) -> TreeStructure:
    """Put a silent node of `rank` states on every edge: each transition becomes a product of two thin ones.

    >>> chain = hmm(shape=(2,), dtype=np.uint8, alphabet=4, states=8)
    >>> low_rank(chain, 2).states.tolist()
    [8, 2, 8]
    """
    nodes = 2 * structure.nodes - 1
    parent = np.arange(-1, nodes - 1)
    parent[1::2] = 2 * structure.parent[1:]
    variable = np.full(nodes, -1)
    variable[::2] = structure.variable
    states = np.full(nodes, rank)
    states[::2] = structure.states
    emission = np.full(nodes, -1)
    emission[::2] = structure.emission
    return TreeStructure(
        shape=structure.shape,
        dtype=structure.dtype,
        parent=parent.astype(np.int32),
        variable=variable.astype(np.int32),
        states=states,
        alphabet=structure.alphabet,
        emission=emission,
        basis_size=structure.basis_size,
        floor=structure.floor,
    ).validate()


def _preorder(neighbours: list[list[int]], root: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (vertex of each node, parent node of each node) in depth-first preorder from a root.

    Children come by ascending size of their subtrees, then by vertex.
    """
    order, above = [root], {root: -1}
    for vertex in order:
        for near in neighbours[vertex]:
            if near != above[vertex]:
                above[near] = vertex
                order.append(near)
    size = dict.fromkeys(order, 1)
    for vertex in reversed(order[1:]):
        size[above[vertex]] += size[vertex]
    number: dict[int, int] = {-1: -1}
    stack = [root]
    while stack:
        vertex = stack.pop()
        number[vertex] = len(number) - 1
        below = (near for near in neighbours[vertex] if near != above[vertex])
        stack += sorted(below, key=lambda child: (size[child], child), reverse=True)
    del number[-1]
    vertices = np.fromiter(number, np.int64, len(number))
    parents = np.array([-1, *(number[above[int(vertex)]] for vertex in vertices[1:])], np.int64)
    return vertices, parents


def _structure(
    variable: NDArray[np.integer],
    parent: NDArray[np.integer],
    shape: tuple[int, ...],
    dtype: DTypeLike,
    alphabet: int | ArrayLike,
    states: int | ArrayLike,
    emission: Emission,
    basis_size: int,
) -> TreeStructure:
    alphabets = np.broadcast_to(np.asarray(alphabet), (int(np.prod(shape)),))
    if emission == "shared":
        distinct, basis = np.unique(alphabets, return_inverse=True)
        kinds, sizes = np.where(variable < 0, -1, basis[variable] + 1), (basis_size,) * len(distinct)
    elif emission == "free":
        kinds, sizes = np.where(variable < 0, -1, 0), ()
    else:
        raise InvalidModel(f'emission is {emission!r}; it must be "shared" or "free"')
    return TreeStructure(
        shape=shape,
        dtype=np.dtype(dtype),
        parent=np.asarray(parent, np.int32),
        variable=np.asarray(variable, np.int32),
        states=np.broadcast_to(np.asarray(states), (len(parent),)),
        alphabet=alphabets,
        emission=kinds,
        basis_size=sizes,
    ).validate()
