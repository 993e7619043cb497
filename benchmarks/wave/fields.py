"""The data set: what moves on an edge of the square, and the fields that follow on a zone of interest.

The left edge moves by a sum of pulses, the other edges stand still, all is at rest at the start. A surrogate sees the
displacement of the left edge over place and time, the latest first, and tells the fields on a square zone at four
times. Waves of speed 1 lie in the zone as they left the edge: what is seen and told have the same steps of 1/63.
"""

from pathlib import Path

import numpy as np
from fem import Array, WaveEquation
from numpy.typing import NDArray

SEEN, SIZE = 64, 32  # samples along each side of what is seen, and told
TIMES = (0.7, 0.8, 0.9, 1.0)
CELLS, STEP = 32, 0.005
ZONE = (16 / 63, 47 / 63)  # both coordinates
PULSES, MODES = 4, 4
AT_ONCE = 100
Fields = NDArray[np.float32]


class Pulses:
    """Displacements `sum_j a_j sin(k_j pi y) exp(-((t - t_j) / w_j)^2)` of the left edge, for many problems.

    Parameters
    ----------
    count
        Number of problems.
    """

    def __init__(self, count: int, rng: np.random.Generator) -> None:
        shape = (PULSES, 1, count)
        self.height = rng.standard_normal(shape)
        self.mode = rng.integers(1, MODES + 1, shape)
        self.centre, self.width = rng.uniform(0.2, 0.7, shape), rng.uniform(0.05, 0.1, shape)

    def __call__(self, y: Array, time: float) -> tuple[Array, Array]:
        """`(places, problems)`: displacement, and its second derivative in time."""
        form = self.height * np.sin(self.mode * np.pi * y[None, :, None])
        gone = (time - self.centre) / self.width
        bell = np.exp(-(gone**2))
        return (form * bell).sum(0), (form * bell * (4 * gone**2 - 2) / self.width**2).sum(0)


def solved(count: int, seed: int) -> tuple[Fields, Fields]:
    """What is seen `(count, 1, SEEN, SEEN)`, places by times from the last; and told `(count, times, SIZE, SIZE)`."""
    model = WaveEquation(CELLS, STEP)
    ex, ey = model.nodes[:, model.edge]
    left = (ex == 0)[:, None]
    line = np.linspace(*ZONE, SIZE)
    y, x = (part.ravel() for part in np.meshgrid(line, line, indexing="ij"))
    look = model.at(x, y)
    seen_at, marks = np.linspace(TIMES[-1], 0, SEEN), [round(time / STEP) for time in TIMES]
    seen = np.zeros((count, 1, SEEN, SEEN), np.float32)
    told = np.zeros((count, len(TIMES), SIZE, SIZE), np.float32)
    for first in range(0, count, AT_ONCE):
        some = slice(first, min(first + AT_ONCE, count))
        number = some.stop - first
        pulses = Pulses(number, np.random.default_rng((seed, first)))

        def edge(time: float, pulses: Pulses = pulses) -> tuple[Array, Array]:
            moved, pushed = pulses(ey, time)
            return moved * left, pushed * left

        for place, time in enumerate(seen_at):
            seen[some, 0, :, place] = pulses(np.linspace(0, 1, SEEN), time)[0].T
        rest = np.zeros((model.basis.N, number))
        for step, u in enumerate(model.march(edge, rest, rest, marks[-1])):
            if step in marks:
                told[some, marks.index(step)] = look(u).T.reshape(number, SIZE, SIZE)
    return seen, told


def kept(folder: Path, name: str, count: int, seed: int) -> tuple[Fields, Fields]:
    """The same, from a file that is written if it is not there."""
    path = folder / f"{name}-{count}-{seed}.npz"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        seen, told = solved(count, seed)
        half = path.with_suffix(".half.npz")
        np.savez(half, seen=seen, told=told)
        half.replace(path)
    with np.load(path) as file:
        return file["seen"], file["told"]
