"""SSIM and MS-SSIM of one original with many reconstructions.

SSIM is that of Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to structural
similarity" (IEEE TIP 2004); MS-SSIM that of Wang, Simoncelli and Bovik, "Multiscale structural similarity for
image quality assessment" (Asilomar 2003). With D = X - Y the two factors of SSIM (their equations 6 and 9, C3 = C2/2)

    l = (2 mX mY + C1) / (mX^2 + mY^2 + C1),    cs = (2 sXY + C2) / (sX^2 + sY^2 + C2)

are l = 1 - mD^2 / (mX^2 + mY^2 + C1) and cs = 1 - sD^2 / (sX^2 + sY^2 + C2), where sY^2 = sX^2 - 2 sXD + sD^2. So a
reconstruction costs three filtered planes, D, D^2 and X D, and these are small: single precision is enough.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]
F = TypeVar("F", np.float32, np.float64)

WINDOW, SIGMA = 11, 1.5
K1, K2 = 0.01, 0.03
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
LEAST_SIDE = {1: WINDOW, len(WEIGHTS): (WINDOW - 1) * 2 ** (len(WEIGHTS) - 1) + 1}
"""The short side that an image must have, by number of scales."""

_BLOCK = 16


@dataclass(frozen=True)
class _Scale:
    """One plane of the original at one scale, with mX and 2 sX^2 + C2 of the formulas above."""

    samples: Plane
    mean: Plane
    energy: Plane


class StructuralReference:
    """The filtered planes of an original, to which reconstructions are compared.

    Parameters
    ----------
    planes
        The original, float32 (channels, height, width), samples from 0 to `peak`.
    peak
        The greatest sample of the dtype.
    scales
        1 for SSIM, 5 for MS-SSIM, which gives SSIM as well. The short side must be :data:`LEAST_SIDE` at least.
    """

    def __init__(self, planes: Plane, peak: float, scales: int) -> None:
        self.peak, self.scales = peak, scales
        self._planes = [list(self._scales(plane)) for plane in planes]

    def ssim(self, planes: Plane) -> float:
        """Return the SSIM of a reconstruction, the mean over valid windows and channels."""
        return float(
            np.mean([self._compare(one, y, 1)[0][0] for one, y in zip(self._planes, planes, strict=True)])
        )

    def both(self, planes: Plane) -> tuple[float, float]:
        """Return SSIM and MS-SSIM of a reconstruction, each the mean over channels."""
        single, multiple = [], []
        for one, y in zip(self._planes, planes, strict=True):
            ssim, contrast = self._compare(one, y, self.scales)
            factors = [*contrast[:-1], ssim[-1]]
            single.append(ssim[0])
            multiple.append(math.prod(max(f, 0.0) ** w for f, w in zip(factors, WEIGHTS, strict=True)))
        return float(np.mean(single)), float(np.mean(multiple))

    def _scales(self, x: Plane) -> Iterator[_Scale]:
        for scale in range(self.scales):
            wide = x.astype(np.float64)
            mean, square = _filtered(np.stack([wide, wide**2]))
            energy = 2 * (square - mean**2) + (K2 * self.peak) ** 2
            yield _Scale(x, mean.astype(np.float32), energy.astype(np.float32))
            if scale + 1 < self.scales:
                x = halved(x)

    def _compare(self, scales: list[_Scale], y: Plane, count: int) -> tuple[list[float], list[float]]:
        """Return the means of l cs and of cs at each scale."""
        c1, middle = np.float32((K1 * self.peak) ** 2), np.float32(self.peak / 2)
        ssim, contrast = [], []
        for number, x in enumerate(scales[:count]):
            if number:
                y = halved(y)
            d = x.samples - y
            # A constant added to X leaves sXD alone, and products are smaller about the middle of the range.
            mean, variance, product = _filtered(np.stack([d, d * d, (x.samples - middle) * d]))
            product -= (x.mean - middle) * mean
            mean_y = x.mean - mean
            mean *= mean
            variance -= mean
            product *= -2
            product += variance
            product += x.energy
            variance /= product  # 1 - cs
            mean /= x.mean * x.mean + mean_y * mean_y + c1  # 1 - l
            loss = float(variance.mean(dtype=np.float64))
            contrast.append(1 - loss)
            mean *= 1 - variance
            ssim.append(1 - loss - float(mean.mean(dtype=np.float64)))
        return ssim, contrast


def halved(x: Plane) -> Plane:
    """Return a plane at half its size: the means of 2x2 samples.

    A side of odd length gets a zero before its first sample, as in the `pytorch-msssim` package, whose figures
    are the ones that papers on learned compression publish.

    >>> halved(np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.float32))
    array([[3.5, 5.5]], dtype=float32)
    """
    if x.shape[0] % 2 or x.shape[1] % 2:
        x = np.pad(x, [(side % 2, 0) for side in x.shape])
    rows = x[0::2] + x[1::2]
    return np.asarray((rows[:, 0::2] + rows[:, 1::2]) * np.float32(0.25))


def _banded() -> NDArray[np.float64]:
    """Return the matrix that filters `_BLOCK` + 10 samples into `_BLOCK` under the Gaussian window."""
    taps = np.exp(-((np.arange(WINDOW) - WINDOW // 2) ** 2) / (2 * SIGMA**2))
    band = np.zeros((_BLOCK, _BLOCK + WINDOW - 1))
    for row in range(_BLOCK):
        band[row, row : row + WINDOW] = taps / taps.sum()
    return band


_BAND = _banded()


def _filtered(planes: NDArray[F]) -> NDArray[F]:
    """Return planes under the window, only where it fits: (n, h, w) to (n, h - 10, w - 10).

    As products with a band matrix, a block of rows or columns at a time: several times faster than a filter that
    goes from sample to sample.
    """
    band = _BAND.astype(planes.dtype)
    margin = WINDOW - 1
    count, height, width = planes.shape
    lines = np.empty((count, height - margin, width), planes.dtype)
    for start in range(0, height - margin, _BLOCK):
        n = min(_BLOCK, height - margin - start)
        np.matmul(
            band[:n, : n + margin], planes[:, start : start + n + margin], out=lines[:, start : start + n]
        )
    out = np.empty((count, height - margin, width - margin), planes.dtype)
    for start in range(0, width - margin, _BLOCK):
        n = min(_BLOCK, width - margin - start)
        part = lines[:, :, start : start + n + margin]
        np.matmul(part, band[:n, : n + margin].T, out=out[:, :, start : start + n])
    return out
