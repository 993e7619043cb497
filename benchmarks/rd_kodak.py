"""Measured JPEG (4:2:0) and WebP on Kodak against the curves that CompressAI publishes.

    NEURALCODEC_DATA=... python benchmarks/rd_kodak.py

The published points are those of Pillow's qualities QUALITIES with its other settings as they are. Tells the BD-rate of
ours against theirs, and how far single points lie apart. For JPEG also what is left when the PSNR is that of the JPEG
library which the published curve was made with (ijg_chroma.py).
"""

import tempfile
from typing import Any

import numpy as np
from common import write_result
from ijg_chroma import psnr

from neuralcodec.evaluation import bd_rate, evaluate, open_data
from neuralcodec.evaluation.published import published_curves
from neuralcodec.evaluation.results import Result

QUALITIES = tuple(range(5, 100, 5))
PAIRS = {"jpeg": "JPEG", "webp": "WebP"}
KEYS = ("psnr-rgb", "ms-ssim-rgb")


def compare(ours: Result, theirs: Result) -> dict[str, Any]:
    """BD-rates and differences of a measured curve and a published one with the same points."""
    rates = {
        key: (theirs.curve("bpp"), theirs.curve(key), ours.curve("bpp"), ours.curve(key)) for key in KEYS
    }
    rate = np.abs(ours.curve("bpp") / theirs.curve("bpp") - 1)
    return {
        "bd_rate": {key: bd_rate(*curves) for key, curves in rates.items()},
        "largest_relative_bpp_difference": float(rate.max()),
        "largest_psnr_difference": float(np.abs(ours.curve("psnr-rgb") - theirs.curve("psnr-rgb")).max()),
        "bpp": ours.curve("bpp").tolist(),
        "psnr-rgb": ours.curve("psnr-rgb").tolist(),
        "versions": ours.meta["versions"],
    }


def with_libjpeg_9(ours: Result, theirs: Result) -> dict[str, Any]:
    """The same with our files' sizes and the PSNR of libjpeg 9."""
    images = [item.load() for item in open_data("kodak").items]
    values = [psnr(images, quality) for quality in QUALITIES]
    return {
        "bd_rate": bd_rate(theirs.curve("bpp"), theirs.curve("psnr-rgb"), ours.curve("bpp"), values),
        "largest_psnr_difference": float(np.abs(values - theirs.curve("psnr-rgb")).max()),
        "psnr-rgb": values,
    }


def main() -> None:
    """Measure both and compare."""
    points = ",".join(map(str, QUALITIES))
    published = {curve.name: curve for curve in published_curves("kodak")}
    with tempfile.TemporaryDirectory() as folder:
        codecs = [f"{codec}@{points}" for codec in PAIRS]
        results = dict(
            zip(PAIRS, evaluate("kodak", codecs, folder, metrics=KEYS, jobs=2, keep=0), strict=True)
        )
    figures = {codec: compare(results[codec], published[name]) for codec, name in PAIRS.items()}
    figures["jpeg"]["with_libjpeg_9"] = with_libjpeg_9(results["jpeg"], published["JPEG"])
    write_result(__file__, figures)


if __name__ == "__main__":
    main()
