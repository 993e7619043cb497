"""nncodec and ZipNN on a safetensors file: run by weights_rate.py, in an environment of their own.

python -m venv rivals && rivals/bin/pip install nncodec zipnn "torch==2.13.0" "numpy<2"
"""

import contextlib
import importlib.metadata
import io
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np

# nncodec imports torchvision for its examples' networks and data alone; builds of it for a torch without CUDA are rare.
for module in ("", ".models", ".transforms", ".datasets", ".transforms.functional", ".models._utils"):
    sys.modules[f"torchvision{module}"] = MagicMock()


def read(path: Path) -> dict[str, Any]:
    """Return the tensors of a safetensors file; bfloat16 is not among them."""
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header.pop("__metadata__", None)
    dtypes = {"F32": "<f4", "I64": "<i8"}
    start = 8 + size
    tensors = {}
    for name, entry in header.items():
        first, end = (start + offset for offset in entry["data_offsets"])
        tensors[name] = np.frombuffer(data[first:end], dtypes[entry["dtype"]]).reshape(entry["shape"]).copy()
    return tensors


def nnc(tensors: dict[str, Any], qp: int, dependent: bool) -> dict[str, float]:
    """Bytes, signal-to-noise ratio of what has two or more dimensions, and seconds."""
    from nncodec import nn

    silent = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(silent):
        start = time.perf_counter()
        floats = {
            name: tensor for name, tensor in tensors.items() if tensor.dtype == np.float32
        }  # it takes no int64
        stream = nn.encode(floats, {"qp": qp, "use_dq": dependent, "results": folder, "verbose": False})
        middle = time.perf_counter()
        decoded = nn.decode(stream)
        end = time.perf_counter()
    power = noise = 0.0
    worst = 0.0
    for name, tensor in tensors.items():
        if tensor.dtype.kind != "f":
            continue
        back = np.asarray(decoded[name], np.float64).reshape(tensor.shape)
        error = float(((back - tensor) ** 2).sum())
        energy = float((tensor.astype(np.float64) ** 2).sum())
        if tensor.ndim >= 2:
            power, noise = power + energy, noise + error
        elif energy:
            worst = max(worst, (error / energy) ** 0.5)
    return {
        "bytes": len(stream),
        "sqnr": 10 * float(np.log10(power / noise)),
        "vector_error": worst,
        "encode_seconds": middle - start,
        "decode_seconds": end - middle,
    }


def zipped(data: bytes, dtype: str) -> int:
    """Bytes that ZipNN makes of floats."""
    from zipnn import ZipNN

    coder = ZipNN(input_format="byte", bytearray_dtype=dtype)
    coded = coder.compress(bytes(bytearray(data)))  # it works within the bytes that it is given
    assert bytes(ZipNN(input_format="byte", bytearray_dtype=dtype).decompress(coded)) == data
    return len(coded)


def main() -> None:
    """Print the figures as JSON."""
    tensors = read(Path(sys.argv[1]))
    floats = b"".join(tensor.tobytes() for tensor in tensors.values() if tensor.dtype.kind == "f")
    brain = (np.frombuffer(floats, "<u4") >> 16).astype("<u2").tobytes()
    runs = {
        f"{'dependent' if dependent else 'uniform'} qp {qp}": nnc(tensors, qp, dependent)
        for dependent in (False, True)
        for qp in (-20, -32)
    }
    versions = {name: importlib.metadata.version(name) for name in ("nncodec", "zipnn", "torch", "numpy")}
    exact = {
        "float32": [len(floats), zipped(floats, "float32")],
        "bfloat16": [len(brain), zipped(brain, "bfloat16")],
    }
    print(json.dumps({"nncodec": runs, "zipnn": exact, "versions": versions}))


if __name__ == "__main__":
    main()
