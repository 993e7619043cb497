"""Data sets by what the user writes: a name, or the path of a folder or file."""

import os

from neuralcodec.container.files import PathLike
from neuralcodec.errors import UnsupportedInput
from neuralcodec.evaluation.data.dataset import Dataset
from neuralcodec.evaluation.data.images import ImageItem, Item, stack_items, stamped
from neuralcodec.evaluation.data.local import open_path
from neuralcodec.evaluation.data.sets import Copy, KnownSet, find_copy, home_of, known_sets
from neuralcodec.evaluation.data.verifying import check_copy


def open_data(spec: PathLike, *, limit: int | None = None, seed: int = 0) -> Dataset:
    """Open a data set; nothing is fetched.

    Parameters
    ----------
    spec
        One of the names of :func:`known_sets` ("kodak", "mnist", ...), or the path of a folder, an image, or an IDX,
        .npy or .npz file of images. A folder called like a data set is written "./kodak".
    limit
        How many images to draw; None means all. They keep their order.
    seed
        Seed of the draw.

    Returns
    -------
    Dataset
        Its images load lazily. Files of a folder that are no images, or cannot be read, are listed as skipped.

    Raises
    ------
    UnsupportedInput
        If there is no such data set or file, it is not on this machine (the message tells how to fetch it), its
        files hold other samples than they should, or it holds no images.

    >>> open_data("kodka")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    neuralcodec.errors.UnsupportedInput: kodka is no file or folder, and no data set: there are kodak, set14, ...
    """
    text = os.fspath(spec)
    if text in known_sets():
        return _open_known(known_sets()[text]).drawn(limit, seed)
    if not os.path.lexists(text):
        raise UnsupportedInput(
            f"{text} is no file or folder, and no data set: there are {', '.join(known_sets())}"
        )
    return open_path(text, limit=limit, seed=seed)


def copy_of(known: KnownSet) -> Copy:
    """Return the copy of a data set on this machine; :class:`UnsupportedInput` tells how to get one."""
    copy = find_copy(known)
    if copy is None:
        raise UnsupportedInput(
            f"the data set {known.name} is not on this machine: run `neuralcodec data fetch {known.name}` "
            f"({known.bytes / 1e6:.0f} MB from {known.home}), or put it in {home_of(known)}"
        )
    return copy


def _open_known(known: KnownSet) -> Dataset:
    copy = copy_of(known)
    check_copy(known, copy)
    items: list[Item] = []
    if known.kind:
        items += stack_items(stamped(known.kind, copy.files, sort=known.sort), known.images, known.name)
    else:
        items += (ImageItem(os.path.splitext(os.path.basename(path))[0], path) for path in copy.files)
    absent = [f"{stem}: not in this copy ({copy.folder})" for stem in copy.absent]
    return Dataset(known.name, known.name, items, absent, f"{known.title}, {known.home}", copy.folder)
