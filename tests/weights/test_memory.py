"""Memory does not grow with the file: tensors are coded and decoded one after another."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

SCRIPT = """
import io, resource, sys
from neuralcodec.weights import Target, WeightsReader, coder, encode_weights
coder.coder()
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = peak()
if sys.argv[1] == "encode":
    encode_weights(sys.argv[2], sys.argv[3], Target(sqnr=20), states=8, threads=2)
else:
    with WeightsReader(sys.argv[3], threads=2) as reader:
        assert sum(1 for _ in reader.tensors()) == 12
print(peak() - before)
"""


@pytest.mark.slow
def test_memory_is_that_of_a_few_tensors(tmp_path: Path) -> None:
    tensor = np.random.default_rng(0).normal(size=(1024, 1024)).astype(np.float32)
    save_file({f"t{i}": tensor + i for i in range(12)}, tmp_path / "w.safetensors")
    for way in ("encode", "decode"):
        command = [
            sys.executable,
            "-c",
            SCRIPT,
            way,
            str(tmp_path / "w.safetensors"),
            str(tmp_path / "w.ncz"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert int(done.stdout) < 10 * tensor.nbytes, way
