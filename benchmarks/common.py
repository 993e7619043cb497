"""What the benchmark scripts share: MNIST and Fashion-MNIST, timing in turns, and result files."""

import gzip
import hashlib
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import neuralcodec
from neuralcodec.native import simd, thread_count

HERE = Path(__file__).parent
IMAGES = {"train": "train-images-idx3-ubyte", "test": "t10k-images-idx3-ubyte"}
LABELS = {"train": "train-labels-idx1-ubyte", "test": "t10k-labels-idx1-ubyte"}
# of the uncompressed IDX files
MNIST_SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
}
FASHION_MNIST_SHA256 = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
}


def mnist(part: str) -> NDArray[np.uint8]:
    """(n, 28, 28) images of MNIST, "train" or "test", from $NEURALCODEC_DATA/mnist."""
    return _images("mnist", "MNIST", IMAGES[part], MNIST_SHA256)


def fashion_mnist(part: str) -> NDArray[np.uint8]:
    """(n, 28, 28) images of Fashion-MNIST, "train" or "test", from $NEURALCODEC_DATA/fashion_mnist."""
    return _images("fashion_mnist", "Fashion-MNIST", IMAGES[part], FASHION_MNIST_SHA256)


def fashion_mnist_labels(part: str) -> NDArray[np.uint8]:
    """(n,) classes of Fashion-MNIST's images."""
    fashion_mnist(part)  # tells what is missing
    path = Path(os.environ["NEURALCODEC_DATA"]) / "fashion_mnist" / f"{LABELS[part]}.gz"
    if not path.exists():
        sys.exit(f"put {path.name} (the well-known Fashion-MNIST file) into {path.parent}")
    return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=8)


def _images(place: str, data: str, name: str, sha256: Mapping[str, str]) -> NDArray[np.uint8]:
    folder = os.environ.get("NEURALCODEC_DATA")
    path = Path(folder or ".") / place / f"{name}.gz"
    if not folder or not path.exists():
        sys.exit(
            f"put {name}.gz (the well-known {data} file) into a folder {place}/ and name its parent in "
            "NEURALCODEC_DATA"
        )
    content = gzip.decompress(path.read_bytes())
    if hashlib.sha256(content).hexdigest() != sha256[name]:
        sys.exit(f"{path} does not hold the original {name}: its SHA-256 differs")
    return np.frombuffer(content, np.uint8, offset=16).reshape(-1, 28, 28)


def in_turns(jobs: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Wall seconds of each job, run one after the other for several rounds, so that a busy moment hits all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def ratio(seconds: Mapping[str, list[float]], job: str, yardstick: str) -> float:
    """Median over the rounds of the job's time over the yardstick's time in the same round."""
    return float(np.median(np.array(seconds[job]) / np.array(seconds[yardstick])))


def write_result(script: str, figures: Mapping[str, Any]) -> None:
    """Write the figures, and where they come from, to a JSON file beside the script; print it too."""
    place = Path(script).resolve()
    result = {
        "figures": dict(figures),
        "command": " ".join([f"python {place.relative_to(HERE.resolve().parent)}", *sys.argv[1:]]),
        "versions": {
            "neuralcodec": neuralcodec.__version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
        },
        "machine": {"architecture": platform.machine(), "simd": simd(), "threads": thread_count()},
        "load_average": os.getloadavg(),
    }
    text = json.dumps(result, indent=2) + "\n"
    place.with_suffix(".json").write_text(text)
    print(text, end="")
