"""The coder of integer tensors: the tensor body of docs/format.md, section 6, by the native kernel.

:mod:`neuralcodec.entropy.tensor_reference` is the slow counterpart on constriction, which this module does
not need.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuralcodec import native
from neuralcodec.entropy.integers import checked_matrix


def encode_tensor(values: ArrayLike) -> bytes:
    """Encode a matrix of small unsigned integers into a tensor body.

    Parameters
    ----------
    values
        Shape (R, C), any integer dtype, elements 0 to 2^23 - 1, at most 2^28 of them. (0, 0) gives no bytes.

    Raises
    ------
    EntropyCodingError
        For another rank or dtype, elements out of range, or an empty matrix that is not 0 x 0.

    >>> body = encode_tensor(np.eye(64, dtype=np.uint8))
    >>> bool((decode_tensor(body, 64, 64) == np.eye(64)).all())
    True
    """
    matrix = checked_matrix(values)
    if not matrix.size:
        return b""
    return native.encode_tensor(np.ascontiguousarray(matrix, dtype=np.uint32))


def decode_tensor(body: bytes, rows: int, cols: int, threads: int | None = None) -> NDArray[Any]:
    """Decode a tensor body into a matrix of shape (rows, cols).

    Parameters
    ----------
    body
        What :func:`encode_tensor` made, zero padding included.
    rows, cols
        The shape, from the record that holds the body.
    threads
        Blocks are decoded in parallel; None: as many as the machine has cores, or NEURALCODEC_THREADS.

    Returns
    -------
    uint8 array, or uint32 where elements may be large: the value is what counts, not the width.

    Raises
    ------
    CorruptFile
        If the body breaks a rule of the format.
    """
    if rows == cols == 0 and not body:
        return np.zeros((0, 0), dtype=np.uint8)
    return native.decode_tensor(body, rows, cols, threads)
