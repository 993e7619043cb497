"""Archives in Python: chunks coded together, generators in bounded memory, streams."""

import io
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import random_signals, small_circuit

import neuralcodec
from neuralcodec.archives import Metadata
from neuralcodec.errors import CorruptFile, UnsupportedInput

CIRCUIT = small_circuit((4, 3))
SIGNALS = random_signals(CIRCUIT, 200, 7)
HOLES = np.zeros(SIGNALS.shape, bool)
HOLES[50:90] = SIGNALS[50:90] % 3 == 0
MASKED = np.ma.MaskedArray(np.where(HOLES, 0, SIGNALS), HOLES)


class Calls:
    """Records how many groups each call of the kernel has."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.encoded: list[int] = []
        self.decoded: list[int] = []
        kernel = type(CIRCUIT.kernel)
        encode, decode = kernel.encode, kernel.decode

        def counting_encode(this: Any, *arguments: Any) -> list[bytes]:
            groups = encode(this, *arguments)
            self.encoded.append(len(groups))
            return groups

        def counting_decode(this: Any, groups: Any, *arguments: Any) -> Any:
            self.decoded.append(len(groups))
            return decode(this, groups, *arguments)

        monkeypatch.setattr(kernel, "encode", counting_encode)
        monkeypatch.setattr(kernel, "decode", counting_decode)


def test_many_threads_code_the_groups_of_several_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Calls(monkeypatch)
    options: dict[str, Any] = {"group": 4, "chunk": 16}
    alone = neuralcodec.compress_many(SIGNALS, CIRCUIT, threads=1, **options)
    assert calls.encoded == [4] * 12 + [2]
    for threads, expected in ((2, [4] * 12 + [2]), (9, [20, 20, 10]), (12, [24, 24, 2]), (64, [50])):
        calls.encoded.clear()
        assert neuralcodec.compress_many(SIGNALS, CIRCUIT, threads=threads, **options) == alone
        assert calls.encoded == expected
        calls.decoded.clear()
        back = neuralcodec.decompress_many(alone, model=CIRCUIT, threads=threads)
        assert np.array_equal(back, SIGNALS)
        assert calls.decoded == expected
        with neuralcodec.open_archive(alone, CIRCUIT, threads=threads) as archive:
            assert [len(part) for part in archive.chunks()] == [16] * 12 + [8]


@given(
    st.lists(st.integers(0, 199), max_size=30),
    st.sampled_from([1, 2, 5, 16]),
    st.sampled_from([(1, 1), (3, 7), (4, 16), (8, 200)]),
)
@settings(deadline=None, max_examples=40)
def test_threads_change_neither_files_nor_signals(
    wanted: list[int], threads: int, sizes: tuple[int, int]
) -> None:
    options: dict[str, Any] = {"group": sizes[0], "chunk": sizes[1]}
    data = neuralcodec.compress_many(MASKED, CIRCUIT, threads=threads, verify=True, **options)
    assert data == neuralcodec.compress_many(MASKED, CIRCUIT, threads=1, **options)
    with neuralcodec.open_archive(data, CIRCUIT, threads=threads) as archive:
        found, whole = archive[wanted], archive[:]
        for one, expected in ((found, MASKED[wanted]), (whole, MASKED)):
            assert np.array_equal(np.ma.getmaskarray(one), np.ma.getmaskarray(expected))
            assert np.array_equal(np.ma.filled(one, 0), np.ma.filled(expected, 0))


@pytest.mark.parametrize("threads", [1, 8])
@pytest.mark.parametrize("place", ["bytes", "samples"])
def test_what_stands_before_a_damaged_chunk_comes_first(threads: int, place: str) -> None:
    data = bytearray(neuralcodec.compress_many(SIGNALS, CIRCUIT, group=4, chunk=8))
    entry = neuralcodec.read_info(bytes(data)).chunks[5]
    data[entry.offset + 20] ^= 1
    if place == "samples":  # the chunk's own checksum holds, what it decodes to is wrong
        from neuralcodec.container.primitives import crc32

        end = entry.offset + entry.size - 4
        data[end : end + 4] = crc32(bytes(data[entry.offset : end]))
    with neuralcodec.open_archive(bytes(data), CIRCUIT, threads=threads) as archive:
        parts = archive.chunks()
        seen = [next(parts) for _ in range(5)]
        with pytest.raises(CorruptFile, match="chunk 5"):
            next(parts)
        assert np.array_equal(np.concatenate(seen), SIGNALS[:40])


def test_generators_of_signals_and_of_batches(tmp_path: Path) -> None:
    whole = neuralcodec.compress_many(SIGNALS, CIRCUIT)
    for xs, batched in (
        (iter(SIGNALS), False),
        (list(SIGNALS), False),
        (np.split(SIGNALS, [1, 7, 7, 150]), True),
        ((SIGNALS[i : i + 30] for i in range(0, 200, 30)), True),
        (SIGNALS, True),
    ):
        assert neuralcodec.compress_stream(xs, tmp_path / "a.ncz", CIRCUIT, batched=batched) == 200
        assert (tmp_path / "a.ncz").read_bytes() == whole
    named = (Metadata(f"{i}") for i in range(200))
    assert neuralcodec.compress_stream(iter(MASKED), tmp_path / "b.ncz", CIRCUIT, metadata=named) == 200
    with neuralcodec.open_archive(tmp_path / "b.ncz", CIRCUIT) as archive:
        assert archive.names == [f"{i}" for i in range(200)]
        assert np.array_equal(np.ma.getmaskarray(archive[:]), HOLES)


@pytest.mark.parametrize(
    ("xs", "message"),
    [
        ([SIGNALS[:3], SIGNALS[0]], "signal 3 is 3 uint8, but the first"),
        ([SIGNALS[:3], SIGNALS[3:5] / 2], "batch 1: samples of dtype float64"),
        ([SIGNALS[:3], SIGNALS[3:5, None]], "signal 3 is 1 x 4 x 3 uint8, but the first is"),
        ([np.zeros(3, np.uint8)], "batch 0: the first axis counts signals"),
    ],
)
def test_batches_that_do_not_fit(xs: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedInput, match=message):
        neuralcodec.compress_stream(xs, tmp_path / "a.ncz", CIRCUIT, batched=True)
    assert not list(tmp_path.iterdir())


class Pipe(io.RawIOBase):
    """A file that can only be written to, as a pipe."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.parts.append(bytes(data))
        return len(data)


def test_a_stream_may_go_to_a_pipe() -> None:
    pipe = Pipe()
    assert neuralcodec.compress_stream(iter(SIGNALS), pipe, CIRCUIT) == 200  # type: ignore[arg-type]
    assert b"".join(pipe.parts) == neuralcodec.compress_many(SIGNALS, CIRCUIT)


def test_decoding_as_a_stream(tmp_path: Path) -> None:
    path = tmp_path / "a.ncz"
    path.write_bytes(neuralcodec.compress_many(SIGNALS, CIRCUIT, group=8, chunk=64))
    batches = neuralcodec.decompress_stream(path, CIRCUIT)
    assert [len(batch) for batch in batches] == [64, 64, 64, 8]
    assert np.array_equal(np.concatenate(list(neuralcodec.decompress_stream(path, CIRCUIT))), SIGNALS)


def test_memory_does_not_grow_with_a_stream() -> None:
    circuit = small_circuit((8, 8), alphabet=2, states=1)

    def peak(n: int) -> int:
        def signals() -> Iterator[Any]:
            for i in range(n):
                yield np.full((8, 8), i % 2, np.uint8)

        tracemalloc.start()
        neuralcodec.compress_stream(signals(), Nowhere(), circuit, threads=2)  # type: ignore[arg-type]
        reached = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return reached

    peak(3000)
    assert peak(60_000) < 1.5 * peak(6000)


class Nowhere(io.RawIOBase):
    """A file that forgets what is written."""

    def write(self, data: Any) -> int:
        return len(data)
