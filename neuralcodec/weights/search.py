"""The step of a lossy file: found so that the file reaches a signal-to-noise ratio or a size."""

import math
from collections.abc import Callable

from neuralcodec.errors import UnsupportedInput

# What dependent quantisation gains over the lattice of each state (Ungerboeck's codes), as a factor of the error.
GAIN = {0: 1.0, 2: 1.256, 3: 1.285, 4: 1.303, 5: 1.322, 6: 1.337, 7: 1.35, 8: 1.359}
TRIALS = 12
Noise = Callable[[float], tuple[float, float]]


def expected_step(noise: float, trellis: int) -> float:
    """Return the step at which levels have a mean squared error, where they are many.

    >>> round(expected_step(1 / 12, 0), 3), round(expected_step(1 / 3 / 1.285, 3), 3)
    (1.0, 1.0)
    """
    return math.sqrt(noise * GAIN[trellis] * (3 if trellis else 12))


def step_for_noise(
    wanted: float, trellis: int, measure: Noise, *, slack: float, first: float | None = None
) -> float:
    """Return a step whose mean squared error is at most `wanted`, and not below it by more than `slack`.

    Parameters
    ----------
    wanted
        Mean squared error.
    measure
        Returns, for a step, the sum of squared errors and the number of elements.
    slack
        As a part of the error.
    first
        Where to start; None takes the step of :func:`expected_step`.
    """
    step = expected_step(wanted, trellis) if first is None else first
    best, slope = 0.0, 2.0  # of the logarithm of the error against that of the step
    before: tuple[float, float] | None = None
    for _ in range(TRIALS):
        noise, count = measure(step)
        mean = noise / count
        if mean <= wanted:
            best = max(best, step)
            if mean >= wanted * (1 - slack):
                break
        at = math.log(step), math.log(max(mean, wanted * 1e-12))
        if before is not None and abs(at[0] - before[0]) > 1e-9:
            slope = min(max((at[1] - before[1]) / (at[0] - before[0]), 0.3), 4.0)
        before = at
        # the middle of what is allowed
        step = math.exp(at[0] + (math.log(wanted * (1 - slack / 2)) - at[1]) / slope)
    if not best:
        raise UnsupportedInput(
            "no step reaches the signal-to-noise ratio asked for: code without loss instead"
        )
    return best


def step_for_size(wanted: float, step: float, size: Callable[[float], float], per_octave: float) -> float:
    """Return a step at which a file has at most `wanted` bytes, and hardly fewer.

    Parameters
    ----------
    step
        Where to start.
    size
        Returns the size for a step.
    per_octave
        Bytes that are saved by twice the step, where levels are many.
    """
    best, slope = 0.0, per_octave
    before: tuple[float, float] | None = None
    for _ in range(TRIALS):
        found = size(step)
        if found <= wanted and (not best or step < best):
            best = step
            if found >= wanted * 0.998:
                break
        at = math.log2(step), found
        if before is not None and abs(at[0] - before[0]) > 1e-6:
            steepness = (before[1] - at[1]) / (at[0] - before[0])
            slope = min(max(steepness, per_octave / 50), per_octave * 1.5)
        before = at
        step = 2.0 ** (at[0] + max(-8.0, min(8.0, (found - wanted * 0.9992) / slope)))
    if not best:
        raise UnsupportedInput(
            f"the file cannot be as small as {wanted:.0f} bytes: what is coded exactly, and the names, take more"
        )
    return best
