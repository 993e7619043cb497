"""Unnormalised circuits made locally normalised: one pass from the leaves to the root, in log space.

The value of a unit summed over all samples is its partition function Z. Scaling the weight of input c of a
sum u to w_c Z_c / Z_u, and every leaf's row to sum 1, leaves the distribution as it is and makes every unit
one itself (Peharz et al., On theoretical properties of sum-product networks, AISTATS 2015).
"""

import numpy as np
from numpy.typing import NDArray

from neuralcodec.circuits.arrays import LEAF, PRODUCT, SUM, CircuitArrays
from neuralcodec.circuits.regions import Regions, edges_of

FloatArray = NDArray[np.float64]


def log_partition(arrays: CircuitArrays, regions: Regions) -> FloatArray:
    """Return the natural logarithm of each unit's partition function, (U,); zeros if weights are relative.

    >>> from neuralcodec.circuits.regions import find_regions
    >>> coin = CircuitArrays([0, 2], [0, 0, 1], [0], [3.0], [0, -1], [0, -1], [0, 2], [0.5, 1.5], root=1)
    >>> np.exp(log_partition(coin, find_regions(coin))).round(9).tolist()
    [2.0, 6.0]
    """
    result: FloatArray = np.zeros(arrays.units)
    if arrays.relative:
        return result
    rows = _log_sums(arrays.table, arrays.row_indptr)
    for start, stop in regions.blocks:
        units = np.arange(start, stop)
        kind = arrays.kind[units]
        leaves, products, sums = units[kind == LEAF], units[kind == PRODUCT], units[kind == SUM]
        result[leaves] = rows[arrays.row[leaves]]
        if products.size:
            edges, starts = edges_of(arrays.indptr, products)
            result[products] = np.add.reduceat(result[regions.child[edges]], starts)
        if sums.size:
            edges, starts = edges_of(arrays.indptr, sums)
            terms = _log(arrays.weight[edges]) + result[regions.child[edges]]
            peaks = np.maximum.reduceat(terms, starts)
            counts = np.diff(arrays.indptr)[sums]
            result[sums] = peaks + np.log(np.add.reduceat(np.exp(terms - np.repeat(peaks, counts)), starts))
    return result


def scaled_weights(arrays: CircuitArrays, regions: Regions) -> FloatArray:
    """Return the (E,) weights of a circuit all of whose units are normalised, up to a factor for each sum.

    A sum whose inputs have one partition function keeps its weights to the bit.
    """
    logs = log_partition(arrays, regions)
    weight = arrays.weight.copy()
    sums = np.flatnonzero(arrays.kind == SUM)
    if arrays.relative or not sums.size:
        return weight
    edges, starts = edges_of(arrays.indptr, sums)
    inputs, counts = logs[regions.child[edges]], np.diff(arrays.indptr)[sums]
    uneven = np.minimum.reduceat(inputs, starts) != np.maximum.reduceat(inputs, starts)
    scaled = np.exp(_log(arrays.weight[edges]) + inputs - np.repeat(logs[sums], counts))
    weight[edges] = np.where(np.repeat(uneven, counts), scaled, arrays.weight[edges])
    return weight


def _log_sums(values: FloatArray, indptr: NDArray[np.int64]) -> FloatArray:
    """Return the logarithm of the sum of each row, which may itself be too large for a float."""
    if len(indptr) < 2:
        return np.zeros(0)
    peaks = np.maximum.reduceat(values, indptr[:-1])
    scaled = np.add.reduceat(values / np.repeat(peaks, np.diff(indptr)), indptr[:-1])
    return _log(peaks) + _log(scaled)


def _log(values: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore"):
        result: FloatArray = np.log(values)
    return result
