"""RECOMBINER on photographs: rate and distortion on images of Kodak, times, and JPEG 2000 and WebP at the same rate.

    NEURALCODEC_DATA=... python benchmarks/recombiner_kodak.py [preset] [--limit 6]

Images are drawn by seed; each is a file. The figures of the rivals are means over the same images, and over all 24 for
JPEG 2000, to tell how hard the drawn ones are, interpolated over the logarithm of the rate. Images that the result file
has with the same model and preset are not coded again.
"""

import argparse
import json
import tempfile
import time
from typing import Any

import numpy as np
from common import HERE, write_result
from recombiner_small import at_rate

import neuralcodec
from neuralcodec.evaluation import evaluate
from neuralcodec.evaluation.data.opening import open_data
from neuralcodec.native import thread_count
from neuralcodec.zoo.resolve import load_model

MODEL = "recombiner-photo"
RIVALS = {"jpeg2000": "jpeg2000@100,130,170,220,300", "webp": "webp@0,2,5,10"}


def measure(item: Any, preset: str) -> dict[str, float]:
    """Size, distortion and times of one image."""
    image = item.load()
    start = time.perf_counter()
    file = neuralcodec.compress(image, MODEL, preset=preset)
    encoded = time.perf_counter()
    decoded = neuralcodec.decompress(file)
    end = time.perf_counter()
    error = ((decoded.astype(np.float64) - image) ** 2).mean()
    return {
        "bpp": 8 * len(file) / (image.shape[0] * image.shape[1]),
        "psnr": float(10 * np.log10(255**2 / error)),
        "encode_seconds": encoded - start,
        "decode_seconds": end - encoded,
        "threads": thread_count(),
    }


def rivals(bpp: float, limit: int | None) -> dict[str, float | None]:
    """PSNR of others at a rate."""
    with tempfile.TemporaryDirectory() as folder:
        results = evaluate(
            "kodak", list(RIVALS.values()), folder, metrics=("psnr-rgb",), limit=limit, jobs=2, keep=0
        )
    return {
        name: at_rate({key: list(one.curve(key)) for key in ("bpp", "psnr-rgb")}, bpp)
        for name, one in zip(RIVALS, results, strict=True)
    }


def main() -> None:
    """Measure the images."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("preset", nargs="?", default="medium")
    parser.add_argument("--limit", type=int, default=6)
    arguments = parser.parse_args()
    path, identity = HERE / "recombiner_kodak.json", load_model(MODEL).identity.hex()
    before = json.loads(path.read_text())["figures"] if path.exists() else {}
    figures = before if before.get("identity") == identity else {"identity": identity, "presets": {}}
    rows = figures["presets"].setdefault(arguments.preset, {}).setdefault("images", {})
    for item in open_data("kodak", limit=arguments.limit, seed=0).items:
        if item.name not in rows:
            rows[item.name] = measure(item, arguments.preset)
            print(item.name, rows[item.name], flush=True)
        found = list(rows.values())
        figures["presets"][arguments.preset] |= {
            key: float(np.mean([row[key] for row in found]))
            for key in ("bpp", "psnr", "encode_seconds", "decode_seconds")
        }
        write_result(__file__, figures)
    bpp = figures["presets"][arguments.preset]["bpp"]
    figures["presets"][arguments.preset] |= {
        "rivals": rivals(bpp, arguments.limit),
        "rivals_on_all": rivals(bpp, None),
    }
    write_result(__file__, figures)


if __name__ == "__main__":
    main()
