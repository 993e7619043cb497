"""What `neuralcodec train pc` reaches by itself, with no option, on MNIST and Fashion-MNIST.

    NEURALCODEC_DATA=... python benchmarks/train_defaults.py

One command trains, one encodes the 10,000 test images. Rates on disk are compared with those of the hidden Chow-Liu
trees in Table 1 of Dang, Liu and Van den Broeck (NeurIPS 2022), which are theoretical. The defaults were chosen with
these two sets at hand, so this is a check of them rather than a proof that they suit any set.
"""

import gzip
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from common import fashion_mnist, mnist, write_result

HCLT: dict[str, tuple[Callable[[str], Any], float]] = {
    "MNIST": (mnist, 1.20),
    "Fashion-MNIST": (fashion_mnist, 3.34),
}


def idx(path: Path, images: np.ndarray) -> None:
    """Write images as a gzipped IDX file, the form in which these sets are published."""
    sizes = np.array(images.shape, ">u4").tobytes()
    path.write_bytes(gzip.compress(bytes([0, 0, 8, images.ndim]) + sizes + images.tobytes(), 1))


def run(*arguments: str) -> float:
    """Seconds of a command."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "neuralcodec", *arguments], check=True)
    return time.perf_counter() - start


def main() -> None:
    """Train and encode, one set after the other."""
    figures: dict[str, Any] = {}
    for name, (images, published) in HCLT.items():
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            for part in ("train", "test"):
                idx(folder / f"{part}.idx.gz", images(part))
            model, archive = folder / "model.ncm", folder / "test.ncz"
            minutes = run("train", "pc", str(folder / "train.idx.gz"), "-o", str(model), "-q") / 60
            run("encode", str(folder / "test.idx.gz"), "-m", str(model), "-o", str(archive), "-q")
            bpd = 8 * archive.stat().st_size / images("test").size
            figures[name] = {
                "archive_bpd": bpd,
                "published_hclt_bpd": published,
                "above_published": bpd / published - 1,
                "training_minutes": minutes,
                "model_bytes": model.stat().st_size,
            }
    write_result(__file__, figures)


if __name__ == "__main__":
    main()
