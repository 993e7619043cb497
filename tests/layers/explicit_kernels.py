"""Kernels of compact layers by their definitions, in NumPy and in loops, and strategies for sizes of layers."""

from itertools import product
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

Array = NDArray[np.float64]
CONVS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}


def array(tensor: Tensor) -> Array:
    return tensor.detach().double().cpu().numpy()


def kronecker_sum(algebra: Array, filters: Array, groups: int) -> Array:
    """`(groups, outputs, inputs, *taps)` with np.kron: bank by bank, group by group and tap by tap."""
    n = algebra.shape[1]
    _, outputs, inputs, *taps = filters.shape
    split = filters.reshape(len(filters), groups, outputs // groups, inputs, *taps)
    kernel = np.zeros((groups, n * outputs // groups, n * inputs, *taps))
    for bank, group in product(range(len(filters)), range(groups)):
        for tap in np.ndindex(*taps):
            at = (slice(None), slice(None), *tap)
            kernel[(group, *at)] += np.kron(algebra[bank], split[(bank, group, *at)])
    return kernel


def as_weight(kernel: Array, transposed: bool) -> Array:
    """torch's layout of a kernel `(groups, outputs, inputs, *taps)`."""
    if transposed:
        return np.concatenate([np.swapaxes(group, 0, 1) for group in kernel])
    return np.concatenate(list(kernel))


def dense(layer: Any, weight: Tensor) -> nn.Module:
    """torch's own layer of the sizes of a compact one, with this weight and the compact layer's bias."""
    g = layer.geometry
    options: dict[str, Any] = {"bias": layer.bias is not None, "dtype": weight.dtype}
    if not g.axes:
        module: nn.Module = nn.Linear(g.inputs, g.outputs, **options)
    else:
        options |= {"stride": g.stride, "padding": g.padding, "dilation": g.dilation, "groups": g.groups}
        if g.transposed:
            options["output_padding"] = g.output_padding
        else:
            options["padding_mode"] = g.padding_mode
        module = (TRANSPOSED if g.transposed else CONVS)[g.axes](g.inputs, g.outputs, g.kernel, **options)
    with torch.no_grad():
        module.weight.copy_(weight)
        if layer.bias is not None:
            module.bias.copy_(layer.bias)
    return module


def perturbed(layer: nn.Module, seed: int = 0) -> nn.Module:
    """A bias that is not zero, so that one which does not arrive is noticed."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        if layer.bias is not None:
            layer.bias.copy_(torch.randn(layer.bias.shape, generator=generator))
    return layer


@st.composite
def conv_sizes(draw: st.DrawFn, axes: int, transposed: bool = False, unit: int = 1) -> dict[str, Any]:
    """Arguments of a convolution; channels of each group are multiples of `unit`."""
    groups = draw(st.integers(1, 3))
    small = st.integers(1, 3)
    sizes: dict[str, Any] = {
        "in_channels": groups * unit * draw(st.integers(1, 2)),
        "out_channels": groups * unit * draw(st.integers(1, 2)),
        "kernel_size": tuple(draw(small) for _ in range(axes)),
        "stride": tuple(draw(st.integers(1, 2)) for _ in range(axes)),
        "padding": tuple(draw(st.integers(0, 2)) for _ in range(axes)),
        "dilation": tuple(draw(st.integers(1, 2)) for _ in range(axes)),
        "groups": groups,
        "bias": draw(st.booleans()),
    }
    if transposed:
        # the output must not vanish
        sizes["padding"] = tuple(0 for _ in range(axes))
        most = [max(s, d) for s, d in zip(sizes["stride"], sizes["dilation"], strict=True)]
        sizes["output_padding"] = tuple(draw(st.integers(0, high - 1)) for high in most)
    else:
        sizes["padding_mode"] = draw(st.sampled_from(["zeros", "reflect", "replicate", "circular"]))
        if set(sizes["stride"]) == {1} and draw(st.booleans()):
            sizes["padding"] = draw(st.sampled_from(["same", "valid"]))
    return sizes


def random_input(sizes: dict[str, Any], axes: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    spatial = [7, 6, 5][:axes]
    return torch.randn(2, sizes["in_channels"], *spatial, dtype=torch.float64, generator=generator)
