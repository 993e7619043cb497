"""From a learned network to its integers."""

import numpy as np
from numpy.typing import NDArray

from neuralcodec.photo.context import inputs, words
from neuralcodec.photo.model import (
    BIAS_BITS,
    BIASED,
    LAYERS,
    LEAST_SHIFT,
    MOST_BIAS,
    MOST_SHIFT,
    MOST_WEIGHT,
    Integers,
    Network,
)
from neuralcodec.photo.network import LOGIT_GAIN, PlaneNetwork

INPUT_BITS = {"first": 7, "second": 8, "last": 8, "linear": 7}
MOST_INPUT = {"first": 2048, "second": 16383, "last": 2 * 16383, "linear": 2048}


def quantised(network: PlaneNetwork) -> Network:
    """Return the integers of a network: each layer with as many fraction bits as its sums leave room for."""
    weights: dict[str, Integers] = {}
    biases: dict[str, Integers] = {}
    shifts = []
    for name, (weight, bias) in _real_layers(network).items():
        shift = _shift(name, weight, bias)
        shifts.append(shift)
        weights[name] = np.rint(weight * 2.0**shift).astype(np.int32)
        if name in BIASED:
            biases[name] = np.rint(bias * 2.0**BIAS_BITS).astype(np.int32)
    first, second, last, linear = shifts
    sizes = network.sizes
    return Network(
        sizes.hidden,
        sizes.components,
        sizes.fitted,
        sizes.online,
        (first, second, last, linear),
        weights,
        biases,
    )


def _real_layers(network: PlaneNetwork) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return weights and biases by layer, in the units and the order of the integer network."""
    k = network.sizes.components
    found = {}
    for name in LAYERS:
        layer = getattr(network, name)
        weight = layer.weight.detach().double().numpy().copy()
        bias = np.zeros(len(weight)) if layer.bias is None else layer.bias.detach().double().numpy().copy()
        if name == "first":
            n = inputs(network.plane)
            paired = np.stack([weight[:, :n], weight[:, n : 2 * n]], 2).reshape(len(weight), 2 * n)
            rest = weight[:, 2 * n :]
            padding = np.zeros((len(weight), 2 * words(network.plane) - weight.shape[1]))
            weight = np.concatenate([paired, rest, padding], 1)
        elif name == "last":
            gain = np.repeat([LOGIT_GAIN, 1.0, 1.0], k)
            weight, bias = weight * gain[:, None], bias * gain
        found[name] = weight, bias
    return found


def _shift(name: str, weight: NDArray[np.float64], bias: NDArray[np.float64]) -> int:
    most = max(float(np.abs(weight).max()), 2.0**-30)
    for shift in range(MOST_SHIFT, LEAST_SHIFT - 1, -1):
        q = np.rint(np.abs(weight) * 2.0**shift)
        sums = q.sum(1) * MOST_INPUT[name] + np.abs(bias) * 2.0 ** (shift + INPUT_BITS[name]) + 2.0**shift
        fits = most * 2.0**shift <= MOST_WEIGHT and np.abs(bias).max() * 2.0**BIAS_BITS <= MOST_BIAS
        if fits and sums.max() < 2.0**31 - 2.0**20:
            return shift
    raise OverflowError(f"layer {name} has weights or biases too large for 16 and 32 bits")
