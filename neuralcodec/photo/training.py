"""Learning the networks of photographs: the mean code length of random samples, by SOAP."""

import hashlib
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from neuralcodec.container.files import atomic_file
from neuralcodec.errors import UnsupportedInput
from neuralcodec.native import thread_count
from neuralcodec.photo.context import PLANES
from neuralcodec.photo.model import PhotoModel
from neuralcodec.photo.network import PlaneNetwork, Sizes, code_length, context_of
from neuralcodec.photo.pool import RUN, Pool, augmented
from neuralcodec.photo.quantise import quantised
from neuralcodec.photo.soap import Soap

OPTIMISER = "soap"
"""What the states of checkpoints belong to: they are of no use to another."""

WARM_UP = 100
LEAST_SIDE = 2 * RUN
HELD_OUT_SAMPLES = 2**18
CHUNK = 2**14
CHECKPOINT_SECONDS = 30.0
Image = NDArray[Any]


@dataclass(frozen=True)
class Recipe:
    """How networks are learned.

    Attributes
    ----------
    sizes
        Of the networks.
    steps
        Mini-batches for each plane.
    batch
        Samples in one, a multiple of 16.
    rate
        Step size at the start; it falls to 0.
    variants
        How many augmented variants of each image are learned from beside the image itself.
    validation
        Images held out; below 1 a fraction of them.
    seed
        Of the random numbers.
    """

    sizes: Sizes = field(default_factory=Sizes)
    steps: int = 20_000
    batch: int = 8192
    rate: float = 1e-2
    variants: int = 2
    validation: float = 0.05
    seed: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Progress:
    """Where a run is: the plane, the step, and the bits per sample since the last report."""

    plane: int
    planes: int
    step: int
    steps: int
    bits: float

    @property
    def fraction(self) -> float:
        """How much of the run is done."""
        return (self.plane + self.step / self.steps) / self.planes


def checked_images(images: Sequence[NDArray[Any]]) -> list[Image]:
    """Return images as (H, W, 3), or (H, W, 1) if all are gray.

    Raises
    ------
    UnsupportedInput
        If one is not of 8 or 16 bits, has other bits or channels than the first, is smaller than 32 x 32, or there
        are none.
    """
    if not images:
        raise UnsupportedInput("there are no images to learn from")
    found: list[Image] = []
    for number, image in enumerate(images):
        volume = image[:, :, None] if image.ndim == 2 else image
        if image.dtype not in (np.uint8, np.uint16) or volume.ndim != 3 or volume.shape[2] not in (1, 3):
            raise UnsupportedInput(
                f"image {number} is a {image.dtype} array of shape {image.shape}: networks of photographs learn "
                "from gray or RGB images of 8 or 16 bits"
            )
        if found and image.dtype != found[0].dtype:
            raise UnsupportedInput(
                f"image {number} has {8 * image.itemsize} bits, the first {8 * found[0].itemsize}: learn from one kind"
            )
        if min(volume.shape[:2]) < LEAST_SIDE:
            raise UnsupportedInput(
                f"image {number} is {volume.shape[1]}x{volume.shape[0]}; the least is {LEAST_SIDE} each way"
            )
        if found and volume.shape[2] != found[0].shape[2]:
            raise UnsupportedInput(
                f"image {number} has {volume.shape[2]} channels, the first {found[0].shape[2]}: convert them to "
                "one kind, or ask for gray"
            )
        found.append(np.ascontiguousarray(volume))
    return found


def split(images: list[Image], recipe: Recipe) -> tuple[list[Image], list[Image]]:
    """Return the images to learn from, and those held out."""
    count = recipe.validation if recipe.validation >= 1 else recipe.validation * len(images)
    count = min(round(count), len(images) - 1)
    order = np.random.default_rng(recipe.seed).permutation(len(images))
    return [images[i] for i in order[count:]], [images[i] for i in order[:count]]


def pool_of(images: list[Image], recipe: Recipe) -> Pool:
    """Return the images and their variants, to draw from."""
    rng = np.random.default_rng(recipe.seed + 1)
    variants = [augmented(image, rng) for _ in range(recipe.variants) for image in images]
    return Pool([*images, *variants], fitted=recipe.sizes.fitted)


class PlaneRun:
    """The learning of one plane's network, which can stop and go on.

    Parameters
    ----------
    pool
        What is learned from.
    plane
        Number in the order of coding.
    recipe
        How.

    Attributes
    ----------
    network
        What is learned.
    step, last
        Mini-batches taken, and how many there will be in all: `last` may be lowered where time is short.
    """

    def __init__(self, pool: Pool, plane: int, recipe: Recipe) -> None:
        torch.manual_seed(recipe.seed + plane)
        self.pool, self.plane, self.recipe = pool, plane, recipe
        self.network = PlaneNetwork(plane, recipe.sizes)
        self.step, self.last = 0, recipe.steps
        self._optimiser = Soap(self.network.parameters(), lr=recipe.rate)
        self._generator = torch.Generator().manual_seed(recipe.seed + 100 + plane)

    def advance(self, steps: int) -> float:
        """Take steps; return the mean bits per sample of their batches."""
        total, recipe = 0.0, self.recipe
        for _ in range(steps):
            rate = recipe.rate * min(1.0, (self.step + 1) / WARM_UP) * (1 - self.step / self.last)
            for group in self._optimiser.param_groups:
                group["lr"] = rate
            loss = self.loss(*self.pool.draw(recipe.batch, self.plane, self._generator))
            self._optimiser.zero_grad(set_to_none=True)
            loss.backward()
            self._optimiser.step()
            total += float(loss.detach())
            self.step += 1
        return total / max(1, steps)

    def loss(self, neighbours: torch.Tensor, fitted: torch.Tensor, samples: torch.Tensor) -> torch.Tensor:
        """Return the mean bits of samples after their neighbours."""
        mixture = self.network(context_of(neighbours, fitted, self.plane))
        return code_length(mixture, samples, self.pool.depth).mean()

    def state(self) -> dict[str, Any]:
        """Return all that :meth:`restore` needs."""
        return {
            "network": self.network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "generator": self._generator.get_state(),
            "step": self.step,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self.network.load_state_dict(state["network"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._generator.set_state(state["generator"])
        self.step = int(state["step"])


class Checkpoint:
    """Keeps the states of a run's planes in a file, which is only replaced by a whole one.

    Parameters
    ----------
    path
        The file.
    recipe, planes, depth
        Of the run, and of its images: a file of another run is refused.
    resume
        Whether to read what is there.

    Raises
    ------
    UnsupportedInput
        The file to go on from is no checkpoint, or that of another run.
    """

    def __init__(
        self, path: str | os.PathLike[str] | None, recipe: Recipe, planes: int, depth: int, resume: bool
    ) -> None:
        self.path, self._since = path, time.monotonic()
        self._key = hashlib.sha256(f"{OPTIMISER} {recipe.to_json()} {planes} {depth}".encode()).hexdigest()
        self.states: dict[int, Any] = {}
        if resume and path is not None and os.path.exists(path):
            self.states = self._read(os.fspath(path))

    def _read(self, path: str) -> dict[int, Any]:
        try:
            found = torch.load(path, weights_only=True)
            key, states = found["key"], dict(found["states"])
        except Exception as error:  # torch.load raises nearly anything
            raise UnsupportedInput(f"{path} is not the checkpoint of a training ({error})") from None
        if key != self._key:
            raise UnsupportedInput(
                f"{path} belongs to a training with other settings; name another checkpoint, or leave out --resume"
            )
        return states

    def keep(self, run: PlaneRun, *, now: bool = False) -> None:
        """Write the state of a plane, if the last writing is old enough or it must be."""
        if self.path is None or not (now or time.monotonic() - self._since >= CHECKPOINT_SECONDS):
            return
        self.states[run.plane] = run.state()
        with atomic_file(self.path) as file:
            torch.save({"key": self._key, "states": self.states}, file)
        self._since = time.monotonic()


def bits_of(run: PlaneRun, pool: Pool) -> float:
    """Return the mean bits per sample of a plane over random samples of images."""
    count = HELD_OUT_SAMPLES // CHUNK
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        parts = [float(run.loss(*pool.draw(CHUNK, run.plane, generator))) for _ in range(count)]
    return math.fsum(parts) / count


def train(
    images: Sequence[NDArray[Any]],
    recipe: Recipe,
    *,
    header: Mapping[str, Any] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    every: int = 100,
    threads: int | None = None,
    report: Callable[[Progress], None] | None = None,
) -> PhotoModel:
    """Learn a model of photographs.

    Parameters
    ----------
    images
        Arrays (H, W, 3), or (H, W) for a model of gray images, all of uint8 or all of uint16.
    recipe
        How.
    header
        Of the model; recipe and figures are added.
    checkpoint, resume
        Where the state of the run is kept, and whether to go on from it if it is there.
    every
        Steps between reports.
    threads
        Of torch.
    report
        Told how far the run is.

    Raises
    ------
    UnsupportedInput
        For images that cannot be learned from (:func:`checked_images`), and checkpoints of other runs.
    """
    torch.set_num_threads(thread_count(threads))
    learned, others = split(checked_images(images), recipe)
    planes = min(PLANES, learned[0].shape[2])
    pool = pool_of(learned, recipe)
    kept = Checkpoint(checkpoint, recipe, planes, pool.depth, resume)
    held_out = Pool(others, fitted=recipe.sizes.fitted) if others else None
    runs = []
    for plane in range(planes):
        run = PlaneRun(pool, plane, recipe)
        if plane in kept.states:
            run.restore(kept.states[plane])
        learn(run, planes, kept, every, report)
        runs.append(run)
    figures = {"training_bpd": round(float(np.mean([bits_of(run, pool) for run in runs])), 4)}
    if held_out is not None:
        figures["validation_bpd"] = round(float(np.mean([bits_of(run, held_out) for run in runs])), 4)
    facts = {**(header or {}), "recipe": recipe.to_json(), "figures": figures}
    return PhotoModel([quantised(run.network) for run in runs], facts)


def learn(
    run: PlaneRun,
    planes: int,
    kept: Checkpoint,
    every: int,
    report: Callable[[Progress], None] | None = None,
) -> None:
    """Take the steps that a plane's run has left."""
    while run.step < run.last:
        bits = run.advance(min(every, run.last - run.step))
        kept.keep(run, now=run.step == run.last)
        if report is not None:
            report(Progress(run.plane, planes, run.step, run.last, bits))
