"""Where tensors go: safetensors, npz and npy files, and torch state dicts."""

import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from neuralcodec.errors import CorruptFile, NeuralCodecError, UnsupportedInput
from neuralcodec.weights.dtypes import to_numpy, to_torch
from neuralcodec.weights.layout import ORIGINS, Index
from neuralcodec.weights.safetensors_format import LENGTH_BYTES, parse_header, write_header
from neuralcodec.weights.tensors import TensorSpec

TORCH_SUFFIXES = (".pt", ".pth", ".bin")
SUFFIXES = (".safetensors", ".npz", ".npy", *TORCH_SUFFIXES)
Item = tuple[TensorSpec, NDArray[np.uint8]]


def kind_of(path: str) -> str:
    """Return the kind of file that a path asks for: safetensors, npz, npy or torch.

    >>> kind_of("a/model.PT"), kind_of("model.safetensors")
    ('torch', 'safetensors')

    Raises
    ------
    UnsupportedInput
        For another suffix.
    """
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in SUFFIXES:
        raise UnsupportedInput(f"{path}: weights are written to files that end in {', '.join(SUFFIXES)}")
    return "torch" if suffix in TORCH_SUFFIXES else suffix[1:]


def default_suffix(origin: int) -> str:
    """Return the suffix of the kind of file that the tensors came from."""
    return {"npz": ".npz", "torch": ".pt"}.get(ORIGINS[origin], ".safetensors")


def check_kind(kind: str, specs: Sequence[TensorSpec]) -> None:
    """Refuse a kind of file that cannot hold the tensors, before any is decoded."""
    if kind == "npy" and len(specs) != 1:
        raise UnsupportedInput("a .npy file holds one array: name one with --tensor, or write a .npz file")
    if kind in ("npz", "npy"):
        for spec in specs:
            to_numpy(spec.type, spec.name)
    if kind == "safetensors":
        for spec in specs:
            if spec.type.name == "C128":
                raise UnsupportedInput(
                    f"tensor {spec.name!r} is complex128, which safetensors lacks: write a .npz file"
                )


def write_tensors(
    file: BinaryIO, kind: str, specs: Sequence[TensorSpec], items: Iterable[Item], index: Index
) -> None:
    """Write tensors as they come; `specs` are those that will come, in order."""
    check_kind(kind, specs)
    if kind == "safetensors":
        header = _header(specs, index)
        file.write(len(header).to_bytes(LENGTH_BYTES, "little") + header)
        for _, data in items:
            file.write(data.data)
    elif kind == "npz":
        _write_npz(file, items)
    elif kind == "npy":
        for spec, data in items:
            np.lib.format.write_array(file, array_of(spec, data), allow_pickle=False)
    else:
        import torch

        torch.save({spec.name: tensor_of(spec, data) for spec, data in items}, file)


def _header(specs: Sequence[TensorSpec], index: Index) -> bytes:
    if not index.header or len(specs) != len(index.specs):
        return write_header(specs, index.metadata)
    try:
        layout = parse_header(index.header, sum(spec.nbytes for spec in specs))
    except NeuralCodecError as error:
        raise CorruptFile(f"the kept safetensors header is damaged: {error}", "index") from None
    if list(layout.specs) != list(specs):
        raise CorruptFile("the kept safetensors header tells of other tensors", "index")
    return index.header


def _write_npz(file: BinaryIO, items: Iterable[Item]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for spec, data in items:
            info = zipfile.ZipInfo(f"{spec.name}.npy", (1980, 1, 1, 0, 0, 0))
            with archive.open(info, "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array_of(spec, data), allow_pickle=False)


def array_of(spec: TensorSpec, data: NDArray[np.uint8]) -> NDArray[Any]:
    """Return a tensor's bytes as an array; :class:`UnsupportedInput` if numpy lacks the dtype."""
    return data.view(to_numpy(spec.type, spec.name)).reshape(spec.shape)


def tensor_of(spec: TensorSpec, data: NDArray[np.uint8]) -> Any:
    """Return a tensor's bytes as a torch tensor."""
    import torch

    if not spec.count:
        return torch.empty(spec.shape, dtype=to_torch(spec.type))
    return torch.from_numpy(data).view(to_torch(spec.type)).reshape(spec.shape)


def arrays(items: Iterable[Item]) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield names and arrays."""
    return ((spec.name, array_of(spec, data)) for spec, data in items)


def as_mapping(items: Iterable[Item], framework: str) -> Mapping[str, Any]:
    """Return tensors by name, as numpy arrays or torch tensors."""
    if framework == "numpy":
        return dict(arrays(items))
    if framework == "torch":
        return {spec.name: tensor_of(spec, data) for spec, data in items}
    raise UnsupportedInput(f"the framework is 'numpy' or 'torch', not {framework!r}")
