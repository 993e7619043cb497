"""Turn a PyJuice circuit into the arrays that neuralcodec imports (docs/import.md).

    arrays = from_pyjuice(root)
    save_arrays("circuit.npz", arrays)

`root` is the node that `pyjuice.compile` was given. After training, `pc.update_parameters()` brings the
parameters back to it. Written for pyjuice 2.6; needs numpy and what the nodes hold, no GPU.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuralcodec.circuits.array_builder import ArrayBuilder
from neuralcodec.circuits.arrays import CircuitArrays
from neuralcodec.circuits.leaves import bernoulli_rows, logistic_rows

Units = NDArray[np.int64]


def from_pyjuice(root: Any) -> CircuitArrays:
    """Return the circuit below a vector of PyJuice nodes, which must be a single one.

    PyJuice keeps vectors of nodes in blocks, and connects blocks: all nodes of a block of sums with all nodes of a
    block below; node j of a block of products with node j of a block of each child (or single nodes, where
    the edges are as many as the nodes).

    Raises:
        ValueError: several roots, inputs over several variables, or nodes whose parameters are not in them.
    """
    if root.num_nodes != 1:
        raise ValueError(f"the root has {root.num_nodes} nodes; a sum over them makes a single one")
    build = ArrayBuilder()
    units: dict[Any, Units] = {}
    rows: dict[Any, Units] = {}
    for nodes in root:  # children come before their parents
        if nodes.is_input():
            source = nodes.get_source_ns()  # tied vectors share the parameters of another
            if source not in rows:
                rows[source] = build.rows(_table(source))
            (variable,) = nodes.scope.to_list()
            units[nodes] = build.leaves(variable, rows[source])
        elif nodes.is_prod():
            edges = _numpy(nodes.edge_ids)
            if len(edges) != nodes.num_nodes:  # edges between blocks
                size = nodes.block_size
                edges = (edges[:, None, :] * size + np.arange(size)[None, :, None]).reshape(
                    -1, edges.shape[1]
                )
            units[nodes] = build.products([units[child][edges[:, i]] for i, child in enumerate(nodes.chs)])
        else:
            inputs = np.concatenate([units[child] for child in nodes.chs])
            units[nodes] = build.sums(inputs, _weights(nodes, len(inputs)))
    return build.build(int(units[root][0])).pruned()


def _weights(nodes: Any, inputs: int) -> NDArray[np.float64]:
    """Return the (sums, inputs) weights of a vector of sums: 0 where blocks are not connected."""
    source = nodes.get_source_ns()
    if source._params is None:
        raise ValueError(
            f"{nodes} has no parameters: initialise or train the circuit, then update_parameters()"
        )
    params = _numpy(source._params)  # (edges between blocks, sums in a block, inputs in a block)
    above, below = params.shape[1:]
    matrix = np.zeros((nodes.num_node_blocks, inputs // below, above, below))
    matrix[tuple(_numpy(nodes.edge_ids))] = params
    return matrix.transpose(0, 2, 1, 3).reshape(-1, inputs)


def _table(nodes: Any) -> NDArray[np.float64]:
    """Return the rows of a vector of input nodes."""
    dist, kind = nodes.dist, type(nodes.dist).__name__
    if nodes._params is None:
        raise ValueError(
            f"{nodes} has no parameters: initialise or train the circuit, then update_parameters()"
        )
    params = _numpy(nodes._params).astype(np.float64).reshape(nodes.num_nodes, -1)
    if kind == "Categorical":
        return params
    if kind == "Bernoulli":
        return bernoulli_rows(params[:, 0])
    if kind == "DiscreteLogistic":
        return logistic_rows(params[:, 0], params[:, 1], dist.num_cats, *dist.val_range)
    raise ValueError(
        f"input nodes of the kind {kind} have no table here; write them as rows of one entry a value"
    )


def _numpy(tensor: Any) -> NDArray[Any]:
    array: NDArray[Any] = tensor.detach().cpu().numpy()
    return array
