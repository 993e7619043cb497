"""What an archive keeps of each signal beside its samples."""

from collections.abc import Sequence
from dataclasses import dataclass

from neuralcodec.container.chunk import Chunk
from neuralcodec.container.sections import EXIF, ICC, NAME, PNG, pack_items, pack_name, unpack_name


@dataclass(frozen=True)
class Metadata:
    """What an archive holds of a signal beside its samples; None where there is nothing.

    `png_form` is the content of a section 7 of docs/format.md: palette, transparency, XMP and depth of a PNG.
    """

    name: str | None = None
    icc_profile: bytes | None = None
    exif: bytes | None = None
    png_form: bytes | None = None


NO_METADATA = Metadata()


def pack_metadata(metadata: Sequence[Metadata]) -> dict[int, bytes]:
    """Return the sections of a chunk whose signals have these metadata.

    >>> pack_metadata([Metadata(), Metadata()])
    {}
    """
    if all(item is NO_METADATA for item in metadata):
        return {}
    items: dict[int, list[bytes]] = {
        ICC: [item.icc_profile or b"" for item in metadata],
        EXIF: [item.exif or b"" for item in metadata],
        NAME: [pack_name(item.name or "") for item in metadata],
        PNG: [item.png_form or b"" for item in metadata],
    }
    return {kind: pack_items(kind, values) for kind, values in items.items() if any(values)}


def unpack_metadata(chunk: Chunk) -> list[Metadata]:
    """Return the metadata of each signal of a chunk."""
    nothing = [b""] * chunk.n
    columns = (chunk.items(kind) or nothing for kind in (NAME, ICC, EXIF, PNG))
    rows = zip(*columns, strict=True)
    return [
        Metadata(unpack_name(name) or None, icc or None, exif or None, form or None)
        for name, icc, exif, form in rows
    ]
