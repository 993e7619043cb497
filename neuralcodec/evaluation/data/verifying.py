"""Whether files hold the images of a data set: by their hash, or else by that of their samples."""

import hashlib

from neuralcodec.errors import UnsupportedInput
from neuralcodec.evaluation.data.images import load_image, load_stack, sample_sha256, stamped
from neuralcodec.evaluation.data.sets import Copy, Download, KnownSet


def file_sha256(path: str) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def wrong_file(path: str, download: Download, kind: str) -> str | None:
    """Return None if a file is the one at its public home or has its samples, else what it is instead.

    Parameters
    ----------
    path
        The file.
    download
        What it should be.
    kind
        The kind of the set (see :class:`KnownSet`).
    """
    found = file_sha256(path)
    if found == download.sha256:
        return None
    if not download.samples:
        return f"its SHA-256 is {found}, not {download.sha256}"
    try:
        samples = load_stack(stamped(kind, [path])) if kind else load_image(path, download.file)
    except UnsupportedInput as error:
        return str(error)
    hashed = sample_sha256(samples)
    return (
        None
        if hashed == download.samples
        else f"the SHA-256 of its samples is {hashed}, not {download.samples}"
    )


def check_copy(known: KnownSet, copy: Copy) -> None:
    """Check that a copy holds the images of the data set.

    Raises
    ------
    UnsupportedInput
        If a file holds other samples; the message names it and says what to do.
    """
    remedy = f"remove it and run `neuralcodec data fetch {known.name}`"
    if not known.kind:
        present = [one for one in known.downloads if one.stem not in copy.absent]
        for path, download in zip(copy.files, present, strict=True):
            reason = wrong_file(path, download, known.kind)
            if reason:
                raise UnsupportedInput(
                    f"{path} is not the image {download.stem} of {known.name}: {reason}; {remedy}"
                )
        return
    published = {sha for one in known.downloads for sha in (one.sha256, *one.members.values())}
    if all(file_sha256(path) in published for path in copy.files):
        return
    hashed = sample_sha256(load_stack(stamped(known.kind, copy.files, sort=known.sort)))
    if hashed != known.samples:
        raise UnsupportedInput(
            f"{', '.join(copy.files)}: these are not the images of {known.name} (the SHA-256 of their samples is "
            f"{hashed}, not {known.samples}); {remedy}"
        )
