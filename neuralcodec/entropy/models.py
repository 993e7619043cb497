"""Probability models that a coder can use: integer tables, the same on every machine.

A model gives every symbol of ``[low, low + alphabet)`` an interval of whole counts, at least one, and all
counts sum to ``2^precision``. It is either *one* model for any number of symbols (``size`` is None) or a
*family*: one table for each of ``size`` symbols. See docs/entropy.md for a guide.
"""

import abc
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuralcodec.entropy.integers import (
    ALPHABET_LIMIT,
    PRECISION,
    checked_integer,
    integer_array,
    normalise_counts,
)
from neuralcodec.errors import EntropyCodingError

__all__ = ["ALPHABET_LIMIT", "PRECISION", "Categorical", "Model", "normalise_counts"]

_INT32 = np.iinfo(np.int32)


class Model(abc.ABC):
    """A table of integer counts over consecutive integers, or a family of such tables.

    Attributes
    ----------
    low
        The smallest symbol.
    alphabet
        Number of symbols, 1 to 4,096; with 1 the symbol costs nothing.
    precision
        The counts of a table sum to 2^precision, 1 to 24 bits.
    dtype
        dtype of decoded symbols, int32. Symbols to encode may have any integer dtype.
    size
        None: one table for any number of symbols. Else the number of tables, one for each symbol.
    """

    dtype: np.dtype[np.int32] = np.dtype(np.int32)

    def __init__(self, low: int, alphabet: int, precision: int, size: int | None) -> None:
        self.precision = checked_integer("precision", precision, 1, PRECISION)
        self.alphabet = checked_integer("alphabet", alphabet, 1, min(ALPHABET_LIMIT, 1 << self.precision))
        self.low = checked_integer("low", low, int(_INT32.min), int(_INT32.max) - self.alphabet + 1)
        self.size = size

    @abc.abstractmethod
    def cdf_rows(self, start: int, stop: int) -> NDArray[np.int64]:
        """Return the cumulative tables of symbols `start` to `stop` - 1: shape (stop - start, alphabet + 1).

        Every row starts at 0, ascends strictly and ends at 2^precision. For one model, rows are those of
        (0, 1).
        """

    @abc.abstractmethod
    def intervals(self, offsets: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return start and width, in counts, of the intervals of symbols ``low + offsets``, shape (n,)."""

    @property
    def high(self) -> int:
        """The largest symbol."""
        return self.low + self.alphabet - 1

    def cdf(self) -> NDArray[np.int64]:
        """Return the cumulative tables: shape (alphabet + 1,) for one model, else (size, alphabet + 1)."""
        return self.cdf_rows(0, 1)[0] if self.size is None else self.cdf_rows(0, self.size)

    def offsets(self, symbols: ArrayLike) -> NDArray[np.int64]:
        """Return symbols less `low`, checked: integers of rank 1, in range, as many as a family has tables.

        Raises
        ------
        EntropyCodingError
            Names the first symbol that cannot be coded.
        """
        array = integer_array("symbols", symbols, 1)
        if self.size is not None and len(array) != self.size:
            raise EntropyCodingError(
                f"{len(array)} symbols for a family of {self.size} tables; give as many symbols"
            )
        outside = (array < self.low) | (array > self.high)
        if outside.any():
            at = int(np.argmax(outside))
            raise EntropyCodingError(
                f"symbol {int(array[at])} at position {at} is outside the alphabet {self.low} to {self.high}"
            )
        return array - self.low

    def information(self, symbols: ArrayLike) -> float:
        """Return the ideal code length of `symbols` in bits, for reports (floating point: it steers nothing).

        >>> Categorical([1, 3], precision=2).information([0, 0])
        4.0
        """
        _, widths = self.intervals(self.offsets(symbols))
        return float(np.sum(self.precision - np.log2(widths)))

    @cached_property
    def compiled(self) -> Any:
        """The one table as constriction's model, at 24 bits; only for one model of at least 2 symbols."""
        from neuralcodec.entropy import _constriction

        return _constriction.categorical(np.diff(self.cdf_rows(0, 1)[0]) << (PRECISION - self.precision))


class Categorical(Model):
    """Integer tables given symbol by symbol.

    Parameters
    ----------
    frequencies
        Shape (A,): one model. Shape (n, A): a family with one table for each symbol, or, with `index`, the
        tables that it selects from. Integers of at least 1; each table sums to 2^precision. For raw counts
        use :meth:`from_counts`.
    low
        The smallest symbol.
    precision
        Bits of the sum, 1 to 24.
    index
        Shape (m,): symbol i of the family is coded by table ``index[i]``.

    Raises
    ------
    EntropyCodingError
        For tables that are not integers, have a frequency below 1 or another sum, and for an index out of
        range.

    >>> model = Categorical([1, 2, 1], low=-1, precision=2)
    >>> model.cdf(), model.high, model.dtype
    (array([0, 1, 3, 4]), 1, dtype('int32'))
    """

    def __init__(
        self,
        frequencies: ArrayLike,
        *,
        low: int = 0,
        precision: int = PRECISION,
        index: ArrayLike | None = None,
    ) -> None:
        table = integer_array("frequencies", frequencies, (1, 2))
        shared = table.ndim == 1
        if index is None:
            self._index = None
            size = None if shared else len(table)
        elif shared:
            raise EntropyCodingError("an index needs tables of shape (n, alphabet), not one table")
        else:
            self._index = integer_array("index", index, 1).copy()
            size = len(self._index)
            if size and not (int(self._index.min()) >= 0 and int(self._index.max()) < len(table)):
                raise EntropyCodingError(f"the index selects tables outside 0 to {len(table) - 1}")
        super().__init__(low, table.shape[-1], precision, size)
        self._cdf = self._cumulate(table.reshape(-1, self.alphabet))

    @classmethod
    def from_counts(cls, counts: ArrayLike, *, low: int = 0, precision: int = PRECISION) -> Self:
        """Build from counts of any sum, zeros allowed, by :func:`normalise_counts`.

        >>> np.diff(Categorical.from_counts([6, 2, 0], precision=3).cdf())
        array([5, 2, 1])
        """
        return cls(normalise_counts(counts, precision), low=low, precision=precision)

    @classmethod
    def from_cdf(cls, cdf: ArrayLike, *, low: int = 0, precision: int = PRECISION) -> Self:
        """Build from cumulative tables, shape (A + 1,) or (n, A + 1): from 0 strictly up to 2^precision."""
        table = integer_array("cumulative tables", cdf, (1, 2))
        if table.shape[-1] < 2 or table[..., 0].any():
            raise EntropyCodingError("cumulative tables must start at 0 and have an entry more than symbols")
        return cls(np.diff(table, axis=-1), low=low, precision=precision)

    def select(self, index: ArrayLike) -> "Categorical":
        """Return the family whose symbol i is coded by row ``index[i]`` of this one's tables.

        >>> family = Categorical([[1, 3], [2, 2]], precision=2).select([1, 1, 0])
        >>> np.diff(family.cdf()).tolist()
        [[2, 2], [2, 2], [1, 3]]
        """
        if self._index is not None:
            raise EntropyCodingError("these tables were selected already; select from the tables themselves")
        tables = np.diff(self._cdf)
        return Categorical(tables, low=self.low, precision=self.precision, index=index)

    def _cumulate(self, table: NDArray[np.int64]) -> NDArray[np.int64]:
        total = 1 << self.precision
        if table.size and int(table.min()) < 1:
            row, symbol = np.argwhere(table < 1)[0]
            raise EntropyCodingError(
                f"table {row} gives symbol {self.low + symbol} the frequency {table[row, symbol]}; "
                "every symbol needs at least 1 (Categorical.from_counts sees to that)"
            )
        if table.size and int(table.max()) > total:
            raise EntropyCodingError(f"a frequency of {int(table.max())} exceeds the sum 2^{self.precision}")
        cdf = np.zeros((len(table), self.alphabet + 1), dtype=np.int64)
        np.cumsum(table, axis=1, out=cdf[:, 1:])
        wrong = cdf[:, -1] != total
        if wrong.any():
            row = int(np.argmax(wrong))
            raise EntropyCodingError(
                f"table {row} sums to {cdf[row, -1]}, not to 2^{self.precision} = {total}"
            )
        cdf.flags.writeable = False
        return cdf

    def cdf_rows(self, start: int, stop: int) -> NDArray[np.int64]:
        """See :meth:`Model.cdf_rows`."""
        return self._cdf[start:stop] if self._index is None else self._cdf[self._index[start:stop]]

    def intervals(self, offsets: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """See :meth:`Model.intervals`."""
        rows: NDArray[np.int64] = np.zeros(1, dtype=np.int64)
        if self.size is not None:
            rows = np.arange(self.size) if self._index is None else self._index
        starts = self._cdf[rows, offsets]
        return starts, self._cdf[rows, offsets + 1] - starts
