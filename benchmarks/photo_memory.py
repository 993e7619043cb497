"""Peak memory and time of encoding and decoding large photographs with the command, from PNG file to PNG file.

    NEURALCODEC_DATA=... python benchmarks/photo_memory.py [--model pc-photo] [--megapixels 1 25 100]

The images are squares of Kodak's photographs, side by side and mirrored; the largest also with 256 colours, which are
coded as indices into a table. The peak is that of the whole process
(VmHWM: interpreter, libraries and mapped files included), with 2 threads. That what is decoded is what was encoded
is checked by the file's own checksum. photo_memory.json, beside this script, has it all.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import write_result
from numpy.typing import NDArray

from neuralcodec.evaluation import open_data
from neuralcodec.signals.images import write_png

PROGRAM = """
import re, sys
from neuralcodec.cli import main

try:
    main(sys.argv[2:])
finally:
    status = open("/proc/self/status").read()
    open(sys.argv[1], "w").write(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1])
"""
THREADS = "2"


def large_image(side: int) -> NDArray[np.uint8]:
    """A square of photographs, (side, side, 3), each row of which starts with another and mirrors some."""
    photos = [item.load() for item in open_data("kodak").items]
    photos = [photo if photo.shape[0] < photo.shape[1] else photo.transpose(1, 0, 2) for photo in photos]
    height, width = photos[0].shape[:2]
    image = np.empty((side, side, 3), np.uint8)
    for row, top in enumerate(range(0, side, height)):
        for column, left in enumerate(range(0, side, width)):
            photo = photos[(row * 7 + column) % len(photos)]
            photo = photo[:, ::-1] if (row + column) % 2 else photo
            image[top : top + height, left : left + width] = photo[: side - top, : side - left]
    return image


def of_few_colours(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The image with 256 colours in no order, by its green samples."""
    table = np.random.default_rng(0).permutation(256**3)[:256, None] >> [16, 8, 0] & 255
    few = table.astype(np.uint8)
    for rows in image:
        rows[:] = few[rows[:, 1]]
    return image


def run(folder: Path, *words: str) -> dict[str, float]:
    """Peak in MB (10^6 bytes), and seconds, of one call of the command."""
    peak = folder / "peak"
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", PROGRAM, str(peak), *words],
        check=True,
        cwd=folder,  # not the clone, whose package has no compiled kernels beside it
        env={**os.environ, "NEURALCODEC_THREADS": THREADS},
    )
    seconds = time.perf_counter() - start
    return {"peak_mb": round(int(peak.read_text()) * 1024 / 1e6, 1), "seconds": round(seconds, 1)}


def measured(folder: Path, model: str, megapixels: int, *, colours: bool = False) -> dict[str, Any]:
    """Sizes, peaks and times for one size of image, of all colours or of few."""
    side = round((megapixels * 1e6) ** 0.5)
    png, coded = folder / "large.png", folder / "large.ncz"
    with png.open("wb") as file:
        image = large_image(side)
        write_png(file, of_few_colours(image) if colours else image, level=1)
    encode = run(folder, "encode", png.name, "-m", model, "-f", "-q")
    size = png.stat().st_size
    decode = run(folder, "decode", coded.name, "-o", png.name, "-f", "-q")
    return {
        "side": side,
        "sample_mb": round(3 * side * side / 1e6, 1),
        "png_mb": round(size / 1e6, 1),
        "coded_mb": round(coded.stat().st_size / 1e6, 1),
        "encode": encode,
        "decode": decode,
    }


def main() -> None:
    """Measure each size, and write the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="pc-photo")
    parser.add_argument("--megapixels", nargs="+", type=int, default=[1, 25, 100])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sizes: dict[str, Any] = {}
        largest = max(options.megapixels)
        for size, colours in [*((size, False) for size in options.megapixels), (largest, True)]:
            name = f"{size}{'-colours' * colours}"
            sizes[name] = measured(Path(folder), options.model, size, colours=colours)
            write_result(__file__, {"model": options.model, "threads": int(THREADS), "megapixels": sizes})


if __name__ == "__main__":
    main()
