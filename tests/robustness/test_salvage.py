"""Damage of any kind anywhere: exactly the chunks whose bytes are left come back, and can be made whole again."""

import io
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from small_models import random_signals, small_circuit

import neuralcodec
from neuralcodec.archives import Damage, Metadata
from neuralcodec.container.archive import ArchiveReader
from neuralcodec.container.chunk import write_chunk
from neuralcodec.container.files import BufferSource
from neuralcodec.errors import CorruptFile, NeuralCodecError

CIRCUIT = small_circuit((3, 2), alphabet=16)
SIGNALS = random_signals(CIRCUIT, 40, 1)


def archive(**options: Any) -> bytes:
    file = io.BytesIO()
    with neuralcodec.create_archive(file, CIRCUIT, group=4, chunk=8, **options) as encoder:
        encoder.append(SIGNALS, [Metadata(f"{i}.png" if i % 3 else None) for i in range(len(SIGNALS))])
    return file.getvalue()


DATA = archive()
ENTRIES = ArchiveReader(BufferSource(DATA)).entries
CHUNKS = {entry.first: DATA[entry.offset : entry.offset + entry.size] for entry in ENTRIES}


def flip(data: bytes, place: int, how: int) -> bytes:
    return data[:place] + bytes([data[place] ^ (1 << how % 8)]) + data[place + 1 :]


def cut_out(data: bytes, place: int, how: int) -> bytes:
    return data[:place] + data[place + 1 + how % 90 :]


def insert(data: bytes, place: int, how: int) -> bytes:
    return data[:place] + np.random.default_rng(how).bytes(1 + how % 90) + data[place:]


def insert_marker(data: bytes, place: int, how: int) -> bytes:
    return data[:place] + (b"\x89NCk\x30" if how % 2 else b"\x89NCi\x30") + data[place:]


def overwrite(data: bytes, place: int, how: int) -> bytes:
    size = 1 + how % 90
    return data[:place] + bytes(min(size, len(data) - place)) + data[place + size :]


def truncate(data: bytes, place: int, how: int) -> bytes:
    return data[:place]


def behead(data: bytes, place: int, how: int) -> bytes:
    return data[place:]


CHANGES = st.tuples(
    st.sampled_from([flip, cut_out, insert, insert_marker, overwrite, truncate, behead]),
    st.integers(0, 2**31),
    st.integers(0, 10_000),
)


def whole_chunks(data: bytes) -> list[int]:
    """Numbers of the first signals of the chunks all of whose bytes are left."""
    return [first for first, chunk in CHUNKS.items() if chunk in data]


def numbers_of(firsts: list[int]) -> NDArray[np.int64]:
    return np.array([first + i for first in firsts for i in range(8)], np.int64)


@example([(cut_out, ENTRIES[0].offset - 1, 0)])  # the header's CRC ends as a marker begins: both are whole
@given(st.lists(CHANGES, min_size=1, max_size=4))
@settings(max_examples=300, deadline=None)
def test_exactly_the_whole_chunks_come_back(changes: list[Any]) -> None:
    data = DATA
    for change, place, how in changes:
        assume(data)
        data = change(data, place % len(data), how)
    kept = whole_chunks(data)
    if not kept and DATA[: ENTRIES[0].offset] not in data:
        with pytest.raises(NeuralCodecError):
            neuralcodec.open_archive(data, CIRCUIT, salvage=True)
        return
    wanted = numbers_of(kept)
    with neuralcodec.open_archive(data, CIRCUIT, salvage=True) as opened:
        assert opened.numbers.tolist() == wanted.tolist()
        assert np.array_equal(opened[:], SIGNALS[wanted])
        assert opened.names == [f"{i}.png" if i % 3 else None for i in wanted]
        damage = opened.damage
    lost = [number for first, last in damage.lost for number in range(first, last + 1)]
    end = 40 if damage.end_known else int(wanted[-1]) + 1 if len(wanted) else 0
    assert sorted([*wanted.tolist(), *lost]) == list(range(end))
    assert damage.complete == (len(wanted) == 40 and damage.end_known)
    check_repair(data, wanted, damage)


def check_repair(data: bytes, wanted: NDArray[np.int64], damage: Damage) -> None:
    out = io.BytesIO()
    assert neuralcodec.repair_archive(data, out, CIRCUIT) == damage
    repaired = out.getvalue()
    assert np.array_equal(neuralcodec.decompress_many(repaired, model=CIRCUIT), SIGNALS[wanted])
    with neuralcodec.open_archive(repaired, CIRCUIT) as opened:
        assert opened.names == [f"{i}.png" if i % 3 else None for i in wanted]
    again = io.BytesIO()
    assert neuralcodec.repair_archive(repaired, again, CIRCUIT) == Damage(len(wanted))
    assert again.getvalue() == repaired
    if len(wanted) == 40:
        assert repaired == DATA


def test_every_single_flip_loses_one_chunk_at_most() -> None:
    for place in range(len(DATA)):
        data = flip(DATA, place, place)
        hit = [e for e in ENTRIES if e.offset <= place < e.offset + e.size]
        with neuralcodec.open_archive(data, CIRCUIT, salvage=True) as opened:
            assert len(opened) == 40 - sum(e.n for e in hit)
            assert opened.damage.lost == tuple((e.first, e.first + e.n - 1) for e in hit)
            if hit:
                assert opened.damage.end_known
            assert opened.damage.header == (place >= ENTRIES[0].offset)
            assert opened.damage.index == (ENTRIES[0].offset <= place < ENTRIES[-1].offset + ENTRIES[-1].size)


def test_chunks_in_another_order_and_twice() -> None:
    head, foot = DATA[: ENTRIES[0].offset], DATA[ENTRIES[-1].offset + ENTRIES[-1].size :]
    shuffled = head + b"".join(CHUNKS[first] for first in (32, 8, 0, 24, 8, 16)) + foot
    out = io.BytesIO()
    damage = neuralcodec.repair_archive(shuffled, out, CIRCUIT)
    assert (damage.complete, damage.repeated) == (True, 0)
    assert out.getvalue() == DATA


def test_other_signals_of_the_same_numbers_are_told() -> None:
    other = neuralcodec.compress_many(SIGNALS[::-1], CIRCUIT, group=4, chunk=8)
    damage = neuralcodec.repair_archive(DATA + other, io.BytesIO(), CIRCUIT)
    assert (damage.signals, damage.lost, damage.repeated, damage.complete) == (40, (), 5, False)


def test_a_header_is_made_up_from_a_model_that_is_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = bytearray(DATA)
    data[:3], data[17] = b"???", data[17] ^ 1
    with pytest.raises(CorruptFile, match=r"no model here is recognised.*give the model"):
        neuralcodec.open_archive(bytes(data), salvage=True)
    monkeypatch.setenv("NEURALCODEC_MODELS", str(tmp_path))
    (tmp_path / "mine.ncm").write_bytes(CIRCUIT.to_artifact().to_bytes())
    out = io.BytesIO()
    assert neuralcodec.repair_archive(bytes(data), out).complete
    assert out.getvalue() == DATA
    with pytest.raises(CorruptFile, match="no group size and dtype fit"):
        neuralcodec.open_archive(bytes(data), small_circuit((3, 2), alphabet=16, seed=3), salvage=True)


@pytest.mark.parametrize("dtype", ["int16", "uint64", "uint8"])
@pytest.mark.parametrize("group", [1, 3, 8, 40])
def test_width_and_group_size_are_found_without_a_header(dtype: str, group: int) -> None:
    signals = SIGNALS.astype(dtype)
    data = neuralcodec.compress_many(signals, CIRCUIT, group=group, chunk=40)
    start = neuralcodec.read_info(data).chunks[0].offset
    with neuralcodec.open_archive(data[start:], CIRCUIT, salvage=True) as opened:
        # The checksum is over bytes: it tells the width of a dtype, not its sign.
        assert opened.signal.dtype == dtype.replace("int16", "uint16")
        assert np.array_equal(opened[:], signals)
        assert not opened.damage.header


def test_a_description_that_is_left_is_used() -> None:
    """Masks are coded in rows of the file's own shape, which may differ from the model's in axes of length 1."""
    signals = SIGNALS.reshape(-1, 1, 3, 1, 2).astype("int16")
    holes = np.ma.MaskedArray(np.where(signals % 3 == 0, 0, signals), signals % 3 == 0)
    data = bytearray(neuralcodec.compress_many(holes, CIRCUIT, group=5, chunk=20))
    data[1] ^= 1
    with neuralcodec.open_archive(bytes(data), CIRCUIT, salvage=True) as opened:
        back = opened[:]
    assert (back.shape, back.dtype) == (holes.shape, holes.dtype)
    assert np.array_equal(np.ma.getmaskarray(back), holes.mask)
    assert np.array_equal(np.ma.filled(back, 0), np.ma.filled(holes, 0))


def test_chunks_that_fit_every_group_size_take_little_time() -> None:
    circuit = small_circuit((16, 16), alphabet=2, states=2)
    n = 1024
    framed = write_chunk(0, n, [], {}, b"not the samples", n * 256 + 2**26)
    start = time.process_time()
    with pytest.raises(CorruptFile, match="no group size and dtype fit"):
        neuralcodec.open_archive(framed, circuit, salvage=True)
    assert time.process_time() - start < 20


def test_numbers_of_another_length_keep_what_a_chunk_may_claim() -> None:
    """A chunk that is padded for its samples stays readable if its first number takes fewer bytes."""
    circuit = small_circuit((64, 64), alphabet=1, states=1)
    zeros = np.zeros((300, 64, 64), np.int64)
    data = neuralcodec.compress_many(zeros, circuit, group=100, chunk=100)
    entries = neuralcodec.read_info(data).chunks
    bad = data[: entries[0].offset + 9] + b"?" + data[entries[0].offset + 10 :]
    bad = bad[: entries[1].offset + 9] + b"?" + bad[entries[1].offset + 10 :]
    out = io.BytesIO()
    damage = neuralcodec.repair_archive(bad, out, circuit)
    assert damage.lost == ((0, 199),)
    assert len(neuralcodec.decompress_many(out.getvalue(), model=circuit)) == 100


def test_a_repair_that_fails_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "x.ncz").write_bytes(b"\x89NCZ and nothing else")
    with pytest.raises(NeuralCodecError, match=r"x\.ncz"):
        neuralcodec.repair_archive(tmp_path / "x.ncz", tmp_path / "y.ncz")
    assert [path.name for path in tmp_path.iterdir()] == ["x.ncz"]
