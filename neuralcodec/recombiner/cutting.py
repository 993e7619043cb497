"""Signals as patches: which signals a representation takes, and how they are padded, cut and put together."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuralcodec.container.signal import SignalType
from neuralcodec.recombiner.layout import Layout

GRAY = "gray ones are coded as colour with equal channels"


class Cutting:
    """What a representation takes, and what it makes of it.

    Parameters
    ----------
    layout
        Sizes of the representation.
    dtype
        Of its signals.
    """

    def __init__(self, layout: Layout, dtype: np.dtype[Any]) -> None:
        self.layout, self.dtype = layout, dtype

    @property
    def signal(self) -> SignalType | None:
        """Shape and dtype of whole signals; None where signals are cut into patches."""
        layout = self.layout
        if not layout.whole:
            return None
        shape = layout.grid if layout.channels == 1 else (*layout.grid, layout.channels)
        return SignalType(shape, self.dtype)

    @property
    def takes(self) -> str:
        """What is accepted, in words."""
        if self.signal is not None:
            return f"{self.signal} signals"
        layout = self.layout
        sizes = " x ".join(["any"] * layout.dimensions)
        colour = f"{layout.channels} channels" + (f" ({GRAY})" if layout.channels == 3 else "")
        return f"{self.dtype} signals of {sizes} points and {colour}"

    def fault(self, kind: SignalType) -> str | None:
        """Return None if signals of a kind are accepted, else why not ("it ...")."""
        layout, shape = self.layout, kind.shape
        if kind.dtype != self.dtype:
            return f"its samples are {kind.dtype}"
        d = layout.dimensions
        if self.signal is not None:
            return None if kind.squeezed() == self.signal.squeezed() else f"it is {kind}"
        if len(shape) not in (d, d + 1):
            return f"it is {kind}, of {len(shape)} dimensions"
        channels = shape[d] if len(shape) > d else 1
        if channels not in (layout.channels, 1 if layout.channels == 3 else layout.channels):
            return f"it has {channels} channels"
        return None

    def counts(self, kind: SignalType) -> tuple[int, ...]:
        """Return the patches of a signal along each dimension."""
        layout = self.layout
        if layout.whole:
            return (1,) * layout.dimensions
        sides = kind.shape[: layout.dimensions]
        return tuple(-(-n // g) for n, g in zip(sides, layout.grid, strict=True))

    def patches(self, signals: NDArray[Any], low: int, high: int) -> NDArray[np.float32]:
        """Return (n, *shape) signals as (patches, points, channels), low and high becoming 0 and 1.

        Beyond its ends a signal goes on with its last samples.
        """
        layout, d = self.layout, self.layout.dimensions
        counts = self.counts(SignalType(signals.shape[1:], signals.dtype))
        sides = layout.grid if layout.whole else signals.shape[1 : 1 + d]
        x = signals.reshape(len(signals), *sides, -1).astype(np.float32)
        x = (x - np.float32(low)) / np.float32(high - low)
        full = [c * g for c, g in zip(counts, layout.grid, strict=True)]
        x = np.pad(x, ((0, 0), *((0, b - a) for a, b in zip(sides, full, strict=True)), (0, 0)), mode="edge")
        x = np.broadcast_to(x, (*x.shape[:-1], layout.channels))
        pairs = [n for pair in zip(counts, layout.grid, strict=True) for n in pair]
        x = x.reshape(len(x), *pairs, layout.channels)
        x = x.transpose(0, *(1 + 2 * i for i in range(d)), *(2 + 2 * i for i in range(d)), 1 + 2 * d)
        return np.require(x.reshape(-1, layout.points, layout.channels), requirements=["C", "W"])

    def restored(self, full: NDArray[Any], kind: SignalType) -> NDArray[Any]:
        """Return signals of a kind, (n, *shape), of padded ones, (n, *sides, channels)."""
        d = self.layout.dimensions
        if self.layout.whole:
            return full.reshape(len(full), *kind.shape)
        x = full[(slice(None), *(slice(n) for n in kind.shape[:d]))]
        if math.prod(kind.shape[d:]) < self.layout.channels:
            x = np.rint(x.mean(axis=-1, keepdims=True)).astype(self.dtype)
        return x.reshape(len(x), *kind.shape)
