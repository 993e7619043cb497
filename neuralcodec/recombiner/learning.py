"""Learning the prior: maps, base and encodings of a representation, together with an inference network.

The loss is RECOMBINER's (arXiv:2309.17182, equation 7): the mean over signals of the squared error plus beta times
the KL divergence of the posterior from the prior, with beta steered so that the divergence meets the budget. The
posteriors of a mini-batch come from an inference network instead of being kept for each training signal; it sees
every signal once an epoch, where optimised posteriors take thousands of visits.
"""

import json
import math
import os
import pickle
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from neuralcodec.container.files import atomic_file
from neuralcodec.errors import UnsupportedInput
from neuralcodec.recombiner import transform
from neuralcodec.recombiner.inference import InferenceNetwork, narrowed
from neuralcodec.recombiner.layout import Layout
from neuralcodec.recombiner.network import Network, cut
from neuralcodec.recombiner.posterior import NATS_PER_BIT, Target, divergence, errors

FIRST_BETA = 4e-6
"""Of a run that does not go on from another: about the slope of the rate-distortion curve at 0.7 bits a point."""

STEER = 0.01
CLIP = 0.05


@dataclass(frozen=True)
class Recipe:
    """How to learn a prior; the same data, recipe and thread count give the same model.

    Attributes
    ----------
    bits
        Budget: KL divergence of a patch in bits, with its share of its group's and its signal's.
    steps
        Mini-batches.
    batch
        Patches of a mini-batch.
    rate
        Step size of Adam at the start; it falls to a fiftieth along a cosine.
    map_rate, network_rate
        Step sizes of the linear maps of the latents, and of the other parameters of the model, relative to `rate`.
    width
        Channels of the inference network.
    mirror
        Whether signals are also seen mirrored along their second dimension.
    crop
        Patches of a crop of a signal along each dimension, for signals that are cut into patches.
    balance
        Power of the inverse of a signal's error that weighs it: with 0 the mean squared error falls, with 1 the mean
        of the PSNR rises. Files have one rate, whatever the signal, so that smooth ones should count for more.
    seed
        Of everything random.
    """

    bits: float
    steps: int = 30_000
    batch: int = 64
    rate: float = 2e-3
    map_rate: float = 0.1
    network_rate: float = 1.0
    width: int = 128
    mirror: bool = True
    crop: tuple[int, ...] = ()
    balance: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        checks = {
            "bits": 0 < self.bits < math.inf,
            "steps": self.steps >= 1,
            "batch": self.batch >= 1,
            "rate": 0 < self.rate < math.inf,
            "map_rate": 0 < self.map_rate < math.inf,
            "network_rate": 0 < self.network_rate < math.inf,
            "width": 16 <= self.width <= 1024,
            "balance": 0 <= self.balance <= 1,
        }
        for name, holds in checks.items():
            if not holds:
                raise UnsupportedInput(f"training recipe: {name} cannot be {getattr(self, name)!r}")

    def to_json(self) -> dict[str, Any]:
        """Return the recipe as the JSON object that the model's header keeps."""
        return asdict(self)


@dataclass(frozen=True)
class Progress:
    """State of a run: `step` of `steps`, and means since the last report."""

    step: int
    steps: int
    psnr: float
    bits: float
    beta: float
    seconds: float

    @property
    def fraction(self) -> float:
        """How much of the run is done."""
        return self.step / self.steps


class Sampler:
    """Draws mini-batches from training signals.

    Parameters
    ----------
    signals
        Arrays (*sides, channels) with samples of any real dtype; all of the layout's grid if it is whole.
    layout
        Of the representation.
    low, high
        Samples that become 0 and 1.
    """

    def __init__(self, signals: Sequence[NDArray[Any]], layout: Layout, low: float, high: float) -> None:
        self.signals, self.layout, self.low, self.high = signals, layout, low, high

    def draw(self, rng: np.random.Generator, recipe: "Recipe") -> tuple[torch.Tensor, tuple[int, ...]]:
        """Return signals (n, channels, *sides), from 0 to 1, and their patches along each dimension."""
        layout, d = self.layout, self.layout.dimensions
        counts = (1,) * d if layout.whole else recipe.crop or layout.group
        sides = [c * g for c, g in zip(counts, layout.grid, strict=True)]
        number = max(1, recipe.batch // math.prod(counts))
        parts = []
        for i in rng.integers(len(self.signals), size=number):
            x = self.signals[i]
            at = [int(rng.integers(a - b + 1)) for a, b in zip(x.shape, sides, strict=False)]
            x = x[tuple(slice(a, a + b) for a, b in zip(at, sides, strict=True))]
            if recipe.mirror and d == 2 and rng.integers(2):
                x = x[:, ::-1]
            parts.append(x)
        batch = (np.stack(parts).astype(np.float32) - np.float32(self.low)) / np.float32(self.high - self.low)
        return torch.from_numpy(np.ascontiguousarray(np.moveaxis(batch, -1, 1))), counts


class Run:
    """A training run, which can be saved and taken up again.

    Parameters
    ----------
    sampler
        Gives mini-batches.
    layout, recipe
        What is learned, and how.
    threads
        Of the native kernels.
    """

    def __init__(
        self, sampler: "Sampler", layout: Layout, recipe: Recipe, threads: int | None = None
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.sampler, self.layout, self.recipe = sampler, layout, recipe
        self.network = Network(layout, threads)
        self.network.low_precision = True
        self.inference = InferenceNetwork(layout, recipe.width)
        maps = list(self.network.maps)
        others = [p for n, p in self.network.named_parameters() if not n.startswith(("maps", "encoding_"))]
        groups = [
            {"params": list(self.inference.parameters()), "relative": 1.0},
            {"params": others, "relative": recipe.network_rate},
            {"params": maps, "relative": recipe.map_rate},
        ]
        self.network.encoding_mean.requires_grad_(False)
        self.network.encoding_scale.requires_grad_(False)
        self.optimiser = torch.optim.Adam(groups, recipe.rate, betas=(0.9, 0.99))
        self.step, self.log_beta = 0, math.log(FIRST_BETA)

    def train(
        self,
        *,
        report: Callable[[Progress], None] | None = None,
        every: int = 200,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> None:
        """Go on to the last step of the recipe, reporting and saving every so many steps."""
        start, since, sums = time.monotonic(), self.step, np.zeros(2)
        while self.step < self.recipe.steps:
            sums += self._advance()
            if self.step % every == 0 or self.step == self.recipe.steps:
                error, bits = sums / (self.step - since)
                if report is not None:
                    seconds = time.monotonic() - start
                    psnr = -10 * math.log10(error)
                    beta = math.exp(self.log_beta)
                    report(Progress(self.step, self.recipe.steps, psnr, bits, beta, seconds))
                if checkpoint is not None:
                    self.save(checkpoint)
                since, sums = self.step, np.zeros(2)

    def _advance(self) -> tuple[float, float]:
        """Take one step; return the mean squared error, and the divergence of a patch in bits."""
        recipe = self.recipe
        fraction = self.step / recipe.steps
        pace = min(1.0, (self.step + 1) / 200) * (0.49 * (1 + math.cos(math.pi * fraction)) + 0.02)
        for group in self.optimiser.param_groups:
            group["lr"] = recipe.rate * pace * group["relative"]
        # The generator is that of the step: a run that is taken up again draws what it would have drawn.
        torch.manual_seed((recipe.seed << 32) + self.step)
        x, counts = self.sampler.draw(np.random.default_rng((recipe.seed, self.step)), recipe)
        target = Target.of(cut(x, counts, self.layout.grid), counts, self.layout)
        latents, bits = [], torch.zeros(())
        for mean, log_deviation in self.inference(2 * x - 1, counts):
            spread = narrowed(log_deviation)
            latents.append(mean + spread.exp() * torch.randn_like(mean))
            bits = bits + divergence(mean, spread).sum() / (NATS_PER_BIT * len(target.samples))
        each = errors(self.network, latents, target)
        error = each.detach().mean()
        weighed = (each * (error / each.detach()) ** recipe.balance).mean()
        (weighed + math.exp(self.log_beta) * NATS_PER_BIT * bits).backward()
        parameters = [p for group in self.optimiser.param_groups for p in group["params"]]
        torch.nn.utils.clip_grad_norm_(parameters, CLIP)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.step += 1
        if self.step > 100:
            self.log_beta += STEER * max(-1.0, min(1.0, float(bits.detach()) / recipe.bits - 1))
        return float(error), float(bits.detach())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a checkpoint; an older one is replaced only when it is whole."""
        facts = {
            "recipe": self.recipe.to_json(),
            "layout": self.layout.to_row().ravel().tolist(),
            "step": self.step,
            "log_beta": self.log_beta,
        }
        state = {
            "facts": json.dumps(facts),
            "network": self.network.state_dict(),
            "inference": self.inference.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        with atomic_file(path) as file:
            torch.save(state, file)

    def resume(self, path: str | os.PathLike[str]) -> None:
        """Go on from a checkpoint of this recipe; :class:`UnsupportedInput` if it is another's."""
        state, facts = _read(path)
        recipe = json.loads(json.dumps(self.recipe.to_json()))
        changed = sorted(k for k, v in recipe.items() if facts["recipe"].get(k) != v)
        if facts["layout"] != self.layout.to_row().ravel().tolist():
            changed.append("layout")
        if changed:
            raise UnsupportedInput(
                f"{os.fspath(path)} belongs to a run with other settings ({', '.join(changed)}); "
                "use the same settings or another checkpoint"
            )
        self._load(state)
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.log_beta = facts["step"], facts["log_beta"]

    def start_from(self, path: str | os.PathLike[str]) -> None:
        """Start with the networks of another run, of a neighbouring rate, say."""
        state, facts = _read(path)
        if facts["layout"] != self.layout.to_row().ravel().tolist():
            raise UnsupportedInput(f"{os.fspath(path)} belongs to a representation of another layout")
        self._load(state)
        self.log_beta = facts["log_beta"]

    def start_from_transform(self) -> None:
        """Start as a transform codec, see :mod:`neuralcodec.recombiner.transform`."""
        low, span = self.sampler.low, self.sampler.high - self.sampler.low
        signals = [(x.astype(np.float32) - low) / span for x in self.sampler.signals]
        found = transform.fitted(signals, self.layout, self.recipe.bits, self.recipe.seed)
        transform.start(self.network, self.inference, found)
        self.log_beta = math.log(transform.first_beta(found, self.layout))

    def _load(self, state: Mapping[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.inference.load_state_dict(state["inference"])


def _read(path: str | os.PathLike[str]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    try:
        state = torch.load(path, weights_only=True)
        return state, json.loads(state["facts"])
    except (pickle.UnpicklingError, KeyError, ValueError, RuntimeError, EOFError) as error:
        raise UnsupportedInput(f"{os.fspath(path)} is not a training checkpoint: {error}") from None
