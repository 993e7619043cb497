"""What a file says of itself, without its model."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from neuralcodec.artifact import MAGIC as MODEL_MAGIC
from neuralcodec.artifact import Artifact, parse_header, read_artifact, tensors_of
from neuralcodec.codec import FAMILIES, Codec, find_codec
from neuralcodec.container.archive import ArchiveReader
from neuralcodec.container.chunk import Entry
from neuralcodec.container.files import PathLike, Source, open_source
from neuralcodec.container.header import ARCHIVE, MAGIC, Header
from neuralcodec.container.primitives import VERSION, Buffer
from neuralcodec.container.sections import EXIF, ICC, NAME, PNG, label, unpack_name
from neuralcodec.container.signal import SignalType
from neuralcodec.container.single import SingleFile, read_single
from neuralcodec.errors import NeuralCodecError, UnknownModel, naming
from neuralcodec.zoo import SIGNAL_TENSORS, ModelEntry, find_identity, signal_type

# A small archive may claim very many signals; their names are then left out.
MAX_LISTED_NAMES = 2**20


@dataclass(frozen=True)
class Info:
    """What a file says of itself.

    Attributes
    ----------
    kind
        "single", "archive" or "model".
    version
        Version of the format.
    codec
        Name of the codec; for a model file its family.
    identity
        Identity of the model in hexadecimal: 8 digits in a single file, else 64; empty without a model.
    model
        Name of the model with this identity, None if it is not here.
    signals
        Number of signals; 0 for a model file.
    shape, dtype
        Of one signal; None where only the model knows, and it is not here.
    size, payload
        Bytes of the file, and those of them that the codec wrote (for an archive: all chunks).
    sections
        Stored bytes of each optional section, by its name, over the whole file.
    names
        File name of each signal, None where it has none; () if there are no names at all.
    icc_profile, exif, png_form
        Of a single file (`png_form` as for :func:`neuralcodec.compress`).
    group
        Signals that share a coder, in an archive.
    chunks
        Where the chunks of an archive are.
    header
        JSON header of a model file.
    details
        What the codec tells of the model, or of the signals where the model is here (see
        :meth:`neuralcodec.codec.Codec.describe`).
    """

    kind: str
    version: int
    codec: str
    identity: str
    size: int
    payload: int = 0
    model: str | None = None
    signals: int = 0
    shape: tuple[int, ...] | None = None
    dtype: str | None = None
    sections: Mapping[str, int] = field(default_factory=dict)
    names: tuple[str | None, ...] = ()
    icc_profile: bytes | None = None
    exif: bytes | None = None
    png_form: bytes | None = None
    group: int | None = None
    chunks: tuple[Entry, ...] = ()
    header: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)


def read_info(target: Buffer | PathLike | BinaryIO) -> Info:
    """Return what a file says of itself; no sample is decoded, and no model of a circuit loaded.

    Parameters
    ----------
    target
        A single file, an archive or a model file: bytes, a path, or a seekable binary file. Of an archive
        all chunks are read once, for their sections.

    Raises
    ------
    NotNeuralCodecFile, UnsupportedVersion, TruncatedFile, CorruptFile
        As their names say.
    """
    source = open_source(target)
    try:
        with naming(target if isinstance(target, str | os.PathLike) else None):
            start = bytes(source.read_at(0, len(MAGIC) + 2))
            if start.startswith(MODEL_MAGIC):
                return _model_info(source)
            if start.startswith(MAGIC + bytes([VERSION])) and len(start) > 5 and start[5] & ARCHIVE:
                return _archive_info(source)
            data = source.read_at(0, source.size)
            return single_info(read_single(data), len(data))
    finally:
        source.close()


def single_info(file: SingleFile, size: int, signal: SignalType | None = None) -> Info:
    """Return what a single file of `size` bytes says; `signal` is its shape and dtype if they are known."""
    header = file.header
    content = header.sections
    return Info(
        kind="single",
        payload=len(file.payload),
        signals=1,
        sections={label(kind): len(section) for kind, section in content.items()},
        names=(unpack_name(content[NAME]),) if content.get(NAME) else (),
        icc_profile=content.get(ICC),
        exif=content.get(EXIF),
        png_form=content.get(PNG),
        size=size,
        **_common(header, signal),
    )


def _archive_info(source: Source) -> Info:
    with ArchiveReader(source) as reader:
        sections: dict[str, int] = {}
        names: list[str | None] = []
        listed = len(reader) <= MAX_LISTED_NAMES
        for number in range(len(reader.entries)):
            chunk = reader.read(number)
            for kind, content in chunk.sections.items():
                sections[label(kind)] = sections.get(label(kind), 0) + len(content)
            if listed:
                raw = chunk.items(NAME) or [b""] * chunk.n
                names += [unpack_name(name) or None for name in raw]
        return Info(
            kind="archive",
            payload=sum(entry.size for entry in reader.entries),
            signals=len(reader),
            sections=sections,
            names=tuple(names) if any(names) else (),
            group=reader.group,
            chunks=tuple(reader.entries),
            size=source.size,
            **_common(reader.header, None),
        )


def _model_info(source: Source) -> Info:
    data = source.read_at(0, source.size)
    head = parse_header(data)
    kind = signal_type(head.family, tensors_of(data, SIGNAL_TENSORS))
    entry = _entry(head.identity)
    return Info(
        kind="model",
        version=VERSION,
        codec=head.family,
        identity=head.identity.hex(),
        model=entry.name if entry else None,
        shape=kind.shape if kind else None,
        dtype=str(kind.dtype) if kind else None,
        header=head.header,
        size=len(data),
        details=_model_details(head.family, data),
    )


def _common(header: Header, signal: SignalType | None) -> dict[str, Any]:
    """Return the fields that single files and archives share."""
    entry = _entry(header.identity) if header.has_model else None
    kind = header.signal or signal or (_readable_signal(entry) if entry else None)
    return {
        "version": VERSION,
        "codec": header.codec,
        "identity": header.identity.hex() if header.has_model else "",
        "model": entry.name if entry else None,
        "shape": kind.shape if kind else None,
        "dtype": str(kind.dtype) if kind else None,
        "details": _file_details(header.codec, entry, kind) if entry and kind else {},
    }


def _describing(name: str) -> type[Codec] | None:
    """Return the codec with a name if it has details to tell: for others no model is read."""
    try:
        codec = find_codec(name)
    except (ImportError, NeuralCodecError):
        return None
    return codec if codec is not None and codec.describe.__func__ is not Codec.describe.__func__ else None  # type: ignore[attr-defined]


def _file_details(name: str, entry: ModelEntry, kind: SignalType) -> Mapping[str, Any]:
    codec = _describing(name)
    if codec is None:
        return {}
    try:
        return codec.describe(codec.load(read_artifact(entry.path)), kind)
    except (NeuralCodecError, OSError):
        return {}


def _model_details(family: str, data: Buffer) -> Mapping[str, Any]:
    codec = _describing(FAMILIES.get(family, ""))
    return {} if codec is None else codec.describe(codec.load(Artifact.from_bytes(data)))


def _readable_signal(entry: ModelEntry) -> SignalType | None:
    try:
        return entry.signal
    except (NeuralCodecError, OSError):
        return None


def _entry(identity: bytes) -> ModelEntry | None:
    try:
        return find_identity(identity)
    except UnknownModel:
        return None
