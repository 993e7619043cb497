"""A photograph's planes under the mixtures of its networks, as docs/format.md gives them in sections 11.3 to 11.8.

Part of the independent decoder (decoder.py).
"""

from bisect import bisect_right
from collections.abc import Callable
from typing import Any

import numpy as np
from decoder_photo_network import F, Layers, Matrix, Mixture, Network, Real
from decoder_primitives import must

OWN = [
    (0, -1), (0, -2), (0, -3), (-1, -3), (-1, -2), (-1, -1), (-1, 0), (-1, 1), (-1, 2),
    (-2, -2), (-2, -1), (-2, 0), (-2, 1), (-2, 2), (-2, 3), (-3, -1), (-3, 0), (-3, 1),
]  # fmt: skip
FINISHED = [(0, 0), (0, -1), (0, 1), (-1, -1), (-1, 0), (-1, 1), (1, -1), (1, 0), (1, 1)]
NEAR = [0, 1, 4, 5, 6, 7, 10, 11]


class Coder:
    """The decoder of section 4."""

    def __init__(self, data: bytes) -> None:
        must(not data or data[-1] != 0, "the last byte of a coder is 0")
        head = len(data) if len(data) <= 8 else (len(data) - 1) % 4 + 5
        self.state = int.from_bytes(data[len(data) - head :], "little")
        self.words = [data[i : i + 4] for i in range(0, len(data) - head, 4)]

    @property
    def empty(self) -> bool:
        return self.state == 0 and not self.words

    def decode(self, start_of: Callable[[int], int], levels: int) -> int:
        """Return the symbol whose interval [start_of(x), start_of(x + 1)) is the next."""
        target = self.state % 2**24
        symbol = bisect_right(range(1, levels), target, key=start_of)
        start = start_of(symbol)
        size = start_of(symbol + 1) - start
        self.state = (self.state >> 24) * size + target - start
        if self.state < 2**32 and self.words:
            self.state = self.state << 32 | int.from_bytes(self.words.pop(), "little")
        return symbol


class _Plane:
    """A plane with what lies around it."""

    def __init__(self, height: int, width: int, levels: int) -> None:
        self.height, self.width, self.outside = height, width, levels // 2
        self.values = np.zeros((height, width), np.int64)

    def at(self, y: int, x: int) -> int:
        if y >= self.height:
            y, outside = self.height, True
        else:
            outside = False
        if x < 0:
            return int(self.values[y - 1, 0]) if y > 0 else self.outside
        if y < 0:
            return self.outside
        return int(self.values[y - 1 if outside else y, min(x, self.width - 1)])


def median_edge(west: int, north: int, northwest: int) -> int:
    return sorted((west, north, west + north - northwest))[1]


def decode_plane(
    network: Network,
    p: int,
    finished: list[Matrix],
    streams: list[Coder],
    shape: tuple[int, int],
    levels: int,
) -> Matrix:
    height, width = shape
    own = _Plane(height, width, levels)
    others = []
    for values in finished:
        others.append(_Plane(height, width, levels))
        others[-1].values = values
    fit = _Fit(18 + 9 * p + 1)
    layers = Layers(network)
    for t in range(width + 3 * (height - 1)):
        coded = 0
        for y in range(height):
            x = t - 3 * y
            if 0 <= x < width:
                if network.fitted and x % 8 == 0:
                    fit.start_cell(y, x // 8)
                inputs, prediction, activity = _inputs(network, p, own, others, y, x, fit)
                mixture = Mixture(layers.outputs(inputs), prediction, activity, levels)
                value = streams[y % len(streams)].decode(mixture.start_of, levels)
                own.values[y, x] = value
                fit.known(y, value - (others[0].at(y, x) if others else 0))
                layers.learn(mixture.gradients(value))
                coded += 1
        layers.end_diagonal(coded)
    return own.values


class _Fit:
    """Local least squares: sums of products by columns of cells, and a solution for each row's cell."""

    def __init__(self, terms: int) -> None:
        self.n = terms - 1
        self.sums: dict[int, Real] = {}
        self.counts: dict[int, Any] = {}
        self.terms: dict[int, list[list[int]]] = {}
        self.weights: dict[int, list[Any]] = {}
        self.spread: dict[int, int] = {}
        self.last: dict[int, tuple[int, Any]] = {}

    def start_cell(self, y: int, block: int) -> None:
        zeros = np.zeros((self.n + 1, self.n + 1), F)
        if block:
            z = np.array(self.terms[y], np.int64)
            old, count = self.sums.get(block - 1, zeros), self.counts.get(block - 1, F(0))
            self.sums[block - 1] = old * F(0.953125) + (z.T @ z).astype(F) * F(2**-14)
            self.counts[block - 1] = count * F(0.953125) + F(8)
        self.terms[y] = []
        s = [self.sums.get(block + i, zeros) for i in range(-2, 3)]
        c = [self.counts.get(block + i, F(0)) for i in range(-2, 3)]
        a = (s[0] + s[4]) * F(0.5) + ((s[1] + s[3]) + s[2])
        count = (c[0] + c[4]) * F(0.5) + ((c[1] + c[3]) + c[2])
        inverse = []
        for i in range(self.n):
            inverse.append(F(1) / max(a[i, i] + F(4), F(2)))
            for k in range(i + 1, self.n + 1):
                a[k, k:] -= a[i, k] * inverse[i] * a[i, k:]
        w = [F(0)] * self.n
        for i in reversed(range(self.n)):
            lanes = [F(0)] * 8
            for j in range(i + 1, self.n):
                lanes[j % 8] += a[i, j] * w[j]
            even, odd = ((lanes[b] + lanes[b + 4]) + (lanes[b + 2] + lanes[b + 6]) for b in (0, 1))
            w[i] = np.clip((a[i, self.n] - (even + odd)) * inverse[i], F(-64), F(64))
        self.weights[y] = w
        error = max(a[self.n, self.n], F(0))
        self.spread[y] = int(np.clip(_log((error + F(1)) / (count + F(1))), -1024, 1024))

    def predict(self, y: int, z: list[int], prediction: int, gain: Any) -> int:
        """Return the prediction of what follows `z`."""
        total = F(0)
        for w, value in zip(self.weights[y], z, strict=True):
            total += w * F(value)
        self.terms[y].append(z)
        self.last[y] = prediction, gain
        return int(np.clip(total, F(-2048), F(2048)))

    def known(self, y: int, value: int) -> None:
        """Take note of a sample."""
        if y in self.last:
            prediction, gain = self.last[y]
            self.terms[y][-1].append(int(np.clip(F(value - prediction) * gain, F(-512), F(512))))


def _log(x: Real) -> Matrix:
    found: Matrix = (np.asarray(x, F).view(np.int32).astype(np.int64) >> 16) - (127 << 7)
    return found


def _inputs(
    network: Network, p: int, own: _Plane, others: list[_Plane], y: int, x: int, fit: _Fit
) -> tuple[Matrix, int, int]:
    """Return the inputs of the network, the prediction, and the activity of the first kind."""

    def kind(one: _Plane, to: _Plane | None, places: list[tuple[int, int]], marks: tuple[int, ...]) -> int:
        """Add the differences of a kind of neighbours; return its prediction."""
        values = [one.at(y + dy, x + dx) - (to.at(y + dy, x + dx) if to else 0) for dy, dx in places]
        centre = median_edge(*(values[i] for i in marks))
        found = [v - centre for v in values]
        d.extend(found)
        sums.append(4 + sum(abs(found[i]) for i in (NEAR if places is OWN else range(9))))
        return centre

    d: list[int] = []
    sums: list[int] = []
    predictions = [kind(own, other, OWN, (0, 6, 5)) + other.at(y, x) for other in others]
    predictions.append(kind(own, None, OWN, (0, 6, 5)))
    prediction = predictions[0]
    for q, other in enumerate(others):
        kind(other, others[0] if q else None, FINISHED, (1, 4, 3))
    gain = F(1024) / F(sums[0])
    z = np.clip(np.array(d, F) * gain, F(-2048), F(2048)).astype(np.int64)
    fitted, spread = 0, 0
    if network.fitted:
        read = [*z[:18], *z[18 * (p + 1) :]]
        relative = prediction - (others[0].at(y, x) if others else 0)
        fitted, spread = fit.predict(y, list(map(int, read)), relative, gain), fit.spread[y]
    z = np.append(z, fitted)
    sizes = _log(np.abs(z).astype(F) * F(0.03125) + F(1))
    logs = np.minimum(_log(np.array(sums, F)) - (6 << 7), 1024)
    return np.concatenate([np.stack([z, sizes], 1).ravel(), logs, [spread]]), prediction, sums[0]
