"""What the JPEG library of the published curves does otherwise: chroma is resampled by the DCT.

CompressAI's JPEG curve was made with Pillow 7.1.2, whose wheels hold the Independent JPEG Group's libjpeg 9. Since its
version 7 that library halves chroma by taking the 8x8 lowest frequencies of 16x16 blocks, and doubles it by the
inverse; libjpeg-turbo, in every Pillow of today, averages 2x2 samples and interpolates between their centres. This
module codes images as libjpeg 9 does, up to the entropy coding, so that the PSNR of its files can be told.
"""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.fft import dctn, idctn

BLOCK, CENTRE = 8, 128
TO_YCC = np.array(
    [[0.299, 0.587, 0.114], [-0.168735892, -0.331264108, 0.5], [0.5, -0.418687589, -0.081312411]]
)
TO_RGB = np.array([[1, 0, 1.402], [1, -0.344136286, -0.714136286], [1, 1.772, 0]])


def quantisation(quality: int) -> list[NDArray[Any]]:
    """The tables of luma and chroma that every JPEG library has for a quality."""
    file = io.BytesIO()
    Image.new("RGB", (16, 16)).save(file, "JPEG", quality=quality)
    with Image.open(file) as image:
        return [np.array(image.quantization[component]).reshape(BLOCK, BLOCK) for component in (0, 1)]


def coded(plane: NDArray[Any], steps: NDArray[Any], side: int) -> NDArray[Any]:
    """A plane after its blocks of `side` lost all but 8x8 frequencies, and these were quantised."""
    height, width = plane.shape
    blocks = plane.reshape(height // side, side, width // side, side).swapaxes(1, 2)
    scale = side / BLOCK  # of the orthonormal transform of a block of `side` against one of 8
    kept = dctn(blocks, axes=(2, 3), norm="ortho")[:, :, :BLOCK, :BLOCK] / scale
    spectrum = np.zeros_like(blocks)
    spectrum[:, :, :BLOCK, :BLOCK] = np.round(kept / steps) * steps * scale
    return idctn(spectrum, axes=(2, 3), norm="ortho").swapaxes(1, 2).reshape(height, width)


def reconstruction(image: NDArray[np.uint8], quality: int) -> NDArray[Any]:
    """An RGB image, of sides that 16 divides, as libjpeg 9 gives it back from a 4:2:0 file."""
    luma, chroma = quantisation(quality)
    ycc = np.round(image @ TO_YCC.T + [0, CENTRE, CENTRE])
    parts = [(luma, BLOCK), (chroma, 2 * BLOCK), (chroma, 2 * BLOCK)]
    planes = [coded(ycc[..., i] - CENTRE, steps, side) + CENTRE for i, (steps, side) in enumerate(parts)]
    back = np.clip(np.round(np.stack(planes, -1)), 0, 255) - [0, CENTRE, CENTRE]
    return np.clip(np.round(back @ TO_RGB.T), 0, 255)


def psnr(images: Sequence[NDArray[np.uint8]], quality: int) -> float:
    """Mean PSNR of the images, in dB."""
    errors = [np.mean((reconstruction(image, quality) - image) ** 2) for image in images]
    return float(np.mean(10 * np.log10(255**2 / np.array(errors))))
