"""How an image is cut into tiles (docs/format.md, section 11.2)."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

MOST_SIDE = 1024
SIDE = 512
"""Longest side of the tiles that are written."""


@dataclass(frozen=True)
class Box:
    """A rectangle of an image, in pixels."""

    left: int
    top: int
    width: int
    height: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns of it."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)

    def inside(self, other: "Box") -> "Box | None":
        """Return the part of it that lies in another box, or None.

        >>> Box(0, 0, 4, 4).inside(Box(3, 2, 9, 1))
        Box(left=3, top=2, width=1, height=1)
        """
        left, top = max(self.left, other.left), max(self.top, other.top)
        right = min(self.left + self.width, other.left + other.width)
        bottom = min(self.top + self.height, other.top + other.height)
        return Box(left, top, right - left, bottom - top) if left < right and top < bottom else None


@dataclass(frozen=True)
class Grid:
    """Tiles of an image: as few along each side as the longest side of a tile allows, and nearly alike.

    >>> grid = Grid(512, 768, 512)
    >>> len(grid), grid[1]
    (2, Box(left=384, top=0, width=384, height=512))
    """

    height: int
    width: int
    side: int

    @cached_property
    def shape(self) -> tuple[int, int]:
        """Tiles along the height and along the width."""
        return -(-self.height // self.side), -(-self.width // self.side)

    def __len__(self) -> int:
        return self.shape[0] * self.shape[1]

    def __getitem__(self, number: int) -> Box:
        rows, columns = self.shape
        row, column = divmod(number, columns)
        left, right = column * self.width // columns, (column + 1) * self.width // columns
        top, bottom = row * self.height // rows, (row + 1) * self.height // rows
        return Box(left, top, right - left, bottom - top)

    def touching(self, box: Box) -> list[int]:
        """Return the numbers of the tiles that have a pixel in a box."""
        return [number for number in range(len(self)) if self[number].inside(box)]


def boxes_array(boxes: list[Box]) -> NDArray[np.int64]:
    """Return boxes as rows of left, top, width and height."""
    return np.array([(b.left, b.top, b.width, b.height) for b in boxes], np.int64).reshape(-1, 4)
