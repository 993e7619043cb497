"""Data sets from their public homes: resumed where a download was cut, and checked before they take their place."""

import os
import tarfile

from neuralcodec.container.files import atomic_file
from neuralcodec.errors import UnsupportedInput
from neuralcodec.evaluation.data.sets import Copy, Download, KnownSet, find_copy, home_of, missing_files
from neuralcodec.evaluation.data.transfer import BLOCK, Advance, Meter, NotReached, transfer
from neuralcodec.evaluation.data.verifying import check_copy, file_sha256, wrong_file

PARTIAL = ".part"
_SLACK = 1 << 20  # bytes that another packing of the same samples may take beyond twice the known size


def fetch(known: KnownSet, advance: Advance = lambda _: None) -> Copy:
    """Make sure that a whole copy of a data set is on this machine, and return it.

    What is missing is downloaded into :func:`home_of` the set. A download that was cut leaves a file ".part", from
    which the next goes on. A file takes its place only when its content is the right one.

    Parameters
    ----------
    known
        The data set.
    advance
        Called with how many more bytes are there; negative if some were there in vain.

    Raises
    ------
    UnsupportedInput
        If no address gives the right file; the message says what to download from where, and where to put it.
    OSError
        If the folder cannot be written to, or the disk is full.
    """
    copy = find_copy(known)
    if copy is None or copy.absent:
        folder = home_of(known)
        os.makedirs(folder, exist_ok=True)
        for download in missing_files(known, folder):
            _fetch_file(known, download, folder, Meter(advance))
        copy = find_copy(known)
        assert copy is not None, "every missing file is in its place"
    check_copy(known, copy)
    return copy


def _fetch_file(known: KnownSet, download: Download, folder: str, meter: Meter) -> None:
    target = os.path.join(folder, download.file)
    part = target + PARTIAL
    problems: list[str] = []
    for url in download.urls:
        try:
            reason = _fetch_from(url, known, download, part, meter)
        except NotReached as error:
            problems.append(f"{url}: {error}")
            continue
        if reason is None:
            _place(download, part, target)
            return
        problems.append(f"{url}: a wrong file, {reason}")
    raise UnsupportedInput(
        f"{download.file} of {known.name} cannot be fetched ({'; '.join(problems)}): "
        f"{_by_hand(known, download, folder)}"
    )


def _fetch_from(url: str, known: KnownSet, download: Download, part: str, meter: Meter) -> str | None:
    """Fetch a file from one address; return why it is a wrong one, and remove it then."""
    while True:
        resumed = transfer(url, part, meter, most=2 * download.bytes + _SLACK)
        reason = wrong_file(part, download, known.kind)
        if reason is None:
            return None
        os.unlink(part)
        meter.at(0)
        if not resumed:  # else the first piece may have been of another file: once more, as a whole
            return reason


def _place(download: Download, part: str, target: str) -> None:
    if download.members:
        _unpack(download, part, os.path.dirname(target))
        os.unlink(part)
    else:
        os.replace(part, target)


def _unpack(download: Download, archive: str, folder: str) -> None:
    """Take the wanted files out of an archive whose hash is right, each checked before it takes its place."""
    with tarfile.open(archive) as members:
        for name, sha256 in download.members.items():
            member = members.extractfile(name)
            assert member is not None, f"{download.file} has the right hash, so it has {name}"
            path = os.path.join(folder, *name.split("/"))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with atomic_file(path) as file:
                while block := member.read(BLOCK):
                    file.write(block)
            assert file_sha256(path) == sha256, f"{download.file} has the right hash, so {name} has too"


def _by_hand(known: KnownSet, download: Download, folder: str) -> str:
    """Return what to do where there is no network, in words."""
    others = len(missing_files(known, folder)) - 1
    rest = f", and {others} more" if others else ""
    place = "unpack it" if download.members else "put it"
    return (
        f"download {download.urls[0]} ({download.bytes} bytes, SHA-256 {download.sha256}){rest}, and {place} in "
        f"{folder} (`neuralcodec data list {known.name}` lists the addresses, sizes and hashes of all)"
    )
