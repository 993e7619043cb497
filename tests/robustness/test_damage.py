"""Every damaged byte and every cut of a file gives the right answer or an error of ours."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from small_models import small_circuit

import neuralcodec
from neuralcodec.artifact import Artifact
from neuralcodec.circuits.circuit import Circuit
from neuralcodec.errors import NeuralCodecError, TruncatedFile

MASKS = (0x01, 0x02, 0x10, 0x40, 0x80, 0x7F, 0xFF)


def flips(data: bytes) -> Iterator[bytes]:
    """Yield the data with one byte changed, at every place and in several ways."""
    for place in range(len(data)):
        for mask in MASKS:
            yield data[:place] + bytes([data[place] ^ mask]) + data[place + 1 :]


def cuts(data: bytes) -> Iterator[bytes]:
    """Yield every shorter beginning and every shorter end."""
    for place in range(len(data)):
        yield data[:place]
        if place:
            yield data[place:]


def longer(data: bytes) -> Iterator[bytes]:
    """Yield the data with bytes before and behind it, and with bytes doubled or lost inside."""
    yield from (data + b"\0", data + b"\1", data + data, b"\0" + data)
    for place in range(len(data)):
        yield data[:place] + data[place : place + 1] + data[place:]
        yield data[:place] + data[place + 1 :]


def same(found: NDArray[Any], expected: NDArray[Any]) -> bool:
    """Tell whether arrays agree in values, shape, dtype and mask."""
    return (
        (found.shape, found.dtype) == (expected.shape, expected.dtype)
        and np.array_equal(np.ma.getmaskarray(found), np.ma.getmaskarray(expected))
        and np.array_equal(np.ma.filled(found, 0), np.ma.filled(expected, 0))
    )


def survey(variants: Iterator[bytes], read: Callable[[bytes], bool]) -> tuple[int, int]:
    """Read every variant; return how many were refused and how many gave the right answer."""
    refused = right = 0
    for variant in variants:
        try:
            answer = read(variant)
        except NeuralCodecError:
            refused += 1
        else:
            assert answer, f"a wrong answer from {variant.hex()}"
            right += 1
    return refused, right


@pytest.mark.parametrize("change", [flips, cuts, longer])
def test_single_file(single: Any, change: Callable[[bytes], Iterator[bytes]]) -> None:
    def read(data: bytes) -> bool:
        return same(neuralcodec.decompress(data, single.circuit), single.signals)

    refused, right = survey(change(single.data), read)
    assert (refused > 0, right) == (True, 0)
    assert read(single.data)


@pytest.mark.parametrize("change", [flips, cuts, longer])
def test_archive(archive: Any, change: Callable[[bytes], Iterator[bytes]]) -> None:
    def read(data: bytes) -> bool:
        return same(neuralcodec.decompress_many(data, model=archive.circuit, threads=1), archive.signals)

    refused, right = survey(change(archive.data), read)
    assert (refused > 0, right) == (True, 0)
    assert read(archive.data)


@pytest.mark.parametrize("change", [flips, cuts])
def test_salvaged_signals_are_right(archive: Any, change: Callable[[bytes], Iterator[bytes]]) -> None:
    counts = set()

    def read(data: bytes) -> bool:
        with neuralcodec.open_archive(data, archive.circuit, salvage=True, threads=1) as opened:
            numbers = opened.numbers
            counts.add(len(numbers))
            return len(set(numbers)) == len(numbers) and same(opened[:], archive.signals[numbers])

    refused, right = survey(change(archive.data), read)
    # With the model at hand even a damaged header is made up for, as long as one chunk is whole.
    assert (refused > 0) == (change is cuts)
    assert right > 0
    # chunks of 4, 4 and 3: a flip costs one of them at most, a cut all behind it, or before it
    assert counts == ({7, 8, 11} if change is flips else {0, 3, 4, 7, 8, 11})


def test_one_damaged_chunk_leaves_the_others_at_hand(archive: Any) -> None:
    place = archive.data.index(b"\x89NCk") + 12
    data = archive.data[:place] + bytes([archive.data[place] ^ 8]) + archive.data[place + 1 :]
    with neuralcodec.open_archive(data, archive.circuit) as opened:
        assert same(opened[4:], archive.signals[4:])
        with pytest.raises(NeuralCodecError, match="chunk 0"):
            opened[0]


def test_model_file(single: Any) -> None:
    circuit = small_model()
    data = circuit.to_artifact().to_bytes()

    def read(variant: bytes) -> bool:
        return Circuit.from_artifact(Artifact.from_bytes(variant)).identity == circuit.identity

    for change in (flips, cuts):
        assert survey(change(data), read)[1] == 0
    assert read(data)


def small_model() -> Circuit:
    return small_circuit((2, 2), alphabet=4, states=2)


def test_a_cut_is_called_a_cut(single: Any, archive: Any) -> None:
    model = small_model().to_artifact().to_bytes()
    for size in (1, 4, 5, 8):
        with pytest.raises(TruncatedFile):
            neuralcodec.decompress(single.data[:size], single.circuit)
        with pytest.raises(TruncatedFile):
            neuralcodec.open_archive(archive.data[:size], archive.circuit)
        with pytest.raises(TruncatedFile):
            Artifact.from_bytes(model[:size])
    with pytest.raises(TruncatedFile):
        neuralcodec.open_archive(archive.data[:-1], archive.circuit)
    with pytest.raises(TruncatedFile):
        Artifact.from_bytes(model[:-1])
