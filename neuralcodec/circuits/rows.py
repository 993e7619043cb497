"""Sparse rows of masses, and the levels that rows of masses become."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neuralcodec.circuits.parameters import (
    MAX_LEVEL,
    MAX_ROW_SUM,
    Levels,
    Parameters,
    QuantisationSteps,
    quantise,
    row_reduce,
    row_scale,
)
from neuralcodec.circuits.regions import edges_of
from neuralcodec.circuits.structure import FIELDS, TreeStructure

Integers = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Rows:
    """A matrix in compressed rows (CSR): row i has `mass[e]` in `column[e]` for e in indptr[i]:indptr[i + 1].

    >>> Rows(np.array([0, 2, 3]), np.array([0, 2, 1]), np.array([0.5, 0.5, 1.0])).dense(3).tolist()
    [[0.5, 0.0, 0.5], [0.0, 1.0, 0.0]]
    """

    indptr: Integers
    column: Integers
    mass: FloatArray

    @classmethod
    def choice(cls, column: Integers) -> "Rows":
        """Return rows that have a single 1 each.

        >>> Rows.choice(np.array([1, 0])).dense(2).tolist()
        [[0.0, 1.0], [1.0, 0.0]]
        """
        return cls(np.arange(len(column) + 1), column, np.ones(len(column)))

    def take(self, order: Integers) -> "Rows":
        """Return the rows in another order."""
        edges, starts = edges_of(self.indptr, order)
        return Rows(np.append(starts, len(edges)), self.column[edges], self.mass[edges])

    def dense(self, columns: int) -> FloatArray:
        """Return the matrix of (rows, columns); masses of one entry add up."""
        rows = len(self.indptr) - 1
        place = np.repeat(np.arange(rows) * columns, np.diff(self.indptr)) + self.column
        flat: FloatArray = np.bincount(place, self.mass, rows * columns).astype(np.float64, copy=False)
        return flat.reshape(rows, columns)


def transition(rows: Rows, states: int) -> FloatArray:
    """Return the masses of a transition, (states of the parent, states of the node), from its sparse rows.

    The one place where transitions become dense.

    >>> transition(Rows.choice(np.array([0, 0])), 1).tolist()
    [[1.0], [1.0]]
    """
    return rows.dense(states)


def levels_of(
    structure: TreeStructure, masses: Mapping[str, FloatArray], steps: QuantisationSteps | None = None
) -> Levels:
    """Return the levels of rows of masses, which need not sum to 1.

    A row of squares of integers that may be levels keeps those; other rows are quantised with the steps.

    >>> from neuralcodec.circuits.structure import TreeStructure
    >>> one = TreeStructure((1,), np.dtype(np.uint8), [-1], [0], [2], [2], [0], ())
    >>> none = np.zeros(0)
    >>> masses = {"root": np.array([0.3, 0.3]), "free": np.array([4.0, 9, 0, 1])}
    >>> found = levels_of(one, {"transition": none, "weight": none, "basis": none, **masses})
    >>> found.root.tolist(), found.free.tolist()
    ([1448, 1448], [2, 3, 0, 1])
    """
    rows = {name: structure.row_widths(name) for name in FIELDS}
    shares = (_normalised(masses[name], rows[name]) for name in FIELDS)
    rounded = quantise(structure, Parameters(*shares), steps)
    result = []
    for name in FIELDS:
        exact, kept = _square_roots(masses[name], rows[name])
        result.append(np.where(kept, exact, getattr(rounded, name)).astype(np.uint16))
    return Levels(*result)


def _normalised(masses: FloatArray, widths: Integers) -> FloatArray:
    peaks = row_reduce(np.maximum, masses, widths, np.float64)
    scaled = row_scale(np.divide, masses, peaks, widths)  # so that the largest masses can be summed
    return row_scale(np.divide, scaled, row_reduce(np.add, scaled, widths, np.float64), widths)


def _square_roots(masses: FloatArray, widths: Integers) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Return the rounded roots of all masses, and which lie in rows of levels alone."""
    roots = np.rint(np.sqrt(np.minimum(masses, (MAX_LEVEL + 1.0) ** 2)))
    good = row_reduce(np.logical_and, (roots**2 == masses) & (roots <= MAX_LEVEL), widths, np.bool_)
    good &= row_reduce(np.add, roots**2, widths, np.float64) <= MAX_ROW_SUM
    kept = row_scale(np.logical_and, np.ones(len(masses), bool), good, widths)
    return roots, kept
