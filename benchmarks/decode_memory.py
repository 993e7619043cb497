"""Peak memory of decoding an archive of 10,000 MNIST images, beyond the process with the model loaded.

NEURALCODEC_DATA=... python benchmarks/decode_memory.py
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from common import mnist, write_result

import neuralcodec

PROGRAM = """
import re, sys
import neuralcodec

def kilobytes(field):
    return int(re.search(field + r":\\s+(\\d+) kB", open("/proc/self/status").read()).group(1))

model, path, way = sys.argv[1:]
image = neuralcodec.load_model(model).sample(1)[0]
neuralcodec.decompress(neuralcodec.compress(image, model))
open("/proc/self/clear_refs", "w").write("5")  # the peak starts again from what is held now
before = kilobytes("VmRSS")
if way == "whole":
    total = len(neuralcodec.decompress_many(path))
else:
    with neuralcodec.open_archive(path) as archive:
        total = sum(1 for _ in archive)
print(kilobytes("VmHWM") - before, total)
"""


def beyond(model: str, path: Path, way: str) -> float:
    """MB (10^6 bytes) by which decoding raises the peak."""
    out = subprocess.run(
        [sys.executable, "-c", PROGRAM, model, str(path), way],
        capture_output=True,
        text=True,
        check=True,
        cwd=path.parent,  # not the clone, whose package has no compiled kernels beside it
    )
    grown, total = map(int, out.stdout.split())
    if total != 10_000:
        raise SystemExit(f"decoded {total} images, not 10,000")
    return grown * 1024 / 1e6


def main() -> None:
    """Measure both models, the whole array at once and one image after the other."""
    images = mnist("test")
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        for model in ("pc-mnist-fast", "pc-mnist"):
            path = Path(folder) / "mnist.ncz"
            path.write_bytes(neuralcodec.compress_many(images, model))
            figures[model] = {f"{way}_mb": beyond(model, path, way) for way in ("whole", "iterated")}
    write_result(__file__, figures)


if __name__ == "__main__":
    main()
