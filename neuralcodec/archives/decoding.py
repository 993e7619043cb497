"""From chunks to signals: only the groups that are wanted, and those of several chunks at once."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuralcodec.codec import Codec, Fields
from neuralcodec.container.chunk import Chunk
from neuralcodec.container.sections import MASK
from neuralcodec.container.signal import SignalType
from neuralcodec.errors import CorruptFile, NeuralCodecError, within
from neuralcodec.native import thread_count
from neuralcodec.samples import check_decoded, read_mask

GROUPS_PER_THREAD = 2
MAX_BATCH_BYTES = 2**25  # of sample strings; one chunk alone may have more

Decoded = tuple[NDArray[Any], NDArray[np.bool_] | None]


@dataclass(frozen=True)
class Part:
    """What is wanted of a chunk.

    Attributes
    ----------
    chunk
        The chunk.
    groups
        Its groups that are needed, the codec's bytes.
    coded
        Numbers, in the chunk, of the signals in those groups.
    wanted
        Numbers, in the chunk, of the signals that are wanted, in any order; None for all.
    """

    chunk: Chunk
    groups: list[bytes]
    coded: NDArray[np.int64]
    wanted: NDArray[np.int64] | None

    @classmethod
    def of(cls, chunk: Chunk, wanted: NDArray[np.int64] | None, size: int) -> "Part":
        """Return what is needed for some signals of a chunk whose groups hold `size` signals."""
        needed = np.arange(len(chunk.groups)) if wanted is None else np.unique(wanted // size)
        coded = (needed[:, None] * size + np.arange(size)).reshape(-1)
        return cls(chunk, [chunk.groups[number] for number in needed], coded[coded < chunk.n], wanted)


class ChunkDecoder:
    """Decodes the chunks of one archive.

    Parameters
    ----------
    codec, signal, group
        The codec, bound to its model; shape and dtype of a signal; the archive's group size.
    threads
        Threads to use; None means NEURALCODEC_THREADS or all cores.
    """

    def __init__(self, codec: Codec, signal: SignalType, group: int, threads: int | None) -> None:
        self._codec, self._signal, self._group, self._threads = codec, signal, group, threads

    def decode(self, asked: Iterable[tuple[Chunk, NDArray[np.int64] | None]]) -> Iterator[Decoded]:
        """Yield, for each chunk and what is wanted of it, the signals (n, *shape) and which samples are missing.

        Raises
        ------
        CorruptFile
            A chunk breaks a rule of the codec, or (if all its groups were decoded) its checksum does not hold;
            what comes before it is yielded first.
        """
        for batch in self._batches(asked):
            yield from self._decode_batch(batch)

    def _batches(self, asked: Iterable[tuple[Chunk, NDArray[np.int64] | None]]) -> Iterator[list[Part]]:
        """Yield parts to decode at once: enough groups for all threads, not too many bytes."""
        enough = GROUPS_PER_THREAD * thread_count(self._threads)
        batch: list[Part] = []
        try:
            for chunk, wanted in asked:
                part = Part.of(chunk, wanted, self._group)
                if sum(len(one.coded) for one in (*batch, part)) * self._signal.nbytes > MAX_BATCH_BYTES:
                    yield from [batch] if batch else []
                    batch = []
                batch.append(part)
                # Behind a group that is not full another would be taken for its rest.
                if sum(len(one.groups) for one in batch) >= enough or len(part.coded) % self._group:
                    yield batch
                    batch = []
        except NeuralCodecError:
            yield from [batch] if batch else []
            raise
        if batch:
            yield batch

    def _decode_batch(self, batch: list[Part]) -> Iterator[Decoded]:
        if len(batch) > 1:
            try:
                holes = [self._holes(part) for part in batch]
                values = self._groups(
                    [group for part in batch for group in part.groups], _joined(batch, holes)
                )
            except CorruptFile:
                pass  # one after the other, they tell which of them is damaged
            else:
                stops = np.cumsum([len(part.coded) for part in batch])
                parts = np.split(values, stops[:-1])
                yield from map(self._finish, batch, parts, holes)
                return
        for part in batch:
            with within(part.chunk.section):
                hole = self._holes(part)
                values = self._groups(part.groups, (len(part.coded), hole))
            yield self._finish(part, values, hole)

    def _groups(self, groups: list[bytes], what: tuple[int, NDArray[np.bool_] | None]) -> NDArray[Any]:
        n, missing = what
        fields = Fields(self._signal, missing)
        values = self._codec.decode_many(groups, fields, n, group=self._group, threads=self._threads)
        check_decoded(values, (n, *self._signal.shape), self._signal.dtype)
        return values

    def _finish(self, part: Part, values: NDArray[Any], holes: NDArray[np.bool_] | None) -> Decoded:
        """Check the signals of a part, if they are all of its chunk, and pick those that are wanted."""
        if len(part.coded) == part.chunk.n:
            part.chunk.check(self._codec.checked(values, part.groups, self._group))
        if part.wanted is None:
            return values, holes
        picked = np.searchsorted(part.coded, part.wanted)
        return values[picked], None if holes is None else holes[picked]

    def _holes(self, part: Part) -> NDArray[np.bool_] | None:
        body = part.chunk.sections.get(MASK)
        if body is None:
            return None
        return read_mask(self._codec, body, self._signal.shape, part.chunk.n)[part.coded]


def _joined(batch: list[Part], holes: list[NDArray[np.bool_] | None]) -> tuple[int, NDArray[np.bool_] | None]:
    """Return how many signals the parts have together, and their masks as one."""
    n = sum(len(part.coded) for part in batch)
    shape = next((one.shape[1:] for one in holes if one is not None), None)
    if shape is None:
        return n, None
    whole = zip(batch, holes, strict=True)
    return n, np.concatenate(
        [np.zeros((len(part.coded), *shape), np.bool_) if one is None else one for part, one in whole]
    )
