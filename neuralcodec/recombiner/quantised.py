"""Real tensors as matrices of unsigned integers: levels of a step, as model files keep them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuralcodec.artifact import Tensor
from neuralcodec.container.folding import folded, unfolded
from neuralcodec.errors import InvalidModel


def to_levels(x: NDArray[Any], step: float) -> Tensor:
    """Return the levels of a matrix, 0, -1, 1, -2, 2, ... as 0, 1, 2, 3, 4, ...

    >>> to_levels(np.array([[0.0, 0.26, -0.5]]), 0.25)
    array([[0, 2, 3]], dtype=uint32)
    """
    return folded(np.rint(np.asarray(x, np.float64) / step)).astype(np.uint32)


def of_levels(levels: Tensor, step: float) -> NDArray[np.float32]:
    """Return the matrix that levels stand for.

    >>> of_levels(np.array([[0, 2, 3]], np.uint32), 0.25)
    array([[ 0.  ,  0.25, -0.5 ]], dtype=float32)
    """
    return unfolded(levels).astype(np.float32) * np.float32(step)


def step_words(steps: list[float]) -> Tensor:
    """Return steps as rows of the two halves of their binary32 words, the high one first."""
    words = np.array(steps, np.float32).view(np.uint32)
    return np.stack([words >> 16, words & 0xFFFF], axis=1).astype(np.uint32)


def of_step_words(words: Tensor, count: int) -> list[float]:
    """Return what :func:`step_words` took; :class:`InvalidModel` unless they are so many positive numbers."""
    if words.shape != (count, 2) or int(words.max()) > 0xFFFF:
        raise InvalidModel(f"the model needs {count} steps of two 16-bit words each")
    whole = words.astype(np.uint32)
    steps = (whole[:, 0] << np.uint32(16) | whole[:, 1]).view(np.float32)
    if not np.all((steps > 0) & (steps < np.inf)):
        raise InvalidModel("a step of the model is not a positive number")
    return [float(s) for s in steps]
