"""Lossless photographs: rates and times of the models of photographs and of classical codecs, by their files.

    NEURALCODEC_DATA=... python benchmarks/photo_rate.py [--data kodak wallpapers set14] [--limit N]

Bits per sub-pixel are those of whole files. Rates and times of one thread are measured by the harness in one run for
each data set; those with 2 threads apart, on the first, as the best of 3 times over the images. photo_rate.json, beside
this script, has it all, with paired bootstrap intervals (95%) of the difference to JPEG XL at effort 9.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import write_result
from numpy.typing import NDArray

import neuralcodec
from neuralcodec.evaluation import evaluate, open_data
from neuralcodec.evaluation.data.dataset import Dataset
from neuralcodec.evaluation.results import Result

Array = NDArray[Any]
MODELS = ("pc-photo", "pc-photo-best", "pc-photo-fast")
RIVALS = (
    "jxl-lossless:effort=9",
    "jxl-lossless:effort=7",
    "jxl-lossless:effort=3",
    "webp-lossless",
    "png",
    "jpeg-ls",
    "jpeg2000-lossless",
)
REFERENCE = RIVALS[0]
THREADS = 2
TIMES = 3


def opened(name: str) -> Dataset:
    """A data set by name: "wallpapers" and "set14" are those of photo_eval."""
    folder = Path(os.environ["NEURALCODEC_DATA"]) / "photo_eval" / name
    return open_data(str(folder) if folder.is_dir() else name)


def interval(ours: Array, theirs: Array) -> list[float]:
    """The 95% interval, over images drawn with replacement, of how many % ours is above theirs in the mean."""
    rng = np.random.default_rng(0)
    picks = rng.integers(0, len(ours), (10_000, len(ours)))
    percent = 100 * (ours[picks].mean(1) / theirs[picks].mean(1) - 1)
    return [round(float(q), 2) for q in np.quantile(percent, [0.025, 0.975])]


def threaded(model: str, images: list[Array]) -> dict[str, float]:
    """Megapixels a second of encoding and decoding with 2 threads."""
    pixels = sum(image.shape[0] * image.shape[1] for image in images) / 1e6
    os.environ["NEURALCODEC_THREADS"] = str(THREADS)
    encoding, decoding = [], []
    for _ in range(TIMES):
        start = time.perf_counter()
        files = [neuralcodec.compress(image, model) for image in images]
        middle = time.perf_counter()
        for file in files:
            neuralcodec.decompress(file, model)
        encoding.append(middle - start)
        decoding.append(time.perf_counter() - middle)
    return {
        "encode_megapixels_per_second": round(pixels / min(encoding), 3),
        "decode_megapixels_per_second": round(pixels / min(decoding), 3),
    }


def figures_of(result: Result, reference: Result) -> dict[str, Any]:
    """Rate and times of one codec on one data set, over the images that it and the reference take."""
    images = [sha for sha in reference.images if sha in set(result.images)]
    ours, theirs = (one.table("bits_per_sample", images)[:, 0] for one in (result, reference))
    rows = [row for row in result.rows if row["sha256"] in set(images)]
    pixels = sum(row["width"] * row["height"] for row in rows) / 1e6
    return {
        "images": len(images),
        "bits_per_subpixel": round(float(ours.mean()), 4),
        "bytes": sum(row["bytes"] for row in rows),
        "percent_above_jxl": round(100 * float(ours.mean() / theirs.mean() - 1), 2),
        "interval": interval(ours, theirs),
        "encode_megapixels_per_second": round(pixels / sum(row["encoding_time"] for row in rows), 3),
        "decode_megapixels_per_second": round(pixels / sum(row["decoding_time"] for row in rows), 3),
        "model_bytes": result.meta.get("model_bytes"),
        "of_each_image": {row["image"]: round(row["bits_per_sample"], 4) for row in rows},
    }


def measured(name: str, limit: int | None, models: list[str], *, both: bool) -> dict[str, Any]:
    """All codecs on one data set; `both`: with two threads, too."""
    data = opened(name)
    codecs = [*models, *RIVALS]
    os.environ["NEURALCODEC_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        results = dict(
            zip(codecs, evaluate(data, codecs, folder, metrics=(), keep=0, limit=limit), strict=True)
        )
    found = {codec: figures_of(result, results[REFERENCE]) for codec, result in results.items()}
    images = [item.load() for item in data.items][:limit]
    for model in models if both else ():
        found[model]["two_threads"] = threaded(model, images)
    return found


def main() -> None:
    """Measure all, and write the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="+", default=["kodak", "wallpapers", "set14"])
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--limit", type=int)
    options = parser.parse_args()
    figures = {
        name: measured(name, options.limit, options.models, both=name == options.data[0])
        for name in options.data
    }
    write_result(__file__, figures)


if __name__ == "__main__":
    main()
