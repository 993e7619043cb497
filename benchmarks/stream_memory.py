"""Peak memory of encoding small images from a generator, beyond the process with the model loaded.

python benchmarks/stream_memory.py
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from common import write_result

from neuralcodec.artifact import write_artifact
from neuralcodec.circuits.circuit import Circuit
from neuralcodec.circuits.parameters import Levels
from neuralcodec.circuits.structure import TreeStructure

SIDE, STATES, ALPHABET = 16, 4, 256
PROGRAM = """
import re, sys
import numpy as np
import neuralcodec

def kilobytes(field):
    return int(re.search(field + r":\\s+(\\d+) kB", open("/proc/self/status").read()).group(1))

model, path, way, n = *sys.argv[1:4], int(sys.argv[4])
loaded = neuralcodec.load_model(model)
shape, rng = loaded.structure.shape, np.random.default_rng(0)
neuralcodec.compress_many(np.zeros((2000, *shape), np.uint8), model)
image = rng.integers(0, 256, (251, *shape), dtype=np.uint8)
batch = rng.integers(0, 256, (500, *shape), dtype=np.uint8)
signals = (image[i % 251] for i in range(n)) if way == "signals" else (batch + 0 for _ in range(n // 500))
open("/proc/self/clear_refs", "w").write("5")  # the peak starts again from what is held now
before = kilobytes("VmRSS")
total = neuralcodec.compress_stream(signals, path, model, batched=way == "batches")
print(kilobytes("VmHWM") - before, total)
"""


def chain() -> Circuit:
    """A chain of one node a sample with random levels: what it codes does not matter here, only that it is quick."""
    size = SIDE * SIDE
    rng = np.random.default_rng(0)
    structure = TreeStructure(
        shape=(SIDE, SIDE),
        dtype=np.dtype(np.uint8),
        parent=np.arange(-1, size - 1, dtype=np.int32),
        variable=np.arange(size, dtype=np.int32),
        states=np.full(size, STATES, np.int32),
        alphabet=np.full(size, ALPHABET, np.int32),
        emission=np.zeros(size, np.int32),
        basis_size=(),
    ).validate()
    levels = (rng.integers(1, 60, entries).astype(np.uint16) for entries in structure.sizes.values())
    return Circuit(structure, Levels(*levels), {"name": "chain"})


def beyond(folder: Path, way: str, n: int) -> float:
    """MB (10^6 bytes) by which encoding n images raises the peak."""
    model, path = str(folder / "chain.ncm"), str(folder / "out.ncz")
    out = subprocess.run(
        [sys.executable, "-c", PROGRAM, model, path, way, str(n)],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,  # not the clone, whose package has no compiled kernels beside it
    )
    grown, total = map(int, out.stdout.split())
    if total != n:
        raise SystemExit(f"encoded {total} images, not {n}")
    return grown * 1024 / 1e6


def main() -> None:
    """Measure a generator of signals and one of batches, for ten times as many images too."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_artifact(folder / "chain.ncm", chain().to_artifact())
        figures = {
            f"{way}_{n}_mb": round(beyond(folder, way, n), 2)
            for way in ("signals", "batches")
            for n in (20_000, 200_000)
        }
    write_result(
        __file__, {"image": [SIDE, SIDE], **figures, "samples_of_200000_mb": 200_000 * SIDE**2 / 1e6}
    )


if __name__ == "__main__":
    main()
