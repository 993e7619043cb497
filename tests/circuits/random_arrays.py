"""Random structured-decomposable circuits as arrays, and a slow evaluator that takes them at their word."""

import itertools

import numpy as np
from numpy.typing import NDArray

from neuralcodec.circuits.array_builder import ArrayBuilder
from neuralcodec.circuits.arrays import LEAF, PRODUCT, CircuitArrays


def evaluate(arrays: CircuitArrays, x: NDArray) -> NDArray[np.float64]:
    """Value of the root for each of (n, D) signals, unit by unit, as docs/import.md defines it."""
    values: list[NDArray[np.float64]] = []
    for unit in range(arrays.units):
        edges = slice(arrays.indptr[unit], arrays.indptr[unit + 1])
        inputs = [values[child] for child in arrays.child[edges]]
        weights = arrays.weight[edges]
        if arrays.kind[unit] == LEAF:
            start, stop = arrays.row_indptr[arrays.row[unit] : arrays.row[unit] + 2]
            row = arrays.table[start:stop]
            row = row / row.sum() if arrays.relative else row
            values.append(row[x[:, arrays.variable[unit]]])
        elif arrays.kind[unit] == PRODUCT:
            values.append(np.prod(inputs, axis=0))
        else:
            weights = weights / weights.sum() if arrays.relative else weights
            values.append(sum(w * v for w, v in zip(weights, inputs, strict=True)))
    return values[arrays.root]


def every_signal(alphabet: list[int]) -> NDArray[np.int64]:
    return np.array(list(itertools.product(*map(range, alphabet))))


def alphabet_of(arrays: CircuitArrays) -> list[int]:
    result = {}
    for unit in np.flatnonzero(arrays.kind == LEAF):
        row = arrays.row[unit]
        result[int(arrays.variable[unit])] = int(arrays.row_indptr[row + 1] - arrays.row_indptr[row])
    return [result[variable] for variable in range(len(result))]


def random_arrays(
    seed: int, variables: int = 4, *, relative: bool = False, single: float = 0.3
) -> CircuitArrays:
    """A random vtree: products of two or more, sums of sums, rows in common and, by chance, products of one."""
    rng = np.random.default_rng(seed)
    build = ArrayBuilder(relative=relative)
    alphabets = rng.integers(1, 4, variables)
    pool = {size: build.rows(_weights(rng, (2, size))) for size in range(1, 4)}

    def region(samples: list[int]) -> list[int]:
        units = base(samples)
        for _ in range(rng.integers(0, 3)):
            if rng.random() < single:
                units += build.products([[unit] for unit in rng.choice(units, 1)]).tolist()
            count = int(rng.integers(1, 4))
            # Some levels mix all that is below, others leave units for the level above.
            inputs = rng.permutation(units)[: rng.integers(1, len(units) + 1)]
            units += build.sums(inputs, _weights(rng, (count, len(inputs)))).tolist()
        return units

    def base(samples: list[int]) -> list[int]:
        if len(samples) == 1:
            size = int(alphabets[samples[0]])
            own = build.rows(_weights(rng, (int(rng.integers(1, 3)), size)))
            rows = [own, pool[size], np.concatenate([own, pool[size]])][rng.integers(3)]
            return build.leaves(samples[0], rows).tolist()
        cuts = np.sort(
            rng.choice(np.arange(1, len(samples)), int(rng.integers(1, min(3, len(samples)))), False)
        )
        parts = [region(part.tolist()) for part in np.split(rng.permutation(samples), cuts)]
        count = int(rng.integers(1, 5))
        return [
            int(build.products([[rng.choice(part)] for part in rng.permutation(np.array(parts, object))])[0])
            for _ in range(count)
        ]

    top = region(list(range(variables)))
    root = build.sums(top, _weights(rng, (1, len(top))))[0] if rng.random() < 0.8 else top[-1]
    return build.build(int(root)).pruned()


def _weights(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
    weights = rng.gamma(0.7, size=shape) * (rng.random(shape) < 0.8) * 10 ** rng.uniform(-2, 2)
    weights[np.arange(shape[0]), rng.integers(shape[1], size=shape[0])] += 0.05
    return weights
