"""Signed integers as unsigned ones, those near 0 being the least: 0, -1, 1, -2, ... as 0, 1, 2, 3, ..."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def folded(values: NDArray[Any]) -> NDArray[np.int64]:
    """Return signed integers folded.

    >>> folded(np.array([0, -1, 1, -2])).tolist()
    [0, 1, 2, 3]
    """
    wide = values.astype(np.int64)
    return np.where(wide < 0, -2 * wide - 1, 2 * wide)


def unfolded(values: NDArray[Any]) -> NDArray[np.int64]:
    """Return what :func:`folded` took.

    >>> unfolded(np.array([0, 1, 2, 3], np.uint32)).tolist()
    [0, -1, 1, -2]
    """
    wide = values.astype(np.int64)
    return np.where(wide & 1, -(wide + 1) >> 1, wide >> 1)
