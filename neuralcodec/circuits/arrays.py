"""A circuit as plain arrays, and its `.npz` file: how circuits come from other libraries and go to them.

Units are numbered so that a unit's inputs come before it. docs/import.md specifies every array.
"""

import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuralcodec.circuits.structure import MAX_ELEMENTS, MAX_RANK, MAX_VARIABLES, TreeStructure
from neuralcodec.container.files import PathLike, atomic_write, refuse_endless
from neuralcodec.container.signal import DTYPES, dtype_code
from neuralcodec.errors import InvalidModel, naming

LEAF, PRODUCT, SUM = 0, 1, 2
SCHEMA = 1
MAX_UNITS = 1 << 24
_KINDS = ("leaf", "product", "sum")
_INTEGERS = ("kind", "indptr", "child", "variable", "row", "row_indptr", "basis", "region", "vtree")
_NUMBERS = ("weight", "table")
_LIMITS = (("kind", MAX_UNITS), ("row_indptr", MAX_UNITS), ("child", MAX_ELEMENTS), ("table", MAX_ELEMENTS))
_OPTIONAL = ("basis", "region", "vtree", "shape", "dtype", "floor", "relative")


@dataclass(frozen=True, eq=False)
class CircuitArrays:
    """A smooth, structured-decomposable circuit over discrete samples, as arrays (docs/import.md).

    U units, E edges, R rows of tables. Integer arrays become int64 and the others float64.

    Attributes:
        kind: (U,) 0 leaf, 1 product, 2 sum.
        indptr: (U + 1,) the inputs of unit u are `child[indptr[u]:indptr[u + 1]]`; none for a leaf.
        child: (E,) units, each before the unit that it is an input of.
        weight: (E,) at least 0; the weight of a sum's input, 1 for a product's.
        variable: (U,) the sample, in C order of the signal, that a leaf is over; -1 for other units.
        row: (U,) the row of the table that a leaf looks its sample up in; -1 for other units.
        row_indptr: (R + 1,) row r is `table[row_indptr[r]:row_indptr[r + 1]]`, an entry for each value.
        table: entries of all rows, at least 0.
        root: the unit whose value is the probability of a signal.
        relative: whether weights and rows count as divided by their sums, so that all units are normalised.
        basis: (R,) number of the shared basis that a row belongs to, -1 for none; None: found on import.
        region, vtree: (U,) region of each unit, and the parent of each region, -1 for the root's; both or
            neither. They need not be given, since scopes tell them; given, they are checked.
        shape, dtype: of a signal, where they are known.
        floor: of prior messages while coding, as in :class:`~neuralcodec.circuits.structure.TreeStructure`.

    Raises:
        InvalidModel: an array that has another shape or dtype than it must have.

    >>> coin = CircuitArrays([0], [0, 0], [], [], [0], [0], [0, 2], [0.5, 0.5], root=0)
    >>> coin.validate().units
    1
    """

    kind: NDArray[np.int64]
    indptr: NDArray[np.int64]
    child: NDArray[np.int64]
    weight: NDArray[np.float64]
    variable: NDArray[np.int64]
    row: NDArray[np.int64]
    row_indptr: NDArray[np.int64]
    table: NDArray[np.float64]
    root: int
    relative: bool = False
    basis: NDArray[np.int64] | None = None
    region: NDArray[np.int64] | None = None
    vtree: NDArray[np.int64] | None = None
    shape: tuple[int, ...] | None = None
    dtype: np.dtype[Any] | None = None
    floor: int = TreeStructure.floor

    def __post_init__(self) -> None:
        for name in _INTEGERS:
            if getattr(self, name) is not None:
                object.__setattr__(self, name, _vector(name, getattr(self, name), "iu", np.int64))
        for name in _NUMBERS:
            object.__setattr__(self, name, _vector(name, getattr(self, name), "iuf", np.float64))
        object.__setattr__(self, "root", int(self.root))
        object.__setattr__(self, "relative", bool(self.relative))

    @property
    def units(self) -> int:
        """Number of units, U."""
        return len(self.kind)

    def validate(self) -> "CircuitArrays":
        """Return self if every array alone is right; scopes are looked at on import.

        Raises:
            InvalidModel: naming the unit, or the row, and the value that break a rule.
        """
        self._check_lengths()
        self._check_edges()
        self._check_weights()
        self._check_leaves()
        return self

    def _check_lengths(self) -> None:
        if not self.units:
            raise InvalidModel("a circuit has at least one unit")
        lengths = {"indptr": self.units + 1, "variable": self.units, "row": self.units}
        lengths |= {"region": self.units, "basis": max(0, len(self.row_indptr) - 1)}
        for name, length in lengths.items():
            found = getattr(self, name)
            if found is not None and len(found) != length:
                raise InvalidModel(f"{name} has {len(found)} entries; it must have {length}")
        if (self.region is None) != (self.vtree is None):
            raise InvalidModel("region and vtree are given together, or neither")
        if not 0 <= self.root < self.units:
            raise InvalidModel(f"the root is unit {self.root}, but units run from 0 to {self.units - 1}")
        _check_offsets("indptr", self.indptr, len(self.child))
        _check_offsets("row_indptr", self.row_indptr, len(self.table))
        if len(self.weight) != len(self.child):
            raise InvalidModel(
                f"weight has {len(self.weight)} entries, but there are {len(self.child)} edges"
            )
        for name, limit in _LIMITS:
            if len(getattr(self, name)) > limit:
                raise InvalidModel(f"{name} has {len(getattr(self, name))} entries; the limit is {limit}")

    def _check_edges(self) -> None:
        unknown = np.flatnonzero((self.kind < LEAF) | (self.kind > SUM))
        if unknown.size:
            raise InvalidModel(f"unit {unknown[0]}: kind is {self.kind[unknown[0]]}, which must be 0, 1 or 2")
        inputs = np.diff(self.indptr)
        wrong = np.flatnonzero((inputs > 0) != (self.kind != LEAF))
        if wrong.size:
            unit = int(wrong[0])
            raise InvalidModel(f"unit {unit}: a {_KINDS[self.kind[unit]]} has {inputs[unit]} inputs")
        owner = np.repeat(np.arange(self.units), inputs)
        wrong = np.flatnonzero((self.child < 0) | (self.child >= owner))
        if wrong.size:
            unit, child = int(owner[wrong[0]]), int(self.child[wrong[0]])
            raise InvalidModel(
                f"unit {unit}: its input {child} does not come before it; units must be numbered from the "
                "leaves to the root, which a cycle cannot be"
            )

    def _check_weights(self) -> None:
        def unit(edge: int) -> int:
            return int(np.searchsorted(self.indptr, edge, side="right")) - 1

        wrong = np.flatnonzero(~np.isfinite(self.weight) | (self.weight < 0))
        if wrong.size:
            raise InvalidModel(f"unit {unit(wrong[0])}: a weight is {self.weight[wrong[0]]}, which cannot be")
        is_product = np.repeat(self.kind == PRODUCT, np.diff(self.indptr))
        wrong = np.flatnonzero(is_product & (self.weight != 1))
        if wrong.size:
            found = self.weight[wrong[0]]
            raise InvalidModel(f"unit {unit(wrong[0])}: a product has a weight of {found:g}, which must be 1")
        inner = np.flatnonzero(self.kind != LEAF)
        if inner.size:
            peaks = np.maximum.reduceat(self.weight, self.indptr[inner])
            empty = inner[peaks <= 0]
            if empty.size:
                raise InvalidModel(f"unit {empty[0]}: all of its weights are 0")

    def _check_leaves(self) -> None:
        is_leaf, rows = self.kind == LEAF, len(self.row_indptr) - 1
        for name, limit in (("variable", MAX_VARIABLES), ("row", rows)):
            values = getattr(self, name)
            wrong = np.flatnonzero(np.where(is_leaf, (values < 0) | (values >= limit), values != -1))
            if wrong.size:
                unit = int(wrong[0])
                rule = f"0 to {limit - 1}" if is_leaf[unit] else "-1"
                raise InvalidModel(
                    f"unit {unit}: {name} is {values[unit]}, which must be {rule} for a {_KINDS[self.kind[unit]]}"
                )
        wrong = np.flatnonzero(~np.isfinite(self.table) | (self.table < 0))
        if wrong.size:
            row = int(np.searchsorted(self.row_indptr, wrong[0], side="right")) - 1
            raise InvalidModel(f"row {row} of the tables holds {self.table[wrong[0]]}, which cannot be")
        if rows:
            starts = self.row_indptr[:-1]
            empty = np.flatnonzero(np.diff(self.row_indptr) == 0)
            if empty.size:
                raise InvalidModel(f"row {empty[0]} of the tables has no entries")
            zero = np.flatnonzero(np.maximum.reduceat(self.table, starts) <= 0)
            if zero.size:
                raise InvalidModel(f"row {zero[0]} of the tables sums to 0")

    def pruned(self) -> "CircuitArrays":
        """Return the circuit without inputs of weight 0 and without units that the root does not reach.

        Raises:
            InvalidModel: see :meth:`validate`.
        """
        self.validate()
        inputs, owner = np.diff(self.indptr), np.repeat(np.arange(self.units), np.diff(self.indptr))
        live = self.weight > 0
        reached = np.zeros(self.units, bool)
        reached[self.root] = True
        for unit in range(self.root, -1, -1):
            if reached[unit] and inputs[unit]:
                edges = slice(self.indptr[unit], self.indptr[unit + 1])
                reached[self.child[edges][live[edges]]] = True
        kept = live & reached[owner]
        number = np.cumsum(reached) - 1
        counts = np.bincount(owner[kept], minlength=self.units)[reached]
        return CircuitArrays(
            kind=self.kind[reached],
            indptr=np.concatenate([[0], np.cumsum(counts)]),
            child=number[self.child[kept]],
            weight=self.weight[kept],
            variable=self.variable[reached],
            row=self.row[reached],
            row_indptr=self.row_indptr,
            table=self.table,
            root=int(number[self.root]),
            relative=self.relative,
            basis=self.basis,
            region=None if self.region is None else self.region[reached],
            vtree=self.vtree,
            shape=self.shape,
            dtype=self.dtype,
            floor=self.floor,
        )


def save_arrays(path: PathLike, arrays: CircuitArrays) -> None:
    """Write a circuit's arrays to a compressed `.npz` file, whole or not at all (docs/import.md)."""
    members: dict[str, Any] = {name: getattr(arrays, name) for name in (*_INTEGERS, *_NUMBERS)}
    members = {name: _narrow(values) for name, values in members.items() if values is not None}
    members |= {"schema": SCHEMA, "root": arrays.root, "relative": arrays.relative, "floor": arrays.floor}
    if arrays.shape is not None:
        members["shape"] = np.array(arrays.shape, np.int64)
    if arrays.dtype is not None:
        members["dtype"] = dtype_code(np.dtype(arrays.dtype))
    file = io.BytesIO()
    np.savez_compressed(file, **members)
    atomic_write(path, file.getvalue())


def load_arrays(path: PathLike) -> CircuitArrays:
    """Read a circuit's arrays from a `.npz` file.

    Raises:
        UnsupportedInput: it is no `.npz` file of numbers.
        InvalidModel: it lacks an array, has one that is not known here, or one that breaks a rule.
    """
    from neuralcodec.signals.arrays import read_npz

    with open(path, "rb") as file:
        refuse_endless(file, path)
        found = dict(read_npz(file.read(), os.fspath(path)))
    with naming(path):
        return _from_members(found).validate()


def _from_members(found: Mapping[str, NDArray[Any]]) -> CircuitArrays:
    members = dict(found)
    schema = members.pop("schema", None)
    if schema is None or _integer("schema", schema) != SCHEMA:
        raise InvalidModel(f"the array schema must be {SCHEMA}, the one that this release reads")
    needed = [name for name in (*_INTEGERS, *_NUMBERS, "root") if name not in _OPTIONAL]
    missing = [name for name in needed if name not in members]
    if missing:
        raise InvalidModel(f"the circuit lacks its array {missing[0]!r}")
    unknown = sorted(set(members) - set(needed) - set(_OPTIONAL))
    if unknown:
        raise InvalidModel(f"a circuit has no array {unknown[0]!r}")
    fields: dict[str, Any] = dict(members)
    fields["root"] = _integer("root", members["root"])
    fields["relative"] = _integer("relative", members.get("relative", np.zeros((), bool))) != 0
    if "floor" in members:
        fields["floor"] = _integer("floor", members["floor"])
    if "dtype" in members:
        code = _integer("dtype", members["dtype"])
        if code not in DTYPES:
            raise InvalidModel(f"the dtype code is {code}; this release knows 1 to {len(DTYPES)}")
        fields["dtype"] = DTYPES[code]
    if "shape" in members:
        shape = _vector("shape", members["shape"], "iu", np.int64)
        if not 1 <= len(shape) <= MAX_RANK:
            raise InvalidModel(f"shape has {len(shape)} entries; it must have 1 to {MAX_RANK}")
        fields["shape"] = tuple(shape.tolist())
    return CircuitArrays(**fields)


def _integer(name: str, value: NDArray[Any]) -> int:
    if value.size != 1 or value.dtype.kind not in "iub":
        raise InvalidModel(f"{name} must be one integer, not {value.dtype} of shape {value.shape}")
    return int(value.reshape(()))


def _vector(name: str, values: ArrayLike, kinds: str, dtype: Any) -> NDArray[Any]:
    array = np.asarray(values)
    if array.ndim != 1 or (array.size and array.dtype.kind not in kinds):
        kind = "numbers" if "f" in kinds else "integers"
        raise InvalidModel(f"{name} must be a row of {kind}, not {array.dtype} of shape {array.shape}")
    return np.ascontiguousarray(array, dtype)


def _narrow(values: NDArray[Any]) -> NDArray[Any]:
    """Return integers in 32 bits if they fit."""
    if values.dtype.kind == "f" or (values.size and not -(2**31) <= values.min() <= values.max() < 2**31):
        return values
    return values.astype(np.int32)


def _check_offsets(name: str, offsets: NDArray[np.int64], entries: int) -> None:
    if not offsets.size or offsets[0] != 0 or offsets[-1] != entries or (np.diff(offsets) < 0).any():
        raise InvalidModel(f"{name} must rise from 0 to {entries}, the number of entries that it divides")
