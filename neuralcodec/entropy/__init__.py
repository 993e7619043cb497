"""Entropy coding: integer probability models, ANS streams, the coder of integer tensors, relative entropy coding.

Names are loaded when they are first used, so that reading a model file needs neither constriction nor the
tables.

>>> from neuralcodec.entropy import AnsDecoder, AnsEncoder, Categorical
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neuralcodec.entropy.ans import AnsDecoder, AnsEncoder, bytes_to_words, words_to_bytes
    from neuralcodec.entropy.discretised import (
        DiscretisedGaussian,
        DiscretisedLaplace,
        DiscretisedLogistic,
        fixed_point,
    )
    from neuralcodec.entropy.integers import ALPHABET_LIMIT, PRECISION, normalise_counts
    from neuralcodec.entropy.models import Categorical, Model
    from neuralcodec.entropy.relative import (
        Blocks,
        IndexModel,
        build_blocks,
        decode_blocks,
        encode_blocks,
        kl_bits,
    )
    from neuralcodec.entropy.tensor import decode_tensor, encode_tensor

_HOMES = {
    "ans": ("AnsDecoder", "AnsEncoder", "bytes_to_words", "words_to_bytes"),
    "discretised": ("DiscretisedGaussian", "DiscretisedLaplace", "DiscretisedLogistic", "fixed_point"),
    "integers": ("ALPHABET_LIMIT", "PRECISION", "normalise_counts"),
    "models": ("Categorical", "Model"),
    "relative": ("Blocks", "IndexModel", "build_blocks", "decode_blocks", "encode_blocks", "kl_bits"),
    "tensor": ("decode_tensor", "encode_tensor"),
}
_MODULE_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "ALPHABET_LIMIT",
    "PRECISION",
    "AnsDecoder",
    "AnsEncoder",
    "Blocks",
    "Categorical",
    "DiscretisedGaussian",
    "DiscretisedLaplace",
    "DiscretisedLogistic",
    "IndexModel",
    "Model",
    "build_blocks",
    "bytes_to_words",
    "decode_blocks",
    "decode_tensor",
    "encode_blocks",
    "encode_tensor",
    "fixed_point",
    "kl_bits",
    "normalise_counts",
    "words_to_bytes",
]


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value
