"""What learning online brings and costs: Kodak by networks of which no layers, the last or all learn while they code.

    NEURALCODEC_DATA=... python benchmarks/photo_online.py [--models pc-photo pc-photo-fast] [--limit N]

The same networks each time. Bits per sub-pixel of whole payloads, with paired bootstrap intervals (95%) over images of
what is won, and megapixels a second of decoding with 2 threads. photo_online.json, beside this script, has it all.
"""

import argparse
import os
import time
from dataclasses import replace
from typing import Any

import numpy as np
from common import write_result
from numpy.typing import NDArray
from photo_rate import interval

import neuralcodec
from neuralcodec.container.signal import SignalType
from neuralcodec.evaluation import open_data
from neuralcodec.photo.model import ONLINE, PhotoModel
from neuralcodec.photo.payload import ImageReader, encode_image

THREADS = 2


def coded(model: PhotoModel, images: list[NDArray[Any]]) -> tuple[NDArray[np.float64], float]:
    """Bits per sub-pixel of each image, and the seconds that decoding takes."""
    payloads = [encode_image(model, image) for image in images]
    start = time.perf_counter()
    for payload, image in zip(payloads, images, strict=True):
        ImageReader(model, payload, SignalType(image.shape, image.dtype)).decode()
    seconds = time.perf_counter() - start
    pairs = zip(payloads, images, strict=True)
    return np.array([8 * len(payload) / image.size for payload, image in pairs]), seconds


def measured(name: str, images: list[NDArray[Any]]) -> dict[str, Any]:
    """One model's networks, learning in each way."""
    model = neuralcodec.load_model(name)
    assert isinstance(model, PhotoModel)
    pixels = sum(image.shape[0] * image.shape[1] for image in images) / 1e6
    found: dict[str, Any] = {}
    still = np.zeros(0)
    for online, layers in enumerate(ONLINE):
        bits, seconds = coded(PhotoModel([replace(one, online=online) for one in model.networks]), images)
        still = bits if online == 0 else still
        found[layers] = {
            "bits_per_subpixel": round(float(bits.mean()), 4),
            "percent": round(100 * float(bits.mean() / still.mean() - 1), 2),
            "interval": interval(bits, still),
            "decode_megapixels_per_second": round(pixels / seconds, 3),
        }
    return found


def main() -> None:
    """Measure all models, and write the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", default=["pc-photo", "pc-photo-fast"])
    parser.add_argument("--limit", type=int)
    options = parser.parse_args()
    os.environ["NEURALCODEC_THREADS"] = str(THREADS)
    images = [item.load() for item in open_data("kodak").drawn(options.limit, 0).items]
    figures = {name: measured(name, images) for name in options.models}
    write_result(__file__, {"images": len(images), "threads": THREADS, "models": figures})


if __name__ == "__main__":
    main()
