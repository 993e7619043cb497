"""Shipped tables of standard distributions, from which the discretised models are built.

Each file holds the upper tail ``Q(z) = 1 - F(z)`` of a standard distribution at ``z = i / 256``, i = 0, 1,
..., as ``round(2^32 Q)``, up to the first entry that is 0. The distributions are symmetric, so ``F(-z) =
Q(z)``. They are made by ``python -m neuralcodec.entropy.tables.generate``.
"""

from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

STEP_BITS = 8
"""The tables' argument advances by 2^-STEP_BITS."""

VALUE_BITS = 32
"""The tables' values count 2^-VALUE_BITS."""

NAMES = ("gaussian", "laplace", "logistic")


@cache
def load_tail(name: str) -> NDArray[np.int64]:
    """Return the table called `name` (one of NAMES) as a read-only int64 array, descending from 2^31 to 0.

    >>> table = load_tail("laplace")
    >>> int(table[0]) == 2**31, int(table[-1]), len(table)
    (True, 0, 5680)
    """
    data = (files(__package__) / f"{name}.u32").read_bytes()
    table = np.frombuffer(data, dtype="<u4").astype(np.int64)
    table.flags.writeable = False
    return table
