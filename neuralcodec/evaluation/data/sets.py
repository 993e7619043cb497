"""The data sets that have a name: what belongs to them, where they are published, and where they are here.

The facts are in sets.json: of every file at its public home the size and the SHA-256, and of the images the SHA-256
of the samples, so that a copy which was packed in another way is known for the same.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from neuralcodec.errors import UnsupportedInput

FOLDER_VARIABLE = "NEURALCODEC_DATA"
IMAGE_SUFFIXES = (".png", ".bmp", ".webp")
_FACTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sets.json")


@dataclass(frozen=True)
class Download:
    """A file at its public home.

    Attributes
    ----------
    file
        Its name, also in the folder of the set.
    bytes, sha256
        Size and hash of the file.
    urls
        Where it is, the home first.
    samples
        Hash of the samples of the image or IDX file (see :func:`sample_sha256`), whatever it is packed in; empty for
        an archive.
    members
        Of an archive: the files to take out of it, with their SHA-256.
    optional
        Whether the set may be used without it.
    """

    file: str
    bytes: int
    sha256: str
    urls: Sequence[str]
    samples: str = ""
    members: Mapping[str, str] = field(default_factory=dict)
    optional: bool = False

    @property
    def stem(self) -> str:
        """Name of the image that the file holds."""
        return os.path.splitext(self.file)[0]


@dataclass(frozen=True)
class KnownSet:
    """A data set that has a name.

    Attributes
    ----------
    name, title, home
        What it is called here and elsewhere, and a page about it.
    images
        How many there are.
    folders
        Names of its folder, the first of which is the one that `fetch` makes.
    downloads
        Its files at their public home.
    kind
        Empty if each file is an image, else the kind of :class:`Stack` that holds the images.
    layouts
        For a stack: the files which may hold it, any one of these lists.
    samples
        For a stack: the SHA-256 of its samples.
    sort
        For a stack: whether copies differ in order (see :class:`Stack`).
    """

    name: str
    title: str
    home: str
    images: int
    folders: Sequence[str]
    downloads: Sequence[Download]
    kind: str = ""
    layouts: Sequence[Sequence[str]] = ()
    samples: str = ""
    sort: bool = False

    @property
    def bytes(self) -> int:
        """How much there is to download."""
        return sum(download.bytes for download in self.downloads)


@dataclass(frozen=True)
class Copy:
    """A whole copy of a data set on this machine.

    Attributes
    ----------
    folder
        Where it is.
    files
        Paths of the files that hold the images, in order.
    absent
        Images that this copy lacks, of those which may be lacking.
    """

    folder: str
    files: Sequence[str]
    absent: Sequence[str] = ()


@cache
def known_sets() -> Mapping[str, KnownSet]:
    """Return the data sets that have a name.

    >>> known_sets()["kodak"].images
    24
    """
    with open(_FACTS, encoding="utf-8") as file:
        facts = json.load(file)
    return {name: _known_set(name, values) for name, values in facts.items()}


def find_set(name: str) -> KnownSet:
    """Return the data set of a name; :class:`UnsupportedInput` lists the names if there is none."""
    if name not in known_sets():
        raise UnsupportedInput(f"no data set is called {name!r}; there are {', '.join(known_sets())}")
    return known_sets()[name]


def data_folders() -> list[str]:
    """Return where data sets are looked for: NEURALCODEC_DATA if set, then the system's place for caches."""
    from platformdirs import user_cache_dir

    given = os.environ.get(FOLDER_VARIABLE)
    cache_folder = os.path.join(user_cache_dir("neuralcodec", appauthor=False), "data")
    return [os.path.abspath(given), cache_folder] if given else [cache_folder]


def home_of(known: KnownSet) -> str:
    """Return the folder in which `fetch` puts a data set."""
    return os.path.join(data_folders()[0], known.folders[0])


def find_copy(known: KnownSet) -> Copy | None:
    """Return the first whole copy of a data set in :func:`data_folders`, or None."""
    for base in data_folders():
        for name in known.folders:
            folder = os.path.join(base, name)
            copy = (_stack_copy if known.kind else _image_copy)(known, folder)
            if copy is not None:
                return copy
    return None


def missing_files(known: KnownSet, folder: str) -> list[Download]:
    """Return what has to be downloaded to make a folder a copy of the set, what may be lacking included."""
    if known.kind:
        return [] if _stack_copy(known, folder) else list(known.downloads)
    return [one for one in known.downloads if _image_file(folder, one.stem) is None]


def _known_set(name: str, values: dict[str, Any]) -> KnownSet:
    downloads = [Download(**one) for one in values.pop("downloads")]
    return KnownSet(name=name, downloads=downloads, **values)


def _stack_copy(known: KnownSet, folder: str) -> Copy | None:
    for layout in known.layouts:
        files = [os.path.join(folder, *name.split("/")) for name in layout]
        if all(map(os.path.isfile, files)):
            return Copy(folder, files)
    return None


def _image_copy(known: KnownSet, folder: str) -> Copy | None:
    found = [(one, _image_file(folder, one.stem)) for one in known.downloads]
    files = [path for _, path in found if path is not None]
    absent = [one for one, path in found if path is None]
    if not files or not all(one.optional for one in absent):
        return None
    return Copy(folder, files, [one.stem for one in absent])


def _image_file(folder: str, stem: str) -> str | None:
    paths = (os.path.join(folder, stem + suffix) for suffix in IMAGE_SUFFIXES)
    return next(filter(os.path.isfile, paths), None)
