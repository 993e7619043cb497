"""The encoder: posteriors of signals' latents, and their blocks coded one after the other.

Every signal starts at the prior. First all latents' posteriors are optimised, with the weight of each block's
divergence steered until the block takes its bits; then, in rounds, the blocks of largest divergence are coded, their
latents stay at the samples that their indices stand for, and the rest is optimised further (RECOMBINER,
arXiv:2309.17182, section 3.3 and appendix; COMBINER, arXiv:2305.19185).
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuralcodec.entropy.relative import encode_blocks
from neuralcodec.native import thread_count
from neuralcodec.recombiner.model import Representation
from neuralcodec.recombiner.network import Network
from neuralcodec.recombiner.partition import Partition
from neuralcodec.recombiner.posterior import NATS_PER_BIT, Target, divergence, errors
from neuralcodec.recombiner.resuming import Checkpoint

LOG_DEVIATION = -0.5
MEMORY = (0.9, 0.99)
TINY = 1e-12
STEER_EVERY = 5
OPEN = -1
"""The turn of a block that is not coded."""


@dataclass(frozen=True)
class Preset:
    """How much work the encoder puts into a signal.

    Attributes
    ----------
    steps
        Of optimising all latents, before the first block is coded.
    rounds
        In which the blocks of a level are coded, at most: one block at a time is the most careful.
    refining
        Steps of optimising what is left between the rounds, in all of a pass.
    samples
        Of the posterior, averaged in each step.
    rate
        Step size of Adam at the start; it falls linearly to a tenth.
    passes
        How often each block is coded; later passes open some blocks again, with all others as coded.
    steer
        Largest relative change of a block's weight at a time.
    fill
        Divergence that blocks are steered to, relative to the bits of an index.
    weight
        Of the arrivals, see :func:`neuralcodec.entropy.relative.encode_blocks`.
    """

    steps: int
    rounds: int
    refining: int
    samples: int = 1
    passes: int = 1
    rate: float = 2e-2
    steer: float = 0.05
    fill: float = 1.0
    weight: float = 0.0


class Level:
    """Posteriors of the units of one level, and which of their latents are coded already."""

    def __init__(self, partition: Partition, signals: int, units: int, beta: float) -> None:
        n = partition.latents
        self.partition, self.signals, self.units = partition, signals, units
        shape = (signals * units, n)
        self.mean = torch.zeros(shape, requires_grad=True)
        self.spread = torch.full(shape, LOG_DEVIATION, requires_grad=True)
        self.fixed = torch.zeros(shape)
        self.free = torch.ones(shape)
        self.moments = [torch.zeros(shape) for _ in range(4)]
        self.block_of = torch.from_numpy(partition.block_of())
        self.log_beta = torch.full((signals * units, partition.blocks), math.log(beta))
        self.turn = torch.full((signals * units, partition.blocks), OPEN)
        self.indices = np.zeros((signals * units, partition.blocks), np.uint32)
        self.to_rows, self.from_rows = self._orders()
        self.weight = self._weights()

    def _orders(self) -> tuple[Tensor | None, Tensor | None]:
        """Return, for each place of all rows, its unit, and for each latent of all units, its row."""
        if self.units == 1:
            return None, None
        one = self.partition.rows(self.units)
        back = np.argsort(one, axis=0)
        shift = np.arange(self.signals)[:, None, None] * self.units
        both = [torch.from_numpy((order[None] + shift).reshape(-1, one.shape[1])) for order in (one, back)]
        return both[0], both[1]

    def rows(self, x: Tensor) -> Tensor:
        """Return latents of units as rows."""
        return x if self.to_rows is None else x.gather(0, self.to_rows)

    def of_rows(self, x: Tensor) -> Tensor:
        """Return latents of rows as units."""
        return x if self.from_rows is None else x.gather(0, self.from_rows)

    def _weights(self) -> Tensor:
        return self.of_rows(self.log_beta.exp()[:, self.block_of])

    def block_bits(self) -> Tensor:
        """Return the divergence of each block, (rows, blocks), in bits."""
        kl = self.rows(divergence(self.mean.detach(), self.spread.detach()))
        bits = torch.zeros(len(kl), self.partition.blocks).index_add_(1, self.block_of, kl)
        return bits / NATS_PER_BIT

    def steer(self, budget: float, most: float) -> None:
        """Raise or lower the weights of open blocks whose divergence is above or below the budget."""
        excess = self.block_bits() / budget - 1
        self.log_beta += (excess * 0.5).clamp(-most, most) * (self.turn == OPEN)
        self.weight = self._weights()

    def weight_all(self, log_beta: float) -> None:
        """Give all blocks the same weight."""
        self.log_beta.fill_(log_beta)
        self.weight = self._weights()

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Return latents: drawn where they are free, as coded where not."""
        noise = torch.randn(self.mean.shape, generator=generator)
        return torch.addcmul(self.fixed, self.free, torch.addcmul(self.mean, self.spread.exp(), noise))

    def cost(self) -> Tensor:
        """Return the weighted divergence of all that is free."""
        return (self.weight * self.free * divergence(self.mean, self.spread)).sum()

    def forget(self) -> None:
        """Begin Adam anew."""
        for moment in self.moments:
            moment.zero_()

    def update(self, rate: float, step: int) -> None:
        """Take a step of Adam (arXiv:1412.6980) by the gradients of means and spreads; step counts from 1."""
        a, b = MEMORY
        for number, x in enumerate((self.mean, self.spread)):
            first, second = self.moments[2 * number : 2 * number + 2]
            assert x.grad is not None
            first.lerp_(x.grad, 1 - a)
            second.mul_(b).addcmul_(x.grad, x.grad, value=1 - b)
            size = rate * math.sqrt(1 - b**step) / (1 - a**step)
            with torch.no_grad():
                x.addcdiv_(first, second.sqrt().add_(TINY), value=-size)
            x.grad = None

    def reopen(self, turn: int) -> None:
        """Let the blocks that were coded in a turn move again, from where their posteriors were."""
        opened = self.of_rows((self.turn == turn)[:, self.block_of].float())
        self.free = torch.maximum(self.free, opened)
        self.fixed = self.fixed * (1 - opened)
        self.turn[self.turn == turn] = OPEN

    def state(self) -> dict[str, Any]:
        """Return all that changes."""
        names = ("mean", "spread", "fixed", "free", "log_beta", "turn")
        found = {name: getattr(self, name).detach().clone() for name in names}
        return {**found, "moments": self.moments, "indices": torch.from_numpy(self.indices.astype(np.int64))}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Set what :meth:`state` returned."""
        with torch.no_grad():
            self.mean.copy_(state["mean"])
            self.spread.copy_(state["spread"])
        for name in ("fixed", "free", "log_beta", "turn", "moments"):
            setattr(self, name, state[name])
        self.indices = state["indices"].numpy().astype(np.uint32)
        self.weight = self._weights()

    def code(self, count: int, turn: int, model: Representation, weight: float, threads: int | None) -> None:
        """Code, in a turn, the `count` open blocks of largest divergence of each row: their latents stay as coded."""
        ranks = self.block_bits().masked_fill(self.turn != OPEN, -1.0)
        count = min(count, int((self.turn[0] == OPEN).sum()))
        chosen = ranks.topk(count, dim=1).indices
        rows = torch.arange(len(chosen)).repeat_interleave(count).numpy()
        numbers = chosen.reshape(-1).numpy()
        blocks = self.partition.of_rows(rows, numbers, self.units)
        mean = self.rows(self.mean.detach()).reshape(-1).numpy()
        spread = self.rows(self.spread.detach().exp()).reshape(-1).numpy()
        prior = np.zeros(len(mean)), np.ones(len(mean))
        indices, samples = encode_blocks(
            mean, spread, *prior, blocks, bits=model.bits, seed=model.seed, weight=weight, threads=threads
        )
        self.indices[rows, numbers] = indices
        self.turn[torch.from_numpy(rows), torch.from_numpy(numbers)] = turn
        fixed, free = self.rows(self.fixed).reshape(-1), self.rows(self.free).reshape(-1)
        members = torch.from_numpy(blocks.members.copy())
        fixed, free = fixed.clone(), free.clone()
        fixed[members] = torch.from_numpy(samples)
        free[members] = 0.0
        self.fixed = self.of_rows(fixed.reshape(self.fixed.shape))
        self.free = self.of_rows(free.reshape(self.free.shape))


@dataclass(frozen=True)
class Stage:
    """Steps of optimising, then some blocks of a level that are coded in a turn; `reopened` if they were before."""

    steps: int
    level: Level
    turn: int
    reopened: bool


class Encoder:
    """Encodes a batch of signals of one shape.

    Parameters
    ----------
    network
        Of the model, as the decoder has it; it stays as it is.
    model
        Blocks, bits, seed and rate.
    target
        The signals.
    preset
        How much work to put in.
    number
        Of the batch: its random numbers depend on it.
    threads
        Of the native kernels.
    seconds
        Time limit: where it is short, fewer steps are taken. All blocks are coded, whatever it takes.
    checkpoint
        Where the state is kept, and what it begins with.
    """

    def __init__(
        self,
        network: Network,
        model: Representation,
        target: Target,
        preset: Preset,
        *,
        number: int = 0,
        threads: int | None = None,
        seconds: float | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        self.network, self.model, self.target, self.preset = network, model, target, preset
        self.threads = threads
        beta = model.beta / math.prod(target.counts)
        self.levels = [
            Level(partition, target.signals, int(unit.max() + 1) // target.signals, beta)
            for partition, unit in zip(model.partitions, target.units, strict=True)
        ]
        self.generator = torch.Generator().manual_seed(number)
        self._stage, self._opened, self._done, self._step = 0, -1, 0.0, 0
        self._last = time.monotonic()
        self._deadline = None if seconds is None else self._last + seconds
        self._step_seconds, self._coding = 0.0, 0.0
        self._checkpoint = checkpoint
        if checkpoint is not None and checkpoint.state is not None:
            self._restore(checkpoint.state)
        elif seconds is not None:
            self._coding = self._trial()

    def run(self, report: Callable[[float], None] | None = None) -> list[NDArray[np.uint32]]:
        """Return the indices of each level, (rows, blocks)."""
        plan = self._plan()
        total = sum(stage.steps for stage in plan)
        while self._stage < len(plan):
            stage = plan[self._stage]
            until = sum(one.steps for one in plan[: self._stage + 1])
            if self._opened < self._stage:
                if stage.reopened:
                    stage.level.reopen(stage.turn)
                self._opened = self._stage
            while self._done < until:
                self._advance(self.preset.rate * (1 - 0.9 * self._done / total))
                self._done = min(until, self._done + self._pace(total))
                if report is not None:
                    report(self._done / total)
                if self._checkpoint is not None:
                    self._checkpoint.offer(self._state)
            start = time.monotonic()
            stage.level.code(
                self._portion(stage.level), stage.turn, self.model, self.preset.weight, self.threads
            )
            self._coding = time.monotonic() - start
            self._stage += 1
        return [level.indices for level in self.levels]

    def _plan(self) -> list["Stage"]:
        """Return what is done one after the other."""
        preset = self.preset
        rounds = [(level, turn) for level in reversed(self.levels) for turn in range(self._turns(level))]
        between = max(1, preset.refining // len(rounds))
        stages = [
            Stage(between, level, turn, number > 0)
            for number in range(preset.passes)
            for level, turn in rounds
        ]
        stages[0] = replace(stages[0], steps=preset.steps)
        return stages

    def _pace(self, total: float) -> float:
        """Return how many planned steps the next one stands for, so that the time limit is met."""
        if self._deadline is None:
            return 1.0
        now = time.monotonic()
        seconds, self._last = now - self._last, now
        self._step_seconds = seconds if self._step == 1 else 0.8 * self._step_seconds + 0.2 * seconds
        rounds = sum(self._turns(level) for level in self.levels) * self.preset.passes - self._stage
        left = self._deadline - now - rounds * self._coding
        return max(1.0, (total - self._done) * self._step_seconds / max(left, 1e-3))

    def _state(self) -> dict[str, Any]:
        """Return all that changes, for a checkpoint."""
        return {
            "numbers": [self._stage, self._opened, self._done, self._step],
            "generator": self.generator.get_state(),
            "levels": [level.state() for level in self.levels],
        }

    def _restore(self, state: Mapping[str, Any]) -> None:
        self._stage, self._opened, self._done, self._step = state["numbers"]
        self.generator.set_state(state["generator"])
        for level, one in zip(self.levels, state["levels"], strict=True):
            level.restore(one)

    def _trial(self) -> float:
        """Return how many seconds coding takes a round, about, by coding a block."""
        start = time.monotonic()
        partition, mean = self.levels[0].partition, np.zeros(self.levels[0].mean.numel(), np.float32)
        ones, row = np.ones(len(mean), np.float32), np.zeros(1, np.int64)
        blocks = partition.of_rows(row, row, self.levels[0].units)
        encode_blocks(mean, ones, mean, ones, blocks, bits=self.model.bits, seed=self.model.seed, threads=1)
        latents = sum(level.free.numel() for level in self.levels)
        rounds = sum(self._turns(level) for level in self.levels)
        workers = thread_count(self.threads)
        seconds = time.monotonic() - start
        return float(seconds * latents / max(1, len(blocks.members)) / workers / rounds)

    def _portion(self, level: Level) -> int:
        """Return how many blocks of a row are coded in a turn."""
        return -(-level.partition.blocks // self.preset.rounds)

    def _turns(self, level: Level) -> int:
        return -(-level.partition.blocks // self._portion(level))

    def _advance(self, rate: float) -> None:
        for _ in range(self.preset.samples):
            latents = [level.sample(self.generator) for level in self.levels]
            error = errors(self.network, latents, self.target).sum() / self.preset.samples
            error.backward()
        cost = sum(level.cost() for level in self.levels)
        torch.as_tensor(cost).backward()
        self._step += 1
        for level in self.levels:
            level.update(rate, self._step)
            if self._step % STEER_EVERY == 0:
                level.steer(self.preset.fill * self.model.bits, self.preset.steer)
