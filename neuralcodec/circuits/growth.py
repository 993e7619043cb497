"""Growth of a circuit in training: latent states are split, and noise sets the copies apart."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from neuralcodec.circuits.checkpoint import Checkpoint
from neuralcodec.circuits.parameters import Parameters, normalise
from neuralcodec.circuits.pruning import block_sums
from neuralcodec.circuits.recipe import Recipe
from neuralcodec.circuits.structure import FIELDS, TreeStructure


def grow(state: Checkpoint, states: int, recipe: Recipe) -> Checkpoint:
    """Split states until every node has `states` of them (at most twice as many as before).

    The running statistics are split too: a state's counts are shared among its copies, times log-normal noise, so
    that the parameters derived from them describe nearly the same distribution as before.
    """
    old = state.structure
    new = split_structure(old, states)
    rng = np.random.default_rng([recipe.seed, 3, states])
    statistics = split(old, new, state.statistics, rng, recipe.growth_noise)
    positive = (getattr(statistics, name) + np.float32(1e-12) for name in FIELDS)
    theta = normalise(new, Parameters(*(values.astype(np.float32) for values in positive)))
    return replace(
        state, structure=new, theta=theta, statistics=statistics, best=None, best_bpd=np.inf, stale=0
    )


def split_structure(old: TreeStructure, states: int) -> TreeStructure:
    """The structure of :func:`split`: a block of transitions is kept if any of its entries comes from a kept one."""
    new = old.with_states(states)
    if old.support is None:
        return new
    source = _sources(old, new)
    blocks = [
        block_sums(old.stored(v)[np.ix_(source[old.parent[v]], source[v])]) > 0 for v in range(1, old.nodes)
    ]
    return replace(new, support=np.concatenate([one.reshape(-1) for one in blocks]))


def _sources(old: TreeStructure, new: TreeStructure) -> list[NDArray[np.int64]]:
    """For each node, the old state that each new one is a copy of."""
    return [
        np.arange(after) * before // after
        for before, after in zip(old.states.tolist(), new.states.tolist(), strict=True)
    ]


def split(
    old: TreeStructure, new: TreeStructure, counts: Parameters, rng: np.random.Generator, noise: float
) -> Parameters:
    """Expected counts of a circuit whose states are split, from those of the circuit before.

    Copies of a state stand side by side, so that after several rounds relatives do: their transitions look alike, which
    makes the levels cheap to code from their neighbours and lets whole blocks of them be pruned.
    """
    source = _sources(old, new)
    share = [1 / np.bincount(s)[s] for s in source]
    result = Parameters(
        root=(counts.root[source[0]] * share[0]).astype(np.float32),
        transition=np.empty(new.transition_size, np.float32),
        weight=np.empty(new.weight_size, np.float32),
        free=np.empty(new.free_size, np.float32),
        basis=counts.basis.astype(np.float32),
    )
    for v, (rows, part) in enumerate(zip(source, share, strict=True)):
        up = old.parent[v]
        if up >= 0:
            block = counts.transition_of(old, v)[np.ix_(source[up], rows)] * np.outer(share[up], part)
            result.set_transition(new, v, block)
        if new.emission[v] > 0:
            result.weight_of(new, v)[:] = counts.weight_of(old, v)[rows] * part[:, None]
        elif new.emission[v] == 0:
            result.free_of(new, v)[:] = counts.free_of(old, v)[rows] * part[:, None]
    for values in (result.root, result.transition, result.weight, result.free):
        _perturb(values, rng, noise)
    return result


def _perturb(values: NDArray[np.floating], rng: np.random.Generator, noise: float) -> None:
    drawn = rng.standard_normal(values.shape, np.float32)
    drawn *= np.float32(noise)
    np.exp(drawn, out=drawn)
    values *= drawn
