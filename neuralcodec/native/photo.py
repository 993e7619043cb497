"""Python face of the kernels of photographs: networks and mixtures over the tiles of an image."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuralcodec.errors import CorruptFile, InvalidModel
from neuralcodec.native import _native, simd, thread_count

STREAMS = 8
"""Streams of a tile that has several; a small one has 1."""


def regressions(image: NDArray[Any], channels: Sequence[int]) -> NDArray[np.int16]:
    """Return what local least squares tell of each sample: (planes, H, W, 2), both in 1/128.

    First the residual that is predicted, in activities; then the logarithm of the mean squared error.

    Args:
        image: (H, W, C) of uint8 or uint16, with sides up to 4,096.
        channels: which channels are the planes 0, 1, ...
    """
    found: NDArray[np.int16] = _native.photo_regressions(np.ascontiguousarray(image), list(channels), simd())
    return found


class PhotoKernel:
    """Codes planes of tiles of 8 or 16 bits (docs/format.md, sections 11.3 to 11.7)."""

    def __init__(self) -> None:
        self._coder: Any = _native.PhotoCoder()
        self.planes = 0

    def add(
        self,
        hidden: int,
        components: int,
        fitted: bool,
        online: int,
        shifts: Sequence[int],
        weights: Sequence[NDArray[np.int32]],
        biases: Sequence[NDArray[np.int32]],
    ) -> None:
        """Add the network of the next plane.

        Args:
            hidden, components: sizes.
            fitted: whether it reads what local least squares tell.
            online: which layers go on learning: 0 none, 1 the last and the linear one, 2 all.
            shifts: fraction bits of the four layers' weights.
            weights: of the layers `first`, `second`, `last` and `linear`, within 16 bits, (outputs, inputs).
            biases: of the first three, with 12 fraction bits.

        Raises:
            InvalidModel: a size is out of range, or a sum could leave 32 bits.
        """
        try:
            self._coder.add(
                hidden,
                components,
                fitted,
                online,
                list(shifts),
                *(np.ascontiguousarray(w, np.int16).ravel() for w in weights),
                *(np.ascontiguousarray(b, np.int32).ravel() for b in biases),
            )
        except (ValueError, TypeError) as error:
            raise InvalidModel(f"plane {self.planes}: {error}") from None
        self.planes += 1

    def encode(
        self,
        image: NDArray[Any],
        channels: Sequence[int],
        boxes: NDArray[np.int64],
        streams: int,
        threads: int | None = None,
    ) -> list[list[bytes]]:
        """Streams of each tile.

        Args:
            image: (H, W, C) of uint8 or uint16.
            channels: which channels are the planes 0, 1, ...
            boxes: (n, 4): left, top, width and height of each tile.
            streams: 1 or 8.
        """
        coded: list[list[bytes]] = self._coder.encode(
            image, list(channels), boxes, streams, thread_count(threads), simd()
        )
        return coded

    def decode(
        self,
        tiles: Sequence[Sequence[bytes]],
        sizes: NDArray[np.int64],
        planes: int,
        dtype: "np.dtype[Any]",
        threads: int | None = None,
    ) -> list[NDArray[Any] | None]:
        """Arrays (height, width, planes) of tiles, None for one whose coders do not end empty.

        Args:
            tiles: streams of each.
            sizes: (n, 2): height and width of each.
            planes: how many planes each has.
            dtype: of the samples, uint8 or uint16.

        Raises:
            CorruptFile: the model lacks networks for them.
        """
        try:
            decode = self._coder.decode_bytes if dtype == np.uint8 else self._coder.decode_words
            found: list[NDArray[Any] | None] = decode(
                [list(tile) for tile in tiles], sizes, planes, thread_count(threads), simd()
            )
        except ValueError as error:
            raise CorruptFile(str(error), section="payload") from None
        return found
