"""Puts the arrays of a circuit together, layer by layer."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuralcodec.circuits.arrays import LEAF, PRODUCT, SUM, CircuitArrays
from neuralcodec.errors import InvalidModel

Units = NDArray[np.int64]


class ArrayBuilder:
    """Collects the units of a circuit from the leaves to the root, a layer at a time.

    Args:
        relative: whether weights and rows count as divided by their sums (see :class:`CircuitArrays`).

    >>> build = ArrayBuilder()
    >>> a = build.leaves(0, build.rows([[0.9, 0.1], [0.2, 0.8]]))
    >>> b = build.leaves(1, build.rows([[0.5, 0.5], [0.0, 1.0]]))
    >>> root = build.sums(build.products([a, b]), [[0.25, 0.75]])
    >>> build.build(root[0]).units
    7
    """

    def __init__(self, *, relative: bool = False) -> None:
        self._relative = relative
        self._parts: dict[str, list[NDArray[Any]]] = {
            name: []
            for name in ("kind", "inputs", "child", "weight", "variable", "row", "width", "table", "basis")
        }
        self._units = 0
        self._rows = 0
        self._bases_are_known = False

    def rows(self, values: ArrayLike, basis: int | None = None) -> NDArray[np.int64]:
        """Add rows of tables: (n, A) weights of the A values of a sample. Returns their (n,) numbers.

        Rows may serve the leaves of several variables. `basis` says which shared basis they belong to, -1 that
        they belong to none; where no row says so, import looks for shared bases.
        """
        table = np.atleast_2d(np.asarray(values, np.float64))
        self._add(width=np.full(len(table), table.shape[1]), table=table.reshape(-1))
        self._add(basis=np.full(len(table), -1 if basis is None else basis))
        self._bases_are_known |= basis is not None
        self._rows += len(table)
        return np.arange(self._rows - len(table), self._rows)

    def leaves(self, variable: int, rows: ArrayLike) -> Units:
        """Add a leaf over a variable for each of (n,) rows. Returns the (n,) units."""
        numbers = np.atleast_1d(np.asarray(rows, np.int64))
        none: Units = np.zeros(0, np.int64)
        return self._layer(LEAF, np.zeros(len(numbers), np.int64), none, none, variable, numbers)

    def products(self, factors: Sequence[ArrayLike]) -> Units:
        """Add n products; each of the factors has (n,) units, one for each product. Returns the (n,) units."""
        child = np.stack([np.asarray(factor, np.int64) for factor in factors], axis=1)
        inputs = np.full(len(child), child.shape[1])
        return self._layer(PRODUCT, inputs, child.reshape(-1), np.ones(child.size))

    def sums(self, inputs: ArrayLike, weights: ArrayLike) -> Units:
        """Add m sums over (k,) units with (m, k) weights. Returns the (m,) units.

        Weights of 0 make no edge, except to inputs whose weights are all 0: those stay connected.
        """
        child, matrix = np.asarray(inputs, np.int64), np.atleast_2d(np.asarray(weights, np.float64))
        if matrix.shape[1] != len(child):
            raise InvalidModel(f"weights of shape {matrix.shape} do not fit {len(child)} inputs")
        kept = (matrix != 0) | ~(matrix != 0).any(axis=0)
        columns = np.nonzero(kept)[1]
        return self._layer(SUM, kept.sum(axis=1), child[columns], matrix[kept])

    def build(self, root: int, *, shape: tuple[int, ...] | None = None, dtype: Any = None) -> CircuitArrays:
        """Return the arrays of the circuit with this root unit."""
        parts: dict[str, Any] = {
            name: np.concatenate(part) if part else np.zeros(0, np.int64)
            for name, part in self._parts.items()
        }
        bases = parts.pop("basis")
        return CircuitArrays(
            indptr=np.concatenate([[0], np.cumsum(parts.pop("inputs"))]),
            row_indptr=np.concatenate([[0], np.cumsum(parts.pop("width"))]),
            **parts,
            root=root,
            relative=self._relative,
            basis=bases if self._bases_are_known else None,
            shape=shape,
            dtype=None if dtype is None else np.dtype(dtype),
        )

    def _layer(
        self,
        kind: int,
        inputs: NDArray[np.int64],
        child: Units,
        weight: NDArray[Any],
        variable: int = -1,
        row: Units | None = None,
    ) -> Units:
        size = len(inputs)
        self._add(kind=np.full(size, kind), inputs=inputs, child=child, weight=weight)
        self._add(variable=np.full(size, variable), row=np.full(size, -1) if row is None else row)
        self._units += size
        return np.arange(self._units - size, self._units)

    def _add(self, **parts: NDArray[Any]) -> None:
        for name, part in parts.items():
            self._parts[name].append(part)
