"""From a name, a path or a file's header to a codec that is bound to its model."""

import os
import threading
from collections import OrderedDict

from neuralcodec.artifact import MAGIC as MODEL
from neuralcodec.artifact import Artifact
from neuralcodec.codec import Codec, Model, codec_for, codec_named, find_codec
from neuralcodec.container.files import PathLike, refuse_endless
from neuralcodec.container.header import ARCHIVE, Header
from neuralcodec.container.header import MAGIC as COMPRESSED
from neuralcodec.errors import InvalidModel, UnknownModel, WrongModel, naming
from neuralcodec.native import thread_count
from neuralcodec.zoo import SUFFIX, find_identity, find_model, list_models, model_names

ModelLike = PathLike | Model | Codec
CACHED_MODELS = 8

_lock = threading.RLock()
_loaded: OrderedDict[str, tuple[tuple[int, int], Codec]] = OrderedDict()


def load_model(model: PathLike | Model) -> Model:
    """Return a model in memory; a file is read once, until it changes.

    Parameters
    ----------
    model
        A name, the path of a model file, or a model, which is returned as it is. A text is a path if it
        holds a path separator or ends in ".ncm".

    Raises
    ------
    UnknownModel
        Neither a file nor a model with this name exists.
    InvalidModel, NotNeuralCodecFile, UnsupportedVersion, CorruptFile
        The file is not a whole and valid model.
    """
    if isinstance(model, str | os.PathLike):
        loaded = _load(_file_of(model)).model
        assert loaded is not None  # a codec that is loaded from a file has a model
        return loaded
    return model


def model_path(model: PathLike) -> str | None:
    """Return the path if the text or path object means a file rather than a name; else None."""
    text = os.fspath(model)
    separators = (os.sep, os.altsep or os.sep)
    is_path = not isinstance(model, str) or text.endswith(SUFFIX) or any(s in text for s in separators)
    return text if is_path else None


def _file_of(model: PathLike) -> str:
    path, name = model_path(model), os.fspath(model)
    if path is not None:
        return path
    try:
        return find_model(name).path
    except UnknownModel as error:
        if not os.path.exists(name):
            raise
        raise UnknownModel(f"{error}; {_what_is(name)}") from None


def _what_is(path: str) -> str:
    """Tell what is at a path that was given where a model's name belongs."""
    if os.path.isdir(path):
        return f"{path} is a folder here, not a model file"
    if not os.path.isfile(path):
        return f"{path} is a pipe or a device here, not a model file"
    try:
        with open(path, "rb") as file:
            head = file.read(6)
    except OSError as error:
        return f"{path} is a file here that cannot be read ({error.strerror})"
    if head.startswith(MODEL):
        return f"{path} is a model file here: give it as {os.path.join(os.curdir, path)}"
    if head.startswith(COMPRESSED):
        kind = "an archive" if len(head) == 6 and head[5] & ARCHIVE else "a compressed signal"
        return f"{path} is {kind} here, not a model file"
    return f"{path} is a file here, but not a model file"


def _bind(model: PathLike | Model) -> Codec:
    if isinstance(model, str | os.PathLike):
        return _load(_file_of(model))
    family = getattr(model, "family", None) or model.to_artifact().family
    return codec_for(family).bound(model)


def codec_with(model: ModelLike) -> Codec:
    """Return the codec to encode with: that of a model, or one without models, by name or as an instance.

    Raises
    ------
    UnknownModel
        No model, and no codec without models, has this name.
    """
    if isinstance(model, Codec):
        return model
    try:
        return _bind(model)
    except UnknownModel:
        codec = find_codec(model) if isinstance(model, str) else None
        if codec is None or codec.family is not None:
            raise
        return codec.bound(None)


def codec_of(header: Header, model: ModelLike | None = None) -> Codec:
    """Return the codec to decode a file with.

    Parameters
    ----------
    header
        The file's header.
    model
        The model to use, or None to find it by the identity in the file.

    Raises
    ------
    UnknownModel
        The model is not here.
    WrongModel
        `model` is not the one that the file was made with.
    """
    if isinstance(model, Codec):
        _check_codec(model, header)
        return model
    kind = codec_named(header.codec)
    if kind.family is None:
        return kind.bound(None)
    codec = _load(find_identity(header.identity).path) if model is None else _bind(model)
    _check_codec(codec, header)
    return codec


def _check_codec(codec: Codec, header: Header) -> None:
    if codec.name != header.codec:
        raise WrongModel(f"the file was made by the codec {header.codec!r}, not {codec.name!r}")
    if codec.model is not None:
        _check_identity(codec.model, header)


def _check_identity(model: Model, header: Header) -> None:
    if model.identity.startswith(header.identity):
        return
    wanted, given = header.identity.hex(), model.identity.hex()
    raise WrongModel(
        f"the file was made with the model {wanted}{_called(wanted)}; "
        f"the model given is {given[: max(len(wanted), 8)]}{_called(given)}"
    )


def _called(digits: str) -> str:
    names = [entry.name for entry in list_models() if entry.identity.startswith(digits)]
    return f" ({', '.join(names)})" if names else ""


def _load(path: str) -> Codec:
    key = os.path.abspath(path)
    with _lock:
        try:
            status = os.stat(key)
        except OSError as error:
            raise UnknownModel(
                f"there is no model file {path} ({error.strerror}); {UnknownModel.listing(model_names())}"
            ) from None
        stamp = (status.st_mtime_ns, status.st_size)
        held = _loaded.get(key)
        if held is None or held[0] != stamp:
            held = stamp, _read(key)
            _loaded[key] = held
        _loaded.move_to_end(key)
        while len(_loaded) > CACHED_MODELS:
            _loaded.popitem(last=False)
        return held[1]


def _read(path: str) -> Codec:
    thread_count()  # what is wrong with the environment is not the file's fault
    with open(path, "rb") as file, naming(path):
        refuse_endless(file, path)
        artifact = Artifact.from_bytes(file.read())
        codec = codec_for(artifact.family)
        model = codec.load(artifact)
        if model.identity != artifact.identity:
            raise InvalidModel(
                f"the model's identity is {model.identity.hex()}, not {artifact.identity.hex()}"
            )
        return codec.bound(model)
