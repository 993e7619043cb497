"""How a set of images becomes files: each alone, all in one picture, or all in one archive."""

import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from neuralcodec.errors import UnsupportedInput
from neuralcodec.evaluation.data import Item
from neuralcodec.evaluation.subject import Encoded, Subject, kind_of

EACH, MOSAIC, ARCHIVE = "each", "mosaic", "archive"
LAYOUTS = (EACH, MOSAIC, ARCHIVE)


class SetCoder(Protocol):
    """Codes a whole set as one file."""

    def refuses(self) -> str | None:
        """Return why the codec cannot do so, or None."""
        ...

    def encode(self, quality: float | None) -> Encoded:
        """Return the file."""
        ...

    def decode(self, file: bytes) -> NDArray[Any]:
        """Return the images, (n, *shape)."""
        ...


def set_name(layout: str, n: int) -> str:
    """Return what the row of a whole set calls its image.

    >>> set_name(MOSAIC, 10_000)
    'mosaic of 10000'
    """
    return f"{layout} of {n}"


def coder(layout: str, subject: Subject, images: NDArray[Any]) -> SetCoder:
    """Return what codes (n, *shape) images in a layout, "mosaic" or "archive"."""
    return _Mosaic(subject, images) if layout == MOSAIC else _Archive(subject, images)


def stack(items: Sequence[Item]) -> NDArray[Any]:
    """Return images of one shape and dtype as (n, *shape); :class:`UnsupportedInput` if they differ."""
    first = items[0].load()
    out = np.empty((len(items), *first.shape), first.dtype)
    for number, item in enumerate(items):
        image = item.load() if number else first
        if image.shape != first.shape or image.dtype != first.dtype:
            raise UnsupportedInput(
                f"{item.name} is {kind_of(image)} and {items[0].name} is {kind_of(first)}: one file of all images "
                f"needs images of one shape and dtype; measure them one by one (--layout {EACH})"
            )
        out[number] = image
    return out


def mosaic(images: NDArray[Any]) -> NDArray[Any]:
    """Return (n, H, W[, C]) images as the tiles of one picture, row by row, nearly as many across as down.

    The places that are left over are 0.

    >>> mosaic(np.arange(1, 4).reshape(3, 1, 1))
    array([[1, 2],
           [3, 0]])
    """
    n, height, width = images.shape[:3]
    across = math.ceil(math.sqrt(n))
    down = math.ceil(n / across)
    grid = np.zeros((down * across, *images.shape[1:]), images.dtype)
    grid[:n] = images
    grid = grid.reshape(down, across, height, width, *images.shape[3:]).swapaxes(1, 2)
    return np.ascontiguousarray(grid.reshape(down * height, across * width, *images.shape[3:]))


def tiles(picture: NDArray[Any], n: int, height: int, width: int) -> NDArray[Any]:
    """Return the first n tiles of a mosaic, (n, height, width[, C]).

    >>> images = np.arange(5 * 2 * 3).reshape(5, 2, 3)
    >>> bool((tiles(mosaic(images), 5, 2, 3) == images).all())
    True
    """
    down, across = picture.shape[0] // height, picture.shape[1] // width
    grid = picture.reshape(down, height, across, width, *picture.shape[2:]).swapaxes(1, 2)
    return np.ascontiguousarray(grid.reshape(down * across, height, width, *picture.shape[2:])[:n])


class _Mosaic:
    def __init__(self, subject: Subject, images: NDArray[Any]) -> None:
        self._subject, self._n, self._size = subject, len(images), images.shape[1:3]
        self._picture = mosaic(images)

    def refuses(self) -> str | None:
        return self._subject.refuses(self._picture)

    def encode(self, quality: float | None) -> Encoded:
        return self._subject.encode(self._picture, quality)

    def decode(self, file: bytes) -> NDArray[Any]:
        picture = self._subject.decode(file, kind_of(self._picture))
        if picture.shape != self._picture.shape or picture.dtype != self._picture.dtype:
            raise UnsupportedInput(f"it decodes to {kind_of(picture)}, not {kind_of(self._picture)}")
        return tiles(picture, self._n, *self._size)


class _Archive:
    def __init__(self, subject: Subject, images: NDArray[Any]) -> None:
        self._subject, self._images = subject, images

    def refuses(self) -> str | None:
        if self._subject.codec.standalone:
            return "it has no archives: measure it on a mosaic, or image by image"
        return self._subject.refuses(self._images[0])

    def encode(self, quality: float | None) -> Encoded:
        return self._subject.encode_many(self._images, quality)

    def decode(self, file: bytes) -> NDArray[Any]:
        return self._subject.decode_many(file)
