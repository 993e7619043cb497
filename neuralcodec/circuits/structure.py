"""The structure of a latent-tree circuit: a rooted tree of latents that own the samples of a signal."""

from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuralcodec.errors import InvalidModel

MAX_RANK = 8
MAX_VARIABLES = 65_536
MAX_NODES = 131_072
MAX_STATES = 4_096
MAX_ALPHABET = 4_096
MAX_BASIS = 4_096
MAX_ELEMENTS = 1 << 28
MAX_FLOOR = 100
BLOCK = 4  # states on a side of the blocks in which transitions are pruned

FIELDS = ("root", "transition", "weight", "free", "basis")


@dataclass(frozen=True, eq=False)
class TreeStructure:
    """A latent tree over discrete variables (docs/format.md, section 7.1).

    Nodes are numbered in depth-first preorder. All arrays are int32 and become read-only.

    Attributes:
        shape: shape of a signal; its product is D, the number of variables.
        dtype: integer or bool dtype of a signal.
        parent: (N,) the parent of each node, -1 for node 0, the root.
        variable: (N,) the sample that a node owns, -1 for a silent node.
        states: (N,) number of states of each node's latent.
        alphabet: (D,) sample i takes the values 0 to alphabet[i] - 1.
        emission: (N,) -1 silent, 0 free emissions, b + 1 weights over shared basis b.
        basis_size: number of distributions in each shared basis.
        support: None if every transition is stored, else a flat bool array of blocks: for each node v >= 1 with parent
            u, ceil(M_u / 4) rows of ceil(M_v / 4). The transitions in a block that is False are 0 and not stored.
        floor: no entry of a prior message falls below 2^-floor while signals are coded; 0: no such floor. With one,
            no number in the walk is subnormal; without, pruned circuits meet many, and each costs a hundred cycles.

    >>> chain = TreeStructure((2,), np.dtype(np.uint8), [-1, 0], [0, 1], [3, 3], [4, 4], [0, 0], ())
    >>> chain.validate().transition_size
    9
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    parent: NDArray[np.int32]
    variable: NDArray[np.int32]
    states: NDArray[np.int32]
    alphabet: NDArray[np.int32]
    emission: NDArray[np.int32]
    basis_size: tuple[int, ...]
    support: NDArray[np.bool_] | None = None
    floor: int = 40

    def __post_init__(self) -> None:
        set_field = object.__setattr__
        set_field(self, "shape", tuple(int(side) for side in self.shape))
        set_field(self, "dtype", np.dtype(self.dtype).newbyteorder("="))
        set_field(self, "basis_size", tuple(int(size) for size in self.basis_size))
        for name in ("parent", "variable", "states", "alphabet", "emission"):
            set_field(self, name, _int32(name, getattr(self, name)))
        if self.support is not None:
            blocks = np.array(self.support, np.bool_)
            blocks.setflags(write=False)
            set_field(self, "support", blocks)

    @property
    def nodes(self) -> int:
        """Number of nodes, N."""
        return len(self.parent)

    @property
    def variables(self) -> int:
        """Number of variables, D: the samples of one signal."""
        return prod(self.shape)

    @cached_property
    def node_of_variable(self) -> NDArray[np.int64]:
        """(D,) the node that owns each sample."""
        owners = np.flatnonzero(self.variable >= 0)
        result = np.empty(self.variables, np.int64)
        result[self.variable[owners]] = owners
        return result

    @cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """The children of each node, ascending."""
        result: list[list[int]] = [[] for _ in range(self.nodes)]
        for node, parent in enumerate(self.parent.tolist()):
            if parent >= 0:
                result[parent].append(node)
        return tuple(tuple(nodes) for nodes in result)

    @cached_property
    def node_alphabet(self) -> NDArray[np.int32]:
        """(N,) the alphabet of each node's variable, 0 for silent nodes."""
        return np.where(self.variable >= 0, self.alphabet[self.variable], np.int32(0))

    @cached_property
    def node_basis_size(self) -> NDArray[np.int32]:
        """(N,) the number of distributions in each node's basis, 0 for nodes without one."""
        sizes = np.array((0, *self.basis_size), np.int32)
        return sizes[np.maximum(self.emission, 0)]

    @cached_property
    def basis_alphabet(self) -> tuple[int, ...]:
        """The alphabet of each shared basis, that of the nodes which use it."""
        result = np.zeros(len(self.basis_size), np.int32)
        users = np.flatnonzero(self.emission > 0)
        result[self.emission[users] - 1] = self.node_alphabet[users]
        return tuple(result.tolist())

    @cached_property
    def path_states(self) -> int:
        """Largest sum of states on a path from the root: what the messages of one signal take while it is coded."""
        sums: list[int] = []
        for parent, states in zip(self.parent.tolist(), self.states.tolist(), strict=True):
            sums.append(states + (sums[parent] if parent >= 0 else 0))
        return max(sums)

    @cached_property
    def support_offset(self) -> NDArray[np.int64]:
        """(N + 1,) where each node's blocks start in the support (the root has none)."""
        blocks = -(-self.states.astype(np.int64) // BLOCK)
        return _offsets(np.where(self.parent >= 0, blocks * blocks[self.parent], 0))

    def support_of(self, node: int) -> NDArray[np.bool_]:
        """(ceil(M_parent / 4), ceil(M_node / 4)) blocks of a non-root node's transitions that are stored."""
        shape = (-(-int(self.states[self.parent[node]]) // BLOCK), -(-int(self.states[node]) // BLOCK))
        if self.support is None:
            return np.ones(shape, np.bool_)
        start, stop = self.support_offset[node : node + 2]
        return self.support[start:stop].reshape(shape)

    def stored(self, node: int) -> NDArray[np.bool_]:
        """(M_parent, M_node) the transitions of a non-root node that are stored."""
        rows, columns = self.states[self.parent[node]], self.states[node]
        wide = self.support_of(node).repeat(BLOCK, axis=0)[:rows]
        return wide.repeat(BLOCK, axis=1)[:, :columns]

    @cached_property
    def _transition_widths(self) -> NDArray[np.int64]:
        """(rows,) stored entries of each row of the transitions."""
        rows, columns = self.states[self.parent[1:]].astype(np.int64), self.states[1:].astype(np.int64)
        if self.support is None:
            return np.repeat(columns, rows)
        widths = [np.zeros(0, np.int64)]
        for node, (height, width) in enumerate(zip(rows.tolist(), columns.tolist(), strict=True), 1):
            support = self.support_of(node)
            in_block = np.minimum(BLOCK, width - BLOCK * np.arange(support.shape[1]))
            widths.append((support @ in_block).repeat(BLOCK)[:height])
        return np.concatenate(widths)

    @cached_property
    def transition_offset(self) -> NDArray[np.int64]:
        """(N + 1,) where each node's rows start in the flat transitions (the root has none)."""
        rows = np.where(self.parent >= 0, self.states[self.parent], 0).astype(np.int64)
        if self.support is None:
            return _offsets(rows * self.states)
        return _offsets(self._transition_widths)[_offsets(rows)]

    @cached_property
    def row_offsets(self) -> dict[str, NDArray[np.int64]]:
        """(rows + 1,) where each row of each flat parameter array starts, by the array's name."""
        return {field: _offsets(self.row_widths(field)) for field in FIELDS}

    @cached_property
    def weight_offset(self) -> NDArray[np.int64]:
        """(N + 1,) where each node's rows start in the flat weights."""
        return _offsets(self.states.astype(np.int64) * self.node_basis_size)

    @cached_property
    def free_offset(self) -> NDArray[np.int64]:
        """(N + 1,) where each node's rows start in the flat free emissions."""
        sizes = self.states.astype(np.int64) * self.node_alphabet
        return _offsets(np.where(self.emission == 0, sizes, 0))

    @cached_property
    def basis_offset(self) -> NDArray[np.int64]:
        """(bases + 1,) where each basis starts in the flat bases."""
        return _offsets(np.array(self.basis_size, np.int64) * np.array(self.basis_alphabet, np.int64))

    @property
    def root_size(self) -> int:
        """Entries of the root's prior."""
        return int(self.states[0])

    @property
    def transition_size(self) -> int:
        """Entries of all transitions."""
        return int(self.transition_offset[-1])

    @property
    def weight_size(self) -> int:
        """Entries of all weights."""
        return int(self.weight_offset[-1])

    @property
    def free_size(self) -> int:
        """Entries of all free emissions."""
        return int(self.free_offset[-1])

    @property
    def basis_total(self) -> int:
        """Entries of all shared bases."""
        return int(self.basis_offset[-1])

    @property
    def sizes(self) -> dict[str, int]:
        """Entries of each flat parameter array, by name."""
        counts = (self.root_size, self.transition_size, self.weight_size, self.free_size, self.basis_total)
        return dict(zip(FIELDS, counts, strict=True))

    @property
    def parameter_count(self) -> int:
        """Entries of all parameter arrays together."""
        return sum(self.sizes.values())

    def row_widths(self, field: str) -> NDArray[np.int64]:
        """(rows,) the length of each row (each distribution) of one flat parameter array, in order."""
        if field == "root":
            return self.states[:1].astype(np.int64)
        if field == "transition":
            return self._transition_widths
        if field == "weight":
            widths, rows = self.node_basis_size, np.where(self.emission > 0, self.states, 0)
        elif field == "free":
            widths, rows = self.node_alphabet, np.where(self.emission == 0, self.states, 0)
        elif field == "basis":
            widths, rows = np.array(self.basis_alphabet, np.int32), np.array(self.basis_size, np.int32)
        else:
            raise ValueError(f"no parameter array is called {field!r}; there are {', '.join(FIELDS)}")
        return np.repeat(widths.astype(np.int64), rows)

    def with_states(self, states: int | ArrayLike) -> "TreeStructure":
        """Return the same tree, no block pruned, with other numbers of states: one for all nodes, or (N,)."""
        return replace(self, states=np.broadcast_to(np.asarray(states), (self.nodes,)), support=None)

    def validate(self) -> "TreeStructure":
        """Return self if the structure is one that docs/format.md allows.

        Raises:
            InvalidModel: naming the node and the value that break a rule.
        """
        self._check_signal()
        self._check_tree()
        self._check_ownership()
        self._check_emissions()
        self._check_support()
        elements = self.parameter_count + 4 * self.nodes + self.variables
        if elements > MAX_ELEMENTS:
            raise InvalidModel(f"the circuit has {elements} elements; the limit is {MAX_ELEMENTS}")
        return self

    def _check_signal(self) -> None:
        if not 1 <= len(self.shape) <= MAX_RANK or min(self.shape) < 1:
            raise InvalidModel(f"shape {self.shape} must have 1 to {MAX_RANK} dimensions of at least 1")
        if self.variables > MAX_VARIABLES:
            found = f"shape {self.shape} has {self.variables} samples"
            raise InvalidModel(f"{found}; the limit is {MAX_VARIABLES}")
        if self.dtype.kind not in "iub":
            raise InvalidModel(f"dtype {self.dtype} is neither an integer type nor bool")
        if not 0 <= self.floor <= MAX_FLOOR:
            raise InvalidModel(f"floor is {self.floor}, which must be 0 to {MAX_FLOOR}")

    def _check_tree(self) -> None:
        if not 1 <= self.nodes <= MAX_NODES:
            raise InvalidModel(f"a circuit has 1 to {MAX_NODES} nodes, not {self.nodes}")
        for name in ("parent", "variable", "states", "emission"):
            _check_length(name, getattr(self, name), self.nodes, "node")
        _check_length("alphabet", self.alphabet, self.variables, "sample")
        path: list[int] = []
        for node, parent in enumerate(self.parent.tolist()):
            while path and path[-1] != parent:
                path.pop()
            if not path and (node > 0 or parent != -1):
                rule = "must be -1" if node == 0 else f"must be node {node - 1} or one of its ancestors"
                raise InvalidModel(f"node {node}: parent is {parent} but {rule} (depth-first preorder)")
            path.append(node)
        _check_range("states", self.states, 1, MAX_STATES)

    def _check_ownership(self) -> None:
        _check_range("variable", self.variable, -1, self.variables - 1)
        owners = np.flatnonzero(self.variable >= 0)
        owned = self.variable[owners]
        times = np.bincount(owned, minlength=self.variables)
        if times.max() > 1:
            sample = int(times.argmax())
            first, second = owners[owned == sample][:2]
            raise InvalidModel(f"node {second}: variable is {sample}, which node {first} owns already")
        if times.min() < 1:
            raise InvalidModel(f"no node owns sample {int(times.argmin())}")

    def _check_emissions(self) -> None:
        most = 2 if self.dtype.kind == "b" else int(np.iinfo(self.dtype).max) + 1
        owners = np.flatnonzero(self.variable >= 0)
        _check_range("alphabet", self.node_alphabet[owners], 1, min(MAX_ALPHABET, most), owners)
        _check_range("emission", self.emission, -1, len(self.basis_size))
        wrong = np.flatnonzero((self.emission < 0) != (self.variable < 0))
        if wrong.size:
            node = int(wrong[0])
            raise InvalidModel(
                f"node {node}: emission is {self.emission[node]} with variable {self.variable[node]}; "
                "both are -1 for a silent node and neither for another"
            )
        self._check_bases()

    def _check_support(self) -> None:
        if self.support is None:
            return
        if self.support.shape != (self.support_offset[-1],):
            found = f"support has shape {self.support.shape}"
            raise InvalidModel(f"{found}; the structure asks for ({self.support_offset[-1]},)")
        for node in range(1, self.nodes):
            empty = np.flatnonzero(~self.support_of(node).any(axis=1))
            if empty.size:
                raise InvalidModel(f"node {node}: transition row {BLOCK * int(empty[0])} keeps no block")

    def _check_bases(self) -> None:
        for basis, size in enumerate(self.basis_size):
            if not 1 <= size <= MAX_BASIS:
                raise InvalidModel(f"basis {basis}: size is {size}, not 1 to {MAX_BASIS}")
            users = np.flatnonzero(self.emission == basis + 1)
            if not users.size:
                raise InvalidModel(f"basis {basis}: no node uses it")
            wrong = users[self.node_alphabet[users] != self.node_alphabet[users[0]]]
            if wrong.size:
                node = int(wrong[0])
                raise InvalidModel(
                    f"node {node}: alphabet is {self.node_alphabet[node]}, but node {users[0]} uses the same "
                    f"basis {basis} with alphabet {self.node_alphabet[users[0]]}"
                )


def _int32(name: str, values: ArrayLike) -> NDArray[np.int32]:
    array = np.asarray(values)
    if array.size and array.dtype.kind not in "iu":
        raise InvalidModel(f"{name} must hold integers, not {array.dtype}")
    result = array.astype(np.int32)
    wrong = np.flatnonzero(result != array)
    if wrong.size:
        raise InvalidModel(f"node {wrong[0]}: {name} is {array.flat[wrong[0]]}, beyond 32 bits")
    result.setflags(write=False)
    return result


def _offsets(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    result = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=result[1:])
    result.setflags(write=False)
    return result


def _check_length(name: str, values: NDArray[np.int32], length: int, what: str) -> None:
    if values.shape != (length,):
        raise InvalidModel(f"{name} has shape {values.shape}; one entry for each {what} makes ({length},)")


def _check_range(
    name: str, values: NDArray[np.int32], low: int, high: int, nodes: NDArray[np.int64] | None = None
) -> None:
    wrong = np.flatnonzero((values < low) | (values > high))
    if wrong.size:
        place = int(wrong[0])
        node = place if nodes is None else int(nodes[place])
        raise InvalidModel(f"node {node}: {name} is {values[place]}, which must be {low} to {high}")
