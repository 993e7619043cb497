"""A folder of small images whose first samples steer the toy codecs."""

from pathlib import Path

import numpy as np
from PIL import Image


def write_images(folder: Path, firsts: list[int], side: int = 20) -> Path:
    """Write a PNG for each first sample, 0.png on; smooth and noisy enough to be worth coding."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    ramp = np.add.outer(np.arange(side), np.arange(side))[..., None] * [4, 5, 3]
    for number, first in enumerate(firsts):
        samples = (ramp + rng.integers(0, 20, (side, side, 3))).astype(np.uint8)
        samples.flat[0] = first
        Image.fromarray(samples).save(folder / f"{number}.png")
    return folder
