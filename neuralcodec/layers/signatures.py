"""torch's own signatures of linear layers and convolutions, with the options of a compact layer after them."""

from typing import Any, ClassVar

from neuralcodec.layers.compact_layer import CompactLayer
from neuralcodec.layers.geometry import Geometry, Sizes, per_axis


class LinearSignature(CompactLayer):
    """As `torch.nn.Linear`."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        **options: Any,
    ) -> None:
        self.set_up(Geometry(in_features, out_features), bias, device, dtype, **options)


class ConvSignature(CompactLayer):
    """As `torch.nn.Conv1d` and its kin; `axes` tells which."""

    axes: ClassVar[int]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes | str = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
        **options: Any,
    ) -> None:
        geometry = Geometry(
            in_channels,
            out_channels,
            per_axis(kernel_size, self.axes, "kernel_size"),
            per_axis(stride, self.axes, "stride"),
            padding if isinstance(padding, str) else per_axis(padding, self.axes, "padding"),
            dilation=per_axis(dilation, self.axes, "dilation"),
            groups=groups,
            padding_mode=padding_mode,
        )
        self.set_up(geometry, bias, device, dtype, **options)


class ConvTransposeSignature(CompactLayer):
    """As `torch.nn.ConvTranspose1d` and its kin; `axes` tells which."""

    axes: ClassVar[int]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes = 0,
        output_padding: Sizes = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Sizes = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
        **options: Any,
    ) -> None:
        geometry = Geometry(
            in_channels,
            out_channels,
            per_axis(kernel_size, self.axes, "kernel_size"),
            per_axis(stride, self.axes, "stride"),
            padding if isinstance(padding, str) else per_axis(padding, self.axes, "padding"),
            per_axis(output_padding, self.axes, "output_padding"),
            per_axis(dilation, self.axes, "dilation"),
            groups,
            padding_mode,
            transposed=True,
        )
        self.set_up(geometry, bias, device, dtype, **options)
