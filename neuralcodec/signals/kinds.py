"""What an input is, by its name or its first bytes."""

import os
import sys
from typing import BinaryIO
from weakref import WeakKeyDictionary

from neuralcodec.container.files import refuse_endless
from neuralcodec.errors import UnsupportedInput
from neuralcodec.signals import wav
from neuralcodec.signals.streams import Rewound

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
        b"II*\0",
        b"MM\0*",
        b"\0\0\0\x0cjP  ",
        b"\xff\x4f\xff\x51",
    ),
    *(b"P%d" % kind + space for kind in range(1, 7) for space in (b"\n", b" ", b"\r", b"\t")),
)
_HEAD_BYTES = 12
_looked_at: WeakKeyDictionary[BinaryIO, Rewound] = WeakKeyDictionary()
"""Standard inputs of which the first bytes were read to see what they are."""

_ARRAY_SUFFIXES = (".npy", ".npz", ".idx", ".idx.gz", ".wav")


def standard_input() -> BinaryIO | Rewound:
    """Return standard input, as bytes; :class:`UnsupportedInput` if it is closed."""
    if sys.stdin is None:
        raise UnsupportedInput("standard input is closed")
    return _looked_at.get(sys.stdin.buffer, sys.stdin.buffer)


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
    """Tell whether an input looks like an image by its name or its first bytes, which standard input keeps.

    Other pipes would lose these bytes, so that they are not looked at, nor are terminals.
    """
    if is_image_name(path):
        return True
    head = b""
    if path == STDIN:
        file = standard_input()
        if not sys.stdin.isatty():
            seen = file if isinstance(file, Rewound) else Rewound(file, _HEAD_BYTES)
            _looked_at[sys.stdin.buffer] = seen
            head = seen.head
    elif os.path.isfile(path):
        with open(path, "rb") as file:
            head = file.read(_HEAD_BYTES)
    is_bitmap = head.startswith(b"BM") and head[6:10] == bytes(4)  # reserved, 0
    is_boxed = head[8:] == b"WEBP" or head[4:] in (b"ftypavif", b"ftypavis")
    return head.startswith(_IMAGE_HEADS) or is_bitmap or is_boxed


def is_sound_file(path: str) -> bool:
    """Tell whether a file is a sound, by its first bytes; standard input and what cannot be opened are not."""
    if path == STDIN:
        return False
    with open(path, "rb") as file:
        refuse_endless(file, path)
        return wav.is_wav(file.read(12))
