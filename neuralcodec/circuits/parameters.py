"""Parameters of a circuit, as probabilities for learning and as the integer levels that model files keep."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from neuralcodec.circuits.structure import FIELDS, TreeStructure
from neuralcodec.errors import InvalidModel

MAX_LEVEL = 4_095
MAX_ROW_SUM = (1 << 24) - 1

ScalarT = TypeVar("ScalarT", bound=np.generic)


@dataclass(frozen=True, eq=False)
class Tables(Generic[ScalarT]):
    """Five flat arrays of rows, in node order and row-major; a row stands for one distribution.

    Attributes:
        root: (M_0,) the root's prior.
        transition: for each node v >= 1 with parent u, M_u rows of M_v, without what the support leaves out.
        weight: for each node v with basis b, M_v rows of K_b.
        free: for each node v with free emissions, M_v rows of its alphabet.
        basis: for each basis b, K_b rows of its alphabet.
    """

    root: NDArray[ScalarT]
    transition: NDArray[ScalarT]
    weight: NDArray[ScalarT]
    free: NDArray[ScalarT]
    basis: NDArray[ScalarT]

    def transition_of(self, structure: TreeStructure, node: int) -> NDArray[ScalarT]:
        """(M_parent, M_node) transitions of a non-root node: a view if no block is pruned, else a copy."""
        start, stop = structure.transition_offset[node : node + 2]
        if structure.support is None:
            return self.transition[start:stop].reshape(-1, structure.states[node])
        stored = structure.stored(node)
        result = np.zeros(stored.shape, self.transition.dtype)
        result[stored] = self.transition[start:stop]
        return result

    def set_transition(self, structure: TreeStructure, node: int, values: NDArray[Any]) -> None:
        """Store a non-root node's (M_parent, M_node) transitions; what stands in pruned blocks is dropped."""
        start, stop = structure.transition_offset[node : node + 2]
        self.transition[start:stop] = values[structure.stored(node)]

    def weight_of(self, structure: TreeStructure, node: int) -> NDArray[ScalarT]:
        """(M_node, K) view of the weights of a node with a shared basis."""
        start, stop = structure.weight_offset[node : node + 2]
        return self.weight[start:stop].reshape(structure.states[node], -1)

    def free_of(self, structure: TreeStructure, node: int) -> NDArray[ScalarT]:
        """(M_node, A) view of a node's free emissions."""
        start, stop = structure.free_offset[node : node + 2]
        return self.free[start:stop].reshape(structure.states[node], -1)

    def basis_of(self, structure: TreeStructure, basis: int) -> NDArray[ScalarT]:
        """(K, A) view of one shared basis."""
        start, stop = structure.basis_offset[basis : basis + 2]
        return self.basis[start:stop].reshape(structure.basis_size[basis], -1)

    @property
    def arrays(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
        """The five arrays in the order in which the kernels take them."""
        return self.root, self.transition, self.weight, self.free, self.basis

    def copy(self) -> Self:
        """Return a deep copy."""
        return type(self)(*(getattr(self, field).copy() for field in FIELDS))

    def _check_sizes(self, structure: TreeStructure) -> None:
        for field, size in structure.sizes.items():
            shape = getattr(self, field).shape
            if shape != (size,):
                raise InvalidModel(f"{field} has shape {shape}; the structure asks for ({size},)")


@dataclass(frozen=True, eq=False)
class Parameters(Tables[np.floating[Any]]):
    """Probabilities, float32 for learning and coding, float64 in the reference. Each row sums to 1."""

    def validate(self, structure: TreeStructure) -> Self:
        """Return self if sizes fit and every row is a distribution.

        Raises:
            InvalidModel: naming the array, the row and the node or basis it belongs to.
        """
        self._check_sizes(structure)
        for field in FIELDS:
            values, widths = getattr(self, field), structure.row_widths(field)
            wrong = ~np.isfinite(values) | (values < 0)
            if wrong.any():
                entry = int(wrong.argmax())
                row = int(np.searchsorted(np.cumsum(widths), entry, side="right"))
                owner = _owner(structure, field, row)
                raise InvalidModel(f"{owner} holds {values[entry]}, not a probability")
            sums = row_reduce(np.add, values, widths, np.float64)
            bad = np.flatnonzero(np.abs(sums - 1) > 1e-3)
            if bad.size:
                raise InvalidModel(f"{_owner(structure, field, int(bad[0]))} sums to {sums[bad[0]]:g}, not 1")
        return self


@dataclass(frozen=True, eq=False)
class Levels(Tables[np.uint16]):
    """Integers l in [0, 4095]; a row stands for the distribution with counts l^2 (docs/format.md 7.1)."""

    def validate(self, structure: TreeStructure) -> Self:
        """Return self if sizes fit, levels are at most 4,095 and row sums of squares lie in [1, 2^24).

        Raises:
            InvalidModel: naming the array, the row and the node or basis it belongs to.
        """
        self._check_sizes(structure)
        for field in FIELDS:
            widths = structure.row_widths(field)
            sums = row_reduce(np.add, np.square(getattr(self, field).astype(np.uint64)), widths, np.uint64)
            bad = np.flatnonzero((sums < 1) | (sums > MAX_ROW_SUM))
            if bad.size:
                owner, total = _owner(structure, field, int(bad[0])), sums[bad[0]]
                raise InvalidModel(f"{owner}: squares sum to {total}, which must be 1 to {MAX_ROW_SUM}")
        return self


@dataclass(frozen=True)
class QuantisationSteps:
    """Step of the uniform quantiser of sqrt(p), for each array, in [1/4095, 1].

    A row with n positive entries loses about n * step^2 / 6 nats (Kullback-Leibler) by it.
    """

    root: float = 1 / 2048
    transition: float = 1 / 48
    weight: float = 1 / 32
    free: float = 1 / 512
    basis: float = 1 / 2048

    def __post_init__(self) -> None:
        for field in FIELDS:
            step = getattr(self, field)
            if not 1 / MAX_LEVEL <= step <= 1:
                raise ValueError(f"the step of {field} is {step}; it must be 1/{MAX_LEVEL} to 1")


def quantise(
    structure: TreeStructure, parameters: Parameters, steps: QuantisationSteps | None = None
) -> Levels:
    """Quantise sqrt(p) uniformly: level = round(sqrt(p) / step), of rows scaled to sum 1.

    The square root spreads the error as the Fisher metric does, so one step suits all rows. Every row keeps a
    nonzero level, and its sum of squares stays below 2^24.

    Raises:
        InvalidModel: if the parameters are not distributions.
    """
    chosen = steps or QuantisationSteps()
    parameters.validate(structure)
    rows = (
        _quantise_rows(getattr(parameters, field), structure.row_widths(field), getattr(chosen, field))
        for field in FIELDS
    )
    return Levels(*rows)


def dequantise(structure: TreeStructure, levels: Levels) -> Parameters:
    """Return float32 probabilities l^2 / sum l^2, rounded as docs/format.md 7.1 says.

    Raises:
        InvalidModel: if the levels break a rule of the format.
    """
    levels.validate(structure)
    arrays: list[NDArray[np.float32]] = []
    for field in FIELDS:
        squares = np.square(getattr(levels, field).astype(np.float32))
        widths = structure.row_widths(field)
        totals = row_reduce(np.add, squares, widths, np.float64).astype(np.float32)
        arrays.append(row_scale(np.divide, squares, totals, widths))
    return Parameters(*arrays)


def normalise(structure: TreeStructure, parameters: Parameters) -> Parameters:
    """Return the parameters with every row divided by its sum (rows of zeros become uniform)."""
    arrays: list[NDArray[Any]] = []
    for field in FIELDS:
        values, widths = getattr(parameters, field), structure.row_widths(field)
        sums = row_reduce(np.add, values, widths, np.float64)
        empty = sums <= 0
        scaled = row_scale(np.divide, values, np.where(empty, 1, sums).astype(values.dtype), widths)
        if empty.any():
            fill = np.where(empty, 1 / widths, 0).astype(values.dtype)
            scaled = row_scale(np.add, scaled, fill, widths)
        arrays.append(scaled)
    return Parameters(*arrays)


def row_reduce(ufunc: np.ufunc, values: NDArray[Any], widths: NDArray[np.int64], dtype: Any) -> NDArray[Any]:
    """Reduce each row of a flat array of rows of the given widths: (rows,) of `dtype`."""
    if not widths.size:
        return np.zeros(0, dtype)
    if widths.min() == widths.max():
        result = ufunc.reduce(values.reshape(len(widths), -1), axis=1, dtype=dtype)
    else:
        result = ufunc.reduceat(values, np.cumsum(widths) - widths, dtype=dtype)
    return np.asarray(result)


def row_scale(
    operation: Callable[..., Any], values: NDArray[Any], factors: NDArray[Any], widths: NDArray[np.int64]
) -> NDArray[Any]:
    """Apply `operation(entry, factor of its row)` to a flat array of rows of the given widths."""
    if not widths.size:
        return values.copy()
    if widths.min() == widths.max():
        return np.asarray(operation(values.reshape(len(widths), -1), factors[:, None])).reshape(-1)
    return np.asarray(operation(values, np.repeat(factors, widths)))


def _quantise_rows(values: NDArray[Any], widths: NDArray[np.int64], step: float) -> NDArray[np.uint16]:
    sums = row_reduce(np.add, values, widths, np.float64)
    exact = np.sqrt(row_scale(np.divide, values.astype(np.float32), sums.astype(np.float32), widths))
    exact /= np.float32(step)
    levels: NDArray[np.float32] = np.minimum(np.rint(exact), np.float32(MAX_LEVEL))
    totals = row_reduce(np.add, np.square(levels), widths, np.float64)
    if (totals > MAX_ROW_SUM).any():
        # Rounding down cannot exceed sum(p) / step^2 <= 4095^2 (up to float32 rounding, hence the margin).
        floored = np.minimum(np.floor(exact * np.float32(1 - 1e-5)), np.float32(MAX_LEVEL))
        fits = row_scale(np.multiply, np.ones_like(levels), totals <= MAX_ROW_SUM, widths)
        levels = np.where(fits > 0, levels, floored)
    if (totals < 1).any():
        peaks = row_reduce(np.maximum, exact, widths, np.float32)
        at_peak = row_scale(np.equal, exact, np.where(totals < 1, peaks, np.float32(-1)), widths)
        levels = np.where(at_peak, np.float32(1), levels)
    return levels.astype(np.uint16)


def _owner(structure: TreeStructure, field: str, row: int) -> str:
    """Name the row, the node or basis that holds it, for an error message."""
    if field == "root":
        return "node 0: the root's prior"
    if field == "basis":
        starts = np.cumsum(np.array(structure.basis_size))
        basis = int(np.searchsorted(starts, row, side="right"))
        return f"basis {basis}: row {row - (starts[basis] - structure.basis_size[basis])}"
    rows = np.where(structure.parent >= 0, structure.states[structure.parent], 0)
    if field != "transition":
        uses = structure.emission > 0 if field == "weight" else structure.emission == 0
        rows = np.where(uses, structure.states, 0)
    ends = np.cumsum(rows)
    node = int(np.searchsorted(ends, row, side="right"))
    return f"node {node}: {field} row {row - (ends[node] - rows[node])}"
