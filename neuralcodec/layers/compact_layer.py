"""What all compact layers share: a kernel that is a function of fewer parameters, built, folded, or never built."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor, nn

from neuralcodec.errors import InvalidLayer
from neuralcodec.layers import timing
from neuralcodec.layers.geometry import Geometry

Path = Literal["auto", "chain", "kernel"]
PATHS = ("auto", "chain", "kernel")
Key = tuple[Any, ...]


class CompactLayer(nn.Module):
    """A linear layer or convolution whose kernel is built from fewer parameters than it has entries.

    The forward pass is either the dense layer with the kernel built ("kernel"), or a chain of small operations that
    never builds it ("chain"), where the family has one. In evaluation the kernel is built once and kept until a
    parameter changes, unless gradients must reach the parameters.

    Attributes
    ----------
    geometry
        Sizes of the layer.
    path
        "kernel", "chain", or "auto": the faster of the two, measured at the first input of a shape.
    bias
        `(out_channels,)`, zero at the start, or None.
    """

    dense_type: ClassVar[Any]

    def set_up(self, geometry: Geometry, bias: bool, device: Any, dtype: Any, **options: Any) -> None:
        """Make the layer of this geometry, with the options of its family: what constructors call.

        The option `kernel`, in the grouped layout, is what to start from instead of a random one.
        """
        nn.Module.__init__(self)
        self.geometry = geometry
        self._folded: tuple[Key, list[Tensor], Tensor] | None = None
        kernel, path = options.pop("kernel", None), options.pop("path", "auto")
        self._place = {"device": device, "dtype": dtype}
        self.bias = nn.Parameter(torch.zeros(geometry.outputs, **self._place)) if bias else None
        self.shape(kernel, **options)
        self.path = path
        if kernel is None:
            self.reset_parameters()
        else:
            self.decompose(kernel)

    def _parameter(self, name: str, *sizes: int) -> None:
        self.register_parameter(name, nn.Parameter(torch.empty(sizes, **self._place)))

    @abstractmethod
    def shape(self, *kernel: Any, **options: Any) -> None:
        """Register the parameters, unset; the kernel that they will stand for may tell how many are needed."""

    @abstractmethod
    def reset_parameters(self) -> None:
        """Draw all parameters anew: the built kernel has the variance gain^2 / fan-in, the bias is zero."""

    @abstractmethod
    def decompose(self, kernel: Tensor) -> None:
        """Set the parameters to those whose kernel comes near to this one, in the grouped layout."""

    @abstractmethod
    def factors(self) -> list[Tensor]:
        """The tensors that the kernel is built from."""

    @abstractmethod
    def build(self) -> Tensor:
        """Build the kernel in the grouped layout, differentiable in the parameters."""

    @property
    @abstractmethod
    def settings(self) -> Key:
        """What, beside the geometry, the layer's speed depends on."""

    def chain(self, x: Tensor, output_size: Sequence[int] | None) -> Tensor:
        """Apply the layer to an input with a batch axis, without its kernel."""
        raise NotImplementedError  # pragma: no cover: layers without a chain say so in `chain_operations`

    def chain_operations(self, positions_in: int, positions_out: int) -> int | None:
        """Multiply-adds of the chain for these numbers of positions; None where there is no chain."""
        return None

    @property
    def path(self) -> Path:
        """How the layer is computed: "auto", "chain" or "kernel"."""
        return self._path

    @path.setter
    def path(self, path: Path) -> None:
        if path not in PATHS:
            raise InvalidLayer(f"path={path!r}: it must be one of {', '.join(PATHS)}")
        if path == "chain" and self.chain_operations(1, 1) is None:
            raise InvalidLayer(f"path='chain': this {type(self).__name__} has no chain of small operations")
        self._path = path

    @property
    def weight(self) -> Tensor:
        """The kernel in the layout of torch's own layer, built anew and differentiable in the parameters."""
        return self.geometry.to_torch(self.build())

    @classmethod
    def from_dense(cls, layer: nn.Module, *, trained: bool = True, **options: Any) -> Self:
        """Return a compact layer in the place of one of torch's own, with its sizes, dtype, device and mode.

        Parameters
        ----------
        layer
            `nn.Conv2d` for a compact 2-D convolution, and so on.
        trained
            Start from its kernel and bias: the nearest that the format finds. Otherwise start anew.
        **options
            The options of the compact layer (`n`, `format`, `rank`, ...).

        Raises
        ------
        InvalidLayer
            If the layer is of another kind, or the options do not fit its sizes.
        """
        if type(layer) is not cls.dense_type:
            raise InvalidLayer(
                f"{cls.__name__} takes the place of {cls.dense_type.__name__}, not of {type(layer).__name__}"
            )
        weight, geometry = layer.weight, Geometry.of(layer)
        kernel = geometry.from_torch(weight.detach()) if trained else None
        made = cls.__new__(cls)
        made.set_up(geometry, layer.bias is not None, weight.device, weight.dtype, kernel=kernel, **options)
        if trained and made.bias is not None:
            with torch.no_grad():
                made.bias.copy_(layer.bias)
        made.requires_grad_(weight.requires_grad).train(layer.training)
        return made

    def to_dense(self) -> nn.Module:
        """torch's own layer with the same kernel, bias and mode, apart from this one."""
        with torch.no_grad():
            layer = self.geometry.dense(self.weight, self.bias)
        trainable = any(p.requires_grad for p in self.parameters())
        return layer.requires_grad_(trainable).train(self.training)

    def forward(self, x: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """Apply the layer.

        Parameters
        ----------
        x
            `(batch, in_channels, *sizes)`, `(in_channels, *sizes)`, or `(..., in_features)`.
        output_size
            Sizes wanted of a transposed convolution with a stride.

        Raises
        ------
        InvalidLayer
            If the input has other channels or dimensions, or cannot give this size.
        """
        self.geometry.check_input(x)
        if output_size is not None and not self.geometry.transposed:
            raise InvalidLayer("output_size is for transposed convolutions")
        if self._chooses_chain(x):
            return self._along_chain(x, output_size)
        return self._with_kernel(x, output_size)

    def _with_kernel(self, x: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        return self.geometry.apply(x, self._kept_weight(), self.bias, output_size)

    def _along_chain(self, x: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        if not self.geometry.axes or x.dim() == self.geometry.axes + 2:
            return self.chain(x, output_size)
        return self.chain(x.unsqueeze(0), output_size).squeeze(0)

    def _chooses_chain(self, x: Tensor) -> bool:
        if self.path != "auto":
            return self.path == "chain"
        sizes = x.shape[-self.geometry.axes :] if self.geometry.axes else ()
        into = 1
        for size in sizes:
            into = into * size
        out = self.geometry.positions(sizes)
        steps = self.chain_operations(into, out)
        if steps is None:
            return False
        _, _, inputs, *taps = self.geometry.grouped
        dense = inputs * self.geometry.outputs * (into if self.geometry.transposed else out)
        for size in taps:
            dense = dense * size
        if not timing.possible(x):
            return bool(steps < timing.WORTH * dense)
        if steps > timing.HOPELESS * dense:
            return False
        key = (type(self), self.geometry, self.settings, self._gradients_reach_parameters())
        jobs: dict[str, Callable[[Tensor], Tensor]] = {
            "chain": self._along_chain,
            "kernel": self._with_kernel,
        }
        return timing.fastest(key, jobs, x, list(self.parameters())) == "chain"

    def _gradients_reach_parameters(self) -> bool:
        return torch.is_grad_enabled() and any(p.requires_grad for p in self.factors())

    def _kept_weight(self) -> Tensor:
        """The kernel: built anew in training, kept in evaluation while the parameters stay what they are."""
        if self.training or self._gradients_reach_parameters() or not timing.eager():
            return self.weight
        factors = self.factors()
        if any(factor.is_meta or factor.is_inference() for factor in factors):
            return self.weight
        key = tuple((f.data_ptr(), f._version, f.dtype, f.device, f.shape) for f in factors)
        if self._folded is not None:
            known, copies, weight = self._folded
            if known == key and all(map(torch.equal, factors, copies)):
                return weight
        # Copies tell writes through `.data`, which count no version; elsewhere than on a CPU comparing would wait.
        copied = [f.detach().clone() if f.device.type == "cpu" else f.detach() for f in factors]
        kind = factors[0].device.type
        with torch.inference_mode(False), torch.no_grad(), torch.autocast(kind, enabled=False):
            weight = self.weight.contiguous()
        self._folded = (key, copied, weight)
        return weight

    def train(self, mode: bool = True) -> Self:
        """Set the mode; the kept kernel goes."""
        self._folded = None
        super().train(mode)
        return self

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        def converted(t: Tensor) -> Tensor:
            try:
                return fn(t)
            except RuntimeError:  # `channels_last` is for images, and asked of all that has five axes too
                if t.dim() != 5:
                    raise
                return fn(t.flatten()).view(t.shape)

        self._folded = None
        super()._apply(converted, recurse)
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_folded": None}
