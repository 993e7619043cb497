"""An independent decoder of .ncz files, .ncz archives and .ncm models, written from docs/format.md alone.

It is slow and plain, uses only the standard library and numpy, and shares no code with the package. To decode
a file: `python tests/conformance/decoder.py FILE MODEL -o out.npy`.
"""

import argparse
import sys
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from decoder_model import Model, read_model
from decoder_photo import Photo, decode_photo
from decoder_primitives import (
    DTYPES,
    MIB,
    Reader,
    Refused,
    Unsupported,
    WrongModel,
    check_signal,
    is_name,
    largest_value,
    must,
    read_description,
    read_mask,
    read_sections,
    sample_string,
)
from decoder_representation import Representation, patches_of
from decoder_representation import decode_group as decode_representations
from decoder_walk import decode_group
from numpy.typing import NDArray

AnyModel = Model | Photo | Representation
ARCHIVE, DESCRIPTION, SECTIONS, RESERVED = 1, 2, 4, 8
MASK, COMPRESSED = 2, {1: "icc", 3: "exif", 5: "name", 7: "png"}


@dataclass
class Decoded:
    """What a file holds: values (n, D) in the signal's dtype, and what came with them."""

    dtype: int
    shape: tuple[int, ...]
    archive: bool
    values: NDArray[np.int64]
    missing: NDArray[np.bool_] | None
    """(n, D), or None if the file has no mask."""
    sections: list[dict[str, bytes]] = field(default_factory=list)
    """For each signal its ICC profile, EXIF and name, those it has."""
    checked: bytes = b""
    """What the checksums cover, of all groups: the sample strings, or with codec 2 the indices."""

    def array(self) -> NDArray[np.generic]:
        """Return the signal, or the signals of an archive along a first axis."""
        shape = (len(self.values), *self.shape) if self.archive else self.shape
        return self.values.astype(DTYPES[self.dtype]).reshape(shape)

    def sample_strings(self) -> bytes:
        """Return the sample strings of all signals, in order."""
        return sample_string(self.values, self.dtype)


def decode(data: bytes, model: AnyModel) -> Decoded:
    """Decode a single file or an archive. Raises Refused for everything that a decoder has to refuse."""
    reader = Reader(data)
    must(reader.take(4) == b"\x89NCZ", "no .ncz file")
    if (version := reader.unsigned(1)) != 1:
        raise Unsupported(f"version {version} of the format")
    flags = reader.unsigned(1)
    must(not flags & RESERVED, "a reserved flag is set")
    if (codec := flags >> 4) not in (1, 2, 4):
        name = reader.take(reader.varint(64)) if codec == 0 else b""
        must(codec != 0 or is_name(name), "the name of the codec is no printable ASCII")
        must(
            name not in (b"pc", b"recombiner", b"weights", b"photo"),
            "the codec has a number and is written by name",
        )
        raise Unsupported(f"codec {codec} {name.decode('ascii')}")
    if not isinstance(model, {1: Model, 2: Representation, 4: Photo}[codec]):
        raise WrongModel("the file was written with a model of another family")
    return _decode_archive(reader, flags, model) if flags & ARCHIVE else _decode_single(reader, flags, model)


def _read_signal(reader: Reader, flags: int, model: AnyModel) -> tuple[int, tuple[int, ...]]:
    """Return dtype and shape of the file's signals."""
    if not flags & DESCRIPTION:
        must(not isinstance(model, Photo), "the file does not describe its signals")
        assert not isinstance(model, Photo)
        must(isinstance(model, Model) or model.whole, "the file does not describe its signals")
        return model.dtype, model.shape
    if isinstance(model, Photo):
        return read_description(reader, 2**31)
    if isinstance(model, Representation):
        dtype, shape = read_description(reader, 2**31)
        must(dtype == model.dtype, "the dtype is not the model's")
        patches_of(shape, model)
        return dtype, shape
    dtype, shape = check_signal(*read_description(reader))
    must([s for s in shape if s > 1] == [s for s in model.shape if s > 1], "the shape is not the model's")
    return dtype, shape


def _check_name(raw: bytes) -> None:
    try:
        name = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused("a name is not UTF-8") from error
    must(name not in (".", "..") and not set(name) & set("/\\\0"), "a name is no plain file name")


def _decode_group(
    data: bytes,
    n: int,
    missing: NDArray[np.bool_] | None,
    model: AnyModel,
    dtype: int,
    shape: tuple[int, ...],
) -> tuple[NDArray[np.int64], bytes]:
    """Return the values (n, D) of a group, and what its checksum covers."""
    if isinstance(model, Representation):
        must(missing is None, "a file of codec 2 has a mask")
        return decode_representations(data, n, model, shape)
    if isinstance(model, Photo):
        must(missing is None and n == 1, "a file of codec 4 has a mask, or groups of several signals")
        values = decode_photo(data, model, dtype, shape)
        return values, sample_string(values, dtype)
    values = decode_group(data, n, missing, model)
    must(int(values.max()) <= largest_value(dtype), "a value does not fit the dtype")
    return values, sample_string(values, dtype)


def _decode_single(reader: Reader, flags: int, model: AnyModel) -> Decoded:
    if reader.take(4) != model.identity[:4]:
        raise WrongModel("the file was written with another model")
    dtype, shape = _read_signal(reader, flags, model)
    sections = _inflated_sections(read_sections(reader, (1, 2, 3, 5, 7, 9))) if flags & SECTIONS else {}
    missing = read_mask(sections[MASK], shape, 1) if MASK in sections else None
    _check_name(sections.get(5, b""))
    checked = reader.data[: reader.at]
    must(reader.left >= 4, "the file ends before its CRC-32")
    values, covered = _decode_group(reader.take(reader.left - 4), 1, missing, model, dtype, shape)
    must(zlib.crc32(checked + covered) == reader.unsigned(4), "the CRC-32 is wrong")
    named = {COMPRESSED[kind]: content for kind, content in sections.items() if kind != MASK}
    return Decoded(dtype, shape, False, values, missing, [named], covered)


def _decode_archive(reader: Reader, flags: int, model: AnyModel) -> Decoded:
    identity = reader.take(32)
    if identity != model.identity:
        raise WrongModel("the archive was written with another model")
    dtype, shape = _read_signal(reader, flags, model)
    if flags & SECTIONS:
        read_sections(reader, known=())
    group = reader.varint(1_024, least=1)
    lanes = -(-group // 16) * 16
    must(
        not isinstance(model, Model)
        or lanes <= 16
        or lanes * max(model.path_states(), int(np.prod(model.shape))) <= 1 << 22,
        "the groups are too large for the model",
    )
    _check_crc(reader, 0, "header")
    decoded = Decoded(dtype, shape, True, np.zeros((0, int(np.prod(shape))), np.int64), None)
    chunks = _read_index(reader.data, reader.at)
    parts, masks = [decoded.values], []
    for size, n in chunks:
        body = _read_block(Reader(reader.take(size)), b"\x89NCk")
        first = sum(len(part) for part in parts)
        values, missing = _decode_chunk(body, first, n, group, decoded, model)
        parts.append(values)
        masks.append(np.zeros(values.shape, np.bool_) if missing is None else missing)
        if missing is not None:
            decoded.missing = missing
    decoded.values = np.concatenate(parts)
    if decoded.missing is not None:
        decoded.missing = np.concatenate(masks)
    return decoded


def _check_crc(reader: Reader, start: int, what: str) -> None:
    """Read a CRC-32 and check it over the bytes since `start`."""
    crc = zlib.crc32(reader.data[start : reader.at])
    must(crc == reader.unsigned(4), f"the CRC-32 of the {what} is wrong")


def _read_block(reader: Reader, marker: bytes) -> Reader:
    """Return the body of a chunk or an index: marker, length, body, CRC-32 and nothing after."""
    must(reader.take(4) == marker, f"no marker {marker!r}")
    body = reader.take(reader.varint())
    _check_crc(reader, 0, repr(marker))
    reader.finish()
    return Reader(body)


def _read_index(data: bytes, start: int) -> list[tuple[int, int]]:
    """Return size and number of signals of each chunk; the chunks start at byte `start`."""
    must(len(data) >= start + 12, "no footer")
    footer = Reader(data[-12:])
    offset = footer.unsigned(8)
    must(footer.take(4) == b"ZCN\x89", "the archive does not end in a footer")
    must(start <= offset <= len(data) - 12, "the index is not where the footer says")
    body = _read_block(Reader(data[offset:-12]), b"\x89NCi")
    chunks = [(body.varint(), body.varint(65_536, least=1)) for _ in range(body.varint())]
    body.finish()
    must(start + sum(size for size, _ in chunks) == offset, "the chunks do not fill the archive")
    return chunks


def _decode_chunk(
    body: Reader, first: int, n: int, group: int, decoded: Decoded, model: AnyModel
) -> tuple[NDArray[np.int64], NDArray[np.bool_] | None]:
    """Return values and mask of a chunk and add its sections to `decoded`."""
    must(body.varint() == first and body.varint() == n, "chunk and index disagree")
    size = len(sample_string(np.zeros(int(np.prod(decoded.shape)), np.int64), decoded.dtype))
    must(n * size <= 32_768 * len(body.data), "the chunk has more samples than its bytes can stand for")
    flags = body.unsigned(1)
    must(not flags & ~SECTIONS, "a reserved flag of a chunk is set")
    sections = read_sections(body) if flags & SECTIONS else {}
    missing = read_mask(sections[MASK], decoded.shape, n) if MASK in sections else None
    decoded.sections += _split_sections(sections, n)
    sizes = [min(group, n - start) for start in range(0, n, group)]
    lengths = [body.varint() for _ in sizes]
    parts, covered = [], b""
    for start, count, length in zip(range(0, n, group), sizes, lengths, strict=True):
        absent = None if missing is None else missing[start : start + count]
        values, own = _decode_group(body.take(length), count, absent, model, decoded.dtype, decoded.shape)
        parts.append(values)
        covered += own
    must(body.left >= 4, "the chunk ends before its CRC-32")
    Reader(body.take(body.left - 4)).padding()
    must(zlib.crc32(covered) == body.unsigned(4), "the CRC-32 of the samples is wrong")
    decoded.checked += covered
    return np.concatenate(parts), missing


def _inflated_sections(sections: dict[int, bytes]) -> dict[int, bytes]:
    """Return the sections of a single file, those of the deflated list among them."""
    if 9 not in sections:
        return sections
    reader = Reader(_inflate(sections.pop(9), 64 * MIB, "deflated"))
    found = read_sections(reader, tuple(COMPRESSED), alone=True)
    reader.finish()
    must(not found.keys() & sections.keys(), "a section stands twice")
    return {**sections, **found}


def _inflate(content: bytes, limit: int, name: str) -> bytes:
    inflate = zlib.decompressobj()
    try:
        plain = inflate.decompress(content, limit + 1)
    except zlib.error as error:
        raise Refused(f"the {name} section is no zlib stream") from error
    must(inflate.eof and not inflate.unused_data, f"the {name} section is not one zlib stream, or too long")
    must(len(plain) <= limit, f"the {name} section inflates to more than {limit} bytes")
    return plain


def _split_sections(sections: dict[int, bytes], n: int) -> list[dict[str, bytes]]:
    """Return the items of a chunk's compressed sections for each of its n signals."""
    items: list[dict[str, bytes]] = [{} for _ in range(n)]
    limit = min(n * 65_536, 64 * MIB)
    for kind, name in COMPRESSED.items():
        if kind not in sections:
            continue
        reader = Reader(_inflate(sections[kind], limit, name))
        for item in items:
            if content := reader.take(reader.varint()):
                item[name] = content
                _check_name(content if kind == 5 else b"")
        reader.finish()
    return items


def main(arguments: list[str]) -> int:
    """Decode the file that the command line names; return 0, or 1 if it is refused."""
    parser = argparse.ArgumentParser(description="Decode an .ncz file by the specification alone.")
    parser.add_argument("file", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("-o", "--output", type=Path, help="write the samples here, as .npy")
    options = parser.parse_args(arguments)
    try:
        decoded = decode(options.file.read_bytes(), read_model(options.model.read_bytes()))
    except Refused as refusal:
        print(f"refused: {refusal}", file=sys.stderr)
        return 1
    array = decoded.array()
    if options.output:
        np.save(options.output, array)
    print(f"{array.dtype} {array.shape}, CRC-32 of the samples {zlib.crc32(decoded.sample_strings()):08x}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
