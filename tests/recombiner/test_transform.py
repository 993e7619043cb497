"""A start as a transform codec: the water level, and networks that compute the transform and its inverse."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="learning needs torch")

from hypothesis import given
from hypothesis import strategies as st

from neuralcodec.errors import UnsupportedInput
from neuralcodec.recombiner.finishing import guessed, mean_psnr
from neuralcodec.recombiner.layout import Layout
from neuralcodec.recombiner.learning import Recipe, Run, Sampler
from neuralcodec.recombiner.network import cut
from neuralcodec.recombiner.posterior import Target, errors
from neuralcodec.recombiner.transform import check, fitted, water_level

LAYOUTS = {
    1: Layout((64,), 1, whole=False, group=(4,), latents=(8, 8, 8, 8), encoding=(16, 16, 16), factors=(2, 8)),
    2: Layout((16, 16), 3, whole=False, group=(2, 2), latents=(8, 8, 8, 8), encoding=(48, 64, 16), factors=(2, 4)),
    3: Layout(
        (4, 8, 8), 1, whole=False, group=(1, 2, 2), features=6, latents=(8, 8, 8, 8), encoding=(32, 32, 8),
        factors=(2, 2),
    ),
}  # fmt: skip


def smooth(layout: Layout, n: int) -> list[np.ndarray]:
    """Random signals whose neighbours are alike, of 8 bits."""
    rng = np.random.default_rng(1)
    sides = tuple(4 * c * g for c, g in zip(layout.group, layout.grid, strict=True))
    frequencies = np.sqrt(
        sum(np.fft.fftfreq(m).reshape(-1, *(1,) * (len(sides) - i - 1)) ** 2 for i, m in enumerate(sides))
    )
    made = []
    for _ in range(n):
        noise = rng.normal(size=(*sides, layout.channels))
        spectrum = np.fft.fftn(noise, axes=range(len(sides))) / (0.01 + frequencies[..., None]) ** 1.5
        x = np.fft.ifftn(spectrum, axes=range(len(sides))).real
        made.append(np.clip(128 + 40 * x / x.std(), 0, 255).astype(np.uint8))
    return made


def run_of(dimensions: int, bpp: float) -> tuple[Run, Target]:
    """A run that starts as a transform, and signals."""
    layout = LAYOUTS[dimensions]
    sampler = Sampler(smooth(layout, 6), layout, 0, 255)
    run = Run(
        sampler,
        layout,
        Recipe(bpp * layout.points, batch=64, width=192, network_rate=0.5, map_rate=0.01),
        threads=1,
    )
    x, counts = sampler.draw(np.random.default_rng(0), run.recipe)
    run.start_from_transform()
    return run, Target.of(cut(x, counts, layout.grid), counts, layout)


@given(st.lists(st.floats(1e-4, 1e4), min_size=1, max_size=20), st.floats(0.1, 60))
def test_the_water_level_gives_the_bits(variances: list[float], bits: float) -> None:
    values = np.array(variances)
    level = water_level(values, bits)
    assert 0.5 * np.log2(np.maximum(values / level, 1)).sum() == pytest.approx(bits, rel=1e-6)


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_the_networks_begin_as_the_transform(dimensions: int) -> None:
    """At a rate well below that of the source the start is near what the transform promises, and meets its rate."""
    bpp = 0.5
    run, target = run_of(dimensions, bpp)
    layout = run.layout
    transform = fitted([x / 255 for x in run.sampler.signals], layout, run.recipe.bits, 0)
    kept = sum(np.minimum(transform.variances, transform.level))
    spread = np.concatenate(
        [(x / 255 - transform.mean).reshape(-1, layout.channels) for x in run.sampler.signals]
    )
    places = math.prod(layout.coarse)
    lost = (spread**2).mean() * layout.points * layout.channels / places - transform.variances.sum()
    promised = -10 * math.log10((kept + lost) * places / (layout.points * layout.channels))
    levels = guessed(run.network, run.inference, target, 1.0)
    bits = sum(float(level.block_bits().sum()) for level in levels) / len(target.samples)
    with torch.no_grad():
        reached = -10 * float(
            errors(run.network, [level.sample() for level in levels], target).mean().log10()
        )
    assert bits == pytest.approx(run.recipe.bits, rel=0.25)
    assert reached > promised - 1.5


def test_learning_goes_on_from_there() -> None:
    run, target = run_of(2, 0.5)
    before = mean_psnr(run.network, guessed(run.network, run.inference, target, 1.0), target)
    run.recipe = Recipe(
        run.recipe.bits, steps=60, batch=64, rate=2.5e-4, width=192, network_rate=0.5, map_rate=0.01
    )
    run.train()
    after = mean_psnr(run.network, guessed(run.network, run.inference, target, 1.0), target)
    assert after > before - 0.3


def test_layouts_without_room_are_refused() -> None:
    with pytest.raises(UnsupportedInput, match="factors 2,F"):
        check(Layout((32, 32), 3))
    layout = LAYOUTS[2]
    with pytest.raises(UnsupportedInput, match="width 171"):
        Run(
            Sampler(smooth(layout, 1), layout, 0, 255), layout, Recipe(100.0, width=64), 1
        ).start_from_transform()
