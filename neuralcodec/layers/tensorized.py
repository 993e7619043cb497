"""Layers whose kernels are in a tensor format before training.

"A priori compression of convolutional neural networks for wave simulators" (arXiv:2304.04964) for separable kernels;
see `formats` for the others.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from neuralcodec.layers import decomposition
from neuralcodec.layers.compact_layer import CompactLayer, Key
from neuralcodec.layers.formats import Rank, make_format
from neuralcodec.layers.initialisation import normal_kernel, rescale, standard_deviation
from neuralcodec.layers.signatures import ConvSignature, ConvTransposeSignature, LinearSignature


class _Tensorized(CompactLayer):
    """Kernel in a tensor format; the state dict holds its factors, whose names and shapes the format tells."""

    def shape(
        self,
        kernel: Tensor | None,
        format: str = "tucker",
        rank: Rank | None = None,
        energy: float | None = None,
        nonlinearity: str = "linear",
    ) -> None:
        """Register the factors."""
        self.nonlinearity = nonlinearity
        standard_deviation(self.geometry, nonlinearity)
        given = None if kernel is None else decomposition.as_array(kernel)
        self.format = make_format(format, self.geometry, rank, energy, given)
        for name, sizes in self.format.shapes().items():
            self._parameter(name, *sizes)

    def reset_parameters(self) -> None:
        """Draw all parameters anew: decompose a random kernel, and rescale to the variance gain^2 / fan-in."""
        with torch.no_grad():
            if self.bias is not None:
                self.bias.zero_()
        if self.factors()[0].is_meta:
            return
        kernel = normal_kernel(self.geometry, self.nonlinearity)
        self._set(kernel, thorough=False)
        std = standard_deviation(self.geometry, self.nonlinearity)
        rescale(self.factors(), self.build, std**2)

    def decompose(self, kernel: Tensor) -> None:
        """Set the factors to those of a kernel near to this one, in the grouped layout."""
        self._set(kernel, thorough=True)

    def _set(self, kernel: Tensor, thorough: bool) -> None:
        found = self.format.decompose(decomposition.as_array(kernel), thorough)
        with torch.no_grad():
            for name, value in found.items():
                self._parameters[name].copy_(torch.from_numpy(value))

    def _named(self) -> dict[str, Tensor]:
        return {name: self._parameters[name] for name in self.format.shapes()}

    def factors(self) -> list[Tensor]:
        """The factors, in the format's order."""
        return list(self._named().values())

    @property
    def settings(self) -> Key:
        """Format and ranks."""
        return (self.format.name, self.format.ranks)

    @property
    def ranks(self) -> tuple[int, ...]:
        """Ranks of the format, of each group."""
        return self.format.ranks

    def build(self) -> Tensor:
        """Build the kernel in the grouped layout."""
        return self.format.build(self._named())

    def chain_operations(self, positions_in: int, positions_out: int) -> int | None:
        """Multiply-adds of the chain of factors."""
        return self.format.operations(positions_in, positions_out)

    def chain(self, x: Tensor, output_size: Sequence[int] | None) -> Tensor:
        """Apply the factors one after the other."""
        return self.format.chain(x, self._named(), self.bias, output_size)

    def extra_repr(self) -> str:
        """Sizes, format and ranks, as `print` shows them."""
        ranks = ", ".join(str(rank) for rank in self.ranks)
        bias = "" if self.bias is not None else ", bias=False"
        return f"{self.geometry}, format={self.format.name!r}, rank=({ranks}){bias}"


class TensorLinear(LinearSignature, _Tensorized):
    """`torch.nn.Linear` whose matrix is in a tensor format.

    Parameters
    ----------
    in_features, out_features, bias, device, dtype
        As in `torch.nn.Linear`.
    format
        "cp", a product of two thin matrices; "tucker", with a matrix between them; or "separable", a sum of Kronecker
        products of two matrices whose sizes are as nearly square roots of the layer's as they can be.
    rank, energy, nonlinearity, path
        As in :class:`TensorConv2d`.

    Examples
    --------
    >>> layer = TensorLinear(256, 128, format="cp", rank=0.25)
    >>> sum(p.numel() for p in layer.parameters()), 256 * 128 + 128
    (8192, 32896)
    """

    dense_type = nn.Linear


class TensorConv1d(ConvSignature, _Tensorized):
    """`torch.nn.Conv1d` with its kernel in the format "tucker", "tucker-full" or "cp"; see :class:`TensorConv2d`."""

    axes, dense_type = 1, nn.Conv1d


class TensorConv2d(ConvSignature, _Tensorized):
    """`torch.nn.Conv2d` whose kernel is in a tensor format.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype
        As in `torch.nn.Conv2d`. With groups, each has factors of its own.
    format
        "tucker" (mixes of channels about a core, Tucker-2), "tucker-full" (all modes), "separable" (the kernel of each
        pair of channels a sum of products of one-way filters) or "cp".
    rank
        An int; an int for each mode that has one; a float, which is a fraction of the dense kernel's parameters (ranks
        are multiples of 16, or of 8, which processors work best with, if these use four fifths of it); or "full",
        which represents every kernel. 0.25 by default.
    energy
        In `from_dense`, instead of a rank: the share of the sum of squares of the kernel to keep.
    nonlinearity
        What follows the layer, as in `torch.nn.init.calculate_gain`: sets the variance at the start.
    path
        "chain", "kernel", or "auto": the faster of the two, measured once for a shape.

    Raises
    ------
    InvalidLayer
        If no rank of the format fits, or an option is unknown.

    Examples
    --------
    >>> import torch
    >>> layer = TensorConv2d(64, 64, 3, format="tucker", rank=0.25, padding=1)
    >>> layer(torch.zeros(1, 64, 8, 8)).shape, layer.ranks
    (torch.Size([1, 64, 8, 8]), (32, 16))
    >>> sum(p.numel() for p in layer.parameters()), 64 * 64 * 9 + 64
    (7744, 36928)
    """

    axes, dense_type = 2, nn.Conv2d


class TensorConv3d(ConvSignature, _Tensorized):
    """`torch.nn.Conv3d` with its kernel in a tensor format; see :class:`TensorConv2d`."""

    axes, dense_type = 3, nn.Conv3d


class TensorConvTranspose2d(ConvTransposeSignature, _Tensorized):
    """`torch.nn.ConvTranspose2d` with its kernel in a tensor format; see :class:`TensorConv2d`."""

    axes, dense_type = 2, nn.ConvTranspose2d
