"""Learning: losses fall, a run that is taken up again is the run, checkpoints are checked, priors are absorbed."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="learning needs torch")

from tiny_models import LAYOUTS, tiny_signals

from neuralcodec.errors import UnsupportedInput
from neuralcodec.recombiner.finishing import absorb_prior, block_sizes, guessed, mean_bits
from neuralcodec.recombiner.inference import InferenceNetwork, narrowed, pool
from neuralcodec.recombiner.layout import Layout
from neuralcodec.recombiner.learning import Progress, Recipe, Run, Sampler
from neuralcodec.recombiner.network import cut
from neuralcodec.recombiner.posterior import Target, errors
from neuralcodec.recombiner.training import (
    Sizes,
    figures_of,
    layout_for,
    limits,
    padded,
    prepared,
    split,
    train,
)

QUICK = Recipe(40.0, steps=12, batch=4, width=16, seed=3)


def run_of(name: str = "gray", recipe: Recipe = QUICK, n: int = 12) -> Run:
    layout = LAYOUTS[name]
    shape = (*layout.grid, layout.channels) if layout.whole else (20, 33, 3)
    return Run(Sampler(list(tiny_signals(name, shape, n)), layout, 0, 255), layout, recipe, threads=1)


def parameters(run: Run) -> list[torch.Tensor]:
    return [x.detach() for module in (run.network, run.inference) for x in module.parameters()]


@pytest.mark.parametrize("name", ["gray", "patches"])
def test_a_resumed_run_is_the_run_itself(name: str, tmp_path: Path) -> None:
    whole = run_of(name)
    whole.train(every=4)
    begun = run_of(name)
    while begun.step < 5:
        begun._advance()
    begun.save(tmp_path / "c")
    again = run_of(name)
    again.resume(tmp_path / "c")
    assert again.step == 5
    again.train(every=3, checkpoint=tmp_path / "c")
    assert again.log_beta == whole.log_beta
    for a, b in zip(parameters(whole), parameters(again), strict=True):
        assert torch.equal(a, b)


def test_the_same_seed_gives_the_same_and_another_does_not() -> None:
    runs = [run_of(), run_of(), run_of(recipe=replace(QUICK, seed=4))]
    for run in runs:
        run.train()
    assert all(torch.equal(a, b) for a, b in zip(parameters(runs[0]), parameters(runs[1]), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(parameters(runs[0]), parameters(runs[2]), strict=True))


def test_the_loss_falls_and_progress_is_told() -> None:
    told: list[Progress] = []
    run_of(recipe=replace(QUICK, steps=150, rate=1e-2)).train(report=told.append, every=15)
    assert [now.step for now in told] == list(range(15, 151, 15))
    assert told[-1].psnr > told[0].psnr + 3
    assert told[-1].fraction == 1.0
    assert all(now.bits > 0 and math.isfinite(now.beta) and now.seconds >= 0 for now in told)


def test_beta_follows_the_budget() -> None:
    dear, cheap = (
        run_of(recipe=replace(QUICK, bits=1e-3, steps=130)),
        run_of(recipe=replace(QUICK, bits=1e6, steps=130)),
    )
    dear.train()
    cheap.train()
    assert dear.log_beta > cheap.log_beta


def test_checkpoints_of_other_runs_are_refused(tmp_path: Path) -> None:
    run_of().save(tmp_path / "c")
    with pytest.raises(UnsupportedInput, match="rate, steps"):
        run_of(recipe=replace(QUICK, steps=13, rate=1e-3)).resume(tmp_path / "c")
    other = Run(Sampler([], LAYOUTS["line"], 0, 255), LAYOUTS["line"], QUICK, 1)
    with pytest.raises(UnsupportedInput, match="layout"):
        other.resume(tmp_path / "c")
    with pytest.raises(UnsupportedInput, match="layout"):
        other.start_from(tmp_path / "c")
    for content in (b"", b"nothing", (tmp_path / "c").read_bytes()[:1000]):
        (tmp_path / "broken").write_bytes(content)
        with pytest.raises(UnsupportedInput, match="broken is not a training checkpoint"):
            run_of().resume(tmp_path / "broken")


def test_a_warm_start_has_the_other_networks(tmp_path: Path) -> None:
    first = run_of()
    first.train()
    first.save(tmp_path / "c")
    second = run_of(recipe=replace(QUICK, bits=20.0, steps=3))
    second.start_from(tmp_path / "c")
    assert second.step == 0
    assert second.log_beta == first.log_beta
    for a, b in zip(parameters(first), parameters(second), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    "wrong",
    [
        {"bits": 0.0},
        {"steps": 0},
        {"batch": 0},
        {"rate": 0.0},
        {"map_rate": -1.0},
        {"width": 8},
        {"bits": math.inf},
    ],
)
def test_impossible_recipes_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UnsupportedInput, match=next(iter(wrong))):
        replace(QUICK, **wrong)


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_the_inference_network_guesses_every_latent(name: str) -> None:
    layout = LAYOUTS[name]
    counts = (1,) * layout.dimensions if layout.whole else (2, 3, 1)[: layout.dimensions]
    sides = [c * g for c, g in zip(counts, layout.grid, strict=True)]
    network = InferenceNetwork(layout, 16)
    found = network(torch.rand(2, layout.channels, *sides) * 2 - 1, counts)
    for level, (mean, spread) in enumerate(found):
        assert (
            mean.shape == spread.shape == (2 * layout.unit_counts(counts)[level], layout.unit_latents(level))
        )
    sum((mean**2).sum() + spread.sum() for mean, spread in found).backward()
    assert all(p.grad is not None for p in network.parameters())
    assert float(narrowed(torch.tensor(50.0))) <= 0.5


def test_pooling_is_the_mean_of_a_unit() -> None:
    x = torch.arange(12.0).reshape(6, 2)  # two signals of three patches
    found = pool(x, np.array([0, 0, 1]), 2)
    assert torch.equal(found, torch.tensor([[1.0, 2.0], [4.0, 5.0], [7.0, 8.0], [10.0, 11.0]]))


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_absorbing_a_prior_changes_no_output(name: str) -> None:
    layout = LAYOUTS[name]
    torch.manual_seed(1)
    run = Run(Sampler([], layout, 0, 255), layout, QUICK, 1)
    network = run.network
    network.low_precision = False
    network.requires_grad_(False)
    counts = (1,) * layout.dimensions if layout.whole else (2, 3, 1)[: layout.dimensions]
    sides = [c * g for c, g in zip(counts, layout.grid, strict=True)]
    x = torch.rand(5, layout.channels, *sides)
    target = Target.of(cut(x, counts, layout.grid), counts, layout)
    levels = guessed(network, run.inference, target, 1e-3)
    for level in levels:
        level.mean.data.mul_(2).add_(torch.randn(level.mean.shape[1]))
        level.spread.data.sub_(1)
    before = errors(network, [level.mean.detach() for level in levels], target)
    bits = [float(one.sum()) for one in mean_bits(levels)]
    absorb_prior(network, levels)
    after = errors(network, [level.mean.detach() for level in levels], target)
    assert torch.allclose(before, after, rtol=1e-3, atol=1e-6)
    for level, one in zip(levels, bits, strict=True):
        mean, variance = level.mean.detach(), (2 * level.spread.detach()).exp()
        assert float(mean.mean(0).abs().max()) < 1e-4
        assert torch.allclose(
            mean.var(0, correction=0) + variance.mean(0), torch.ones(mean.shape[1]), atol=1e-3
        )
        assert float(mean_bits([level])[0].sum()) <= one
    if layout.whole:
        assert bool((network.level_scale == 1).all())


def test_blocks_are_as_many_as_asked() -> None:
    kl = np.random.default_rng(0).exponential(0.3, 500)
    for blocks in (1, 5, 12, 40):
        sizes = block_sizes(kl, 16, 2, blocks)
        assert abs(len(sizes) - blocks) <= 1
        assert sizes.sum() == 500


def test_layouts_follow_from_the_signals() -> None:
    gray = prepared(list(np.zeros((3, 28, 28), np.uint8)), 2)
    layout = layout_for(gray, 2, Sizes())
    assert (layout.grid, layout.channels, layout.factors) == ((28, 28), 1, (2, 2))
    assert layout.latents[-1] == 33
    odd = layout_for(prepared([np.zeros((5, 7, 3), np.uint8)], 2), 2, Sizes())
    assert (odd.factors, odd.coarse) == ((), (5, 7))
    several = [np.zeros((70, 50), np.uint8), np.zeros((9, 200, 3), np.uint8)]
    cutting = layout_for(prepared(several, 2), 2, Sizes(patch=(32,)))
    assert (cutting.grid, cutting.channels, cutting.group, cutting.whole) == ((32, 32), 3, (4, 4), False)
    with pytest.raises(UnsupportedInput, match="--patch"):
        layout_for(prepared(several, 2), 2, Sizes())
    with pytest.raises(UnsupportedInput, match="too large"):
        layout_for(prepared([np.zeros((512, 512), np.uint8)], 2), 2, Sizes())
    with pytest.raises(UnsupportedInput, match="--group"):
        layout_for(gray, 2, Sizes(group=(2,)))
    with pytest.raises(UnsupportedInput, match="2 sides"):
        layout_for(gray, 2, Sizes(patch=(2, 2, 2)))


@pytest.mark.parametrize(
    ("signals", "words"),
    [
        ([], "no training signals"),
        ([np.zeros((4, 4))], "float64"),
        ([np.zeros((4, 4), bool)], "bool"),
        ([np.zeros((4, 4), np.int64)], "int64"),
        ([np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4, 4), np.uint8)], "channels"),
        ([np.zeros((4, 4, 2), np.uint8), np.zeros((4, 4), np.uint8)], "channels"),
    ],
)
def test_signals_that_cannot_be_learned_are_refused(signals: list[np.ndarray], words: str) -> None:
    with pytest.raises(UnsupportedInput, match=words):
        prepared(signals, 2)


def test_limits_are_those_of_bytes_or_of_the_data() -> None:
    assert limits([np.array([7, 9], np.uint8)]) == (0, 255)
    assert limits([np.array([7, 9], np.int16), np.array([-3], np.int16)]) == (-3, 9)
    with pytest.raises(UnsupportedInput, match="are 7"):
        limits([np.array([7, 7], np.int16)])


def test_small_signals_grow_to_a_crop() -> None:
    layout = LAYOUTS["patches"]
    one, two = padded([np.full((3, 40, 3), 7, np.uint8), np.zeros((16, 16, 3), np.uint8)], layout, QUICK)
    assert one.shape == (16, 40, 3)
    assert (one == 7).all()
    assert two.shape == (16, 16, 3)


def test_held_out_signals_are_not_trained_on() -> None:
    signals = [np.full((2, 2, 1), i, np.uint8) for i in range(20)]
    training, others = split(signals, 0.2, 5)
    assert (len(training), len(others)) == (16, 4)
    assert sorted(int(one[0, 0, 0]) for one in (*training, *others)) == list(range(20))
    assert len(split(signals, 100, 5)[0]) == 1
    assert split(signals[:1], 0.5, 5)[1] == []


def test_training_gives_a_model_of_the_rate() -> None:
    layout = Layout((8, 8), 1, hidden=(8,), features=4, latents=(12, 9), encoding=(4, 6), factors=(2,))
    signals = prepared(list(tiny_signals("gray", (8, 8), 40)), 2)
    recipe = Recipe(32.0, steps=30, batch=8, width=16, seed=1)
    model = train(signals, layout, recipe, held_out=0.25, threads=1, index_bits=8, finishing_steps=20)
    assert abs(sum(partition.blocks for partition in model.partitions) - 4) <= 1
    assert set(model.header["figures"]) == {
        "training_psnr",
        "training_bits",
        "held_out_psnr",
        "held_out_bits",
    }
    assert model.header["recipe"]["steps"] == 30


def test_figures_leave_out_what_is_not_there() -> None:
    assert set(figures_of(run_of(), [])) == {"training_psnr", "training_bits"}
