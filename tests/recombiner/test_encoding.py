"""The encoder: what it fixes is what its indices decode to, for any number of threads."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="encoding needs torch")

from tiny_models import LAYOUTS, SHAPES, tiny_model, tiny_signals

from neuralcodec.codecs.recombiner import RecombinerCodec
from neuralcodec.container.signal import SignalType
from neuralcodec.errors import UnsupportedInput
from neuralcodec.recombiner import batches, resuming
from neuralcodec.recombiner.batches import encode_signals
from neuralcodec.recombiner.cutting import Cutting
from neuralcodec.recombiner.encoding import OPEN, Encoder, Level, Preset
from neuralcodec.recombiner.finishing import network_of
from neuralcodec.recombiner.posterior import Target, divergence, errors
from neuralcodec.recombiner.resuming import Checkpoint

QUICK = Preset(steps=12, rounds=3, refining=9)


def encoder_of(name: str, shape: tuple[int, ...], n: int, preset: Preset = QUICK, seed: int = 0) -> Encoder:
    model = tiny_model(name)
    cutting = Cutting(model.layout, model.dtype)
    x = tiny_signals(name, shape, n, seed)
    patches = torch.from_numpy(cutting.patches(x, model.low, model.high))
    target = Target.of(patches, cutting.counts(SignalType(shape, x.dtype)), model.layout)
    return Encoder(network_of(model, 1), model, target, preset, threads=1)


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_indices_decode_to_the_very_samples_that_were_fixed(name: str) -> None:
    shape = SHAPES[name][min(1, len(SHAPES[name]) - 1)]
    encoder = encoder_of(name, shape, 2)
    told: list[float] = []
    indices = encoder.run(told.append)
    assert told[-1] == 1.0
    assert told == sorted(told)
    decoded = RecombinerCodec(encoder.model)._latents([part.ravel() for part in indices], 2, 1)
    for level, latents in zip(encoder.levels, decoded, strict=True):
        assert bool((level.turn != OPEN).all())
        assert not bool(level.free.any())
        assert np.array_equal(level.fixed.numpy(), latents)


def test_the_error_falls() -> None:
    before = encoder_of("gray", (8, 12), 3, Preset(steps=1, rounds=1, refining=1))
    start = float(errors(before.network, [x.mean.detach() for x in before.levels], before.target).sum())
    after = encoder_of("gray", (8, 12), 3, Preset(steps=150, rounds=4, refining=40))
    after.run()
    assert float(errors(after.network, [x.fixed for x in after.levels], after.target).sum()) < 0.7 * start


def test_blocks_are_steered_to_their_bits() -> None:
    encoder = encoder_of("gray", (8, 12), 4, Preset(steps=400, rounds=1, refining=1, rate=3e-2))
    for _ in range(400):
        encoder._advance(3e-2)
    bits = encoder.levels[0].block_bits()
    assert float(bits.mean()) == pytest.approx(encoder.model.bits, rel=0.3)


def test_rows_and_units_are_inverse() -> None:
    encoder = encoder_of("patches", (17, 20, 3), 2)
    level = encoder.levels[0]
    x = torch.arange(level.mean.numel()).reshape(level.mean.shape).float()
    assert torch.equal(level.of_rows(level.rows(x)), x)
    assert not torch.equal(level.rows(x), x)
    per = level.units
    assert torch.equal(level.rows(x)[:per].sort(0).values, x[:per])  # rows of a signal are of its units


def test_divergence_is_that_of_the_definition() -> None:
    mean, log_deviation = torch.tensor([0.0, 1.5, -2.0]).double(), torch.tensor([0.0, -1.0, 0.4]).double()
    posterior = torch.distributions.Normal(mean, log_deviation.exp())
    prior = torch.distributions.Normal(torch.zeros(3).double(), torch.ones(3).double())
    expected = torch.distributions.kl_divergence(posterior, prior)
    assert torch.allclose(divergence(mean, log_deviation), expected)


def test_steps_are_those_of_adam() -> None:
    partition = tiny_model("gray").partitions[0]
    level = Level(partition, 2, 1, 1.0)
    twin = [x.detach().clone().requires_grad_() for x in (level.mean, level.spread)]
    adam = torch.optim.Adam(twin, lr=0.03, betas=(0.9, 0.99), eps=0)
    generator = torch.Generator().manual_seed(0)
    for step in range(1, 6):
        gradients = [torch.randn(x.shape, generator=generator) for x in twin]
        for x, y, g in zip((level.mean, level.spread), twin, gradients, strict=True):
            x.grad, y.grad = g.clone(), g.clone()
        level.update(0.03, step)
        adam.step()
    for x, y in zip((level.mean, level.spread), twin, strict=True):
        assert torch.allclose(x, y, atol=1e-6)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(batches.PRESETS, "fast", QUICK)
    monkeypatch.setattr(batches, "BATCH_PATCHES", 6)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("name", "shape"), [("gray", (8, 12)), ("patches", (9, 17, 3))])
def test_threads_and_company_change_nothing(name: str, shape: tuple[int, ...]) -> None:
    model = tiny_model(name)
    cutting = Cutting(model.layout, model.dtype)
    x = tiny_signals(name, shape, 13 if name == "gray" else 3)
    one = batches.encode_signals(model, cutting, x, "fast", 1)
    two = batches.encode_signals(model, cutting, x, "fast", 2)
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


@pytest.mark.usefixtures("quick")
def test_reports_reach_the_end() -> None:
    model = tiny_model("gray")
    told: list[float] = []
    batches.encode_signals(
        model, Cutting(model.layout, model.dtype), tiny_signals("gray", (8, 12), 8), "fast", 1, told.append
    )
    assert told[-1] == pytest.approx(1.0)
    assert max(told) <= 1.0


def test_presets_that_do_not_exist_are_refused() -> None:
    assert set(batches.PRESETS) == set(RecombinerCodec.presets)
    assert batches.preset_named(None) is batches.PRESETS[batches.DEFAULT_PRESET]
    with pytest.raises(UnsupportedInput, match="fast, medium, slow, reference"):
        batches.preset_named("best")


def test_constant_signals_are_coded() -> None:
    encoder = encoder_of("gray", (8, 12), 1)
    encoder.target = replace(encoder.target, samples=torch.full_like(encoder.target.samples, 0.5))
    assert all(
        np.isfinite(level.fixed.numpy()).all() for level in encoder.levels if encoder.run() is not None
    )


def test_the_documentation_has_the_presets_as_they_are() -> None:
    page = (Path(__file__).parents[2] / "docs" / "recombiner.md").read_text()
    text = page.split("## Presets")[1].split("\n## ")[0]
    rows = [line.replace(",", "").split("|")[1:-1] for line in text.splitlines() if line.startswith("| `")]
    told = {row[0].split("`")[1]: [int(cell) for cell in row[1:]] for row in rows}
    assert told == {
        name: [preset.steps, preset.rounds, preset.refining, preset.passes, preset.samples]
        for name, preset in batches.PRESETS.items()
    }


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("name", ["gray", "patches"])
@pytest.mark.parametrize("after", [2, 9, 17, 25])
def test_an_encoding_that_goes_on_is_the_encoding_itself(
    name: str, after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resuming, "EVERY_SECONDS", 0.0)
    monkeypatch.setitem(batches.PRESETS, "fast", Preset(steps=9, rounds=3, refining=12, passes=2))
    model, (signal,) = tiny_model(name), tiny_signals(name, SHAPES[name][-1], 1)
    cutting, path = Cutting(model.layout, model.dtype), tmp_path / "part"
    steps: list[float] = []
    whole = encode_signals(model, cutting, signal[None], "fast", 1, steps.append)
    told: list[float] = []

    def interrupt(fraction: float) -> None:
        told.append(fraction)
        if len(told) == after:
            raise Interrupted

    with pytest.raises(Interrupted):
        encode_signals(model, cutting, signal[None], "fast", 1, interrupt, checkpoint=str(path))
    assert path.exists()
    again: list[float] = []
    found = encode_signals(
        model, cutting, signal[None], "fast", 1, again.append, checkpoint=str(path), resume=True
    )
    assert again == steps[after - 1 :]  # the step in which it was interrupted was not kept
    assert all(np.array_equal(a, b) for a, b in zip(found, whole, strict=True))
    assert not path.exists()


def test_a_checkpoint_is_of_one_encoding(tmp_path: Path) -> None:
    model, signals = tiny_model("gray"), tiny_signals("gray", (8, 12), 2)
    path = tmp_path / "part"
    Checkpoint(path, model.identity, signals[:1], "fast", resume=False).write({"x": 1})
    assert Checkpoint(path, model.identity, signals[:1], "fast", resume=True).state is not None
    assert Checkpoint(tmp_path / "none", model.identity, signals[:1], "fast", resume=True).state is None
    others = ((bytes(32), signals[:1], "fast"), (model.identity, signals[1:], "fast"))
    for other in (*others, (model.identity, signals[:1], "slow")):
        with pytest.raises(UnsupportedInput, match="another signal"):
            Checkpoint(path, *other, resume=True)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(UnsupportedInput, match="is not the checkpoint"):
        Checkpoint(path, model.identity, signals[:1], "fast", resume=True)
    cutting = Cutting(model.layout, model.dtype)
    with pytest.raises(UnsupportedInput, match="one signal"):
        encode_signals(model, cutting, signals, "fast", 1, checkpoint=str(path))


def test_a_time_limit_takes_steps_away_and_codes_every_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(batches.PRESETS, "fast", Preset(steps=100_000, rounds=3, refining=1000))
    model, signals = tiny_model("patches"), tiny_signals("patches", (17, 20, 3), 1)
    cutting, told = Cutting(model.layout, model.dtype), []
    start = time.monotonic()
    found = encode_signals(model, cutting, signals, "fast", 1, told.append, seconds=1.0)
    assert 0.5 < time.monotonic() - start < 5
    assert told[-1] == 1.0
    assert len(told) < 50_000
    assert all(len(part) and part.max() < 2**model.bits for part in found)
