"""Model files, `.ncm`: named integer matrices, a JSON header and an identity (docs/format.md, section 5)."""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuralcodec.container.files import PathLike, atomic_write
from neuralcodec.container.primitives import (
    IDENTITY_BYTES,
    MAX_ELEMENTS_PER_BYTE,
    MAX_TENSOR_ELEMENTS,
    VERSION,
    Buffer,
    Reader,
    crc32,
    is_name,
    varint,
)
from neuralcodec.errors import CorruptFile, InvalidModel, TruncatedFile, naming

MAGIC = b"\x89NCM"
KIND = "neuralcodec model file"
MAX_HEADER = 2**20
MAX_ELEMENT = 2**23 - 1
CRC_BYTES = 4
WINDOW = 2**14

Tensor = NDArray[np.unsignedinteger[Any]]


@dataclass(frozen=True)
class ModelHeader:
    """What a model file says of itself before its parameters."""

    family: str
    identity: bytes
    header: Mapping[str, Any]


@dataclass(frozen=True)
class _Record:
    """A tensor as it stands in the file."""

    name: str
    rows: int
    columns: int
    body: memoryview


@dataclass(frozen=True, eq=False)
class Artifact:
    """A model's parameters and what is to be said about them.

    Attributes
    ----------
    family
        Which codec family the tensors belong to ("circuit").
    header
        JSON object: name, description, recipe, data, licence, figures. It steers nothing.
    tensors
        2-D arrays of unsigned integers below 2^23 by name; a tensor without elements has shape (0, 0).

    Raises
    ------
    InvalidModel
        A name or a tensor that the format cannot hold.

    >>> model = Artifact("demo", {"name": "tiny"}, {"a": np.array([[1, 2]], np.uint8)})
    >>> Artifact.from_bytes(model.to_bytes()).identity == model.identity
    True
    """

    family: str
    header: Mapping[str, Any] = field(repr=False)
    tensors: Mapping[str, Tensor] = field(repr=False)

    def __post_init__(self) -> None:
        if not is_name(self.family):
            raise InvalidModel(
                f"{self.family!r} cannot name a family: 1 to 64 printable ASCII characters can"
            )
        for name, tensor in self.tensors.items():
            if not is_name(name):
                raise InvalidModel(f"{name!r} cannot name a tensor: 1 to 64 printable ASCII characters can")
            _check_tensor(name, tensor)
        elements = sum(tensor.size for tensor in self.tensors.values())
        if elements > MAX_TENSOR_ELEMENTS:
            raise InvalidModel(f"the tensors have {elements} elements in all, above {MAX_TENSOR_ELEMENTS}")

    @cached_property
    def identity(self) -> bytes:
        """SHA-256 of the canonical parameters, 32 bytes: repacking keeps it, the header does not touch it."""
        digest = hashlib.sha256(self.family.encode("ascii") + b"\0")
        for name in sorted(self.tensors):
            tensor = self.tensors[name]
            rows, columns = tensor.shape
            largest = int(tensor.max()) if tensor.size else 0
            width = 1 if largest < 2**8 else 2 if largest < 2**16 else 4
            digest.update(name.encode("ascii") + b"\0")
            digest.update(rows.to_bytes(8, "little") + columns.to_bytes(8, "little") + bytes([width]))
            digest.update(np.ascontiguousarray(tensor, f"<u{width}").reshape(-1).view(np.uint8).data)
        return digest.digest()

    def to_bytes(self) -> bytes:
        """Return the model file; :class:`InvalidModel` if the header is no JSON object or above 1 MiB."""
        from neuralcodec.native import encode_tensor

        header = _dump_header(self.header)
        parts = [MAGIC, bytes([VERSION]), self.identity]
        parts += [varint(len(self.family)), self.family.encode("ascii"), varint(len(header)), header]
        parts.append(varint(len(self.tensors)))
        for name in sorted(self.tensors):
            tensor = self.tensors[name]
            body = encode_tensor(np.ascontiguousarray(tensor)) if tensor.size else b""
            parts += [
                varint(len(name)),
                name.encode("ascii"),
                *map(varint, tensor.shape),
                varint(len(body)),
                body,
            ]
        data = b"".join(parts)
        return data + crc32(data)

    @classmethod
    def from_bytes(cls, data: Buffer, source: str | None = None) -> "Artifact":
        """Read a model file and check all of it: structure, checksum, tensors and identity.

        Raises
        ------
        NotNeuralCodecFile, UnsupportedVersion, TruncatedFile, CorruptFile
            As their names say; the messages name `source`.
        """
        with naming(source):
            reader = Reader(data, "header")
            head = _read_header(reader)
            records = _read_records(reader)
            _check_end(reader)
            artifact = cls(head.family, head.header, {record.name: _decode(record) for record in records})
            if artifact.identity != head.identity:
                raise CorruptFile(
                    f"the parameters have the identity {artifact.identity.hex()}, "
                    f"but the file says {head.identity.hex()}",
                    "tensors",
                )
            return artifact


def read_artifact(path: PathLike) -> Artifact:
    """Read the model file at a path (see :meth:`Artifact.from_bytes`)."""
    with open(path, "rb") as file, naming(path):
        return Artifact.from_bytes(file.read())


def write_artifact(path: PathLike, artifact: Artifact) -> None:
    """Write a model file, whole or not at all (see :func:`neuralcodec.container.files.atomic_file`)."""
    atomic_write(path, artifact.to_bytes())


def read_header(path: PathLike) -> ModelHeader:
    """Return family, identity and JSON header of a model file; its checksums are not looked at."""
    with open(path, "rb") as file, naming(path):
        data = file.read(WINDOW)
        try:
            return parse_header(data)
        except TruncatedFile:
            return parse_header(data + file.read(MAX_HEADER + WINDOW))


def read_tensors(path: PathLike, names: Collection[str]) -> dict[str, Tensor]:
    """Return a few tensors of a model file by name (see :func:`tensors_of`)."""
    with open(path, "rb") as file, naming(path):
        return tensors_of(file.read(), names)


def parse_header(data: Buffer) -> ModelHeader:
    """Return family, identity and JSON header of a model file's bytes; checksums are not looked at."""
    return _read_header(Reader(data, "header"))


def tensors_of(data: Buffer, names: Collection[str]) -> dict[str, Tensor]:
    """Return a few tensors of a model file's bytes by name, those that it has; the others are not decoded.

    The file's checksum is verified, its identity is not.
    """
    reader = Reader(data, "header")
    _read_header(reader)
    records = [record for record in _read_records(reader) if record.name in names]
    _check_end(reader)
    return {record.name: _decode(record) for record in records}


def _check_tensor(name: str, tensor: Tensor) -> None:
    if tensor.ndim != 2 or tensor.dtype.kind != "u":
        raise InvalidModel(
            f"tensor {name!r} is {tensor.ndim}-D of {tensor.dtype}, not 2-D of unsigned integers"
        )
    if tensor.size == 0 and tensor.shape != (0, 0):
        raise InvalidModel(f"tensor {name!r} has shape {tensor.shape}; without elements it must be (0, 0)")
    if tensor.size > MAX_TENSOR_ELEMENTS:
        raise InvalidModel(f"tensor {name!r} has {tensor.size} elements, above {MAX_TENSOR_ELEMENTS}")
    if tensor.size and int(tensor.max()) > MAX_ELEMENT:
        raise InvalidModel(f"tensor {name!r} holds {int(tensor.max())}, above {MAX_ELEMENT}")


def _dump_header(header: Mapping[str, Any]) -> bytes:
    try:
        text = json.dumps(dict(header), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        data = text.encode("utf-8")
    except (TypeError, ValueError) as error:
        raise InvalidModel(f"the header is not a JSON object: {error}") from None
    if len(data) > MAX_HEADER:
        raise InvalidModel(f"the header takes {len(data)} bytes; the limit is {MAX_HEADER}")
    return data


def _read_header(reader: Reader) -> ModelHeader:
    reader.start(MAGIC, KIND)
    identity = bytes(reader.take(IDENTITY_BYTES, "the identity"))
    family = reader.name("family")
    raw = bytes(reader.take(reader.varint("the length of the JSON header", MAX_HEADER), "the JSON header"))
    try:
        header = json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise reader.fault(f"not JSON: {error}") from None
    if not isinstance(header, dict):
        raise reader.fault("the JSON header is not an object")
    return ModelHeader(family, identity, header)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _read_records(reader: Reader) -> list[_Record]:
    reader.section = "tensors"
    records: list[_Record] = []
    elements = 0
    for _ in range(reader.varint("the number of tensors")):
        name = reader.name("name of a tensor")
        if records and name <= records[-1].name:
            raise reader.fault(f"{name!r} stands after {records[-1].name!r}: names must ascend")
        rows = reader.varint(f"the rows of {name}", MAX_TENSOR_ELEMENTS)
        columns = reader.varint(f"the columns of {name}", MAX_TENSOR_ELEMENTS)
        size = reader.varint(f"the length of {name}")
        body = reader.take(size, f"the tensor {name}")
        elements += rows * columns
        if (rows == 0) != (columns == 0) or (rows == 0 and size):
            raise reader.fault(f"{name} has {rows} rows, {columns} columns and {size} bytes")
        if rows * columns > size * MAX_ELEMENTS_PER_BYTE or elements > MAX_TENSOR_ELEMENTS:
            raise reader.fault(f"{name} has {rows} x {columns} elements in {size} bytes, above the limits")
        records.append(_Record(name, rows, columns, body))
    return records


def _check_end(reader: Reader) -> None:
    """Verify the checksum, which must be what is left."""
    expected = crc32(reader.view[: reader.position])
    found = bytes(reader.take(CRC_BYTES, "the checksum"))
    if reader.remaining:
        raise reader.fault(f"{reader.remaining} bytes follow the end of the model")
    if found != expected:
        raise CorruptFile(f"is {expected[::-1].hex()}, but the file says {found[::-1].hex()}", "checksum")


def _decode(record: _Record) -> Tensor:
    from neuralcodec.native import decode_tensor

    if not record.rows:
        return np.zeros((0, 0), np.uint8)
    tensor: Tensor = decode_tensor(bytes(record.body), record.rows, record.columns)
    if int(tensor.max()) > MAX_ELEMENT:
        raise CorruptFile(f"holds {int(tensor.max())}, above {MAX_ELEMENT}", f"tensor {record.name}")
    return tensor
