"""The small circuits that the golden files are coded with."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from neuralcodec.circuits.builders import binary_tree, hclt, hmm
from neuralcodec.circuits.circuit import Circuit
from neuralcodec.circuits.initialise import initial_parameters
from neuralcodec.circuits.parameters import Parameters, QuantisationSteps, normalise, quantise
from neuralcodec.circuits.structure import TreeStructure

Edit = Callable[[TreeStructure, Parameters], Parameters]


def tree() -> Circuit:
    """Return a hidden Chow-Liu tree as for small images: 6 x 7 uint8, a shared basis of 12."""
    rng = np.random.default_rng(1)
    edges = [(int(rng.integers(max(0, sample - 8), sample)), sample) for sample in range(1, 42)]
    structure = hclt(edges, shape=(6, 7), dtype=np.uint8, alphabet=256, states=5, basis_size=12)
    waves = 110 + 80 * np.sin(np.arange(42) / 5) + rng.normal(0, 30, (200, 1)) + rng.normal(0, 9, (200, 42))
    return _circuit("tree", structure, np.clip(waves, 0, 255), 1)


def mixed() -> Circuit:
    """Return a tree with free emissions, silent nodes, and states and alphabets (1 and 2 too) that differ."""
    rng = np.random.default_rng(2)
    alphabet = np.array([1, 2, 3, 200, 17, 2, 64, 1, 33, 5, 128, 2, 16, 8, 31])
    structure = binary_tree(
        shape=(3, 5),
        dtype=np.int16,
        alphabet=alphabet,
        states=rng.integers(1, 10, 29),
        emission="free",
    )
    return _circuit("mixed", structure, rng.binomial(alphabet - 1, 0.4, (100, 15)), 2)


def chain() -> Circuit:
    """Return a hidden Markov chain over 24 samples of 12 bits."""
    rng = np.random.default_rng(3)
    structure = hmm(shape=(24,), dtype=np.uint16, alphabet=4096, states=6, basis_size=8)
    walk = 2000 + np.cumsum(rng.normal(0, 90, (300, 24)), axis=1)
    return _circuit("chain", structure, np.clip(walk, 0, 4095), 3)


def bits() -> Circuit:
    """Return a binary tree over 5 x 4 bools."""
    rng = np.random.default_rng(4)
    structure = binary_tree(shape=(5, 4), dtype=np.bool_, alphabet=2, states=3, basis_size=2)
    return _circuit("bits", structure, rng.random((100, 20)) < rng.beta(1, 2, (100, 1)), 4)


def lanes() -> Circuit:
    """Return a tree on both sides of 16 lanes: 15 to 33 states, bases of 16 and 20, and free emissions."""
    rng = np.random.default_rng(5)
    edges = [(int(rng.integers(0, sample)), sample) for sample in range(1, 12)]
    alphabet = np.repeat([50, 31], 6)
    states = np.full(12, 17)
    states[[3, 5, 8]] = 15, 16, 33
    structure = hclt(edges, shape=(4, 1, 3), dtype=np.uint8, alphabet=alphabet, states=states)
    emission = structure.emission.copy()
    emission[[2, 5, 8]] = 0
    structure = replace(structure, emission=emission, basis_size=(16, 20)).validate()
    return _circuit("lanes", structure, rng.binomial(alphabet - 1, 0.3, (100, 12)), 5)


def sure() -> Circuit:
    """Return a chain that holds 0 for all but certain, so that a thousand signals take no bytes."""
    structure = hmm(shape=(8, 8), dtype=np.uint8, alphabet=4, states=2, emission="free")
    return _circuit("sure", structure, np.zeros((2, 64)), 6, _only_zeros)


def wide() -> Circuit:
    """Return a chain of two nodes with 600 states, so that its transitions take several blocks."""
    rng = np.random.default_rng(7)
    structure = hmm(shape=(2,), dtype=np.int8, alphabet=7, states=600, emission="free")
    steps = QuantisationSteps(transition=1 / 8, free=1 / 32)
    return _circuit("wide", structure, rng.binomial(6, 0.5, (100, 2)), 7, steps=steps)


def extreme() -> Circuit:
    """Return a tree whose probabilities reach from 0 and 2^-24 to 1, for messages that meet their floor."""
    rng = np.random.default_rng(8)
    edges = [(int(rng.integers(0, sample)), sample) for sample in range(1, 16)]
    structure = hclt(edges, shape=(16,), dtype=np.uint8, alphabet=6, states=4, basis_size=5)
    emission = structure.emission.copy()
    emission[1::2] = 0
    structure = replace(structure, emission=emission).validate()
    finest = 1 / 4095
    steps = QuantisationSteps(root=finest, transition=finest, weight=finest, free=finest, basis=finest)
    return _circuit("extreme", structure, np.zeros((2, 16)), 8, _log_uniform, steps)


def pruned() -> Circuit:
    """Return a tree of 22 states, most of whose blocks of transitions are zeros, with a floor that priors meet."""
    rng = np.random.default_rng(9)
    edges = [(int(rng.integers(max(0, sample - 4), sample)), sample) for sample in range(1, 20)]
    structure = hclt(edges, shape=(5, 4), dtype=np.uint8, alphabet=6, states=22, basis_size=7)
    return _circuit(
        "pruned", replace(structure, floor=9), rng.binomial(5, 0.4, (100, 20)), 9, _without_blocks
    )


def _without_blocks(structure: TreeStructure, parameters: Parameters) -> Parameters:
    """Zero about three quarters of the blocks of 4 x 4 transitions; every row keeps one."""
    rng = np.random.default_rng(9)
    for node in range(1, structure.nodes):
        kept = rng.random(structure.support_of(node).shape) < 0.2
        kept[np.arange(len(kept)), rng.integers(0, kept.shape[1], len(kept))] = True
        stored = kept.repeat(4, axis=0).repeat(4, axis=1)[:22, :22]
        parameters.set_transition(
            structure, node, np.where(stored, parameters.transition_of(structure, node), 0)
        )
    return normalise(structure, parameters)


def _log_uniform(structure: TreeStructure, parameters: Parameters) -> Parameters:
    rng = np.random.default_rng(8)
    drawn = Parameters(*(10 ** -rng.uniform(0, 10, size) for size in structure.sizes.values()))
    return normalise(structure, drawn)


def _only_zeros(structure: TreeStructure, parameters: Parameters) -> Parameters:
    free = np.tile(np.array([1, 0, 0, 0], np.float32), structure.sizes["free"] // 4)
    return replace(parameters, free=free)


def _circuit(
    name: str,
    structure: TreeStructure,
    samples: NDArray[np.generic],
    seed: int,
    edit: Edit | None = None,
    steps: QuantisationSteps | None = None,
) -> Circuit:
    """Return an untrained circuit around the statistics of samples (n, D)."""
    parameters = initial_parameters(structure, samples.astype(np.int64), seed)
    if edit is not None:
        parameters = edit(structure, parameters)
    return Circuit(structure, quantise(structure, parameters, steps), {"name": f"golden-{name}"})


MODELS: dict[str, Callable[[], Circuit]] = {
    model.__name__: model for model in (tree, mixed, chain, bits, lanes, sure, wide, extreme, pruned)
}
