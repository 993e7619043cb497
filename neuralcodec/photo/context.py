"""Which samples a network reads, and what they are outside a tile (docs/format.md, section 11.3)."""

from functools import cache
from typing import Any

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

PLANES = 3
ORDER = (1, 0, 2)
"""Planes of a colour image in the order of coding: green, red, blue."""


def kinds(plane: int) -> list[tuple[int, int | None, tuple[tuple[int, int], ...]]]:
    """Return what the network of a plane reads: of which plane, relative to which, and at which neighbours.

    >>> [(one, to, len(places)) for one, to, places in kinds(2)]
    [(2, 0, 18), (2, 1, 18), (2, None, 18), (0, None, 9), (1, 0, 9)]
    """
    relative = [(plane, other, OWN) for other in range(plane)]
    finished = [(other, 0 if other else None, FINISHED) for other in range(plane)]
    return [*relative, (plane, None, OWN), *finished]


@cache
def places_of(plane: int) -> list[tuple[int, int, int]]:
    """Return each sample that the network of a plane reads, once: plane, rows down, columns right."""
    found = [
        (of, *place)
        for one, to, places in kinds(plane)
        for of in (one, to)
        if of is not None
        for place in places
    ]
    if plane:
        found.append((0, 0, 0))
    return list(dict.fromkeys(found))


def inputs(plane: int) -> int:
    """Return how many differences the network of a plane reads: the last is that to the least-squares prediction.

    >>> [inputs(plane) for plane in range(PLANES)]
    [19, 46, 73]
    """
    return sum(len(places) for _, _, places in kinds(plane)) + 1


def words(plane: int) -> int:
    """Return how many pairs of inputs a network has: differences with their logarithms, then those of activities.

    >>> [words(plane) for plane in range(PLANES)]
    [20, 48, 76]
    """
    return inputs(plane) + (len(kinds(plane)) + 1) // 2


def padded(plane: NDArray[Any]) -> NDArray[Any]:
    """Return a plane (H, W) of uint8 or uint16 with what lies around it, (H + 4, W + 6).

    Above are samples of half the range; left of a row its upper neighbour's first sample, right of it its own last,
    below the last row.

    >>> padded(np.array([[1, 2], [3, 4]], np.uint8))[3:]
    array([[128, 128, 128,   1,   2,   2,   2,   2],
           [  1,   1,   1,   3,   4,   4,   4,   4],
           [  3,   3,   3,   3,   4,   4,   4,   4]], dtype=uint8)
    """
    height, width = plane.shape
    out = np.full((height + TOP + BOTTOM, width + LEFT + RIGHT), 1 << (8 * plane.itemsize - 1), plane.dtype)
    out[TOP : TOP + height, LEFT : LEFT + width] = plane
    out[TOP + height, LEFT : LEFT + width] = plane[-1]
    out[TOP:, LEFT + width :] = out[TOP:, LEFT + width - 1, None]
    out[TOP + 1 :, :LEFT] = plane[:, :1]
    return out
