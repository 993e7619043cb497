"""A photograph's networks, and how they learn, as docs/format.md gives them in sections 11.6 to 11.8.

Part of the independent decoder (decoder.py).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.int64]
Real = NDArray[np.float32]
F = np.float32

LAYERS = {"first": 7, "second": 8, "last": 8, "linear": 7}
RATES = {"first": 2.0**-11, "second": 2.0**-10, "last": 2.0**-10, "linear": 2.0**-13}
POWER = [F(c) for c in (0.013670309, 0.051690447, 0.24163916, 0.6929997, 1.0)]
MOST_ACTIVATION = 16383


@dataclass(frozen=True)
class Network:
    """One plane's network: weights and biases as integers, and fraction bits of the weights."""

    components: int
    fitted: bool
    online: int
    shifts: dict[str, int]
    weights: dict[str, Matrix]
    biases: dict[str, Matrix]


def power(x: Real) -> Real:
    n = np.floor(x)
    f = (x - n).astype(F)
    p = f * POWER[0]
    for c in POWER[1:-1]:
        p = (p + c) * f
    p = np.minimum(p + POWER[-1], F(2))
    return (p.view(np.int32) + (n.astype(np.int32) << 23)).view(F)


def _wrapped(x: Matrix) -> Matrix:
    return (x + 2**31) % 2**32 - 2**31


def _nearest(x: Real) -> Matrix:
    return np.trunc(x + np.where(x < 0, F(-0.5), F(0.5))).astype(np.int64)


def _rounded(sums: Matrix, shift: int) -> Matrix:
    return _wrapped(sums + (1 << shift >> 1)) >> shift


class _Adam:
    """Numbers that are learned."""

    def __init__(self, values: Matrix, rate: float, most: float) -> None:
        self.values, self.rate, self.most = values.astype(F), F(rate), F(most)
        self.mean, self.square = np.zeros(values.shape, F), np.zeros(values.shape, F)
        self.gradient = np.zeros(values.shape, np.int64)

    def step(self, factor: Any) -> Matrix:
        """Return the integers that are next."""
        g = _wrapped(self.gradient).astype(F)
        mean = self.mean * F(0.9) + g * F(0.1)
        self.mean = np.where(np.abs(mean) < F(0.0625), F(0), mean)
        self.square = self.square * F(0.99) + g * g * F(0.01)
        change = self.mean * (self.rate * factor) / (np.sqrt(self.square) + F(64))
        self.values = np.clip(self.values - change, -self.most, self.most)
        self.gradient = np.zeros(g.shape, np.int64)
        return _nearest(self.values)


class Layers:
    """The layers of a network, which learn from what they give."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.weights = dict(network.weights)
        self.biases = {
            name: bias << (network.shifts[name] + LAYERS[name] - 12) for name, bias in network.biases.items()
        }
        learning = [[], ["last", "linear"], list(LAYERS)][network.online]
        rates = {name: RATES[name] * 2.0 ** network.shifts[name] for name in learning}
        self.learned = {name: _Adam(self.weights[name], rates[name], 32767) for name in learning}
        self.learned_biases = {
            name: _Adam(self.biases[name], rates[name] * 2.0 ** LAYERS[name], 2.0**30)
            for name in learning
            if name in self.biases
        }
        self.waiting, self.decays = 0, [F(1), F(1)]

    def outputs(self, inputs: Matrix) -> tuple[Real, Real]:
        """Return logits, means and scales (3, K), and what is added to the means."""
        w, s = self.weights, self.network.shifts
        self.inputs, self.z = inputs, inputs[: 2 * w["linear"].shape[1] : 2]
        self.first = np.clip(_rounded(self._total("first", inputs), s["first"] - 1), 0, MOST_ACTIVATION)
        self.second = np.clip(_rounded(self._total("second", self.first), s["second"]), 0, MOST_ACTIVATION)
        self.hidden = self.first + self.second
        out = _wrapped(self._total("last", self.hidden)).astype(F) * F(2.0 ** -(s["last"] + 8))
        linear = _wrapped(w["linear"] @ self.z).astype(F) * F(2.0 ** -(s["linear"] + 7))
        return out.reshape(3, -1), linear

    def _total(self, name: str, values: Matrix) -> Matrix:
        used = self.weights[name][:, : len(values)]
        return used @ values + self.biases[name]

    def learn(self, gradients: Matrix) -> None:
        """Take the gradients of the outputs, 3K, into account."""
        if not self.learned:
            return
        k, w, s = self.network.components, self.weights, self.network.shifts
        self._add("last", gradients, self.hidden)
        self._add("linear", gradients[k : 2 * k], self.z)
        if self.network.online < 2:
            return
        moves = [(value > 0) & (value < MOST_ACTIVATION) for value in (self.first, self.second)]
        whole = np.clip(_rounded(gradients @ w["last"], s["last"] - 2), -(2**14), 2**14)
        second = whole * moves[1]
        back = _wrapped(_rounded(second @ w["second"], s["second"]) + whole)
        self._add("second", second, self.first)
        self._add("first", np.clip(back, -(2**14), 2**14) * moves[0], self.inputs)

    def _add(self, name: str, gradients: Matrix, values: Matrix) -> None:
        self.learned[name].gradient[:, : len(values)] += np.outer(gradients, values)
        if name in self.learned_biases:
            self.learned_biases[name].gradient += gradients

    def end_diagonal(self, samples: int) -> None:
        """Take a step if enough samples are coded."""
        self.waiting += samples
        if self.waiting < 128:
            return
        self.waiting = 0
        self.decays = [self.decays[0] * F(0.9), self.decays[1] * F(0.99)]
        factor = np.sqrt(F(1) - self.decays[1]) / (F(1) - self.decays[0])
        self.weights |= {name: one.step(factor) for name, one in self.learned.items()}
        self.biases |= {name: one.step(factor) for name, one in self.learned_biases.items()}


class Mixture:
    """Logistics, of what the layers give."""

    def __init__(self, outputs: tuple[Real, Real], prediction: int, sums: int, levels: int) -> None:
        (logits, means, scales), linear = outputs
        self.levels, self.activity = levels, F(sums) * F(0.125)
        weights = power(np.maximum(logits - max(F(-1024), logits.max()), F(-64)))
        self.weights = weights * (F(1) / _sum(weights))
        means = (means + linear) * self.activity + F(prediction)
        self.means = np.clip(means, F(-2 * levels), F(3 * levels))
        self.inverses = power(np.clip(scales, F(-9), F(7))) * (F(1) / self.activity)

    def _edge(self, edge: Any) -> tuple[Real, Real]:
        z = np.clip((self.means - edge) * self.inverses, F(-40), F(40))
        return z, F(1) / (power(z) + F(1))

    def start_of(self, value: int) -> int:
        if value in (0, self.levels):
            return 2**24 if value else 0
        total = _sum(self.weights * self._edge(F(value) - F(0.5))[1])
        return int(min(total, F(1)) * F(2**24 - self.levels)) + value

    def gradients(self, value: int) -> Matrix:
        """Return those of logits, means and scales, in 1/1024."""
        z_low, low = self._edge(F(value) - F(0.5))
        z_high, high = self._edge(F(value) + F(0.5))
        if value == 0:
            low = np.zeros_like(low)
        if value == self.levels - 1:
            high = np.ones_like(high)
        f_low, f_high = low * (F(1) - low), high * (F(1) - high)
        share = self.weights * (high - low)
        total = _sum(share)
        unit = F(1024) / (total + F(2**-24))
        slope = self.weights * (f_high - f_low) * (self.inverses * self.activity)
        turn = self.weights * (z_high * f_high - z_low * f_low) * F(0.6931472)
        found = [self.weights * (total * unit) - share * unit, slope * unit, turn * unit]
        return np.clip(np.concatenate(found), F(-4096), F(4096)).astype(np.int64)


def _sum(values: Real) -> Any:
    total = F(0)
    for value in values:
        total += value
    return total
