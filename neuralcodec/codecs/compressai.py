"""Models of CompressAI (arXiv:2011.03029) as codecs: their strings in ``.ncz`` files, under the model's identity.

The library and its weights stay what they are: this module finds a checkpoint, runs the architecture's own
`compress` and `decompress`, and keeps what a file needs. It downloads nothing.
"""

import hashlib
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from neuralcodec.artifact import Artifact
from neuralcodec.codec import Codec, Fields
from neuralcodec.container.primitives import Reader, crc32, varint
from neuralcodec.errors import CorruptFile, InvalidModel, UnsupportedInput

INSTALL = "pip install 'neuralcodec[compressai]'"
CHECK_BYTES = 4
MAX_SIDE = 2**16
MAX_DEPTH = 6
_STRIDE = 64  # what most architectures want a side to be a multiple of
_NUMBER, _LIST, _TABLE, _STRING = range(4)
_torch_lock = threading.RLock()


@dataclass(frozen=True, eq=False)
class CompressAiModel:
    """Weights of an architecture in memory.

    Attributes
    ----------
    architecture, path
        Its name in CompressAI, and the checkpoint that it was read from.
    network
        The module, on the CPU, with its tables of probabilities.
    identity
        SHA-256 of its state dict: of the architecture's name and, in order of their names, each tensor's name,
        dtype, shape and little-endian samples.
    """

    architecture: str
    path: str
    network: Any = field(repr=False)
    identity: bytes = field(repr=False)

    @property
    def header(self) -> Mapping[str, Any]:
        """What it is, as a model file's header says it."""
        return {
            "name": f"{self.architecture} ({os.path.basename(self.path)})",
            "family": CompressAiCodec.family,
        }

    def to_artifact(self) -> Artifact:
        """Refuse: the weights are floating-point numbers, and their file is the checkpoint."""
        raise InvalidModel(
            f"a CompressAI model is kept in its own checkpoint ({self.path}), not in a .ncm file"
        )


class CompressAiCodec(Codec):
    """An image codec of CompressAI with its weights, for 8-bit RGB images.

    Images are padded at the right and bottom to what the network needs, by repeating their edges, and cropped when
    decoded; the reconstruction is clamped and rounded to 8 bits. A payload is the CRC-32 of the rest, then the
    "shape" and "strings" that `compress` returns. One thread computes: so times compare, and the floating-point
    results that steer the entropy decoder are those that steered the encoder.
    """

    name = "compressai"
    family: ClassVar[str | None] = "compressai"
    lossless = False

    def __init__(self, model: CompressAiModel) -> None:
        self._model = model
        self._stride = int(getattr(model.network, "downsampling_factor", _STRIDE))

    @property
    def model(self) -> CompressAiModel:
        """The weights."""
        return self._model

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Architecture, and identity of the weights."""
        return {"architecture": self._model.architecture, "identity": self._model.identity.hex()}

    @property
    def versions(self) -> Mapping[str, str]:
        """Versions of CompressAI and torch."""
        return {name: str(import_module(name).__version__) for name in ("compressai", "torch")}

    @property
    def takes(self) -> str:
        """What it accepts, in words."""
        return "8-bit RGB images"

    def accepts(self, signal: NDArray[Any]) -> str | None:
        """Return None for an 8-bit RGB image, else why not."""
        if signal.dtype != np.uint8 or signal.ndim != 3 or signal.shape[2] != 3:
            return f"it is {signal.shape} {signal.dtype}, and CompressAI's models take (H, W, 3) uint8"
        if not 0 < min(signal.shape[:2]) <= max(signal.shape[:2]) <= MAX_SIDE:
            return f"its sides are not 1 to {MAX_SIDE}: {signal.shape}"
        return None

    def encode(
        self,
        signal: NDArray[Any],
        *,
        missing: NDArray[np.bool_] | None = None,
        quality: float | None = None,
        preset: str | None = None,
        verify: bool = False,
    ) -> bytes:
        """Return the payload of one image; `verify` has nothing to compare with, as the samples change."""
        torch = _torch()
        height, width = signal.shape[:2]
        bottom, right = -height % self._stride, -width % self._stride
        padded = np.pad(signal, ((0, bottom), (0, right), (0, 0)), "edge").transpose(2, 0, 1)
        with _inference(torch):
            pixels = torch.from_numpy(np.ascontiguousarray(padded, np.float32) / np.float32(255))
            coded = self._model.network.compress(pixels[None])
        body = pack_tree(coded["shape"]) + pack_tree(coded["strings"])
        return crc32(body) + body

    def decode(self, payload: bytes, fields: Fields) -> NDArray[Any]:
        """Return the image of a payload; :class:`CorruptFile` if it is damaged."""
        body = payload[CHECK_BYTES:]
        if crc32(body) != payload[:CHECK_BYTES]:
            raise CorruptFile("the checksum of CompressAI's strings does not match", "payload")
        reader = Reader(body, "payload", inner=True)
        shape, strings = read_tree(reader), read_tree(reader)
        if reader.remaining:
            raise CorruptFile(f"{reader.remaining} bytes follow CompressAI's strings", "payload")
        pixels = self._decompress(strings, shape)
        height, width = fields.signal.shape[:2]
        if pixels.shape[1] < height or pixels.shape[2] < width or len(fields.signal.shape) != 3:
            raise CorruptFile(f"the strings decode to {pixels.shape}, not {fields.signal}", "payload")
        cropped = pixels[:, :height, :width].transpose(1, 2, 0)
        return np.ascontiguousarray(np.rint(np.clip(cropped, 0, 1) * 255), np.uint8)

    def checked(self, signals: NDArray[Any], groups: Any, group: int) -> bytes:
        """Return the payloads: what the network makes of them may differ in the last place between machines."""
        return b"".join(groups)

    def _decompress(self, strings: Any, shape: Any) -> NDArray[Any]:
        torch = _torch()
        try:
            with _inference(torch):
                pixels: NDArray[Any] = self._model.network.decompress(strings, shape)["x_hat"][0].numpy()
        except Exception as error:  # the library has no errors of its own for strings of another shape
            raise CorruptFile(
                f"CompressAI cannot decode it: {type(error).__name__}: {error}", "payload"
            ) from error
        return pixels


def pack_tree(value: Any) -> bytes:
    """Return nested lists and tables of strings and small numbers as bytes, each headed by a varint.

    The two lowest bits of a head tell what follows: of a number nothing (it is the rest of the head), of a string
    its bytes (their number is the rest), of a list or table its members.

    >>> pack_tree([(4, 6), b"abc"]).hex()
    '090910180f616263'
    >>> read_tree(Reader(pack_tree({"y": [b""], "z": [1, [2]]}), "payload"))
    {'y': [b''], 'z': [1, [2]]}
    """
    if isinstance(value, bytes):
        return varint(len(value) << 2 | _STRING) + value
    if isinstance(value, Mapping):
        members = (pack_tree(str(key).encode()) + pack_tree(member) for key, member in value.items())
        return varint(len(value) << 2 | _TABLE) + b"".join(members)
    if isinstance(value, list | tuple):
        return varint(len(value) << 2 | _LIST) + b"".join(map(pack_tree, value))
    return varint(int(value) << 2 | _NUMBER)


def read_tree(reader: Reader, depth: int = MAX_DEPTH) -> Any:
    """Return what :func:`pack_tree` packed; :class:`CorruptFile` if it is damaged."""
    head = reader.varint("the head of a member")
    kind, count = head & 3, head >> 2
    if kind == _NUMBER:
        if count > MAX_SIDE:
            raise reader.fault(f"a side of {count} is above {MAX_SIDE}")
        return count
    if kind == _STRING:
        return bytes(reader.take(count, "a string"))
    if not depth or count > reader.remaining:
        raise reader.fault("lists that are too deep or too long")
    if kind == _LIST:
        return [read_tree(reader, depth - 1) for _ in range(count)]
    keys_and_members = ((read_tree(reader, depth - 1), read_tree(reader, depth - 1)) for _ in range(count))
    return {bytes(key).decode(errors="replace"): member for key, member in keys_and_members}


def compressai_codec(architecture: str, quality: int, checkpoint: str | None = None) -> CompressAiCodec:
    """Return a codec of CompressAI with the weights of a checkpoint.

    Parameters
    ----------
    architecture
        Its name in CompressAI, such as "bmshj2018-hyperprior".
    quality
        CompressAI's number of the pretrained weights, 1 to 8 (6 for cheng2020).
    checkpoint
        Path of a state dict, or of a training checkpoint that holds one; None means CompressAI's pretrained
        weights (trained for MSE), where its own download has put them.

    Raises
    ------
    UnsupportedInput
        If CompressAI is not installed, has no such architecture, or the weights are not here.
    InvalidModel
        If the checkpoint is not one of this architecture.
    """
    torch = _torch()
    classes = _architectures()
    if architecture not in classes:
        raise UnsupportedInput(
            f"CompressAI has no image model {architecture!r}; it has {', '.join(sorted(classes))}"
        )
    path = checkpoint or _pretrained(torch, architecture, quality)
    if not os.path.isfile(path):
        raise UnsupportedInput(f"there is no checkpoint {path}")
    with _torch_lock:
        network = _loaded(torch, classes[architecture], path, architecture)
    return CompressAiCodec(CompressAiModel(architecture, path, network, _identity(architecture, network)))


def _torch() -> Any:
    try:
        import_module("compressai")
        return import_module("torch")
    except Exception as error:  # torchvision, which it imports, raises others where it does not fit torch
        raise UnsupportedInput(f"CompressAI cannot be imported ({_first_line(error)}): {INSTALL}") from error


def _architectures() -> Mapping[str, type]:
    """Return the image models by name: those that a checkpoint alone is enough to make."""
    registered = import_module("compressai.registry").MODELS
    import_module("compressai.models")
    return {
        name: kind
        for name, kind in registered.items()
        if all(hasattr(kind, method) for method in ("compress", "decompress", "from_state_dict"))
        and not any(part in name for part in ("-vbr", "pcc", "ssf"))
    }


def _pretrained(torch: Any, architecture: str, quality: int) -> str:
    """Return where CompressAI's own download puts weights; say where they come from if they are not there."""
    zoo = import_module("compressai.zoo.image")
    known: Mapping[int, str] = getattr(zoo, "model_urls", {}).get(architecture, {}).get("mse", {})
    if quality not in known:
        listed = f"of the qualities {', '.join(map(str, known))}" if known else "none"
        raise UnsupportedInput(
            f"CompressAI's pretrained weights of {architecture} are {listed}: name a checkpoint, as in "
            f"compressai:{architecture}:{quality}:weights.pth"
        )
    url = known[quality]
    path = os.path.join(torch.hub.get_dir(), "checkpoints", os.path.basename(url))
    if not os.path.isfile(path):
        raise UnsupportedInput(
            f"the weights of {architecture}, quality {quality}, are not here: download {url} to {path}, or name a "
            f"checkpoint, as in compressai:{architecture}:{quality}:weights.pth"
        )
    return path


def _loaded(torch: Any, kind: Any, path: str, architecture: str) -> Any:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises nearly anything on files of another kind
        raise InvalidModel(
            f"{path} is no checkpoint that torch reads safely: {_first_line(error)}"
        ) from error
    for key in ("state_dict", "network"):
        state = state.get(key, state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not state or not all(map(torch.is_tensor, state.values())):
        raise InvalidModel(f"{path} holds no state dict")
    state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    try:
        state = import_module("compressai.zoo.pretrained").load_pretrained(state)
        network = kind.from_state_dict(state).eval()
        network.update()  # the tables of probabilities, unless the checkpoint has them
    except Exception as error:  # keys that are missing or sizes that differ, in several ways
        raise InvalidModel(f"{path} does not fit {architecture}: {_first_line(error)}") from error
    return network


def _identity(architecture: str, network: Any) -> bytes:
    digest = hashlib.sha256(architecture.encode() + b"\0")
    for name, tensor in sorted(network.state_dict().items()):
        values = np.ascontiguousarray(tensor.detach().numpy())
        values = values.astype(values.dtype.newbyteorder("<"))
        digest.update(f"{name}\0{values.dtype.name}\0{values.shape}\0".encode())
        digest.update(values.tobytes())
    return digest.digest()


@contextmanager
def _inference(torch: Any) -> Iterator[None]:
    with _torch_lock, torch.inference_mode():
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
