"""Rate-distortion curves of the classical codecs on small images: MNIST and CIFAR-10, each alone and as a mosaic.

    NEURALCODEC_DATA=... python benchmarks/rd_small.py [folder]

A file's headers dominate an image of 28x28 or 32x32, so every codec is also measured on one picture of all images.
IMAGES of each test set are drawn by seed; both layouts hold the same ones. Settings are those that suit small images:
the most careful encoder, rates in reach of a file whose headers are most of it. PSNR is the mean over the images; where
an image comes back equal that is infinite, so the PSNR of the mean squared error stands beside it.
"""

import math
import sys
from typing import Any

from common import write_result
from figures import draw_rate_distortion

from neuralcodec.evaluation import evaluate

IMAGES = 1000
SETS = ("mnist", "cifar10")
LAYOUTS = ("each", "mosaic")
CODECS = {
    "jpeg": "jpeg:optimize=yes",
    "jpeg-444": "jpeg-444:optimize=yes",
    "webp": "webp:method=6",
    "avif": "avif:speed=4",
    "jpeg2000": "jpeg2000-psnr:container=no",  # by PSNR: a ratio of sizes leaves nothing beside the headers
    "jxl": "jxl:effort=9",
}
KEYS = ("bpp", "psnr-rgb", "psnr-rgb-of-mean-mse")


def curves(data: str, layout: str, folder: str) -> dict[str, Any]:
    """The curves of all codecs on a set in a layout."""
    gray = data == "mnist"  # which has no chroma to keep
    codecs = {name: spec for name, spec in CODECS.items() if not (gray and name == "jpeg-444")}
    place, specs = f"{folder}/{data}-{layout}", list(codecs.values())
    results = evaluate(data, specs, place, metrics=["psnr-rgb"], layout=layout, limit=IMAGES, jobs=2, keep=0)
    return {
        name: {"spec": result.meta["codec"], "quality": result.qualities, "errors": len(result.errors)}
        | {key: [value if math.isfinite(value) else None for value in result.curve(key)] for key in KEYS}
        for name, result in zip(codecs, results, strict=True)
    }


def main(folder: str = "runs/small") -> None:
    """Measure, and draw docs/figures/small_images.png."""
    sets = {data: {layout: curves(data, layout, folder) for layout in LAYOUTS} for data in SETS}
    figures = {"images": IMAGES, "sets": sets}
    write_result(__file__, figures)
    draw_rate_distortion(figures)


if __name__ == "__main__":
    main(*sys.argv[1:])
