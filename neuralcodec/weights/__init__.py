"""The codec of network weights: state dicts and safetensors files, without loss or to a target.

`compress_weights` and `decompress_weights` work in memory; `encode_weights` and `WeightsReader` work on files of any
size, tensor by tensor. docs/weights.md tells how to use them, docs/format.md, section 10, what the bytes are.
"""

import io
import os
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from neuralcodec.container.files import PathLike, atomic_file
from neuralcodec.container.primitives import Buffer
from neuralcodec.weights.calibration import measure_importance, read_importance
from neuralcodec.weights.encoder import DEFAULT_BOUND, Report, Target, WeightsEncoder
from neuralcodec.weights.reader import WeightsReader
from neuralcodec.weights.sinks import as_mapping
from neuralcodec.weights.sources import WeightSource, mapping_source, open_weights

__all__ = [
    "Report",
    "Target",
    "WeightSource",
    "WeightsEncoder",
    "WeightsReader",
    "compress_weights",
    "decompress_weights",
    "encode_weights",
    "measure_importance",
    "open_weights",
    "read_importance",
]


def compress_weights(
    state: Mapping[str, Any],
    *,
    sqnr: float | None = None,
    bits: float | None = None,
    step: float | None = None,
    bound: float = DEFAULT_BOUND,
    states: int = 64,
    factors: bool = True,
    importance: Mapping[str, Any] | None = None,
    keep_nonfinite: bool = False,
    threads: int | None = None,
) -> bytes:
    """Return the tensors of a state dict as the bytes of a weights file; without a target, without loss.

    Parameters
    ----------
    state
        Names and numpy arrays or torch tensors, of any shapes.
    sqnr
        Target: signal-to-quantisation-noise ratio in dB of all floating tensors of two or more dimensions together; of
        factors of compact layers, that of the kernels which they build.
    bits
        Target: bits of the file for each parameter.
    step
        Target: width of the quantiser's levels.
    bound
        With a target, floating vectors (1-D, 32 or 64 bits) have an error ``|x - y| / |x|`` of this at most. All
        else is coded without loss.
    states
        States of dependent quantisation, 4 to 256: more make smaller files and encode slower; 1 for none.
    factors
        Weigh errors of factors of compact layers (`neuralcodec.layers`), which are known by their names and shapes, by
        what they do to the kernels. With False they are tensors like others.
    importance
        By names of tensors: what their squared errors weigh, a number or an array, whose mean counts; 1 for others. The
        ratio `sqnr` is then one of weighted sums. :func:`neuralcodec.weights.measure_importance` measures it.
    keep_nonfinite
        Code tensors with NaN or infinity exactly, rather than refuse them.
    threads
        None: as many as there are cores. The bytes are the same for any number.

    Raises
    ------
    UnsupportedInput
        A tensor or a target cannot be coded; the message names it.

    >>> import numpy as np
    >>> weights = np.random.default_rng(0).normal(size=(64, 32, 3, 3)).astype(np.float32)
    >>> data = compress_weights({"conv.weight": weights, "bn.bias": weights[0, :, 0, 0]}, sqnr=30)
    >>> back = decompress_weights(data)
    >>> noise = back["conv.weight"] - weights
    >>> bool(10 * np.log10((weights**2).sum() / (noise**2).sum()) >= 30)
    True
    """
    file = io.BytesIO()
    target = Target(sqnr, bits, step)
    WeightsEncoder(
        mapping_source(state),
        target,
        bound=bound,
        states=states,
        factors=factors,
        importance=importance,
        keep_nonfinite=keep_nonfinite,
        threads=threads,
    ).write(file)
    return file.getvalue()


def decompress_weights(
    data: Buffer | PathLike | BinaryIO,
    names: list[str] | None = None,
    *,
    framework: str = "numpy",
    threads: int | None = None,
) -> dict[str, Any]:
    """Return the tensors of a weights file by name, in their order.

    Parameters
    ----------
    data
        The file's bytes, its path, or a seekable binary file.
    names
        Which tensors; None for all. Only the records that hold them are read.
    framework
        "numpy" for arrays, "torch" for tensors.

    Raises
    ------
    NotNeuralCodecFile, UnsupportedVersion, TruncatedFile, CorruptFile
        The file cannot be read.
    UnsupportedInput
        A name is not there, or numpy lacks a dtype.
    """
    with WeightsReader(data, threads=threads) as reader:
        if names is None:
            return dict(as_mapping(((spec, one) for spec, one, _ in reader.tensors()), framework))
        specs = [reader.index.specs[reader.number_of(name)] for name in names]
        return dict(as_mapping(((spec, reader.read(spec.name)) for spec in specs), framework))


def encode_weights(
    source: PathLike | WeightSource,
    target: PathLike | BinaryIO,
    aim: Target | None = None,
    *,
    advance: Callable[[int], None] = lambda _: None,
    **options: Any,
) -> Report:
    """Code a file of weights tensor by tensor; memory stays near that of the largest.

    Parameters
    ----------
    source
        A safetensors file, a torch state dict or an npz file; or an open source.
    target
        A path, which holds the file only if all went well, or a binary file, which need not be seekable.
    aim
        What to reach; None for no loss.
    advance
        Told of every tensor that is done.
    options
        Those of :class:`WeightsEncoder`.
    """
    if not isinstance(source, WeightSource):
        with open_weights(source) as opened:
            return encode_weights(opened, target, aim, advance=advance, **options)
    encoder = WeightsEncoder(source, aim or Target(), **options)
    if not isinstance(target, str | os.PathLike):
        return encoder.write(target, advance)
    with atomic_file(target) as file:
        return encoder.write(file, advance)
