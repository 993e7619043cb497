"""What the tests of robustness share: a circuit with awkward sizes and two small files."""

from dataclasses import dataclass

import numpy as np
import pytest
from edge_circuits import edge_circuit
from numpy.typing import NDArray
from small_models import random_signals, small_circuit

import neuralcodec
from neuralcodec.circuits.circuit import Circuit


@pytest.fixture(scope="session")
def edges() -> Circuit:
    """A circuit whose states, ranks and alphabets stand at the edges of 4, 8 and 16 lanes."""
    return edge_circuit(np.random.default_rng(11), 24, 6)


@dataclass(frozen=True)
class Golden:
    """A file and what it decodes to."""

    data: bytes
    signals: NDArray[np.generic]
    circuit: Circuit


@pytest.fixture(scope="session")
def single() -> Golden:
    """A single file with a mask and a name."""
    circuit = small_circuit((4, 3), alphabet=[2] * 6 + [256] * 6)
    signal = np.ma.masked_array(random_signals(circuit, 1)[0], np.arange(12).reshape(4, 3) == 5)
    return Golden(neuralcodec.compress(signal, circuit, name="a.png"), signal, circuit)


@pytest.fixture(scope="session")
def archive() -> Golden:
    """An archive of 11 signals with names, in groups of 2 and chunks of 4."""
    circuit = small_circuit((4, 3), alphabet=[2] * 6 + [256] * 6)
    signals = random_signals(circuit, 11)
    names = [f"{number}.png" if number % 3 else None for number in range(11)]
    return Golden(
        neuralcodec.compress_many(signals, circuit, names=names, group=2, chunk=4), signals, circuit
    )
