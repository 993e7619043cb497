"""From what callers pass to what codecs take: C-contiguous integers in native byte order, and a mask."""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuralcodec.codec import Codec
from neuralcodec.container.sections import unpack_mask
from neuralcodec.container.signal import DTYPES, SignalType, dtype_code
from neuralcodec.errors import CorruptFile, NeuralCodecError, UnsupportedInput

if TYPE_CHECKING:
    from neuralcodec.zoo import ModelEntry


@dataclass(frozen=True)
class Samples:
    """Signals of one shape, (n, *shape): their values, 0 where missing, and which are missing (or None)."""

    values: NDArray[Any]
    missing: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def kind(self) -> SignalType:
        """Shape and dtype of one signal."""
        return SignalType(self.values.shape[1:], self.values.dtype)

    def part(self, start: int, stop: int) -> "Samples":
        """Return a copy of the signals from `start` to `stop`."""
        missing = None if self.missing is None else self.missing[start:stop].copy()
        return Samples(self.values[start:stop].copy(), missing)


def one_signal(x: Any) -> Samples:
    """Return one signal as a batch of one.

    Raises
    ------
    UnsupportedInput
        Not an array, not of integers or bools, empty, or a single number.

    >>> one_signal([[1, 2], [3, 4]]).kind.shape
    (2, 2)
    """
    array = _as_array(x)
    if array.ndim == 0:
        raise UnsupportedInput("a single number is not a signal: pass an array with one or more axes")
    if array.size == 0:
        raise UnsupportedInput(f"the signal of shape {array.shape} is empty: there is nothing to code")
    return _as_samples(array[None])


def many_signals(xs: Any, batch: int = 1024, *, batched: bool = False) -> Iterator[Samples]:
    """Yield batches of signals: slices of an array (n, *shape), or each item of another iterable.

    Parameters
    ----------
    xs
        The array, or the iterable of signals.
    batch
        Most signals in a slice.
    batched
        Whether the items of an iterable are arrays (n, *shape) rather than signals.

    Raises
    ------
    UnsupportedInput
        As in :func:`one_signal`, naming the signal (or the batch).
    """
    if isinstance(xs, np.ndarray):
        yield from _slices(xs, batch)
        return
    if not isinstance(xs, Iterable) or isinstance(xs, str | bytes):
        raise UnsupportedInput(
            f"signals are an array (n, ...) or an iterable of arrays, not {type(xs).__name__}"
        )
    for number, x in enumerate(xs):
        try:
            if batched:
                yield from _slices(_as_array(x), batch)
            else:
                yield one_signal(x)
        except UnsupportedInput as error:
            raise UnsupportedInput(f"{'batch' if batched else 'signal'} {number}: {error}") from None


def _slices(xs: NDArray[Any], batch: int) -> Iterator[Samples]:
    if xs.shape == (0,):
        return
    if xs.ndim < 2:
        raise UnsupportedInput(
            f"the first axis counts signals, so an array of shape {xs.shape} holds none: pass x[None] for one"
        )
    if 0 in xs.shape[1:]:
        raise UnsupportedInput(f"signals of shape {xs.shape[1:]} are empty: there is nothing to code")
    for start in range(0, max(len(xs), 1), batch):
        yield _as_samples(xs[start : start + batch])


def join(batches: list[Samples]) -> Samples:
    """Return batches of one shape and dtype as one; a mask in which nothing is missing is dropped."""
    values = np.concatenate([batch.values for batch in batches]) if len(batches) > 1 else batches[0].values
    if not any(batch.missing is not None and batch.missing.any() for batch in batches):
        return Samples(values)
    masks = [np.zeros(b.values.shape, np.bool_) if b.missing is None else b.missing for b in batches]
    return Samples(values, np.concatenate(masks))


def check_accepted(codec: Codec, samples: Samples, first: int | None = None) -> None:
    """Refuse signals that the codec does not take, saying what it takes, what takes them, and what to do.

    Parameters
    ----------
    codec, samples
        The codec and the signals.
    first
        Number of the first of them in an archive, or None for a single signal.

    Raises
    ------
    UnsupportedInput
        See above.
    """
    fault = codec.accepts_many(samples.values)
    if fault is None and samples.missing is not None and not codec.masks:
        fault = 0, "it has missing samples, which the codec cannot leave out: fill them (x.filled(0))"
    if fault is None:
        return
    number, reason = fault
    subject = "this signal" if first is None else f"signal {first + number}"
    name = (codec.model.header.get("name") if codec.model is not None else None) or codec.name
    raise UnsupportedInput(
        f"{name} takes {codec.takes}; {subject} does not fit: {reason}. {_advice(codec, samples.kind)}"
    )


def masked(values: NDArray[Any], missing: NDArray[np.bool_] | None) -> NDArray[Any]:
    """Return the values, as a masked array if any sample is missing."""
    if missing is None or not missing.any():
        return values
    array: NDArray[Any] = np.ma.MaskedArray(values, missing)
    return array


def read_mask(codec: Codec, body: bytes, shape: tuple[int, ...], n: int) -> NDArray[np.bool_]:
    """Return which samples of n signals are missing, (n, *shape), from the content of a mask section."""
    if not codec.masks:
        raise CorruptFile(f"the codec {codec.name!r} cannot leave out samples", "mask")
    return unpack_mask(body, shape, n)


def check_decoded(values: NDArray[Any], shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Refuse what a codec decoded if it is not of the shape and dtype that the file says."""
    if values.shape != shape or values.dtype != dtype:
        raise CorruptFile(
            f"decodes to {values.shape} {values.dtype}, but the file says {shape} {dtype}", "payload"
        )


def _as_array(x: Any) -> NDArray[Any]:
    if isinstance(x, np.ndarray):
        return x
    try:
        return np.asarray(x)
    except (TypeError, ValueError) as error:
        raise UnsupportedInput(f"{type(x).__name__} is not an array of numbers: {error}") from None


def _as_samples(array: NDArray[Any]) -> Samples:
    dtype = DTYPES[dtype_code(array.dtype)]
    # numpy imports its masked arrays only when they are asked for, and so do we.
    missing = None
    if "numpy.ma" in sys.modules and isinstance(array, np.ma.MaskedArray):
        holes = np.ma.getmaskarray(array)
        if holes.any():
            missing = np.ascontiguousarray(holes)
            array = array.filled(0)
    return Samples(np.ascontiguousarray(np.asarray(array), dtype), missing)


def _advice(codec: Codec, kind: SignalType) -> str:
    """Return what to do about a signal of a kind that the codec refused."""
    from neuralcodec.zoo import list_models

    own = codec.signal
    if own is not None and own.squeezed() == kind.squeezed():
        return "Change the samples, or train a model on such signals (neuralcodec train)."
    fitting = [entry.name for entry in list_models() if _fits(entry, kind)]
    takers = f"Models that take {kind}: {', '.join(fitting)}." if fitting else f"No model here takes {kind}."
    return f"{takers} Convert it first (on the command line: --resize, --grayscale), or train a model."


def _fits(entry: "ModelEntry", kind: SignalType) -> bool:
    try:
        signal = entry.signal
    except (NeuralCodecError, OSError):  # a damaged file among the user's models is another matter
        return False
    return signal is not None and signal.squeezed() == kind.squeezed()
