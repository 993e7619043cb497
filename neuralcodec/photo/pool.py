"""Training photographs: augmented, padded, and sampled in short runs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuralcodec.native.photo import regressions
from neuralcodec.photo.context import LEFT, ORDER, TOP, padded, places_of
from neuralcodec.photo.tiles import SIDE, Grid

if TYPE_CHECKING:
    from PIL import Image

RUN = 16
"""Neighbouring samples that are drawn together, for the cache's sake."""


def augmented(image: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    """Return a variant of an image: of another scale, mirrored or turned, of other colours, noisier, sharper, or of
    coarser chroma.
    """
    samples = _varied_deep(image, rng) if image.dtype == np.uint16 else _varied(image, rng)
    samples = np.rot90(samples, int(rng.integers(4)))
    if rng.random() < 0.5:
        samples = samples[:, ::-1]
    return np.ascontiguousarray(np.clip(np.rint(samples), 0, np.iinfo(image.dtype).max).astype(image.dtype))


def _varied_deep(image: NDArray[np.uint16], rng: np.random.Generator) -> NDArray[np.floating[Any]]:
    """Return an image of 16 bits at half its size, with less light, or as it is."""
    samples = image.astype(np.float32)
    if rng.random() < 0.3 and min(image.shape[:2]) >= 4 * RUN:
        height, width = (side // 2 for side in image.shape[:2])
        samples = samples[: 2 * height, : 2 * width].reshape(height, 2, width, 2, -1).mean((1, 3))
    if rng.random() < 0.5:
        samples = samples * np.float32(rng.uniform(0.25, 1))
    return samples


def _varied(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.floating[Any]]:
    from PIL import Image, ImageFilter

    picture = Image.fromarray(image if image.shape[2] == 3 else image[:, :, 0])
    if rng.random() < 0.6:
        scale = rng.uniform(0.45, 0.95)
        size = max(16, round(picture.width * scale)), max(16, round(picture.height * scale))
        filters = (Image.Resampling.LANCZOS, Image.Resampling.BICUBIC, Image.Resampling.BOX)
        picture = picture.resize(size, filters[rng.integers(3)])
    if rng.random() < 0.7:
        strength = int(rng.uniform(20, 150))
        picture = picture.filter(ImageFilter.UnsharpMask(rng.uniform(0.5, 1.2), strength, 0))
    samples: NDArray[np.floating[Any]] = (
        np.asarray(picture).reshape(picture.height, picture.width, -1).astype(np.float32)
    )
    if rng.random() < 0.15:
        sigma = rng.uniform(0.3, 2.0)
        shared = rng.normal(0, sigma, samples.shape[:2])[:, :, None]
        own = rng.normal(0, sigma * rng.uniform(0.2, 1), samples.shape)
        samples = samples + shared + own
    elif rng.random() < 0.1 and image.shape[2] == 3:
        samples = _coarse_chroma(picture, both=rng.random() < 0.5)
    if rng.random() < 0.6 and image.shape[2] == 3:
        samples = _other_colours(samples, rng)
    return samples


def _other_colours(samples: NDArray[np.floating[Any]], rng: np.random.Generator) -> NDArray[np.floating[Any]]:
    """Return an image of other saturation, gains and gammas, dithered lest values have gaps."""
    x = samples / 255
    light = x @ np.array([0.3, 0.6, 0.1])
    x = light[..., None] + (x - light[..., None]) * rng.uniform(0.4, 1.5)
    x = np.clip(x, 0, 1) ** np.exp(rng.normal(0, 0.15, 3)) * np.exp(rng.normal(0, 0.15, 3))
    found: NDArray[np.floating[Any]] = 255 * x + rng.uniform(-0.5, 0.5, x.shape)
    return found


def _coarse_chroma(picture: "Image.Image", *, both: bool) -> NDArray[np.floating[Any]]:
    """Return what decoders of JPEG files make: one chroma value for two columns, or for two rows as well."""
    from PIL import Image

    coded = np.asarray(picture.convert("YCbCr")).copy()
    rows = 2 if both else 1
    chroma = coded[::rows, ::2, 1:].repeat(rows, 0).repeat(2, 1)
    coded[..., 1:] = chroma[: coded.shape[0], : coded.shape[1]]
    again = Image.frombytes("YCbCr", picture.size, coded.tobytes())
    return np.asarray(again.convert("RGB")).astype(np.float32)


def _fits(
    image: NDArray[Any], channels: Sequence[int], shape: tuple[int, ...], fitted: bool
) -> NDArray[np.int16]:
    """Return the local least squares of padded planes of a shape, (samples, 2)."""
    fits = np.zeros((*shape, 2), np.int16)
    inner = fits[:, TOP : TOP + image.shape[0], LEFT : LEFT + image.shape[1]]
    grid = Grid(image.shape[0], image.shape[1], SIDE)
    for box in (grid[number] for number in range(len(grid) if fitted else 0)):
        inner[:, *box.slices] = regressions(image[box.slices], channels)
    return fits.reshape(-1, 2)


class Pool:
    """Padded planes of many images in one array, of which runs of samples are drawn.

    Parameters
    ----------
    images
        Arrays (H, W, 3) or (H, W, 1), each at least 2 x 16, all of uint8 or all of uint16.
    fitted
        Whether local least squares are wanted, tile by tile as in files; they are 0 if not.
    """

    def __init__(self, images: list[NDArray[Any]], *, fitted: bool = True) -> None:
        self.depth = 8 * images[0].itemsize
        parts, rows, fits, position = [], [], [], 0
        for image in images:
            channels = ORDER if image.shape[2] == len(ORDER) else (0,)
            planes = np.stack([padded(image[:, :, c]) for c in channels])
            fits.append(_fits(image, channels, planes.shape, fitted))
            height, width = image.shape[:2]
            stride = planes.shape[2]
            first = position + (TOP + np.arange(height)) * stride + LEFT
            rows.append(
                np.stack(
                    [first, np.full(height, width), np.full(height, stride), np.full(height, planes[0].size)],
                    1,
                )
            )
            parts.append(planes.ravel())
            position += planes.size
        samples = np.concatenate(parts)
        # torch takes no places of unsigned 16-bit tensors
        self._samples = torch.from_numpy(samples if self.depth == 8 else samples.astype(np.int32))
        self._fits = torch.from_numpy(np.concatenate(fits))
        self._rows = torch.from_numpy(np.concatenate(rows))
        self._weights = self._rows[:, 1].cumsum(0)

    def draw(self, count: int, plane: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Return what :meth:`at` does, of `count` places, a multiple of `RUN`."""
        at = torch.randint(int(self._weights[-1]), (count // RUN,), generator=generator)
        row = self._rows[torch.searchsorted(self._weights, at, right=True)]
        column = (torch.rand(len(row), generator=generator) * (row[:, 1] - RUN + 1)).long()
        start = (row[:, 0] + column)[:, None] + torch.arange(RUN)
        return self.at(
            start.ravel(), row[:, 2].repeat_interleave(RUN), row[:, 3].repeat_interleave(RUN), plane
        )

    def at(self, start: Tensor, stride: Tensor, area: Tensor, plane: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return neighbours (N, places), fits (N, 2) and samples (N,), int32.

        Parameters
        ----------
        start
            Places in the first plane.
        stride, area
            Of their rows and planes.
        """
        own = plane * area + start
        places = [of * area + start + dy * stride + dx for of, dy, dx in places_of(plane)]
        values = self._samples[torch.stack([*places, own], 1)].to(torch.int32)
        return values[:, :-1], self._fits[own].to(torch.int32), values[:, -1]

    def rows(self) -> Tensor:
        """Return (first place, width, stride, area) of every row of every image."""
        return self._rows
