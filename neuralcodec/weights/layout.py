"""The weights file: records of tensors, an index and a footer (docs/format.md, section 10)."""

import json
import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from neuralcodec.container.chunk import read_frame
from neuralcodec.container.files import Source
from neuralcodec.container.header import Header
from neuralcodec.container.primitives import IDENTITY_BYTES, Buffer, Reader, crc32, varint
from neuralcodec.errors import CorruptFile, TruncatedFile, UnsupportedInput
from neuralcodec.weights.coder import inflated
from neuralcodec.weights.dtypes import BY_CODE
from neuralcodec.weights.tensors import BLOCK, TensorSpec

CODEC = "weights"
RECORD_MARKER, INDEX_MARKER = b"\x89NCr", b"\x89NCw"
FOOTER_MAGIC = b"ZCN\x89"
FOOTER_BYTES = 12
MAX_INDEX = 2**26
MAX_NAME = 65_535
MAX_RANK = 64
MAX_ELEMENTS = 2**48
LOSSY = 1
ORIGINS = ("state dict", "safetensors", "torch", "npz")
_LOSSY_FIELDS = struct.Struct("<dfd")


@dataclass(frozen=True)
class Placed:
    """A record: where it is, which tensors it holds, and the parameters of their models."""

    offset: int
    size: int
    first: int
    tensors: int
    parameters: bytes


@dataclass(frozen=True)
class Index:
    """What a weights file says of its tensors.

    Attributes
    ----------
    specs
        Names, types and shapes, in the order of the records.
    records
        Where the records are.
    metadata
        Text by key, as safetensors keeps it.
    origin
        Number in ORIGINS: what kind of file the tensors came from.
    header
        Header of the original safetensors file, where it is not the one that would be written.
    step, sqnr, bound
        Of a lossy file: the step; the signal-to-noise ratio in dB of its matrices; the bound of vectors.
    """

    specs: Sequence[TensorSpec]
    records: Sequence[Placed] = ()
    metadata: Mapping[str, str] | None = None
    origin: int = 0
    header: bytes = b""
    step: float = 0.0
    sqnr: float = math.inf
    bound: float = 0.0
    by_name: Mapping[str, int] = field(default_factory=dict)


class WeightsWriter:
    """Writes a weights file front to back; the file need not be seekable."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = 0
        self._records: list[tuple[int, int, bytes]] = []
        self._write(Header(CODEC, bytes(IDENTITY_BYTES)).to_bytes(archive=False))

    def append(self, body: bytes, tensors: int, parameters: bytes) -> None:
        """Write a record of the next `tensors` tensors, whose models the index will keep."""
        start = self.size
        self._write(framed(RECORD_MARKER, body))
        self._records.append((tensors, self.size - start, parameters))

    def finish(self, index: Index) -> None:
        """Write the index and the footer; the records of `index` are those that were appended."""
        offset = self.size
        content = _index_content(index, self._records)
        deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
        short = deflater.compress(content) + deflater.flush()
        lossy = index.step > 0
        head = bytes([LOSSY * lossy, index.origin])
        if lossy:
            head += _LOSSY_FIELDS.pack(index.step, index.sqnr, index.bound)
        self._write(framed(INDEX_MARKER, head + varint(len(content)) + short))
        self._write(offset.to_bytes(8, "little") + FOOTER_MAGIC)

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self.size += len(data)


def framed(marker: bytes, body: bytes) -> bytes:
    """Return marker, length, body and the CRC-32 of these."""
    frame = marker + varint(len(body)) + body
    return frame + crc32(frame)


def _index_content(index: Index, records: Sequence[tuple[int, int, bytes]]) -> bytes:
    specs = index.specs
    names = [spec.name.encode("utf-8", "surrogatepass") for spec in specs]
    parts = [varint(len(specs))]
    previous = b""
    shared = []
    for name in names:
        same = next((i for i, (a, b) in enumerate(zip(name, previous, strict=False)) if a != b), None)
        shared.append(min(len(name), len(previous)) if same is None else same)
        previous = name
    parts += [varint(count) for count in shared]
    parts += [varint(len(name) - count) for name, count in zip(names, shared, strict=True)]
    parts += [name[count:] for name, count in zip(names, shared, strict=True)]
    parts += [bytes([spec.type.code]) for spec in specs]
    parts += [bytes([len(spec.shape)]) for spec in specs]
    parts += [varint(side) for spec in specs for side in spec.shape]
    parts.append(varint(len(records)))
    parts += [varint(tensors) for tensors, _, _ in records]
    parts += [varint(size) for _, size, _ in records]
    parts += [varint(len(parameters)) for _, _, parameters in records]
    parts += [parameters for _, _, parameters in records]
    text = b"" if index.metadata is None else json.dumps(dict(index.metadata), ensure_ascii=False).encode()
    parts += [varint(len(text)), text, varint(len(index.header)), index.header]
    return b"".join(parts)


def read_index(source: Source) -> Index:
    """Return the index of a weights file.

    Raises
    ------
    NotNeuralCodecFile, UnsupportedVersion, TruncatedFile, CorruptFile
        As their names say; :class:`UnsupportedInput` for another kind of file.
    """
    reader = Reader(source.read_at(0, 256), "header")
    header, archive = Header.read(reader)
    if header.codec != CODEC:
        raise UnsupportedInput(f"this file was made by the codec {header.codec!r}: it holds no weights")
    if archive or header.signal or header.sections or header.has_model:
        raise reader.fault("a weights file has neither flags, a model, a signal nor sections")
    start, end = reader.position, source.size - FOOTER_BYTES
    footer = bytes(source.read_at(max(end, 0), FOOTER_BYTES))
    if end < start or footer[8:] != FOOTER_MAGIC:
        raise TruncatedFile(
            "the file does not end with a footer; it was cut off, or its end is damaged", "footer"
        )
    offset = int.from_bytes(footer[:8], "little")
    if not start <= offset < end:
        raise CorruptFile(f"the index cannot start at byte {offset} of {source.size}", "footer")
    if bytes(source.read_at(offset, len(INDEX_MARKER))) != INDEX_MARKER:
        raise CorruptFile(f"no index starts at byte {offset}", "footer")
    return _parse_index(
        read_frame(source.read_at(offset, end - offset), INDEX_MARKER, "index"), start, offset
    )


def _parse_index(body: Buffer, start: int, end: int) -> Index:
    reader = Reader(body, "index", inner=True)
    flags, origin = reader.u8("the flags"), reader.u8("the origin")
    if flags & ~LOSSY or origin >= len(ORIGINS):
        raise reader.fault(f"the flags {flags:#04x} or the origin {origin} are not known")
    step, sqnr, bound = 0.0, math.inf, 0.0
    if flags & LOSSY:
        step, sqnr, bound = _LOSSY_FIELDS.unpack(reader.take(_LOSSY_FIELDS.size, "the step"))
        if not (0 < step < math.inf) or math.isnan(sqnr) or not (0 <= bound < math.inf):
            raise reader.fault(f"the step is {step}, the ratio {sqnr} dB, the bound {bound}")
    size = reader.varint("the length of the index", MAX_INDEX)
    content = inflated(reader.take(reader.remaining, "the index"), size, reader, "index")
    inner = Reader(content, "index", inner=True)
    specs = _read_specs(inner)
    records = _read_records(inner, len(specs), start, end)
    text = bytes(inner.take(inner.varint("the length of the metadata", size), "the metadata"))
    header = bytes(inner.take(inner.varint("the length of the header", size), "the header"))
    if inner.remaining:
        raise inner.fault("bytes are left over")
    for record in records:
        counts = [spec.count for spec in specs[record.first : record.first + record.tensors]]
        if len(counts) > 1 and max(counts) > BLOCK:
            raise inner.fault(f"a tensor of {max(counts)} elements shares a record")
    by_name = {spec.name: number for number, spec in enumerate(specs)}
    if len(by_name) != len(specs):
        raise inner.fault("two tensors have the same name")
    return Index(specs, records, _read_metadata(text, inner), origin, header, step, sqnr, bound, by_name)


def _read_specs(reader: Reader) -> list[TensorSpec]:
    count = reader.varint("the number of tensors", reader.remaining // 4)
    shared = [reader.varint("a shared length", MAX_NAME) for _ in range(count)]
    own = [reader.varint("the length of a name", MAX_NAME) for _ in range(count)]
    names, previous, total = [], b"", 0
    for same, more in zip(shared, own, strict=True):
        if same > len(previous) or same + more > MAX_NAME:
            raise reader.fault(f"a name shares {same} bytes with one of {len(previous)}")
        previous = previous[:same] + bytes(reader.take(more, "a name"))
        total += len(previous)
        if total > MAX_INDEX:
            raise reader.fault("the names are longer than 64 MiB")
        try:
            names.append(previous.decode("utf-8", "surrogatepass"))
        except UnicodeDecodeError:
            raise reader.fault(f"the name {previous!r} is not UTF-8") from None
    codes, ranks = bytes(reader.take(count, "the dtypes")), bytes(reader.take(count, "the ranks"))
    specs = []
    for name, code, rank in zip(names, codes, ranks, strict=True):
        if code not in BY_CODE:
            raise reader.fault(f"tensor {name!r} has the dtype code {code}")
        if rank > MAX_RANK:
            raise reader.fault(f"tensor {name!r} has {rank} dimensions")
        shape = tuple(reader.varint("a dimension", MAX_ELEMENTS) for _ in range(rank))
        sides = math.prod(side for side in shape if side)
        if sides > MAX_ELEMENTS:
            raise reader.fault(f"tensor {name!r} has the shape {shape}")
        specs.append(TensorSpec(name, BY_CODE[code], shape))
    return specs


def _read_records(reader: Reader, tensors: int, start: int, end: int) -> list[Placed]:
    count = reader.varint("the number of records", reader.remaining // 2)
    held = [reader.varint("the tensors of a record", tensors, 1) for _ in range(count)]
    sizes = [reader.varint("the size of a record", end - start, len(RECORD_MARKER) + 5) for _ in range(count)]
    lengths = [reader.varint("the length of parameters", reader.remaining) for _ in range(count)]
    records, offset, first = [], start, 0
    for n, size, length in zip(held, sizes, lengths, strict=True):
        parameters = bytes(reader.take(length, "the parameters"))
        records.append(Placed(offset, size, first, n, parameters))
        offset, first = offset + size, first + n
    if offset != end or first != tensors:
        raise reader.fault("the records that it lists do not end where it starts, or do not hold all tensors")
    return records


def _read_metadata(text: bytes, reader: Reader) -> dict[str, str] | None:
    if not text:
        return None
    try:
        metadata = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise reader.fault(f"the metadata are not JSON: {error}") from None
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise reader.fault("the metadata are not texts by key")
    return metadata
