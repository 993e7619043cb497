"""Time of one EM epoch over 60,000 MNIST images at 64 states, as a multiple of the same multiply-adds in numpy float32.

    NEURALCODEC_DATA=... python benchmarks/em_epoch.py [rounds]

An edge of the tree costs three products of M x M by M x images: the message up, the message down, the expected counts.
Two yardsticks: those very products, for a mini-batch as numpy would do it (64 x 64 by 64 x 500 matrices), and the
number of multiply-adds at numpy's best, in square matrices of side 1,000.
"""

import sys
from dataclasses import replace

import numpy as np
from common import in_turns, mnist, ratio, write_result

from neuralcodec.circuits.learning import train
from neuralcodec.circuits.recipe import Recipe

STATES, BATCH = 64, 500


def main() -> None:
    """Time an epoch (its mini-batches and M-steps) and the yardsticks in turns."""
    images = mnist("train")
    recipe = Recipe(latents=STATES, start_latents=STATES, epochs=1, batch=BATCH, validation=0)
    variables = images[0].size
    rng = np.random.default_rng(0)
    matrix = rng.random((STATES, STATES), np.float32)
    messages = rng.random((STATES, BATCH), np.float32)
    square = rng.random((1000, 1000), np.float32)
    work = 3 * STATES**2 * (variables - 1) * len(images)

    def edge_products() -> None:
        for _ in range(len(images) // BATCH):
            for _ in range(variables - 1):
                up = matrix @ messages
                down = matrix.T @ up
                up @ down.T

    def square_products() -> None:
        for _ in range(work // 1000**3):
            square @ square

    epochs: list[float] = []

    def one_epoch() -> None:
        clock = _EpochClock()
        train(images, replace(recipe, seed=len(epochs)), report=clock)
        epochs.append(clock.seconds)

    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    seconds = in_turns(
        {"run": one_epoch, "edge_products": edge_products, "square_products": square_products}, rounds
    )
    seconds["epoch"] = epochs
    write_result(
        __file__,
        {
            "epoch_over_same_products": ratio(seconds, "epoch", "edge_products"),
            "epoch_over_square_products": ratio(seconds, "epoch", "square_products"),
            "multiply_adds": work,
            "seconds": seconds,
        },
    )


class _EpochClock:
    """Seconds from the first mini-batch's end to the epoch's end, scaled to all mini-batches."""

    def __init__(self) -> None:
        self.marks: list[float] = []

    def __call__(self, progress: object) -> None:
        import time

        if not getattr(progress, "epoch_done", False):
            self.marks.append(time.perf_counter())

    @property
    def seconds(self) -> float:
        """Of all mini-batches, with their M-steps; structure learning, start and validation left out."""
        steps = len(self.marks)
        return (self.marks[-1] - self.marks[0]) * steps / (steps - 1)


if __name__ == "__main__":
    main()
