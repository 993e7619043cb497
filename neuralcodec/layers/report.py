"""What replacing layers came to: parameters, bytes and FLOPs, before and after."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from neuralcodec.factors import kernels_of

SQNR_DB = 35.0
SMALL_BITS = 16  # of the values of tensors with one dimension, which are few and sensitive


@dataclass(frozen=True)
class Size:
    """Sizes of a module.

    Attributes
    ----------
    parameters
        Number of parameters, each counted once.
    bytes
        Of all parameters and buffers as they lie in memory.
    coded_bytes
        What a coder of single values makes of them at 35 dB, in bytes: the order-0 entropy of each tensor of two or
        more dimensions, quantised uniformly at a signal-to-noise ratio of 35 dB of them, or of the kernels that they
        build, and 16 bits for each other value. An expectation: the codec's context models do better, its headers
        cost something.
    flops
        Of a forward pass in evaluation on the example, a multiply-add being two; None without an example.
    """

    parameters: int
    bytes: int
    coded_bytes: int
    flops: int | None


@dataclass(frozen=True)
class Change:
    """What became of a layer.

    Attributes
    ----------
    name
        Its name in the module.
    before, after
        The layers as `repr` shows them; `after` is None if it stayed.
    parameters
        Their numbers of parameters, before and after.
    reason
        Why it stayed, if it did.
    """

    name: str
    before: str
    after: str | None
    parameters: tuple[int, int]
    reason: str | None

    @classmethod
    def of(cls, name: str, layer: nn.Module, made: nn.Module | None, reason: str | None) -> "Change":
        """The change from one layer to another."""
        count = _count(layer)
        after = None if made is None else repr(made)
        return cls(name, repr(layer), after, (count, count if made is None else _count(made)), reason)


@dataclass(frozen=True)
class Report:
    """What :func:`~neuralcodec.layers.compact` did.

    Attributes
    ----------
    before, after
        Sizes of the whole module.
    changes
        Layer by layer, those that stayed with the reason.
    """

    before: Size
    after: Size
    changes: tuple[Change, ...]

    def __str__(self) -> str:
        lines = []
        for change in self.changes:
            was, now = change.parameters
            what = f"{change.before} stays: {change.reason}" if change.after is None else change.after
            lines.append(f"{change.name}: {was:,} -> {now:,} parameters, {what}")
        for name in ("parameters", "bytes", "coded_bytes", "flops"):
            was, now = getattr(self.before, name), getattr(self.after, name)
            if was is not None:
                share = f" ({now / was:.3f})" if was else ""
                lines.append(f"{name.replace('_', ' ')}: {was:,} -> {now:,}{share}")
        return "\n".join(lines)


def measured(module: nn.Module, example: Any = None) -> Size:
    """Sizes of a module as it is, and its FLOPs on an example."""
    parameters, state = list(module.parameters()), module.state_dict()
    stored = sum(value.numel() * value.element_size() for value in state.values())
    flops = None if example is None else _flops(module, example)
    return Size(sum(p.numel() for p in parameters), stored, _coded_bytes(state), flops)


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _flops(module: nn.Module, example: Any) -> int:
    inputs = example if isinstance(example, tuple) else (example,)
    modes = {child: child.training for child in module.modules()}
    module.eval()
    try:
        with torch.no_grad():
            module(*inputs)  # kernels are built, and paths measured, once
            with FlopCounterMode(display=False) as counter:
                module(*inputs)
    finally:
        for child, training in modes.items():
            child.training = training
    return int(counter.get_total_flops())


def _coded_bytes(state: Mapping[str, Tensor]) -> int:
    """See :class:`Size`; errors of factors weigh what they do to the kernels, as in the codec of weights."""
    values = {name: value.detach().double().cpu() for name, value in state.items() if _is_matrix(value)}
    small = sum(value.numel() for value in state.values() if not _is_matrix(value))
    energy = {name: float(value.square().sum()) for name, value in values.items()}
    weights = dict.fromkeys(values, 1.0)
    for kernel in kernels_of({name: value.shape for name, value in values.items()}):
        factors = [values[name].numpy() for name in kernel.factors]
        weights |= zip(kernel.factors, kernel.sensitivities(factors), strict=True)
        energy |= dict.fromkeys(kernel.factors, 0.0)
        energy[kernel.factors[0]] = float(np.square(kernel.build(factors)).sum())
    count = sum(value.numel() for value in values.values())
    step = (12 * sum(energy.values()) / max(count, 1) / 10 ** (SQNR_DB / 10)) ** 0.5
    bits = float(SMALL_BITS * small)
    for name, value in values.items():
        if value.numel() and step and weights[name]:
            _, counts = torch.round(value * (weights[name] ** 0.5 / step)).unique(return_counts=True)
            bits -= float((counts * torch.log2(counts / value.numel())).sum())
    return round(bits / 8)


def _is_matrix(value: Tensor) -> bool:
    return bool(value.is_floating_point()) and value.dim() > 1
