"""Turn a circuit that cirkit compiled into the arrays that neuralcodec imports (docs/import.md).

    arrays = from_cirkit(compile(symbolic_circuit))
    save_arrays("circuit.npz", arrays)

Folded or not, optimised or not. Written for libcirkit 0.3; needs numpy and what the layers hold.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuralcodec.circuits.array_builder import ArrayBuilder
from neuralcodec.circuits.arrays import CircuitArrays
from neuralcodec.circuits.leaves import binomial_rows

Units = NDArray[np.int64]


def from_cirkit(circuit: Any) -> CircuitArrays:
    """Return a compiled circuit with a single output unit.

    cirkit keeps F vectors of K units in one layer, and lists for each layer which vectors of which layers its
    H inputs are (its address book). Here a layer becomes an array of (F, K) unit numbers, and its inputs an
    array of (F, H, K) of them, by the same look-ups that evaluate the circuit.

    Raises:
        ValueError: several outputs, or a layer that has no counterpart here.
    """
    build = ArrayBuilder()
    layers: list[Units] = []
    output = np.zeros(0, np.int64)
    for entry in circuit.address_book:
        if entry.module is None:  # the last entry gathers the outputs
            output = _inputs(entry, layers).reshape(-1)
        elif entry.in_module_ids:
            inputs = _inputs(entry, layers)
            layers.append(
                np.stack([_inner(build, entry.module, fold, one) for fold, one in enumerate(inputs)])
            )
        else:
            layers.append(_leaves(build, entry.module))
    if len(output) != 1:
        raise ValueError(f"the circuit has {len(output)} output units; a sum over them makes a single one")
    return build.build(int(output[0])).pruned()


def _inputs(entry: Any, layers: list[Units]) -> Units:
    """Return the inputs of all folds of an entry, (F, H, K), or (outputs, K) for the last entry."""
    (ids,), (index,) = entry.in_module_ids, entry.in_fold_idx
    vectors = np.concatenate([layers[number] for number in ids])
    return vectors[index if isinstance(index, tuple) else _numpy(index)]


def _leaves(build: ArrayBuilder, layer: Any) -> Units:
    """Add an input layer: a row of its parameters for each unit of each fold."""
    kind, variables = type(layer).__name__, _numpy(layer.scope_idx)
    if variables.shape[1] != 1:
        raise ValueError(f"a layer of the kind {kind} is over {variables.shape[1]} variables")
    if kind == "TorchEmbeddingLayer":
        tables = _numpy(layer.weight())
    elif kind == "TorchCategoricalLayer":
        tables = _numpy(layer.probs()) if layer.logits is None else np.exp(_numpy(layer.logits()))
    elif kind == "TorchBinomialLayer":
        chance = _numpy(layer.probs()) if layer.logits is None else 1 / (1 + np.exp(-_numpy(layer.logits())))
        tables = np.stack([binomial_rows(layer.total_count, one) for one in chance])
    else:
        raise ValueError(
            f"input layers of the kind {kind} have no table here; write them as rows of one entry a value"
        )
    return np.stack(
        [
            build.leaves(int(one), build.rows(table))
            for one, table in zip(variables[:, 0], tables, strict=True)
        ]
    )


def _inner(build: ArrayBuilder, layer: Any, fold: int, inputs: Units) -> Units:
    """Add one fold of a sum or product layer, whose inputs are (H, K) units."""
    kind = type(layer).__name__
    if kind == "TorchHadamardLayer":
        return build.products(list(inputs))
    if kind == "TorchKroneckerLayer":
        return build.products(_pairs(inputs))
    weights = _numpy(layer.weight())[fold]
    if kind == "TorchSumLayer":
        return build.sums(inputs.reshape(-1), weights)
    if kind == "TorchCPTLayer":
        return build.sums(build.products(list(inputs)), weights)
    if kind == "TorchTuckerLayer":
        return build.sums(build.products(_pairs(inputs)), weights.reshape(len(weights), -1))
    if kind == "TorchTensorDotLayer":
        units = inputs.reshape(
            weights.shape[1], -1
        )  # sums run over the first axis, for each place of the second
        return np.stack([build.sums(column, weights) for column in units.T]).reshape(-1)
    raise ValueError(f"layers of the kind {kind} are no sums or products of units that can be imported")


def _pairs(inputs: Units) -> list[Units]:
    """Return the factors of all combinations of one unit of each input, the last input changing fastest."""
    return [factor.reshape(-1) for factor in np.meshgrid(*inputs, indexing="ij")]


def _numpy(tensor: Any) -> NDArray[Any]:
    array: NDArray[Any] = tensor.detach().cpu().numpy()
    return array
