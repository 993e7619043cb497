"""Files: replaced as a whole or not at all, and read piece by piece."""

import contextlib
import os
import stat
import threading
from collections.abc import Iterator
from typing import BinaryIO, Protocol

from neuralcodec.container.primitives import Buffer
from neuralcodec.errors import UnsupportedInput

PathLike = str | os.PathLike[str]


class Source(Protocol):
    """Bytes that can be read from any place, by several threads at once."""

    @property
    def size(self) -> int:
        """Number of bytes."""
        ...

    def read_at(self, offset: int, size: int) -> Buffer:
        """Return `size` bytes from `offset` on, fewer where the bytes end."""
        ...

    def close(self) -> None:
        """Let go of the bytes."""
        ...


class BufferSource:
    """A :class:`Source` over bytes in memory."""

    def __init__(self, data: Buffer) -> None:
        self._view = memoryview(data).cast("B")

    @property
    def size(self) -> int:
        """Number of bytes."""
        return len(self._view)

    def read_at(self, offset: int, size: int) -> Buffer:
        """Return `size` bytes from `offset` on, fewer where the bytes end."""
        return self._view[offset : offset + size]

    def close(self) -> None:
        """Nothing is held open."""


class FileSource:
    """A :class:`Source` over a seekable binary file, from its present position on; closes it if owned."""

    def __init__(self, file: BinaryIO, *, owned: bool = False) -> None:
        self._file = file
        self._owned = owned
        self._lock = threading.Lock()
        self._start = 0 if owned else file.tell()
        self._size = file.seek(0, os.SEEK_END) - self._start

    @property
    def size(self) -> int:
        """Number of bytes."""
        return self._size

    def read_at(self, offset: int, size: int) -> Buffer:
        """Return `size` bytes from `offset` on, fewer where the bytes end."""
        with self._lock:
            self._file.seek(self._start + offset)
            return self._file.read(max(0, min(size, self._size - offset)))

    def close(self) -> None:
        """Close the file if it is owned."""
        if self._owned:
            self._file.close()


def open_source(target: Buffer | PathLike | BinaryIO) -> Source:
    """Return a :class:`Source` over bytes, the file at a path, or an open seekable binary file."""
    if isinstance(target, bytes | bytearray | memoryview):
        return BufferSource(target)
    if isinstance(target, str | os.PathLike):
        return FileSource(open(target, "rb"), owned=True)
    return FileSource(target)


def refuse_endless(file: BinaryIO, path: PathLike) -> None:
    """Refuse an open device whose bytes need not end, such as /dev/zero; terminals and the null device do.

    Raises
    ------
    UnsupportedInput
        If it is such a device.
    """
    status = os.fstat(file.fileno())
    if not stat.S_ISCHR(status.st_mode) or file.isatty() or status.st_rdev == os.stat(os.devnull).st_rdev:
        return
    raise UnsupportedInput(f"{os.fspath(path)} is a device, whose bytes need not end: name a file, or -")


@contextlib.contextmanager
def atomic_file(path: PathLike) -> Iterator[BinaryIO]:
    """Open a file that takes the place of `path` when the block ends, and vanishes if it fails.

    The bytes are written to a temporary file in the same directory, flushed to the disk and renamed, so
    `path` always holds either the old bytes or all of the new ones. The new file has the permissions of the
    old one, or those that the process gives to new files.

    Raises
    ------
    OSError
        The directory cannot be written to, or the disk is full.
    """
    target = os.path.realpath(path)  # through a symbolic link, so that the link stays
    directory, name = os.path.split(target)
    temporary = os.path.join(directory, f".{name[:100]}.{os.urandom(6).hex()}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(temporary, flags, 0o666)
    except OSError as error:
        error.filename = os.fspath(path)  # nobody knows the temporary file
        raise
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(OSError):
            os.chmod(temporary, os.stat(target).st_mode & 0o7777)
        os.replace(temporary, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError) and error.errno is not None and error.filename in (None, temporary):
            error.filename = os.fspath(path)  # a full disk, say, does not tell whose write failed
        raise
    _sync_directory(directory)


def atomic_write(path: PathLike, data: Buffer) -> None:
    """Replace the file at `path` by these bytes, or leave it as it was (see :func:`atomic_file`)."""
    with atomic_file(path) as file:
        file.write(data)


def _sync_directory(directory: str) -> None:
    """Make a rename last through a power cut, where the system can; elsewhere the rename alone must do."""
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
