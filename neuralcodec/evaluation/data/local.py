"""Data sets without a name: any folder, image, IDX, .npy or .npz file."""

import os
import stat
from collections.abc import Callable, Iterator

from neuralcodec.errors import UnsupportedInput
from neuralcodec.evaluation.data.dataset import Dataset, checked_limit, draw
from neuralcodec.evaluation.data.images import (
    ImageItem,
    Item,
    as_images,
    load_image,
    load_stack,
    stack_items,
    stamped,
)
from neuralcodec.signals.arrays import read_npz
from neuralcodec.signals.idx import GZIP, is_idx
from neuralcodec.signals.kinds import is_signal_name
from neuralcodec.signals.sources import read_bytes

_NOT_AN_IMAGE = "no image, .npy, .npz or IDX file by its name"


def open_path(spec: str, *, limit: int | None = None, seed: int = 0) -> Dataset:
    """Open a folder or file of images (see :func:`open_data`, which calls this for what has no name)."""
    path = os.path.abspath(spec)
    name = printable(os.path.basename(path) or path)
    skipped: list[str] = []
    if not os.path.isdir(path):
        items = _items_of(path, name, skipped.append)
        if not items:
            raise UnsupportedInput(f"{spec} holds no images: {'; '.join(skipped)}")
        return Dataset(name, spec, items, skipped, spec, os.path.dirname(path)).drawn(limit, seed)
    files = list(_files(path, skipped.append))
    if limit is None:
        items = _readable(path, files, skipped.append)
    else:
        items = _drawn(path, files, checked_limit(limit), seed, skipped.append)
    if not items:
        reasons = f": {'; '.join(skipped[:3])}{' ...' * (len(skipped) > 3)}" if skipped else ", it is empty"
        raise UnsupportedInput(f"{spec} holds no images that can be read{reasons}")
    return Dataset(name, spec, items, skipped, spec, path, limit, seed if limit is not None else 0)


def printable(name: str) -> str:
    """Return a file name as text that UTF-8 can hold, whatever bytes the file system has.

    >>> printable("a\\udcff.png")
    'a\\\\udcff.png'
    """
    return name.encode("utf-8", "backslashreplace").decode()


def _files(folder: str, skip: Callable[[str], None]) -> Iterator[str]:
    """Yield the relative paths of what looks like images, sorted; tell of all else."""

    def fail(error: OSError) -> None:
        raise error

    found: list[str] = []
    for parent, folders, names in os.walk(folder, onerror=fail):
        where = os.path.relpath(parent, folder)
        for name in sorted(folders):
            if name.startswith(".") or os.path.islink(os.path.join(parent, name)):
                skip(f"{_relative(where, name)}: a hidden or linked folder, which is not searched")
        folders[:] = [
            n for n in folders if not (n.startswith(".") or os.path.islink(os.path.join(parent, n)))
        ]
        found += (_relative(where, name) for name in names)
    for relative in sorted(found, key=lambda name: name.split("/")):
        reason = _unlike_an_image(os.path.join(folder, relative))
        if reason:
            skip(f"{printable(relative)}: {reason}")
        else:
            yield relative


def _relative(where: str, name: str) -> str:
    return name if where == "." else "/".join([*where.split(os.sep), name])


def _unlike_an_image(path: str) -> str | None:
    if not is_signal_name(os.path.basename(path)):
        return "a hidden file" if os.path.basename(path).startswith(".") else _NOT_AN_IMAGE
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        return error.strerror
    return None if stat.S_ISREG(mode) else "no regular file"


def _readable(folder: str, files: list[str], skip: Callable[[str], None]) -> list[Item]:
    return [item for file in files for item in _or_skipped(folder, file, skip)]


def _drawn(folder: str, files: list[str], limit: int, seed: int, skip: Callable[[str], None]) -> list[Item]:
    """Draw images from a folder, reading only those files that are drawn.

    Files are taken in an order drawn by the seed until there are enough images, of a stack as many as are still
    wanted. Where each file holds one image, each subset of the readable ones is as likely as any other.
    """
    found: dict[int, list[Item]] = {}
    left = limit
    for number in draw(len(files), seed):
        if left == 0:
            break
        items = _or_skipped(folder, files[number], skip)
        chosen = sorted(draw(len(items), seed)[:left])
        found[number] = [items[place] for place in chosen]
        left -= len(chosen)
    return [item for number in sorted(found) for item in found[number]]


def _or_skipped(folder: str, relative: str, skip: Callable[[str], None]) -> list[Item]:
    path, name = os.path.join(folder, relative), printable(relative)
    try:
        return _items_of(path, name, skip)
    except UnsupportedInput as error:
        skip(str(error).replace(path, name))
    except OSError as error:
        skip(f"{name}: {error.strerror or error}")
    return []


def _items_of(path: str, name: str, skip: Callable[[str], None]) -> list[Item]:
    """Return the images of a file; messages and items call it `name`."""
    with open(path, "rb") as file:
        head = file.read(8)
    if not head:
        raise UnsupportedInput(f"{name} is empty")
    if head.startswith(b"PK\x03\x04"):
        return _items_of_npz(path, name, skip)
    kind = "npy" if head.startswith(b"\x93NUMPY") else "idx" if is_idx(head) or head.startswith(GZIP) else ""
    if not kind:
        load_image(path, name)
        return [ImageItem(name, path)]
    stack = stamped(kind, [path])
    return list(stack_items(stack, len(load_stack(stack)), name))


def _items_of_npz(path: str, name: str, skip: Callable[[str], None]) -> list[Item]:
    items: list[Item] = []
    for key, array in read_npz(read_bytes(path), name):
        try:
            count = len(as_images(array, f"{name}, {key}"))
        except UnsupportedInput as error:
            skip(str(error))
            continue
        items += stack_items(stamped("npz", [path], key), count, f"{name}/{key}")
    return items
