"""Encoding many signals: presets, and batches that run side by side."""

import math
from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from threading import Event, Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from neuralcodec.container.signal import SignalType
from neuralcodec.errors import UnsupportedInput
from neuralcodec.native import thread_count
from neuralcodec.recombiner.cutting import Cutting
from neuralcodec.recombiner.encoding import Encoder, Preset
from neuralcodec.recombiner.finishing import network_of
from neuralcodec.recombiner.model import Representation
from neuralcodec.recombiner.posterior import Target
from neuralcodec.recombiner.resuming import Checkpoint

PRESETS = {
    "fast": Preset(steps=400, rounds=8, refining=120, rate=6e-2, fill=0.85),
    "medium": Preset(steps=700, rounds=20, refining=600, rate=5e-2, fill=0.85),
    "slow": Preset(steps=3000, rounds=40, refining=4000, passes=2, rate=3e-2, fill=0.85),
    "reference": Preset(steps=30_000, rounds=100_000, refining=30_000, samples=5, rate=2e-3),
}
"""`reference` has the steps and samples of the paper; its step size is for latents of deviation 1."""

DEFAULT_PRESET = "medium"
BATCH_PATCHES = 32
_lock = Lock()


def preset_named(name: str | None) -> Preset:
    """Return a preset by name; :class:`UnsupportedInput` if there is none."""
    preset = PRESETS.get(DEFAULT_PRESET if name is None else name)
    if preset is None:
        raise UnsupportedInput(f"recombiner has no preset {name!r}; its presets are {', '.join(PRESETS)}")
    return preset


def encode_signals(
    model: Representation,
    cutting: Cutting,
    signals: NDArray[Any],
    preset: str | None,
    threads: int | None,
    report: Callable[[float], None] | None = None,
    *,
    seconds: float | None = None,
    checkpoint: str | None = None,
    resume: bool = False,
) -> list[NDArray[np.uint32]]:
    """Return the indices of each level, (rows of all signals, blocks), of (n, *shape) signals.

    Signals are encoded in batches of a fixed size, whatever the threads, which do not change the result.

    Raises
    ------
    UnsupportedInput
        A checkpoint that belongs to another encoding, or is asked for with many signals.
    """
    chosen = preset_named(preset)
    counts = cutting.counts(SignalType(signals.shape[1:], signals.dtype))
    per = max(1, BATCH_PATCHES // math.prod(counts))
    starts = range(0, len(signals), per)
    workers = min(thread_count(threads), len(starts))
    inner = max(1, thread_count(threads) // workers)
    each = None if seconds is None else seconds * workers / len(starts)
    kept = None if checkpoint is None else _kept(checkpoint, model, signals, preset, resume)
    done, stopped = np.zeros(len(starts)), Event()

    def encode(number: int) -> list[NDArray[np.uint32]]:
        start = starts[number]

        def advance(fraction: float) -> None:
            if stopped.is_set():
                raise CancelledError
            done[number] = fraction
            if report is not None:
                report(float(done.mean()))

        patches = torch.from_numpy(cutting.patches(signals[start : start + per], model.low, model.high))
        target = Target.of(patches, counts, model.layout)
        network = network_of(model, inner)
        network.low_precision = True
        encoder = Encoder(
            network,
            model,
            target,
            chosen,
            number=start,
            threads=inner,
            seconds=each,
            checkpoint=kept,
        )
        return encoder.run(advance)

    with _lock:  # torch has one number of threads for all
        before = torch.get_num_threads()
        torch.set_num_threads(inner)
        try:
            with ThreadPoolExecutor(workers) as pool:
                try:
                    found = list(pool.map(encode, range(len(starts))))
                finally:
                    stopped.set()  # after an interrupt, threads end at their next step
        finally:
            torch.set_num_threads(before)
    if kept is not None:
        kept.remove()
    return [np.concatenate(parts) for parts in zip(*found, strict=True)]


def _kept(
    path: str, model: Representation, signals: NDArray[Any], preset: str | None, resume: bool
) -> Checkpoint:
    if len(signals) > 1:
        raise UnsupportedInput(
            "a checkpoint is kept of the encoding of one signal: encode the signals singly"
        )
    return Checkpoint(path, model.identity, signals, preset or DEFAULT_PRESET, resume=resume)
