"""Where results go: files that are replaced as a whole, devices and pipes, standard output."""

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from neuralcodec.container.files import atomic_file
from neuralcodec.errors import UnsupportedInput

STDOUT = "-"


def check_free(path: str, force: bool) -> None:
    """Refuse to overwrite a file, or to write into a folder that is not empty, unless forced.

    Raises
    ------
    FileExistsError
        If there is something and `force` is false.
    FileNotFoundError, NotADirectoryError, PermissionError
        If the folder that it would be in is not there, is none, or cannot be written to.
    """
    if path == STDOUT or is_special(path):
        return
    _check_parent(path)
    if force or not os.path.lexists(path):
        return
    if os.path.isdir(path):
        with os.scandir(path) as entries:
            if next(entries, None) is None:
                return
    raise FileExistsError(
        f"{path} exists already; give --force to overwrite it, or another name with --output"
    )


def _check_parent(path: str) -> None:
    parent = os.path.dirname(os.path.realpath(path))
    shown = os.path.dirname(path.rstrip("/" + os.sep)) or parent
    if not os.path.exists(parent):
        raise FileNotFoundError(f"{path}: there is no folder {shown}; create it first")
    if not os.path.isdir(parent):
        raise NotADirectoryError(f"{path}: {shown} is not a folder")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise PermissionError(f"{path}: the folder {shown} cannot be written to (Permission denied)")


def check_not_input(path: str, inputs: Iterable[str]) -> None:
    """Refuse an output that is one of the inputs, even if overwriting is allowed.

    Raises
    ------
    UnsupportedInput
        If it is the same file, by whatever name.
    """
    if path == STDOUT or not os.path.isfile(path):
        return
    here = os.stat(path)
    for one in inputs:
        with contextlib.suppress(OSError):
            if os.path.samestat(here, os.stat(one)):
                raise UnsupportedInput(f"{path} is an input, which the output would replace: name another")


def is_special(path: str) -> bool:
    """Tell whether a path is a device, a pipe or a socket, which is never replaced by a rename."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


@contextlib.contextmanager
def open_output(path: str) -> Iterator[BinaryIO]:
    """Open a file that replaces `path` when the block ends without an error; ``-`` is standard output."""
    if path == STDOUT:
        if sys.stdout is None:
            raise OSError(errno.EBADF, "standard output is closed")
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    elif is_special(path):
        with naming_target(path), open(path, "wb") as file:
            yield file
    else:
        with naming_target(path), atomic_file(path) as file:
            yield file


@contextlib.contextmanager
def naming_target(path: str) -> Iterator[None]:
    """Make errors of writing in a block tell the name of the target, not that of a temporary file, or none."""
    try:
        yield
    except OSError as error:
        full = error.filename is None and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        if full or str(error.filename).endswith(".tmp"):
            error.filename, error.filename2 = path, None
        raise
