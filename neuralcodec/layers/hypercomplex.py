"""Parameterised hypercomplex layers: kernels that are sums of Kronecker products, with about 1/n of the parameters.

Zhang et al., "Beyond fully-connected layers with quaternions" (ICLR 2021, arXiv:2102.08597); Grassucci, Zhang and
Comminiello, "PHNNs: lightweight neural networks via parameterized hypercomplex convolutions" (arXiv:2110.04176).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from neuralcodec.errors import InvalidLayer
from neuralcodec.layers import decomposition
from neuralcodec.layers.algebra import check_divides, dimension, random_structure, structure
from neuralcodec.layers.compact_layer import CompactLayer, Key
from neuralcodec.layers.initialisation import rescale, standard_deviation
from neuralcodec.layers.signatures import ConvSignature, ConvTransposeSignature, LinearSignature


class _Hypercomplex(CompactLayer):
    """Kernel `sum_i A[i] (x) F[i]`; the algebra A is learned, fixed, or a sum of R products (learned).

    The state dict holds `filters`, `(banks, out_channels/n, in_channels/groups/n, *kernel)`; a learned `algebra`,
    `(n, n, n)`; or of a rank-R algebra `algebra_out` and `algebra_in`, `(n, R)` each, and, if R > n, `algebra_mix`,
    `(n, R)`, with which `A[i, a, b] = sum_r mix[i, r] out[a, r] in[b, r]`. With R <= n the filters are R banks, one
    for each product.
    """

    def shape(
        self,
        kernel: Tensor | None,
        n: int | None = None,
        algebra: str = "learned",
        algebra_rank: int | None = None,
        nonlinearity: str = "linear",
    ) -> None:
        """Register algebra and filters."""
        geometry, rank = self.geometry, algebra_rank
        self.n = size = dimension(algebra, n)
        self.algebra_kind, self.algebra_rank, self.nonlinearity = algebra, rank, nonlinearity
        check_divides(size, geometry.inputs, geometry.outputs, geometry.groups)
        standard_deviation(geometry, nonlinearity)
        if rank is not None and (algebra != "learned" or rank < 1):
            raise InvalidLayer(f"algebra_rank={rank}: a rank is 1 or more, of a learned algebra")
        if rank is not None:
            self._parameter("algebra_out", size, rank)
            self._parameter("algebra_in", size, rank)
            if rank > size:
                self._parameter("algebra_mix", size, rank)
        elif algebra == "learned":
            self._parameter("algebra", size, size, size)
        else:
            self.register_buffer("algebra", torch.empty(size, size, size, **self._place), persistent=False)
        inputs = geometry.inputs // geometry.groups // size
        banks = size if rank is None else min(size, rank)
        self._parameter("filters", banks, geometry.outputs // size, inputs, *geometry.kernel)

    def reset_parameters(self) -> None:
        """Draw all parameters anew: the built kernel gets the variance gain^2 / fan-in; the bias is zero."""
        std = standard_deviation(self.geometry, self.nonlinearity)
        with torch.no_grad():
            if self.bias is not None:
                self.bias.zero_()
            self.filters.normal_(0, std)
            if self.algebra_rank is not None:
                factors = self._algebra_factors()
                for factor in factors:
                    factor.normal_()
                # Every row of a factor has norm 1: no component of the input or output is louder than another.
                for factor in factors[:2]:
                    factor.div_(factor.norm(dim=1, keepdim=True))
                if not self.filters.is_meta:
                    rescale([self.filters], self.build, std**2)
            elif self.algebra_kind == "learned":
                self.algebra.copy_(random_structure(self.n))
            else:
                self.algebra.copy_(structure(self.algebra_kind))

    def _algebra_factors(self) -> list[Tensor]:
        names = ("algebra_out", "algebra_in", "algebra_mix")
        return [self._parameters[name] for name in names if name in self._parameters]

    def factors(self) -> list[Tensor]:
        """Algebra and filters."""
        algebra = [self.algebra] if self.algebra_rank is None else self._algebra_factors()
        return [*algebra, self.filters]

    @property
    def settings(self) -> Key:
        """n and the rank of the algebra."""
        return (self.n, self.algebra_rank)

    def structure(self) -> Tensor:
        """What multiplies each bank of filters: `(banks, n, n)`, differentiable; the algebra itself, where R > n."""
        if self.algebra_rank is None:
            return self.algebra
        products = torch.einsum("ar,br->rab", self.algebra_out, self.algebra_in)
        if self.algebra_rank <= self.n:
            return products
        return torch.einsum("ir,rab->iab", self.algebra_mix, products)

    def build(self) -> Tensor:
        """Build the kernel by one matrix product: `(n^2, banks) @ (banks, rest)`."""
        n, groups = self.n, self.geometry.groups
        _, outputs, inputs, *taps = self.filters.shape
        blocks = self.structure().flatten(1).T @ self.filters.flatten(1)
        # (a, b, group, output, input, taps) -> (group, a, output, b, input, taps)
        split = blocks.view(n, n, groups, outputs // groups, inputs, -1).permute(2, 0, 3, 1, 4, 5)
        return split.reshape(groups, n * outputs // groups, n * inputs, *taps)

    def decompose(self, kernel: Tensor) -> None:
        """Set the parameters to those whose kernel is nearest to this one, in the least squares sense.

        A learned algebra and its filters are the nearest sum of n Kronecker products (Van Loan and Pitsianis, 1993);
        the filters of a fixed algebra are a projection; a rank-R algebra comes from `tensorly`'s CP decomposition.

        Parameters
        ----------
        kernel
            In the grouped layout.
        """
        n, groups = self.n, self.geometry.groups
        outputs, inputs = kernel.shape[1:3]
        split = kernel.detach().reshape(groups, n, outputs // n, n, inputs // n, -1)
        blocks = split.permute(1, 3, 0, 2, 4, 5).reshape(n, n, -1)
        found = decomposition.hypercomplex(blocks, self.algebra_kind, self.algebra_rank)
        with torch.no_grad():
            for name, value in found.items():
                own = getattr(self, name)
                own.copy_(torch.from_numpy(value).reshape(own.shape))

    def chain_operations(self, positions_in: int, positions_out: int) -> int | None:
        """Multiply-adds: mix n components to R, R small layers, mix R to n; there is none without a rank."""
        if self.algebra_rank is None:
            return None
        rank, geometry = self.algebra_rank, self.geometry
        each: int = rank * self.filters[0].numel() * (positions_in if geometry.transposed else positions_out)
        return each + rank * (geometry.inputs * positions_in + geometry.outputs * positions_out)

    def chain(self, x: Tensor, output_size: Sequence[int] | None) -> Tensor:
        """Apply the R terms of a rank-R algebra one beside the other: R/n^2 of the dense layer's multiply-adds."""
        n, rank, geometry = self.n, int(self.algebra_rank or 0), self.geometry
        groups = geometry.groups
        filters = self.filters if rank <= n else torch.einsum("ir,i...->r...", self.algebra_mix, self.filters)
        _, outputs, inputs, *taps = filters.shape
        # the batch of a linear layer may have any number of axes; sizes come last in convolutions
        lead, sizes = (x.shape[:-1], x.shape[:0]) if not geometry.axes else (x.shape[:1], x.shape[2:])
        parts = x.reshape(-1, groups, n, inputs * sizes.numel())
        mixed = self.algebra_in.T @ parts
        if not geometry.axes:
            each = torch.einsum("zrq,rpq->zrp", mixed[:, 0], filters)
            y = (self.algebra_out @ each).reshape(*lead, geometry.outputs)
            return y if self.bias is None else y + self.bias
        mixed = mixed.reshape(*lead, groups * rank * inputs, *sizes)
        kernels = filters.reshape(rank, groups, outputs // groups, inputs, *taps).transpose(0, 1)
        if geometry.transposed:
            kernels = kernels.transpose(2, 3)
        within = geometry.with_channels(groups * rank * inputs, rank * outputs, groups * rank)
        each = within.apply(mixed, kernels.reshape(within.weight_shape), None, output_size)
        after = each.shape[2:]
        joined = self.algebra_out @ each.reshape(-1, groups, rank, outputs // groups * after.numel())
        y = joined.reshape(*lead, geometry.outputs, *after)
        return y if self.bias is None else y + self.bias.view(-1, *(1,) * geometry.axes)

    def extra_repr(self) -> str:
        """Sizes and algebra, as `print` shows them."""
        rank = "" if self.algebra_rank is None else f", algebra_rank={self.algebra_rank}"
        bias = "" if self.bias is not None else ", bias=False"
        return f"{self.geometry}, n={self.n}, algebra={self.algebra_kind!r}{rank}{bias}"


class PHLinear(LinearSignature, _Hypercomplex):
    """Parameterised hypercomplex `torch.nn.Linear`.

    Parameters
    ----------
    in_features, out_features, bias, device, dtype
        As in `torch.nn.Linear`.
    n
        Number of components; it must divide both numbers of features. 4 by default; of a fixed algebra, its own.
    algebra
        "learned", or "real" (n=1), "complex" (n=2) or "quaternion" (n=4, the Hamilton product), which are fixed.
    algebra_rank
        Let the learned algebra be a sum of this many products; then R/n^2 of the multiply-adds suffice.
    nonlinearity
        What follows the layer, as in `torch.nn.init.calculate_gain`: sets the variance at the start.
    path
        "auto", "chain" or "kernel" (see `CompactLayer`).

    Raises
    ------
    InvalidLayer
        If `n` does not divide both numbers of features, or an option is unknown.

    Examples
    --------
    >>> import torch
    >>> layer = PHLinear(64, 32, n=4)
    >>> layer(torch.zeros(5, 64)).shape
    torch.Size([5, 32])
    >>> sum(p.numel() for p in layer.parameters()), 64 * 32 + 32
    (608, 2080)
    """

    dense_type = nn.Linear


class PHConv1d(ConvSignature, _Hypercomplex):
    """Parameterised hypercomplex `torch.nn.Conv1d`; parameters as in :class:`PHConv2d`."""

    axes, dense_type = 1, nn.Conv1d


class PHConv2d(ConvSignature, _Hypercomplex):
    """Parameterised hypercomplex `torch.nn.Conv2d`.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype
        As in `torch.nn.Conv2d`. With groups, every group is a hypercomplex layer; they share the algebra.
    n, algebra, algebra_rank, nonlinearity, path
        As in :class:`PHLinear`; `n` must divide the channels of each group.

    Raises
    ------
    InvalidLayer
        If `n` or `groups` does not divide the channels, or an option is unknown.

    Examples
    --------
    >>> import torch
    >>> layer = PHConv2d(192, 192, 3, n=4, padding=1)
    >>> layer(torch.zeros(1, 192, 8, 8)).shape
    torch.Size([1, 192, 8, 8])
    >>> sum(p.numel() for p in layer.parameters())
    83200
    """

    axes, dense_type = 2, nn.Conv2d


class PHConv3d(ConvSignature, _Hypercomplex):
    """Parameterised hypercomplex `torch.nn.Conv3d`; parameters as in :class:`PHConv2d`."""

    axes, dense_type = 3, nn.Conv3d


class PHConvTranspose1d(ConvTransposeSignature, _Hypercomplex):
    """Parameterised hypercomplex `torch.nn.ConvTranspose1d`; parameters as in :class:`PHConvTranspose2d`."""

    axes, dense_type = 1, nn.ConvTranspose1d


class PHConvTranspose2d(ConvTransposeSignature, _Hypercomplex):
    """Parameterised hypercomplex `torch.nn.ConvTranspose2d`.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, stride, padding, output_padding, groups, bias, dilation, padding_mode, device, dtype
        As in `torch.nn.ConvTranspose2d`.
    n, algebra, algebra_rank, nonlinearity, path
        As in :class:`PHConv2d`. The variance at the start counts the inputs that meet in an output, which is what a
        stride leaves of the kernel's taps.

    Examples
    --------
    >>> import torch
    >>> PHConvTranspose2d(8, 4, 4, stride=2, padding=1, n=2)(torch.zeros(1, 8, 5, 5)).shape
    torch.Size([1, 4, 10, 10])
    """  # noqa: E501

    axes, dense_type = 2, nn.ConvTranspose2d


class PHConvTranspose3d(ConvTransposeSignature, _Hypercomplex):
    """Parameterised hypercomplex `torch.nn.ConvTranspose3d`; parameters as in :class:`PHConvTranspose2d`."""

    axes, dense_type = 3, nn.ConvTranspose3d
