"""Dense kernels as sums of products: what compact layers start from. NumPy in double precision, and `tensorly`."""

from collections.abc import Sequence

import numpy as np
import tensorly as tl
from numpy.typing import NDArray
from tensorly import decomposition as _tensorly
from torch import Tensor

from neuralcodec.layers.algebra import structure

Array = NDArray[np.float64]
SWEEPS = 50
TOLERANCE = 1e-5
RIDGE = 1e-6


def as_array(kernel: Tensor) -> Array:
    """A tensor of any dtype and device as doubles in memory."""
    array: Array = kernel.detach().double().cpu().numpy()
    return array


def hypercomplex(blocks: Tensor, algebra: str, rank: int | None) -> dict[str, Array]:
    """Parameters of the hypercomplex kernel nearest to one given as `(n, n, rest)` blocks.

    Returns
    -------
    dict
        `algebra` `(n, n, n)` and `filters` `(n, rest)`, or what a rank-R algebra needs.
    """
    array = as_array(blocks)
    n = len(array)
    if rank is not None:
        return _ranked_algebra(array, rank)
    flat = array.reshape(n * n, -1)
    if algebra != "learned":
        fixed = as_array(structure(algebra))
        # sum_i A[i] = n^2 entries of size 1, each belonging to one i, n of them to each
        return {"algebra": fixed, "filters": fixed.reshape(n, n * n) @ flat / n}
    left, sizes, right = np.linalg.svd(flat, full_matrices=False)
    kept = min(n, len(sizes))
    made, filters = np.zeros((n, n * n)), np.zeros((n, flat.shape[1]))
    # The scale of random_structure: entries of the algebra have a mean square of 1/n.
    made[:kept] = left[:, :kept].T * n**0.5
    filters[:kept] = sizes[:kept, None] * right[:kept] / n**0.5
    if n == 1:
        made, filters = np.ones((1, 1)), flat
    return {"algebra": made.reshape(n, n, n), "filters": filters}


def _ranked_algebra(blocks: Array, rank: int) -> dict[str, Array]:
    n = len(blocks)
    out, into, filters = cp(blocks, rank)
    if rank <= n:
        return {"algebra_out": out, "algebra_in": into, "filters": filters.T}
    # R filters from n banks: the nearest ones
    left, sizes, right = np.linalg.svd(filters.T, full_matrices=False)
    kept = min(n, len(sizes))
    mix, banks = np.zeros((n, rank)), np.zeros((n, filters.shape[0]))
    mix[:kept], banks[:kept] = left[:, :kept].T, sizes[:kept, None] * right[:kept]
    return {"algebra_out": out, "algebra_in": into, "algebra_mix": mix, "filters": banks}


def cp(tensor: Array, rank: int, sweeps: int = SWEEPS) -> list[Array]:
    """Factors `(size, rank)` of a sum of `rank` products of vectors near to a tensor; each product's share is even.

    Exact for matrices from their rank on, and for others from `size_total / size_largest` terms on: one for each fibre
    along the largest axis. Otherwise alternating least squares, from a seed of its own.
    """
    if tensor.ndim == 2:
        return _by_svd(tensor, rank)
    largest = int(np.argmax(tensor.shape))
    exact = tensor.size // tensor.shape[largest]
    factors = _fibres(tensor, largest, rank) if rank >= exact else _least_squares(tensor, rank, sweeps)
    norms = np.stack([np.linalg.norm(factor, axis=0) for factor in factors])
    share = np.prod(norms, axis=0) ** (1 / len(factors))
    # A term that is zero keeps what factors it has: were all of them zero, it could never learn.
    scale = np.divide(share, norms, out=np.ones_like(norms), where=share > 0)
    return [factor * by for factor, by in zip(factors, scale, strict=True)]


def _least_squares(tensor: Array, rank: int, sweeps: int) -> list[Array]:
    """Alternating least squares, whose products with all factors but one are two large matrix products a sweep.

    `tensorly.decomposition.parafac` contracts term by term, which takes some fifty times as long for kernels of
    hundreds of terms.
    """
    rng = np.random.default_rng(0)
    outs, ins, *taps = tensor.shape
    by_input = np.ascontiguousarray(np.moveaxis(tensor, 1, -1)).reshape(-1, ins)
    by_output = tensor.reshape(outs, -1).T
    factors = [rng.standard_normal((size, rank)) for size in tensor.shape]
    total, before = float(np.square(tensor).sum()), np.inf
    for _ in range(sweeps):
        with_inputs = (by_input @ factors[1]).reshape(outs, *taps, rank)
        factors[0] = _solve(_contract(with_inputs, factors[2:], 0), factors, 0)
        with_outputs = (by_output @ factors[0]).reshape(ins, *taps, rank)
        factors[1] = _solve(_contract(with_outputs, factors[2:], 0), factors, 1)
        with_inputs = (by_input @ factors[1]).reshape(outs, *taps, rank)
        for mode in range(2, tensor.ndim):
            others = [factors[0], *(f for place, f in enumerate(factors[2:], 2) if place != mode)]
            right = _contract(with_inputs, others, mode - 1)
            factors[mode] = _solve(right, factors, mode)
        gram = np.prod([factor.T @ factor for factor in factors], axis=0)
        error = total - 2 * float((right * factors[-1]).sum()) + float(gram.sum())
        if before - error < TOLERANCE * total:
            break
        before = error
    return factors


def _contract(array: Array, factors: Sequence[Array], kept: int) -> Array:
    """Sum `(sizes..., rank)` times a factor of every axis but one over those axes: `(size of the one, rank)`."""
    axes = [axis for axis in range(array.ndim - 1) if axis != kept]
    for axis, factor in sorted(zip(axes, factors, strict=True), reverse=True, key=lambda pair: pair[0]):
        shape = [1] * array.ndim
        shape[axis], shape[-1] = factor.shape
        array = (array * factor.reshape(shape)).sum(axis=axis)
    return array


def _solve(right: Array, factors: Sequence[Array], mode: int) -> Array:
    """Least-squares factor of a mode; a little of a ridge keeps terms from growing against each other."""
    gram = np.prod([f.T @ f for place, f in enumerate(factors) if place != mode], axis=0)
    ridge = RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram))
    solved: Array = np.linalg.solve(gram + ridge, right.T).T
    return solved


def _by_svd(matrix: Array, rank: int) -> list[Array]:
    left, sizes, right = np.linalg.svd(matrix, full_matrices=False)
    share = sizes[:rank] ** 0.5
    return [left[:, :rank] * share, right[:rank].T * share]


def _fibres(tensor: Array, largest: int, rank: int) -> list[Array]:
    """The trivial sum: a fibre times a unit vector of every other axis; what terms are left over are zero."""
    others = [size for axis, size in enumerate(tensor.shape) if axis != largest]
    places = np.indices(others).reshape(len(others), -1)
    factors = []
    for axis, size in enumerate(tensor.shape):
        factor = np.zeros((size, rank))
        if axis == largest:
            factor[:, : places.shape[1]] = np.moveaxis(tensor, largest, 0).reshape(size, -1)
        else:
            place = places[axis - (axis > largest)]
            factor[np.resize(place, rank), np.arange(rank)] = 1
        factors.append(factor)
    return factors


def nested_svd(kernels: Array) -> tuple[list[Array], Array]:
    """Each kernel of a batch `(batch, k_1, k_2, ...)` as a sum of orthogonal products of unit one-way filters.

    The singular value decomposition along the first axis, then of each right vector along the next, and so on.

    Returns
    -------
    filters
        `(batch, terms, k_a)` of each axis.
    weights
        `(batch, terms)`, falling; their squares add up to the kernel's.
    """
    if kernels.ndim == 2:
        weights = np.linalg.norm(kernels, axis=1)
        return [(kernels / np.maximum(weights, 1e-300)[:, None])[:, None]], weights[:, None]
    batch, size, *rest = kernels.shape
    left, sizes, right = np.linalg.svd(kernels.reshape(batch, size, -1), full_matrices=False)
    terms = sizes.shape[1]
    inner, weights = nested_svd(right.reshape(batch * terms, *rest))
    count = weights.shape[1]
    weights = (weights.reshape(batch, terms, count) * sizes[..., None]).reshape(batch, -1)
    first = np.repeat(left.transpose(0, 2, 1), count, axis=1)
    filters = [first, *(one.reshape(batch, terms * count, -1) for one in inner)]
    order = np.argsort(-weights, axis=1, kind="stable")
    filters = [np.take_along_axis(one, order[..., None], axis=1) for one in filters]
    return filters, np.take_along_axis(weights, order, axis=1)


def tucker(
    tensor: Array, ranks: Sequence[int], axes: Sequence[int], sweeps: int
) -> tuple[Array, list[Array]]:
    """Core and orthonormal factors `(size, rank)` along some axes: HOSVD, then sweeps of HOOI."""
    with tl.backend_context("numpy", local_threadsafe=True):
        (core, factors), _ = _tensorly.partial_tucker(
            tensor, list(ranks), modes=list(axes), n_iter_max=sweeps, svd=_gram_svd, tol=TOLERANCE
        )
    return core, factors


def _gram_svd(matrix: Array, n_eigenvecs: int, **_: object) -> tuple[Array, Array, Array]:
    """Singular vectors of a wide matrix by way of its Gram matrix: many times faster, and exact enough for HOSVD."""
    squares, vectors = np.linalg.eigh(matrix @ matrix.T)
    left = vectors[:, : -n_eigenvecs - 1 : -1]
    sizes = np.sqrt(np.maximum(squares[: -n_eigenvecs - 1 : -1], 0))
    return left, sizes, left.T @ matrix / np.maximum(sizes, 1e-300)[:, None]
