"""The golden files of weights: small state dicts that use every part of section 10 of docs/format.md."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuralcodec.weights import Target, WeightsEncoder
from neuralcodec.weights.safetensors_format import write_header
from neuralcodec.weights.sources import WeightSource, mapping_source, safetensors_source

State = dict[str, NDArray[Any]]


def _network() -> State:
    rng = np.random.default_rng(1)
    kernels = rng.normal(size=(16, 12, 1, 1)) + 0.4 * rng.normal(size=(16, 12, 3, 3))
    return {
        "conv.weight": kernels.astype(np.float32),
        "conv.bias": rng.normal(size=16).astype(np.float32),
        "bn.running_var": rng.gamma(3.0, size=16).astype(np.float32),
        "bn.num_batches_tracked": np.array(1234, np.int64),
        "rows.weight": (rng.normal(size=(32, 24)) * np.exp2(2 * rng.normal(size=(32, 1)))).astype(np.float32),
        "smooth": np.cumsum(rng.normal(size=(10, 60)), axis=1).astype(np.float32),
        "sparse": np.where(rng.random((24, 20)) < 0.7, 0, rng.normal(size=(24, 20))).astype(np.float32),
        "Größe": rng.laplace(size=(3, 4, 5)).astype(np.float64),
    }


def _dtypes() -> State:
    rng = np.random.default_rng(2)
    state: State = {"empty": np.zeros((3, 0, 2), np.float32), "scalar": np.array(2.5, np.float32)}
    for name in ("u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8"):
        state[name] = np.rint(rng.normal(100, 9, (7, 30))).astype(name)
        state[f"{name} noise"] = rng.integers(0, 256, (40, 8 * int(name[1])), np.uint8).view(name)
    for name in ("f2", "f4", "f8"):
        state[name] = rng.normal(size=(9, 40)).astype(name)
    state |= {"bool": rng.random((9, 9)) < 0.1, "c8": rng.normal(size=(4, 6)).astype("c8")}
    state |= {
        "c16": rng.normal(size=(4, 6)).astype("c16"),
        "ternary": rng.integers(-1, 2, (30, 30)).astype("i1"),
    }
    state["special"] = rng.normal(size=(20, 30)).astype("f4")
    state["special"].flat[50:58] = np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45, 3.4e38, 1e-20
    return state


def _large() -> State:
    return {"large": np.random.default_rng(3).normal(size=(300, 500)).astype(np.float32)}


def _planes() -> State:
    rng = np.random.default_rng(5)
    few = rng.choice(np.array([3, 90, 250], np.uint8), (40, 50), p=[0.5, 0.3, 0.2])
    return {"few": few, "wide": few.astype(np.uint64) << 40, "codes": few > 50, "row": few[0].repeat(30)}


def _parts() -> State:
    rng = np.random.default_rng(6)
    small = rng.normal(size=(40, 40)).astype(np.float32)
    beside = np.cumsum(rng.normal(size=(8, 30, 2, 2)), axis=1)
    state: State = {
        "coarse": 0.15 * small,
        "coarser": 0.6 * rng.laplace(size=(40, 40)).astype(np.float32),
        "columns": small * np.exp2(2 * rng.normal(size=40)).astype(np.float32),
        "above": np.cumsum(small, axis=0),
        "beside": beside.astype(np.float32),
        "half in single": np.where(small > 0.5, small, small[::-1]).astype(np.float16).astype(np.float32)[0],
    }
    scales = np.exp2(np.cumsum(0.5 * rng.normal(size=1600)) % 8)
    state["near"] = (scales * small.ravel()).astype(np.float32).reshape(8, 200)
    return state


def _bfloat16() -> WeightSource:
    """Return a safetensors file of bfloat16, its header written in another way than the usual one."""
    rng = np.random.default_rng(4)
    bits = (rng.normal(size=(20, 30)).astype("<f4").view("<u4") >> 16).astype("<u2")
    header = b'{"__metadata__": {"format": "pt"}, "w": {"dtype": "BF16", "shape": [20, 30], "data_offsets": [0, 1200]}}'
    assert header != write_header([], None)
    from neuralcodec.container.files import BufferSource

    return safetensors_source(BufferSource(len(header).to_bytes(8, "little") + header + bits.tobytes()))


# Name: tensors, target, states of the trellis.
WEIGHTS: dict[str, tuple[Callable[[], State | WeightSource], Target, int]] = {
    "weights-network-exact": (_network, Target(), 8),
    "weights-network-40": (_network, Target(sqnr=40), 8),
    "weights-network-20-scalar": (_network, Target(sqnr=20), 1),
    "weights-network-12-256": (_network, Target(sqnr=12), 256),
    "weights-network-3": (_network, Target(sqnr=3), 4),
    "weights-network-16": (_network, Target(sqnr=30), 16),
    "weights-network-32": (_network, Target(sqnr=30), 32),
    "weights-network-64": (_network, Target(sqnr=30), 64),
    "weights-network-128": (_network, Target(sqnr=30), 128),
    "weights-dtypes": (_dtypes, Target(), 8),
    "weights-large": (_large, Target(step=0.1), 8),
    "weights-empty": (dict, Target(), 8),
    "weights-bfloat16-exact": (_bfloat16, Target(), 8),
    "weights-bfloat16-20": (_bfloat16, Target(sqnr=20), 8),
    "weights-parts": (_parts, Target(step=0.25), 8),
    "weights-parts-exact": (_parts, Target(), 8),
    "weights-planes": (_planes, Target(), 8),
}


def make(name: str) -> bytes:
    """Return the golden file of a name."""
    tensors, target, states = WEIGHTS[name]
    found = tensors()
    file = io.BytesIO()
    source = found if isinstance(found, WeightSource) else mapping_source(found)
    WeightsEncoder(source, target, states=states, verify=True).write(file)
    return file.getvalue()
