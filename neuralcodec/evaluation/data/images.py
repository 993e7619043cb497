"""Images of a data set: small things that pickle, and load their samples when asked."""

import hashlib
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from neuralcodec.errors import UnsupportedInput
from neuralcodec.signals.arrays import read_npy, read_npz
from neuralcodec.signals.idx import read_idx
from neuralcodec.signals.images import read_image
from neuralcodec.signals.sources import read_bytes

DTYPES = (np.dtype(np.bool_), np.dtype(np.uint8), np.dtype(np.uint16))
MOST_CHANNELS = 4
_GRAY_OFFER = ", or ask for 8-bit gray with --grayscale (grayscale=True in Python)"
_CIFAR_SIDE, _SHEET_COLUMNS = 32, 100


class Item(Protocol):
    """One image of a data set; it pickles to a few hundred bytes, whatever the size of the image."""

    @property
    def name(self) -> str:
        """What the image is called: unique within the data set."""
        ...

    def load(self) -> NDArray[Any]:
        """Return the samples: C-contiguous (H, W) or (H, W, C), uint8, uint16 or bool."""
        ...


@dataclass(frozen=True)
class ImageItem:
    """An image file.

    Attributes
    ----------
    name
        What the image is called.
    path
        The file.
    """

    name: str
    path: str

    def load(self) -> NDArray[Any]:
        """Read the file; :class:`UnsupportedInput` if Pillow cannot, or not without changing the samples."""
        return load_image(self.path, self.path)


@dataclass(frozen=True)
class Stack:
    """Where an array of images is kept; a process reads it once (see :func:`load_stack`).

    Attributes
    ----------
    kind
        "idx", "npy", "npz", or "cifar": 10,000 images in CIFAR-10's binary records, or in a 100x100 sheet of tiles.
    paths
        The files; only those of kind "cifar" may be several, whose images follow each other.
    key
        Name of the array in a .npz file.
    sort
        Whether to sort the images by the SHA-256 of their samples, where copies of a set differ in order.
    stamp
        Size and time of the files, so that another file of the same name is read anew.
    """

    kind: str
    paths: tuple[str, ...]
    key: str = ""
    sort: bool = False
    stamp: tuple[int, ...] = ()


@dataclass(frozen=True)
class StackItem:
    """One image of a :class:`Stack`.

    Attributes
    ----------
    name
        What the image is called.
    stack
        Where it is kept.
    index
        Its place there.
    """

    name: str
    stack: Stack
    index: int

    def load(self) -> NDArray[Any]:
        """Return the image; the files are read only if this process has not read them yet."""
        return np.array(load_stack(self.stack)[self.index], order="C")


def stack_items(stack: Stack, count: int, name: str) -> list[StackItem]:
    """Return the items of a stack of images: called by a name and their numbers, or by the name if it is but one.

    >>> [item.name for item in stack_items(Stack("npy", ("a.npy",)), 2, "a.npy")]
    ['a.npy/00000', 'a.npy/00001']
    """
    names = [f"{name}/{number:05d}" for number in range(count)] if count > 1 else [name] * count
    return [StackItem(one, stack, number) for number, one in enumerate(names)]


def stamped(kind: str, paths: Sequence[str], key: str = "", *, sort: bool = False) -> Stack:
    """Return a :class:`Stack` over files as they are now."""
    status = [os.stat(path) for path in paths]
    stamp = tuple(number for one in status for number in (one.st_size, one.st_mtime_ns))
    return Stack(kind, tuple(paths), key, sort, stamp)


def load_image(path: str, source: str) -> NDArray[Any]:
    """Return the samples of an image file; messages call it `source`."""
    try:
        return np.ascontiguousarray(read_image(read_bytes(path), source).samples)
    except UnsupportedInput as error:
        raise UnsupportedInput(str(error).replace(_GRAY_OFFER, "")) from None


@lru_cache(maxsize=4)
def load_stack(stack: Stack) -> NDArray[Any]:
    """Return the (n, H, W) or (n, H, W, C) images of a stack, kept for the next call.

    Raises
    ------
    UnsupportedInput
        If a file cannot be read, or holds no images.
    """
    if stack.kind == "cifar":
        images = np.concatenate([_read_cifar(path) for path in stack.paths])
    else:
        (path,) = stack.paths
        data = read_bytes(path)
        if stack.kind == "npz":
            array = dict(read_npz(data, path))[stack.key]
        else:
            array = read_idx(data, path) if stack.kind == "idx" else read_npy(data, path)
        images = as_images(array, f"{path}, {stack.key}" if stack.key else path, stacked=stack.kind == "idx")
    if stack.sort:
        images = images[
            sorted(range(len(images)), key=lambda i: hashlib.sha256(images[i].tobytes()).digest())
        ]
    images.flags.writeable = False
    return images


def as_images(array: NDArray[Any], source: str, *, stacked: bool = False) -> NDArray[Any]:
    """View an array as a stack of images, (n, H, W) or (n, H, W, C).

    An array of rank 2 is one gray image, one of rank 4 a stack of images with 1 to 4 channels. One of rank 3 is a
    stack of gray images, unless its last axis has at most 4 places: then it is one image with channels.

    Parameters
    ----------
    array
        Its dtype uint8, uint16 or bool.
    source
        What to call it in messages.
    stacked
        Whether the first axis is known to count images, as in IDX files.

    Raises
    ------
    UnsupportedInput
        If the array is none of these.

    >>> [as_images(np.zeros(shape, np.uint8), "x").shape for shape in ((5, 8, 8), (8, 8, 3), (5, 8, 8, 1))]
    [(5, 8, 8), (1, 8, 8, 3), (5, 8, 8)]
    """
    if np.ma.isMaskedArray(array):
        raise UnsupportedInput(f"{source} has missing samples, which a measurement does not take")
    if array.dtype not in DTYPES:
        raise UnsupportedInput(f"{source} holds {array.dtype.name} samples: images are uint8, uint16 or bool")
    coloured = array.ndim > 0 and array.shape[-1] <= MOST_CHANNELS
    if array.ndim == 2 or (array.ndim == 3 and coloured and not stacked):
        array = array[np.newaxis]
    fits = array.ndim == 3 or (array.ndim == 4 and coloured)
    if not fits or not math.prod(array.shape):
        raise UnsupportedInput(
            f"{source} has the shape {array.shape}: images are (H, W), (H, W, C), (n, H, W) or (n, H, W, C), "
            f"with at most {MOST_CHANNELS} channels, which come last"
        )
    return array[..., 0] if array.ndim == 4 and array.shape[-1] == 1 else array


def sample_sha256(samples: NDArray[Any]) -> str:
    """Return what identifies an image: the SHA-256 of its dtype, shape and samples, in hexadecimal.

    Hashed are the text "uint8 512x768x3" and a line feed, then the samples, little-endian in C order.

    >>> sample_sha256(np.zeros((2, 2), np.uint8))[:16]
    '38e7c3c315e8aa8d'
    """
    text = f"{samples.dtype.name} {'x'.join(map(str, samples.shape))}\n"
    little = np.ascontiguousarray(samples, samples.dtype.newbyteorder("<"))
    digest = hashlib.sha256(text.encode())
    digest.update(little.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _read_cifar(path: str) -> NDArray[np.uint8]:
    """Read images of CIFAR-10: "binary version" records (label, then planes), or a sheet of tiles."""
    if path.endswith(".bin"):
        data = np.frombuffer(read_bytes(path), np.uint8)
        record = 1 + 3 * _CIFAR_SIDE**2
        if not data.size or data.size % record:
            raise UnsupportedInput(f"{path} has {data.size} bytes, which is no number of records of {record}")
        planes = data.reshape(-1, record)[:, 1:].reshape(-1, 3, _CIFAR_SIDE, _CIFAR_SIDE)
        return np.ascontiguousarray(planes.transpose(0, 2, 3, 1))
    sheet = load_image(path, path)
    side = _CIFAR_SIDE
    if sheet.shape[1:] != (_SHEET_COLUMNS * side, 3) or sheet.shape[0] % side:
        raise UnsupportedInput(f"{path} is no sheet of {_SHEET_COLUMNS} columns of {side}x{side} RGB tiles")
    tiles = sheet.reshape(-1, side, _SHEET_COLUMNS, side, 3).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(tiles.reshape(-1, side, side, 3))
