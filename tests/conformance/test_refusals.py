"""The package and the independent decoder refuse the same files, and read the same from damaged ones they accept."""

import zlib
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from decoder import decode
from decoder_model import Model, read_model
from decoder_primitives import Reader, Refused, read_tensor
from numpy.typing import NDArray

import neuralcodec
from neuralcodec.api import decode_file
from neuralcodec.artifact import Artifact
from neuralcodec.circuits.builders import binary_tree, hmm
from neuralcodec.circuits.circuit import Circuit
from neuralcodec.circuits.initialise import initial_parameters
from neuralcodec.circuits.parameters import quantise
from neuralcodec.container.primitives import varint
from neuralcodec.errors import NeuralCodecError
from neuralcodec.native import decode_tensor, encode_tensor

Array = NDArray[Any]
Outcome = tuple[Array, Array] | None
"""Samples and mask, or None if the file was refused."""


@cache
def small_circuit(seed: int = 0) -> Circuit:
    alphabet = np.array([1, 2, 3, 40, 5, 256])
    shared = binary_tree(shape=(2, 3), dtype=np.uint8, alphabet=alphabet, states=3, basis_size=4)
    free = hmm(shape=(6,), dtype=np.int16, alphabet=alphabet, states=[2, 1, 4, 3, 3, 2], emission="free")
    structure = (shared, free)[seed % 2]
    parameters = initial_parameters(structure, np.zeros((1, 6), np.int64), seed)
    return Circuit(structure, quantise(structure, parameters))


@cache
def model_of(circuit: Circuit) -> Model:
    return read_model(circuit.to_artifact().to_bytes())


def independent(data: bytes, model: Model) -> Outcome:
    try:
        decoded = decode(data, model)
    except Refused:
        return None
    array = decoded.array()
    missing = np.zeros(array.shape, np.bool_) if decoded.missing is None else decoded.missing
    return array, missing.reshape(array.shape)


def package(data: bytes, circuit: Circuit) -> Outcome:
    try:
        if len(data) > 5 and data[5] & 1:
            with neuralcodec.open_archive(data, circuit) as archive:
                archive.metadata()
                array = archive[:]
        else:
            array = decode_file(data, circuit).array
    except NeuralCodecError:
        return None
    return np.ma.getdata(array), np.ma.getmaskarray(array)


def same(one: Outcome, other: Outcome) -> bool:
    if one is None or other is None:
        return one is other
    alike = all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    return alike and one[0].dtype == other[0].dtype


def accepted(data: bytes, circuit: Circuit) -> bool:
    """Tell whether a file is accepted; both decoders must agree on it and on what it holds."""
    outcome = package(data, circuit)
    assert same(independent(data, model_of(circuit)), outcome), data.hex()
    return outcome is not None


def mutate(data: bytes, rng: np.random.Generator, keep: int = 0) -> bytes:
    """Change, insert or delete a few bytes, but none of the first `keep`."""
    out = bytearray(data)
    for _ in range(int(rng.integers(1, 3))):
        at = int(rng.integers(keep, max(keep + 1, min(len(out), 80) if rng.random() < 0.5 else len(out))))
        kind = int(rng.integers(4))
        if kind == 0:
            out[at : at + 1] = rng.bytes(1)
        elif kind == 1:
            out[at : at + 1] = bytes(
                [(b + int(rng.choice([-1, 1, 64, 128]))) % 256 for b in out[at : at + 1]]
            )
        elif kind == 2:
            del out[at : at + int(rng.integers(1, 4))]
        else:
            out[at:at] = bytes(2) if rng.random() < 0.5 else rng.bytes(int(rng.integers(1, 3)))
    return bytes(out)


def take_apart(archive: bytes) -> tuple[bytes, list[tuple[bytes, int]]]:
    """Return the header without its CRC-32, and the body and number of signals of each chunk."""
    offset = int.from_bytes(archive[-12:-4], "little")
    reader = Reader(archive, offset + 4)
    reader.varint()
    chunks = [(reader.varint(), reader.varint()) for _ in range(reader.varint())]
    reader.at = offset - sum(size for size, _ in chunks)
    header = archive[: reader.at - 4]
    bodies = []
    for _, n in chunks:
        reader.take(4)
        bodies.append((reader.take(reader.varint()), n))
        reader.take(4)
    return header, bodies


def put_together(header: bytes, bodies: list[tuple[bytes, int]]) -> bytes:
    """Return the archive of a header and the bodies of chunks, checksums made anew."""
    out, index = sealed(header), varint(len(bodies))
    for body, n in bodies:
        chunk = sealed(b"\x89NCk" + varint(len(body)) + body)
        index += varint(len(chunk)) + varint(n)
        out += chunk
    return out + sealed(b"\x89NCi" + varint(len(index)) + index) + len(out).to_bytes(8, "little") + b"ZCN\x89"


def sealed(data: bytes) -> bytes:
    return data + zlib.crc32(data).to_bytes(4, "little")


def some_files(circuit: Circuit) -> list[bytes]:
    """Return singles and archives with all that files can have."""
    x = circuit.sample(11, 0)
    holes = np.random.default_rng(0).random(x.shape) < 0.3
    masked = np.ma.MaskedArray(np.where(holes, 0, x).astype(x.dtype), holes)
    wide = masked.reshape(11, 1, *x.shape[1:]).astype(np.int32)
    names: list[str | None] = ["é.png", None] * 5 + ["b"]
    return [
        neuralcodec.compress(x[0], circuit),
        neuralcodec.compress(wide[0], circuit, name="é.png", icc_profile=b"ICC", exif=b"EXIF"),
        neuralcodec.compress_many(x, circuit),
        neuralcodec.compress_many(wide, circuit, names=names, group=3, chunk=6),
    ]


def test_mutated_files(monkeypatch: pytest.MonkeyPatch) -> None:
    circuits = [small_circuit(seed) for seed in range(4)]
    for circuit in circuits:
        model_of(circuit)  # while its checksum is still looked at
    # Without checksums, which catch nearly everything, the other checks are put to the test.
    monkeypatch.setattr(zlib, "crc32", lambda data, value=0: 0)
    files = [some_files(circuit) for circuit in circuits]
    rng = np.random.default_rng(0)
    outcomes = []
    for _ in range(4_000):
        chosen = int(rng.integers(len(circuits)))
        data = mutated_file(files[chosen][int(rng.integers(4))], rng)
        outcomes.append(accepted(data, circuits[chosen]))
    assert 20 < sum(outcomes) < 2_000


def mutated_file(data: bytes, rng: np.random.Generator) -> bytes:
    if not data[5] & 1 or rng.random() < 0.2:
        return mutate(data, rng, 4)
    header, bodies = take_apart(data)
    if rng.random() < 0.2:
        return put_together(mutate(header, rng, 4), bodies)
    chosen = int(rng.integers(len(bodies)))
    body, n = bodies[chosen]
    bodies[chosen] = mutate(body, rng), n + int(rng.choice([-1, 0, 0, 0, 1]))
    return put_together(header, bodies)


@pytest.mark.parametrize("seed", range(3))
def test_truncated_files(seed: int) -> None:
    for data in some_files(small_circuit(seed)):
        assert accepted(data, small_circuit(seed))
        for size in range(len(data)):
            assert not accepted(data[:size], small_circuit(seed))
        assert not accepted(data + b"\0", small_circuit(seed))


def unless_refused(
    read: Callable[[bytes, int, int], Array], body: bytes, rows: int, columns: int
) -> Array | None:
    try:
        return read(body, rows, columns)
    except (NeuralCodecError, Refused):
        return None


@pytest.mark.parametrize("seed", range(2))
def test_mutated_tensor_bodies(seed: int) -> None:
    rng = np.random.default_rng(seed)
    kept = 0
    for _ in range(1_500):
        rows, columns = (int(size) for size in rng.integers(1, 12, 2))
        top = int(rng.choice([1, 2, 5, 300, 5_000, 1 << 23]))
        body = mutate(encode_tensor(rng.integers(0, top, (rows, columns)).astype(np.uint32)), rng)
        rows += int(rng.choice([0, 0, 0, 1]))
        theirs = unless_refused(decode_tensor, body, rows, columns)
        ours = unless_refused(read_tensor, body, rows, columns)
        kept += theirs is not None
        assert (ours is None) == (theirs is None), (body.hex(), rows, columns)
        assert theirs is None or np.array_equal(np.asarray(ours), theirs), (body.hex(), rows, columns)
    assert kept > 10


def model_accepted(tensors: dict[str, Array], family: str = "circuit") -> bool:
    """Tell whether a model with these tensors is accepted; both decoders must agree."""
    data = Artifact(family, {}, tensors).to_bytes()
    outcome = True
    try:
        _ = Circuit.from_artifact(Artifact.from_bytes(data)).kernel
    except NeuralCodecError:
        outcome = False
    try:
        read_model(data)
        independent_outcome = True
    except Refused:
        independent_outcome = False
    assert independent_outcome == outcome, {name: tensor.tolist() for name, tensor in tensors.items()}
    return outcome


@pytest.mark.parametrize("seed", range(4))
def test_mutated_models(seed: int) -> None:
    rng = np.random.default_rng(seed)
    original = small_circuit(seed).to_artifact().tensors
    values = [0, 1, 2, 3, 4, 5, 9, 128, 129, 4_095, 4_096, 4_097, 65_536, (1 << 23) - 1]
    kept = 0
    for _ in range(250):
        tensors = {name: tensor.astype(np.uint32) for name, tensor in original.items()}
        name = str(rng.choice(list(tensors)))
        tensor, kind = tensors[name], int(rng.integers(6))
        if kind < 3:
            tensor.flat[int(rng.integers(tensor.size))] = int(rng.choice(values))
        elif kind == 3:
            tensors[name] = np.repeat(tensor, 2, int(rng.integers(2)))
        elif kind == 4:
            del tensors[name]
        else:
            tensors[str(rng.choice(["basis.7", "free.0256", "free.7", "weight.1", "note"]))] = tensor
        kept += model_accepted(tensors)
    assert 5 < kept < 245


def test_rows_of_levels_at_the_limits() -> None:
    tensors = dict(small_circuit(1).to_artifact().tensors)
    for levels, fits in (((4_095, 90, 9, 3, 0), True), ((4_095, 90, 9, 3, 1), False), ((0,) * 5, False)):
        tensors["free.5"] = np.tile(np.array(levels, np.uint16), (len(tensors["free.5"]), 1))
        assert model_accepted(tensors) is fits


def test_a_family_that_is_no_circuit() -> None:
    assert not model_accepted(dict(small_circuit().to_artifact().tensors), "flow")
    assert not model_accepted({"note": np.zeros((0, 0), np.uint8)})


def with_sections(data: bytes, circuit: Circuit, sections: bytes) -> bytes:
    """Return a plain single file with a section list, its checksum made anew."""
    x = neuralcodec.decompress(data, circuit)
    head = data[:5] + bytes([data[5] | 4]) + data[6:10] + sections
    return head + data[10:-4] + zlib.crc32(head + x.tobytes()).to_bytes(4, "little")


SECTION_LISTS: dict[str, tuple[bytes, bool]] = {
    "none": (b"\0", True),
    "known": (b"\1\1a\3\1b\5\1c\0", True),
    "unknown and optional": (b"\7\2xy\x81\1\0\0", True),
    "unknown and mandatory": (b"\4\0\0", False),
    "descending": (b"\5\1c\3\1b\0", False),
    "twice": (b"\5\1c\5\1c\0", False),
    "overlong type": (b"\x85\0\1c\0", False),
    "overlong length": (b"\5\x81\0c\0", False),
    "mask of no bytes": (b"\2\0\0", False),
    "name with a directory": (b"\5\3a/b\0", False),
    "name that is a directory": (b"\5\2..\0", False),
    "name that is not UTF-8": (b"\5\1\xff\0", False),
    "above 16 MiB": (b"\7" + varint(2**24 + 1) + bytes(2**24 + 1) + b"\0", False),
}


@pytest.mark.parametrize("name", SECTION_LISTS)
def test_section_lists(name: str) -> None:
    circuit = small_circuit()
    sections, fits = SECTION_LISTS[name]
    single = neuralcodec.compress(circuit.sample(1)[0], circuit)
    assert accepted(with_sections(single, circuit, sections), circuit) is fits


@pytest.mark.parametrize(
    ("sections", "fits"), [(b"\5\1a\7\0\0", True), (b"\2\1a\0", False), (b"\4\0\0", False)]
)
def test_sections_of_the_header_of_an_archive(sections: bytes, fits: bool) -> None:
    circuit = small_circuit()
    header, bodies = take_apart(neuralcodec.compress_many(circuit.sample(3), circuit))
    listed = header[:5] + bytes([header[5] | 4]) + header[6:38] + sections + header[38:]
    assert accepted(put_together(listed, bodies), circuit) is fits


def test_paddings() -> None:
    circuit = small_circuit()
    header, [(body, n)] = take_apart(neuralcodec.compress_many(circuit.sample(3), circuit))
    assert accepted(put_together(header, [(body[:-4] + bytes(9) + body[-4:], n)]), circuit)
    assert not accepted(put_together(header, [(body[:-4] + b"\0\1\0" + body[-4:], n)]), circuit)


def nearly_free(change: Callable[[bytes], bytes]) -> bool:
    """Tell whether an archive with the fewest bytes for its samples is accepted after a change of its chunk."""
    structure = hmm(shape=(64,), dtype=np.uint8, alphabet=1, states=1, emission="free")
    circuit = Circuit(
        structure, quantise(structure, initial_parameters(structure, np.zeros((1, 64), int), 0))
    )
    data = neuralcodec.compress_many(np.zeros((1024, 64), np.int64), circuit, group=1024)
    header, [(body, n)] = take_apart(data)
    assert len(body) == n * 64 * 8 // 32_768
    return accepted(put_together(header, [(change(body), n)]), circuit)


def test_samples_for_each_byte_of_a_chunk() -> None:
    assert nearly_free(lambda body: body)
    assert not nearly_free(lambda body: body[:6] + body[7:])


@pytest.mark.parametrize("flags", [0x18, 0x00, 0x20, 0xF0])
def test_flags(flags: int) -> None:
    circuit = small_circuit()
    for data in some_files(circuit)[::2]:
        changed = data[:5] + bytes([flags | data[5] & 7]) + data[6:]
        assert not accepted(changed, circuit)


@pytest.mark.parametrize(("size", "fits"), [(65_536 - 3, True), (65_536 - 2, False)])
def test_inflated_bytes_for_each_signal(size: int, fits: bool) -> None:
    circuit = small_circuit()
    header, [(body, n)] = take_apart(neuralcodec.compress_many(circuit.sample(1), circuit))
    items = zlib.compress(varint(size) + bytes(size))
    body = body[:2] + b"\4" + b"\3" + varint(len(items)) + items + b"\0" + body[3:]
    assert accepted(put_together(header, [(body, n)]), circuit) is fits
