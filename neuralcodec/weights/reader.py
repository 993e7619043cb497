"""Reading weights files: all tensors, or one alone."""

import os
from collections.abc import Container, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO, Self

from neuralcodec.container.chunk import read_frame
from neuralcodec.container.files import PathLike, open_source
from neuralcodec.container.primitives import Buffer
from neuralcodec.errors import CorruptFile, TruncatedFile, UnsupportedInput, naming
from neuralcodec.native import thread_count
from neuralcodec.weights.coder import Bytes, decode_body, models_of
from neuralcodec.weights.layout import RECORD_MARKER, Index, Placed, read_index
from neuralcodec.weights.tensors import BLOCK, TensorSpec


class WeightsReader:
    """A weights file that is open for reading.

    Parameters
    ----------
    target
        Its bytes, its path, or a seekable binary file.
    threads
        None: as many as there are cores.

    Attributes
    ----------
    index
        What the file says of its tensors.
    size
        Bytes of the file.

    Raises
    ------
    NotNeuralCodecFile, UnsupportedVersion, TruncatedFile, CorruptFile
        As their names say; :class:`UnsupportedInput` for another kind of file.
    """

    def __init__(self, target: Buffer | PathLike | BinaryIO, *, threads: int | None = None) -> None:
        self._path = target if isinstance(target, str | os.PathLike) else None
        self._threads = thread_count(threads)
        self._source = open_source(target)
        try:
            with naming(self._path):
                self.index: Index = read_index(self._source)
        except BaseException:
            self._source.close()
            raise
        self.size = self._source.size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._source.close()

    def close(self) -> None:
        """Let go of the file."""
        self._source.close()

    def specs_of(self, record: Placed) -> list[TensorSpec]:
        """Return the tensors of a record."""
        return list(self.index.specs[record.first : record.first + record.tensors])

    def body(self, number: int) -> memoryview:
        """Return the body of a record, its checksum verified."""
        record, section = self.index.records[number], f"record {number}"
        with naming(self._path):
            data = self._source.read_at(record.offset, record.size)
            if len(data) < record.size:
                raise TruncatedFile(f"only {len(data)} of {record.size} bytes are there", section)
            return read_frame(data, RECORD_MARKER, section)

    def record(self, number: int, threads: int = 1) -> list[tuple[Bytes, int]]:
        """Return the bytes, and the bits taken, of each tensor of a record.

        Raises
        ------
        CorruptFile
            The record is damaged.
        """
        body = self.body(number)
        with naming(self._path):
            record = self.index.records[number]
            specs, section = self.specs_of(record), f"record {number}"
            return decode_body(body, record.parameters, specs, self.index.step, section, threads=threads)

    def read(self, name: str) -> Bytes:
        """Return the bytes of one tensor, in C order and little-endian; only its record is read.

        Raises
        ------
        UnsupportedInput
            No tensor has this name.
        CorruptFile
            Its record is damaged.
        """
        wanted = self.number_of(name)
        for number, record in enumerate(self.index.records):
            if record.first <= wanted < record.first + record.tensors:
                return self.record(number, self._threads)[wanted - record.first][0]
        raise CorruptFile(f"no record holds tensor {name!r}", "index")

    def number_of(self, name: str) -> int:
        """Return the number of a tensor; :class:`UnsupportedInput` if none has this name."""
        wanted = self.index.by_name.get(name)
        if wanted is None:
            near = [known for known in self.index.by_name if name in known or known in name][:3]
            hint = f"; perhaps {', '.join(map(repr, near))}" if near else ""
            raise UnsupportedInput(f"no tensor is called {name!r}; there are {len(self.index.specs)}{hint}")
        return wanted

    def tensors(
        self, names: Container[str] | None = None, *, skip_damaged: list[CorruptFile] | None = None
    ) -> Iterator[tuple[TensorSpec, Bytes, int]]:
        """Yield name and type, bytes, and bits taken, of tensors in order.

        Parameters
        ----------
        names
            Which tensors; None for all. Records that hold none of them are not read.
        skip_damaged
            A list that takes the errors of damaged records, whose tensors are left out; None raises them.
        """
        with ThreadPoolExecutor(self._threads) as pool:
            for part in self._windows(names):
                inner = self._threads if len(part) == 1 else 1
                jobs = [pool.submit(self.record, number, inner) for number in part]
                for number, job in zip(part, jobs, strict=True):
                    try:
                        found = job.result()
                    except CorruptFile as error:
                        if skip_damaged is None:
                            raise
                        skip_damaged.append(error)
                        continue
                    for spec, (data, bits) in zip(
                        self.specs_of(self.index.records[number]), found, strict=True
                    ):
                        if names is None or spec.name in names:
                            yield spec, data, bits

    def _windows(self, names: Container[str] | None) -> Iterator[list[int]]:
        """Yield the records that are decoded at the same time: a large one alone, its blocks side by side."""
        window: list[int] = []
        for number, record in enumerate(self.index.records):
            specs = self.specs_of(record)
            if names is not None and not any(spec.name in names for spec in specs):
                continue
            large = specs[0].count > 4 * BLOCK
            if window and (large or len(window) == self._threads):
                yield window
                window = []
            window.append(number)
            if large:
                yield window
                window = []
        if window:
            yield window

    def models(self, number: int) -> list[dict[str, Any]]:
        """Return the parameters of each tensor of a record, which the index holds."""
        record = self.index.records[number]
        with naming(self._path):
            return models_of(record.parameters, self.specs_of(record), f"record {number}")
