"""Inputs that the C++ harness (native.cpp) starts from, in the byte code that it reads."""

import numpy as np
from edge_circuits import edge_circuit, random_samples
from numpy.typing import NDArray

from neuralcodec.circuits.circuit import Circuit
from neuralcodec.circuits.parameters import Levels
from neuralcodec.circuits.structure import FIELDS
from neuralcodec.native import encode_tensor

SCALE = 17  # a byte times this is a level


def tensor_seeds() -> list[bytes]:
    """Return a shape of two bytes a side and a body, several times."""
    rng = np.random.default_rng(3)
    matrices = [
        np.zeros((1, 1), int),
        np.eye(28, dtype=int),
        rng.integers(0, 2**23, (5, 7)),
        rng.geometric(0.3, (20, 20)) * 30,
    ]
    sizes = [[side.to_bytes(2, "little") for side in matrix.shape] for matrix in matrices]
    return [b"".join(size) + encode_tensor(matrix) for size, matrix in zip(sizes, matrices, strict=True)]


def circuit_seeds() -> list[bytes]:
    """Return small circuits, each followed by a group of its signals."""
    seeds = []
    for number in range(8):
        rng = np.random.default_rng(number)
        sizes = {"states": (1, 2, 3), "ranks": (1, 2, 17), "alphabets": (1, 2, 5)}
        drawn = edge_circuit(rng, 1 + number, number % 3, zeros=0.0, **sizes)  # type: ignore[arg-type]
        coarse = (coarsened(getattr(drawn.levels, field)) for field in FIELDS)
        circuit = Circuit(drawn.structure, Levels(*coarse))
        x = random_samples(rng, circuit, 1 + number)
        seeds.append(describe(circuit) + bytes([number, 0]) + circuit.kernel.encode(x, None, len(x))[0])
    return seeds


def coarsened(levels: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Return levels that a byte can tell, in long runs."""
    return np.repeat(SCALE * (1 + levels[::8] % 9), 8)[: len(levels)].astype(np.uint16)


def describe(circuit: Circuit) -> bytes:
    """Return the bytes that native.cpp reads a circuit from."""
    s = circuit.structure
    arrays = (s.parent, s.variable, s.states, s.emission, s.alphabet, np.array(s.basis_size, np.int32))
    head = bytes([s.nodes, s.variables, len(s.basis_size)])
    numbers = b"".join((array + 2).astype(np.uint8).tobytes() for array in arrays)
    return head + numbers + b"".join(runs(getattr(circuit.levels, field)) for field in FIELDS)


def runs(levels: NDArray[np.uint16]) -> bytes:
    """Return the number of runs, then the level and the length less one of each."""
    pairs: list[tuple[int, int]] = []
    for level in (levels // SCALE).tolist():
        if pairs and pairs[-1][0] == level and pairs[-1][1] < 255:
            pairs[-1] = level, pairs[-1][1] + 1
        else:
            pairs.append((level, 0))
    return bytes([len(pairs), *(byte for pair in pairs for byte in pair)])
