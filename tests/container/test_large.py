"""Archives beyond 4 GB, as sparse files: what is between their ends is a hole that is never written."""

import io
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from small_models import random_signals, small_circuit

import neuralcodec
from neuralcodec.archives import Damage
from neuralcodec.container.archive import ArchiveReader, ArchiveWriter
from neuralcodec.container.chunk import MARKER, write_chunk
from neuralcodec.container.files import FileSource
from neuralcodec.container.header import Header
from neuralcodec.container.primitives import crc32, varint
from neuralcodec.container.signal import sample_string

CIRCUIT = small_circuit((4, 3))
SIGNALS = random_signals(CIRCUIT, 60, 3)
HOLE = 2**32 + 2**20  # bytes of the body of the first chunk
N = 100  # signals that it claims


def chunk(first: int, part: slice) -> bytes:
    x = SIGNALS[part]
    groups = CIRCUIT.kernel.encode(x.reshape(len(x), 12).astype(np.uint16), None, 8)
    return write_chunk(first, len(x), groups, {}, sample_string(x), x.nbytes)


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """An archive of a chunk of 4 GB, which is a hole, and one of 20 signals behind it."""
    name = tmp_path / "large.ncz"
    head = Header("pc", CIRCUIT.identity).to_bytes(archive=True) + varint(8)
    head += crc32(head)
    frame = MARKER + varint(HOLE)
    last = chunk(N, slice(0, 20))
    sizes = [(len(frame) + HOLE + 4, N), (len(last), 20)]
    body = b"".join([varint(2), *(varint(size) + varint(n) for size, n in sizes)])
    index = b"\x89NCi" + varint(len(body)) + body
    with open(name, "wb") as file:
        file.write(head + frame)
        file.seek(HOLE + 4, os.SEEK_CUR)
        file.write(last)
        at = file.tell()
        file.write(index + crc32(index) + at.to_bytes(8, "little") + b"ZCN\x89")
    assert at > 2**32
    if name.stat().st_blocks * 512 > 2**24:
        pytest.skip("the file system has no sparse files")
    yield name
    name.unlink()


def test_signals_beyond_4_gb_are_read(path: Path) -> None:
    with neuralcodec.open_archive(path, CIRCUIT) as archive:
        assert len(archive) == N + 20
        assert np.array_equal(archive[N:], SIGNALS[:20])
        assert np.array_equal(archive[[N + 7, -1]], SIGNALS[[7, 19]])
        assert archive.metadata(N)[0].name is None


def test_chunks_are_written_beyond_4_gb(path: Path) -> None:
    with open(path, "r+b") as file:
        reader = ArchiveReader(FileSource(file))
        assert reader.chunks_end > 2**32
        file.seek(reader.chunks_end)
        writer = ArchiveWriter.resumed(file, reader)
        assert writer.signals == N + 20
        writer.append_chunk(chunk(N + 20, slice(20, 60)), 40)
        writer.finish()
        file.truncate()
    with neuralcodec.open_archive(path, CIRCUIT) as archive:
        assert np.array_equal(archive[N:], SIGNALS)
    with open(path, "rb") as file:
        entry = ArchiveReader(FileSource(file)).entries[-1]
        assert entry.offset > 2**32
        assert (entry.first, entry.n) == (N + 20, 40)


class Holes(io.RawIOBase):
    """A file that is only written to, keeps what is small, and counts the rest."""

    def __init__(self) -> None:
        self.size = 0
        self.kept: list[tuple[int, bytes]] = []

    def write(self, data: "memoryview | bytes") -> int:  # type: ignore[override]
        if len(data) < 2**20:
            self.kept.append((self.size, bytes(data)))
        self.size += len(data)
        return len(data)


def test_the_footer_of_an_archive_that_grows_beyond_4_gb() -> None:
    file = Holes()
    writer = ArchiveWriter(file, Header("pc", CIRCUIT.identity), 8)  # type: ignore[arg-type]
    big = memoryview(bytes(2**24))
    for _ in range(2**8 + 1):
        writer.append_chunk(big, 5)
    end = file.size
    writer.finish()
    at, last = file.kept[-1]
    assert at == end > 2**32
    assert last[-12:] == end.to_bytes(8, "little") + b"ZCN\x89"
    assert writer.signals == 5 * 257


@pytest.mark.slow
def test_salvage_beyond_4_gb(path: Path, tmp_path: Path) -> None:
    with neuralcodec.open_archive(path, CIRCUIT, salvage=True) as archive:
        assert archive.damage == Damage(20, ((0, N - 1),), True, True, True, 0)
        assert np.array_equal(archive[:], SIGNALS[:20])
    assert neuralcodec.repair_archive(path, tmp_path / "x.ncz").signals == 20
    assert np.array_equal(neuralcodec.decompress_many(tmp_path / "x.ncz", model=CIRCUIT), SIGNALS[:20])
