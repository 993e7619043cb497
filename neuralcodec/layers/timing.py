"""Which of several ways to compute a layer is the fastest: measured once for a shape, and remembered."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

ROUNDS = 3
WORTH = 0.7  # where nothing can be measured, a chain is taken if it has fewer than this share of the multiply-adds
HOPELESS = 2.0  # a chain of more than this many times the multiply-adds is not even measured
_choices: dict[tuple[Any, ...], str] = {}


def eager() -> bool:
    """Whether operations run one by one, outside compilation, tracing, and function transforms."""
    if torch.compiler.is_compiling() or torch.jit.is_tracing():
        return False
    return torch._C._functorch.peek_interpreter_stack() is None


def possible(x: Tensor) -> bool:
    """Whether a run on this input can be timed."""
    if not eager() or x.is_meta or not x.numel() or type(x) not in (Tensor, torch.nn.Parameter):
        return False
    return not (x.is_cuda and torch.cuda.is_current_stream_capturing())


def fastest(
    key: tuple[Any, ...],
    jobs: Mapping[str, Callable[[Tensor], Tensor]],
    x: Tensor,
    parameters: Sequence[Tensor],
) -> str:
    """Name of the fastest job on inputs of this shape, forward and, where gradients are on, backward.

    Sizes count by powers of two, so that the last batch of an epoch is not measured anew.

    Parameters
    ----------
    key
        What else the speed depends on.
    jobs
        The ways to compute the layer; all give the same output.
    x
        The input; neither it nor the parameters are changed, and no gradient is left anywhere.
    parameters
        What the backward pass leads to.
    """
    sizes = tuple(size.bit_length() for size in x.shape)
    lies = (x.dtype, x.device, torch.is_grad_enabled() and x.requires_grad, torch.get_num_threads())
    known = (key, sizes, lies, torch.is_autocast_enabled(x.device.type))
    if known not in _choices:
        seconds = dict.fromkeys(jobs, float("inf"))
        for turn in range(1 + ROUNDS):
            for name, job in jobs.items():
                taken = _seconds(job, x, parameters)
                if turn:
                    seconds[name] = min(seconds[name], taken)
        _choices[known] = min(seconds, key=seconds.__getitem__)
    return _choices[known]


def _seconds(job: Callable[[Tensor], Tensor], x: Tensor, parameters: Sequence[Tensor]) -> float:
    # Of one thread the processor's own time counts, which other processes do not disturb.
    alone = x.device.type == "cpu" and torch.get_num_threads() == 1
    clock = time.thread_time if alone else time.perf_counter
    given = x.detach().requires_grad_(x.requires_grad and torch.is_grad_enabled())
    _wait(x)
    start = clock()
    y = job(given)
    if y.requires_grad:
        leaves = [leaf for leaf in (given, *parameters) if leaf.requires_grad]
        torch.autograd.grad(y, leaves, torch.ones_like(y), allow_unused=True)
    _wait(x)
    return clock() - start


def _wait(x: Tensor) -> None:
    if x.is_cuda:
        torch.cuda.synchronize(x.device)
