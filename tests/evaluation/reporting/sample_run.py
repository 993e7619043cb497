"""A folder as a run leaves it: classical codecs of Pillow measured on a few images.

    python tests/evaluation/reporting/sample_run.py FOLDER [IMAGE ...]

Without images it draws small ones itself.
"""

import hashlib
import io
import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from neuralcodec.evaluation.results import Result, Row

Samples = NDArray[np.uint8]
VERSIONS = {"neuralcodec": "0.1.0", "python": "3.11.2", "numpy": "2.3.5", "Pillow": "13.0.0"}
MACHINE = {"processor": "x86_64", "cpus": 2, "memory": 24_000_000_000}


@dataclass(frozen=True)
class Measured:
    """A codec of Pillow under measurement."""

    spec: str
    name: str
    qualities: tuple[float | None, ...]
    format: str
    options: Mapping[str, Any]
    parameter: str = "quality"
    model_bytes: int = 0

    def encode(self, image: Samples, quality: float | None) -> bytes:
        file = io.BytesIO()
        rate: dict[str, Any] = {}
        if quality is not None:
            rate = {self.parameter: [quality] if self.parameter == "quality_layers" else int(quality)}
        Image.fromarray(image).save(file, self.format, **self.options, **rate)
        return file.getvalue()


LOSSY = (
    Measured("jpeg", "JPEG 4:2:0", (15, 30, 50, 70, 80, 88, 93, 96), "JPEG", {"subsampling": 2}),
    Measured("webp", "WebP", (5, 20, 40, 60, 75, 85, 91, 95), "WEBP", {"method": 4}),
    Measured("avif", "AVIF", (20, 35, 48, 58, 68, 77, 85, 92), "AVIF", {"speed": 8}),
    Measured(
        *("jpeg2000", "JPEG 2000", (120, 70, 45, 30, 20, 13, 9, 6), "JPEG2000", {"irreversible": True}),
        "quality_layers",
    ),
    Measured("learned", "Learned <b>", (10, 30, 50, 70, 82, 90), "WEBP", {"method": 6}, "quality", 120_000),
)
LOSSLESS = (
    Measured("png", "PNG", (None,), "PNG", {}),
    Measured("webp-lossless", "WebP lossless", (None,), "WEBP", {"lossless": True}),
    Measured("jpeg2000-lossless", "JPEG 2000 lossless", (None,), "JPEG2000", {"irreversible": False}),
)


def drawn(number: int, height: int = 96, width: int = 128) -> Samples:
    """A smooth image with edges and grain, (height, width, 3)."""
    rng = np.random.default_rng(number)
    y, x = np.mgrid[0:height, 0:width]
    planes = []
    for _ in range(3):
        a, b, phase = rng.uniform(0.01, 0.12, 3)
        planes.append(
            128 + 70 * np.sin(a * x + b * y + 60 * phase) + 30 * (x > width * rng.uniform(0.2, 0.8))
        )
    image = np.stack(planes, -1) + rng.normal(0, 4 + 2 * number % 7, (height, width, 3))
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def sha256(image: Samples) -> str:
    return hashlib.sha256(repr(image.shape).encode() + image.tobytes()).hexdigest()


def quality_of(image: Samples, decoded: Samples) -> Row:
    """The metrics of one reconstruction, as rows carry them."""
    error = image.astype(float) - decoded
    luma = error @ np.array([0.299, 0.587, 0.114])

    def psnr(mse: float) -> float | None:
        return 10 * math.log10(255**2 / mse) if mse else None

    mse = float((error**2).mean())
    similarity = 1 / (1 + mse / 900)
    return {
        "mse": mse,
        "max-error": int(np.abs(error).max()),
        "psnr-rgb": psnr(mse),
        "psnr-y": psnr(float((luma**2).mean())),
        "ms-ssim-rgb": similarity,
        "ms-ssim-rgb-db": -10 * math.log10(1 - similarity) if similarity < 1 else None,
    }


def measure(codec: Measured, name: str, image: Samples, quality: float | None) -> tuple[Row, bytes]:
    """One row, and the file."""
    start = time.perf_counter()
    file = codec.encode(image, quality)
    encoded = time.perf_counter()
    decoded = np.asarray(Image.open(io.BytesIO(file)).convert("RGB"))
    end = time.perf_counter()
    height, width = image.shape[:2]
    payload = len(file) - 40
    row: Row = {
        **{"image": name, "sha256": sha256(image), "width": width, "height": height, "channels": 3},
        **{"images": 1, "shape": list(image.shape), "dtype": "uint8", "quality": quality},
        **{"bytes": len(file), "payload_bytes": payload},
        **{"bpp": 8 * len(file) / (height * width), "bpp_payload": 8 * payload / (height * width)},
        "bits_per_sample": 8 * len(file) / image.size,
        **{"encoding_time": encoded - start, "decoding_time": end - encoded, "peak_memory": 12 * image.size},
    }
    return row | quality_of(image, decoded), file


def make_run(
    folder: Path,
    images: Mapping[str, Samples],
    codecs: Sequence[Measured] = LOSSY,
    *,
    kept: int = 1,
    failing: str | None = None,
    data: str = "drawn",
) -> list[Result]:
    """Measure, and write records and the files of the first `kept` images; codec `failing` fails on the last."""
    (folder / "files").mkdir(parents=True, exist_ok=True)
    results = []
    for codec in codecs:
        rows: list[Row] = []
        for number, (name, image) in enumerate(images.items()):
            for rate, quality in enumerate(codec.qualities):
                if codec.spec == failing and number == len(images) - 1:
                    error = "ValueError: it refuses <images> & such"
                    rows.append({"image": name, "sha256": sha256(image), "quality": quality, "error": error})
                    continue
                row, file = measure(codec, name, image, quality)
                if number < kept:
                    row["file"] = f"files/{codec.spec}-{number}-{rate}.bin"
                    row["original"] = f"files/original-{number}.png"
                    (folder / row["file"]).write_bytes(file)
                    Image.fromarray(image).save(folder / row["original"])
                rows.append(row)
        result = Result(codec.name, "measured for tests", meta_of(codec, images, data), rows)
        result.write(folder / f"{codec.spec}.json")
        results.append(result)
    return results


def meta_of(codec: Measured, images: Mapping[str, Samples], data: str) -> dict[str, Any]:
    """What a record says of how it was made."""
    return {
        **{"codec": codec.spec, "lossless": codec.qualities == (None,), "parameters": dict(codec.options)},
        "model_bytes": codec.model_bytes,
        "data": {"name": data, "images": len(images), "sha256": "ab" * 32, "layout": "each"},
        "metrics": ["psnr-rgb", "psnr-y", "ms-ssim-rgb"],
        **{"versions": VERSIONS, "machine": MACHINE, "load_average": [0.4, 0.5, 0.5]},
        "command": f"neuralcodec eval --data {data} --codec {codec.spec} -o run",
        "seed": 0,
    }


def main() -> None:
    """Write a run of the images that the command line names."""
    folder, *paths = map(Path, sys.argv[1:])
    images = {path.name: np.asarray(Image.open(path).convert("RGB")) for path in paths}
    images = images or {f"drawn {n}": drawn(n) for n in range(6)}
    make_run(folder, images, kept=2, data="kodak" if paths else "drawn")


if __name__ == "__main__":
    main()
