"""Appending: the archive is copied, signals are added to the copy, and the copy takes its place.

The index of an archive stands at its end, where nothing may follow it. To write over it would leave the archive without
an index for as long as new chunks are coded; so the old file is left alone until the new one is whole and on the disk.
"""

import contextlib
import os
from collections.abc import Iterator
from typing import Any, BinaryIO

from neuralcodec.archives.encoder import ArchiveEncoder
from neuralcodec.container.archive import ArchiveReader, ArchiveWriter
from neuralcodec.container.files import FileSource, PathLike, atomic_file
from neuralcodec.errors import CorruptFile, UnsupportedInput, naming
from neuralcodec.zoo.resolve import ModelLike, codec_of

_STEP = 2**20


@contextlib.contextmanager
def appending(path: PathLike, model: ModelLike | None, options: dict[str, Any]) -> Iterator[ArchiveEncoder]:
    """Open an archive to append signals (see :func:`neuralcodec.append_archive`)."""
    if not os.access(path, os.W_OK) and os.path.exists(path):
        raise PermissionError(f"{os.fspath(path)}: the archive cannot be written to (Permission denied)")
    with open(path, "rb") as old:
        _lock(old, path)
        with naming(path):
            reader = ArchiveReader(FileSource(old))
            codec = codec_of(reader.header, model)
            kind = reader.header.signal or codec.signal
            if kind is None:
                raise CorruptFile("does not say what its signals are", "header")
        with atomic_file(path) as file:
            _copy(old, file, reader.chunks_end)
            writer = ArchiveWriter.resumed(file, reader)
            with naming(path):
                encoder = ArchiveEncoder.resumed(file, codec, writer, kind, **options)
            yield encoder
            encoder.finish()
            _check_same(old, path)


def _lock(file: BinaryIO, path: PathLike) -> None:
    """Keep others from appending to the same archive meanwhile: of two copies, one would be lost."""
    try:
        import fcntl
    except ImportError:  # Windows, where an open file cannot be replaced
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UnsupportedInput(
            f"{os.fspath(path)} is being appended to already: wait for that to end"
        ) from None
    except OSError:
        return  # a file system without locks
    _check_same(file, path)


def _check_same(file: BinaryIO, path: PathLike) -> None:
    """Refuse to replace an archive that is not the one that was read."""
    with contextlib.suppress(FileNotFoundError):
        if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
            return
    raise UnsupportedInput(f"{os.fspath(path)} was replaced meanwhile; it stays as it is: append again")


def _copy(old: BinaryIO, new: BinaryIO, size: int) -> None:
    old.seek(0)
    while size:
        data = old.read(min(_STEP, size))
        if not data:
            raise CorruptFile("the archive became shorter while it was copied", "chunks")
        new.write(data)
        size -= len(data)
