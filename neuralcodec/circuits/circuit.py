"""A trained circuit: structure, integer levels and what is said about them."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import log
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuralcodec.artifact import Artifact
from neuralcodec.circuits.parameters import Levels, Parameters, dequantise
from neuralcodec.circuits.structure import FIELDS, MAX_NODES, MAX_RANK, MAX_VARIABLES, TreeStructure
from neuralcodec.container.signal import DTYPES, dtype_code
from neuralcodec.errors import InvalidModel
from neuralcodec.native import CircuitKernel, Learner, pack_transitions

if TYPE_CHECKING:
    from neuralcodec.circuits.queries import How

FAMILY = "circuit"
_TABLES = ("transition", "weight", "free")
WORTH_PACKING = 0.75
_Row = NDArray[np.int32]
_build = threading.Lock()


@dataclass(frozen=True, eq=False)
class Circuit:
    """A latent-tree circuit over the samples of a signal, ready to code with.

    Attributes:
        structure: the tree.
        levels: integer parameters (docs/format.md, 7.1).
        header: JSON object of the model file: name, recipe, data, licence, figures.
    """

    family: ClassVar[str] = FAMILY
    structure: TreeStructure
    levels: Levels = field(repr=False)
    header: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @cached_property
    def identity(self) -> bytes:
        """SHA-256 of structure and levels (docs/format.md, section 5), 32 bytes."""
        return self.to_artifact().identity

    @property
    def parameters(self) -> Parameters:
        """The float32 probabilities that the levels stand for, expanded on first use; read-only."""
        with _build:
            return self._parameters

    @cached_property
    def _parameters(self) -> Parameters:
        expanded = dequantise(self.structure, self.levels)
        for array in expanded.arrays:
            array.flags.writeable = False
        return expanded

    @property
    def kernel(self) -> CircuitKernel:
        """The coding kernel, expanded on first use; safe to share between threads."""
        with _build:
            return self._kernel

    @cached_property
    def _kernel(self) -> CircuitKernel:
        s = self.structure
        tree = _arrays(s)
        return CircuitKernel(*tree[:5], *self.levels.arrays, tree[5], s.support, s.floor)

    def log2_likelihood(
        self, x: ArrayLike, missing: ArrayLike | None = None, threads: int | None = None
    ) -> NDArray[np.float64]:
        """Base-2 log likelihood of n signals, float64 (n,); samples that are `missing` are summed out.

        Args:
            x: (n, *shape) or (n, D) integers; what stands at missing places is ignored.
            missing: bool: one mask for all signals, of shape `shape` or (D,), or one for each as in `x`.
            threads: number of threads; all cores by default.

        Raises:
            UnsupportedInput: if the signals do not fit the circuit.
        """
        from neuralcodec.circuits.messages import evidence

        known, absent = evidence(self.structure, x, missing)
        holes, learner = None if missing is None else absent, learner_of(self.structure)
        return learner.log_likelihood(self.parameters.arrays, known, holes, threads=threads) / log(2)

    def log2_conditional(
        self, x: ArrayLike, asked: ArrayLike, missing: ArrayLike | None = None, threads: int | None = None
    ) -> NDArray[np.float64]:
        """Base-2 log probability of the samples that are `asked` for, given the others, float64 (n,).

        Args:
            x: (n, *shape) or (n, D) integers.
            asked: bool: one mask for all signals, of shape `shape` or (D,), or one for each as in `x`.
            missing: like `asked`: samples that are neither asked for nor given; they are summed out.
            threads: number of threads; all cores by default.

        Raises:
            UnsupportedInput: if the signals do not fit the circuit.
        """
        from neuralcodec.circuits.messages import signal_mask

        flat = np.asarray(x)
        without = signal_mask(self.structure, asked, len(flat))
        if missing is not None:
            without = without | signal_mask(self.structure, missing, len(flat))
        joint = self.log2_likelihood(flat, missing, threads)
        return joint - self.log2_likelihood(flat, without, threads)

    def conditional_marginals(
        self, x: ArrayLike, missing: ArrayLike, samples: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """Distribution of each sample given what is known: (n, samples, A), see `queries.conditional_marginals`."""
        from neuralcodec.circuits.queries import conditional_marginals

        return conditional_marginals(self.structure, self.parameters, x, missing, samples)

    def complete(
        self, x: ArrayLike, missing: ArrayLike, how: "How" = "median", seed: int = 0
    ) -> NDArray[Any]:
        """Fill in what is missing of n signals: (n, *shape) of the model's dtype, see `queries.complete`."""
        from neuralcodec.circuits.queries import complete

        filled = complete(self.structure, self.parameters, x, missing, how, seed)
        return self._signals(filled, len(filled))

    def sample(self, n: int, seed: int = 0) -> NDArray[Any]:
        """Draw n signals exactly from the model: (n, *shape) of the model's dtype."""
        from neuralcodec.circuits.sampling import sample

        return self._signals(sample(self.structure, self.parameters, n, seed), n)

    def conditional_sample(
        self, x: ArrayLike, missing: ArrayLike, count: int = 1, seed: int = 0
    ) -> NDArray[Any]:
        """Draw what is missing of n signals: (n, count, *shape), see `sampling.conditional_sample`."""
        from neuralcodec.circuits.sampling import conditional_sample

        drawn = conditional_sample(self.structure, self.parameters, x, missing, count, seed)
        return self._signals(drawn, len(drawn), count)

    def _signals(self, values: NDArray[np.uint16], *counts: int) -> NDArray[Any]:
        return values.astype(self.structure.dtype).reshape(*counts, *self.structure.shape)

    def to_artifact(self) -> Artifact:
        """Return the model file's content."""
        s, levels = unpack(self.structure, self.levels)
        back = np.arange(s.nodes) - s.parent
        back[0] = 0
        tensors: dict[str, NDArray[Any]] = {
            "shape": np.array([s.shape]),
            "dtype": np.array([[dtype_code(s.dtype)]]),
            "parent": back[None],
            "variable": s.variable[None] + 1,
            "states": s.states[None],
            "alphabet": s.alphabet[None],
            "emission": s.emission[None] + 1,
            "root": levels.root[None],
        }
        if s.floor:
            tensors["floor"] = np.array([[s.floor]])
        for name in _TABLES:
            widths = s.row_widths(name)
            values = getattr(levels, name)
            for width in np.unique(widths).tolist():
                rows = values if (widths == width).all() else values[np.repeat(widths == width, widths)]
                tensors[f"{name}.{width}"] = rows.reshape(-1, width)
        for b in range(len(s.basis_size)):
            tensors[f"basis.{b}"] = levels.basis_of(s, b)
        return Artifact(FAMILY, self.header, {name: _unsigned(t) for name, t in tensors.items()})

    @classmethod
    def from_artifact(cls, artifact: Artifact) -> "Circuit":
        """Read a circuit from a model file's content.

        Raises:
            InvalidModel: not a circuit, or one that breaks a rule of docs/format.md 7.1; the message names the node.
        """
        if artifact.family != FAMILY:
            raise InvalidModel(f"the model is of the family {artifact.family!r}, not a circuit")
        tensors = dict(artifact.tensors)
        structure = _read_structure(tensors)
        tables = {name: _read_rows(name, structure.row_widths(name), tensors) for name in _TABLES}
        basis = [tensors.pop(f"basis.{b}").reshape(-1) for b in range(len(structure.basis_size))]
        tables["basis"] = np.concatenate(basis) if basis else np.zeros(0, np.uint16)
        tables["root"] = _take(tensors, "root", structure.root_size)
        if tensors:
            raise InvalidModel(f"a circuit has no tensor {sorted(tensors)[0]!r}")
        for name, values in tables.items():
            if values.size and int(values.max()) > 0xFFFF:
                raise InvalidModel(f"{name} has a level of {values.max()}; the largest allowed is 4095")
        levels = Levels(**{name: tables[name].astype(np.uint16, copy=False) for name in FIELDS})
        circuit = cls(*pack(structure, levels), artifact.header)
        circuit.__dict__["identity"] = artifact.identity
        return circuit


def pack(structure: TreeStructure, levels: Levels) -> tuple[TreeStructure, Levels]:
    """Leave out the blocks of transitions that are all 0, if that saves a quarter: the circuit stays the same."""
    support, transition = pack_transitions(*_arrays(structure), levels.transition)
    if len(transition) > WORTH_PACKING * len(levels.transition):
        return structure, levels
    return replace(structure, support=support), replace(levels, transition=transition)


def unpack(structure: TreeStructure, levels: Levels) -> tuple[TreeStructure, Levels]:
    """Put the zeros back that a structure's support leaves out."""
    if structure.support is None:
        return structure, levels
    edges = [levels.transition_of(structure, v).reshape(-1) for v in range(1, structure.nodes)]
    return replace(structure, support=None), replace(levels, transition=np.concatenate(edges))


def learner_of(structure: TreeStructure) -> Learner:
    """Return the kernel that works out likelihoods and expected counts on a structure."""
    return Learner(*_arrays(structure), structure.support)


def _arrays(structure: TreeStructure) -> tuple[_Row, _Row, _Row, _Row, _Row, _Row]:
    """Parent, variable, states, alphabet, emission and sizes of the bases, as the kernels take a tree."""
    s = structure
    return s.parent, s.variable, s.states, s.alphabet, s.emission, np.array(s.basis_size, np.int32)


def _unsigned(tensor: NDArray[Any]) -> NDArray[Any]:
    top = int(tensor.max()) if tensor.size else 0
    return np.ascontiguousarray(tensor, dtype=np.min_scalar_type(top))


def _take(
    tensors: dict[str, NDArray[Any]], name: str, columns: int | None = None, limit: int = MAX_NODES
) -> NDArray[Any]:
    """The only row of a tensor, which is checked before anything grows with it."""
    tensor = tensors.pop(name, None)
    if tensor is None:
        raise InvalidModel(f"the circuit lacks its tensor {name!r}")
    if tensor.shape[0] != 1 or (columns is not None and tensor.shape[1] != columns):
        raise InvalidModel(f"the tensor {name!r} has shape {tensor.shape}; expected (1, {columns or 'n'})")
    if tensor.shape[1] > limit:
        raise InvalidModel(f"the tensor {name!r} has {tensor.shape[1]} elements; the limit is {limit}")
    row: NDArray[Any] = tensor[0]
    return row


def _read_structure(tensors: dict[str, NDArray[Any]]) -> TreeStructure:
    back = _take(tensors, "parent").astype(np.int32)
    nodes = len(back)
    parent = (np.arange(nodes) - back).astype(np.int32)
    bad = np.flatnonzero((parent < 0) | (back == 0))
    if back[0] != 0 or (bad.size and bad[-1] > 0):
        raise InvalidModel(f"node {bad[-1] if back[0] == 0 else 0}: bad parent")
    parent[0] = -1
    code = int(_take(tensors, "dtype", 1)[0])
    if code not in DTYPES:
        raise InvalidModel(f"the model's dtype code is {code}; this release knows 1 to {len(DTYPES)}")
    sizes: list[int] = []
    while f"basis.{len(sizes)}" in tensors:
        sizes.append(tensors[f"basis.{len(sizes)}"].shape[0])
    structure = TreeStructure(
        tuple(int(side) for side in _take(tensors, "shape", limit=MAX_RANK)),
        DTYPES[code],
        parent,
        _take(tensors, "variable", nodes).astype(np.int32) - 1,
        _take(tensors, "states", nodes).astype(np.int32),
        _take(tensors, "alphabet", limit=MAX_VARIABLES).astype(np.int32),
        _take(tensors, "emission", nodes).astype(np.int32) - 1,
        tuple(sizes),
        floor=_read_floor(tensors),
    ).validate()
    for b, width in enumerate(structure.basis_alphabet):
        if tensors[f"basis.{b}"].shape[1] != width:
            raise InvalidModel(
                f"basis {b} has {tensors[f'basis.{b}'].shape[1]} values; its nodes have {width}"
            )
    return structure


def _read_floor(tensors: dict[str, NDArray[Any]]) -> int:
    if "floor" not in tensors:
        return 0
    floor = int(_take(tensors, "floor", 1)[0])
    if floor == 0:
        raise InvalidModel("the floor of priors is 0; a model without one lacks the tensor")
    return floor


def _read_rows(name: str, widths: NDArray[np.int64], tensors: dict[str, NDArray[Any]]) -> NDArray[Any]:
    """Put the rows of tensors `name`.width back into node order, flat."""
    distinct, counts = np.unique(widths, return_counts=True)
    parts: dict[int, NDArray[Any]] = {}
    for width, rows in zip(distinct.tolist(), counts.tolist(), strict=True):
        tensor = tensors.pop(f"{name}.{width}", None)
        if tensor is None or tensor.shape != (rows, width):
            found = "is missing" if tensor is None else f"has shape {tensor.shape}"
            raise InvalidModel(
                f"the tensor '{name}.{width}' {found}; the structure asks for ({rows}, {width})"
            )
        parts[width] = tensor.reshape(-1)
    if len(parts) == 1:
        return next(iter(parts.values()))
    flat = np.zeros(int(widths.sum()), np.uint32)
    for width, values in parts.items():
        flat[np.repeat(widths == width, widths)] = values
    return flat
