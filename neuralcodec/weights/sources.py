"""Where tensors come from: safetensors files, torch state dicts, npz files and mappings in memory."""

import contextlib
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuralcodec.container.files import PathLike, Source, open_source
from neuralcodec.errors import CorruptFile, NotNeuralCodecFile, UnsupportedInput, naming
from neuralcodec.weights.dtypes import of_numpy, of_torch
from neuralcodec.weights.layout import ORIGINS
from neuralcodec.weights.safetensors_format import read_layout, write_header
from neuralcodec.weights.tensors import TensorSpec

_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"


@dataclass(frozen=True)
class WeightSource:
    """Tensors that can be read one at a time.

    Attributes
    ----------
    specs
        Names, types and shapes.
    read
        Returns the bytes of a tensor by its number, uint8 in C order, little-endian.
    metadata
        Text by key, or None.
    origin
        Number in ORIGINS.
    header
        The header of a safetensors file, if it is not what :func:`write_header` would write.
    """

    specs: Sequence[TensorSpec]
    read: Callable[[int], NDArray[np.uint8]]
    metadata: Mapping[str, str] | None = None
    origin: int = 0
    header: bytes = b""


@contextlib.contextmanager
def open_weights(path: PathLike) -> Iterator[WeightSource]:
    """Open a file of weights: what kind it is, its first bytes tell.

    Raises
    ------
    UnsupportedInput
        The file holds something else than tensors that can be coded.
    NotNeuralCodecFile, TruncatedFile, CorruptFile
        It is none of these files, or its header lies.
    """
    with naming(path), contextlib.ExitStack() as stack:
        start = _start(path)
        if start[:4] == _ZIP and not _is_torch(path):
            yield stack.enter_context(_open_npz(path))
        elif start[:4] == _ZIP or start[:1] == _PICKLE:
            yield _torch_file(path)
        else:
            source = open_source(path)
            stack.callback(source.close)
            yield safetensors_source(source)


def _start(path: PathLike) -> bytes:
    with open(path, "rb") as file:
        return file.read(16)


def _is_torch(path: PathLike) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("data.pkl") for name in archive.namelist())
    except zipfile.BadZipFile as error:
        raise CorruptFile(f"the zip archive is damaged: {error}") from None


def safetensors_source(source: Source) -> WeightSource:
    """Return the tensors of a safetensors file."""
    layout = read_layout(source)

    def read(number: int) -> NDArray[np.uint8]:
        data = source.read_at(layout.offsets[number], layout.specs[number].nbytes)
        return np.frombuffer(data, np.uint8)

    kept = b"" if layout.header == write_header(layout.specs, layout.metadata) else layout.header
    return WeightSource(layout.specs, read, layout.metadata, ORIGINS.index("safetensors"), kept)


@contextlib.contextmanager
def _open_npz(path: PathLike) -> Iterator[WeightSource]:
    try:
        archive = np.load(path, allow_pickle=False)
    except (ValueError, OSError, zipfile.BadZipFile, EOFError) as error:
        raise NotNeuralCodecFile(f"not an npz file of arrays: {error}") from None
    with archive:
        try:
            specs = [_npz_spec(archive.zip, name) for name in archive.files]
        except (ValueError, OSError, zipfile.BadZipFile, EOFError) as error:
            raise CorruptFile(f"an array cannot be read: {error}") from None

        def read(number: int) -> NDArray[np.uint8]:
            name = specs[number].name
            try:
                return _array_bytes(np.asarray(archive[name]))
            except (ValueError, OSError, zipfile.BadZipFile, EOFError) as error:
                raise CorruptFile(f"array {name!r} cannot be read: {error}") from None

        yield WeightSource(specs, read, None, ORIGINS.index("npz"))


def _npz_spec(archive: Any, name: str) -> TensorSpec:
    """Read the header of an array alone."""
    member = name if name in archive.namelist() else f"{name}.npy"
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        reader = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = reader(file)
    if dtype.hasobject:
        raise UnsupportedInput(f"array {name!r} holds Python objects, which are never loaded")
    spec = TensorSpec(name, of_numpy(dtype, name), tuple(shape))
    size = archive.getinfo(member).file_size
    if spec.nbytes > size:
        raise CorruptFile(f"array {name!r} of shape {shape} needs {spec.nbytes} bytes, but has {size}")
    return spec


def _array_bytes(array: NDArray[Any]) -> NDArray[np.uint8]:
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    return little.reshape(-1).view(np.uint8)


def _torch_file(path: PathLike) -> WeightSource:
    try:
        import torch
    except ImportError:
        raise UnsupportedInput(
            "a torch state dict needs torch to be read: install neuralcodec's extra [torch], or save it as safetensors"
        ) from None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # torch's own errors have many classes
        first = str(error).strip().split("\n")[0]
        raise UnsupportedInput(f"torch cannot load it as plain weights (weights_only): {first}") from None
    if not isinstance(state, Mapping):
        raise UnsupportedInput(
            f"it holds a {type(state).__name__}, not a state dict: save model.state_dict()"
        )
    return mapping_source(state, ORIGINS.index("torch"))


def mapping_source(state: Mapping[str, Any], origin: int = 0) -> WeightSource:
    """Return the tensors of a mapping from names to numpy arrays or torch tensors."""
    items = list(state.items())
    for name, value in items:
        if not isinstance(name, str):
            raise UnsupportedInput(f"the key {name!r} is no text; names of tensors are")
        if not _is_tensor(value) and not isinstance(value, np.ndarray | np.generic):
            raise UnsupportedInput(
                f"{name!r} is a {type(value).__name__}, not a tensor: give only what model.state_dict() holds"
            )
    specs = [_spec(name, value) for name, value in items]

    def read(number: int) -> NDArray[np.uint8]:
        value = items[number][1]
        return _tensor_bytes(value) if _is_tensor(value) else _array_bytes(np.asarray(value))

    return WeightSource(specs, read, None, origin)


def _is_tensor(value: Any) -> bool:
    kind = type(value)
    return any(base.__module__.startswith("torch") and base.__name__ == "Tensor" for base in kind.__mro__)


def _spec(name: str, value: Any) -> TensorSpec:
    if not _is_tensor(value):
        array = np.asarray(value)
        return TensorSpec(name, of_numpy(array.dtype, name), array.shape)
    if value.is_quantized or str(value.layout) != "torch.strided":
        raise UnsupportedInput(
            f"tensor {name!r} is quantised or sparse: dequantise it or make it dense first"
        )
    if value.is_meta:
        raise UnsupportedInput(f"tensor {name!r} is on the meta device and has no values")
    return TensorSpec(name, of_torch(value.dtype, name), tuple(value.shape))


def _tensor_bytes(value: Any) -> NDArray[np.uint8]:
    import torch

    plain = value.detach().cpu().resolve_conj().resolve_neg().contiguous().reshape(-1)
    if not plain.numel():
        return np.zeros(0, np.uint8)
    found: NDArray[np.uint8] = plain.view(torch.uint8).numpy()
    return found
