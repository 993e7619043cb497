"""The reading side of archives: signals by number, decoded when they are asked for."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from neuralcodec.archives.decoding import ChunkDecoder, Decoded
from neuralcodec.archives.metadata import Metadata, unpack_metadata
from neuralcodec.archives.rescue import Damage, damage_of, rescued_head
from neuralcodec.codec import Codec
from neuralcodec.container.archive import ArchiveReader
from neuralcodec.container.chunk import Chunk
from neuralcodec.container.files import PathLike, open_source
from neuralcodec.container.primitives import Buffer
from neuralcodec.container.signal import SignalType
from neuralcodec.errors import CorruptFile, naming
from neuralcodec.samples import masked
from neuralcodec.zoo.resolve import ModelLike, codec_of


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
        Signals are then counted without those lost; `numbers` tells what they were, `damage` what is lost.
        Even a damaged header can be made up for, if the model is given or is among those here.
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
        source = open_source(target)
        try:
            with naming(self._name):
                head = rescued_head(source, model) if salvage else None
                self._reader = ArchiveReader(source, salvage=salvage, head=head)
                codec = codec_of(self._reader.header, model)
                kind = self._reader.header.signal or codec.signal
                if kind is None:
                    raise CorruptFile("does not say what its signals are", "header")
                self.signal: SignalType = kind
                self.codec: Codec = codec
                self._reader.check_density(kind.nbytes)
                self._decoder = ChunkDecoder(codec, kind, self._reader.group, threads)
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

    @cached_property
    def damage(self) -> Damage:
        """What is lost; only an archive opened to be salvaged can have lost something."""
        return damage_of(self._reader)

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
        for values, missing in self._decoded(self._all()):
            for place, signal in enumerate(values):
                yield masked(signal, None if missing is None else missing[place])

    def chunks(self) -> Iterator[NDArray[Any]]:
        """Yield the signals of one chunk after another, (n, *shape), their checksums verified."""
        for values, missing in self._decoded(self._all()):
            yield masked(values, missing)

    def metadata(self, start: int = 0, stop: int | None = None) -> list[Metadata]:
        """Return what the archive holds of the signals from `start` to `stop` beside their samples."""
        out: list[Metadata] = []
        start, stop, _ = slice(start, stop).indices(len(self))
        for number in range(len(self._reader.entries)):
            base = int(self._starts[number])
            low, high = max(start - base, 0), min(stop, int(self._starts[number + 1])) - base
            if low < high:
                out += unpack_metadata(self._chunk(number))[low:high]
        return out

    @property
    def names(self) -> list[str | None]:
        """File name of each signal, None where it has none; reads the archive through."""
        return [item.name for item in self.metadata()]

    def _take(self, positions: NDArray[np.int64]) -> NDArray[Any]:
        if len(self._starts) == 2 and np.array_equal(positions, np.arange(len(self))):
            # without a second copy of what one chunk claims to hold
            return masked(*next(self._decoded(self._all())))
        values = np.empty((len(positions), *self.signal.shape), self.signal.dtype)
        missing: NDArray[np.bool_] | None = None
        places = np.searchsorted(self._starts, positions, side="right") - 1
        order = np.argsort(places, kind="stable")
        numbers, bounds = np.unique(places[order], return_index=True)
        where = np.split(order, bounds[1:])
        asked = (
            (self._chunk(int(number)), positions[spots] - self._starts[number])
            for number, spots in zip(
                numbers, where, strict=False
            )  # without positions, one empty split is left
        )
        for spots, (found, holes) in zip(where, self._decoded(asked), strict=False):
            values[spots] = found
            if holes is not None:
                missing = np.zeros(values.shape, np.bool_) if missing is None else missing
                missing[spots] = holes
        return masked(values, missing)

    def _chunk(self, number: int) -> Chunk:
        with naming(self._name):
            return self._reader.read(number)

    def _all(self) -> Iterator[tuple[Chunk, None]]:
        return ((self._chunk(number), None) for number in range(len(self._reader.entries)))

    def _decoded(self, asked: Iterable[tuple[Chunk, NDArray[np.int64] | None]]) -> Iterator[Decoded]:
        decoded = self._decoder.decode(asked)
        while True:
            with naming(self._name):
                one = next(decoded, None)
            if one is None:
                return
            yield one
