"""What tiles cost: bits of Kodak's photographs in tiles of at most 256 and 512 pixels, against one tile for all.

    NEURALCODEC_DATA=... python benchmarks/photo_tiles.py [--limit N]

Bits per sub-pixel of whole payloads. The longest side of a tile may be 1,024, so that Kodak's photographs are one then.
photo_tiles.json, beside this script, has what is lost, with paired bootstrap intervals (95%) over images.
"""

import argparse
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from common import write_result
from numpy.typing import NDArray
from photo_rate import MODELS, interval

import neuralcodec
from neuralcodec.evaluation import open_data
from neuralcodec.native import thread_count
from neuralcodec.photo.model import PhotoModel
from neuralcodec.photo.payload import encode_image

SIDES = (256, 512)
WHOLE = 1024


def bits(model: PhotoModel, images: list[NDArray[Any]], side: int) -> NDArray[np.float64]:
    """Bits per sub-pixel of each image."""

    def one(image: NDArray[Any]) -> float:
        return 8 * len(encode_image(model, image, side)) / image.size

    with ThreadPoolExecutor(thread_count()) as pool:
        return np.array(list(pool.map(one, images)))


def measured(name: str, images: list[NDArray[Any]]) -> dict[str, Any]:
    """What one model loses by tiles."""
    model = neuralcodec.load_model(name)
    assert isinstance(model, PhotoModel)
    whole = bits(model, images, WHOLE)
    found: dict[str, Any] = {"bits_per_subpixel": round(float(whole.mean()), 4)}
    for side in SIDES:
        ours = bits(model, images, side)
        found[str(side)] = {
            "bits_per_subpixel": round(float(ours.mean()), 4),
            "percent_lost": round(100 * float(ours.mean() / whole.mean() - 1), 3),
            "interval": interval(ours, whole),
        }
    return found


def main() -> None:
    """Measure all models, and write the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--limit", type=int)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    images = [item.load() for item in open_data("kodak").drawn(options.limit, options.seed).items]
    figures = {name: measured(name, images) for name in options.models}
    write_result(__file__, {"images": len(images), "models": figures})


if __name__ == "__main__":
    main()
