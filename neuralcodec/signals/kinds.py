"""What an input is, by its name or its first bytes."""

import os
import sys
from typing import BinaryIO

from neuralcodec.container.files import refuse_endless
from neuralcodec.errors import UnsupportedInput
from neuralcodec.signals import wav

STDIN = "-"
_IMAGE_SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".avif", ".jp2", ".j2k"),
    *(".pgm", ".ppm", ".pbm", ".pnm", ".tga", ".pcx", ".ico"),
)
_IMAGE_HEADS = (
    *(
        b"\x89PNG\r\n",
        b"\xff\xd8\xff",
        b"GIF8",
        b"BM",
        b"II*\0",
        b"MM\0*",
        b"\0\0\0\x0cjP  ",
        b"\xff\x4f\xff\x51",
    ),
    *(b"P%d" % kind + space for kind in range(1, 7) for space in (b"\n", b" ", b"\r", b"\t")),
)
_ARRAY_SUFFIXES = (".npy", ".npz", ".idx", ".idx.gz", ".wav")


def standard_input() -> BinaryIO:
    """Return standard input, as bytes; :class:`UnsupportedInput` if it is closed."""
    if sys.stdin is None:
        raise UnsupportedInput("standard input is closed")
    return sys.stdin.buffer


def is_signal_name(name: str) -> bool:
    """Tell whether a file found in a folder looks, by its name, like one that holds signals.

    >>> [is_signal_name(name) for name in ("0.PNG", "t10k-images-idx3-ubyte.gz", "notes.txt", ".hidden.png")]
    [True, True, False, False]
    """
    if name.startswith("."):
        return False
    lower = name.lower()
    stem = lower.removesuffix(".gz")
    is_idx = stem.endswith("-ubyte") and "-idx" in stem
    return is_idx or lower.endswith(_ARRAY_SUFFIXES) or is_image_name(lower)


def is_image_name(name: str) -> bool:
    """Tell whether a file looks like an image by its name."""
    return os.path.splitext(name.lower())[1] in _IMAGE_SUFFIXES


def holds_image(path: str) -> bool:
    """Tell whether an input looks like an image by its name or its first bytes, which standard input keeps."""
    if is_image_name(path):
        return True
    if path == STDIN:
        peek = getattr(standard_input(), "peek", None)
        head = bytes(peek(12)[:12]) if peek is not None else b""
    elif os.path.isdir(path):
        return False
    else:
        with open(path, "rb") as file:
            refuse_endless(file, path)
            head = file.read(12)
    return head.startswith(_IMAGE_HEADS) or head[8:] == b"WEBP" or head[4:] in (b"ftypavif", b"ftypavis")


def is_sound_file(path: str) -> bool:
    """Tell whether a file is a sound, by its first bytes; standard input and what cannot be opened are not."""
    if path == STDIN:
        return False
    with open(path, "rb") as file:
        refuse_endless(file, path)
        return wav.is_wav(file.read(12))
