"""Models by name and identity: those that ship with the package, and the user's own."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from neuralcodec.artifact import MAGIC, Tensor, read_header, read_tensors
from neuralcodec.codec import FAMILIES, find_codec
from neuralcodec.container.files import PathLike
from neuralcodec.container.primitives import IDENTITY_BYTES
from neuralcodec.container.signal import DTYPES, SignalType
from neuralcodec.errors import CorruptFile, InvalidModel, UnknownModel, naming

FOLDER_VARIABLE = "NEURALCODEC_MODELS"
SUFFIX = ".ncm"
SIGNAL_TENSORS = ("shape", "dtype", "layout", "signal")
"""What tells the signals of a model, in one family or another."""

_HERE = os.path.dirname(os.path.abspath(__file__))
_IDENTITY_OFFSET = 5
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class ModelEntry:
    """A model file that can be asked for by name.

    Attributes
    ----------
    name, aliases
        Its own name, and the other names that mean it when encoding.
    path
        The file.
    identity
        SHA-256 of its parameters, 64 hexadecimal digits.
    origin
        "zoo" for a shipped model, "user" for one in the user's folder.
    """

    name: str
    path: str
    identity: str
    origin: str
    aliases: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return os.path.getsize(self.path)

    @property
    def header(self) -> Mapping[str, Any]:
        """The file's JSON header."""
        return read_header(self.path).header

    @property
    def signal(self) -> SignalType | None:
        """Shape and dtype that the model takes, read without loading it; None if its family does not say."""
        with naming(self.path):
            return signal_type(read_header(self.path).family, read_tensors(self.path, SIGNAL_TENSORS))


def signal_type(family: str, tensors: Mapping[str, Tensor]) -> SignalType | None:
    """Return what some of a model's tensors (`SIGNAL_TENSORS`) say of its signals, or None if they do not."""
    shape, dtype = tensors.get("shape"), tensors.get("dtype")
    if shape is None or dtype is None:
        codec = find_codec(FAMILIES[family]) if family in FAMILIES else None
        return None if codec is None else codec.signal_in(tensors)
    code = int(dtype.flat[0]) if dtype.size else 0
    if code not in DTYPES:
        raise CorruptFile(f"dtype code {code} is not known", "tensor dtype")
    return SignalType(tuple(map(int, shape.reshape(-1))), DTYPES[code])


def models_folder() -> str:
    """Return the folder of the user's models: NEURALCODEC_MODELS, or the system's place for user data."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder:
        return folder
    from platformdirs import user_data_dir

    return os.path.join(user_data_dir("neuralcodec", appauthor=False), "models")


@cache
def zoo_models() -> tuple[ModelEntry, ...]:
    """Return the models that ship with the package."""
    with open(os.path.join(_HERE, "index.json"), encoding="utf-8") as file:
        index = json.load(file)
    return tuple(
        ModelEntry(
            name, os.path.join(_HERE, item["file"]), item["identity"], "zoo", tuple(item.get("aliases", ()))
        )
        for name, item in index.items()
    )


def user_models() -> list[ModelEntry]:
    """Return the models in the user's folder, sorted by name; files that are no models are left out."""
    folder = models_folder()
    try:
        names = sorted(file.removesuffix(SUFFIX) for file in os.listdir(folder) if file.endswith(SUFFIX))
    except OSError:
        return []
    entries = (_user_entry(folder, name) for name in names)
    return [entry for entry in entries if entry is not None]


def list_models() -> list[ModelEntry]:
    """Return every model that has a name here, the user's before the shipped ones.

    >>> all(len(entry.identity) == 64 for entry in list_models())
    True
    """
    return [*user_models(), *zoo_models()]


def model_names() -> list[str]:
    """Return every name that a model can be asked for by, aliases too, each once."""
    names = (name for entry in list_models() for name in (entry.name, *entry.aliases))
    return list(dict.fromkeys(names))


def find_model(name: str) -> ModelEntry:
    """Return the model with a name: the user's first, then a shipped one, then a shipped one's alias.

    Raises
    ------
    UnknownModel
        There is none; the message lists the names that exist.
    """
    entry = _user_entry(models_folder(), name) if _NAME.fullmatch(name) else None
    if entry is not None:
        return entry
    for shipped in zoo_models():
        if name == shipped.name:
            return shipped
    for shipped in zoo_models():
        if name in shipped.aliases:
            return shipped
    raise UnknownModel.named(name, model_names())


def find_identity(identity: bytes) -> ModelEntry:
    """Return the model whose identity starts with these bytes (4 or 32 of them).

    Raises
    ------
    UnknownModel
        There is none; the message lists the names that exist.
    """
    digits = identity.hex()
    for entry in (*zoo_models(), *user_models()):
        if entry.identity.startswith(digits):
            return entry
    raise UnknownModel(
        f"the file was made with the model {digits}, which is not here; "
        f"{UnknownModel.listing(model_names())}. Give its file (model=..., -m on the command line) "
        "or install it with 'neuralcodec models add'"
    )


def add_model(path: PathLike, name: str | None = None) -> ModelEntry:
    """Copy a model file into the user's folder: it then has a name, and files made with it decode.

    Parameters
    ----------
    path
        The model file; all of it is checked first.
    name
        What to call it; None means the name in its header, or else the file's.

    Raises
    ------
    InvalidModel
        The model breaks a rule, the name cannot be a file name, or it belongs to another model already.
    NotNeuralCodecFile, UnsupportedVersion, CorruptFile
        The file is not a whole model file.
    """
    from neuralcodec.artifact import Artifact
    from neuralcodec.codec import codec_for
    from neuralcodec.container.files import atomic_write, refuse_endless

    with open(path, "rb") as file, naming(path):
        refuse_endless(file, path)
        data = file.read()
        artifact = Artifact.from_bytes(data)
        codec_for(artifact.family).load(artifact)
    chosen = name or artifact.header.get("name") or os.path.basename(os.fspath(path)).removesuffix(SUFFIX)
    if not (isinstance(chosen, str) and _NAME.fullmatch(chosen)):
        raise InvalidModel(
            f"{chosen!r} cannot name a model: letters, digits, '.', '_' and '-' can (64 at most)"
        )
    identity = artifact.identity.hex()
    for entry in list_models():
        if chosen in (entry.name, *entry.aliases) and entry.identity != identity:
            raise InvalidModel(
                f"the name {chosen!r} belongs to another model ({entry.identity[:8]}, {entry.origin}); "
                "give this one another name"
            )
    folder = models_folder()
    os.makedirs(folder, exist_ok=True)
    target = os.path.join(folder, chosen + SUFFIX)
    atomic_write(target, data)
    return ModelEntry(chosen, target, identity, "user")


def _user_entry(folder: str, name: str) -> ModelEntry | None:
    path = os.path.join(folder, name + SUFFIX)
    try:
        with open(path, "rb") as file:
            start = file.read(_IDENTITY_OFFSET + IDENTITY_BYTES)
    except OSError:
        return None
    if len(start) < _IDENTITY_OFFSET + IDENTITY_BYTES or not start.startswith(MAGIC):
        return None
    return ModelEntry(name, path, start[_IDENTITY_OFFSET:].hex(), "user")
