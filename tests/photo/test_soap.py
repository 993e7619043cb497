"""SOAP descends faster than Adam where gradients are correlated, and its state is all it needs to go on."""

import pytest

torch = pytest.importorskip("torch")

from neuralcodec.photo.soap import Soap  # noqa: E402

SHAPE = (12, 8)


def skewed(seed: int) -> tuple["torch.Tensor", "torch.Tensor"]:
    """Rotations with stretches of 1 to 100 of both sides of a matrix."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for side in SHAPE:
        turn = torch.linalg.qr(torch.randn(side, side, generator=generator))[0]
        found.append(turn * torch.logspace(0, 2, side) ** 0.5)
    return found[0], found[1]


def descend(make: type["torch.optim.Optimizer"], steps: int, seed: int = 0) -> float:
    """Return how far from its least a quadratic is after some steps, whose size falls to 0."""
    left, right = skewed(seed)
    target = torch.randn(*SHAPE, generator=torch.Generator().manual_seed(seed + 1))
    weight = torch.nn.Parameter(torch.zeros(*SHAPE))
    optimiser = make([weight], lr=0.05)
    loss = torch.zeros(())
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = 0.05 * (1 - step / steps)
        loss = (left.T @ (weight - target) @ right).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return float(loss.detach())


@pytest.mark.parametrize("seed", [0, 5])
def test_it_gets_further_than_adam(seed: int) -> None:
    assert descend(Soap, 200, seed) < descend(torch.optim.Adam, 200, seed) / 3


def test_vectors_take_steps_of_adam() -> None:
    ours, theirs = (torch.nn.Parameter(torch.ones(5)) for _ in range(2))
    pairs = [
        (ours, Soap([ours], lr=0.01)),
        (theirs, torch.optim.Adam([theirs], lr=0.01, betas=(0.9, 0.99))),
    ]
    for parameter, optimiser in pairs:
        for step in range(20):
            optimiser.zero_grad()
            (parameter * torch.arange(1.0, 6.0) - step).square().sum().backward()
            optimiser.step()
    assert torch.allclose(ours, theirs, atol=1e-5)


def test_a_run_goes_on_from_its_state() -> None:
    def run(weight: "torch.nn.Parameter", optimiser: Soap, steps: range) -> None:
        for step in steps:
            optimiser.zero_grad()
            (weight - torch.linspace(-1, 1, 6).view(2, 3) * step).square().sum().backward()
            optimiser.step()

    whole = torch.nn.Parameter(torch.zeros(2, 3))
    run(whole, Soap([whole], lr=0.1), range(40))
    first = torch.nn.Parameter(torch.zeros(2, 3))
    before = Soap([first], lr=0.1)
    run(first, before, range(17))
    second = torch.nn.Parameter(first.detach().clone())
    after = Soap([second], lr=0.1)
    after.load_state_dict(before.state_dict())
    run(second, after, range(17, 40))
    assert torch.equal(whole, second)
