"""Compact layers of torch: hypercomplex ones, and ones whose kernels are in a tensor format before training.

Needs torch and tensorly: `pip install 'neuralcodec[torch]'`. docs/layers.md is the guide.
"""

try:
    import tensorly as _tensorly  # noqa: F401
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"neuralcodec.layers needs torch and tensorly ({error}): pip install 'neuralcodec[torch]'"
    ) from error

from neuralcodec.layers.compact_layer import CompactLayer
from neuralcodec.layers.convert import Hypercomplex, Tensorized, compact, fold
from neuralcodec.layers.hypercomplex import (
    PHConv1d,
    PHConv2d,
    PHConv3d,
    PHConvTranspose1d,
    PHConvTranspose2d,
    PHConvTranspose3d,
    PHLinear,
)
from neuralcodec.layers.report import Change, Report, Size
from neuralcodec.layers.tensorized import (
    TensorConv1d,
    TensorConv2d,
    TensorConv3d,
    TensorConvTranspose2d,
    TensorLinear,
)

__all__ = [
    "Change",
    "CompactLayer",
    "Hypercomplex",
    "PHConv1d",
    "PHConv2d",
    "PHConv3d",
    "PHConvTranspose1d",
    "PHConvTranspose2d",
    "PHConvTranspose3d",
    "PHLinear",
    "Report",
    "Size",
    "TensorConv1d",
    "TensorConv2d",
    "TensorConv3d",
    "TensorConvTranspose2d",
    "TensorLinear",
    "Tensorized",
    "compact",
    "fold",
]
