"""Where the taps of a layer fall: sizes, strides, padding; and the dense operation itself.

Kernels of compact layers are built in the *grouped* layout `(groups, outputs, inputs, *taps)`, outputs and inputs being
those of one group. Linear layers have no taps and one group. `Geometry` knows torch's layouts, so that the algebra of a
layer needs to know none of them.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from operator import index

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from neuralcodec.errors import InvalidLayer

PADDING_MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "replicate", "circular": "circular"}
_CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
_MODULES = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_TRANSPOSED_MODULES = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
Sizes = int | Sequence[int]


@dataclass(frozen=True)
class Geometry:
    """Sizes of a linear layer (`kernel` empty), a convolution or a transposed convolution.

    Attributes
    ----------
    inputs, outputs
        Channels, or features, of the whole layer.
    kernel, stride, dilation
        One number per axis.
    padding
        One number per axis, or "same" or "valid".
    output_padding
        One number per axis; of transposed convolutions alone.
    """

    inputs: int
    outputs: int
    kernel: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()
    padding: tuple[int, ...] | str = ()
    output_padding: tuple[int, ...] = ()
    dilation: tuple[int, ...] = ()
    groups: int = 1
    padding_mode: str = "zeros"
    transposed: bool = False
    pads: tuple[tuple[int, int], ...] = field(init=False)

    def __post_init__(self) -> None:
        for name, value in (("in", self.inputs), ("out", self.outputs), ("groups", self.groups)):
            if value < 1:
                raise InvalidLayer(f"{name}={value}: a layer needs 1 or more")
        for name in ("kernel", "stride", "dilation"):
            if any(size < 1 for size in getattr(self, name)):
                raise InvalidLayer(f"{name}={getattr(self, name)}: every number must be 1 or more")
        if self.inputs % self.groups or self.outputs % self.groups:
            raise InvalidLayer(
                f"groups={self.groups} does not divide both {self.inputs} input and {self.outputs} output channels"
            )
        if self.padding_mode not in PADDING_MODES or (self.transposed and self.padding_mode != "zeros"):
            modes = ["zeros"] if self.transposed else list(PADDING_MODES)
            raise InvalidLayer(f"padding_mode={self.padding_mode!r}: it must be one of {', '.join(modes)}")
        object.__setattr__(self, "pads", self._pads())
        for extra, stride, dilation in zip(
            self.output_padding, self.stride, self.dilation, strict=self.transposed
        ):
            if not 0 <= extra < max(stride, dilation):
                raise InvalidLayer(
                    f"output_padding={self.output_padding} must be below the stride {self.stride} or the dilation "
                    f"{self.dilation}"
                )

    def _pads(self) -> tuple[tuple[int, int], ...]:
        if isinstance(self.padding, str):
            if self.transposed or self.padding not in ("same", "valid"):
                raise InvalidLayer(f"padding={self.padding!r}: it must be numbers, or 'same' or 'valid'")
            if self.padding == "valid":
                return ((0, 0),) * self.axes
            if any(stride != 1 for stride in self.stride):
                raise InvalidLayer(f"padding='same' needs stride 1, not {self.stride}")
            totals = [d * (k - 1) for d, k in zip(self.dilation, self.kernel, strict=True)]
            return tuple((total // 2, total - total // 2) for total in totals)
        if any(size < 0 for size in self.padding):
            raise InvalidLayer(f"padding={self.padding}: no number may be negative")
        return tuple((size, size) for size in self.padding)

    @property
    def axes(self) -> int:
        """Number of spatial axes; 0 for a linear layer."""
        return len(self.kernel)

    @property
    def grouped(self) -> tuple[int, ...]:
        """Shape of the kernel in the grouped layout."""
        return (self.groups, self.outputs // self.groups, self.inputs // self.groups, *self.kernel)

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """Shape of the weight in torch's layout."""
        _, outputs, inputs, *taps = self.grouped
        return (self.inputs, outputs, *taps) if self.transposed else (self.outputs, inputs, *taps)

    @property
    def fan_in(self) -> float:
        """Inputs that an output sums up, on average over positions; padding aside.

        A transposed convolution spreads each input over `kernel` outputs, of which there are `stride` times as many.
        """
        taps = math.prod(self.kernel) / (math.prod(self.stride) if self.transposed else 1)
        return self.inputs // self.groups * taps

    def to_torch(self, kernel: Tensor) -> Tensor:
        """A kernel in the grouped layout as torch's weight."""
        if self.transposed:
            kernel = kernel.transpose(1, 2)
        return kernel.reshape(self.weight_shape)

    def from_torch(self, weight: Tensor) -> Tensor:
        """torch's weight in the grouped layout."""
        groups, outputs, inputs, *taps = self.grouped
        if self.transposed:
            return weight.reshape(groups, inputs, outputs, *taps).transpose(1, 2)
        return weight.reshape(groups, outputs, inputs, *taps)

    def check_input(self, x: Tensor) -> None:
        """Refuse an input of other channels or dimensions.

        Raises
        ------
        InvalidLayer
            With the numbers expected and found.
        """
        if not self.axes:
            if x.shape[-1] != self.inputs:
                raise InvalidLayer(f"the input has {x.shape[-1]} features, the layer takes {self.inputs}")
            return
        if x.dim() not in (self.axes + 1, self.axes + 2):
            raise InvalidLayer(
                f"the input has shape {tuple(x.shape)}; the layer takes {self.axes + 1} dimensions, or "
                f"{self.axes + 2} with a batch"
            )
        if x.shape[-self.axes - 1] != self.inputs:
            raise InvalidLayer(
                f"the input has {x.shape[-self.axes - 1]} channels, the layer takes {self.inputs}"
            )

    def apply(
        self, x: Tensor, weight: Tensor, bias: Tensor | None, output_size: Sequence[int] | None = None
    ) -> Tensor:
        """The dense layer with this weight, in torch's layout, of its own or another number of channels."""
        if not self.axes:
            return F.linear(x, weight, bias)
        if self.transposed:
            return _TRANSPOSED[self.axes](
                x,
                weight,
                bias,
                self.stride,
                self.padding,
                self.extra(x, output_size),
                self.groups,
                self.dilation,
            )
        x, padding = self.padded(x)
        return _CONV[self.axes](x, weight, bias, self.stride, padding, self.dilation, self.groups)

    def padded(self, x: Tensor) -> tuple[Tensor, tuple[int, ...]]:
        """The input with what padding the convolution cannot do itself, and what it still has to do."""
        if self.padding_mode == "zeros" and all(before == after for before, after in self.pads):
            return x, tuple(before for before, _ in self.pads)
        if not any(size for pair in self.pads for size in pair):
            return x, (0,) * self.axes
        flat = [size for pair in reversed(self.pads) for size in pair]
        return F.pad(x, flat, mode=PADDING_MODES[self.padding_mode]), (0,) * self.axes

    def extra(self, x: Tensor, output_size: Sequence[int] | None) -> tuple[int, ...]:
        """Output padding of a transposed convolution that makes outputs of the size wanted.

        Raises
        ------
        InvalidLayer
            If no output padding does.
        """
        if output_size is None:
            return self.output_padding
        wanted = tuple(output_size)[-self.axes :]
        least = tuple(
            (size - 1) * s - 2 * p + d * (k - 1) + 1
            for size, s, p, d, k in zip(
                x.shape[-self.axes :], self.stride, self._numbers(), self.dilation, self.kernel, strict=True
            )
        )
        extra = tuple(size - low for size, low in zip(wanted, least, strict=False))
        bounds = [max(s, d) for s, d in zip(self.stride, self.dilation, strict=True)]
        if len(wanted) != self.axes or any(not 0 <= e < b for e, b in zip(extra, bounds, strict=True)):
            most = tuple(low + bound - 1 for low, bound in zip(least, bounds, strict=True))
            raise InvalidLayer(f"output_size={tuple(output_size)}: it must be between {least} and {most}")
        return extra

    def _numbers(self) -> tuple[int, ...]:
        return tuple(before for before, _ in self.pads)

    def positions(self, sizes: Sequence[int]) -> int:
        """Number of output positions for an input of these spatial sizes."""
        total = 1
        for axis, size in enumerate(sizes):
            reach, stride = self.dilation[axis] * (self.kernel[axis] - 1), self.stride[axis]
            before, after = self.pads[axis]
            if self.transposed:
                total *= (size - 1) * stride - before - after + reach + 1 + self.output_padding[axis]
            else:
                total *= (size + before + after - reach - 1) // stride + 1
        return total

    def with_channels(self, inputs: int, outputs: int, groups: int) -> "Geometry":
        """The same places of taps for other channels."""
        return replace(self, inputs=inputs, outputs=outputs, groups=groups)

    def with_extra(self, extra: tuple[int, ...]) -> "Geometry":
        """The same transposed convolution with another output padding."""
        return replace(self, output_padding=extra)

    def along(self, axis: int) -> "Geometry":
        """The same places of taps along one axis, and one tap along the others."""

        def only(sizes: tuple[int, ...], other: int) -> tuple[int, ...]:
            return tuple(size if place == axis else other for place, size in enumerate(sizes))

        padding = self.padding if isinstance(self.padding, str) else only(self.padding, 0)
        return replace(
            self,
            kernel=only(self.kernel, 1),
            stride=only(self.stride, 1),
            padding=padding,
            output_padding=only(self.output_padding, 0),
            dilation=only(self.dilation, 1),
        )

    def dense(self, weight: Tensor, bias: Tensor | None) -> nn.Module:
        """torch's own layer with copies of these parameters."""
        options = {"bias": bias is not None, "device": weight.device, "dtype": weight.dtype}
        if not self.axes:
            layer = nn.Linear(self.inputs, self.outputs, **options)
        else:
            options |= {"stride": self.stride, "padding": self.padding, "dilation": self.dilation}
            options |= {"groups": self.groups, "padding_mode": self.padding_mode}
            if self.transposed:
                options["output_padding"] = self.output_padding
            kinds = _TRANSPOSED_MODULES if self.transposed else _MODULES
            layer = kinds[self.axes](self.inputs, self.outputs, self.kernel, **options)
        with torch.no_grad():
            layer.weight.copy_(weight)
            if bias is not None:
                layer.bias.copy_(bias)
        return layer

    @classmethod
    def of(cls, layer: nn.Module) -> "Geometry":
        """The geometry of one of torch's linear or convolutional layers."""
        if isinstance(layer, nn.Linear):
            return cls(layer.in_features, layer.out_features)
        transposed = layer.transposed
        return cls(
            layer.in_channels,
            layer.out_channels,
            tuple(layer.kernel_size),
            tuple(layer.stride),
            layer.padding if isinstance(layer.padding, str) else tuple(layer.padding),
            tuple(layer.output_padding) if transposed else (),
            tuple(layer.dilation),
            layer.groups,
            layer.padding_mode,
            transposed,
        )

    def __str__(self) -> str:
        if not self.axes:
            return f"in_features={self.inputs}, out_features={self.outputs}"
        words = [f"{self.inputs}, {self.outputs}, kernel_size={self.kernel}, stride={self.stride}"]
        if isinstance(self.padding, str) or any(self.padding):
            words.append(f"padding={self.padding}")
        if any(self.output_padding):
            words.append(f"output_padding={self.output_padding}")
        if any(size != 1 for size in self.dilation):
            words.append(f"dilation={self.dilation}")
        if self.groups != 1:
            words.append(f"groups={self.groups}")
        if self.padding_mode != "zeros":
            words.append(f"padding_mode={self.padding_mode}")
        return ", ".join(words)


def per_axis(value: Sizes, axes: int, name: str) -> tuple[int, ...]:
    """One number for all axes, or one for each, as a tuple.

    Raises
    ------
    InvalidLayer
        If it has another length than the layer has axes.

    Examples
    --------
    >>> per_axis(3, 2, "kernel_size"), per_axis((3, 5), 2, "kernel_size")
    ((3, 3), (3, 5))
    """
    sizes = tuple(map(index, value)) if isinstance(value, Iterable) else (index(value),) * axes
    if len(sizes) != axes:
        raise InvalidLayer(f"{name}={sizes} has {len(sizes)} numbers; the layer has {axes} axes")
    return sizes
