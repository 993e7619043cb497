"""Flush-to-zero and odd rounding modes that other libraries leave in a thread change nothing and stay in force."""

import ctypes
import os
import platform
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from edge_circuits import random_samples, subnormal_circuit, subnormal_samples

import neuralcodec
from neuralcodec.circuits.circuit import Circuit

HELPER = """
#if defined(__x86_64__)
#include <xmmintrin.h>
unsigned get(void) { return _mm_getcsr() & ~0x3Fu; } /* without the sticky flags */
void set(unsigned state) { _mm_setcsr(state); }
#else
unsigned get(void) { unsigned long s; __asm__ volatile("mrs %0, fpcr" : "=r"(s)); return (unsigned)s; }
void set(unsigned state) { unsigned long s = state; __asm__ volatile("msr fpcr, %0" : : "r"(s)); }
#endif
float half(volatile float x) { return x * 0.5f; }
float third(volatile float x) { return x / 3.0f; }
"""
X86 = platform.machine() == "x86_64"
PLAIN = 0x1F80 if X86 else 0
# flush to zero with denormals are zero; then rounding up, down and towards zero, each with both
MODES = [0x9FC0, 0xDFC0, 0xBFC0, 0xFFC0] if X86 else [1 << 24, 5 << 22, 6 << 22, 7 << 22]
SMALLEST = np.float32(2.0**-126)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """Return a library that reads and sets the floating-point state of the calling thread."""
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None or platform.machine() not in ("x86_64", "aarch64"):
        pytest.skip("needs a C compiler on x86-64 or aarch64")
    folder = tmp_path_factory.mktemp("state")
    (folder / "state.c").write_text(HELPER)
    built = [compiler, "-O1", "-shared", "-fPIC", "-o", str(folder / "state.so"), str(folder / "state.c")]
    subprocess.run(built, check=True)
    library = ctypes.CDLL(str(folder / "state.so"))
    library.get.restype, library.set.argtypes = ctypes.c_uint, [ctypes.c_uint]
    for name in ("half", "third"):
        function = getattr(library, name)
        function.restype, function.argtypes = ctypes.c_float, [ctypes.c_float]
    return library


@pytest.fixture(params=MODES, ids=["flush", "up", "down", "zero"])
def under(request: pytest.FixtureRequest, state: ctypes.CDLL) -> Iterator[Callable[..., Any]]:
    """Return a function that calls another in a mode, and checks that the mode is given back."""
    mode: int = request.param

    def call(function: Callable[..., Any], *arguments: Any) -> Any:
        state.set(mode)
        try:
            result = function(*arguments)
            left = state.get()
        finally:
            state.set(PLAIN)
        assert left == mode
        return result

    yield call
    assert state.get() == PLAIN


def test_the_modes_do_what_they_say(state: ctypes.CDLL) -> None:
    results = []
    for mode in (PLAIN, *MODES):
        state.set(mode)
        results.append((state.half(float(SMALLEST)), state.third(1.0)))
        state.set(PLAIN)
    halves, thirds = zip(*results, strict=True)
    assert halves[0] > 0
    assert not any(halves[1:])
    assert thirds[1] == thirds[0] == thirds[2] > thirds[3] == thirds[4]


def copy(circuit: Circuit) -> Circuit:
    """Return the circuit without its expanded tables."""
    return Circuit(circuit.structure, circuit.levels, circuit.header)


def test_the_mode_of_the_caller_changes_nothing(edges: Circuit, under: Callable[..., Any]) -> None:
    x = random_samples(np.random.default_rng(1), edges, 60)
    coded = edges.kernel.encode(x, None, 20, threads=1)
    for threads in (1, 3):
        assert under(edges.kernel.encode, x, None, 20, threads) == coded
        assert np.array_equal(under(edges.kernel.decode, coded, 60, None, 20, threads), x)
    assert np.array_equal(under(edges.kernel.tables, x), edges.kernel.tables(x))


def test_subnormal_messages_are_kept(under: Callable[..., Any]) -> None:
    kernel, x = subnormal_circuit().kernel, subnormal_samples()
    ones = kernel.tables(x[:1])[:, 1]  # where symbol 1 begins: what is below is the share of 0
    assert (ones[:3] > 2**23).all()
    assert (ones[3:6] == 2**24 - 1).all()
    assert (ones[7:] < 2**10).all()  # the lost state has come back
    assert np.array_equal(under(kernel.tables, x[:1])[:, 1], ones)
    coded = kernel.encode(x, None, 20, threads=2)
    assert under(kernel.encode, x, None, 20, 2) == coded
    assert np.array_equal(under(kernel.decode, coded, 20, None, 20, 2), x)


def test_models_expand_alike_in_every_mode(edges: Circuit, under: Callable[..., Any]) -> None:
    x = random_samples(np.random.default_rng(2), edges, 20)
    other = under(lambda: copy(edges).kernel)
    assert np.array_equal(other.tables(x), edges.kernel.tables(x))
    assert other.encode(x, None, 20) == edges.kernel.encode(x, None, 20)


def test_files_are_the_same_in_every_mode(edges: Circuit, under: Callable[..., Any]) -> None:
    x = random_samples(np.random.default_rng(3), edges, 40)
    data = neuralcodec.compress_many(x, edges, group=10, threads=2)
    assert under(lambda: neuralcodec.compress_many(x, copy(edges), group=10, threads=2)) == data
    artifact = edges.to_artifact()
    assert under(lambda: artifact.to_bytes()) == artifact.to_bytes()
    decoded = under(lambda: neuralcodec.decompress_many(data, model=copy(edges), threads=2))
    assert np.array_equal(decoded, x)


def test_threads_that_were_started_in_a_mode_decode_alike(edges: Circuit, under: Callable[..., Any]) -> None:
    x = random_samples(np.random.default_rng(4), edges, 30)
    coded = edges.kernel.encode(x, None, 10)
    results: list[bool] = []

    def decode() -> None:
        results.append(np.array_equal(edges.kernel.decode(coded, 30, None, 10), x))

    def spawn() -> None:
        thread = threading.Thread(target=decode)  # it inherits the state
        thread.start()
        thread.join()

    under(spawn)
    assert results == [True]
