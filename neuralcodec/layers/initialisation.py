"""The variance of kernels at the start: gain^2 / fan-in, with the whole fan-in of the kernel that is built.

He et al., "Delving deep into rectifiers" (arXiv:1502.01852); Glorot and Bengio, AISTATS 2010. What counts is the
variance of the *built* kernel: the usual rules applied to its factors miss it by far (arXiv:2205.15307).
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from neuralcodec.errors import InvalidLayer
from neuralcodec.layers.geometry import Geometry


def standard_deviation(geometry: Geometry, nonlinearity: str) -> float:
    """Standard deviation of kernel entries that keeps the mean square of signals up to the gain of a nonlinearity.

    Parameters
    ----------
    nonlinearity
        A name that `torch.nn.init.calculate_gain` knows: what follows the layer.

    Raises
    ------
    InvalidLayer
        If there is no gain for this name.

    Examples
    --------
    >>> standard_deviation(Geometry(16, 4), "linear")
    0.25
    """
    try:
        gain = nn.init.calculate_gain(nonlinearity)
    except ValueError as error:
        raise InvalidLayer(
            f"nonlinearity={nonlinearity!r} has no known gain; 'linear', 'relu', 'leaky_relu', 'tanh' and 'sigmoid' do"
        ) from error
    return float(gain / geometry.fan_in**0.5)


def normal_kernel(geometry: Geometry, nonlinearity: str) -> Tensor:
    """A dense kernel to start from, in the grouped layout: independent normal entries, float32, on the CPU."""
    return torch.randn(geometry.grouped) * standard_deviation(geometry, nonlinearity)


def rescale(factors: list[Tensor], build: Callable[[], Tensor], mean_square: float) -> None:
    """Multiply all factors alike, in place, so that the mean square of the built kernel is this.

    Parameters
    ----------
    factors
        What the kernel is the product of: it is of degree one in each.
    build
        Builds the kernel.
    """
    with torch.no_grad():
        now = float(build().double().square().mean())
        if now > 0:
            for factor in factors:
                factor.mul_((mean_square / now) ** (0.5 / len(factors)))
