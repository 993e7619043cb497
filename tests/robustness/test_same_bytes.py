"""The same signals give the same bytes: on every instruction set, in every thread, in company or alone."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from edge_circuits import edge_circuit, kernel_paths, random_samples
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import neuralcodec
from neuralcodec.artifact import write_artifact
from neuralcodec.circuits.circuit import Circuit, unpack


def samples(circuit: Circuit, n: int) -> NDArray[np.uint16]:
    return random_samples(np.random.default_rng(n), circuit, n)


def test_threads_change_nothing(edges: Circuit) -> None:
    x = samples(edges, 150)
    missing = (np.random.default_rng(1).random(x.shape) < 0.2).astype(np.uint8)
    for holes in (None, missing):
        coded = edges.kernel.encode(x, holes, 8, threads=1)
        for threads in (2, 8):
            assert edges.kernel.encode(x, holes, 8, threads=threads) == coded
            decoded = edges.kernel.decode(coded, len(x), holes, 8, threads=threads)
            assert np.array_equal(decoded, x if holes is None else np.where(holes, 0, x))


def test_archives_of_a_thousand_are_the_same_for_all_threads(edges: Circuit) -> None:
    x = samples(edges, 1000)
    files = [
        neuralcodec.compress_many(x, edges, group=128, chunk=512, threads=threads) for threads in (1, 2, 8)
    ]
    assert files[0] == files[1] == files[2]
    assert np.array_equal(neuralcodec.decompress_many(files[0], model=edges, threads=8), x)


@pytest.mark.parametrize("group", [1, 7, 64])
def test_a_group_alone_is_as_in_a_batch_of_a_thousand(edges: Circuit, group: int) -> None:
    x = samples(edges, 1000)
    coded = edges.kernel.encode(x, None, group)
    for number in (0, 3, len(coded) - 1):
        part = x[number * group : (number + 1) * group]
        assert edges.kernel.encode(part, None, group) == [coded[number]]
        assert np.array_equal(edges.kernel.decode([coded[number]], len(part), None, group), part)


def test_tables_of_a_signal_do_not_depend_on_its_company(edges: Circuit) -> None:
    x = samples(edges, 131)
    missing = (np.random.default_rng(2).random(x.shape) < 0.2).astype(np.uint8)
    missing[::2] = 0
    together = edges.kernel.tables(x[::2]).reshape(edges.structure.variables, -1, 257)
    for number in range(0, 131, 26):
        assert np.array_equal(edges.kernel.tables(x[number : number + 1]), together[:, number // 2])
    mixed = edges.kernel.encode(x, missing, 131)
    assert np.array_equal(edges.kernel.decode(mixed, 131, missing, 131), np.where(missing, 0, x))


def test_paths_change_nothing(edges: Circuit, monkeypatch: pytest.MonkeyPatch) -> None:
    x = samples(edges, 100)
    missing = (np.random.default_rng(3).random(x.shape) < 0.2).astype(np.uint8)
    results = []
    for path in kernel_paths():
        monkeypatch.setenv("NEURALCODEC_SIMD", path)
        tables = edges.kernel.tables(x, missing)
        coded = edges.kernel.encode(x, missing, 33)
        results.append((coded, hashlib.sha256(tables.tobytes()).hexdigest()))
    assert all(result == results[0] for result in results)
    for path in kernel_paths():
        monkeypatch.setenv("NEURALCODEC_SIMD", path)
        decoded = edges.kernel.decode(results[0][0], 100, missing, 33)
        assert np.array_equal(decoded, np.where(missing, 0, x))


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 8),
    st.integers(0, 3),
    st.integers(1, 40),
    st.sampled_from([0.0, 0.7]),
)
@settings(max_examples=60, deadline=None)
def test_paths_agree_on_any_circuit(seed: int, variables: int, silent: int, n: int, pruned: float) -> None:
    rng = np.random.default_rng(seed)
    sizes = range(1, 41)
    circuit = edge_circuit(rng, variables, silent, states=sizes, ranks=sizes, pruned=pruned)
    x = random_samples(rng, circuit, n)
    with pytest.MonkeyPatch.context() as patch:
        results = []
        for path in kernel_paths():
            patch.setenv("NEURALCODEC_SIMD", path)
            results.append(circuit.kernel.tables(x))
    assert all(np.array_equal(result, results[0]) for result in results)


@given(st.integers(0, 2**32 - 1), st.integers(2, 8), st.integers(0, 3), st.integers(1, 200))
@settings(max_examples=60, deadline=None)
def test_blocks_of_zeros_may_be_stored_or_left_out(seed: int, variables: int, silent: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    sparse = edge_circuit(rng, variables, silent, states=range(1, 41), pruned=0.7)
    dense = Circuit(*unpack(sparse.structure, sparse.levels))
    x = random_samples(rng, sparse, n)
    with pytest.MonkeyPatch.context() as patch:
        for path in kernel_paths():
            patch.setenv("NEURALCODEC_SIMD", path)
            coded = dense.kernel.encode(x, None, 64)
            assert sparse.kernel.encode(x, None, 64) == coded
            assert np.array_equal(sparse.kernel.decode(coded, n, None, 64), x)
    assert sparse.identity == dense.identity


PROGRAM = """
import hashlib, sys, numpy as np, neuralcodec
x = np.load(sys.argv[2])
data = neuralcodec.compress_many(x, sys.argv[1], group=17, chunk=51)
assert np.array_equal(neuralcodec.decompress_many(data, model=sys.argv[1]), x)
print(hashlib.sha256(data + b"".join(neuralcodec.compress(s, sys.argv[1]) for s in x[:5])).hexdigest())
"""


def test_processes_with_other_settings_write_the_same_files(edges: Circuit, tmp_path: Path) -> None:
    model, signals = tmp_path / "edges.ncm", tmp_path / "x.npy"
    write_artifact(model, edges.to_artifact())
    np.save(signals, samples(edges, 120))
    hashes = set()
    for number, path in enumerate(kernel_paths()):
        settings_ = {"NEURALCODEC_SIMD": path, "NEURALCODEC_THREADS": str(1 + 3 * number)}
        run = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(model), str(signals)],
            env={**os.environ, **settings_},
            capture_output=True,
            text=True,
            check=True,
        )
        hashes.add(run.stdout)
    assert len(hashes) == 1
