"""SOAP: Adam in the eigenbasis of Shampoo's preconditioners (Vyas et al., arXiv:2409.11321), for small matrices."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer

LEAST = 1e-8


class Soap(Optimizer):
    """Takes Adam's steps in a basis in which gradients are nearly uncorrelated.

    For a matrix W with gradients G, the rotations Q_L and Q_R are eigenvectors of running means of `G G^T` and
    `G^T G` (Algorithm 3); Adam works on `Q_L^T G Q_R`, and its step is rotated back. Parameters of one dimension take
    plain steps of Adam.

    Parameters
    ----------
    parameters
        Of one or two dimensions.
    lr
        Step size.
    betas
        Decay of the means of gradients and of their squares.
    decay
        Of the means of `G G^T` and `G^T G`.
    every
        Steps after which the rotations are brought up to date, by one step of the power method and a QR decomposition.

    Examples
    --------
    >>> w = torch.nn.Parameter(torch.ones(2, 3))
    >>> optimiser = Soap([w], lr=0.1)
    >>> for _ in range(100):
    ...     loss = (w @ torch.tensor([1.0, 10.0, 100.0])).square().sum()
    ...     optimiser.zero_grad()
    ...     loss.backward()
    ...     _ = optimiser.step()
    >>> bool(loss < 100)
    True
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.99),
        decay: float = 0.95,
        every: int = 10,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "betas": betas, "decay": decay, "every": every})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Take a step."""
        loss = None if closure is None else closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    _take_step(parameter, self.state[parameter], group)
        return loss


def _take_step(parameter: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
    gradient, rotated = parameter.grad, parameter.dim() == 2
    assert gradient is not None
    if not state:
        state |= {"step": 0, "mean": torch.zeros_like(parameter), "square": torch.zeros_like(parameter)}
        if rotated:
            state["left"], state["right"] = gradient @ gradient.T, gradient.T @ gradient
            state["to_left"], state["to_right"] = (
                torch.linalg.eigh(state[one])[1] for one in ("left", "right")
            )
    state["step"] += 1
    count, (first, second) = state["step"], group["betas"]
    state["mean"].lerp_(gradient, 1 - first)
    seen, mean = gradient, state["mean"]
    if rotated:
        seen, mean = (state["to_left"].T @ one @ state["to_right"] for one in (seen, mean))
    state["square"].lerp_(seen.square(), 1 - second)
    root = (state["square"] / (1 - second**count)).sqrt() + LEAST
    step = mean / (1 - first**count) / root
    if rotated:
        step = state["to_left"] @ step @ state["to_right"].T
        state["left"].lerp_(gradient @ gradient.T, 1 - group["decay"])
        state["right"].lerp_(gradient.T @ gradient, 1 - group["decay"])
        if count % group["every"] == 0:
            _rotate(state, "left", 0)
            _rotate(state, "right", 1)
    parameter.add_(step, alpha=-group["lr"])


def _rotate(state: dict[str, Any], side: str, dimension: int) -> None:
    """Bring a rotation up to date: its columns by falling eigenvalues, then one step of the power method."""
    matrix, basis = state[side], state[f"to_{side}"]
    order = ((matrix @ basis) * basis).sum(0).argsort(descending=True)
    state["square"] = state["square"].index_select(dimension, order)
    state[f"to_{side}"] = torch.linalg.qr(matrix @ basis[:, order])[0]
