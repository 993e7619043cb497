"""The walk of codec 1, as docs/format.md gives it in its sections 7.2 and 7.3.

Part of the independent decoder (decoder.py). Messages have the shape (states, signals), all binary32; the
only operations are elementwise ones in the order that the specification gives.
"""

import numpy as np
from decoder_model import Model, Node, Table
from decoder_primitives import Coder
from numpy.typing import NDArray

FLOOR = np.float32(2.0**-40)
ONE = np.float32(1)
SIGNALS_AT_ONCE = 32


def decode_group(data: bytes, n: int, missing: NDArray[np.bool_] | None, model: Model) -> NDArray[np.int64]:
    """Return the values (n, D) of a group of n signals."""
    coder = Coder(data)
    size = sum(node.variable >= 0 for node in model.nodes)
    values = np.zeros((n, size), np.int64)
    absent = np.zeros((n, size), np.bool_) if missing is None else missing
    path: list[int] = []  # the nodes being visited, from the root down
    pi: dict[int, Table] = {}
    lam: dict[int, Table] = {}
    for v, node in enumerate(model.nodes):
        while path and path[-1] != node.parent:
            _close(model, path.pop(), pi, lam)
        if v:
            assert node.transition is not None
            prior = product_sum(pi[node.parent] * lam[node.parent], node.transition)
        else:
            assert node.prior is not None
            prior = np.repeat(node.prior[:, None], n, axis=1)
        pi[v] = np.maximum(normalise(prior), model.floor)
        lam[v] = np.ones((node.states, n), np.float32)
        if node.variable >= 0:
            _emit(node, coder, pi[v], lam[v], values[:, node.variable], absent[:, node.variable])
        path.append(v)
    coder.finish()
    return values


def _close(model: Model, child: int, pi: dict[int, Table], lam: dict[int, Table]) -> None:
    """Send the message of a child, all of whose descendants are visited, to its parent."""
    node = model.nodes[child]
    assert node.transition is not None
    message = product_sum(lam.pop(child), node.transition.T)
    del pi[child]
    lam[node.parent] = rescale(lam[node.parent] * message)


def _emit(
    node: Node,
    coder: Coder,
    pi: Table,
    lam: Table,
    values: NDArray[np.int64],
    missing: NDArray[np.bool_],
) -> None:
    """Decode a node's samples into `values` and write its likelihood message into `lam`."""
    assert node.symbols is not None
    assert node.cumulative is not None
    q = pi if node.weight is None else product_sum(pi, node.weight)
    for start in range(0, len(values), SIGNALS_AT_ONCE):
        tables = cumulative_tables(q[:, start : start + SIGNALS_AT_ONCE], node.cumulative)
        for signal, table in enumerate(tables.T.tolist(), start):
            if not missing[signal]:
                values[signal] = _decode_symbol(coder, table)
    emitted = node.symbols[:, values]
    if node.weight is not None:
        emitted = product_sum(emitted, node.weight.T)
    present = ~missing
    lam[:, present] = rescale(np.maximum(emitted, FLOOR))[:, present]


def _decode_symbol(coder: Coder, table: list[int]) -> int:
    target = coder.target
    symbol = 0
    while table[symbol + 1] <= target:
        symbol += 1
    coder.pop(table[symbol], table[symbol + 1] - table[symbol])
    return symbol


def cumulative_tables(q: Table, cumulative: Table) -> NDArray[np.int64]:
    """Return cdf(0) to cdf(A) for each signal, (A + 1, signals)."""
    alphabet = cumulative.shape[1]
    scaled = np.minimum(dot_product(q, cumulative), ONE) * np.float32(2**24 - alphabet)
    tables = np.zeros((alphabet + 1, q.shape[1]), np.int64)
    tables[:alphabet] = np.floor(scaled).astype(np.int64) + np.arange(alphabet)[:, None]
    tables[0] = 0
    tables[alphabet] = 2**24
    return tables


def product_sum(a: Table, b: Table) -> Table:
    """Return sum_k a[k][signal] b[k][j] as (j, signal)."""
    total = np.zeros((b.shape[1], a.shape[1]), np.float32)
    for k in range(len(a)):
        total = total + b[k][:, None] * a[k][None, :]
    return total


def dot_product(a: Table, b: Table) -> Table:
    """Return the dot products over k of a[k][signal] and b[k][j] as (j, signal), in 16 lanes."""
    lanes = np.zeros((16, b.shape[1], a.shape[1]), np.float32)
    for k in range(len(a)):
        lanes[k % 16] = lanes[k % 16] + b[k][:, None] * a[k][None, :]
    for half in (8, 4, 2, 1):
        lanes = lanes[:half] + lanes[half:]
    total: Table = lanes[0]
    return total


def normalise(p: Table) -> Table:
    """Return each signal's entries divided by their sum."""
    total = np.zeros(p.shape[1], np.float32)
    for row in p:
        total = total + row
    result: Table = p * (ONE / total)
    return result


def rescale(q: Table) -> Table:
    """Return each signal's entries divided by the largest, and at least 2^-40."""
    result: Table = np.maximum(q * (ONE / q.max(axis=0)), FLOOR)
    return result
