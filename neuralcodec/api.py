"""The functions that most programs need: compress and decompress, one signal or many."""

import io
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from neuralcodec.codec import Codec, Fields
from neuralcodec.container.files import PathLike, atomic_file
from neuralcodec.container.header import Header
from neuralcodec.container.primitives import IDENTITY_BYTES, Buffer
from neuralcodec.container.sections import EXIF, ICC, MASK, NAME, PNG, pack_mask, pack_name
from neuralcodec.container.signal import SignalType
from neuralcodec.container.single import SingleFile, read_single, write_single
from neuralcodec.errors import CorruptFile, NeuralCodecError
from neuralcodec.samples import Samples, check_accepted, check_decoded, masked, one_signal, read_mask
from neuralcodec.zoo import list_models
from neuralcodec.zoo.resolve import ModelLike, codec_of, codec_with, load_model

if TYPE_CHECKING:
    from neuralcodec.archives import Archive, ArchiveEncoder, Damage, Metadata
    from neuralcodec.info import Info

__all__ = [
    "Decoded",
    "append_archive",
    "compress",
    "compress_many",
    "compress_stream",
    "create_archive",
    "decode_file",
    "decompress",
    "decompress_many",
    "decompress_stream",
    "list_models",
    "load_model",
    "open_archive",
    "repair_archive",
    "salvage_image",
]

DEFAULT_MODEL = "pc-mnist"


@dataclass(frozen=True)
class Decoded:
    """A decoded single file: its signal, and what else it says."""

    array: NDArray[Any]
    info: "Info"


def compress(
    x: Any,
    model: ModelLike = DEFAULT_MODEL,
    verify: bool = False,
    *,
    name: str | None = None,
    icc_profile: bytes | None = None,
    exif: bytes | None = None,
    png_form: bytes | None = None,
    candidate: bytes | None = None,
    quality: float | None = None,
    preset: str | None = None,
) -> bytes:
    """Return one signal as the bytes of a `.ncz` file.

    Parameters
    ----------
    x
        Integers or bools of the model's shape (axes of size 1 do not count) with values in the model's
        alphabets, in an array of any such dtype, byte order and layout, or nested lists. Shape and dtype come
        back as they are. The masked samples of a masked array are not coded, and masked again when decoded.
    model
        Name, path of a model file, or a model in memory; also a codec without models, or its name.
    verify
        Decode what was coded and raise :class:`EntropyCodingError` unless it is the same.
    name, icc_profile, exif
        Original file name (its directories are dropped), colour profile and EXIF bytes, kept in the file.
    png_form
        Palette, transparency, XMP and depth of a PNG file, as docs/format.md, section 2, lays them out; kept too.
    candidate
        Another payload of the signal (see :meth:`neuralcodec.codec.Codec.payload_of_png`), taken if it is shorter than
        the codec's own and decodes to the same.
    quality, preset
        For codecs that have them.

    Raises
    ------
    UnsupportedInput
        The model does not take the signal; the message says what it takes.
    UnknownModel, InvalidModel, CorruptFile
        The model is not here, or its file is not whole.

    >>> compress([[0.5, 1.0]])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    neuralcodec.errors.UnsupportedInput: samples of dtype float64 cannot be coded without loss; ...
    """
    samples = one_signal(x)
    codec = codec_with(model)
    check_accepted(codec, samples)
    sections = {ICC: icc_profile or b"", EXIF: exif or b"", NAME: pack_name(name or ""), PNG: png_form or b""}
    missing = None
    if samples.missing is not None:
        sections[MASK] = pack_mask(samples.missing, samples.kind.shape)
        missing = samples.missing[0]
    payload = codec.encode(samples.values[0], missing=missing, quality=quality, preset=preset, verify=verify)
    if candidate is not None and len(candidate) < len(payload) and _holds(codec, candidate, samples):
        payload = candidate
    header = Header(
        codec.name,
        bytes(IDENTITY_BYTES) if codec.model is None else codec.model.identity,
        None if samples.kind == codec.signal else samples.kind,
        {kind: content for kind, content in sections.items() if content},
    )
    return write_single(header, payload, codec.checked(samples.values, [payload], 1))


def _holds(codec: Codec, payload: bytes, samples: Samples) -> bool:
    """Tell whether a payload decodes to a signal."""
    try:
        return np.array_equal(codec.decode(payload, Fields(samples.kind)), samples.values[0])
    except NeuralCodecError:
        return False


def decompress(
    data: Buffer, model: ModelLike | None = None, *, crop: tuple[int, int, int, int] | None = None
) -> NDArray[Any]:
    """Return the signal in the bytes of a single `.ncz` file.

    Parameters
    ----------
    data
        The file.
    model
        Model to decode with (see :func:`compress`); None finds the one that the file names.
    crop
        Left, top, width and height of the part of an image to decode, where the codec has parts (`photo`).

    Returns
    -------
    The array, of the shape and dtype that were compressed; a masked array (0 below the mask) if samples are
    missing.

    Raises
    ------
    NotNeuralCodecFile, UnsupportedVersion, TruncatedFile, CorruptFile
        The file cannot be read, or decodes to other samples than were coded.
    WrongModel, UnknownModel
        The model given is not the file's; none was given and the file's is not here.
    UnsupportedInput
        The file is an archive; the codec has no parts, or the image is smaller than that.
    """
    file = read_single(data)
    return _decode(file, codec_of(file.header, model), crop)


def salvage_image(data: Buffer, model: ModelLike | None = None) -> tuple[NDArray[Any], list[str]]:
    """Return what is whole of a damaged image, and what is wrong with the rest.

    Parameters
    ----------
    data
        A single `.ncz` file of a codec that has parts (`photo`).
    model
        As for :func:`decompress`.

    Returns
    -------
    A masked array, in which what is lost is masked (an array if nothing is), and a message for each damage.

    Raises
    ------
    UnsupportedInput
        The codec has no parts.
    CorruptFile
        The file's header, or the table of its parts, is damaged.
    """
    file = read_single(data, damaged=True)
    codec = codec_of(file.header, model)
    array, lost, faults = codec.salvage(file.payload, Fields(_signal(file.header, codec)))
    return masked(array, lost), [*file.faults, *faults]


def decode_file(
    data: Buffer, model: ModelLike | None = None, *, crop: tuple[int, int, int, int] | None = None
) -> Decoded:
    """Return the signal of a single `.ncz` file together with its sections (see :func:`decompress`)."""
    from neuralcodec.info import single_info

    file = read_single(data)
    codec = codec_of(file.header, model)
    array = _decode(file, codec, crop)
    return Decoded(array, single_info(file, memoryview(data).nbytes, _signal(file.header, codec)))


def compress_many(
    xs: Any,
    model: ModelLike = DEFAULT_MODEL,
    *,
    names: Sequence[str | None] | None = None,
    group: int = 128,
    chunk: int = 1024,
    verify: bool = False,
    threads: int | None = None,
    quality: float | None = None,
    preset: str | None = None,
) -> bytes:
    """Return signals of one shape and dtype as the bytes of a `.ncz` archive.

    Parameters
    ----------
    xs
        An array (n, *shape), masked or not, or an iterable of arrays; no signals make an empty archive.
    model, verify, quality, preset
        As for :func:`compress`.
    names
        File name of each signal, or None.
    group, chunk, threads
        As for :class:`neuralcodec.archives.ArchiveEncoder`.

    Raises
    ------
    UnsupportedInput
        The model does not take a signal, or the signals differ in shape or dtype.
    UnknownModel, InvalidModel, CorruptFile
        The model is not here, or its file is not whole.
    """
    from neuralcodec.archives import Metadata

    file = io.BytesIO()
    options: dict[str, Any] = {"quality": quality, "preset": preset, "verify": verify, "threads": threads}
    with create_archive(file, model, group=group, chunk=chunk, **options) as archive:
        archive.append(xs, None if names is None else [Metadata(name) for name in names])
    return file.getvalue()


def decompress_many(
    data: Buffer | PathLike,
    indices: int | slice | Sequence[int] | NDArray[Any] | None = None,
    model: ModelLike | None = None,
    *,
    threads: int | None = None,
) -> NDArray[Any]:
    """Return signals of a `.ncz` archive, (n, *shape); a masked array if samples are missing.

    Parameters
    ----------
    data
        The archive, or its path.
    indices
        Which signals: None for all, an integer for one without the first axis, a slice, or integers in any
        order. Only the groups that hold them are decoded.
    model, threads
        As for :func:`decompress` and :func:`compress_many`.

    Raises
    ------
    IndexError
        There is no signal of that number.
    NeuralCodecError
        As for :func:`decompress`.
    """
    with open_archive(data, model, threads=threads) as archive:
        return archive[slice(None) if indices is None else indices]


def open_archive(
    target: Buffer | PathLike | BinaryIO,
    model: ModelLike | None = None,
    *,
    salvage: bool = False,
    threads: int | None = None,
) -> "Archive":
    """Open an archive without reading all of it (see :class:`neuralcodec.archives.Archive`)."""
    from neuralcodec.archives import Archive

    return Archive(target, model, salvage=salvage, threads=threads)


@contextmanager
def create_archive(
    target: PathLike | BinaryIO, model: ModelLike = DEFAULT_MODEL, **options: Any
) -> Iterator["ArchiveEncoder"]:
    """Write an archive in a ``with`` block, signals being appended as they come.

    Parameters
    ----------
    target
        A path, which holds the archive only if the block ends without error, or a binary file.
    model
        As for :func:`compress`.
    options
        Those of :class:`neuralcodec.archives.ArchiveEncoder`.
    """
    from neuralcodec.archives import ArchiveEncoder

    codec = codec_with(model)
    whole = atomic_file(target) if isinstance(target, str | os.PathLike) else nullcontext(target)
    with whole as file:
        encoder = ArchiveEncoder(file, codec, **options)
        yield encoder
        encoder.finish()


@contextmanager
def append_archive(
    path: PathLike, model: ModelLike | None = None, **options: Any
) -> Iterator["ArchiveEncoder"]:
    """Add signals to an archive in a ``with`` block; no signal that is there is coded again.

    The archive is copied, and the copy takes its place when the block ends without error: whatever stops it,
    `path` holds either the old archive, byte for byte, or the new one. Meanwhile the disk holds both.

    Parameters
    ----------
    path
        An archive whose index is whole (:func:`repair_archive` makes it so).
    model
        None finds the one that the archive names; another is refused.
    options
        Those of :class:`neuralcodec.archives.ArchiveEncoder` but `group`, which is the archive's.

    Raises
    ------
    UnsupportedInput
        A signal is not of the archive's shape and dtype, or the archive is being appended to already.
    NeuralCodecError
        As for :func:`open_archive`.
    """
    from neuralcodec.archives.append import appending

    with appending(path, model, options) as encoder:
        yield encoder


def repair_archive(
    damaged: Buffer | PathLike | BinaryIO, target: PathLike | BinaryIO, model: ModelLike | None = None
) -> "Damage":
    """Write what is whole of an archive as a whole one (see :mod:`neuralcodec.archives.repair`)."""
    from neuralcodec.archives.repair import repair_archive

    return repair_archive(damaged, target, model)


def compress_stream(
    xs: Any,
    target: PathLike | BinaryIO,
    model: ModelLike = DEFAULT_MODEL,
    *,
    batched: bool = False,
    metadata: "Iterable[Metadata] | None" = None,
    **options: Any,
) -> int:
    """Write signals as an archive as they come, and return how many there were; memory does not grow with them.

    Parameters
    ----------
    xs
        An iterable of signals, a generator say, or an array (n, *shape).
    target
        A path, which holds the archive only if all went well, or a binary file, which need not be seekable.
    model
        As for :func:`compress`.
    batched
        Whether the items are arrays (n, *shape) of n signals each, rather than signals.
    metadata
        One for each signal, in an iterable, or None.
    options
        Those of :class:`neuralcodec.archives.ArchiveEncoder`.

    Raises
    ------
    UnsupportedInput, UnknownModel, InvalidModel, CorruptFile
        As for :func:`compress_many`.

    >>> import numpy as np
    >>> file = io.BytesIO()
    >>> compress_stream((np.full((28, 28), i % 7, np.uint8) for i in range(300)), file, "pc-mnist-fast")
    300
    >>> [len(batch) for batch in decompress_stream(file.getvalue())]
    [300]
    """
    with create_archive(target, model, **options) as archive:
        archive.append(xs, metadata, batched=batched)
    return len(archive)


def decompress_stream(
    target: Buffer | PathLike | BinaryIO, model: ModelLike | None = None, *, threads: int | None = None
) -> Iterator[NDArray[Any]]:
    """Yield the signals of an archive in batches (n, *shape), in order; memory does not grow with the archive.

    Each batch is a chunk whose checksums hold. The parameters and errors are those of :func:`open_archive`.
    """
    with open_archive(target, model, threads=threads) as archive:
        yield from archive.chunks()


def _signal(header: Header, codec: Codec) -> SignalType:
    signal = header.signal or codec.signal
    if signal is None:
        raise CorruptFile("does not say what the signal is", "header")
    return signal


def _decode(file: SingleFile, codec: Codec, crop: tuple[int, int, int, int] | None = None) -> NDArray[Any]:
    signal = _signal(file.header, codec)
    if crop is not None:
        return codec.decode_part(file.payload, Fields(signal), crop)
    body = file.header.sections.get(MASK)
    missing = None if body is None else read_mask(codec, body, signal.shape, 1)[0]
    array = codec.decode(file.payload, Fields(signal, missing))
    check_decoded(array, signal.shape, signal.dtype)
    file.check(codec.checked(array[None], [file.payload], 1))
    return masked(array, missing)
