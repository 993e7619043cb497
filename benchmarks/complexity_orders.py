"""Trees and evaluation orders for complexity.py: the C++ beside this file, compiled for this machine, and its arrays.

The orders ask for the same thing, the code length of a signal variable by variable, and share all arithmetic:

- naive: one whole marginal evaluation of the circuit for each variable.
- path: for each variable only the units on the way from its input up to the lowest unit above all variables so far;
  what is above that unit is summarised by marginals known beforehand (Liu, Mandt and Van den Broeck, Lossless
  Compression with Probabilistic Circuits, ICLR 2022). Variables come in the order that suits it best: a subtree is
  finished before its neighbour starts, larger subtrees first, a node's own variable after those below it.
- walk: the order of docs/format.md, 7.3, which the codec uses.
"""

import ctypes
import os
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuralcodec.circuits.builders import binary_tree, hclt
from neuralcodec.circuits.parameters import Levels, Parameters, dequantise, quantise
from neuralcodec.circuits.structure import FIELDS, TreeStructure

SOURCE = Path(__file__).with_suffix(".cpp")
STATES, ALPHABET, LANES = 16, 16, 16
ORDERS = ("naive", "path", "walk")
FLAGS = ("-O3", "-march=native", "-std=c++17", "-shared", "-fPIC", "-Wno-psabi")
_INTS = ("parent", "variable", "depth", "last_child", "first", "last", "order", "head")
_FLOATS = ("prior", "marginal", "transition", "emission")


class _Tree(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int32) for name in ("nodes", "variables", "alphabet", "depths")),
        *((name, ctypes.c_void_p) for name in (*_INTS, *_FLOATS)),
    ]


def balanced(variables: int) -> TreeStructure:
    """A balanced binary tree with the variables at its leaves: depth log2 D, 2 D - 1 nodes."""
    return binary_tree(
        shape=(variables,),
        dtype=np.uint8,
        alphabet=ALPHABET,
        states=STATES,
        emission="free",
    )


def image(variables: int) -> TreeStructure:
    """A hidden Chow-Liu tree as an image gives: a random spanning tree of a square grid, rooted at its centre."""
    side = round(variables**0.5)
    number = np.arange(variables).reshape(side, side)
    across = np.stack([number[:, :-1].ravel(), number[:, 1:].ravel()], 1)
    down = np.stack([number[:-1].ravel(), number[1:].ravel()], 1)
    edges = np.random.default_rng(variables).permutation(np.concatenate([across, down]))
    group = list(range(variables))

    def top(v: int) -> int:
        while group[v] != v:
            group[v] = group[group[v]]
            v = group[v]
        return v

    chosen = []
    for a, b in edges.tolist():
        one, other = top(a), top(b)
        if one != other:
            group[one] = other
            chosen.append((a, b))
    return _tree(chosen, variables)


def chain(variables: int) -> TreeStructure:
    """A hidden Chow-Liu tree that is a chain, rooted at its centre as every such tree is: depth D / 2."""
    return _tree([(i, i + 1) for i in range(variables - 1)], variables)


FAMILIES = {"balanced": balanced, "image": image, "chain": chain}


def _tree(edges: list[tuple[int, int]], variables: int) -> TreeStructure:
    shape = (variables,)
    return hclt(edges, shape=shape, dtype=np.uint8, alphabet=ALPHABET, states=STATES, emission="free")


def random_levels(structure: TreeStructure, seed: int = 0) -> Levels:
    """Random parameters, as the levels that a model file has."""
    rng = np.random.default_rng(seed)
    arrays = []
    for field in FIELDS:
        widths = structure.row_widths(field)
        values = rng.gamma(0.5, size=int(widths.sum())).astype(np.float32) + np.float32(1e-3)
        rows = values.reshape(-1, STATES) if values.size else values.reshape(0, STATES)
        arrays.append((rows / rows.sum(axis=1, keepdims=True)).reshape(-1))
    return quantise(structure, Parameters(*arrays))


@dataclass(frozen=True, eq=False)
class OrderedTree:
    """A circuit in the arrays that the compiled orders take.

    Attributes:
        structure, levels: the circuit.
        arrays: what the C++ structure points to.
    """

    structure: TreeStructure
    levels: Levels
    arrays: dict[str, NDArray[Any]]

    @property
    def parameters(self) -> int:
        """|p|: the parameters of all sum and input units."""
        return int(sum(self.structure.sizes.values()))

    def count(self, order: str) -> int:
        """Multiply-adds for one signal, counted without doing them."""
        return self._run(order, np.zeros((LANES, self.structure.variables), np.uint16), dry=True)[0]

    def bits(self, order: str, x: NDArray[np.uint16]) -> NDArray[np.float64]:
        """Code length of each of the (n, D) signals, n a multiple of LANES."""
        return self._run(order, x, dry=False)[1]

    def _run(self, order: str, x: NDArray[np.uint16], dry: bool) -> tuple[int, NDArray[np.float64]]:
        samples = np.ascontiguousarray(x, np.uint16)
        value, exponent = np.ones(len(x), np.float32), np.zeros(len(x), np.int32)
        s = self.structure
        tree = _Tree(s.nodes, s.variables, ALPHABET, int(self.arrays["depth"].max()) + 1)
        for name, array in self.arrays.items():
            setattr(tree, name, array.ctypes.data)
        pointers = (samples.ctypes.data, len(x) // LANES, value.ctypes.data, exponent.ctypes.data)
        count = _library().run_order(ctypes.byref(tree), ORDERS.index(order), *pointers, int(dry))
        bits: NDArray[np.float64] = -(np.log2(value.astype(np.float64)) + exponent)
        return count, bits


def ordered(structure: TreeStructure, levels: Levels) -> OrderedTree:
    """Prepare a circuit: its probabilities, marginals, and the order and heads of `path`."""
    theta = dequantise(structure, levels)
    nodes, parent = structure.nodes, structure.parent
    transition = np.zeros((nodes, STATES, STATES), np.float32)
    transition[1:] = theta.transition.reshape(-1, STATES, STATES).transpose(0, 2, 1)
    emission = np.zeros((nodes, ALPHABET, STATES), np.float32)
    owners = np.flatnonzero(structure.variable >= 0)
    emission[owners] = theta.free.reshape(-1, STATES, ALPHABET).transpose(0, 2, 1)
    marginal = np.zeros((nodes, STATES), np.float32)
    marginal[0] = theta.root
    depth, last_child = np.zeros(nodes, np.int32), np.ones(nodes, np.int32)
    for v in range(1, nodes):
        marginal[v] = transition[v] @ marginal[parent[v]]
        depth[v] = depth[parent[v]] + 1
    for children in structure.children:
        last_child[list(children[:-1])] = 0
    arrays = {"prior": marginal[0], "marginal": marginal, "transition": transition, "emission": emission}
    arrays |= {"parent": parent, "variable": structure.variable, "depth": depth, "last_child": last_child}
    return OrderedTree(structure, levels, arrays | _path_order(structure, depth))


def _path_order(structure: TreeStructure, depth: NDArray[np.int32]) -> dict[str, NDArray[np.int32]]:
    """The order of variables for `path`: larger subtrees first, a node's own variable after its children's."""
    size = np.ones(structure.nodes, np.int64)
    for v in range(structure.nodes - 1, 0, -1):
        size[structure.parent[v]] += size[v]
    order: list[int] = []
    first, last = (np.zeros(structure.nodes, np.int32) for _ in range(2))
    stack = [(0, False)]
    while stack:
        v, below_done = stack.pop()
        if below_done:
            if structure.variable[v] >= 0:
                order.append(v)
            last[v] = len(order) - 1
            continue
        first[v] = len(order)
        stack.append((v, True))
        stack += [(c, False) for c in sorted(structure.children[v], key=lambda c: int(size[c]))]
    head = np.zeros(len(order), np.int32)
    top = order[0]
    for i, v in enumerate(order):
        while not first[top] <= i <= last[top]:
            top = int(structure.parent[top])
        head[i] = top
        assert depth[v] >= depth[top]
    return {"order": np.array(order, np.int32), "head": head, "first": first, "last": last}


@cache
def _library() -> Any:
    """Compile the C++ beside this file for this machine and load it."""
    compiler = os.environ.get("CXX", "g++")
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "orders.so"
        defines = (f"-DSTATES={STATES}", f"-DLANES={LANES}")
        subprocess.run([compiler, *FLAGS, *defines, str(SOURCE), "-o", str(target)], check=True)
        library = ctypes.CDLL(str(target))
    library.run_order.restype = ctypes.c_uint64
    library.run_order.argtypes = [
        *(ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_int64),
        *(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int),
    ]
    return library
