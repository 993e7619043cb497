"""Which samples a network reads, and what they are outside a tile (docs/format.md, section 11.3)."""

import numpy as np
from numpy.typing import NDArray

SLOPE = 3
"""Columns by which a row lags behind the row above it, in the order of decoding."""

OWN = (
    (0, -1), (0, -2), (0, -3),
    (-1, -3), (-1, -2), (-1, -1), (-1, 0), (-1, 1), (-1, 2),
    (-2, -2), (-2, -1), (-2, 0), (-2, 1), (-2, 2), (-2, 3),
    (-3, -1), (-3, 0), (-3, 1),
)  # fmt: skip
"""Neighbours (rows down, columns right) in the plane that is being coded: all come before the sample."""

FINISHED = (
    (0, 0), (0, -1), (0, 1), (-1, -1), (-1, 0), (-1, 1), (1, -1), (1, 0), (1, 1),
)  # fmt: skip
"""Neighbours in each plane that was coded before."""

NEAR = (0, 1, 4, 5, 6, 7, 10, 11)
"""Neighbours, by their places in `OWN`, whose differences tell the activity around a sample."""

TOP, LEFT, RIGHT, BOTTOM = 3, 3, 3, 1
"""Samples beyond each border that neighbours reach."""

OUTSIDE = 128
PLANES = 3
ORDER = (1, 0, 2)
"""Planes of a colour image in the order of coding: green, red, blue."""


def inputs(plane: int) -> int:
    """Return how many differences the network of a plane reads.

    >>> [inputs(plane) for plane in range(PLANES)]
    [18, 27, 36]
    """
    return len(OWN) + plane * len(FINISHED)


def words(plane: int) -> int:
    """Return how many pairs of inputs a network has: difference and logarithm of each neighbour, then activities.

    >>> [words(plane) for plane in range(PLANES)]
    [19, 28, 38]
    """
    return inputs(plane) + (plane + 2) // 2


def padded(plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a plane (H, W) with what lies around it, (H + 4, W + 6).

    Above are 128s; left of a row its upper neighbour's first sample, right of it its own last, below the last row.

    >>> padded(np.array([[1, 2], [3, 4]], np.uint8))[3:]
    array([[128, 128, 128,   1,   2,   2,   2,   2],
           [  1,   1,   1,   3,   4,   4,   4,   4],
           [  3,   3,   3,   3,   4,   4,   4,   4]], dtype=uint8)
    """
    height, width = plane.shape
    out = np.full((height + TOP + BOTTOM, width + LEFT + RIGHT), OUTSIDE, np.uint8)
    out[TOP : TOP + height, LEFT : LEFT + width] = plane
    out[TOP + height, LEFT : LEFT + width] = plane[-1]
    out[TOP:, LEFT + width :] = out[TOP:, LEFT + width - 1, None]
    out[TOP + 1 :, :LEFT] = plane[:, :1]
    return out
