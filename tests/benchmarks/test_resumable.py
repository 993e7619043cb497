"""A training that was interrupted ends as one that was not."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="trainings need torch: pip install 'neuralcodec[torch]'")

from torch import nn

SOURCE = Path(__file__).parents[2] / "benchmarks" / "resumable.py"
spec = importlib.util.spec_from_file_location("resumable", SOURCE)
assert spec is not None
assert spec.loader is not None
resumable: Any = importlib.util.module_from_spec(spec)
spec.loader.exec_module(resumable)


def train(path: Path, epochs: int) -> Any:
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    run = resumable.Resumable(path, model, torch.optim.Adam(model.parameters(), 0.1), 1, 4)
    for _ in range(epochs):
        run.set_rate(resumable.one_cycle(run.share_done(0, 1), 0.1))
        x = torch.randn(8, 3, generator=run.generator)
        loss = model(x).square().mean()
        run.optimiser.zero_grad()
        loss.backward()
        run.optimiser.step()
        run.epochs.append({"loss": float(loss.detach())})
        run.save()
    return run


def test_an_interrupted_training_ends_as_one_that_was_not(tmp_path: Path) -> None:
    whole = train(tmp_path / "whole.pt", 4)
    train(tmp_path / "parts.pt", 1)
    train(tmp_path / "parts.pt", 2)
    parts = train(tmp_path / "parts.pt", 1)
    assert whole.done
    assert parts.done
    assert parts.epochs == whole.epochs
    assert torch.equal(parts.model.weight, whole.model.weight)
    assert not list(tmp_path.glob("*.half"))


def test_the_cycle_rises_and_falls() -> None:
    rates = [resumable.one_cycle(share / 10, 1.0) for share in range(11)]
    assert rates[0] == rates[-1] == 0
    assert max(rates) == rates[2] == 1
