"""Training: it learns, repeats itself, resumes, grows without forgetting."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from random_circuits import random_parameters, random_structure, seeds

from neuralcodec.circuits import reference
from neuralcodec.circuits.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from neuralcodec.circuits.growth import grow, split
from neuralcodec.circuits.learning import Progress, _Run, train
from neuralcodec.circuits.parameters import FIELDS, Parameters
from neuralcodec.circuits.recipe import Recipe
from neuralcodec.errors import UnsupportedInput

SMALL = Recipe(latents=4, start_latents=2, epochs=6, batch=32, basis=6, validation=40, mi_samples=200)


def stripes(n: int, seed: int = 0) -> np.ndarray:
    """(n, 3, 4) uint8 images of values below 8: noisy ramps whose direction and offset are latent."""
    rng = np.random.default_rng(seed)
    ramp = np.where(rng.random((n, 1, 1)) < 0.5, np.arange(4)[None, None], np.arange(3)[None, :, None])
    return ((ramp + rng.integers(0, 4, (n, 1, 1)) + (rng.random((n, 3, 4)) < 0.1)) % 8).astype(np.uint8)


@pytest.mark.parametrize("structure", ["hclt", "hmm", "binary"])
@pytest.mark.parametrize("emission", ["shared", "free"])
def test_every_kind_learns(structure: str, emission: str) -> None:
    x = stripes(400)
    longer = {"latents": 12, "start_latents": 12, "epochs": 25, "batch": 16}
    recipe = Recipe(**{**SMALL.to_json(), **longer, "structure": structure, "emission": emission})
    circuit = train(x, recipe, alphabet=8)
    flat = stripes(200, seed=1).reshape(200, -1)
    independent = -np.log2(
        [(np.bincount(column, minlength=8) + 0.5) / 404 for column in x.reshape(400, -1).T]
    )
    baseline = np.mean([independent[i, flat[:, i]] for i in range(12)])
    bpd = -circuit.log2_likelihood(flat).mean() / 12
    assert bpd < baseline - 0.5
    assert circuit.header["recipe"]["structure"] == structure
    assert circuit.header["figures"]["validation_bpd"] < baseline - 0.5


def test_the_same_seed_gives_the_same_model_and_another_another() -> None:
    x = stripes(300)
    first, again = (train(x, SMALL, threads=2).identity for _ in range(2))
    assert first == again
    assert train(x, Recipe(**{**SMALL.to_json(), "seed": 1}), threads=2).identity != first


def test_an_interrupted_run_resumes_to_the_same_model(tmp_path: Path) -> None:
    x, path = stripes(300), tmp_path / "état.npz"
    whole = train(x, SMALL)

    class Interrupt(Exception):
        pass

    def stop(progress: Progress) -> None:
        if progress.epoch == 3 and not progress.epoch_done:
            raise Interrupt

    with pytest.raises(Interrupt):
        train(x, SMALL, checkpoint=path, report=stop)
    reports: list[Progress] = []
    assert train(x, SMALL, checkpoint=path, resume=True, report=reports.append).identity == whole.identity
    assert min(r.epoch for r in reports) == 3


def test_checkpoints_of_other_runs_and_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    train(stripes(100), SMALL, checkpoint=path)
    with pytest.raises(UnsupportedInput, match="other settings \\(seed\\)"):
        train(stripes(100), Recipe(**{**SMALL.to_json(), "seed": 9}), checkpoint=path, resume=True)
    with pytest.raises(UnsupportedInput, match="other data"):
        train(stripes(100, seed=5), SMALL, checkpoint=path, resume=True)
    with pytest.raises(UnsupportedInput, match="other data"):
        train(stripes(100).reshape(-1, 12), SMALL, checkpoint=path, resume=True)
    path.write_bytes(b"no checkpoint")
    with pytest.raises(UnsupportedInput, match="not a training checkpoint"):
        load_checkpoint(path, SMALL)
    assert load_checkpoint(tmp_path / "absent", SMALL) is None


def test_values_beyond_a_given_alphabet_are_refused() -> None:
    with pytest.raises(UnsupportedInput, match="a sample is 7, but the alphabet given has 4"):
        train(stripes(50), SMALL, alphabet=4)


def test_progress_tells_epochs_states_and_bits() -> None:
    reports: list[Progress] = []
    train(stripes(200), SMALL, report=reports.append)
    done = [r for r in reports if r.epoch_done]
    assert [r.epoch for r in done] == list(range(1, len(done) + 1))
    assert [r.states for r in done] == [s for s, epochs in SMALL.stages() for _ in range(epochs)]
    fractions = [r.fraction for r in reports]
    assert fractions == sorted(fractions)
    assert fractions[-1] == pytest.approx(1)
    assert done[-1].train_bpd < done[0].train_bpd
    assert all(np.isfinite(r.validation_bpd) for r in done)


def test_a_stage_that_stops_improving_ends_early() -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 8, (60, 6)).astype(np.uint8)
    recipe = Recipe(latents=8, start_latents=8, epochs=60, batch=16, basis=8, validation=20, patience=2)
    reports: list[Progress] = []
    circuit = train(noise, recipe, report=reports.append)
    assert max(r.epoch for r in reports) < 60
    best = min(r.validation_bpd for r in reports if r.epoch_done)
    assert circuit.header["figures"]["validation_bpd"] <= best + 0.02


def test_without_held_out_signals_every_epoch_runs() -> None:
    reports: list[Progress] = []
    circuit = train(stripes(100), Recipe(**{**SMALL.to_json(), "validation": 0}), report=reports.append)
    assert max(r.epoch for r in reports) == SMALL.epochs
    assert "validation_bpd" not in circuit.header["figures"]


@pytest.mark.parametrize(
    ("signals", "message"),
    [
        (np.zeros((4, 3)), "float64"),
        (np.zeros(4, np.uint8), r"\(4,\)"),
        (np.zeros((0, 3), np.uint8), "0, 3"),
        (np.full((4, 3), -1), "-1"),
        (np.full((4, 3), 5000), "5000"),
    ],
)
def test_signals_that_no_circuit_holds_are_refused(signals: np.ndarray, message: str) -> None:
    with pytest.raises(UnsupportedInput, match=message):
        train(signals, SMALL)


@given(seeds)
@settings(deadline=None, max_examples=20)
def test_splitting_states_without_noise_keeps_the_distribution(seed: int) -> None:
    rng = np.random.default_rng(seed)
    structure = random_structure(rng)
    theta = random_parameters(structure, rng)
    x = np.stack([rng.integers(0, a, 30) for a in structure.alphabet], axis=1).astype(np.uint16)
    counts = reference.expected_counts(structure, theta, x)
    counts = Parameters(*(getattr(counts, name) + 1e-9 for name in FIELDS))
    larger = structure.with_states(np.minimum(2 * structure.states, structure.states + rng.integers(0, 3)))
    grown = split(structure, larger, counts, rng, noise=0.0)
    for name in ("root", "transition", "weight", "free", "basis"):
        assert getattr(grown, name).sum() == pytest.approx(getattr(counts, name).sum(), rel=1e-4, abs=1e-4)
    state = Checkpoint(structure, theta, counts, 0, 0, None, np.inf)
    quiet = Recipe(**{**SMALL.to_json(), "growth_noise": 1e-9})
    target = int(structure.states.max()) * 2
    if (2 * structure.states < target).any():
        return
    after = grow(state, target, quiet)
    before = reference.log_likelihood(structure, _normalised(structure, counts), x)
    assert reference.log_likelihood(after.structure, after.theta, x) == pytest.approx(
        before, rel=1e-3, abs=1e-3
    )


def _normalised(structure: object, counts: Parameters) -> Parameters:
    from neuralcodec.circuits.parameters import normalise

    return normalise(structure, counts)  # type: ignore[arg-type]


def test_a_checkpoint_file_keeps_the_state(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    structure = random_structure(rng)
    theta = random_parameters(structure, rng)
    state = Checkpoint(structure, theta, theta, 3, 17, theta, 1.5, stale=2, last_bpd=1.75)
    save_checkpoint(tmp_path / "c.npz", SMALL, "data", state)
    back = load_checkpoint(tmp_path / "c.npz", SMALL)
    assert back is not None
    assert (back.epoch, back.step, back.best_bpd, back.stale, back.last_bpd) == (3, 17, 1.5, 2, 1.75)
    for name in FIELDS:
        assert np.array_equal(getattr(back.theta, name), getattr(theta, name))


@pytest.mark.parametrize(("signals", "size"), [(100, 1000), (100, 100), (101, 30), (7, 3)])
def test_epochs_of_large_sets_make_whole_passes(signals: int, size: int) -> None:
    x = np.zeros((signals, 2), np.uint16)
    recipe = Recipe(epoch_signals=size, validation=0, mi_samples=10)
    run = _Run(x, (2,), np.dtype(np.uint8), recipe, None, None, None)
    parts = -(-signals // size)
    for turn in range(2):
        orders = [run.order(turn * parts + part) for part in range(parts)]
        assert max(map(len, orders)) <= size
        assert sorted(np.concatenate(orders)) == list(range(signals))
