"""RECOMBINER on small images: rate and distortion of archives on disk, times, and how others do at the same rate.

    NEURALCODEC_DATA=... python benchmarks/recombiner_small.py [preset]

IMAGES test images of CIFAR-10 and of MNIST, drawn by seed, are coded by each shipped model as one archive, and SINGLE
of them as single files. Rates are bytes on disk; PSNR is the mean over the images of what the archive decodes to.
Curves of others are interpolated, linearly in PSNR over the logarithm of the rate, between their points only: published
ones on CIFAR-10, and those of the classical codecs in rd_small.json, on a file an image and on a mosaic of all. Models
that the result file has already, with the same preset, are not measured again.
"""

import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from common import HERE, write_result
from numpy.typing import NDArray

import neuralcodec
from neuralcodec.codec import Fields
from neuralcodec.container.single import read_single
from neuralcodec.evaluation.data.opening import open_data
from neuralcodec.evaluation.published import published_curves
from neuralcodec.zoo import model_names
from neuralcodec.zoo.resolve import codec_with, load_model

IMAGES, SINGLE = 200, 4
SETS = {"cifar10": "recombiner-cifar-", "mnist": "recombiner-mnist-"}
Curve = Mapping[str, Sequence[float | None]]


def measure(name: str, images: NDArray[np.uint8], preset: str) -> dict[str, Any]:
    """Figures of one model on images."""
    codec = codec_with(name)
    start = time.perf_counter()
    archive = neuralcodec.compress_many(images, name, preset=preset)
    encoding = time.perf_counter() - start
    neuralcodec.decompress_many(archive)
    start = time.perf_counter()
    decoded = neuralcodec.decompress_many(archive)
    decoding = time.perf_counter() - start
    error = ((decoded.astype(np.float64) - images) ** 2).reshape(len(images), -1).mean(axis=1)
    psnr = 10 * np.log10(255**2 / error)
    points = images[0].shape[0] * images[0].shape[1]
    single = [neuralcodec.compress(image, name, preset="fast") for image in images[:SINGLE]]
    index_bytes = [ideal_bytes(codec, one) for one in single]
    return {
        "bytes": len(archive) / len(images),
        "bpp": 8 * len(archive) / len(images) / points,
        "psnr": float(psnr.mean()),
        "psnr_interval": float(1.96 * psnr.std() / math.sqrt(len(psnr))),
        "psnr_of_mean_mse": float(10 * np.log10(255**2 / error.mean())),
        "encode_seconds": encoding / len(images),
        "decode_milliseconds": 1e3 * decoding / len(images),
        "single_file_bytes_beyond_indices": max(
            len(one) - ideal for one, ideal in zip(single, index_bytes, strict=True)
        ),
        "model_bytes": (HERE.parent / "neuralcodec" / "zoo" / f"{name}.ncm").stat().st_size,
    }


def ideal_bytes(codec: Any, data: bytes) -> float:
    """Ideal code length, in bytes, of the indices in a single file."""
    file = read_single(data)
    signal = file.header.signal or codec.signal
    codec.decode(file.payload, Fields(signal))
    indices = np.frombuffer(
        codec.checked(np.empty((1, *signal.shape), signal.dtype), [file.payload], 1), "<u4"
    )
    return float(codec.model.index_models[0].information(indices)) / 8


def at_rate(curve: Curve, bpp: float) -> float | None:
    """PSNR of a curve at a rate, None outside of it."""
    points = sorted((b, p) for b, p in zip(curve["bpp"], curve["psnr-rgb"], strict=True) if b and p)
    rates = [math.log(b) for b, _ in points]
    if len(points) < 2 or not rates[0] <= math.log(bpp) <= rates[-1]:
        return None
    return float(np.interp(math.log(bpp), rates, [p for _, p in points]))


def rate_of(curve: Curve, psnr: float) -> float | None:
    """Rate of a curve at a PSNR, None outside of it."""
    points = sorted((p, b) for b, p in zip(curve["bpp"], curve["psnr-rgb"], strict=True) if b and p)
    if len(points) < 2 or not points[0][0] <= psnr <= points[-1][0]:
        return None
    return math.exp(float(np.interp(psnr, [p for p, _ in points], [math.log(b) for _, b in points])))


def rivals(data: str) -> dict[str, Curve]:
    """Curves of others on a data set."""
    measured = json.loads((HERE / "rd_small.json").read_text())["figures"]["sets"][data]
    curves: dict[str, Curve] = {}
    for layout, words in (("each", "one file an image"), ("mosaic", "one mosaic of all")):
        curves |= {f"{name}, {words}": curve for name, curve in measured[layout].items()}
    for result in published_curves(data):
        curves[f"{result.name}, published"] = {
            "bpp": result.curve("bpp"),
            "psnr-rgb": result.curve("psnr-rgb"),
        }
    return curves


def compared(figures: Mapping[str, Any], curves: Mapping[str, Curve]) -> dict[str, Any]:
    """What a model gains on each curve: dB at its rate, and its rate over the curve's at its PSNR."""
    gains = {}
    for name, curve in curves.items():
        psnr, rate = at_rate(curve, figures["bpp"]), rate_of(curve, figures["psnr"])
        gains[name] = {
            "decibels": None if psnr is None else figures["psnr"] - psnr,
            "rate_ratio": None if rate is None else figures["bpp"] / rate,
        }
    return gains


def main(preset: str = "medium") -> None:
    """Measure all shipped models."""
    path = HERE / "recombiner_small.json"
    before = json.loads(path.read_text())["figures"] if path.exists() else {}
    figures: dict[str, Any] = {"preset": preset, "images": IMAGES}
    for data, prefix in SETS.items():
        items = open_data(data, limit=IMAGES, seed=0).items
        images, curves = np.stack([item.load() for item in items]), rivals(data)
        for name in sorted(n for n in model_names() if n.startswith(prefix)):
            figures[name] = before.get(name, {})
            identity = load_model(name).identity.hex()
            if before.get("preset") != preset or figures[name].get("identity") != identity:
                figures[name] = {"identity": identity, **measure(name, images, preset)}
            figures[name]["against"] = compared(figures[name], curves)
            write_result(__file__, figures)


if __name__ == "__main__":
    main(*sys.argv[1:])
