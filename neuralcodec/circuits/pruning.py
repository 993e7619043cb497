"""Pruning of a circuit in training: blocks of transitions that carry little of the expected flow are dropped.

Dang, Liu and Van den Broeck, Sparse probabilistic circuits via pruning and growing, NeurIPS 2022: the edges of least
expected flow cost the least likelihood. Blocks instead of single edges keep the kernels at the speed of dense products.
"""

from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from neuralcodec.circuits.checkpoint import Checkpoint
from neuralcodec.circuits.parameters import Tables, normalise
from neuralcodec.circuits.structure import BLOCK, TreeStructure

TablesT = TypeVar("TablesT", bound=Tables[Any])


def prune(state: Checkpoint, transitions: float) -> Checkpoint:
    """Drop the blocks of least expected flow, over the whole circuit, until edges keep `transitions` each on average.

    Every row keeps its best block. Nothing happens to a circuit that is no larger.
    """
    old = state.structure
    if old.transition_size <= transitions * (old.nodes - 1):
        return state
    budget = int(transitions * (old.nodes - 1))
    flows = [block_sums(state.statistics.transition_of(old, v)) for v in range(1, old.nodes)]
    best = [np.arange(flow.shape[1]) == flow.argmax(axis=1)[:, None] for flow in flows]
    flow = np.concatenate([flow.reshape(-1) for flow in flows])
    always = np.concatenate([one.reshape(-1) for one in best])
    rank = np.argsort(-np.where(always, np.inf, flow), kind="stable")
    support = np.zeros(len(flow), np.bool_)
    support[rank[: max(budget // BLOCK**2, int(always.sum()))]] = True
    new = replace(old, support=support)
    statistics = restrict(state.statistics, old, new)
    theta = normalise(new, restrict(state.theta, old, new))
    return replace(
        state, structure=new, theta=theta, statistics=statistics, best=None, best_bpd=np.inf, stale=0
    )


def block_sums(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Sum a matrix over its blocks of 4 x 4.

    >>> block_sums(np.ones((4, 6))).tolist()
    [[16.0, 8.0]]
    """
    rows = np.add.reduceat(values, np.arange(0, len(values), BLOCK), axis=0, dtype=np.float64)
    sums: NDArray[np.float64] = np.add.reduceat(rows, np.arange(0, values.shape[1], BLOCK), axis=1)
    return sums


def restrict(tables: TablesT, old: TreeStructure, new: TreeStructure) -> TablesT:
    """Lay out the transitions of one structure for another that differs in its support alone."""
    result = replace(tables, transition=np.empty(new.transition_size, tables.transition.dtype))
    for node in range(1, new.nodes):
        result.set_transition(new, node, tables.transition_of(old, node))
    return result
