"""Model files and the derived tables of circuits, as docs/format.md gives them in its sections 5 and 7.1.

Part of the independent decoder (decoder.py).
"""

import hashlib
import json
import zlib
from dataclasses import dataclass

import numpy as np
from decoder_photo import Photo, read_photo
from decoder_primitives import (
    ELEMENTS,
    MIB,
    Reader,
    Refused,
    Unsupported,
    check_signal,
    is_name,
    largest_value,
    must,
    read_tensor,
)
from decoder_representation import Representation, read_representation
from numpy.typing import NDArray

Matrix = NDArray[np.int64]
Table = NDArray[np.float32]


@dataclass(frozen=True)
class Node:
    """A node: its place and its derived tables (None where it has none)."""

    parent: int
    states: int
    variable: int
    """-1 if the node is silent."""
    prior: Table | None
    """(states,), of the root only."""
    transition: Table | None
    """(states of the parent, states)."""
    weight: Table | None
    """(states, rows of the basis)."""
    symbols: Table | None
    """(states or rows of the basis, alphabet): E for free emissions, else B."""
    cumulative: Table | None
    """(states or rows of the basis, alphabet): C."""


@dataclass(frozen=True)
class Model:
    """A circuit and the signal that it models."""

    identity: bytes
    dtype: int
    shape: tuple[int, ...]
    nodes: list[Node]
    floor: np.float32
    """Of the entries of prior messages."""

    def path_states(self) -> int:
        """Return the largest sum of states on a path from the root."""
        sums: list[int] = []
        for node in self.nodes:
            sums.append(node.states + (sums[node.parent] if sums else 0))
        return max(sums)


def read_model(data: bytes) -> Model | Photo | Representation:
    """Return the model of a model file."""
    reader = Reader(data)
    must(reader.take(4) == b"\x89NCM", "no model file")
    if (version := reader.unsigned(1)) != 1:
        raise Unsupported(f"version {version} of the model format")
    must(len(data) >= 9, "the file ends before its CRC-32")
    must(zlib.crc32(data[:-4]) == int.from_bytes(data[-4:], "little"), "the CRC-32 is wrong")
    reader = Reader(data[:-4], reader.at)
    identity = reader.take(32)
    family = reader.take(reader.varint(64))
    must(is_name(family), "the family is no printable ASCII")
    _check_header(reader.take(reader.varint(MIB)))
    tensors = _read_tensors(reader)
    must(identity == _identity(family, tensors), "the identity is not that of the tensors")
    if family == b"recombiner":
        return read_representation(identity, tensors)
    if family == b"photo":
        return read_photo(identity, tensors)
    if family != b"circuit":
        raise Unsupported(f"the family {family!r}")
    return _read_circuit(identity, tensors)


def _check_header(text: bytes) -> None:
    try:
        header = json.loads(text.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise Refused("the header is no JSON") from error
    must(isinstance(header, dict), "the header is no JSON object")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _read_tensors(reader: Reader) -> dict[str, Matrix]:
    tensors: dict[str, Matrix] = {}
    last, elements = b"", 0
    for _ in range(reader.varint()):
        name = reader.take(reader.varint(64))
        must(is_name(name), "the name of a tensor is no printable ASCII")
        must(name > last, "the names of the tensors do not ascend")
        last = name
        rows, columns = reader.varint(ELEMENTS), reader.varint(ELEMENTS)
        elements += rows * columns
        must(elements <= ELEMENTS, "the tensors have more than 2^28 elements")
        body = reader.take(reader.varint())
        if rows or columns or body:
            tensors[name.decode()] = read_tensor(body, rows, columns)
        else:
            tensors[name.decode()] = np.zeros((0, 0), np.int64)
    reader.finish()
    return tensors


def _identity(family: bytes, tensors: dict[str, Matrix]) -> bytes:
    digest = hashlib.sha256(family + b"\0")
    for name, tensor in tensors.items():
        largest = int(tensor.max(initial=0))
        width = 1 if largest < 1 << 8 else 2 if largest < 1 << 16 else 4
        digest.update(name.encode() + b"\0")
        for number, size in ((tensor.shape[0], 8), (tensor.shape[1], 8), (width, 1)):
            digest.update(number.to_bytes(size, "little"))
        digest.update(tensor.astype(f"<u{width}").tobytes())
    return digest.digest()


class _Tensors:
    """The tensors of a circuit, each of which must be asked for once, with its shape."""

    def __init__(self, tensors: dict[str, Matrix]) -> None:
        self.tensors = dict(tensors)

    def take(self, name: str, rows: int | None, columns: int | None) -> Matrix:
        must(name in self.tensors, f"the tensor {name} is not there")
        tensor = self.tensors.pop(name)
        must(tensor.size > 0, f"the tensor {name} is empty")
        must(rows in (None, tensor.shape[0]), f"the tensor {name} has {tensor.shape[0]} rows")
        must(columns in (None, tensor.shape[1]), f"the tensor {name} has {tensor.shape[1]} columns")
        return tensor

    def levels(self, name: str, rows: int | None, columns: int | None) -> Matrix:
        """Take rows of levels and return their counts."""
        levels = self.take(name, rows, columns)
        must(int(levels.max()) <= 4_095, f"a level of {name} is above 4,095")
        counts = levels * levels
        sums = counts.sum(axis=1)
        must(bool(((sums >= 1) & (sums < 1 << 24)).all()), f"a row of {name} has a sum out of range")
        return counts


@dataclass(frozen=True)
class _Structure:
    """The structure tensors of a circuit, checked. -1: no parent, variable or emission; emission 0: free."""

    dtype: int
    shape: tuple[int, ...]
    parent: list[int]
    variable: list[int]
    states: list[int]
    emission: list[int]
    alphabet: list[int]
    """Of each node, 0 if it is silent."""

    def users(self, kind: int) -> list[int]:
        """Return the nodes of an emission."""
        return [v for v, emission in enumerate(self.emission) if emission == kind]


def _read_structure(tensors: _Tensors) -> _Structure:
    dimensions = tensors.take("shape", 1, None)[0].tolist()
    dtype, shape = check_signal(int(tensors.take("dtype", 1, 1)[0, 0]), dimensions)
    alphabet = tensors.take("alphabet", 1, int(np.prod(shape)))[0].tolist()
    largest = min(4_096, largest_value(dtype) + 1)
    must(all(1 <= size <= largest for size in alphabet), "an alphabet is out of range")
    steps = tensors.take("parent", 1, None)[0].tolist()
    count = len(steps)
    must(count <= 131_072, "more than 131,072 nodes")
    states = tensors.take("states", 1, count)[0].tolist()
    must(all(1 <= m <= 4_096 for m in states), "a node's states are out of range")
    variable = [code - 1 for code in tensors.take("variable", 1, count)[0].tolist()]
    must(sorted(v for v in variable if v >= 0) == list(range(len(alphabet))), "a sample is not owned once")
    emission = [code - 1 for code in tensors.take("emission", 1, count)[0].tolist()]
    must(all((v < 0) == (e < 0) for v, e in zip(variable, emission, strict=True)), "silent yet emitting")
    alphabets = [alphabet[v] if v >= 0 else 0 for v in variable]
    return _Structure(dtype, shape, _check_preorder(steps), variable, states, emission, alphabets)


def _read_circuit(identity: bytes, matrices: dict[str, Matrix]) -> Model:
    tensors = _Tensors(matrices)
    tree = _read_structure(tensors)
    prior = _probabilities(tensors.levels("root", 1, tree.states[0]))[0]
    bases: list[Matrix] = []
    for b in range(max(tree.emission)):
        sizes = {tree.alphabet[v] for v in tree.users(b + 1)}
        must(len(sizes) == 1, f"basis {b} has no user or users of several alphabets")
        bases.append(tensors.levels(f"basis.{b}", None, sizes.pop()))
        must(len(bases[b]) <= 4_096, f"basis {b} has more than 4,096 rows")
    edges = [(v, tree.states[v], tree.states[tree.parent[v]]) for v in range(1, len(tree.parent))]
    transitions = _deal(tensors, "transition", edges)
    free = _deal(tensors, "free", [(v, tree.alphabet[v], tree.states[v]) for v in tree.users(0)])
    shared = [(v, len(bases[e - 1]), tree.states[v]) for v, e in enumerate(tree.emission) if e > 0]
    weights = _deal(tensors, "weight", shared)
    floor = np.float32(0)
    if "floor" in matrices:
        exponent = int(tensors.take("floor", 1, 1)[0, 0])
        must(1 <= exponent <= 100, "the floor is out of range")
        floor = np.float32(2.0**-exponent)
    must(not tensors.tensors, f"there is no tensor {next(iter(tensors.tensors), '')} in this circuit")
    symbols = {v: bases[e - 1] for v, e in enumerate(tree.emission) if e > 0} | free
    cumulative = {id(counts): _cumulative(counts) for counts in symbols.values()}
    emitted = {id(counts): _probabilities(counts) for counts in symbols.values()}
    nodes = [
        Node(
            parent=tree.parent[v],
            states=tree.states[v],
            variable=tree.variable[v],
            prior=None if v else prior,
            transition=_probabilities(transitions[v]) if v else None,
            weight=_probabilities(weights[v]) if v in weights else None,
            symbols=emitted[id(symbols[v])] if v in symbols else None,
            cumulative=cumulative[id(symbols[v])] if v in symbols else None,
        )
        for v in range(len(tree.parent))
    ]
    return Model(identity, tree.dtype, tree.shape, nodes, floor)


def _check_preorder(steps: list[int]) -> list[int]:
    """Return the parent of each node, -1 for the root."""
    must(steps[0] == 0, "node 0 is not the root")
    parent = [-1]
    path = [0]  # the previous node and its ancestors, from the root down
    for v, step in enumerate(steps[1:], 1):
        while path and path[-1] != v - step:
            path.pop()
        must(bool(path), f"node {v} is not in depth-first preorder")
        parent.append(v - step)
        path.append(v)
    return parent


def _deal(tensors: _Tensors, kind: str, needs: list[tuple[int, int, int]]) -> dict[int, Matrix]:
    """Deal out the tensors of a kind: `needs` has (node, columns, rows) in node order."""
    rows: dict[int, Matrix] = {}
    for columns in {need[1] for need in needs}:
        users = [(v, height) for v, width, height in needs if width == columns]
        counts = tensors.levels(f"{kind}.{columns}", sum(height for _, height in users), columns)
        start = 0
        for v, height in users:
            rows[v] = counts[start : start + height]
            start += height
    return rows


def _probabilities(counts: Matrix) -> Table:
    total = counts.sum(axis=1, keepdims=True)
    table: Table = counts.astype(np.float32) / total.astype(np.float32)
    return table


def _cumulative(counts: Matrix) -> Table:
    total = counts.sum(axis=1, keepdims=True)
    table: Table = (np.cumsum(counts, axis=1) - counts).astype(np.float32) / total.astype(np.float32)
    return table
