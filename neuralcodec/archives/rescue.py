"""Damaged archives: what is lost, and headers that are found again without their own checksum.

A damaged header is made up for by what is known otherwise: the model (given, or recognised by pieces of its identity)
and the chunks themselves, which decode to samples of the right checksum with the right group size and width of a sample
only. What no checksum tells is lost with the header: the sign of the dtype, and axes of length 1.
"""

import itertools
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

from neuralcodec.codec import Codec, Fields
from neuralcodec.container.archive import ArchiveReader, Head, read_head
from neuralcodec.container.chunk import MAX_GROUP, Chunk, Entry, check_density, read_chunk
from neuralcodec.container.files import Source
from neuralcodec.container.header import MAGIC, Header
from neuralcodec.container.primitives import IDENTITY_BYTES, Reader, crc32
from neuralcodec.container.salvage import scan
from neuralcodec.container.sections import MASK
from neuralcodec.container.signal import DTYPES, MAX_SAMPLES, SignalType
from neuralcodec.errors import CorruptFile, NeuralCodecError, UnsupportedVersion
from neuralcodec.samples import read_mask
from neuralcodec.zoo import list_models
from neuralcodec.zoo.resolve import ModelLike, codec_with

WINDOW = 2**16
PIECE = 8  # bytes of an identity that tell its model: another's are the same in one of 2^64 cases
MAX_TRIED_SAMPLES, LEAST_TRIALS = 2**25, 16
USUAL_GROUPS = (128, 256, 64, 512, 32, 1024, 16, 8, 4, 2, 1)


@dataclass(frozen=True)
class Damage:
    """What an archive lost.

    Attributes
    ----------
    signals
        How many signals are whole.
    lost
        Runs of numbers of the signals that are lost: the first and the last number of each.
    end_known
        Whether an index tells how many signals there were; else more may be lost behind the last that is whole.
    header, index
        Whether the header, and the index with its footer, are whole.
    repeated
        How many whole chunks were left out since another chunk holds other signals of the same numbers.
    """

    signals: int
    lost: tuple[tuple[int, int], ...] = ()
    end_known: bool = True
    header: bool = True
    index: bool = True
    repeated: int = 0

    @property
    def complete(self) -> bool:
        """Whether every signal is known to be there.

        >>> Damage(3).complete, Damage(3, lost=((1, 2),)).complete
        (True, False)
        """
        return not self.lost and self.end_known and not self.repeated


def damage_of(reader: ArchiveReader) -> Damage:
    """Return what an archive lost, from the chunks that a search found."""
    found = reader.found
    if found is None:
        return Damage(len(reader))
    runs = [(entry.first, entry.first + entry.n) for entry in found.entries]
    ends = [(0, 0), *runs, *([] if found.total is None else [(found.total, found.total)])]
    lost = tuple((a[1], b[0] - 1) for a, b in itertools.pairwise(ends) if b[0] > a[1])
    header = index = True
    try:
        read_head(reader.source)
        ArchiveReader(reader.source)
    except NeuralCodecError as error:
        index = False
        header = isinstance(error, CorruptFile) and error.section in ("index", "footer")
    return Damage(len(reader), lost, found.total is not None, header, index, found.repeated)


def rescued_head(source: Source, model: ModelLike | None = None) -> Head:
    """Return the header of an archive, its group size, and where chunks may start, even if it is damaged.

    Parameters
    ----------
    source
        The archive.
    model
        Its model, if it is known.

    Raises
    ------
    NotNeuralCodecFile, UnsupportedVersion, TruncatedFile, CorruptFile
        The header cannot be read, and cannot be made up for either.
    """
    try:
        return read_head(source)
    except NeuralCodecError as error:
        fault = error
    window = bytes(source.read_at(0, WINDOW))
    for offset in _places(window, MAGIC):
        with suppress(NeuralCodecError):
            return read_head(source, offset)
    chunks = sorted(scan(source, 0, None).entries, key=lambda entry: -entry.n)
    if not chunks:
        raise fault
    codec = _codec_in(window) if model is None else codec_with(model)
    if codec is None:
        raise CorruptFile(
            f"{fault}; no model here is recognised in what is left of it: give the model (model=..., "
            "-m on the command line)",
            "header",
        )
    made_up = _made_up(source, chunks[0], codec, window)
    if made_up is None:
        raise CorruptFile(f"{fault}; with this model no group size and dtype fit the chunks", "header")
    return made_up


def _places(window: bytes, wanted: bytes) -> Iterator[int]:
    place = window.find(wanted)
    while place >= 0:
        yield place
        place = window.find(wanted, place + 1)


def _codec_in(window: bytes) -> Codec | None:
    """Return the codec of the model here of whose identity a piece is left; None if there is none."""
    for entry in list_models():
        identity = bytes.fromhex(entry.identity)
        if any(identity[at : at + PIECE] in window for at in range(0, IDENTITY_BYTES, PIECE)):
            return codec_with(entry.path)
    return None


def _made_up(source: Source, entry: Entry, codec: Codec, window: bytes) -> Head | None:
    """Return the header with which a chunk decodes, None if none is found."""
    identity = bytes(IDENTITY_BYTES) if codec.model is None else codec.model.identity
    kinds = list(_kinds(codec, identity, window))
    data = source.read_at(entry.offset, entry.size)
    tried = 0
    for group in _group_sizes(entry.n, codec.group_limit):
        try:
            chunk = read_chunk(data, group, "chunk")
        except (CorruptFile, UnsupportedVersion):
            continue
        for shape in dict.fromkeys(kind.shape for kind in kinds):
            alike = [kind for kind in kinds if kind.shape == shape]
            kind = _kind_of(codec, alike, group, chunk)
            if kind is not None:
                return Header(codec.name, identity, None if kind == codec.signal else kind), group, 0
            tried += 1
            # A hostile chunk may be read with every group size.
            if tried >= max(LEAST_TRIALS, MAX_TRIED_SAMPLES // (entry.n * alike[0].samples)):
                return None
    return None


def _kind_of(codec: Codec, kinds: list[SignalType], group: int, chunk: Chunk) -> SignalType | None:
    """Return the kind, of several of one shape, with which a chunk's checksum holds; None if there is none."""
    # What the model codes, its own dtype can hold; the checksum then tells which dtype it was.
    first = kinds[0] if codec.signal is None else replace(kinds[0], dtype=codec.signal.dtype)
    body = chunk.sections.get(MASK)
    try:
        check_density(chunk.size, chunk.n * first.nbytes, "chunk")
        holes = None if body is None else read_mask(codec, body, first.shape, chunk.n)
        values = codec.decode_many(chunk.groups, Fields(first, holes), chunk.n, group=group)
    except NeuralCodecError:
        return None
    for kind in kinds:
        if crc32(codec.checked(values.astype(kind.dtype), chunk.groups, group)) == chunk.checksum:
            return kind
    return None


def _kinds(codec: Codec, identity: bytes, window: bytes) -> Iterator[SignalType]:
    """Yield what the signals may be: as a description behind the identity says, the model's own, other dtypes."""
    own = codec.signal
    for place in _places(window, identity[-PIECE:]):
        with suppress(CorruptFile):
            told = SignalType.read(Reader(window[place + PIECE :], "header"), MAX_SAMPLES)
            if own is None or told.squeezed() == own.squeezed():
                yield told
    if own is not None:
        others = (dtype for dtype in DTYPES.values() if dtype != own.dtype)
        yield from (replace(own, dtype=dtype) for dtype in (own.dtype, *others))


def _group_sizes(n: int, limit: int) -> Iterator[int]:
    """Yield group sizes, the likely first; of those above n, which all give one group, only the usual."""
    usual = [size for size in USUAL_GROUPS if size <= limit]
    yield from usual
    yield from (size for size in range(min(n, limit, MAX_GROUP), 0, -1) if size not in usual)
    if limit < MAX_GROUP:
        yield limit
