"""Cases for the C++ driver: a circuit, coded groups and what Python makes of them."""

import hashlib
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from edge_circuits import EDGES, edge_circuit, random_samples, subnormal_circuit, subnormal_samples
from numpy.typing import NDArray

import neuralcodec
from neuralcodec.artifact import read_artifact, write_artifact
from neuralcodec.circuits.circuit import Circuit
from neuralcodec.circuits.parameters import dequantise
from neuralcodec.circuits.structure import FIELDS
from neuralcodec.container.archive import ArchiveReader
from neuralcodec.container.files import BufferSource
from neuralcodec.container.header import Header
from neuralcodec.container.primitives import Reader
from neuralcodec.container.sections import MASK, unpack_mask
from neuralcodec.container.single import read_single
from neuralcodec.native import encode_tensor

Mask = NDArray[np.bool_] | None


@dataclass(frozen=True)
class Case:
    """Groups of signals under a circuit; `file` is what the driver reads, `expected` what it must print."""

    name: str
    file: bytes
    expected: dict[str, str]


def make_case(name: str, circuit: Circuit, groups: Sequence[bytes], n: int, group: int, mask: Mask) -> Case:
    """Decode groups of the pc codec in Python, and describe them for the driver."""
    s = circuit.structure
    holes = None if mask is None else mask.reshape(n, s.variables).astype(np.uint8)
    x = circuit.kernel.decode(groups, n, holes, group)
    first = min(16, group, n)
    integers = circuit.kernel.tables(x[:first], None if holes is None else holes[:first])
    tensors = [tensor for _, tensor in sorted(circuit.to_artifact().tensors.items())]
    expected = {
        "tables": expanded_hash(circuit),
        "integers": hashlib.sha256(integers.astype("<u4").tobytes()).hexdigest(),
        "samples": hashlib.sha256(x.astype("<u2").tobytes()).hexdigest(),
        "again": "same",
        "tensors": hashlib.sha256(b"".join(tensor.astype("<u4").tobytes() for tensor in tensors)).hexdigest(),
    }
    arrays = (s.parent, s.variable, s.states, s.emission, s.alphabet, np.array(s.basis_size))
    parts = [struct.pack("<3I", s.nodes, s.variables, len(s.basis_size))]
    parts += [array.astype("<i4").tobytes() for array in arrays]
    support = np.zeros(0, np.bool_) if s.support is None else s.support
    parts.append(struct.pack("<I", len(support)) + support.tobytes() + struct.pack("<I", s.floor))
    levels = [getattr(circuit.levels, field).astype("<u2") for field in FIELDS]
    parts += [struct.pack("<I", len(array)) + array.tobytes() for array in levels]
    parts.append(struct.pack("<3I", n, group, holes is not None))
    parts += [b"" if holes is None else holes.tobytes(), struct.pack("<I", len(groups))]
    parts += [struct.pack("<I", len(coded)) + coded for coded in groups]
    parts.append(struct.pack("<I", len(tensors)))
    bodies = [encode_tensor(tensor) for tensor in tensors]
    sizes = [(*tensor.shape, len(body)) for tensor, body in zip(tensors, bodies, strict=True)]
    parts += [struct.pack("<3I", *size) + body for size, body in zip(sizes, bodies, strict=True)]
    return Case(name, b"".join(parts), expected)


def expanded_hash(circuit: Circuit) -> str:
    """Hash the derived tables of docs/format.md 7.1, worked out by numpy, in the driver's order."""
    s, theta = circuit.structure, dequantise(circuit.structure, circuit.levels)
    digest, seen = hashlib.sha256(_bytes(theta.root)), set()
    for node, kind in enumerate(s.emission.tolist()):
        if node > 0:
            digest.update(_bytes(theta.transition_of(s, node)))
        if kind > 0:
            digest.update(_bytes(theta.weight_of(s, node)))
        if kind < 0 or kind in seen:
            continue
        if kind == 0:
            rows, levels = theta.free_of(s, node), circuit.levels.free_of(s, node)
        else:
            seen.add(kind)
            rows, levels = theta.basis_of(s, kind - 1), circuit.levels.basis_of(s, kind - 1)
        digest.update(_bytes(rows) + _bytes(_cumulative(levels).T))
    return digest.hexdigest()


def _cumulative(levels: NDArray[np.uint16]) -> NDArray[np.float32]:
    squares = levels.astype(np.int64) ** 2
    below = np.cumsum(squares, axis=1) - squares
    cumulative: NDArray[np.float32] = below.astype(np.float32)
    cumulative /= squares.sum(axis=1, keepdims=True).astype(np.float32)
    return cumulative


def _bytes(values: NDArray[Any]) -> bytes:
    return np.ascontiguousarray(values, "<f4").tobytes()


def cases_of(folder: Path) -> Iterator[Case]:
    """Yield a case for each single file, and for each chunk of each archive, of the pc codec below a folder.

    The models that they need are the .ncm files below the same folder.
    """
    artifacts = [read_artifact(path) for path in sorted(folder.rglob("*.ncm"))]
    circuits = [Circuit.from_artifact(artifact) for artifact in artifacts if artifact.family == "circuit"]
    for path in sorted(folder.rglob("*.ncz")):
        data = path.read_bytes()
        header, archive = Header.read(Reader(data, "header"))
        fitting = [circuit for circuit in circuits if circuit.identity.startswith(header.identity)]
        if header.codec == "pc" and fitting:
            read = _archive_cases if archive else _single_cases
            yield from read(path.name, data, fitting[0])


def _single_cases(name: str, data: bytes, circuit: Circuit) -> Iterator[Case]:
    file = read_single(data)
    shape = (file.header.signal.shape if file.header.signal else None) or circuit.structure.shape
    mask = unpack_mask(file.header.sections[MASK], shape, 1) if MASK in file.header.sections else None
    yield make_case(name, circuit, [file.payload], 1, 1, mask)


def _archive_cases(name: str, data: bytes, circuit: Circuit) -> Iterator[Case]:
    reader = ArchiveReader(BufferSource(data))
    shape = reader.header.signal.shape if reader.header.signal else circuit.structure.shape
    for number in range(len(reader.entries)):
        chunk = reader.read(number)
        mask = unpack_mask(chunk.sections[MASK], shape, chunk.n) if MASK in chunk.sections else None
        yield make_case(f"{name} chunk {number}", circuit, chunk.groups, chunk.n, reader.group, mask)


def write_samples_of_all(folder: Path) -> None:
    """Write models with awkward sizes, and single files and archives of their signals, with and without masks."""
    for seed, (states, alphabets, pruned) in enumerate(
        [
            (EDGES, (1, 2, 3, 16, 17, 256), 0.0),
            (range(1, 41), (2, 256, 4096), 0.0),
            ((1, 2, 3), (2,), 0.0),
            (EDGES, (2, 3, 16, 256), 0.7),
        ]
    ):
        rng = np.random.default_rng(seed)
        circuit = edge_circuit(rng, 14, 4, states=tuple(states), alphabets=alphabets, pruned=pruned)
        x = random_samples(rng, circuit, 90)
        holes = np.ma.masked_array(x, rng.random(x.shape) < 0.2)
        write_artifact(folder / f"edges{seed}.ncm", circuit.to_artifact())
        for name, signals in (("plain", x), ("masked", holes)):
            archive = neuralcodec.compress_many(signals, circuit, group=33, chunk=66)
            (folder / f"edges{seed} {name}.ncz").write_bytes(archive)
            (folder / f"edges{seed} one {name}.ncz").write_bytes(neuralcodec.compress(signals[5], circuit))
    flushed = subnormal_circuit()
    write_artifact(folder / "subnormal.ncm", flushed.to_artifact())
    archive = neuralcodec.compress_many(subnormal_samples().astype(np.uint8), flushed)
    (folder / "subnormal.ncz").write_bytes(archive)
