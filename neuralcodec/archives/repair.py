"""Repairing: what is whole of a damaged archive becomes a whole archive, without coding anything again."""

import contextlib
import os
from typing import BinaryIO

from neuralcodec.archives.rescue import Damage, damage_of, rescued_head
from neuralcodec.container.archive import ArchiveReader, ArchiveWriter
from neuralcodec.container.chunk import renumbered
from neuralcodec.container.files import PathLike, atomic_file, open_source
from neuralcodec.container.primitives import Buffer
from neuralcodec.errors import naming
from neuralcodec.zoo.resolve import ModelLike


def repair_archive(
    damaged: Buffer | PathLike | BinaryIO, target: PathLike | BinaryIO, model: ModelLike | None = None
) -> Damage:
    """Write a whole archive of every chunk of a damaged one whose checksum holds.

    The chunks' bytes are kept, the index is made anew. Signals behind lost ones move up, since an archive has no
    gaps; what is returned tells which are gone. An archive without damage comes out byte for byte.

    Parameters
    ----------
    damaged
        The archive: bytes, a path, or a seekable binary file; it is only read.
    target
        A path, which holds the repaired archive only if all went well, or a binary file.
    model
        Needed only if the header is damaged, and the model is not among those here.

    Raises
    ------
    NeuralCodecError
        It is no archive, or nothing tells how to read it; then nothing is written.

    >>> import io, neuralcodec, numpy as np
    >>> whole = neuralcodec.compress_many(np.zeros((300, 28, 28), np.uint8), "pc-mnist-fast", chunk=128)
    >>> out = io.BytesIO()
    >>> damage = repair_archive(whole[:-20], out)
    >>> damage.signals, damage.end_known, len(neuralcodec.decompress_many(out.getvalue()))
    (300, False, 300)
    """
    source = open_source(damaged)
    named = damaged if isinstance(damaged, str | os.PathLike) else None
    with contextlib.closing(source), naming(named):
        reader = ArchiveReader(source, salvage=True, head=rescued_head(source, model))
        whole = (
            atomic_file(target) if isinstance(target, str | os.PathLike) else contextlib.nullcontext(target)
        )
        with whole as file:
            writer = ArchiveWriter(file, reader.header, reader.group)
            for entry in reader.entries:
                data = source.read_at(entry.offset, entry.size)
                writer.append_chunk(renumbered(data, writer.signals), entry.n)
            writer.finish()
        return damage_of(reader)
