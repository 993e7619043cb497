"""Many threads may compress, decompress, read one archive and load models at once."""

import gc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from edge_circuits import random_samples
from small_models import random_signals, small_circuit

import neuralcodec
from neuralcodec.artifact import write_artifact
from neuralcodec.circuits.circuit import Circuit
from neuralcodec.errors import CorruptFile

WORKERS = 8


def test_single_files_in_many_threads(edges: Circuit) -> None:
    x = random_samples(np.random.default_rng(1), edges, 64)
    fresh = Circuit(edges.structure, edges.levels, edges.header)  # its tables expand on first use

    def round_trip(number: int) -> bytes:
        data = neuralcodec.compress(x[number], fresh, verify=True)
        assert np.array_equal(neuralcodec.decompress(data, fresh), x[number])
        return data

    with ThreadPoolExecutor(WORKERS) as pool:
        files = list(pool.map(round_trip, range(64)))
    assert files == [neuralcodec.compress(signal, edges) for signal in x]


def test_archives_in_many_threads(edges: Circuit) -> None:
    x = random_samples(np.random.default_rng(2), edges, 200)

    def round_trip(seed: int) -> bytes:
        order = np.random.default_rng(seed).permutation(200)
        data = neuralcodec.compress_many(x[order], edges, group=16, chunk=64, threads=1 + seed % 3)
        assert np.array_equal(neuralcodec.decompress_many(data, model=edges, threads=2), x[order])
        return data

    with ThreadPoolExecutor(WORKERS) as pool:
        files = list(pool.map(round_trip, [*range(8), *range(8)]))
    assert files[:8] == files[8:]


def test_one_archive_read_from_many_threads(edges: Circuit, tmp_path: Path) -> None:
    x = random_samples(np.random.default_rng(3), edges, 300)
    path = tmp_path / "x.ncz"
    path.write_bytes(neuralcodec.compress_many(x, edges, group=8, chunk=32))
    with neuralcodec.open_archive(path, edges, threads=1) as archive:

        def read(seed: int) -> bool:
            picked = np.random.default_rng(seed).integers(0, 300, 5)
            signal = int(picked[0])
            return np.array_equal(archive[picked], x[picked]) and np.array_equal(archive[signal], x[signal])

        with ThreadPoolExecutor(WORKERS) as pool:
            assert all(pool.map(read, range(60)))


def test_models_are_loaded_from_many_threads(tmp_path: Path) -> None:
    circuits = [small_circuit((4, 3), seed=seed) for seed in range(12)]
    paths = [tmp_path / f"{seed}.ncm" for seed in range(12)]  # more than are kept in memory
    for path, circuit in zip(paths, circuits, strict=True):
        write_artifact(path, circuit.to_artifact())

    def round_trip(number: int) -> bool:
        path, circuit = paths[number % 12], circuits[number % 12]
        signal = random_signals(circuit, 1, number)[0]
        data = neuralcodec.compress(signal, path)
        return neuralcodec.load_model(path).identity == circuit.identity and np.array_equal(
            neuralcodec.decompress(data, circuit), signal
        )

    with ThreadPoolExecutor(WORKERS) as pool:
        assert all(pool.map(round_trip, range(72)))


def test_errors_in_one_thread_leave_the_others_alone(edges: Circuit) -> None:
    x = random_samples(np.random.default_rng(4), edges, 40)
    good = neuralcodec.compress_many(x, edges, group=8)
    bad = good[:-40] + bytes(40)

    def read(number: int) -> bool:
        if number % 2:
            return np.array_equal(neuralcodec.decompress_many(good, model=edges, threads=2), x)
        with pytest.raises(CorruptFile):
            neuralcodec.decompress_many(bad, model=edges, threads=2)
        return True

    with ThreadPoolExecutor(WORKERS) as pool:
        assert all(pool.map(read, range(40)))


def test_results_outlive_what_they_came_from(edges: Circuit) -> None:
    x = random_samples(np.random.default_rng(5), edges, 30)
    circuit = Circuit(edges.structure, edges.levels, edges.header)
    coded = circuit.kernel.encode(x, None, 10)
    decoded, tables = circuit.kernel.decode(coded, 30, None, 10), circuit.kernel.tables(x[:2])
    kept = decoded.copy(), tables.copy()
    del circuit, coded
    gc.collect()
    np.ones(10**6).sum()
    assert np.array_equal(decoded, kept[0])
    assert np.array_equal(tables, kept[1])
