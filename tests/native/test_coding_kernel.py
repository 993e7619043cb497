"""The coding kernel: every signal comes back, at close to its ideal length; noise is refused."""

import numpy as np
import pytest
from edge_circuits import EDGES, edge_circuit, random_samples
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from neuralcodec.circuits import reference
from neuralcodec.circuits.circuit import Circuit
from neuralcodec.circuits.parameters import dequantise
from neuralcodec.errors import CorruptFile, InvalidModel, UnsupportedInput
from neuralcodec.native import CircuitKernel

seeds = st.integers(0, 2**32 - 1)


@st.composite
def circuits(draw: st.DrawFn) -> Circuit:
    return edge_circuit(
        np.random.default_rng(draw(seeds)),
        draw(st.integers(1, 9)),
        draw(st.integers(0, 3)),
        states=draw(st.sampled_from([EDGES, range(1, 41), (1,)])),
        alphabets=draw(st.sampled_from([(1, 2, 3, 16, 17, 256), (1,), (2,), (4096,)])),
        zeros=draw(st.sampled_from([0.0, 0.3, 0.95])),
    )


@given(circuits(), st.integers(0, 40), st.integers(1, 40), st.sampled_from([0.0, 0.4, 1.0]), seeds)
@settings(max_examples=120, deadline=None)
def test_signals_come_back(circuit: Circuit, n: int, group: int, holes: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = random_samples(rng, circuit, n)
    missing = (rng.random(x.shape) < holes).astype(np.uint8) if holes else None
    coded = circuit.kernel.encode(x, missing, group, threads=1)
    assert len(coded) == -(-n // group)
    assert all(not bytes_ or bytes_[-1] for bytes_ in coded)
    decoded = circuit.kernel.decode(coded, n, missing, group, threads=1)
    assert np.array_equal(decoded, x if missing is None else np.where(missing, 0, x))


def intervals(circuit: Circuit, x: NDArray[np.uint16]) -> NDArray[np.float64]:
    """Return (D, n) integer sizes of the intervals that one group is coded by, in coding order."""
    variable = circuit.structure.variable
    rows = circuit.kernel.tables(x).astype(np.float64)
    symbols = x[:, variable[variable >= 0]].T.reshape(-1, 1).astype(np.int64)
    sizes = np.take_along_axis(rows, symbols + 1, 1) - np.take_along_axis(rows, symbols, 1)
    return sizes.reshape(x.shape[1], len(x))


@given(circuits(), st.integers(1, 30), seeds)
@settings(max_examples=40, deadline=None)
def test_tables_are_distributions_over_the_alphabet(circuit: Circuit, n: int, seed: int) -> None:
    x = random_samples(np.random.default_rng(seed), circuit, n)
    variable = circuit.structure.variable
    rows = circuit.kernel.tables(x).astype(np.int64)
    alphabet = np.repeat(circuit.structure.alphabet[variable[variable >= 0]], n)
    assert rows.shape == (x.size, circuit.structure.alphabet.max() + 1)
    inside = np.arange(rows.shape[1]) < alphabet[:, None]
    assert (rows[:, 0] == 0).all()
    assert (rows[~inside] == 2**24).all()
    assert (np.diff(rows, axis=1)[inside[:, :-1]] >= 1).all()


@given(circuits(), st.integers(1, 30), seeds)
@settings(max_examples=40, deadline=None)
def test_coder_bytes_are_as_long_as_their_tables_say(circuit: Circuit, n: int, seed: int) -> None:
    x = random_samples(np.random.default_rng(seed), circuit, n)
    bits = (24 - np.log2(intervals(circuit, x))).sum()
    size = 8 * len(circuit.kernel.encode(x, None, n, threads=1)[0])
    # the state starts at 0, whence the first symbol takes up to 24 bits
    assert size <= bits + 24 + 8 + 1e-5 * x.size


def test_code_length_is_close_to_the_likelihood() -> None:
    for seed in range(6):
        rng = np.random.default_rng(seed)
        circuit = edge_circuit(rng, 12, 3, alphabets=(2, 3, 16, 256), zeros=0.3)
        x = circuit.sample(200, seed).astype(np.uint16)
        theta = dequantise(circuit.structure, circuit.levels)
        ideal = -reference.log_likelihood(circuit.structure, theta, x) / np.log(2)
        coded = 24 - np.log2(intervals(circuit, x))
        assert np.abs(coded.sum(axis=0) - ideal).max() < 0.02 * ideal.max()
        assert coded.sum() == pytest.approx(ideal.sum(), rel=2e-4)
        size = 8 * len(circuit.kernel.encode(x, None, len(x), threads=1)[0])
        assert size < 1.0005 * ideal.sum() + 32


def test_missing_samples_cost_nothing_and_tell_nothing() -> None:
    rng = np.random.default_rng(5)
    circuit = edge_circuit(rng, 8, 2, alphabets=(3, 17))
    x = random_samples(rng, circuit, 20)
    missing = (rng.random(x.shape) < 0.5).astype(np.uint8)
    other = np.where(missing, 60_000, x).astype(np.uint16)  # what stands there does not matter
    coded = circuit.kernel.encode(x, missing, 20)
    assert circuit.kernel.encode(other, missing, 20) == coded
    theta = dequantise(circuit.structure, circuit.levels)
    ideal = -reference.log_likelihood(circuit.structure, theta, x, missing.astype(bool)) / np.log(2)
    variable = circuit.structure.variable
    seen = missing[:, variable[variable >= 0]].T.ravel() == 0
    rows = circuit.kernel.tables(x, missing).astype(np.int64)
    assert len(rows) == seen.sum()
    symbols = x[:, variable[variable >= 0]].T.ravel()[seen].astype(np.int64)
    sizes = rows[np.arange(len(rows)), symbols + 1] - rows[np.arange(len(rows)), symbols]
    possible = ideal[np.isfinite(ideal)].sum()
    assert (24 - np.log2(sizes)).sum() > 0.99 * possible
    assert circuit.kernel.encode(x, np.ones_like(missing), 20) == [b""]


def test_the_callers_samples_stay_as_they_are() -> None:
    rng = np.random.default_rng(6)
    circuit = edge_circuit(rng, 8, 2)
    x = random_samples(rng, circuit, 5)
    missing = np.ones(x.shape, np.uint8)
    kept = x.copy()
    x.setflags(write=False)
    circuit.kernel.encode(x, missing, 2)
    circuit.kernel.tables(x, missing)
    assert np.array_equal(x, kept)


def test_what_cannot_be_coded_is_refused() -> None:
    circuit = edge_circuit(np.random.default_rng(7), 4, 1, alphabets=(3,))
    kernel, x = circuit.kernel, np.zeros((3, 4), np.uint16)
    x[1, 2] = 3
    with pytest.raises(UnsupportedInput, match="signal 1, sample 2: 3 is not below 3"):
        kernel.encode(x, None, 1)
    x[1, 2] = 2
    with pytest.raises(UnsupportedInput, match="signals need 4 samples"):
        kernel.encode(x[:, :3], None, 1)
    with pytest.raises(UnsupportedInput, match="mask"):
        kernel.encode(x, np.zeros((3, 3), np.uint8), 1)
    for group in (0, -1, 1025):
        with pytest.raises(UnsupportedInput, match="1 to 1024 signals"):
            kernel.encode(x, None, group)


def test_what_is_no_stream_is_refused() -> None:
    rng = np.random.default_rng(8)
    circuit = edge_circuit(rng, 6, 1, alphabets=(256,))
    kernel, x = circuit.kernel, random_samples(rng, circuit, 4)
    first, second = kernel.encode(x, None, 2)
    for groups in ([first], [first, second, b""], []):
        with pytest.raises(CorruptFile, match="number of groups"):
            kernel.decode(groups, 4, None, 2)
    for bad in (second + b"\0", second[:-1], bytes(4) + second, second[4:] + b"\1", b"\0" * 12):
        with pytest.raises(CorruptFile, match="group 1 of 2") as caught:
            kernel.decode([first, bad], 4, None, 2)
        assert caught.value.section == "payload"


@given(circuits(), st.lists(st.binary(max_size=40), min_size=1, max_size=3))
@settings(max_examples=60, deadline=None)
def test_noise_is_refused_or_gives_signals(circuit: Circuit, groups: list[bytes]) -> None:
    n = 2 * len(groups)
    try:
        x = circuit.kernel.decode(groups, n, None, 2, threads=1)
    except CorruptFile:
        return
    assert (x < circuit.structure.alphabet).all()
    assert circuit.kernel.encode(x, None, 2, threads=1) == groups


def test_structures_that_no_circuit_has_are_refused() -> None:
    one = np.ones(1, np.uint16)
    none = np.zeros(0, np.uint16)

    def build(parent: list[int], variable: list[int], states: list[int], emission: list[int]) -> None:
        nodes = [np.array(a, np.int32) for a in (parent, variable, states, [2], emission)]
        levels = [one, one, none, np.ones(2, np.uint16), none]
        CircuitKernel(*nodes, *levels, np.zeros(0, np.int32))  # type: ignore[call-arg,unused-ignore]

    build([-1, 0], [-1, 0], [1, 1], [-1, 0])
    for arrays, message in [
        (([0, 0], [-1, 0], [1, 1], [-1, 0]), "node 0: bad parent"),
        (([-1, 1], [-1, 0], [1, 1], [-1, 0]), "node 1: bad parent"),
        (([-1, -1], [-1, 0], [1, 1], [-1, 0]), "node 1: bad parent"),
        (([-1, 0, 0, 1], [-1, -1, -1, 0], [1] * 4, [-1, -1, -1, 0]), "node 3: parent breaks"),
        (([-1, 0], [-1, 0], [1, 0], [-1, 0]), "node 1: number of states"),
        (([-1, 0], [-1, 0], [1, 4097], [-1, 0]), "node 1: number of states"),
        (([-1, 0], [-1, 0], [1, 1], [0, 0]), "node 0: a node has emissions exactly"),
        (([-1, 0], [0, 0], [1, 1], [0, 0]), "node 1: variable out of range or owned twice"),
        (([-1, 0], [-1, 1], [1, 1], [-1, 0]), "node 1: variable out of range"),
        (([-1, 0], [-1, -1], [1, 1], [-1, -1]), "no node owns variable 0"),
        (([-1, 0], [-1, 0], [1, 1], [-1, 1]), "node 1: unknown basis"),
        (([-1, 0, 1], [-1, 0], [1, 1], [-1, 0]), "differ in length"),
        (([-1, 0], [-1, 0], [2, 1], [-1, 0]), "root has 1 levels; the structure asks for 2"),
        (([-1], [0], [1], [0]), "transition has 1 levels; the structure asks for 0"),
    ]:
        with pytest.raises(InvalidModel, match=message):
            build(*arrays)


def test_claims_of_a_structure_are_checked_before_memory_is_taken() -> None:
    nodes = np.full(30, 4096, np.int32)
    few = np.ones(3, np.uint16)
    with pytest.raises(InvalidModel, match=r"exceed 2.28 entries|levels; the structure asks for"):
        CircuitKernel(
            np.arange(-1, 29),
            np.arange(30),
            nodes,
            nodes,
            np.zeros(30, np.int32),
            few,
            few,
            few,
            few,
            few,
            few[:0],
        )
    two = nodes[:2]
    with pytest.raises(InvalidModel, match="levels; the structure asks for"):
        CircuitKernel(np.arange(-1, 1), np.arange(2), two, two, two * 0, few, few, few, few, few, few[:0])
