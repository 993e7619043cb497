"""The writing side of archives: signals are gathered to chunks, and several chunks are coded at once."""

from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, Self

from neuralcodec.archives.metadata import NO_METADATA, Metadata, pack_metadata
from neuralcodec.codec import Codec
from neuralcodec.container.archive import ArchiveWriter
from neuralcodec.container.chunk import MAX_CHUNK
from neuralcodec.container.header import Header
from neuralcodec.container.primitives import IDENTITY_BYTES
from neuralcodec.container.sections import MASK, pack_mask
from neuralcodec.container.signal import SignalType
from neuralcodec.errors import CorruptFile, UnsupportedInput
from neuralcodec.native import thread_count
from neuralcodec.samples import Samples, check_accepted, join, many_signals

MAX_CHUNK_SAMPLES = 2**23
GROUPS_PER_THREAD = 2  # coded at once: one group a thread would leave threads idle while the last ones end


class ArchiveEncoder:
    """Codes signals into an archive; memory holds the chunks that are coded at once: few, whatever comes.

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
        Threads to use; None means NEURALCODEC_THREADS or all cores. They do not change the file: where one
        chunk has too few groups for all of them, several chunks are coded at once.
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
        self._chunk = self._batch = chunk
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
        self._count = self._before = 0
        self._first = "the first is"

    @classmethod
    def resumed(
        cls, file: BinaryIO, codec: Codec, writer: ArchiveWriter, kind: SignalType, **options: Any
    ) -> Self:
        """Return an encoder that goes on with an archive that `writer` has begun, of signals of a kind.

        Raises
        ------
        CorruptFile
            The archive's groups are larger than its model allows.
        """
        if writer.group > codec.group_limit:
            raise CorruptFile(f"groups of {writer.group} are more than its model takes", "header")
        encoder = cls(file, codec, **{**options, "group": writer.group})
        encoder._before = writer.signals
        encoder._group, encoder._first = writer.group, "those of the archive are"
        encoder._start(writer, kind)
        return encoder

    @property
    def codec(self) -> Codec:
        """What the signals are coded with."""
        return self._codec

    @property
    def signals(self) -> int:
        """Number of signals in the archive so far, with those that were there before."""
        return self._before + self._count

    def __len__(self) -> int:
        """Number of signals appended here."""
        return self._count

    def append(self, xs: Any, metadata: Iterable[Metadata] | None = None, *, batched: bool = False) -> None:
        """Code signals, all of the shape and dtype of the first.

        Parameters
        ----------
        xs
            An array (n, *shape) or an iterable of arrays, a generator say, which is taken as it comes; masked
            arrays keep their masks.
        metadata
            One for each signal, in an iterable, or None.
        batched
            Whether the items of an iterable are arrays (n, *shape) of n signals each, rather than signals.

        Raises
        ------
        UnsupportedInput
            The codec does not take a signal, or it differs in shape or dtype from the first.
        """
        described = None if metadata is None else iter(metadata)
        for samples in many_signals(xs, batched=batched):
            self._begin(samples)
            start = 0
            while start < len(samples):
                stop = min(len(samples), start + self._room())
                self._held.append(samples.part(start, stop))
                self._metadata += [_next(described) for _ in range(start, stop)]
                self._count += stop - start
                start = stop
                if not self._room():
                    self.flush()
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
        self.flush()
        assert self._writer is not None
        self._writer.finish()

    def _room(self) -> int:
        return self._batch - len(self._metadata)

    def _begin(self, samples: Samples) -> None:
        """Check signals, and write the header before the first of them."""
        if self._writer is not None and samples.kind != self._kind:
            raise UnsupportedInput(
                f"signal {self._count} is {samples.kind}, but {self._first} {self._kind}: an archive holds "
                "signals of one shape and dtype; convert them, or write several files"
            )
        check_accepted(self._codec, samples, self._count)
        if self._writer is None:
            self._open(samples.kind)

    def _open(self, kind: SignalType) -> None:
        codec = self._codec
        identity = bytes(IDENTITY_BYTES) if codec.model is None else codec.model.identity
        header = Header(codec.name, identity, None if kind == codec.signal else kind)
        self._start(ArchiveWriter(self._file, header, self._group), kind)

    def _start(self, writer: ArchiveWriter, kind: SignalType) -> None:
        self._writer, self._kind = writer, kind
        chunk = max(self._group, min(self._chunk, MAX_CHUNK_SAMPLES // kind.samples))
        self._chunk = chunk - chunk % self._group
        threads = thread_count(self._options["threads"])
        groups = GROUPS_PER_THREAD * threads if threads > 1 else 1
        self._batch = self._chunk * -(-groups * self._group // self._chunk)

    def flush(self) -> None:
        """Code what is held, in one call whatever the number of chunks: its groups share the threads."""
        if not self._held:
            return
        held, metadata = self._held, self._metadata
        self._held, self._metadata = [], []
        samples = join(held)
        del held
        groups = self._codec.encode_many(
            samples.values, group=self._group, missing=samples.missing, **self._options
        )
        size = self._chunk // self._group
        for number, start in enumerate(range(0, len(samples), self._chunk)):
            stop = min(start + self._chunk, len(samples))
            missing = None if samples.missing is None else samples.missing[start:stop]
            one = Samples(samples.values[start:stop], missing)
            self._write(one, groups[number * size : (number + 1) * size], metadata[start:stop])

    def _write(self, samples: Samples, groups: list[bytes], metadata: list[Metadata]) -> None:
        """Write a chunk."""
        assert self._writer is not None
        sections = pack_metadata(metadata)
        if samples.missing is not None and samples.missing.any():
            sections[MASK] = pack_mask(samples.missing, samples.kind.shape)
        checked = self._codec.checked(samples.values, groups, self._group)
        self._writer.append(len(samples), groups, sections, checked, len(samples) * samples.kind.nbytes)


def _next(described: "Iterator[Metadata] | None") -> Metadata:
    if described is None:
        return NO_METADATA
    try:
        return next(described)
    except StopIteration:
        raise UnsupportedInput("there are fewer metadata than signals: give one for each, or none") from None
