"""Threads and instruction sets are chosen by arguments and environment; what cannot be is one clear error."""

import os

import pytest

from neuralcodec.errors import NeuralCodecError
from neuralcodec.native import simd, thread_count


def test_threads_come_from_the_argument_then_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEURALCODEC_THREADS", "3")
    assert thread_count() == 3
    assert thread_count(2) == 2
    assert thread_count(100_000) == 256
    monkeypatch.setenv("NEURALCODEC_THREADS", "")
    assert thread_count() == len(os.sched_getaffinity(0))
    monkeypatch.delenv("NEURALCODEC_THREADS")
    assert thread_count() == len(os.sched_getaffinity(0))


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5", " ", "1 ", "\u0661", "0x2"])
def test_other_numbers_of_threads_are_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEURALCODEC_THREADS", text)
    with pytest.raises(NeuralCodecError, match="NEURALCODEC_THREADS"):
        thread_count()


@pytest.mark.parametrize("threads", [0, -3])
def test_fewer_threads_than_one_are_refused(threads: int) -> None:
    with pytest.raises(NeuralCodecError, match="number of threads"):
        thread_count(threads)


def test_the_scalar_path_is_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NEURALCODEC_SIMD", raising=False)
    best = simd()
    assert best in ("scalar", "avx2", "avx512", "avx512vnni")
    monkeypatch.setenv("NEURALCODEC_SIMD", "scalar")
    assert simd() == "scalar"
    monkeypatch.setenv("NEURALCODEC_SIMD", best)
    assert simd() == best


@pytest.mark.parametrize("name", ["sse9", "AVX2", "scalar "])
def test_other_instruction_sets_are_refused_with_the_remedy(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEURALCODEC_SIMD", name)
    with pytest.raises(NeuralCodecError, match=r"NEURALCODEC_SIMD=.*choose scalar, avx2, avx512"):
        simd()
