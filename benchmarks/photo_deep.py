"""16-bit colour: bits per sample of Kodak's photographs, averaged to half their size, by this codec and others.

    NEURALCODEC_DATA=... python benchmarks/photo_deep.py [--limit N]

Means of four samples have two bits more than samples; normal noise of 100 in 65,536 fills the rest, as a camera's does.
The networks have learned from 8-bit samples only.
Bits are those of whole files. photo_deep.json, beside this script, has the means over images, and intervals (95%) of
the difference to JPEG XL.
"""

import argparse
import io
from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
from common import write_result
from numpy.typing import NDArray
from photo_rate import interval

import neuralcodec
from neuralcodec.evaluation import open_data
from neuralcodec.signals.images import write_png

NOISE = 100.0
Image = NDArray[np.uint16]


def deep(photo: NDArray[np.uint8], seed: int) -> Image:
    """A photograph of half the size, of 16 bits."""
    height, width = (side // 2 for side in photo.shape[:2])
    blocks = photo[: 2 * height, : 2 * width].reshape(height, 2, width, 2, 3).astype(np.float64)
    noise = np.random.default_rng(seed).normal(0, NOISE, (height, width, 3))
    samples = np.rint(blocks.mean((1, 3)) * 257 + noise)
    return np.clip(samples, 0, 2**16 - 1).astype(np.uint16)


def png(image: Image) -> bytes:
    """A PNG file, deflated as well as zlib can."""
    file = io.BytesIO()
    write_png(file, image, level=9)
    return file.getvalue()


def jpeg_ls(image: Image) -> bytes:
    """A file for each plane."""
    return b"".join(imagecodecs.jpegls_encode(np.ascontiguousarray(image[:, :, c])) for c in range(3))


CODECS: dict[str, Callable[[Image], bytes]] = {
    "pc-photo": lambda image: neuralcodec.compress(image, "pc-photo"),
    "pc-photo-fast": lambda image: neuralcodec.compress(image, "pc-photo-fast"),
    "jxl-lossless:effort=7": lambda image: imagecodecs.jpegxl_encode(image, lossless=True, effort=7),
    "jpeg-ls": jpeg_ls,
    "png": png,
}
REFERENCE = "jxl-lossless:effort=7"


def main() -> None:
    """Measure all, and write the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--limit", type=int)
    options = parser.parse_args()
    photos = [item.load() for item in open_data("kodak").drawn(options.limit, 0).items]
    images = [deep(photo, seed) for seed, photo in enumerate(photos)]
    bits = {
        name: np.array([8 * len(encode(image)) / image.size for image in images])
        for name, encode in CODECS.items()
    }
    figures: dict[str, Any] = {
        name: {
            "bits_per_sample": round(float(one.mean()), 4),
            "percent_above_jxl": round(100 * float(one.mean() / bits[REFERENCE].mean() - 1), 2),
            "interval": interval(one, bits[REFERENCE]),
        }
        for name, one in bits.items()
    }
    write_result(__file__, {"images": len(images), "codecs": figures})


if __name__ == "__main__":
    main()
