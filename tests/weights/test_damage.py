"""Weights files that are cut off, altered or made to mislead: an error of ours, and no large allocation."""

import io
import random
import struct
import zlib

import numpy as np
import pytest

from neuralcodec.container.primitives import varint
from neuralcodec.errors import CorruptFile, NeuralCodecError, UnsupportedInput
from neuralcodec.weights import WeightsReader, compress_weights, decompress_weights
from neuralcodec.weights.layout import FOOTER_MAGIC, INDEX_MARKER, RECORD_MARKER, framed

STATE = {
    "conv": np.random.default_rng(0).normal(size=(16, 8, 3, 3)).astype(np.float32),
    "bias": np.random.default_rng(1).normal(size=30).astype(np.float32),
    "large": np.random.default_rng(2).normal(size=(300, 300)).astype(np.float16),
    "steps": np.array(7, np.int64),
}
DATA = compress_weights(STATE, sqnr=20)


def file_of(content: bytes, body: bytes | None = None, size: int | None = None) -> bytes:
    """Return a file with one record and an index of the given content."""
    head = DATA[:10]
    record = b"" if body is None else framed(RECORD_MARKER, body)
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    short = deflater.compress(content) + deflater.flush()
    index = framed(INDEX_MARKER, bytes(2) + varint(len(content) if size is None else size) + short)
    return head + record + index + struct.pack("<Q", len(head) + len(record)) + FOOTER_MAGIC


def content_of(name: bytes, code: int, shape: tuple[int, ...], size: int, parameters: bytes) -> bytes:
    parts = [varint(1), varint(0), varint(len(name)), name, bytes([code, len(shape)]), *map(varint, shape)]
    return b"".join(
        [*parts, varint(1), varint(1), varint(size), varint(len(parameters)), parameters, bytes(2)]
    )


@pytest.mark.parametrize("size", [0, 3, 9, 20, 300, len(DATA) // 2, len(DATA) - 13, len(DATA) - 1])
def test_cut_off(size: int) -> None:
    with pytest.raises(NeuralCodecError):
        decompress_weights(DATA[:size])


def test_every_byte_is_covered_by_a_checksum() -> None:
    rng = random.Random(0)
    for place in [
        *range(60),
        *(rng.randrange(len(DATA)) for _ in range(150)),
        *range(len(DATA) - 60, len(DATA)),
    ]:
        changed = bytearray(DATA)
        changed[place] ^= 1 << rng.randrange(8)
        with pytest.raises(NeuralCodecError):
            decompress_weights(bytes(changed))


def test_a_damaged_record_costs_only_its_tensors() -> None:
    with WeightsReader(DATA) as reader:
        record = reader.index.records[1]
    changed = bytearray(DATA)
    changed[record.offset + 500] ^= 1
    lost: list[CorruptFile] = []
    with WeightsReader(bytes(changed)) as reader:
        found = [spec.name for spec, _, _ in reader.tensors(skip_damaged=lost)]
        assert np.array_equal(reader.read("steps").view("<i8"), [7])
        with pytest.raises(CorruptFile, match="record 1"):
            reader.read("large")
    assert found == ["conv", "bias", "steps"]
    assert len(lost) == 1


def test_a_small_file_cannot_claim_much() -> None:
    body = bytes(3) + zlib.crc32(b"").to_bytes(4, "little")
    size = len(framed(RECORD_MARKER, body))
    with pytest.raises(CorruptFile, match="too few"):
        decompress_weights(file_of(content_of(b"w", 12, (2**30,), size, bytes([4])), body))
    with pytest.raises(CorruptFile):
        decompress_weights(file_of(content_of(b"w", 12, (2**48, 2), size, b""), body))
    bomb = zlib.compressobj(9, zlib.DEFLATED, -15)
    stored = bomb.compress(bytes(10**7)) + bomb.flush()
    body = varint(10**7) + varint(len(stored)) + stored + varint(0) + bytes(4)
    size = len(framed(RECORD_MARKER, body))
    with pytest.raises(CorruptFile, match="outside 0 to"):
        decompress_weights(file_of(content_of(b"w", 1, (16,), size, bytes([0])), body))


@pytest.mark.parametrize(
    ("parameters", "what"),
    [
        (b"", "end early"),
        (bytes([5]), "kind of coding"),
        (bytes([3 | 1 << 3]), "does not fit"),
        (bytes([2]), "does not fit"),
        (bytes([4 | 1 << 3, 9]), "trellis"),
        (bytes([4, 0, 0x80, 0x80, 1]), "step"),
        (bytes([4, 0, 0, 255, 0, 9]), "order"),
        (bytes([4, 0, 0, 255, 0, 0, 33]), "shape"),
        (bytes([4, 0, 0, 255, 0, 0, 0, 0, 0x80, 4]), "scale"),
        (bytes([4, 0, 0, 255, 0, 0, 0, 0, 80, 1]), "go on"),
        (bytes([4, 0, 0, 255, 0x81, 0]), "shortest"),
        (bytes([4, 0, 0, 255, 0, 0, 0, 0, 80]), "number of blocks"),
    ],
)
def test_parameters_out_of_range(parameters: bytes, what: str) -> None:
    body = bytes(3) + bytes(4)
    size = len(framed(RECORD_MARKER, body))
    with pytest.raises(CorruptFile, match=what):
        decompress_weights(file_of(content_of(b"w", 12, (4, 4), size, parameters), body))


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "needs"),
        (varint(1) + varint(1) + varint(0) + bytes([1, 0]) + bytes(3), "shares"),
        (content_of(b"\xff", 1, (1,), 20, b""), "UTF-8"),
        (content_of(b"w", 99, (1,), 20, b""), "dtype code"),
        (content_of(b"w", 1, (1,), 19, b""), "the size of a record is 19"),
    ],
)
def test_an_index_that_lies(content: bytes, what: str) -> None:
    with pytest.raises(CorruptFile, match=what):
        decompress_weights(file_of(content))
    with pytest.raises(CorruptFile, match="inflate"):
        decompress_weights(file_of(content, size=len(content) + 1))


def test_other_files_are_told_apart() -> None:
    with pytest.raises(NeuralCodecError):
        decompress_weights(b"\x89PNG\r\n\x1a\n" + bytes(40))
    with pytest.raises(UnsupportedInput, match="no weights"):
        decompress_weights(b"\x89NCZ\x01\x10" + bytes(40))
    from neuralcodec.api import decompress

    with pytest.raises(UnsupportedInput, match="holds the weights of a network"):
        decompress(DATA)


def test_a_source_that_fails_leaves_no_file(tmp_path: object) -> None:
    from neuralcodec.weights import encode_weights
    from neuralcodec.weights.sources import WeightSource, mapping_source

    def fail(number: int) -> np.ndarray:  # type: ignore[type-arg]
        raise OSError("gone")

    good = mapping_source(STATE)
    target = f"{tmp_path}/w.ncz"
    with pytest.raises(OSError, match="gone"):
        encode_weights(WeightSource(good.specs, fail), target)
    import os

    assert os.listdir(str(tmp_path)) == []
    assert io.BytesIO(DATA).read(4) == b"\x89NCZ"
