"""The one place that imports constriction, which has no type stubs.

Only this coder and these models of constriction are used: its `Categorical` with ``perfect=False``
reproduces an integer table exactly when it is given ``frequency - 1`` as float64 and the frequencies sum to
2^24. There, scale is exactly 1, every partial sum is an integer below 2^53, and one count is added to each
symbol. Its other models go through the platform's erf, exp and atan, so they may not steer a stream that
another machine reads.
"""

from typing import Any

import constriction  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray

ANS_CODER: Any = constriction.stream.stack.AnsCoder
FAMILY: Any = constriction.stream.model.Categorical(perfect=False)
"""A family of tables: coder calls take its rows, made by :func:`family_rows`."""


def categorical(frequencies: NDArray[np.int64]) -> Any:
    """Return constriction's model with exactly these frequencies: shape (A,), A >= 2, each >= 1, sum 2^24."""
    return constriction.stream.model.Categorical(family_rows(frequencies), perfect=False)


def family_rows(frequencies: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the parameters under which constriction's tables are exactly these frequencies."""
    return np.ascontiguousarray(frequencies - 1, dtype=np.float64)
