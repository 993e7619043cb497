"""Completions of MNIST test digits of which a part is missing: figures, and the picture in docs/queries.md.

    NEURALCODEC_DATA=... python benchmarks/inpainting.py

Nothing is chosen by what this finds: the images are the first of the test set, the masks and the seed are fixed. Times
are those of the processor (all threads together), for a machine that does other things too.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from common import mnist, write_result
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

import neuralcodec
from neuralcodec.circuits.circuit import Circuit
from neuralcodec.circuits.queries import HOWS

MODEL = "pc-mnist"
PICTURE = Path(__file__).parent.parent / "docs" / "figures" / "inpainting.png"
RATED, COMPLETED = 500, 100  # images
SHOWN, DRAWS, SCALE, GAP = 4, 4, 2, 4
HOLE = (70, 90, 140)  # colour of what is missing


def masks(n: int) -> dict[str, NDArray[np.bool_]]:
    """(n, 28, 28) masks of each kind."""
    rows, columns = np.indices((28, 28))
    lower = rows >= 14
    square = (abs(rows - 13.5) < 6) & (abs(columns - 13.5) < 6)
    scattered = np.random.default_rng(0).random((n, 28, 28)) < 0.8
    shape = (n, 28, 28)
    return {
        "lower half": np.broadcast_to(lower, shape),
        "12x12 square": np.broadcast_to(square, shape),
        "80% at random": scattered,
    }


def quality(images: NDArray[Any], filled: NDArray[Any], missing: NDArray[np.bool_]) -> dict[str, float]:
    """How close the missing samples were met."""
    error = (filled.astype(float) - images)[missing]
    return {
        "exact": float((error == 0).mean()),
        "mean_absolute_error": float(np.abs(error).mean()),
        "psnr_db": float(10 * np.log10(255**2 / np.square(error).mean())),
    }


def measure(circuit: Circuit, images: NDArray[np.uint8], missing: NDArray[np.bool_]) -> dict[str, Any]:
    """The figures of one kind of mask."""
    rated, holes = images[:RATED], missing[:RATED]
    nothing = np.zeros_like(holes)
    figures: dict[str, Any] = {
        "missing": float(holes.mean()),
        "bits_per_missing_sample": float(-circuit.log2_conditional(rated, holes).sum() / holes.sum()),
        "bits_without_the_rest": float(-circuit.log2_conditional(rated, holes, ~holes).sum() / holes.sum()),
    }
    truth, holes, nothing = images[:COMPLETED], holes[:COMPLETED], nothing[:COMPLETED]
    blind = circuit.complete(truth[:1], ~nothing[:1], "median")
    completions = {"black": np.where(holes, 0, truth), "median of no evidence": np.where(holes, blind, truth)}
    seconds = {}
    for how in HOWS:
        start = time.process_time()
        completions[how] = circuit.complete(truth, holes, how, seed=1)
        seconds[how] = time.process_time() - start
    ways: dict[str, dict[str, float]] = {}
    for how, filled in completions.items():
        bits = -circuit.log2_conditional(filled, holes)
        ways[how] = quality(truth, filled, holes) | {"own_bits_per_missing_sample": bits.sum() / holes.sum()}
        if how in seconds:
            ways[how]["cpu_seconds_per_image"] = seconds[how] / COMPLETED
    return {**figures, "ways": ways}


def picture(
    circuit: Circuit, images: NDArray[np.uint8], kinds: Mapping[str, NDArray[np.bool_]]
) -> Image.Image:
    """Rows of digits: original, masked, completions, draws; a block for each kind of mask."""
    titles = ["original", "given", "median", "mean", "MAP", *["sample"] * DRAWS]
    step, top, title = 28 * SCALE + GAP, 16, 16
    height = top + len(kinds) * (title + SHOWN * step)
    canvas = Image.new("RGB", (len(titles) * step + GAP, height), "white")
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(11)
    for column, text in enumerate(titles):
        draw.text((GAP + column * step + 14 * SCALE, top - 3), text, "black", font, anchor="ms")
    for block, (name, missing) in enumerate(kinds.items()):
        y = top + block * (title + SHOWN * step)
        draw.text((GAP, y + title - 4), f"missing: {name}", "black", font, anchor="ls")
        for row, panels in enumerate(_panels(circuit, images[:SHOWN], missing[:SHOWN])):
            for column, panel in enumerate(panels):
                tile = Image.fromarray(panel).resize((28 * SCALE, 28 * SCALE), Image.Resampling.NEAREST)
                canvas.paste(tile, (GAP + column * step, y + title + row * step))
    return canvas.quantize(64, dither=Image.Dither.NONE)


def _panels(
    circuit: Circuit, images: NDArray[np.uint8], missing: NDArray[np.bool_]
) -> list[list[NDArray[np.uint8]]]:
    """The (28, 28, 3) panels of each image's row."""
    given = np.where(missing[..., None], np.array(HOLE, np.uint8), images[..., None])
    filled = [circuit.complete(images, missing, how) for how in ("median", "mean", "map")]  # type: ignore[arg-type]
    drawn = circuit.conditional_sample(images, missing, DRAWS, seed=1)
    gray = [images, *filled, *np.moveaxis(drawn, 1, 0)]
    coloured = [np.repeat(stack[..., None], 3, axis=3) for stack in gray]
    coloured.insert(1, given)
    return [[stack[row] for stack in coloured] for row in range(len(images))]


def main() -> None:
    """Measure, draw and write."""
    circuit = neuralcodec.load_model(MODEL)
    assert isinstance(circuit, Circuit)
    images = mnist("test")[:RATED]
    kinds = masks(RATED)
    PICTURE.parent.mkdir(exist_ok=True)
    picture(circuit, images, kinds).save(PICTURE, optimize=True)
    figures = {name: measure(circuit, images, missing) for name, missing in kinds.items()}
    write_result(
        __file__, {"model": MODEL, "images_rated": RATED, "images_completed": COMPLETED, "masks": figures}
    )


if __name__ == "__main__":
    main()
