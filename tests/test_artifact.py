import hashlib
import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from neuralcodec.artifact import Artifact, read_artifact, read_header, read_tensors, write_artifact
from neuralcodec.container.primitives import crc32, varint
from neuralcodec.errors import (
    CorruptFile,
    InvalidModel,
    NeuralCodecError,
    NotNeuralCodecFile,
    TruncatedFile,
    UnsupportedVersion,
)
from neuralcodec.native import encode_tensor

HEADER = {"name": "demo", "figures": {"bpd": 1.5}, "data": "zażółć"}


def matrix(seed: int, rows: int, columns: int, dtype: str) -> NDArray[Any]:
    top = min(int(np.iinfo(dtype).max), 2**23 - 1)
    rng = np.random.default_rng(seed)
    return (top * rng.random((rows, columns)) ** 4).astype(dtype)


TENSORS = st.dictionaries(
    st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=64),
    st.builds(
        matrix,
        st.integers(0, 2**32),
        st.integers(1, 9),
        st.integers(1, 9),
        st.sampled_from(["uint8", "uint16", "uint32", "uint64"]),
    ),
    max_size=4,
)


def identity(family: str, tensors: dict[str, NDArray[Any]]) -> bytes:
    """The identity, by the words of the format."""
    data = family.encode() + b"\0"
    for name, tensor in sorted(tensors.items(), key=lambda item: item[0].encode()):
        largest = max([0, *map(int, tensor.flat)])
        width = 1 if largest < 256 else 2 if largest < 65_536 else 4
        data += name.encode() + b"\0"
        data += tensor.shape[0].to_bytes(8, "little") + tensor.shape[1].to_bytes(8, "little") + bytes([width])
        data += b"".join(int(value).to_bytes(width, "little") for value in tensor.flat)
    return hashlib.sha256(data).digest()


def model_file(tensors: bytes, count: int = 1, header: bytes = b"{}", digest: bytes = bytes(32)) -> bytes:
    data = b"\x89NCM\1" + digest + b"\4demo" + varint(len(header)) + header + varint(count) + tensors
    return data + crc32(data)


def record(name: bytes, rows: int, columns: int, body: bytes) -> bytes:
    return varint(len(name)) + name + varint(rows) + varint(columns) + varint(len(body)) + body


@given(TENSORS)
@settings(max_examples=60, deadline=None)
def test_models_come_back_with_their_identity(tensors: dict[str, NDArray[Any]]) -> None:
    artifact = Artifact("demo", HEADER, tensors)
    again = Artifact.from_bytes(artifact.to_bytes())
    assert artifact.identity == again.identity == identity("demo", tensors)
    assert (again.family, again.header) == ("demo", HEADER)
    assert again.tensors.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert np.array_equal(again.tensors[name], tensor)


def test_every_part_stands_where_the_format_says() -> None:
    a, b = np.array([[1, 2, 3]], np.uint8), np.zeros((0, 0), np.uint8)
    artifact = Artifact("demo", {"name": "ü"}, {"b": b, "a": a})
    digest = identity("demo", {"a": a, "b": b})
    tensors = record(b"a", 1, 3, encode_tensor(a)) + record(b"b", 0, 0, b"")
    assert artifact.to_bytes() == model_file(tensors, 2, '{"name":"ü"}'.encode(), digest)


def test_identity_is_that_of_the_parameters_alone() -> None:
    narrow = Artifact("demo", {}, {"a": np.array([[1, 2]], np.uint8)})
    assert narrow.identity == Artifact("demo", HEADER, {"a": np.array([[1, 2]], np.uint32)}).identity
    others = [
        Artifact("omed", {}, {"a": np.array([[1, 2]], np.uint8)}),
        Artifact("demo", {}, {"b": np.array([[1, 2]], np.uint8)}),
        Artifact("demo", {}, {"a": np.array([[1], [2]], np.uint8)}),
        Artifact("demo", {}, {"a": np.array([[1, 3]], np.uint8)}),
    ]
    assert len({narrow.identity, *(other.identity for other in others)}) == 5


@pytest.mark.parametrize(
    "tensor",
    [
        np.zeros(3, np.uint8),
        np.zeros((1, 2), np.int8),
        np.zeros((1, 2), np.float32),
        np.zeros((0, 2), np.uint8),
        np.full((1, 1), 2**23, np.uint32),
    ],
)
def test_tensors_that_the_format_cannot_hold_are_refused(tensor: NDArray[Any]) -> None:
    with pytest.raises(InvalidModel, match="tensor 'a'"):
        Artifact("demo", {}, {"a": tensor})


def test_names_and_headers_that_the_format_cannot_hold_are_refused() -> None:
    with pytest.raises(InvalidModel, match="family"):
        Artifact("", {}, {})
    with pytest.raises(InvalidModel, match="tensor"):
        Artifact("demo", {}, {"ü": np.zeros((1, 1), np.uint8)})
    for header in ({"x": float("nan")}, {"x": b""}, {"x": "y" * 2**20}):
        with pytest.raises(InvalidModel, match="header"):
            Artifact("demo", header, {}).to_bytes()


def test_every_cut_and_every_flip_is_refused() -> None:
    tensors = {
        "a": matrix(1, 5, 4, "uint16"),
        "b.4": matrix(2, 3, 3, "uint8"),
        "c": np.zeros((0, 0), np.uint8),
    }
    data = Artifact("demo", HEADER, tensors).to_bytes()
    for size in range(1, len(data)):
        with pytest.raises(TruncatedFile):
            Artifact.from_bytes(data[:size])
    for place in range(len(data)):
        for value in (1, 0x80, 0xFF):
            bad = bytearray(data)
            bad[place] ^= value
            with pytest.raises(NeuralCodecError):
                Artifact.from_bytes(bytes(bad))
    with pytest.raises(CorruptFile, match="1 bytes follow"):
        Artifact.from_bytes(data + b"\0")


def test_foreign_and_newer_files_are_told() -> None:
    data = Artifact("demo", {}, {}).to_bytes()
    with pytest.raises(NotNeuralCodecFile, match=r"digit\.png: not a neuralcodec model file"):
        Artifact.from_bytes(b"\x89PNG" + data, "digit.png")
    with pytest.raises(UnsupportedVersion, match="version 2"):
        Artifact.from_bytes(data[:4] + b"\2" + data[5:])


GOOD = record(b"a", 1, 2, encode_tensor(np.array([[1, 2]])))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (model_file(GOOD), "identity"),
        (model_file(GOOD + GOOD, 2), "must ascend"),
        (model_file(record(b"a", 0, 2, b"")), "0 rows, 2 columns"),
        (model_file(record(b"a", 2, 0, b"x")), "2 rows, 0 columns"),
        (model_file(record(b"a", 0, 0, b"x")), "1 bytes"),
        (model_file(record(b"a", 4097, 1, b"x")), "above the limits"),
        (model_file(record(b"a", 2**28, 2**28, bytes(9))), "above the limits"),
        (model_file(record(b"", 1, 1, b"x")), "length of the name"),
        (model_file(record(b"\x80", 1, 1, b"x")), "ASCII"),
        (model_file(GOOD, 2**40), "tensors: "),
        (model_file(record(b"a", 1, 2, b"\7")), "tensor"),
        (model_file(b"", 0, b"[]"), "not an object"),
        (model_file(b"", 0, b"{"), "not JSON"),
        (model_file(b"", 0, b"\xff"), "not JSON"),
        (model_file(b"", 0, b'{"a":NaN}'), "not JSON"),
        (model_file(b"", 0, b"[" * 100_000), "not JSON"),
        (model_file(b"", 0, b'{"a":' + b"1" * 10_000 + b"}"), "not JSON"),
    ],
)
def test_impossible_models_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(CorruptFile, match=message):
        Artifact.from_bytes(data)


def test_claims_are_checked_before_memory_is_taken() -> None:
    records = b"".join(record(b"%03d" % i, 2**14, 2**14, bytes(2**16)) for i in range(2))
    tracemalloc.start()
    with pytest.raises(CorruptFile, match="above the limits"):
        Artifact.from_bytes(model_file(records, 2))
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_files_are_read_in_full_or_in_part(tmp_path: Path) -> None:
    path = tmp_path / "demo.ncm"
    header = {"name": "demo", "notes": "x" * 50_000}
    artifact = Artifact("demo", header, {"a": matrix(1, 5, 4, "uint16"), "shape": matrix(2, 1, 2, "uint8")})
    write_artifact(path, artifact)
    assert path.read_bytes() == artifact.to_bytes()
    assert read_artifact(path).identity == artifact.identity
    head = read_header(path)
    assert (head.family, head.identity, head.header) == ("demo", artifact.identity, header)
    assert read_tensors(path, ("shape", "none")).keys() == {"shape"}
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(TruncatedFile, match=r"demo\.ncm: checksum|demo\.ncm: tensors"):
        read_artifact(path)


def test_header_is_canonical_json() -> None:
    data = Artifact("demo", HEADER, {}).to_bytes()
    assert json.dumps(HEADER, ensure_ascii=False, separators=(",", ":")).encode() in data
