"""Signals from a pipe, batch by batch: .npy, IDX, gzipped IDX, and raw samples without a header."""

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from neuralcodec.errors import UnsupportedInput
from neuralcodec.signals import arrays, idx
from neuralcodec.signals.signal import Wanted

HEAD = 128 + 2**16
MAX_SIGNALS, MAX_BYTES = 1024, 2**24  # of a batch


class Readable(Protocol):
    """What can be read on and on."""

    def read(self, size: int, /) -> bytes:
        """Return at most so many bytes, none at the end."""
        ...


class Rewound:
    """A stream of which the first bytes were read already, and are read again.

    >>> import io
    >>> stream = Rewound(io.BytesIO(b"abcdef"), 4)
    >>> stream.head, stream.read(3), stream.read(-1)
    (b'abcd', b'abc', b'def')
    """

    def __init__(self, file: Readable, size: int) -> None:
        self._file = file
        self.head = self._rest = read_fully(file, size)

    def read(self, size: int = -1, /) -> bytes:
        """Return so many bytes, fewer at the end; all that are left if `size` is negative."""
        wanted = max(size, 0)
        first, self._rest = (self._rest[:wanted], self._rest[wanted:]) if size >= 0 else (self._rest, b"")
        return first + self._file.read(size - len(first) if size >= 0 else -1)


@dataclass
class Stream:
    """Arrays of signals that come one after another.

    Attributes
    ----------
    count
        How many signals there are; None if that is not known beforehand.
    batches
        Their samples, (n, *shape) in native byte order; raises :class:`UnsupportedInput` where the stream ends too
        early, or too late.
    """

    count: int | None
    batches: Iterator[NDArray[Any]]


def read_fully(file: Readable, size: int) -> bytes:
    """Return the next `size` bytes of a file that may give fewer at once, fewer only at its end."""
    parts = []
    while size and (part := file.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def open_stream(file: Rewound, source: str, wanted: Wanted) -> Stream | None:
    """Return the signals of a stream if it holds an array of several; None for all else, which is read whole.

    Parameters
    ----------
    file
        The stream, of which at least `HEAD` bytes (or all) were read ahead.
    source
        What to call it in messages.
    wanted
        What the model takes: an array with one more axis in front is streamed.

    Raises
    ------
    UnsupportedInput
        The header is damaged.
    """
    head = file.head
    body: Readable = file
    if head.startswith(arrays.NPY_MAGIC):
        dtype, fortran, shape, start = arrays.parse_npy_header(head, source)
        if fortran and len(shape) > 1:
            return None
    else:
        if head.startswith(idx.GZIP):
            head = _inflated_head(head)
            body = _Inflated(file, source)
        if not idx.is_idx(head):
            return None
        dtype, shape, start = idx.parse_idx_header(head, source)
    if not wanted.is_stack(shape) or not all(shape):
        return None
    read_fully(body, start)
    return Stream(shape[0], _batches(body, source, shape[1:], dtype, shape[0]))


def open_raw(file: Readable, source: str, wanted: Wanted) -> Stream:
    """Return the signals of a stream that holds nothing but samples, of the model's shape and dtype.

    The samples of a signal stand in C order, little-endian; signal follows signal until the stream ends.
    """
    if not wanted.shape:
        raise UnsupportedInput(f"{wanted}: raw samples do not tell theirs, so write a .npy file instead")
    return Stream(None, _batches(file, source, wanted.shape, wanted.dtype.newbyteorder("<"), None))


def _batches(
    file: Readable, source: str, shape: tuple[int, ...], dtype: "np.dtype[Any]", count: int | None
) -> Iterator[NDArray[Any]]:
    size = int(np.prod(shape, dtype=object)) * dtype.itemsize
    most = max(1, min(MAX_SIGNALS, MAX_BYTES // size))
    done = 0
    while count is None or done < count:
        n = most if count is None else min(most, count - done)
        data = read_fully(file, n * size)
        whole, rest = divmod(len(data), size)
        if rest or (count is not None and whole < n):
            promised = "" if count is None else f", but its header promises {count}"
            raise UnsupportedInput(
                f"{source} ends {rest} bytes behind its first {done + whole} signals of {size} bytes{promised}"
            )
        if not whole:
            break
        yield np.frombuffer(data, dtype).reshape(whole, *shape).astype(dtype.newbyteorder("="), copy=False)
        done += whole
    if not done:
        raise UnsupportedInput(f"{source} is empty")
    if file.read(1):
        raise UnsupportedInput(f"{source} goes on behind the {count} signals that its header promises")


def _inflated_head(head: bytes) -> bytes:
    try:
        return zlib.decompressobj(wbits=31).decompress(head, idx.MAX_HEADER)
    except zlib.error:  # whoever reads the whole file says what is wrong
        return b""


class _Inflated:
    """A gzipped stream, read as what it holds."""

    def __init__(self, file: Rewound, source: str) -> None:
        self._file = gzip.GzipFile(fileobj=cast(BinaryIO, file), mode="rb")
        self._source = source

    def read(self, size: int, /) -> bytes:
        try:
            return self._file.read(size)
        except EOFError:
            raise UnsupportedInput(f"{self._source} is a truncated gzip file") from None
        except (gzip.BadGzipFile, zlib.error) as error:
            raise UnsupportedInput(f"{self._source} is a damaged gzip file ({error})") from None
