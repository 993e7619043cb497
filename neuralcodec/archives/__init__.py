"""Archives of signals: written chunk by chunk, read by number, in bounded memory; repaired and appended to."""

from neuralcodec.archives.archive import Archive
from neuralcodec.archives.encoder import MAX_CHUNK_SAMPLES, ArchiveEncoder
from neuralcodec.archives.metadata import Metadata
from neuralcodec.archives.rescue import Damage

__all__ = ["MAX_CHUNK_SAMPLES", "Archive", "ArchiveEncoder", "Damage", "Metadata"]
