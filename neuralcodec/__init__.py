"""Lossless compression with probability models.

>>> import neuralcodec
>>> neuralcodec.compress  # doctest: +ELLIPSIS
<function compress at ...>
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neuralcodec import errors
    from neuralcodec.api import (
        append_archive,
        compress,
        compress_many,
        compress_stream,
        create_archive,
        decode_file,
        decompress,
        decompress_many,
        decompress_stream,
        list_models,
        load_model,
        open_archive,
        repair_archive,
        salvage_image,
    )
    from neuralcodec.info import read_info
    from neuralcodec.weights import compress_weights, decompress_weights

__version__ = "0.1.0.dev0"

__all__ = [
    "__version__",
    "append_archive",
    "compress",
    "compress_many",
    "compress_stream",
    "compress_weights",
    "create_archive",
    "decode_file",
    "decompress",
    "decompress_many",
    "decompress_stream",
    "decompress_weights",
    "errors",
    "list_models",
    "load_model",
    "open_archive",
    "read_info",
    "repair_archive",
    "salvage_image",
]

_MODULES = dict.fromkeys(__all__, "neuralcodec.api") | {
    "read_info": "neuralcodec.info",
    "compress_weights": "neuralcodec.weights",
    "decompress_weights": "neuralcodec.weights",
}


def __getattr__(name: str) -> Any:
    # Importing the package costs nothing until one of its functions is asked for.
    if name == "errors":
        return import_module("neuralcodec.errors")
    if name not in __all__ or name == "__version__":
        raise AttributeError(f"module 'neuralcodec' has no attribute {name!r}")
    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
