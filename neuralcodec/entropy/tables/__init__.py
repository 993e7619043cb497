"""Shipped tables of standard distributions, from which the discretised models are built.

Each file holds the upper tail ``Q(z) = 1 - F(z)`` of a standard distribution at ``z = i / 256``, i = 0, 1,
..., as ``round(2^32 Q)``, up to the first entry that is 0. The distributions are symmetric, so ``F(-z) =
Q(z)``. `normal.i32` is the inverse: quantiles of the standard normal, from which random normals are made. They
are made by ``python -m neuralcodec.entropy.tables.generate``.
"""

from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

STEP_BITS = 8
"""The tables' argument advances by 2^-STEP_BITS."""

VALUE_BITS = 32
"""The tables' values count 2^-VALUE_BITS."""

NORMAL_OCTAVES, NORMAL_STEPS, NORMAL_BITS = 32, 128, 21
"""Octaves of the tail probability in the table of normal quantiles, steps of each, and bits after the point."""

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


@cache
def load_normal() -> NDArray[np.int32]:
    """Return the quantiles of the standard normal as a read-only int32 array of 4,097 entries.

    Entry ``128 e + s`` is ``round(2^21 z)`` for the z whose upper tail is ``2^(e - 33) (1 + s / 128)``, e = 0 to
    31, s = 0 to 127; the last entry is that of the tail 1/2, z = 0.

    >>> table = load_normal()
    >>> len(table), int(table[0]), int(table[-1])
    (4097, 13291661, 0)
    """
    table = np.frombuffer((files(__package__) / "normal.i32").read_bytes(), dtype="<i4").astype(np.int32)
    table.flags.writeable = False
    return table
