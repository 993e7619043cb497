"""The network in torch, which learns and encodes, computes what the decoder does."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="encoding and learning need torch")

from tiny_models import LAYOUTS, tiny_model

from neuralcodec.recombiner.finishing import load_weights, network_of, weights_of
from neuralcodec.recombiner.layout import Layout
from neuralcodec.recombiner.model import Representation
from neuralcodec.recombiner.network import Network, cut, stitch
from neuralcodec.recombiner.posterior import Target, errors
from neuralcodec.recombiner.synthesis import cut as cut_in_numpy
from neuralcodec.recombiner.synthesis import encodings, network_weights, synthesise, upsample


@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("f", [2, 4, 6])
def test_upsampling_is_that_of_torch(d: int, f: int) -> None:
    stage = (torch.nn.ConvTranspose1d, torch.nn.ConvTranspose2d, torch.nn.ConvTranspose3d)[d - 1](
        5, 3, 2 * f, f, f // 2
    )
    x = torch.randn(2, 5, *(4, 3, 2)[:d], generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = stage(x).movedim(1, -1).numpy()
    found = upsample(
        x.movedim(1, -1).contiguous().numpy(),
        stage.weight.detach().reshape(5, -1).numpy(),
        stage.bias.detach().numpy(),
        f,
    )
    np.testing.assert_allclose(found, expected, atol=1e-5)


def random_latents(layout: Layout, counts: tuple[int, ...], signals: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    return [
        torch.randn(signals * units, layout.unit_latents(level), generator=generator)
        for level, units in enumerate(layout.unit_counts(counts))
    ]


def counts_of(layout: Layout) -> tuple[int, ...]:
    return (1,) * layout.dimensions if layout.whole else (3, 2, 1)[: layout.dimensions]


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_decoder_and_network_agree(name: str) -> None:
    model, layout = tiny_model(name), LAYOUTS[name]
    network, counts = network_of(model), counts_of(layout)
    latents = random_latents(layout, counts, 2)
    n = layout.weight_latents
    target = Target.of(torch.zeros(2 * int(np.prod(counts)), layout.points, layout.channels), counts, layout)
    own = network.encodings(latents[0][:, n:], counts)
    weights = network.weights([latents[0][:, :n], *latents[1:]], target.units)
    arrays = [x.numpy() for x in latents]
    np.testing.assert_allclose(own, encodings(model, arrays[0][:, n:], counts), atol=1e-4)
    np.testing.assert_allclose(
        weights, network_weights(model, [arrays[0][:, :n], *arrays[1:]], counts), atol=1e-4
    )
    samples = synthesise(model, arrays, counts).astype(np.float64)
    patches = cut_in_numpy(samples, counts, layout)
    scaled = torch.from_numpy(((patches - model.low) / (model.high - model.low)).astype(np.float32))
    inside = (samples > np.iinfo(model.dtype).min) & (samples < np.iinfo(model.dtype).max)
    exact = errors(network, latents, Target.of(scaled, counts, layout))
    if inside.all():  # what rounding leaves, and no more
        assert float(exact.max()) < (1 / (model.high - model.low)) ** 2


def test_stitch_and_cut_are_inverse() -> None:
    x = (
        torch.arange(2 * 3 * 4 * 2 * 5 * 3).reshape(2, 3, 4, 2, 5, 3).float()
    )  # signals, counts, channels, grid
    whole = stitch(x, 2)
    assert whole.shape == (2, 2, 15, 12)
    back = cut(whole, (3, 4), (5, 3)).reshape(2, 3, 4, 5, 3, 2)
    assert torch.equal(back.movedim(-1, 3), x)


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_weights_go_to_a_model_and_back(name: str) -> None:
    layout = LAYOUTS[name]
    torch.manual_seed(0)
    first, second = Network(layout), Network(layout)
    load_weights(second, weights_of(first))
    for (key, a), (_, b) in zip(first.named_parameters(), second.named_parameters(), strict=True):
        assert torch.equal(a, b), key
    steps = dict.fromkeys(weights_of(first).named(), 2.0 ** (-14))
    sizes = [np.array([layout.unit_latents(level)]) for level in range(len(layout.levels))]
    model = Representation.quantised(
        layout, weights_of(first), steps, dtype=np.dtype(np.uint8), low=0, high=255, sizes=sizes, bits=4, seed=0,
        frequencies=[], beta=1.0,
    )  # fmt: skip
    for (key, a), (_, b) in zip(network_of(model).named_parameters(), first.named_parameters(), strict=True):
        assert float((a - b).detach().abs().max()) <= 2.0**-15 * 1.01, key


def test_gradients_reach_every_latent() -> None:
    model, layout = tiny_model("patches"), LAYOUTS["patches"]
    network, counts = network_of(model), (3, 2)
    latents = [x.requires_grad_() for x in random_latents(layout, counts, 1)]
    target = Target.of(
        torch.rand(6, layout.points, 3, generator=torch.Generator().manual_seed(3)), counts, layout
    )
    errors(network, latents, target).sum().backward()
    for level, x in enumerate(latents):
        assert x.grad is not None
        assert float((x.grad == 0).float().mean()) < 0.01, level
    at, step = (0, 3), 1e-2  # and the gradient is that of the error
    x = latents[2].detach()
    both = []
    for sign in (1, -1):
        moved = x.clone()
        moved[at] += sign * step
        with torch.no_grad():
            both.append(float(errors(network, [latents[0], latents[1], moved], target).sum()))
    assert latents[2].grad is not None
    assert float(latents[2].grad[at]) == pytest.approx((both[0] - both[1]) / (2 * step), rel=0.05, abs=1e-5)
