"""Each preset of RECOMBINER on the same images at the same rate: quality, and seconds an image.

    NEURALCODEC_DATA=... python benchmarks/recombiner_presets.py [preset ...]

IMAGES test images of CIFAR-10, drawn by seed, are coded in batches of IMAGES by the model of 0.7 bits a pixel. Presets
that the result file has are kept unless they are named; `reference` takes about an hour of a core.
"""

import json
import sys
import time
from typing import Any

import numpy as np
from common import HERE, write_result
from numpy.typing import NDArray

import neuralcodec
from neuralcodec.evaluation.data.opening import open_data
from neuralcodec.native import thread_count
from neuralcodec.recombiner.batches import PRESETS
from neuralcodec.zoo.resolve import load_model

IMAGES, MODEL = 10, "recombiner-cifar-2"


def measure(images: NDArray[np.uint8], preset: str) -> dict[str, Any]:
    """PSNR of each image, bytes and seconds an image."""
    start, processor = time.perf_counter(), time.process_time()
    archive = neuralcodec.compress_many(images, MODEL, preset=preset)
    seconds, processor = time.perf_counter() - start, time.process_time() - processor
    error = ((neuralcodec.decompress_many(archive).astype(np.float64) - images) ** 2).mean(axis=(1, 2, 3))
    psnr = 10 * np.log10(255**2 / error)
    return {
        "bytes": len(archive) / len(images),
        "psnr": float(psnr.mean()),
        "psnr_of_images": psnr.round(3).tolist(),
        "seconds": seconds / len(images),
        "processor_seconds": processor / len(images),
        "threads": thread_count(),
    }


def main(*names: str) -> None:
    """Measure presets."""
    path = HERE / "recombiner_presets.json"
    identity = load_model(MODEL).identity.hex()
    before = json.loads(path.read_text())["figures"] if path.exists() else {}
    known = before.get("presets", {}) if before.get("identity") == identity else {}
    images = np.stack([item.load() for item in open_data("cifar10", limit=IMAGES, seed=0).items])
    for preset in names or [p for p in PRESETS if p not in known]:
        known[preset] = measure(images, preset)
        figures = {
            "model": MODEL,
            "identity": identity,
            "images": IMAGES,
            "presets": {p: known[p] for p in PRESETS if p in known},
        }
        write_result(__file__, figures)


if __name__ == "__main__":
    main(*sys.argv[1:])
