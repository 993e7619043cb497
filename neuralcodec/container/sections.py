"""Section lists: colour profiles, masks, EXIF and names beside the samples (docs/format.md, section 2)."""

import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuralcodec.container.primitives import (
    MAX_ELEMENTS_PER_BYTE,
    MAX_TENSOR_ELEMENTS,
    MAX_VARINT,
    Buffer,
    Reader,
    varint,
)
from neuralcodec.errors import CorruptFile, UnsupportedInput, UnsupportedVersion

ICC, MASK, EXIF, NAME, PNG, DEFLATED = 1, 2, 3, 5, 7, 9
SECTION_NAMES = {ICC: "ICC profile", MASK: "mask", EXIF: "EXIF", NAME: "name", PNG: "PNG form"}
TEXTS = frozenset(SECTION_NAMES) - {MASK}
"""What a single file may hold deflated, all in one zlib stream."""
MAX_SECTION = 16 * 2**20
MAX_INFLATED_PER_SIGNAL = 64 * 2**10
MAX_INFLATED = 64 * 2**20


def label(kind: int) -> str:
    """Return the name of a section type, for messages."""
    return SECTION_NAMES.get(kind, f"section {kind}")


def write_sections(sections: Mapping[int, bytes]) -> bytes:
    """Return a section list, or nothing if there are no sections (the flag for them is then clear).

    >>> write_sections({5: b"a"}).hex()
    '05016100'
    """
    for kind, content in sections.items():
        if len(content) > MAX_SECTION:
            raise UnsupportedInput(
                f"the {label(kind)} takes {len(content)} bytes; a section holds at most {MAX_SECTION}"
            )
    parts = [varint(kind) + varint(len(sections[kind])) + sections[kind] for kind in sorted(sections)]
    return b"".join([*parts, b"\0"]) if parts else b""


def read_sections(
    reader: Reader, known: frozenset[int] = frozenset(SECTION_NAMES), *, alone: bool = False
) -> dict[int, bytes]:
    """Read a section list; types outside `known` are skipped if odd and refused if even, or all refused if `alone`.

    Raises
    ------
    UnsupportedVersion
        A mandatory section that this release does not know.
    CorruptFile
        Types out of order, or a length above the limits.
    """
    sections: dict[int, bytes] = {}
    last = 0
    while kind := reader.varint("a section type", MAX_VARINT):
        if kind <= last:
            raise reader.fault(f"section type {kind} stands after {last}: types must ascend")
        last = kind
        size = reader.varint(f"the length of the {label(kind)}", MAX_SECTION)
        content = reader.take(size, f"the {label(kind)}")
        if kind in known:
            sections[kind] = bytes(content)
        elif alone:
            raise reader.fault(f"the {label(kind)} does not belong there")
        elif kind % 2 == 0:
            raise UnsupportedVersion(
                f"the {reader.section} holds the mandatory section {kind}, "
                "which this release of neuralcodec does not know"
            )
    return sections


def sections_deflated(sections: Mapping[int, bytes]) -> dict[int, bytes]:
    """Return the sections of a single file, all that are no mask in one zlib stream where that is shorter.

    >>> sections_deflated({1: bytes(90), 5: b"a"}) == {9: zlib.compress(write_sections({1: bytes(90), 5: b"a"}), 9)}
    True
    """
    plain = write_sections({kind: sections[kind] for kind in TEXTS & sections.keys()})
    packed = zlib.compress(plain, 9)
    if not plain or len(packed) >= len(plain) - 3 or len(plain) > MAX_INFLATED or len(packed) > MAX_SECTION:
        return dict(sections)
    rest = {kind: content for kind, content in sections.items() if kind not in TEXTS}
    listed = {**rest, DEFLATED: packed}
    return min(dict(sections), listed, key=lambda one: len(write_sections(one)))


def sections_inflated(sections: Mapping[int, bytes]) -> Mapping[int, bytes]:
    """Return sections with those that :func:`sections_deflated` packed, in their place.

    Raises
    ------
    CorruptFile
        The stream is damaged or too long, or a section stands both in it and beside it.
    """
    if DEFLATED not in sections:
        return sections
    plain = _inflate(sections[DEFLATED], MAX_INFLATED, "deflated sections")
    reader = Reader(plain, "deflated sections", inner=True)
    found = read_sections(reader, TEXTS, alone=True)
    if reader.remaining:
        raise reader.fault(f"{reader.remaining} bytes follow the last section")
    rest = {kind: content for kind, content in sections.items() if kind != DEFLATED}
    for kind in found.keys() & rest.keys():
        raise reader.fault(f"the {label(kind)} stands beside them too")
    return {**rest, **found}


def pack_items(kind: int, items: Sequence[bytes]) -> bytes:
    """Return one item a signal as an archive's section: a zlib stream of (varint length, bytes).

    >>> unpack_items(5, pack_items(5, [b"a.png", b""]), 2)
    [b'a.png', b'']
    """
    plain = b"".join(varint(len(item)) + item for item in items)
    limit = _inflated_limit(len(items))
    if len(plain) > limit:
        raise UnsupportedInput(
            f"the {label(kind)} of {len(items)} signals takes {len(plain)} bytes; "
            f"a chunk of so many signals holds at most {limit}"
        )
    return zlib.compress(plain, 9)


def unpack_items(kind: int, content: Buffer, n: int) -> list[bytes]:
    """Return the n items that :func:`pack_items` packed; no more than the format allows is inflated."""
    plain = _inflate(content, _inflated_limit(n), label(kind))
    reader = Reader(plain, label(kind), inner=True)
    items = [bytes(reader.take(reader.varint("the length of an item"), "an item")) for _ in range(n)]
    if reader.remaining:
        raise reader.fault(f"{reader.remaining} bytes follow the last item")
    return items


def _inflate(content: Buffer, limit: int, where: str) -> bytes:
    stream = zlib.decompressobj()
    try:
        plain = stream.decompress(content, limit + 1)
    except zlib.error as error:
        raise CorruptFile(f"not a zlib stream ({error})", where) from None
    if len(plain) > limit:
        raise CorruptFile(f"inflates to more than {limit} bytes", where)
    if not stream.eof or stream.unused_data:
        raise CorruptFile("the zlib stream does not end where the section does", where)
    return plain


def _inflated_limit(signals: int) -> int:
    return min(MAX_INFLATED_PER_SIGNAL * signals, MAX_INFLATED)


def pack_name(name: str) -> bytes:
    """Return a file name as UTF-8, without the directories before it.

    >>> pack_name("scans/digit.png")
    b'digit.png'
    """
    last = re.split(r"[/\\]", name)[-1].replace("\0", "")
    return b"" if last in (".", "..") else last.encode("utf-8", "replace")


def unpack_name(raw: bytes) -> str:
    """Return the file name of a section; one that could lead into another directory is refused."""
    try:
        name = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise CorruptFile(f"{raw[:80]!r} is not UTF-8", label(NAME)) from None
    if name in (".", "..") or re.search(r"[/\\\0]", name):
        raise CorruptFile(f"{name[:80]!r} is not a plain file name", label(NAME))
    return name


def pack_mask(missing: NDArray[np.bool_], shape: tuple[int, ...]) -> bytes:
    """Return the mask of one or more signals of a shape as a tensor body; True where a sample is missing."""
    from neuralcodec.native import encode_tensor

    rows, columns = mask_matrix(shape, missing.size)
    if missing.size > MAX_TENSOR_ELEMENTS:
        raise UnsupportedInput(
            f"a mask of {missing.size} samples is above the limit of {MAX_TENSOR_ELEMENTS}"
        )
    return encode_tensor(np.ascontiguousarray(missing, np.uint8).reshape(rows, columns))


def unpack_mask(body: bytes, shape: tuple[int, ...], n: int) -> NDArray[np.bool_]:
    """Return the mask of n signals of a shape as a bool array (n, *shape), True where a sample is missing."""
    from neuralcodec.native import decode_tensor

    size = n * int(np.prod(shape, dtype=object))
    if size > min(MAX_TENSOR_ELEMENTS, MAX_ELEMENTS_PER_BYTE * len(body)):
        raise CorruptFile(f"{len(body)} bytes cannot hold {size} elements", label(MASK))
    matrix: NDArray[Any] = decode_tensor(body, *mask_matrix(shape, size))
    if int(matrix.max()) > 1:
        raise CorruptFile(f"holds {int(matrix.max())}, but only 0 and 1 are allowed", label(MASK))
    return matrix.astype(np.bool_).reshape(n, *shape)


def mask_matrix(shape: tuple[int, ...], size: int) -> tuple[int, int]:
    """Return the rows and columns of the tensor that holds the mask of `size` samples of signals of a shape.

    >>> mask_matrix((28, 20), 2 * 28 * 20), mask_matrix((5,), 10)
    ((56, 20), (2, 5))
    """
    columns = int(np.prod(shape[1:], dtype=object)) if len(shape) > 1 else shape[0]
    return size // columns, columns
