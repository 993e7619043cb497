"""Python face of the C++ kernels: tensor bodies, the coding walk, relative entropy coding, EM, sine networks.

Everything here takes and gives numpy arrays and bytes, and knows neither files nor models. Coding, decoding and the
sums of EM release the GIL; arguments are checked, and a circuit's tables expanded, while it is held. The arithmetic
that steers a coder is specified in docs/format.md.
"""

import os
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from neuralcodec.errors import CorruptFile, InvalidModel, NeuralCodecError, UnsupportedInput

try:
    from neuralcodec.native import _native as _native
except ImportError as error:
    raise ImportError(
        "the compiled kernels of neuralcodec are not beside this package; in a clone, run "
        "`pip install -e .`, or start Python in another folder to use the installed package"
    ) from error

__all__ = [
    "CircuitKernel",
    "Learner",
    "decode_tensor",
    "decode_weights",
    "encode_tensor",
    "maximisation",
    "pack_transitions",
    "philox",
    "relative_sample",
    "relative_select",
    "simd",
    "siren_gradient",
    "siren_outputs",
    "thread_count",
    "weight_coder",
    "weight_models",
]


def simd() -> str:
    """Name of the instruction set that the coding kernels use: "scalar", "avx2", "avx512" or "avx512vnni".

    The environment variable NEURALCODEC_SIMD forces one. All of them give the same bytes.

    Raises:
        NeuralCodecError: NEURALCODEC_SIMD names a path that this processor does not have.
    """
    try:
        return str(_native.simd(os.environ.get("NEURALCODEC_SIMD", "")))
    except ValueError as error:
        raise NeuralCodecError(f"{error}; unset it or choose scalar, avx2, avx512 or avx512vnni") from None


def thread_count(threads: int | None = None) -> int:
    """Number of threads to use: ``threads``, else NEURALCODEC_THREADS, else the cores this process may run on."""
    if threads is None:
        text = os.environ.get("NEURALCODEC_THREADS", "")
        if not text:
            return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        threads = int(text) if text.isascii() and text.isdigit() else 0
    if threads < 1:
        raise NeuralCodecError(
            "the number of threads (or NEURALCODEC_THREADS) must be a whole number from 1 up"
        )
    return min(threads, 256)


def encode_tensor(values: NDArray[Any]) -> bytes:
    """Code a matrix of integers in [0, 2^23) as a tensor body (docs/format.md, section 6).

    >>> body = encode_tensor(np.eye(28, dtype=np.uint8))
    >>> bool((decode_tensor(body, 28, 28) == np.eye(28)).all())
    True

    Raises:
        UnsupportedInput: not a matrix of integers in that range.
    """
    if values.ndim != 2 or values.dtype.kind not in "biu":
        raise UnsupportedInput(
            f"a tensor body holds a matrix of integers, not {values.ndim}-d {values.dtype}"
        )
    if values.size and (int(values.min()) < 0 or int(values.max()) >= 1 << 23):
        raise UnsupportedInput(f"tensor elements must be in [0, 2^23), not {values.min()} to {values.max()}")
    return bytes(_native.encode_tensor(np.ascontiguousarray(values, dtype=np.uint32)))


def decode_tensor(body: bytes, rows: int, cols: int, threads: int | None = None) -> NDArray[Any]:
    """Decode a tensor body to a (rows, cols) matrix of uint8, or uint32 if it has large elements.

    Raises:
        CorruptFile: the body is not well formed; nothing larger than the limits of the format is allocated.
    """
    if rows == 0 and cols == 0 and not body:
        return np.zeros((0, 0), np.uint8)
    try:
        result: NDArray[Any] = _native.decode_tensor(bytes(body), rows, cols, thread_count(threads))
    except ValueError as error:
        raise CorruptFile(str(error), section="tensor") from None
    return result


def _structure(*arrays: NDArray[Any], support: NDArray[np.bool_] | None) -> Any:
    blocks = np.zeros(0, np.uint8) if support is None else np.ascontiguousarray(support, dtype=np.uint8)
    return _native.Structure(blocks, *(np.ascontiguousarray(a, dtype=np.int32) for a in arrays))


def pack_transitions(
    parent: NDArray[Any],
    variable: NDArray[Any],
    states: NDArray[Any],
    alphabet: NDArray[Any],
    emission: NDArray[Any],
    basis_size: NDArray[Any],
    transition: NDArray[np.uint16],
) -> tuple[NDArray[np.bool_], NDArray[np.uint16]]:
    """Leave out the blocks of 4 x 4 transitions whose levels are all 0 (arguments as for :class:`CircuitKernel`).

    Returns:
        The support, bool, block row by block row, and the levels that are left, row by row.
    """
    structure = _structure(parent, variable, states, alphabet, emission, basis_size, support=None)
    support, packed = _native.pack_transitions(structure, np.ascontiguousarray(transition, dtype=np.uint16))
    return support.astype(np.bool_), packed


class CircuitKernel:
    """A circuit expanded for coding: encodes and decodes groups of signals in one O(|p|) walk each.

    Args:
        parent, variable, states, alphabet, emission: structure, int32; nodes in depth-first preorder, parent[0] = -1,
            variable -1 and emission -1 for silent nodes, emission 0 for free emissions, b + 1 for shared basis b.
        root, transition, weight, free, basis: uint16 levels, rows in node order (docs/format.md, 7.1).
        basis_size: int32, distributions in each shared basis.
        support: bool, the blocks of 4 x 4 transitions that are stored, None for all
            (:class:`neuralcodec.circuits.structure.TreeStructure`).
        floor: entries of a prior message are at least 2^-floor; 0: no floor.

    Raises:
        InvalidModel: the arrays break a rule of the format; the message names the node.
    """

    def __init__(
        self,
        parent: NDArray[Any],
        variable: NDArray[Any],
        states: NDArray[Any],
        alphabet: NDArray[Any],
        emission: NDArray[Any],
        root: NDArray[Any],
        transition: NDArray[Any],
        weight: NDArray[Any],
        free: NDArray[Any],
        basis: NDArray[Any],
        basis_size: NDArray[Any],
        support: NDArray[np.bool_] | None = None,
        floor: int = 0,
    ) -> None:
        self.variables = len(alphabet)
        structure = _structure(parent, variable, states, alphabet, emission, basis_size, support=support)
        levels = (np.ascontiguousarray(a, dtype=np.uint16) for a in (root, transition, weight, free, basis))
        try:
            self._coder = _native.CircuitCoder(structure, floor, *levels)
        except ValueError as error:
            raise InvalidModel(str(error)) from None

    def encode(
        self, x: NDArray[np.uint16], missing: NDArray[np.uint8] | None, group: int, threads: int | None = None
    ) -> list[bytes]:
        """Coder bytes of each group of ``group`` signals.

        Args:
            x: (n, D) uint16 samples.
            missing: (n, D) uint8, nonzero where a sample is not to be coded, or None.
        """
        samples = np.ascontiguousarray(x, dtype=np.uint16)
        try:
            return list(self._coder.encode(samples, _mask(missing), group, thread_count(threads), simd()))
        except ValueError as error:
            raise UnsupportedInput(str(error)) from None

    def decode(
        self,
        groups: Sequence[bytes],
        n: int,
        missing: NDArray[np.uint8] | None,
        group: int,
        threads: int | None = None,
    ) -> NDArray[np.uint16]:
        """Samples (n, D) of the groups that :meth:`encode` made.

        Raises:
            CorruptFile: a group's bytes are not canonical, or its coder is not empty at the end.
        """
        try:
            x, corrupt = self._coder.decode(
                list(groups), n, _mask(missing), group, thread_count(threads), simd()
            )
        except ValueError as error:
            raise CorruptFile(str(error), section="payload") from None
        if corrupt:
            raise CorruptFile(
                f"the coder of group {corrupt[0]} of {len(groups)} does not end empty", section="payload"
            )
        result: NDArray[np.uint16] = x
        return result

    def tables(self, x: NDArray[np.uint16], missing: NDArray[np.uint8] | None = None) -> NDArray[np.uint32]:
        """Integer cumulative tables under which one group of signals ``x`` is coded.

        Returns:
            (coded samples, largest alphabet + 1) uint32, in coding order: variable by variable in node order, signal by
            signal. Symbol s of a row owns [row[s], row[s + 1]); beyond its alphabet a row is filled with 2^24.
        """
        samples = np.ascontiguousarray(x, dtype=np.uint16)
        result: NDArray[np.uint32] = self._coder.tables(samples, _mask(missing), simd())
        return result


def _mask(missing: NDArray[Any] | None) -> NDArray[np.uint8] | None:
    return None if missing is None else np.ascontiguousarray(missing, dtype=np.uint8)


FlatArrays = tuple[
    NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]
]


class Learner:
    """The expectation step of EM on one structure (arguments as for :class:`CircuitKernel`)."""

    def __init__(
        self,
        parent: NDArray[Any],
        variable: NDArray[Any],
        states: NDArray[Any],
        alphabet: NDArray[Any],
        emission: NDArray[Any],
        basis_size: NDArray[Any],
        support: NDArray[np.bool_] | None = None,
    ) -> None:
        try:
            self._learner = _native.Learner(
                _structure(parent, variable, states, alphabet, emission, basis_size, support=support)
            )
        except ValueError as error:
            raise InvalidModel(str(error)) from None

    def log_likelihood(
        self,
        parameters: FlatArrays,
        x: NDArray[Any],
        missing: NDArray[Any] | None = None,
        *,
        tile: int = 64,
        threads: int | None = None,
    ) -> NDArray[np.float64]:
        """Natural-log likelihood of each of the (n, D) signals ``x``, float64 (n,)."""
        samples = np.ascontiguousarray(x, dtype=np.uint16)
        ll: NDArray[np.float64] = self._learner.expectation(
            *parameters, samples, _mask(missing), None, tile, thread_count(threads)
        )
        return ll

    def expectation(
        self,
        parameters: FlatArrays,
        x: NDArray[Any],
        missing: NDArray[Any] | None = None,
        *,
        tile: int = 64,
        threads: int | None = None,
        out: FlatArrays | None = None,
    ) -> tuple[NDArray[np.float64], FlatArrays]:
        """Log likelihoods, and the sums over signals of posterior / parameter in the parameters' layout.

        A sum times its parameter is the parameter's expected count. The result depends on ``tile`` and ``threads`` only
        through the order of float32 additions, and is the same for the same values of both. ``out`` takes the sums
        where it is given, which saves the memory's allocation in a loop.
        """
        samples = np.ascontiguousarray(x, dtype=np.uint16)
        counts = out or cast(FlatArrays, tuple(np.empty(p.shape, np.float32) for p in parameters))
        ll = self._learner.expectation(
            *parameters, samples, _mask(missing), counts, tile, thread_count(threads)
        )
        return ll, counts


def maximisation(
    theta: NDArray[np.float32],
    statistics: NDArray[np.float32],
    counts: NDArray[np.float32],
    offset: NDArray[np.int64],
    *,
    rate: float,
    scale: float,
    pseudocount: float,
    threads: int | None = None,
) -> None:
    """Stepwise M-step, in place, of a flat array of rows, row r being [offset[r], offset[r + 1]).

    statistics <- (1 - rate) statistics + rate * scale * counts * theta; theta <- statistics + pseudocount / length,
    normalised by row (online EM: Cappé and Moulines 2009, equation 15).
    """
    _native.maximisation(theta, statistics, counts, offset, rate, scale, pseudocount, thread_count(threads))


def philox(key: NDArray[np.uint32], counters: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Words (n, 4) that Philox4x32-10 gives for counters (n, 4) under a key of 2 words."""
    words: NDArray[np.uint32] = _native.philox(key, counters, simd())
    return words


def relative_sample(
    key: NDArray[np.uint32],
    table: NDArray[np.int32],
    number: NDArray[np.uint32],
    offset: NDArray[np.int64],
    index: NDArray[np.uint32],
    threads: int | None = None,
) -> NDArray[np.float32]:
    """Standard normals of candidate ``index[j]`` of block ``number[j]``, at ``[offset[j], offset[j + 1])``.

    Args:
        key: uint32 (2,), the seed, its low word first.
        table: :func:`neuralcodec.entropy.tables.load_normal`.
        number, index: uint32, one for each block.
        offset: int64, from 0 up.
    """
    z: NDArray[np.float32] = _native.relative_sample(
        key, table, number, offset, index, thread_count(threads), simd()
    )
    return z


def relative_select(
    key: NDArray[np.uint32],
    table: NDArray[np.int32],
    number: NDArray[np.uint32],
    offset: NDArray[np.int64],
    target: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]],
    count: int,
    weight: float,
    threads: int | None = None,
) -> NDArray[np.uint32]:
    """Index, of ``count`` candidates, that A* coding chooses for each block (arguments as above).

    Args:
        target: centre m, steepness k and peak of each dimension: its log ratio is ``z^2 / 2 - (k (z - m))^2`` and a
            constant, and never more than its peak.
        weight: of the logarithm of the arrival times, from 0 up; 1 in A* coding.
    """
    index: NDArray[np.uint32] = _native.relative_select(
        key, table, number, offset, *target, count, weight, thread_count(threads), simd()
    )
    return index


def siren_outputs(
    widths: Sequence[int],
    features: NDArray[np.float32],
    own: NDArray[np.float32],
    parameters: NDArray[np.float32],
    threads: int | None = None,
) -> NDArray[np.float32]:
    """Outputs of sine networks (SIREN), one for each signal.

    Args:
        widths: values that enter each layer, and those that leave the last.
        features: (points, f), inputs that all signals have in common.
        own: (signals, points, widths[0] - f), each signal's other inputs.
        parameters: (signals, n): for each layer the biases, then the weights (in x out). Sines follow all but the last.
        threads: signals run in parallel.

    Returns:
        (signals, points, widths[-1]), equal to the last places on all machines, not beyond.
    """
    out: NDArray[np.float32] = _native.siren_outputs(
        list(widths), features, own, parameters, thread_count(threads)
    )
    return out


def siren_gradient(
    widths: Sequence[int],
    features: NDArray[np.float32],
    own: NDArray[np.float32],
    parameters: NDArray[np.float32],
    target: NDArray[np.float32],
    threads: int | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Summed squared error of each signal's sine network, and its gradients.

    Args:
        widths, features, own, parameters, threads: as for :func:`siren_outputs`.
        target: (signals, points, widths[-1]).

    Returns:
        The errors, (signals,), and their gradients for `own` and for `parameters`.
    """
    error, own_gradient, gradient = _native.siren_gradient(
        list(widths), features, own, parameters, target, thread_count(threads)
    )
    return error, own_gradient, gradient


def weight_coder(gaussian: NDArray[Any], laplace: NDArray[Any]) -> Any:
    """Coder of weights (docs/format.md, section 10) over the shipped tails of two distributions."""
    return _native.WeightCoder(
        np.ascontiguousarray(gaussian, dtype=np.uint32), np.ascontiguousarray(laplace, dtype=np.uint32)
    )


def decode_weights(
    coder: Any,
    parameters: bytes,
    stored: bytes,
    blocks: Sequence[bytes],
    layouts: Sequence[tuple[int, ...]],
    step: float,
    threads: int,
    section: str,
) -> list[tuple[NDArray[np.uint8], int]]:
    """Bytes of each tensor of a record, and the bits that it takes of the blocks and stored bytes.

    Raises:
        CorruptFile: the parts break a rule of the format; it names `section`.
    """
    try:
        return list(coder.decode(parameters, stored, list(blocks), list(layouts), step, threads))
    except ValueError as error:
        raise CorruptFile(str(error), section) from None


def weight_models(
    coder: Any, parameters: bytes, layouts: Sequence[tuple[int, ...]], section: str
) -> list[dict[str, Any]]:
    """Parameters of each tensor of a record; errors as above."""
    try:
        return list(coder.models(parameters, list(layouts)))
    except ValueError as error:
        raise CorruptFile(str(error), section) from None
