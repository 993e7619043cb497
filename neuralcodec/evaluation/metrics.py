"""How near a reconstruction is to its original. docs/metrics.md has the definitions and their sources."""

import math
from collections.abc import Collection
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuralcodec.errors import UnsupportedInput
from neuralcodec.evaluation.results import QUALITY_METRICS
from neuralcodec.evaluation.ssim import LEAST_SIDE, WEIGHTS, Plane, StructuralReference

PEAKS = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535, np.dtype(np.bool_): 1}
LUMA = (299, 587, 114)
"""Weights of red, green and blue in the luma of ITU-R BT.601, in thousandths."""

_MULTISCALE = ("ms-ssim-rgb", "ms-ssim-rgb-db")
# Sums of this many squares of 8-bit differences stay below 2^32.
_BLOCK = 1 << 16


class Reference:
    """An original image, prepared for the comparison of many reconstructions.

    Colour channels are the first three of three or four, the first of one or two, and all of five or more: MSE and
    the quality metrics leave an alpha channel out, the maximum error does not.

    Parameters
    ----------
    original
        Image (height, width) or (height, width, channels) of uint8, uint16 or bool.

    Raises
    ------
    UnsupportedInput
        If it is no such image.

    Examples
    --------
    >>> original = np.array([[0, 100], [200, 255]], np.uint8)
    >>> Reference(original).compare(original ^ 1, ["psnr-rgb"])
    {'mse': 1.0, 'max-error': 1, 'psnr-rgb': 48.1308036086791}
    """

    def __init__(self, original: NDArray[Any]) -> None:
        reason = _no_image(original.shape, original.dtype)
        if reason:
            raise UnsupportedInput(f"metrics take images of 8 or 16 bits or bool: {reason}")
        self.original = original
        self.peak = PEAKS[original.dtype]

    def compare(self, reconstruction: NDArray[Any], metrics: Collection[str] = ()) -> dict[str, float | None]:
        """Return how far a reconstruction is from the original.

        Parameters
        ----------
        reconstruction
            Image of the original's shape and dtype.
        metrics
            Names among psnr-rgb, psnr-y, ms-ssim-rgb, ms-ssim-rgb-db and ssim-rgb.

        Returns
        -------
        dict
            mse (of the colour samples, in squared sample values), max-error (of all samples, an integer), then the
            metrics in the order asked for: PSNR and ms-ssim-rgb-db in dB, SSIM and MS-SSIM without unit. Where
            ms-ssim-rgb-db is asked for, ms-ssim-rgb is there too: curves in dB are of its mean. None stands for
            an infinite figure, as the PSNR of equal images.

        Raises
        ------
        UnsupportedInput
            If shape or dtype differ, or a metric is unknown or refuses the image (see :func:`refuses`).
        """
        x, y = self.original, reconstruction
        if (x.shape, x.dtype) != (y.shape, y.dtype):
            raise UnsupportedInput(
                f"the original is {_described(x.shape, x.dtype)}, its reconstruction {_described(y.shape, y.dtype)}"
            )
        for metric in metrics:
            reason = refuses(metric, x.shape, x.dtype)
            if reason:
                raise UnsupportedInput(reason)
        squares, worst = _distance(_colours(x), _colours(y))
        if _colours(x).size != x.size:
            worst = max(worst, _distance(x, y)[1])
        mse = squares / _colours(x).size
        values: dict[str, float | None] = {"psnr-rgb": self._psnr(mse)}
        if "psnr-y" in metrics:
            values["psnr-y"] = self._psnr(_luma_error(_colours(x), _colours(y)))
        if any(metric in metrics for metric in _MULTISCALE):
            values["ssim-rgb"], similarity = self._multiscale.both(_planes(y))
            values |= {"ms-ssim-rgb": similarity, "ms-ssim-rgb-db": decibels(similarity)}
        elif "ssim-rgb" in metrics:
            values["ssim-rgb"] = self._single_scale.ssim(_planes(y))
        asked = [*metrics, "ms-ssim-rgb"] if "ms-ssim-rgb-db" in metrics else metrics
        return {"mse": mse, "max-error": worst} | {metric: values[metric] for metric in asked}

    @cached_property
    def _multiscale(self) -> StructuralReference:
        return StructuralReference(_planes(self.original), self.peak, len(WEIGHTS))

    @cached_property
    def _single_scale(self) -> StructuralReference:
        return StructuralReference(_planes(self.original), self.peak, 1)

    def _psnr(self, mse: float) -> float | None:
        return 10 * math.log10(self.peak**2 / mse) if mse else None


def refuses(metric: str, shape: tuple[int, ...], dtype: Any) -> str | None:
    """Return why a metric is not defined for images of a shape and dtype, or None if it is.

    Raises
    ------
    UnsupportedInput
        If no metric has this name.

    Examples
    --------
    >>> refuses("ms-ssim-rgb", (28, 28), np.uint8)
    'ms-ssim-rgb needs a short side of more than 160 pixels, not 28x28: take psnr-rgb or ssim-rgb'
    """
    if metric not in QUALITY_METRICS:
        raise UnsupportedInput(
            f"no metric is called {metric!r}; the metrics are {', '.join(QUALITY_METRICS)}"
        )
    reason = _no_image(shape, np.dtype(dtype))
    if reason:
        return f"{metric} takes images of 8 or 16 bits or bool: {reason}"
    if metric == "psnr-y" and len(shape) == 3 and shape[2] > 4:
        return f"psnr-y takes gray and RGB images, not {shape[2]} channels: take psnr-rgb, which takes any number"
    if metric in (*_MULTISCALE, "ssim-rgb"):
        least = LEAST_SIDE[len(WEIGHTS) if metric in _MULTISCALE else 1]
        if min(shape[:2]) < least:
            other = "psnr-rgb or ssim-rgb" if min(shape[:2]) >= LEAST_SIDE[1] else "psnr-rgb"
            sides = f"{shape[1]}x{shape[0]}"
            return f"{metric} needs a short side of more than {least - 1} pixels, not {sides}: take {other}"
    return None


def decibels(similarity: float) -> float | None:
    """Return an MS-SSIM in dB, -10 log10(1 - x); None for 1, which is infinite.

    >>> decibels(0.75)
    6.020599913279624
    """
    return -10 * math.log10(1 - similarity) if similarity < 1 else None


def _no_image(shape: tuple[int, ...], dtype: np.dtype[Any]) -> str | None:
    fits = len(shape) in (2, 3) and 0 not in shape and dtype in PEAKS
    return None if fits else f"this is {_described(shape, dtype)}"


def _described(shape: tuple[int, ...], dtype: np.dtype[Any]) -> str:
    return f"{dtype} of shape ({', '.join(map(str, shape))})"


def _colours(image: NDArray[Any]) -> NDArray[Any]:
    """Return the image without alpha."""
    if image.ndim == 2 or image.shape[2] in (1, 3) or image.shape[2] > 4:
        return image
    return image[:, :, : image.shape[2] - 1]


def _planes(image: NDArray[Any]) -> Plane:
    colours = _colours(image)
    planes = colours[None] if colours.ndim == 2 else np.moveaxis(colours, 2, 0)
    return np.ascontiguousarray(planes, np.float32)


def _distance(x: NDArray[Any], y: NDArray[Any]) -> tuple[int, int]:
    """Return the sum of the squared differences and the greatest difference, both exact.

    Integers all the way, a cache-sized block at a time: several times faster than differences in floating point.
    """
    x, y = np.ravel(x), np.ravel(y)
    if x.dtype == np.bool_:
        x, y = x.view(np.uint8), y.view(np.uint8)
    total, worst = 0, 0
    for start in range(0, x.size, _BLOCK):
        a, b = x[start : start + _BLOCK], y[start : start + _BLOCK]
        d = np.maximum(a, b) - np.minimum(a, b)
        worst = max(worst, int(d.max()))
        if d.dtype == np.uint8:
            square = d.astype(np.uint16)
            square *= square
            total += int(square.sum(dtype=np.uint32))
        else:
            wide = d.astype(np.float64)
            total += int(wide @ wide)  # below 2^48: exact
    return total, worst


def _luma_error(x: NDArray[Any], y: NDArray[Any]) -> float:
    """Return the mean squared error of the luma of two images, without rounding.

    Luma is linear in the samples, so its squared error is a quadratic form in the sums of the products of the
    channels' differences, which are integers.
    """
    if x.ndim == 2 or x.shape[2] == 1:
        return _distance(x, y)[0] / x.size
    x, y = x.reshape(-1, 3), y.reshape(-1, 3)
    products = np.zeros((3, 3), np.int64)
    for start in range(0, len(x), _BLOCK):
        d = np.subtract(x[start : start + _BLOCK], y[start : start + _BLOCK], dtype=np.float64)
        products += (d.T @ d).astype(np.int64)  # below 2^48: exact
    thousandths = np.array(LUMA, object)  # Python's integers: the sum may pass 2^63
    return int(thousandths @ products @ thousandths) / (1000**2 * len(x))
