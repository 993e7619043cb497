"""Element types of tensors, by the names that safetensors gives them (docs/format.md, 9.1)."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from neuralcodec.errors import UnsupportedInput


@dataclass(frozen=True)
class ElementType:
    """One type of elements.

    Attributes
    ----------
    code
        Its number in files.
    name
        As in safetensors.
    width
        Bytes of an element.
    mantissa
        Stored bits of the mantissa of a binary float that the codec models; 0 for all else.
    integer, signed
        Whether elements are integers, and signed ones.
    numpy
        The dtype in numpy, little-endian; None if numpy has none.
    """

    code: int
    name: str
    width: int
    mantissa: int = 0
    integer: bool = False
    signed: bool = False
    numpy: str | None = None

    @property
    def is_float(self) -> bool:
        """Whether elements can be coded with loss."""
        return self.mantissa > 0


TYPES = (
    ElementType(1, "U8", 1, integer=True, numpy="|u1"),
    ElementType(2, "U16", 2, integer=True, numpy="<u2"),
    ElementType(3, "U32", 4, integer=True, numpy="<u4"),
    ElementType(4, "U64", 8, integer=True, numpy="<u8"),
    ElementType(5, "I8", 1, integer=True, signed=True, numpy="|i1"),
    ElementType(6, "I16", 2, integer=True, signed=True, numpy="<i2"),
    ElementType(7, "I32", 4, integer=True, signed=True, numpy="<i4"),
    ElementType(8, "I64", 8, integer=True, signed=True, numpy="<i8"),
    ElementType(9, "BOOL", 1, numpy="|b1"),
    ElementType(10, "F16", 2, 10, numpy="<f2"),
    ElementType(11, "BF16", 2, 7),
    ElementType(12, "F32", 4, 23, numpy="<f4"),
    ElementType(13, "F64", 8, 52, numpy="<f8"),
    ElementType(14, "F8_E4M3", 1),
    ElementType(15, "F8_E5M2", 1),
    ElementType(16, "C64", 8, numpy="<c8"),
    ElementType(17, "C128", 16, numpy="<c16"),
    ElementType(18, "F8_E8M0", 1),
)
BY_CODE = {one.code: one for one in TYPES}
BY_NAME = {one.name: one for one in TYPES}
_BY_NUMPY = {one.numpy: one for one in TYPES if one.numpy}
_ML_DTYPES = {
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E8M0": "float8_e8m0fnu",
}


def of_numpy(dtype: "np.dtype[Any]", name: str) -> ElementType:
    """Return the type of a numpy array's elements; :class:`UnsupportedInput` names the tensor.

    >>> import numpy as np
    >>> of_numpy(np.dtype(np.float32), "w").name
    'F32'
    """
    found = _BY_NUMPY.get(dtype.newbyteorder("<").str)
    if found is None:
        found = next((BY_NAME[key] for key, value in _ML_DTYPES.items() if dtype.name == value), None)
    if found is None:
        raise UnsupportedInput(
            f"tensor {name!r} has the dtype {dtype}, which cannot be coded: convert it to a float, an integer, "
            "a bool or a complex dtype"
        )
    return found


def to_numpy(kind: ElementType, name: str) -> "np.dtype[Any]":
    """Return the numpy dtype of a type; bfloat16 and 8-bit floats need the package ml_dtypes."""
    if kind.numpy is not None:
        return np.dtype(kind.numpy)
    try:
        import ml_dtypes  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        raise UnsupportedInput(
            f"tensor {name!r} is {kind.name}, which numpy does not have: install ml_dtypes, take torch tensors "
            "(framework='torch'), or decode to a .safetensors file"
        ) from None
    found: np.dtype[Any] = np.dtype(getattr(ml_dtypes, _ML_DTYPES[kind.name]))
    return found


_TORCH = {
    "U8": "uint8",
    "U16": "uint16",
    "U32": "uint32",
    "U64": "uint64",
    "I8": "int8",
    "I16": "int16",
    "I32": "int32",
    "I64": "int64",
    "BOOL": "bool",
    "F16": "float16",
    "BF16": "bfloat16",
    "F32": "float32",
    "F64": "float64",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E8M0": "float8_e8m0fnu",
    "C64": "complex64",
    "C128": "complex128",
}
_OF_TORCH = {f"torch.{value}": BY_NAME[key] for key, value in _TORCH.items()}


def of_torch(dtype: Any, name: str) -> ElementType:
    """Return the type of a torch tensor's elements."""
    found = _OF_TORCH.get(str(dtype))
    if found is None:
        raise UnsupportedInput(
            f"tensor {name!r} has the dtype {dtype}, which cannot be coded: dequantise or convert it first"
        )
    return found


def to_torch(kind: ElementType) -> Any:
    """Return the torch dtype of a type."""
    import torch

    return getattr(torch, _TORCH[kind.name])
