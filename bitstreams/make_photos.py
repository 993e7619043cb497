"""The small model of photographs that golden files are coded with, and images for it; learning needs torch."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from neuralcodec.archives import Metadata
from neuralcodec.codecs import photo as codec
from neuralcodec.container.png import PngForm
from neuralcodec.photo import payload
from neuralcodec.photo.model import PhotoModel

Array = NDArray[Any]


def photo() -> PhotoModel:
    """Return a model of colour images; two of its networks read the fit."""
    from neuralcodec.photo.network import Sizes
    from neuralcodec.photo.training import Recipe, train

    fitted, plain = (
        train(
            [textured(96, 80, 3, seed) for seed in range(6)],
            Recipe(Sizes(8, 4, fitted=fitted), steps=200, batch=2048, variants=0, validation=0),
            threads=1,
        ).networks
        for fitted in (True, False)
    )
    return PhotoModel([fitted[0], plain[1], fitted[2]], {"name": "golden-photo"})


def online(model: PhotoModel) -> PhotoModel:
    """Return a model whose networks go on learning, in all layers or in the last, while an image is coded."""
    networks = (replace(one, online=layers) for one, layers in zip(model.networks, (2, 1, 2), strict=True))
    return PhotoModel(list(networks), {"name": "golden-photo-online"})


def textured(height: int, width: int, channels: int, seed: int) -> NDArray[np.uint8]:
    """Return waves and noise that channels share in part, with an edge, (height, width, channels)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    base = 120 + 50 * np.sin(x / rng.uniform(4, 9) + y / 13) + 40 * (x + 2 * y > width)
    shared = rng.normal(0, 4, (height, width))
    own = rng.normal(0, 1.5, (height, width, channels)) + 9 * np.arange(channels)
    return np.clip((base + shared)[:, :, None] + own, 0, 255).astype(np.uint8)


def _gray(height: int, width: int, seed: int) -> Array:
    return textured(height, width, 1, seed)[:, :, 0]


def _deep(image: NDArray[np.uint8]) -> Array:
    columns = np.arange(image.shape[1], dtype=np.uint16)
    return image.astype(np.uint16) * 257 + columns.reshape(-1, *[1] * (image.ndim - 2))


def _noise(seed: int, top: int, shape: tuple[int, ...]) -> Array:
    return np.random.default_rng(seed).integers(0, top, shape, np.uint16)


def _camera(height: int, width: int, seed: int) -> Array:
    noise = np.random.default_rng(seed).normal(0, 4, (height, width, 3))
    return (textured(height, width, 3, seed) * 16.0 + 90 + noise).astype(np.uint16)


def _half_flat(image: NDArray[np.uint8]) -> Array:
    image[:, : image.shape[1] // 2] = 77
    return image


def _few_colours(height: int, width: int, seed: int) -> Array:
    table = np.random.default_rng(seed).integers(0, 256, (50, 3), np.uint8)
    return table[_gray(height, width, seed) // 6]


def _stretched(image: NDArray[np.uint8]) -> Array:
    return (image.astype(np.uint16) * 2 // 3 * 3 // 2).astype(np.uint8)


# By name, the image, then the longest side of tiles and the pixels below which a tile has one stream, where they
# matter. Those with "online" are coded by the model of that name.
PHOTOS: dict[str, tuple[Callable[[], Array], dict[str, int]]] = {
    "single-photo-colour": (lambda: textured(37, 53, 3, 20), {}),
    "single-photo-streams": (lambda: textured(29, 45, 3, 21), {"small": 0}),
    "single-photo-tiles": (lambda: textured(40, 33, 3, 22), {"side": 16}),
    "single-photo-wide": (lambda: textured(4, 200, 3, 23), {"small": 0}),
    "single-photo-row": (lambda: textured(1, 90, 3, 24), {}),
    "single-photo-column": (lambda: textured(90, 1, 3, 25), {}),
    "single-photo-one": (lambda: textured(1, 1, 3, 26), {}),
    "single-photo-gray": (lambda: _gray(31, 50, 27), {}),
    "single-photo-alpha": (lambda: textured(20, 26, 4, 28), {}),
    "single-photo-two": (lambda: textured(18, 22, 2, 29), {}),
    "single-photo-flat": (lambda: _half_flat(textured(24, 32, 3, 30)), {"side": 16}),
    "single-photo-16-bit": (lambda: _deep(_gray(16, 24, 31)), {}),
    "single-photo-bits": (lambda: _gray(19, 21, 32) > 120, {}),
    "single-photo-16-bit-colour": (
        lambda: _deep(textured(21, 30, 3, 34)) + _noise(34, 60, (21, 30, 3)),
        {"side": 16},
    ),
    "single-photo-levels": (lambda: _noise(35, 4, (17, 40)).astype(np.uint8) * 85, {}),
    "single-photo-palette": (lambda: _gray(20, 33, 36) // 64, {}),
    "single-photo-colours": (lambda: _few_colours(40, 50, 37), {"side": 32}),
    "single-photo-gaps": (lambda: _stretched(textured(40, 50, 3, 38)), {}),
    "single-photo-deflated": (lambda: textured(12, 15, 3, 39), {}),
    "single-photo-deep": (lambda: _camera(40, 44, 40), {}),
    "single-photo-deep-gray": (lambda: _camera(30, 41, 41)[:, :, 0], {"small": 0}),
    "single-photo-deep-gaps": (lambda: _camera(40, 40, 42) << 4, {}),
    "single-photo-residuals": (
        lambda: _noise(43, 2**15, (30, 34, 3)) + _deep(textured(30, 34, 3, 43)) // 2,
        {},
    ),
    "single-photo-online": (lambda: textured(60, 71, 3, 44), {}),
    "single-photo-online-tiles": (lambda: textured(50, 40, 4, 45), {"side": 32, "small": 0}),
    "single-photo-online-deep": (lambda: _camera(41, 34, 46), {}),
    "single-photo-noise": (lambda: _noise(33, 256, (25, 25, 3)).astype(np.uint8), {}),
}


def metadata(name: str) -> Metadata:
    """Return what stands beside an image."""
    if name.endswith("palette"):
        chunks = ((b"PLTE", bytes(range(10, 22))), (b"tRNS", bytes([0, 128])))
        return Metadata(png_form=PngForm(2, chunks).to_bytes())
    if name.endswith("deflated"):
        form = PngForm(8, ((b"tRNS", bytes(6)),)).to_bytes()
        return Metadata("scan.png", bytes(range(100)) * 5, b"II*\0" + bytes(60), form)
    return Metadata()


@contextlib.contextmanager
def settings(*, side: int = payload.SIDE, small: int = payload.SMALL) -> Iterator[None]:
    """Let the encoder cut images otherwise than it does."""
    cut = functools.partial(payload.encode_image, side=side)
    with mock.patch.object(codec, "encode_image", cut), mock.patch.object(payload, "SMALL", small):
        yield
