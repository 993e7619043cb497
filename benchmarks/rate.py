"""Bits on disk for the test set of each shipped model: one archive of 10,000 images, and single files.

    NEURALCODEC_DATA=... python benchmarks/rate.py

Models are chosen on signals held out of the training set, not by what this finds.
"""

import tempfile
from pathlib import Path

import numpy as np
from common import fashion_mnist, mnist, write_result

import neuralcodec

SINGLES = 500
TESTS = {"pc-mnist-fast": mnist, "pc-mnist": mnist, "pc-fashion-mnist": fashion_mnist}


def measure(model: str, images: np.ndarray, folder: Path) -> dict[str, float | int]:
    """Sizes for one model; both ways are decoded and compared."""
    archive = folder / f"{model}.ncz"
    archive.write_bytes(neuralcodec.compress_many(images, model))
    if not np.array_equal(neuralcodec.decompress_many(archive.read_bytes()), images):
        raise SystemExit(f"{model}: the archive does not decode to the images")
    size = archive.stat().st_size
    circuit = neuralcodec.load_model(model)
    flat = images.reshape(len(images), -1)
    ideal = -circuit.log2_likelihood(flat)
    singles = [neuralcodec.compress(image, model) for image in images[:SINGLES]]
    if not all(np.array_equal(neuralcodec.decompress(s), i) for s, i in zip(singles, images, strict=False)):
        raise SystemExit(f"{model}: a single file does not decode to its image")
    beyond = np.array([len(s) for s in singles]) - ideal[:SINGLES] / 8
    model_file = Path(neuralcodec.__file__).parent / "zoo" / f"{model}.ncm"
    return {
        "archive_bytes": size,
        "archive_bpd": size * 8 / flat.size,
        "model_bpd": float(ideal.sum() / flat.size),
        "archive_overhead_bpd": float((size * 8 - ideal.sum()) / flat.size),
        "single_file_overhead_bytes_mean": float(beyond.mean()),
        "single_file_overhead_bytes_max": float(beyond.max()),
        "model_bytes": model_file.stat().st_size,
    }


def main() -> None:
    """Measure the shipped models."""
    with tempfile.TemporaryDirectory() as folder:
        figures = {name: measure(name, images("test"), Path(folder)) for name, images in TESTS.items()}
    write_result(__file__, figures)


if __name__ == "__main__":
    main()
