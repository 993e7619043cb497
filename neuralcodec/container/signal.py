"""What a signal is made of: its shape, dtype and sample string (docs/format.md, sections 1 and 2)."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuralcodec.container.primitives import Reader, varint
from neuralcodec.errors import UnsupportedInput

MAX_RANK = 8
MAX_SAMPLES = 2**31
_NAMES = ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "bool")
DTYPES: dict[int, np.dtype[Any]] = {code: np.dtype(name) for code, name in enumerate(_NAMES, 1)}
_CODES = {dtype.str: code for code, dtype in DTYPES.items()}


def dtype_code(dtype: np.dtype[Any]) -> int:
    """Return the code of a dtype of any byte order; :class:`UnsupportedInput` if it is not integer or bool.

    >>> dtype_code(np.dtype(">i2")), dtype_code(np.dtype(bool))
    (6, 9)
    """
    code = _CODES.get(dtype.newbyteorder("=").str)
    if code is None:
        raise UnsupportedInput(
            f"samples of dtype {dtype} cannot be coded without loss; "
            f"round and convert them to one of {', '.join(_NAMES)}"
        )
    return code


@dataclass(frozen=True)
class SignalType:
    """Shape and dtype of a signal (the "signal description" of the format).

    >>> SignalType((28, 28), np.dtype("uint8")).to_bytes().hex()
    '01021c1c'
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def samples(self) -> int:
        """Number of samples, D."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of one signal's sample string."""
        return self.samples * self.dtype.itemsize

    def __str__(self) -> str:
        return f"{' x '.join(map(str, self.shape))} {self.dtype}"

    def squeezed(self) -> tuple[int, ...]:
        """Return the shape without its dimensions of size 1."""
        return tuple(size for size in self.shape if size != 1)

    def to_bytes(self) -> bytes:
        """Return the signal description; :class:`UnsupportedInput` if the limits do not allow the shape."""
        code = dtype_code(self.dtype)
        if not 1 <= len(self.shape) <= MAX_RANK or 0 in self.shape:
            raise UnsupportedInput(
                f"a signal has 1 to {MAX_RANK} dimensions, none of size 0; this one has shape {self.shape}"
            )
        if self.samples > MAX_SAMPLES:
            raise UnsupportedInput(
                f"a signal has at most {MAX_SAMPLES} samples, not {self.samples}: cut it in tiles"
            )
        return bytes([code, len(self.shape)]) + b"".join(map(varint, self.shape))

    @classmethod
    def read(cls, reader: Reader, limit: int) -> "SignalType":
        """Read a signal description of at most `limit` samples."""
        code = reader.u8("the dtype code")
        if code not in DTYPES:
            raise reader.fault(f"dtype code {code} is not known")
        rank = reader.u8("the rank")
        if not 1 <= rank <= MAX_RANK:
            raise reader.fault(f"the rank is {rank}, outside 1 to {MAX_RANK}")
        shape: tuple[int, ...] = ()
        for axis in range(rank):
            shape += (reader.varint(f"dimension {axis}", limit, 1),)
            if math.prod(shape) > limit:
                raise reader.fault(f"the shape {shape} holds more than {limit} samples")
        return cls(shape, DTYPES[code])


def sample_string(signals: NDArray[Any]) -> memoryview:
    """Return the samples of one or more signals in C order as little-endian integers of their dtype.

    >>> bytes(sample_string(np.array([1, 258], ">u2"))).hex()
    '01000201'
    """
    little = np.ascontiguousarray(signals, dtype=signals.dtype.newbyteorder("<"))
    return little.reshape(-1).view(np.uint8).data
