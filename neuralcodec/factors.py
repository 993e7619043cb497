"""Kernels that are built from several tensors: found by the names that `neuralcodec.layers` gives their factors.

A kernel is of degree one in each of its factors. So a small error of a factor becomes, in the kernel, an error whose
square is on average that of the factor times a number that the other factors tell: the factor's *sensitivity*.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]
_AXIS = re.compile(r"factor_(\d)")
_TAPS = "tuvw"  # the axes of a kernel, and below, with fewer taps, of a Tucker core
_CORE_TAPS = "klmn"
_FIXED = (2, 4)  # components of the fixed algebras that save parameters: complex, quaternion


@dataclass(frozen=True)
class Kernel:
    """A kernel and its factors.

    Attributes
    ----------
    name
        Of the layer.
    factors
        Names of the factors.
    subscripts
        The axes of each, one letter an axis, as in `numpy.einsum`; the last letter stands for all axes that are left.
    built
        Axes of the kernel, in any order: norms do not see it.
    energy
        Sum of squares of the kernel over that of the product of the factors.

    >>> kernel = kernels_of({"a.algebra": (2, 2, 2), "a.filters": (2, 8, 4, 3, 3)})[0]
    >>> kernel.factors, kernel.subscripts, kernel.built
    (('a.algebra', 'a.filters'), ('iab', 'ix'), 'abx')
    """

    name: str
    factors: tuple[str, ...]
    subscripts: tuple[str, ...]
    built: str
    energy: float = 1.0

    def build(self, values: Sequence[Real]) -> Real:
        """Return the kernel, its axes permuted; values are those of the factors, in order."""
        kernel = self._product(range(len(values)), values, self.subscripts, self.built)
        return kernel * math.sqrt(self.energy) if self.energy != 1 else kernel

    def sensitivities(self, values: Sequence[Real]) -> list[float]:
        """Return, for each factor, the mean squared norm of what the kernel changes by with one of its elements.

        Exact, and never larger than the kernel in memory: the product of the other factors is multiplied by itself,
        where every axis is shared that the factor or the kernel has. Axes of the kernel that only this factor has are
        copies.
        """
        return [self._sensitivity(number, values) for number in range(len(values))]

    def _sensitivity(self, number: int, values: Sequence[Real]) -> float:
        own = self.subscripts[number]
        sizes = dict(zip(own, self._shaped(number, values).shape, strict=True))
        others = [other for other in range(len(values)) if other != number]
        letters = "".join(self.subscripts[other] for other in others)
        copies = math.prod([sizes[letter] for letter in self.built if letter not in letters])
        once = [self.subscripts[other] for other in others]
        again = ["".join(x if x in self.built + own else x.upper() for x in axes) for axes in once]
        square = float(self._product([*others, *others], values, [*once, *again], "")) if others else 1.0
        mean: float = square * copies * self.energy / math.prod(sizes.values())
        return mean

    def _shaped(self, number: int, values: Sequence[Real]) -> Real:
        axes = len(self.subscripts[number])
        shape = values[number].shape
        return values[number].reshape(*shape[: axes - 1], math.prod(shape[axes - 1 :]))

    def _product(
        self, numbers: Sequence[int], values: Sequence[Real], subscripts: Sequence[str], into: str
    ) -> Real:
        operands = [self._shaped(number, values) for number in numbers]
        product: Real = np.einsum(f"{','.join(subscripts)}->{into}", *operands, optimize="greedy")
        return product


def kernels_of(shapes: Mapping[str, Sequence[int]]) -> list[Kernel]:
    """Return the kernels whose factors stand in a state dict, by names and shapes, in its order.

    Names alone do not do: the shapes of the factors must fit each other too.

    >>> shapes = {"1.core": (1, 4, 4, 3, 3), "1.factor_out": (1, 16, 4), "1.factor_in": (1, 4, 8), "1.bias": (16,)}
    >>> [kernel.name for kernel in kernels_of(shapes)], kernels_of(shapes | {"1.factor_in": (1, 5, 8)})
    (['1'], [])
    """
    layers: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, shape in shapes.items():
        layer, _, last = name.rpartition(".")
        if len(shape) > 1 and all(shape):
            layers.setdefault(layer, {})[last] = tuple(shape)
    found = (_kernel(layer, factors) for layer, factors in layers.items())
    return [kernel for kernel in found if kernel is not None]


def _kernel(layer: str, shapes: Mapping[str, tuple[int, ...]]) -> Kernel | None:
    names = set(shapes)
    if "filters" in names:
        return _hypercomplex(layer, shapes)
    axes = sorted(int(match[1]) for name in names if (match := _AXIS.fullmatch(name)))
    taps = {f"factor_{axis}": _TAPS[place] for place, axis in enumerate(axes[: len(_TAPS)])}
    if {"factor_out", "core", "factor_in"} <= names:
        ends = {"factor_out": "gop", "factor_in": "gqi"}
        if not axes:
            return _fitting(layer, shapes, {**ends, "core": "gpqx"[: len(shapes["core"])]}, "goix")
        small = dict(zip(taps, _CORE_TAPS, strict=False))
        full = {name: f"g{tap}{small[name]}" for name, tap in taps.items()}
        return _fitting(
            layer,
            shapes,
            {**ends, "core": "gpq" + "".join(small.values()), **full},
            "goi" + "".join(taps.values()),
        )
    if {"factor_out", "factor_in"} <= names:
        filters = {name: f"gr{tap}" for name, tap in taps.items()}
        ends = {"factor_out": "gor", "factor_in": "gri"}
        return _fitting(layer, shapes, {**ends, **filters}, "goi" + "".join(taps.values()))
    if axes == [0, 1] and {len(shapes[name]) for name in taps} == {3}:
        return _fitting(layer, shapes, {"factor_0": "roi", "factor_1": "rpj"}, "oipj")
    if len(axes) > 1:
        return _fitting(
            layer,
            shapes,
            {name: f"rgoi{tap}" for name, tap in taps.items()},
            "goi" + "".join(taps.values()),
        )
    return None


def _hypercomplex(layer: str, shapes: Mapping[str, tuple[int, ...]]) -> Kernel | None:
    if "algebra" in shapes:
        return _fitting(layer, shapes, {"algebra": "iab", "filters": "ix"}, "abx")
    if {"algebra_out", "algebra_in"} <= set(shapes):
        bank = {"algebra_mix": "ir", "filters": "ix"} if "algebra_mix" in shapes else {"filters": "rx"}
        return _fitting(layer, shapes, {"algebra_out": "ar", "algebra_in": "br", **bank}, "abx")
    n = shapes["filters"][0]
    # Of a fixed algebra, which no state dict holds, every component stands in the kernel n times.
    return _fitting(layer, shapes, {"filters": "ix"}, "ix", float(n)) if n in _FIXED else None


def _fitting(
    layer: str,
    shapes: Mapping[str, tuple[int, ...]],
    subscripts: Mapping[str, str],
    built: str,
    energy: float = 1.0,
) -> Kernel | None:
    """Return the kernel if every letter has one size."""
    sizes: dict[str, int] = {}
    for name, letters in subscripts.items():
        shape = shapes[name]
        exact = letters[-1] != "x"
        if len(shape) < len(letters) or (exact and len(shape) != len(letters)):
            return None
        whole = (*shape[: len(letters) - 1], math.prod(shape[len(letters) - 1 :]))
        if any(sizes.setdefault(letter, size) != size for letter, size in zip(letters, whole, strict=True)):
            return None
    dotted = f"{layer}." if layer else ""
    return Kernel(
        layer,
        tuple(dotted + name for name in subscripts),
        tuple(subscripts.values()),
        "".join(letter for letter in built if letter in sizes),
        energy,
    )
