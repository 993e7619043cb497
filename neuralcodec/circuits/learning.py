"""Training of circuits: stepwise expectation-maximisation with growth of the latents.

Online EM after Cappé and Moulines (2009): running averages of the expected counts are updated after every mini-batch
with a falling step, and the parameters are the averages' proportions. Between stages every latent state is split in
two and the copies are set apart by noise. A last full-batch step ends each run.
"""

import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuralcodec.circuits.builders import binary_tree, hclt, hmm
from neuralcodec.circuits.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from neuralcodec.circuits.chow_liu import chow_liu_tree
from neuralcodec.circuits.circuit import Circuit, learner_of
from neuralcodec.circuits.growth import grow
from neuralcodec.circuits.initialise import initial_parameters
from neuralcodec.circuits.mutual_information import mutual_information
from neuralcodec.circuits.parameters import Parameters, QuantisationSteps, quantise
from neuralcodec.circuits.pruning import prune
from neuralcodec.circuits.recipe import Recipe
from neuralcodec.circuits.structure import FIELDS, TreeStructure
from neuralcodec.errors import UnsupportedInput
from neuralcodec.native import Learner, maximisation

LN2 = 0.6931471805599453


@dataclass(frozen=True)
class Progress:
    """Where a training run is.

    Attributes:
        epoch, epochs: finished passes over the data, and how many there will be.
        fraction: of the whole run that is done, weighted by its cost.
        states: states per latent in this stage.
        train_bpd: bits per dimension of the current epoch's mini-batches so far.
        validation_bpd: of the held-out signals after the last epoch (NaN before it, or if none are held out).
        epoch_done: this report closes an epoch.
    """

    epoch: int
    epochs: int
    fraction: float
    states: int
    train_bpd: float
    validation_bpd: float
    epoch_done: bool


Report = Callable[[Progress], None]


def train(
    signals: NDArray[Any],
    recipe: Recipe | None = None,
    *,
    header: dict[str, Any] | None = None,
    steps: QuantisationSteps | None = None,
    alphabet: int | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    threads: int | None = None,
    report: Report | None = None,
) -> Circuit:
    """Learn a circuit from signals.

    Args:
        signals: (n, *shape) of an integer dtype, values in [0, alphabet).
        recipe: see :class:`Recipe`.
        header: added to the model's header (name, data, licence); the recipe and figures reached are added here.
        steps: how finely the parameters are quantised.
        alphabet: values of a sample; None: 256 for uint8, else the largest value met plus 1.
        checkpoint: a file written after every epoch.
        resume: go on from `checkpoint` if it exists; the recipe must be the same.
        threads: see :func:`neuralcodec.native.thread_count`.
        report: called after every mini-batch.

    Raises:
        UnsupportedInput: signals that no circuit can hold, or a checkpoint of another run.
    """
    recipe = recipe or Recipe()
    run = _Run(_flatten(signals), signals.shape[1:], signals.dtype, recipe, alphabet, threads, report)
    saved = load_checkpoint(checkpoint, recipe, run.data) if resume and checkpoint is not None else None
    state = run.start() if saved is None else saved
    while state.epoch < recipe.epochs:
        state = run.end_stage_early(run.epoch(state))
        if checkpoint is not None:
            save_checkpoint(checkpoint, recipe, run.data, state)
    structure, theta = run.finish(state)
    levels = quantise(structure, theta, steps)
    circuit = Circuit(structure, levels, {})
    figures = {
        "training_bpd": run.bpd(circuit, run.train),
        "validation_bpd": run.bpd(circuit, run.held_out),
        "validation_bpd_before_quantisation": run.validate(learner_of(structure), theta),
    }
    full_header = {
        "recipe": recipe.to_json(),
        "figures": {k: round(v, 5) for k, v in figures.items() if v == v},
        **(header or {}),
    }
    return replace(circuit, header=full_header)


def _flatten(signals: NDArray[Any]) -> NDArray[np.uint16]:
    if signals.ndim < 2 or signals.size == 0 or signals.dtype.kind not in "biu":
        raise UnsupportedInput(
            f"training needs integer signals of shape (n, ...), not {signals.dtype} {signals.shape}"
        )
    low, high = int(signals.min()), int(signals.max())
    if low < 0 or high >= 4096:
        raise UnsupportedInput(
            f"samples must be in [0, 4096), not {low} to {high}; shift or quantise them first"
        )
    return np.ascontiguousarray(signals.reshape(len(signals), -1), dtype=np.uint16)


def build_structure(
    x: NDArray[Any], shape: tuple[int, ...], dtype: np.dtype[Any], recipe: Recipe, alphabet: int
) -> TreeStructure:
    """The recipe's tree over (n, D) samples, with the first stage's number of states."""
    description: dict[str, Any] = {
        "shape": shape,
        "dtype": dtype,
        "alphabet": alphabet,
        "states": recipe.stages()[0][0],
        "emission": recipe.emission,
        "basis_size": recipe.basis,
    }
    if recipe.structure == "hmm":
        return hmm(**description)
    if recipe.structure == "binary":
        return binary_tree(**description)
    information = mutual_information(
        x,
        alphabet=alphabet,
        bins=min(recipe.mi_bins, max(alphabet, 2)),
        max_samples=recipe.mi_samples,
        seed=recipe.seed,
    )
    return hclt(chow_liu_tree(information), **description)


class _Run:
    """The data, the schedule and the steps of one training run."""

    def __init__(
        self,
        x: NDArray[np.uint16],
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        recipe: Recipe,
        alphabet: int | None,
        threads: int | None,
        report: Report | None,
    ) -> None:
        if alphabet is None:
            alphabet = 2 if dtype.kind == "b" else 256 if dtype == np.uint8 else int(x.max()) + 1
        if int(x.max()) >= alphabet:
            raise UnsupportedInput(f"a sample is {x.max()}, but the alphabet given has {alphabet} values")
        self.shape, self.dtype, self.recipe, self.alphabet = shape, dtype, recipe, alphabet
        self.threads, self.report = threads, report
        self.data = f"{len(x)} x {shape} {dtype}, {alphabet} values, CRC-32 {zlib.crc32(x.data):08x}"
        held = recipe.validation if recipe.validation >= 1 else recipe.validation * len(x)
        held = min(int(held), len(x) // 2)
        order = np.random.default_rng([recipe.seed, 1]).permutation(len(x))
        self.held_out, self.train = x[np.sort(order[:held])], x[np.sort(order[held:])]
        self.stages = recipe.stages()
        # the cost of an epoch grows with the square of the states
        self.costs = [
            states * (states + recipe.basis) for states, epochs in self.stages for _ in range(epochs)
        ]

    def start(self) -> Checkpoint:
        structure = build_structure(self.train, self.shape, self.dtype, self.recipe, self.alphabet)
        theta = initial_parameters(
            structure, self.train[: max(2000, self.recipe.mi_samples)], self.recipe.seed
        )
        statistics = Parameters(*(np.zeros_like(getattr(theta, name)) for name in FIELDS))
        return Checkpoint(structure, theta, statistics, epoch=0, step=0, best=None, best_bpd=np.inf)

    def order(self, epoch: int) -> NDArray[np.int64]:
        """The training signals of an epoch in random order: all, or the next part of a pass over many."""
        n, size = len(self.train), self.recipe.epoch_signals
        parts = max(1, -(-n // size))
        turn, part = divmod(epoch, parts)
        shuffled = np.random.default_rng([self.recipe.seed, 2, turn]).permutation(n)
        return shuffled[part * n // parts : (part + 1) * n // parts]

    def stage_of(self, epoch: int) -> tuple[int, int, int]:
        """(stage, its first epoch, its epochs) of an epoch."""
        first = 0
        for stage, (_, epochs) in enumerate(self.stages):
            if epoch < first + epochs:
                return stage, first, epochs
            first += epochs
        raise IndexError(epoch)

    def epoch(self, state: Checkpoint) -> Checkpoint:
        stage, first, epochs = self.stage_of(state.epoch)
        if state.epoch == first and stage > 0:
            before, states = self.stages[stage - 1][0], self.stages[stage][0]
            state = grow(prune(state, self.recipe.kept_before_growth(before, states)), states, self.recipe)
        structure, theta, statistics = state.structure, state.theta.copy(), state.statistics.copy()
        learner = learner_of(structure)
        sums = tuple(np.empty_like(values) for values in theta.arrays)
        order = self.order(state.epoch)
        batches = _batches(order, self.recipe.batch)
        total, step = 0.0, state.step
        for i, rows in enumerate(batches):
            progress = ((state.epoch - first) * len(batches) + i) / (epochs * len(batches))
            rate = 1.0 if step == 0 else self.recipe.rate(progress)
            total += self._em_step(learner, structure, theta, statistics, self.train[rows], rate, sums)
            step += 1
            seen = sum(len(b) for b in batches[: i + 1])
            self._tell(state, i + 1, len(batches), total / seen, state.last_bpd, False)
        bpd = self.validate(learner, theta)
        self._tell(state, len(batches), len(batches), total / len(order), bpd, True)
        after = replace(
            state, theta=theta, statistics=statistics, epoch=state.epoch + 1, step=step, last_bpd=bpd
        )
        if bpd < state.best_bpd:
            after = replace(after, best=theta.copy(), best_bpd=bpd, stale=0)
        else:
            after = replace(after, stale=state.stale + 1)
        return prune(after, self.recipe.kept_after(after.epoch - first, epochs))

    def end_stage_early(self, state: Checkpoint) -> Checkpoint:
        """Leave out the rest of a stage whose held-out likelihood has not improved for `patience` epochs."""
        if state.best is None or state.stale < self.recipe.patience:
            return state
        _, first, epochs = self.stage_of(state.epoch - 1)
        return replace(state, epoch=first + epochs, stale=0)

    def finish(self, state: Checkpoint) -> tuple[TreeStructure, Parameters]:
        """The best parameters after one full-batch step, or without it where that validates worse."""
        learner = learner_of(state.structure)
        best = state.theta if state.best is None else state.best
        theta, statistics = best.copy(), state.statistics.copy()
        sums = tuple(np.empty_like(values) for values in theta.arrays)
        self._em_step(learner, state.structure, theta, statistics, self.train, 1.0, sums)
        if len(self.held_out) and self.validate(learner, theta) > self.validate(learner, best):
            theta = best
        return state.structure, theta

    def bpd(self, circuit: Circuit, x: NDArray[np.uint16]) -> float:
        """Bits per dimension of signals under the quantised circuit; NaN for none."""
        if not len(x):
            return float("nan")
        bits = float(-circuit.log2_likelihood(x, threads=self.threads).mean())
        return bits / int(x.shape[1])

    def _em_step(
        self,
        learner: Learner,
        structure: TreeStructure,
        theta: Parameters,
        statistics: Parameters,
        x: NDArray[np.uint16],
        rate: float,
        sums: Any,
    ) -> float:
        """One stepwise EM step in place. Returns the sum over signals of bits per dimension."""
        tile = _tile(structure)
        ll, sums = learner.expectation(theta.arrays, x, tile=tile, threads=self.threads, out=sums)
        for name, count in zip(FIELDS, sums, strict=True):
            maximisation(
                getattr(theta, name),
                getattr(statistics, name),
                count,
                structure.row_offsets[name],
                rate=rate,
                scale=1 / len(x),
                pseudocount=self.recipe.pseudocount / len(self.train),
                threads=self.threads,
            )
        return -float(ll.sum()) / (LN2 * int(x.shape[1]))

    def validate(self, learner: Learner, theta: Parameters) -> float:
        """Bits per dimension of the held-out signals under float32 parameters; NaN for none."""
        if not len(self.held_out):
            return float("nan")
        ll = learner.log_likelihood(theta.arrays, self.held_out, threads=self.threads)
        return -float(ll.mean()) / (LN2 * int(self.held_out.shape[1]))

    def _tell(
        self, state: Checkpoint, batch: int, batches: int, train_bpd: float, bpd: float, done: bool
    ) -> None:
        if self.report is None:
            return
        spent = sum(self.costs[: state.epoch]) + self.costs[state.epoch] * batch / batches
        self.report(
            Progress(
                state.epoch + done,
                self.recipe.epochs,
                spent / sum(self.costs),
                int(state.structure.states.max()),
                train_bpd,
                bpd,
                done,
            )
        )


def _batches(order: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    """Mini-batches of just `size` signals, which fill the kernel's tiles; the last is up to half larger or smaller."""
    count = max(1, round(len(order) / size))
    return np.split(order, [size * i for i in range(1, count)])


def _tile(structure: TreeStructure) -> int:
    """Signals whose messages are worked on together: enough to reuse each transition, few enough for the caches."""
    return 128 if structure.states.max() >= 96 else 64
