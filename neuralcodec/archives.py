"""Archives of signals: written chunk by chunk, read by number, in bounded memory."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from neuralcodec.codec import Codec, Fields
from neuralcodec.container.archive import ArchiveReader, ArchiveWriter
from neuralcodec.container.chunk import MAX_CHUNK, Chunk
from neuralcodec.container.files import PathLike, open_source
from neuralcodec.container.header import Header
from neuralcodec.container.primitives import IDENTITY_BYTES, Buffer
from neuralcodec.container.sections import (
    EXIF,
    ICC,
    MASK,
    NAME,
    pack_items,
    pack_mask,
    pack_name,
    unpack_name,
)
from neuralcodec.container.signal import SignalType
from neuralcodec.errors import CorruptFile, UnsupportedInput, naming, within
from neuralcodec.samples import Samples, check_accepted, check_decoded, join, many_signals, masked, read_mask
from neuralcodec.zoo.resolve import ModelLike, codec_of

MAX_CHUNK_SAMPLES = 2**23
Items = Sequence[bytes | None]


@dataclass(frozen=True)
class Metadata:
    """What an archive holds of a signal beside its samples; None where there is nothing."""

    name: str | None = None
    icc_profile: bytes | None = None
    exif: bytes | None = None


NO_METADATA = Metadata()


class ArchiveEncoder:
    """Codes signals into an archive; memory holds one chunk at a time.

    Parameters
    ----------
    file
        Binary file, written from its position on.
    codec
        What to code with (see :func:`neuralcodec.zoo.resolve.codec_with`).
    group
        Signals that share a coder, 1 to 1,024: more cost fewer bytes, fewer decode faster at random.
    chunk
        Signals in a chunk, which is rounded down to whole groups; less where signals are large.
    quality, preset, verify
        As in :meth:`neuralcodec.codec.Codec.encode`.
    threads
        Threads to use; None means NEURALCODEC_THREADS or all cores. They do not change the file.
    """

    def __init__(
        self,
        file: BinaryIO,
        codec: Codec,
        *,
        group: int = 128,
        chunk: int = 1024,
        quality: float | None = None,
        preset: str | None = None,
        verify: bool = False,
        threads: int | None = None,
    ) -> None:
        if group < 1 or not 1 <= chunk <= MAX_CHUNK:
            raise ValueError(f"group {group} must be at least 1, and chunk {chunk} in 1 to {MAX_CHUNK}")
        self._file, self._codec = file, codec
        self._group = min(group, chunk, codec.group_limit)
        self._chunk = chunk
        self._options: dict[str, Any] = {
            "quality": quality,
            "preset": preset,
            "verify": verify,
            "threads": threads,
        }
        self._writer: ArchiveWriter | None = None
        self._kind = codec.signal
        self._held: list[Samples] = []
        self._metadata: list[Metadata] = []
        self._count = 0

    def __len__(self) -> int:
        """Number of signals appended."""
        return self._count

    def append(self, xs: Any, metadata: Iterable[Metadata] | None = None) -> None:
        """Code signals, all of the shape and dtype of the first.

        Parameters
        ----------
        xs
            An array (n, *shape) or an iterable of arrays; masked arrays keep their masks.
        metadata
            One for each signal, or None.

        Raises
        ------
        UnsupportedInput
            The codec does not take a signal, or it differs in shape or dtype from the first.
        """
        described = None if metadata is None else iter(metadata)
        for samples in many_signals(xs):
            self._begin(samples)
            start = 0
            while start < len(samples):
                stop = min(len(samples), start + self._room())
                self._held.append(samples.part(start, stop))
                self._metadata += [_next(described) for _ in range(start, stop)]
                self._count += stop - start
                start = stop
                if not self._room():
                    self._flush()
        if described is not None and next(described, None) is not None:
            raise UnsupportedInput("there are more metadata than signals: give one for each, or none")

    def finish(self) -> None:
        """Write what is held, the index and the footer; an archive without signals has the model's shape.

        Raises
        ------
        UnsupportedInput
            There are no signals and the codec has no shape of its own.
        """
        if self._writer is None:
            if self._kind is None:
                raise UnsupportedInput(f"{self._codec.name!r} needs a signal to know the shape of an archive")
            self._open(self._kind)
        self._flush()
        assert self._writer is not None
        self._writer.finish()

    def _room(self) -> int:
        return self._chunk - len(self._metadata)

    def _begin(self, samples: Samples) -> None:
        """Check signals, and write the header before the first of them."""
        if self._writer is not None and samples.kind != self._kind:
            raise UnsupportedInput(
                f"signal {self._count} is {samples.kind}, but the first is {self._kind}: an archive holds "
                "signals of one shape and dtype; convert them, or write several files"
            )
        check_accepted(self._codec, samples, self._count)
        if self._writer is None:
            self._open(samples.kind)

    def _open(self, kind: SignalType) -> None:
        codec = self._codec
        identity = bytes(IDENTITY_BYTES) if codec.model is None else codec.model.identity
        header = Header(codec.name, identity, None if kind == codec.signal else kind)
        self._writer = ArchiveWriter(self._file, header, self._group)
        self._kind = kind
        chunk = max(self._group, min(self._chunk, MAX_CHUNK_SAMPLES // kind.samples))
        self._chunk = chunk - chunk % self._group

    def _flush(self) -> None:
        if not self._held:
            return
        assert self._writer is not None
        samples = join(self._held)
        groups = self._codec.encode_many(
            samples.values, group=self._group, missing=samples.missing, **self._options
        )
        sections = _sections(self._metadata)
        if samples.missing is not None:
            sections[MASK] = pack_mask(samples.missing, samples.kind.shape)
        checked = self._codec.checked(samples.values, groups)
        self._writer.append(len(samples), groups, sections, checked, len(samples) * samples.kind.nbytes)
        self._held, self._metadata = [], []


def _next(described: "Iterator[Metadata] | None") -> Metadata:
    if described is None:
        return NO_METADATA
    try:
        return next(described)
    except StopIteration:
        raise UnsupportedInput("there are fewer metadata than signals: give one for each, or none") from None


def _sections(metadata: Sequence[Metadata]) -> dict[int, bytes]:
    if all(item is NO_METADATA for item in metadata):
        return {}
    items: dict[int, list[bytes]] = {
        ICC: [item.icc_profile or b"" for item in metadata],
        EXIF: [item.exif or b"" for item in metadata],
        NAME: [pack_name(item.name or "") for item in metadata],
    }
    return {kind: pack_items(kind, values) for kind, values in items.items() if any(values)}


class Archive:
    """Signals of an archive, decoded when they are asked for.

    ``len(archive)``, ``archive[5]``, ``archive[-3:]`` and ``archive[[7, 2]]`` work as for an array of the
    signals; iteration decodes chunk by chunk. Signals with missing samples are masked arrays. It is a context
    manager, and may be used from several threads.

    Parameters
    ----------
    target
        The archive: bytes, a path, or a seekable binary file.
    model
        Model to decode with; None finds the one that the archive names.
    salvage
        Read a damaged archive: ignore its index and keep the signals of every chunk whose checksum holds.
        Signals are then counted without those lost; `numbers` tells what they were.
    threads
        Threads to use; None means NEURALCODEC_THREADS or all cores.

    Raises
    ------
    NeuralCodecError
        Of the families that :mod:`neuralcodec.errors` lists.
    """

    def __init__(
        self,
        target: Buffer | PathLike | BinaryIO,
        model: ModelLike | None = None,
        *,
        salvage: bool = False,
        threads: int | None = None,
    ) -> None:
        self._name = None if isinstance(target, Buffer) or hasattr(target, "read") else target
        self._threads = threads
        source = open_source(target)
        try:
            with naming(self._name):
                self._reader = ArchiveReader(source, salvage=salvage)
                self._codec = codec_of(self._reader.header, model)
                kind = self._reader.header.signal or self._codec.signal
                if kind is None:
                    raise CorruptFile("does not say what its signals are", "header")
                self.signal: SignalType = kind
                self._reader.check_density(kind.nbytes)
        except BaseException:
            source.close()
            raise
        self._starts = np.cumsum([0, *(entry.n for entry in self._reader.entries)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, if this object opened it."""
        self._reader.close()

    @cached_property
    def numbers(self) -> NDArray[np.int64]:
        """Number that each signal has in the archive: 0, 1, ... unless chunks were lost."""
        parts = [np.arange(entry.first, entry.first + entry.n) for entry in self._reader.entries]
        return np.concatenate([np.zeros(0, np.int64), *parts])

    def __getitem__(self, index: int | slice | Sequence[int] | NDArray[Any]) -> NDArray[Any]:
        """Return one signal for an integer, else (n, *shape); :class:`IndexError` for what is not there."""
        if isinstance(index, slice):
            return self._take(np.arange(len(self))[index])
        positions = np.asarray(index)
        if positions.dtype == np.bool_ or (positions.size and positions.dtype.kind not in "iu"):
            raise IndexError(
                f"an archive is indexed by integers, slices and lists of integers, not {index!r}"
            )
        positions = positions.astype(np.int64)
        wrong = positions[(positions < -len(self)) | (positions >= len(self))]
        if wrong.size:
            raise IndexError(f"there is no signal {int(wrong.flat[0])}: the archive holds {len(self)}")
        taken = self._take(np.where(positions < 0, positions + len(self), positions).reshape(-1))
        return taken if positions.ndim else taken[0]

    def __iter__(self) -> Iterator[NDArray[Any]]:
        for number in range(len(self._reader.entries)):
            values, missing = self._decode(self._chunk(number))
            for place, signal in enumerate(values):
                yield masked(signal, None if missing is None else missing[place])

    def chunks(self) -> Iterator[NDArray[Any]]:
        """Yield the signals of one chunk after another, (n, *shape), their checksums verified."""
        for number in range(len(self._reader.entries)):
            yield masked(*self._decode(self._chunk(number)))

    def metadata(self, start: int = 0, stop: int | None = None) -> list[Metadata]:
        """Return what the archive holds of the signals from `start` to `stop` beside their samples."""
        out: list[Metadata] = []
        start, stop, _ = slice(start, stop).indices(len(self))
        for number in range(len(self._reader.entries)):
            base = int(self._starts[number])
            low, high = max(start - base, 0), min(stop, int(self._starts[number + 1])) - base
            if low < high:
                out += _metadata(self._chunk(number))[low:high]
        return out

    @property
    def names(self) -> list[str | None]:
        """File name of each signal, None where it has none; reads the archive through."""
        return [item.name for item in self.metadata()]

    def _take(self, positions: NDArray[np.int64]) -> NDArray[Any]:
        if len(self._starts) == 2 and np.array_equal(positions, np.arange(len(self))):
            return masked(
                *self._decode(self._chunk(0))
            )  # without a second copy of what one chunk claims to hold
        values = np.empty((len(positions), *self.signal.shape), self.signal.dtype)
        missing: NDArray[np.bool_] | None = None
        places = np.searchsorted(self._starts, positions, side="right") - 1
        for number in np.unique(places):
            where = np.flatnonzero(places == number)
            found, holes = self._decode(self._chunk(int(number)), positions[where] - self._starts[number])
            values[where] = found
            if holes is not None:
                missing = np.zeros(values.shape, np.bool_) if missing is None else missing
                missing[where] = holes
        return masked(values, missing)

    def _chunk(self, number: int) -> Chunk:
        with naming(self._name):
            return self._reader.read(number)

    def _decode(
        self, chunk: Chunk, wanted: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """Return signals of a chunk, all or those wanted, and their masks; only their groups are decoded."""
        size = self._reader.group
        needed = np.arange(len(chunk.groups)) if wanted is None else np.unique(wanted // size)
        coded = _members(needed, size, chunk.n)
        groups = [chunk.groups[number] for number in needed]
        with naming(self._name), within(chunk.section):
            missing = self._missing(chunk)
            holes = None if missing is None else missing[coded]
            values = self._codec.decode_many(
                groups, Fields(self.signal, holes), len(coded), group=size, threads=self._threads
            )
            check_decoded(values, (len(coded), *self.signal.shape), self.signal.dtype)
            if len(coded) == chunk.n:
                chunk.check(self._codec.checked(values, groups))
        if wanted is None:
            return values, holes
        picked = np.searchsorted(coded, wanted)
        return values[picked], None if holes is None else holes[picked]

    def _missing(self, chunk: Chunk) -> NDArray[np.bool_] | None:
        body = chunk.sections.get(MASK)
        return None if body is None else read_mask(self._codec, body, self.signal.shape, chunk.n)


def _members(groups: NDArray[np.int64], size: int, n: int) -> NDArray[np.int64]:
    """Return the numbers, in a chunk of n, of the signals of some groups."""
    members = (groups[:, None] * size + np.arange(size)).reshape(-1)
    return members[members < n]


def _metadata(chunk: Chunk) -> list[Metadata]:
    nothing = [b""] * chunk.n
    columns = (chunk.items(kind) or nothing for kind in (NAME, ICC, EXIF))
    rows = zip(*columns, strict=True)
    return [Metadata(unpack_name(name) or None, icc or None, exif or None) for name, icc, exif in rows]
