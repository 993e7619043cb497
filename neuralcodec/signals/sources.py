"""From inputs to signals: files and folders are found, told apart by their first bytes, and read."""

import contextlib
import mmap
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from io import BufferedReader
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuralcodec.container.files import refuse_endless
from neuralcodec.errors import UnsupportedInput
from neuralcodec.signals import arrays, idx, images, wav
from neuralcodec.signals.kinds import STDIN, is_signal_name, standard_input
from neuralcodec.signals.signal import CHANNELS, Signal, Wanted, check_fit

if TYPE_CHECKING:
    from neuralcodec.signals.streams import Stream

_MMAP_FROM = 1 << 26  # bytes; smaller files are simply read


def expand(inputs: Sequence[str]) -> list[str]:
    """List the files that inputs name: folders are searched through, in sorted order, for names of signals.

    Raises
    ------
    FileNotFoundError
        If an input does not exist.
    UnsupportedInput
        If a folder holds no signals.
    """
    files: list[str] = []
    for path in inputs:
        if path == STDIN or not os.path.isdir(path):
            if path != STDIN:
                os.stat(path)
            files.append(path)
            continue
        found = sorted(_walk(path), key=lambda file: file.split(os.sep))
        if not found:
            raise UnsupportedInput(f"{path}: no images, .npy, .npz, IDX or WAV files in this folder")
        files.extend(found)
    return files


def _walk(folder: str) -> Iterator[str]:
    def fail(error: OSError) -> None:
        raise error

    for parent, folders, names in os.walk(folder, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (os.path.join(parent, name) for name in names if is_signal_name(name))


def read_bytes(path: str) -> bytes | memoryview:
    """Return a whole file's bytes, mapped rather than read if it is large; ``-`` is standard input."""
    if path == STDIN:
        return standard_input().read()
    with open(path, "rb") as file:
        refuse_endless(file, path)
        if os.fstat(file.fileno()).st_size < _MMAP_FROM:
            return file.read()
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def stream_signals(
    path: str, wanted: Wanted, *, raw: bool = False
) -> tuple[list[Signal] | Iterator[Signal], int | None]:
    """Return the signals of one input, and their number if it is known; those of a pipe come as they are read.

    Parameters
    ----------
    path
        A file, or ``-`` for standard input.
    wanted
        What the model takes, and the conversions that were asked for.
    raw
        Whether the input holds nothing but samples of the model's shape and dtype, little-endian.

    Raises
    ------
    UnsupportedInput
        As for :func:`read_signals`; where an array ends early, when that is read.
    """
    if raw:
        return _streamed(path, wanted, None), None
    if path != STDIN:
        signals = read_signals(path, wanted)
        return signals, sum(map(len, signals))
    from neuralcodec.signals.streams import HEAD, Rewound, open_stream

    file = Rewound(standard_input(), HEAD)
    stream = open_stream(file, "standard input", wanted)
    if stream is not None:
        return _streamed(path, wanted, stream), stream.count
    signals = _fitting(file.read(), path, wanted)
    return signals, sum(map(len, signals))


def _streamed(path: str, wanted: Wanted, stream: "Stream | None") -> Iterator[Signal]:
    """Yield the batches of a stream, or without one of the raw samples in a file."""
    from neuralcodec.signals.streams import open_raw

    source = "standard input" if path == STDIN else path
    with contextlib.nullcontext(standard_input()) if path == STDIN else open(path, "rb") as file:
        if isinstance(file, BufferedReader) and path != STDIN:
            refuse_endless(file, path)
        for batch in (stream or open_raw(file, source, wanted)).batches:
            signal = _convert(Signal(batch, True, source), wanted)
            check_fit(signal, wanted)
            yield signal


def read_signals(path: str, wanted: Wanted) -> list[Signal]:
    """Read every signal of one file, as the model wants them or not at all.

    Parameters
    ----------
    path
        An image, .npy, .npz, IDX (plain or gzipped) or WAV file, or ``-`` for one of these on standard input.
    wanted
        The model's shape and dtype, which tell a stack from a signal, and the conversions to make.

    Returns
    -------
    list of Signal
        One, or as many as a .npz file holds arrays.

    Raises
    ------
    UnsupportedInput
        If the file cannot be read, or holds an image that the model does not take.
    OSError
        If the file cannot be opened.
    """
    return _fitting(read_bytes(path), path, wanted)


def _fitting(data: bytes | memoryview, path: str, wanted: Wanted) -> list[Signal]:
    source = "standard input" if path == STDIN else path
    signals = [_convert(signal, wanted) for signal in _read(data, path, source, wanted)]
    for signal in signals:
        check_fit(signal, wanted)
    return signals


def read_mask(path: str, signal: Signal, *, grayscale: bool = False) -> NDArray[np.bool_]:
    """Read which samples of a signal are meant: those where a gray image, or an array, is not 0.

    Parameters
    ----------
    path
        An image, .npy, .npz or IDX file, or ``-`` for one of these on standard input.
    signal
        The signal, or stack of signals.
    grayscale
        Convert an image to 8-bit gray first.

    Returns
    -------
    ndarray
        bool, read-only, of the shape of the signal's samples. A mask without the last axis stands for all channels
        of an image, one without the first for all signals of a stack.

    Raises
    ------
    UnsupportedInput
        If the file cannot be read, or holds anything else than one mask of the signal's size.
    """
    source = "standard input" if path == STDIN else path
    wanted = Wanted("a mask", (), np.dtype(np.uint8), grayscale=grayscale, offers=("--grayscale",))
    found = _read(read_bytes(path), path, source, wanted)
    if len(found) > 1:
        raise UnsupportedInput(f"{source} holds {len(found)} arrays; a mask is one")
    samples = found[0].samples
    if samples.dtype.kind not in "iub" or np.ma.isMaskedArray(samples):
        what = "missing samples" if np.ma.isMaskedArray(samples) else f"{samples.dtype} samples"
        raise UnsupportedInput(f"{source} has {what}; a mask is bool or integer, and not 0 where it holds")
    shape = signal.samples.shape
    one = shape[1:] if signal.stacked else shape
    if samples.ndim > 2 and found[0].kind.endswith("image") and samples.shape != shape:
        raise UnsupportedInput(f"{source} is {found[0].kind}; a mask is gray: convert it with --grayscale")
    plane = (*one[:-1], 1) if len(one) == 3 and one[-1] in CHANNELS else one
    for candidate in (shape, one, plane):
        if _fits(samples.shape, candidate):
            return np.broadcast_to(samples.reshape(candidate) != 0, shape)
    raise UnsupportedInput(
        f"{source} is {_size(samples.shape)}, but {signal.source} is {_size(one)}: the mask must have its size"
    )


def _fits(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return [side for side in shape if side != 1] == [side for side in wanted if side != 1]


def _size(shape: tuple[int, ...]) -> str:
    """Return a shape as one says it of an image or an array."""
    return f"{shape[1]}x{shape[0]}" if len(shape) == 2 else f"of shape {shape}"


def _read(data: bytes | memoryview, path: str, source: str, wanted: Wanted) -> list[Signal]:
    if not len(data):
        raise UnsupportedInput(f"{source} is empty")
    name = None if path == STDIN else _name(path)
    head = bytes(data[:12])
    if head.startswith(b"\x89NC"):
        raise UnsupportedInput(f"{source} is a neuralcodec file already")
    if head.startswith(arrays.NPY_MAGIC):
        return [_of_array(arrays.read_npy(data, source), source, name, wanted)]
    if head.startswith(b"PK\x03\x04"):
        members = arrays.read_npz(data, source)
        if len(members) == 1:
            return [_of_array(members[0][1], source, name, wanted)]
        return [_of_array(array, f"{source}, {key}", key, wanted) for key, array in members]
    if idx.is_idx(head) or head.startswith(b"\x1f\x8b"):
        return [_of_array(idx.read_idx(data, source), source, name, wanted)]
    if wav.is_wav(head):
        sound, rate = wav.read_wav(data, source)
        return [Signal(sound, False, source, name, kind="a sound", sampling_rate=rate)]
    try:
        signal = images.read_image(data, source, grayscale=wanted.grayscale, forms=wanted.forms)
    except UnsupportedInput as error:
        raise UnsupportedInput(f"{error} ({wanted})") from None
    return [replace(signal, name=name)]


def _name(path: str) -> str:
    """Return a path's last part as text that UTF-8 can hold, whatever bytes the file system has."""
    return os.fsencode(os.path.basename(path)).decode("utf-8", "replace")


def _of_array(samples: NDArray[Any], source: str, name: str | None, wanted: Wanted) -> Signal:
    if not samples.size:
        raise UnsupportedInput(f"{source} is an array of shape {samples.shape}, without samples")
    stacked = wanted.is_stack(samples.shape)
    return Signal(samples, stacked, source, None if stacked else name)


def _convert(signal: Signal, wanted: Wanted) -> Signal:
    """Make the conversions that were asked for; without any, return the signal itself."""
    samples = signal.samples
    if not (wanted.grayscale or wanted.resize) or (
        samples.shape[signal.stacked :] == wanted.shape and (samples.dtype == wanted.dtype)
    ):
        return signal
    if np.ma.isMaskedArray(samples):
        raise UnsupportedInput(f"{signal.source}: an array with missing samples cannot be converted")
    if wanted.resize and len(wanted.shape) < 2:
        raise UnsupportedInput(f"{signal.source}: only images are resized; {wanted}")
    stack = samples if signal.stacked else samples[np.newaxis]
    try:
        converted = np.stack([_convert_one(one, wanted) for one in stack])
    except UnsupportedInput as error:
        raise UnsupportedInput(f"{signal.source}: {error}") from None
    return replace(signal, samples=converted if signal.stacked else converted[0])


def _convert_one(samples: NDArray[Any], wanted: Wanted) -> NDArray[Any]:
    if wanted.grayscale:
        samples = images.to_gray(samples)
    height, width = wanted.shape[:2] if wanted.resize else samples.shape[:2]
    return samples if samples.shape[:2] == (height, width) else images.resize(samples, height, width)


def read_stack(files: Sequence[str], *, grayscale: bool = False) -> NDArray[Any]:
    """Read the signals of files, all of one shape and dtype, as one array: what a model is trained on.

    Parameters
    ----------
    files
        Images, of which each is a signal, and .npy, .npz and IDX files, whose first axis counts signals.
    grayscale
        Convert images to 8-bit gray.

    Returns
    -------
    ndarray
        Of shape ``(n, *signal shape)``.

    Raises
    ------
    UnsupportedInput
        If a file cannot be read, or its signals are of another shape or dtype than those before.
    """
    stacks: list[NDArray[Any]] = []
    for path in files:
        source = "standard input" if path == STDIN else path
        anything = Wanted("a model", (), np.dtype(np.uint8), grayscale=grayscale)
        for signal in _read(read_bytes(path), path, source, anything):
            is_image = signal.kind.endswith("image")
            alone = is_image or signal.kind == "a sound"
            stack = signal.samples[np.newaxis] if alone else signal.samples
            if np.ma.isMaskedArray(stack):
                raise UnsupportedInput(f"{signal.source} has missing samples, which training does not take")
            if grayscale and not is_image:
                stack = np.stack([images.to_gray(one) for one in stack])
            first = stacks[0] if stacks else stack
            if (stack.shape[1:], stack.dtype) != (first.shape[1:], first.dtype):
                raise UnsupportedInput(
                    f"{signal.source} has {stack.dtype} signals of shape {stack.shape[1:]}, but "
                    f"those before are {first.dtype} of shape {first.shape[1:]}: train on signals of one kind"
                )
            stacks.append(stack)
    return stacks[0] if len(stacks) == 1 else np.concatenate(stacks)


def read_apart(files: Sequence[str], dimensions: int, *, grayscale: bool = False) -> list[Signal]:
    """Read the signals of files, of one dtype but of any sizes, for a model that cuts signals into patches.

    Parameters
    ----------
    files
        Images, sounds, and .npy, .npz and IDX files.
    dimensions
        Of a signal without its channels. An array of so many axes is one signal, of one more is one with channels if
        its last axis is at most 4, else signals along its first axis, as one of two more is.
    grayscale
        Convert images to 8-bit gray.

    Raises
    ------
    UnsupportedInput
        If a file cannot be read, has other dimensions, or another dtype than those before.
    """
    found: list[Signal] = []
    anything = Wanted("a model", (), np.dtype(np.uint8), grayscale=grayscale)
    for path in files:
        source = "standard input" if path == STDIN else path
        for signal in _read(read_bytes(path), path, source, anything):
            samples = signal.samples
            if np.ma.isMaskedArray(samples):
                raise UnsupportedInput(f"{signal.source} has missing samples, which training does not take")
            found += [replace(signal, samples=one) for one in _apart(signal, dimensions)]
            if found[-1].samples.dtype != found[0].samples.dtype:
                raise UnsupportedInput(
                    f"{signal.source} has {samples.dtype} samples, but those before are "
                    f"{found[0].samples.dtype}: train on signals of one kind"
                )
    return found


def _apart(signal: Signal, dimensions: int) -> list[NDArray[Any]]:
    samples = signal.samples
    alone = signal.kind != "an array"
    more = samples.ndim - dimensions
    own = 1 if signal.kind == "a sound" else 2 if alone else dimensions
    if own == dimensions and (more == 0 or (more == 1 and (alone or samples.shape[-1] <= max(CHANNELS)))):
        return [samples]
    if more in (1, 2) and not alone:
        return list(samples)
    raise UnsupportedInput(
        f"{signal.source} is {'an array' if not alone else signal.kind} of shape {samples.shape}, which "
        f"is no signal of {dimensions} dimension{'s' * (dimensions > 1)}: see --dimensions"
    )
