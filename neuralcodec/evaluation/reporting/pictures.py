"""Pictures inside a page: without loss, cropped where a page would grow too large."""

import base64
import io
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuralcodec.errors import UnsupportedInput

LEAST_SIDE = 192
# WebP ends at 16383; no screen shows as much.
GREATEST_SIDE = 4096
# A lossy reconstruction as lossless WebP takes about this much of what the original takes.
RECONSTRUCTION_SHARE = 0.8


@dataclass(frozen=True)
class Crop:
    """A part of an image, in samples from its top left corner.

    >>> Crop.centred(512, 768, 256, 384)
    Crop(top=128, left=192, height=256, width=384)
    """

    top: int
    left: int
    height: int
    width: int

    @classmethod
    def centred(cls, height: int, width: int, crop_height: int, crop_width: int) -> "Crop":
        """Return the part in the middle of an image of (height, width)."""
        return cls((height - crop_height) // 2, (width - crop_width) // 2, crop_height, crop_width)

    def of(self, image: NDArray[Any]) -> NDArray[Any]:
        """Return the part of an image, (H, W) or (H, W, C)."""
        return image[self.top : self.top + self.height, self.left : self.left + self.width]


def displayed(samples: NDArray[Any]) -> NDArray[np.uint8]:
    """Return what a screen shows of an image: 8 bits, gray or RGB, without alpha.

    Parameters
    ----------
    samples
        (H, W) or (H, W, C) with C from 1 to 4; uint8, uint16 (shown by its upper 8 bits) or bool.

    Returns
    -------
    ndarray
        (H, W) or (H, W, 3), uint8.

    Raises
    ------
    UnsupportedInput
        If it is no such image.

    >>> displayed(np.array([[[256, 65535]]], np.uint16)).tolist()
    [[1]]
    """
    if samples.dtype == np.bool_:
        shown = samples.astype(np.uint8) * np.uint8(255)
    elif samples.dtype == np.uint16:
        shown = (samples >> 8).astype(np.uint8)
    elif samples.dtype == np.uint8:
        shown = samples
    else:
        raise UnsupportedInput(f"samples of dtype {samples.dtype} are no picture; uint8, uint16 and bool are")
    if shown.ndim == 3 and shown.shape[2] in (1, 2):  # gray, gray with alpha
        shown = shown[:, :, 0]
    elif shown.ndim == 3 and shown.shape[2] == 4:
        shown = shown[:, :, :3]
    if not (shown.ndim == 2 or (shown.ndim == 3 and shown.shape[2] == 3)) or 0 in shown.shape:
        raise UnsupportedInput(
            f"an array of shape {samples.shape} is no picture; (H, W) and (H, W, 1 to 4) are"
        )
    return np.ascontiguousarray(shown)


def data_uri(shown: NDArray[np.uint8]) -> str:
    """Return what `displayed` gave as a data URI of lossless WebP, or PNG where this Pillow has no WebP."""
    from PIL import Image, features

    file = io.BytesIO()
    picture = Image.fromarray(shown)
    kind = "webp" if features.check("webp") else "png"
    if kind == "webp":
        picture.save(file, "WEBP", lossless=True, exact=True, quality=50, method=3)
    else:
        picture.save(file, "PNG", optimize=True)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


def crop_for(original: NDArray[np.uint8], reconstructions: int, budget: int) -> Crop:
    """Return the greatest part in the middle for which an image and its reconstructions fit in a budget.

    Parameters
    ----------
    original
        What `displayed` gave.
    reconstructions
        How many will be shown.
    budget
        Characters of data URIs. The estimate is one of size, so what comes out may be a little more.
    """
    height, width = original.shape[:2]
    expected = len(data_uri(original[:GREATEST_SIDE, :GREATEST_SIDE]))
    expected = int(expected * max(1.0, height / GREATEST_SIDE) * max(1.0, width / GREATEST_SIDE))
    share = budget / (expected * (1 + RECONSTRUCTION_SHARE * reconstructions))
    scale = min(1.0, math.sqrt(share))
    sides = (min(side, max(LEAST_SIDE, int(side * scale)), GREATEST_SIDE) for side in (height, width))
    return Crop.centred(height, width, *sides)
