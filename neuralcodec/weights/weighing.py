"""What an error of each tensor weighs: by the kernels that it is a factor of, or by an importance that was measured."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuralcodec.errors import UnsupportedInput
from neuralcodec.factors import Kernel, kernels_of
from neuralcodec.weights.tensors import TensorSpec

Bytes = NDArray[np.uint8]
STEP_ORIGIN, STEP_NUMBERS = 4097, 8192  # steps of tensors are 2^((number - 4097) / 16): docs/format.md, 10.4
LEAST = 1e-12  # of the largest weight: nothing is worth less


def as_reals(values: Bytes, spec: TensorSpec) -> NDArray[np.floating[Any]]:
    """Return the elements of a floating tensor as numbers that numpy knows."""
    if spec.type.name == "BF16":
        return (values.view("<u2").astype("<u4") << 16).view("<f4")
    reals: NDArray[np.floating[Any]] = values.view(f"<f{spec.type.width}")
    return reals.astype(np.float64) if spec.type.width == 2 else reals


class Weighing:
    """Weights of the squared errors of tensors, relative to that of the tensors that have the file's step.

    Where errors weigh `w`, the step `1 / sqrt(w)` spends the bits best. A plain matrix weighs 1, a factor the
    sensitivity of its kernel to it. Of tensors whose importance is given, that alone counts.

    Parameters
    ----------
    specs, read
        The tensors, and what returns the bytes of one by its number.
    factors
        Whether to look for factors of kernels.
    importance
        By names of tensors: a number, or an array, whose mean counts.
    fixed
        Whether the file's step is given: then it is that of tensors that weigh 1. Otherwise it belongs to the weight
        that most elements have.
    """

    def __init__(
        self,
        specs: Sequence[TensorSpec],
        read: Callable[[int], Bytes],
        *,
        factors: bool = True,
        importance: Mapping[str, Any] | None = None,
        fixed: bool = False,
    ) -> None:
        self.specs = specs
        numbers = {spec.name: number for number, spec in enumerate(specs)}
        weights = {numbers[name]: weight for name, weight in _checked(importance or {}, specs, numbers)}
        shapes = {spec.name: spec.shape for spec in specs if spec.is_matrix}
        self._kernels: dict[int, Kernel] = {}
        self._members: dict[str, list[int]] = {}
        for kernel in kernels_of(shapes) if factors else ():
            members = [numbers[name] for name in kernel.factors]
            values = [_array(read(number), specs[number]) for number in members]
            if weights.keys() & set(members) or not all(np.isfinite(value).all() for value in values):
                continue
            self._members[kernel.name] = members
            self._kernels |= dict.fromkeys(members, kernel)
            weights |= zip(members, kernel.sensitivities(values), strict=True)
        most = max(weights.values(), default=0.0)
        self._weights = {number: max(weight, LEAST * most) or 1.0 for number, weight in weights.items()}
        self._unit = 1.0 if fixed else self._commonest()

    def _commonest(self) -> float:
        """Return the weight to which the file's step belongs: that of the most elements, to a step of the grid."""
        counts: dict[int, int] = {}
        for number, spec in enumerate(self.specs):
            if spec.is_matrix:
                place = round(8 * math.log2(self._weights.get(number, 1.0)))
                counts[place] = counts.get(place, 0) + spec.count
        return float(2 ** (max(counts, key=counts.__getitem__) / 8)) if counts else 1.0

    @property
    def kernels(self) -> int:
        """Number of kernels that are built from factors."""
        return len(self._members)

    @property
    def weight_of_one(self) -> float:
        """Weight of the squared errors of kernels, and of plain matrices."""
        return 1 / self._unit

    def weight(self, number: int) -> float:
        """Return the weight of a tensor's squared error."""
        return self._weights.get(number, 1.0) / self._unit

    def step_number(self, number: int, step: float) -> int:
        """Return which step of the grid a tensor has; 0 for the file's, which is `step`."""
        ratio = -math.log2(self.weight(number)) / 2
        if abs(ratio) < 1 / 32:
            return 0
        found = round(16 * (math.log2(step) + ratio)) + STEP_ORIGIN
        return min(max(found, 1), STEP_NUMBERS)

    def meter(self) -> "Meter":
        """Return a meter of power and noise."""
        return Meter(self, self._kernels, self._members)

    @property
    def plain(self) -> bool:
        """Whether all tensors weigh alike."""
        return not self._weights


class Meter:
    """Sums up the power and the noise of matrices, those of factors in the kernels that are built from them.

    Attributes
    ----------
    power, noise
        Sums of squares, weighted.
    """

    def __init__(
        self, weighing: Weighing, kernels: Mapping[int, Kernel], members: Mapping[str, list[int]]
    ) -> None:
        self._weighing, self._kernels, self._members = weighing, kernels, members
        self._waiting: dict[str, dict[int, tuple[Bytes, Bytes]]] = {}
        self.power = self.noise = 0.0

    def add(self, number: int, power: float, noise: float) -> None:
        """Add a tensor by the sums of its own squares, and of its errors' squares."""
        weight = self._weighing.weight(number)
        self.power, self.noise = self.power + weight * power, self.noise + weight * noise

    def add_values(self, number: int, values: Bytes, decoded: Bytes, power: float, noise: float) -> None:
        """Add a tensor; of a factor the bytes, before and after, are kept until its kernel is whole."""
        kernel = self._kernels.get(number)
        if kernel is None:
            self.add(number, power, noise)
            return
        held = self._waiting.setdefault(kernel.name, {})
        held[number] = values, decoded
        members = self._members[kernel.name]
        if len(held) == len(members):
            specs = self._weighing.specs
            before, after = (
                kernel.build([_array(held[member][which], specs[member]) for member in members])
                for which in range(2)
            )
            unit = self._weighing.weight_of_one
            self.power += unit * float(np.vdot(before, before))
            self.noise += unit * float(np.square(after - before).sum())
            del self._waiting[kernel.name]


def _array(values: Bytes, spec: TensorSpec) -> NDArray[np.float64]:
    return as_reals(values, spec).astype(np.float64).reshape(spec.shape)


def _checked(
    importance: Mapping[str, Any], specs: Sequence[TensorSpec], numbers: Mapping[str, int]
) -> list[tuple[str, float]]:
    """Return the importance of each matrix as one number."""
    found = []
    for name, given in importance.items():
        if name not in numbers:
            raise UnsupportedInput(f"the importance names a tensor {name!r}, which is not there")
        values = np.asarray(given.detach().cpu() if hasattr(given, "detach") else given, np.float64)
        if not values.size or not np.isfinite(values).all() or values.min() < 0:
            raise UnsupportedInput(
                f"the importance of {name!r} must be numbers that are finite and not negative"
            )
        if specs[numbers[name]].is_matrix:
            found.append((name, float(values.mean())))
    return found
