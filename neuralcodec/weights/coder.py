"""The body of a record: stored bytes and coded blocks of tensors (docs/format.md, 9.2)."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuralcodec import native
from neuralcodec.container.primitives import Buffer, Reader, crc32, varint
from neuralcodec.entropy.tables import load_tail
from neuralcodec.errors import CorruptFile, EntropyCodingError
from neuralcodec.weights.tensors import TensorSpec

MAX_BYTES_PER_BYTE = 32_768
CRC_BYTES = 4
LOSSLESS, FILE_STEP, BOUNDED = 0, 1, 2
Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Settings:
    """What the encoder of records is told.

    Attributes
    ----------
    step
        Of the tensors that share the file's; 0 for a lossless file.
    bound
        Greatest error of other lossy tensors, relative to their norm.
    trellis
        log2 of the states of dependent quantisation, 2 to 8, or 0 for scalar quantisation.
    price
        Weight of a bit against squared error in squared steps, where rates are weighed; 0 for never.
    """

    step: float = 0.0
    bound: float = 1e-4
    trellis: int = 3
    price: float = 0.25


@dataclass(frozen=True)
class Coded:
    """A coded record, or what a trial of it found.

    Attributes
    ----------
    body, parameters
        Its bytes, and the parameters of its tensors' models, which the index keeps; empty after a trial.
    power, noise
        Sums of squares of the values and of their errors, tensor by tensor; 0 where nothing is lost.
    decoded
        Bytes that each tensor decodes to; None where they are those that were given.
    """

    body: bytes
    parameters: bytes
    power: list[float]
    noise: list[float]
    decoded: list[Bytes | None]


@cache
def coder() -> Any:
    """Return the native coder, its tables made once."""
    return native.weight_coder(load_tail("gaussian"), load_tail("laplace"))


def aim_of(spec: TensorSpec, settings: Settings) -> int:
    """Return how a finite tensor is to be coded."""
    if settings.step <= 0:
        return LOSSLESS
    return FILE_STEP if spec.is_matrix else BOUNDED if spec.is_vector else LOSSLESS


def encode_body(
    specs: Sequence[TensorSpec],
    data: Sequence[Bytes],
    aims: Sequence[int],
    settings: Settings,
    *,
    steps: Sequence[int] | None = None,
    trial: bool = False,
    verify: bool = False,
    threads: int = 1,
) -> Coded:
    """Return the body of a record of some tensors.

    Parameters
    ----------
    specs, data, aims
        The tensors, their bytes, and how to code each.
    steps
        Numbers of steps of their own (docs/format.md, 10.4), for tensors that would have the file's; 0 for that.
    trial
        Only quantise, to find the errors.
    verify
        Decode the body, and raise :class:`EntropyCodingError` unless it holds the tensors.
    """
    own = steps if steps is not None else [0] * len(specs)
    tensors = [(one, *spec.layout, aim, k) for one, spec, aim, k in zip(data, specs, aims, own, strict=True)]
    parameters, stored, blocks, reports = coder().encode(
        tensors,
        settings.step,
        settings.bound,
        settings.trellis,
        settings.price,
        trial,
        threads,
        native.simd(),
    )
    power, noise, decoded = ([report[place] for report in reports] for place in (1, 2, 3))
    if trial:
        return Coded(b"", b"", power, noise, decoded)
    wanted = [(one if made is None else made).data for one, made in zip(data, decoded, strict=True)]
    checksum = crc32(*wanted)
    parts = [
        _packed(stored),
        varint(len(blocks)),
        *(varint(len(b)) for b in blocks),
        *blocks,
    ]
    size = sum(map(len, parts)) + CRC_BYTES
    raw = sum(spec.nbytes for spec in specs)
    padding = bytes(max(0, -(-raw // MAX_BYTES_PER_BYTE) - size))
    body = b"".join([*parts, padding, checksum])
    if verify:
        found = decode_body(body, parameters, specs, settings.step, "record", threads=threads)
        if any(bytes(one) != bytes(must) for (one, _), must in zip(found, wanted, strict=True)):
            raise EntropyCodingError("verification failed: a record does not decode to the tensors coded")
    return Coded(body, parameters, power, noise, decoded)


def decode_body(
    body: Buffer,
    parameters: bytes,
    specs: Sequence[TensorSpec],
    step: float,
    section: str,
    *,
    threads: int = 1,
) -> list[tuple[Bytes, int]]:
    """Return the bytes of each tensor of a record, and the bits that it takes; `parameters` are its models'.

    Raises
    ------
    CorruptFile
        The body breaks a rule, or decodes to other bytes than were coded.
    """
    stored, blocks = parts_of(body, specs, section)
    layouts = [(spec.count, *spec.layout) for spec in specs]
    tensors = native.decode_weights(coder(), parameters, stored, blocks, layouts, step, threads, section)
    found, expected = crc32(*(one.data for one, _ in tensors)), bytes(memoryview(body)[-CRC_BYTES:])
    if found != expected:
        raise CorruptFile(
            f"the checksum of the decoded tensors is {found[::-1].hex()}, but the file says {expected[::-1].hex()}",
            section,
        )
    return tensors


def models_of(parameters: bytes, specs: Sequence[TensorSpec], section: str) -> list[dict[str, Any]]:
    """Return the parameters of each tensor's model."""
    return native.weight_models(coder(), parameters, [(spec.count, *spec.layout) for spec in specs], section)


def _packed(data: bytes) -> bytes:
    """Return bytes behind their length and the length of their deflated form, 0 where that is not shorter."""
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    short = deflater.compress(data) + deflater.flush()
    if len(short) < len(data):
        return varint(len(data)) + varint(len(short)) + short
    return varint(len(data)) + varint(0) + data


def _unpacked(reader: Reader, what: str, limit: int) -> bytes:
    size = reader.varint(f"the length of the {what}", limit)
    short = reader.varint(f"the deflated length of the {what}", reader.remaining)
    if not short:
        return bytes(reader.take(size, f"the {what}"))
    return inflated(reader.take(short, f"the {what}"), size, reader, what)


def inflated(data: Buffer, size: int, reader: Reader, what: str) -> bytes:
    """Return the `size` bytes that a raw deflate stream holds; no more are ever made."""
    inflater = zlib.decompressobj(-15)
    try:
        content = inflater.decompress(data, size + 1)
    except zlib.error as error:
        raise reader.fault(f"the {what} cannot be inflated: {error}") from None
    if len(content) != size or not inflater.eof or inflater.unused_data:
        raise reader.fault(f"the {what} do not inflate to {size} bytes")
    return content


def parts_of(body: Buffer, specs: Sequence[TensorSpec], section: str) -> tuple[bytes, list[bytes]]:
    """Return the stored part and the blocks of a record's body; :class:`CorruptFile` if it breaks a rule."""
    raw = sum(spec.nbytes for spec in specs)
    if raw > MAX_BYTES_PER_BYTE * len(body):
        raise CorruptFile(f"{len(body)} bytes are too few for tensors of {raw}", section)
    reader = Reader(memoryview(body)[:-CRC_BYTES], section, inner=True)
    stored = _unpacked(reader, "stored bytes", raw + 1024 * len(specs) * 16)
    count = reader.varint("the number of blocks", len(body))
    sizes = [reader.varint("the length of a block", len(body)) for _ in range(count)]
    blocks = [bytes(reader.take(size, "a block")) for size in sizes]
    if any(bytes(reader.view[reader.position :])):
        raise reader.fault("the padding is not zero")
    return stored, blocks
