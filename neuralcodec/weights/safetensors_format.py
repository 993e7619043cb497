"""The safetensors file: its header read with every claim checked, and written.

The library of that name reads files as a whole, into arrays of dtypes that numpy has; here tensors of any dtype are
read one at a time. What is refused is what that library refuses, and a test holds the two to it.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from neuralcodec.container.files import Source
from neuralcodec.errors import CorruptFile, NotNeuralCodecFile, TruncatedFile, UnsupportedInput
from neuralcodec.weights.dtypes import BY_NAME
from neuralcodec.weights.tensors import TensorSpec

LENGTH_BYTES = 8
MAX_HEADER = 100_000_000
METADATA = "__metadata__"
SECTION = "safetensors header"
_FIELDS = {"dtype", "shape", "data_offsets"}


@dataclass(frozen=True)
class Layout:
    """What a header says.

    Attributes
    ----------
    specs
        The tensors, in the order of their bytes.
    offsets
        Where the bytes of each start, from the start of the file, and where the last end.
    metadata
        Text by key, or None.
    header
        The header's bytes behind the length.
    """

    specs: Sequence[TensorSpec]
    offsets: Sequence[int]
    metadata: Mapping[str, str] | None
    header: bytes


def read_layout(source: Source) -> Layout:
    """Read and check the header of a safetensors file.

    Raises
    ------
    NotNeuralCodecFile
        It cannot be such a file.
    TruncatedFile, CorruptFile
        The header lies about lengths, dtypes, shapes or places.
    UnsupportedInput
        A tensor has a dtype that cannot be coded.
    """
    start = bytes(source.read_at(0, LENGTH_BYTES))
    size = int.from_bytes(start, "little")
    if len(start) < LENGTH_BYTES or size > MAX_HEADER:
        raise NotNeuralCodecFile(
            f"not a safetensors file: its header would have {size} bytes (the limit is {MAX_HEADER})"
        )
    if size > source.size - LENGTH_BYTES:
        raise TruncatedFile(f"the header has {size} bytes, but {source.size - LENGTH_BYTES} follow", SECTION)
    header = bytes(source.read_at(LENGTH_BYTES, size))
    return parse_header(header, source.size - LENGTH_BYTES - size)


def parse_header(header: bytes, data: int) -> Layout:
    """Return what a header says of the `data` bytes behind it; errors as for :func:`read_layout`."""
    if not header.startswith(b"{"):
        raise NotNeuralCodecFile("not a safetensors file: its header does not start with {")
    try:
        entries = json.loads(header.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise CorruptFile(f"is no JSON: {error}", SECTION) from None
    if not isinstance(entries, dict):
        raise CorruptFile("is no JSON object", SECTION)
    metadata = entries.pop(METADATA, None)
    if metadata is not None and not (
        isinstance(metadata, dict) and all(isinstance(value, str) for value in metadata.values())
    ):
        raise CorruptFile(f"{METADATA} does not hold texts by key", SECTION)
    placed = sorted((_entry(name, entry) for name, entry in entries.items()), key=lambda one: one[1:])
    offsets = [0]
    for spec, begin, end in placed:
        if begin != offsets[-1]:
            what = "overlaps another" if begin < offsets[-1] else "leaves a hole before it"
            raise CorruptFile(f"tensor {spec.name!r} at byte {begin} {what}", SECTION)
        if end - begin != spec.nbytes:
            raise CorruptFile(
                f"tensor {spec.name!r} of shape {spec.shape} and dtype {spec.type.name} needs {spec.nbytes} bytes, "
                f"but has {end - begin}",
                SECTION,
            )
        offsets.append(end)
    if offsets[-1] > data:
        raise TruncatedFile(f"the tensors need {offsets[-1]} bytes, but {data} follow the header", SECTION)
    if offsets[-1] < data:
        raise CorruptFile(f"{data - offsets[-1]} bytes follow the last tensor", SECTION)
    base = LENGTH_BYTES + len(header)
    return Layout([spec for spec, _, _ in placed], [base + offset for offset in offsets], metadata, header)


def _entry(name: str, entry: Any) -> tuple[TensorSpec, int, int]:
    if not isinstance(entry, dict) or set(entry) != _FIELDS:
        raise CorruptFile(f"tensor {name!r} has not just a dtype, a shape and data_offsets", SECTION)
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not _naturals(shape) or not _naturals(offsets) or len(offsets) != 2 or len(shape) > 64:
        raise CorruptFile(f"tensor {name!r} has the shape {shape} and the offsets {offsets}", SECTION)
    if not isinstance(dtype, str) or dtype not in BY_NAME:
        raise UnsupportedInput(
            f"tensor {name!r} has the dtype {dtype}, which cannot be coded; known are {', '.join(BY_NAME)}"
        )
    if offsets[0] > offsets[1] or math.prod(side for side in shape if side) >= 2**48:
        raise CorruptFile(f"tensor {name!r} has the shape {shape} and the offsets {offsets}", SECTION)
    return TensorSpec(name, BY_NAME[dtype], tuple(shape)), offsets[0], offsets[1]


def _naturals(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 2**63 for value in values)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no number")


def write_header(specs: Sequence[TensorSpec], metadata: Mapping[str, str] | None) -> bytes:
    """Return the header of a file whose tensors follow in this order, as the library writes it.

    >>> from neuralcodec.weights.dtypes import BY_NAME
    >>> write_header([TensorSpec("a", BY_NAME["U8"], (2,))], None)
    b'{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}   '
    """
    entries: dict[str, Any] = {} if metadata is None else {METADATA: dict(metadata)}
    offset = 0
    for spec in specs:
        place = [offset, offset + spec.nbytes]
        entries[spec.name] = {"dtype": spec.type.name, "shape": list(spec.shape), "data_offsets": place}
        offset += spec.nbytes
    text = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
    return text + b" " * (-len(text) % 8)
