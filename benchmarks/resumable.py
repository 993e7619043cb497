"""Training that goes on where it was interrupted: the state of a run is on the disk after each epoch."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

RUNS = Path(__file__).resolve().parent.parent / "runs"


class Resumable:
    """A model, its optimiser, its random numbers and what is known of its epochs, in a file under `runs/`."""

    def __init__(
        self, path: Path, model: nn.Module, optimiser: torch.optim.Optimizer, seed: int, epochs: int
    ) -> None:
        self.path = path
        self.model, self.optimiser = model, optimiser
        self.generator = torch.Generator().manual_seed(seed)
        self.epochs: list[dict[str, Any]] = []
        self.wanted = epochs
        if path.exists():
            state = torch.load(path, weights_only=True)
            model.load_state_dict(state["model"])
            optimiser.load_state_dict(state["optimiser"])
            self.generator.set_state(state["generator"])
            self.epochs = state["epochs"]

    @property
    def done(self) -> bool:
        """Whether all epochs are behind it."""
        return len(self.epochs) >= self.wanted

    def save(self) -> None:
        """Write the state, all of it or nothing."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        state = {"model": self.model.state_dict(), "optimiser": self.optimiser.state_dict()}
        state |= {"generator": self.generator.get_state(), "epochs": self.epochs}
        half = self.path.with_suffix(".half")
        torch.save(state, half)
        half.replace(self.path)

    def set_rate(self, rate: float) -> None:
        """Learning rate of all parameters."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate

    def share_done(self, batch: int, batches: int) -> float:
        """How much of the training lies behind this batch of the present epoch."""
        return (len(self.epochs) + batch / batches) / self.wanted


def one_cycle(share: float, highest: float) -> float:
    """A learning rate that rises over the first fifth of the training, and falls to nothing."""
    return highest * (share / 0.2 if share < 0.2 else (1 - share) / 0.8)
