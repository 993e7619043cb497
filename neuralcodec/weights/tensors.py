"""What a tensor is to the codec: a name, a type, a shape, and bytes in C order."""

import math
from dataclasses import dataclass

from neuralcodec.weights.dtypes import ElementType

MAX_TAPS = 64
ROW = 4096
BLOCK = 65_536


@dataclass(frozen=True)
class TensorSpec:
    """Name, type and shape of a tensor.

    >>> from neuralcodec.weights.dtypes import BY_NAME
    >>> spec = TensorSpec("conv.weight", BY_NAME["F32"], (16, 3, 3, 3))
    >>> spec.count, spec.nbytes, spec.geometry
    (432, 1728, (27, 9))
    """

    name: str
    type: ElementType
    shape: tuple[int, ...]

    @property
    def count(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the elements."""
        return self.count * self.type.width

    @property
    def geometry(self) -> tuple[int, int]:
        """Elements of a row and of a kernel in it, as section 10.3 of docs/format.md says."""
        if len(self.shape) < 2:
            return min(max(self.count, 1), ROW), 1
        if not self.count:
            return 1, 1
        taps = math.prod(self.shape[2:])
        return math.prod(self.shape[1:]), taps if 2 <= taps <= MAX_TAPS else 1

    @property
    def layout(self) -> tuple[int, int, bool, bool, int, int]:
        """What the native coder is told: width, mantissa, integer, signed, row, kernel."""
        kind = self.type
        return (kind.width, kind.mantissa, kind.integer, kind.signed, *self.geometry)

    @property
    def is_matrix(self) -> bool:
        """Whether the lossy codec's step, and its signal-to-noise ratio, cover the tensor."""
        return self.type.is_float and len(self.shape) >= 2 and self.count > 0

    @property
    def is_vector(self) -> bool:
        """Whether the lossy codec codes the tensor within a bound of its own.

        Vectors of 16-bit floats are coded without loss: their values are no finer than the bound.
        """
        return self.type.width >= 4 and self.type.is_float and len(self.shape) == 1 and self.count > 0
