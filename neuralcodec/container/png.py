"""PNG files (ISO/IEC 15948): their chunks and image data, and what one is besides its samples (section 2).

Pillow undoes the filters. What it does not hand over is had by telling it another layout of the same bytes.
"""

import io
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuralcodec.container.primitives import Buffer, Reader, varint
from neuralcodec.errors import CorruptFile

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GRAY, COLOURS, PALETTE, GRAY_ALPHA, COLOURS_ALPHA = 0, 2, 3, 4, 6
CHANNELS = {GRAY: 1, COLOURS: 3, PALETTE: 1, GRAY_ALPHA: 2, COLOURS_ALPHA: 4}
COLOUR_OF = {1: GRAY, 2: GRAY_ALPHA, 3: COLOURS, 4: COLOURS_ALPHA}
"""The colour type of samples with so many channels, without a palette."""

KEPT = (b"PLTE", b"tRNS", b"iTXt")
"""Chunks that a form may hold: palette, transparency, and XMP."""

STRIP = 2**21
"""Bytes of rows that are filtered, or freed of filters, together."""


@dataclass(frozen=True)
class Head:
    """Size and layout of a PNG's samples: an IHDR chunk."""

    width: int
    height: int
    depth: int
    colour: int
    interlaced: bool = False

    @classmethod
    def of(cls, shape: tuple[int, ...], depth: int) -> "Head":
        """Return the head of an image (H, W) or (H, W, 1 to 4) without a palette."""
        return cls(shape[1], shape[0], depth, COLOUR_OF[1 if len(shape) == 2 else shape[2]])

    @property
    def channels(self) -> int:
        """Samples of a pixel."""
        return CHANNELS[self.colour]

    @property
    def row_bytes(self) -> int:
        """Bytes of a row without its filter."""
        return (self.width * self.channels * self.depth + 7) // 8

    def to_bytes(self) -> bytes:
        """Return the content of the chunk."""
        layout = bytes([self.depth, self.colour, 0, 0, self.interlaced])
        return self.width.to_bytes(4, "big") + self.height.to_bytes(4, "big") + layout


@dataclass(frozen=True)
class PngForm:
    """What a PNG file is besides its samples: the content of a section 7.

    Attributes
    ----------
    depth
        Bits of a sample in the PNG: 1, 2, 4, 8 or 16.
    chunks
        Kinds and contents of the chunks of `KEPT` that it has.
    """

    depth: int
    chunks: tuple[tuple[bytes, bytes], ...] = ()

    @property
    def palette(self) -> bytes | None:
        """Red, green and blue of each entry, one after the other; None if there is no palette."""
        return dict(self.chunks).get(b"PLTE")

    @property
    def transparency(self) -> bytes | None:
        """Alpha of each entry of a palette, or the transparent colour; None if all is opaque."""
        return dict(self.chunks).get(b"tRNS")

    def to_bytes(self) -> bytes:
        """Return the content of the section.

        >>> PngForm(4, ((b"PLTE", bytes(6)),)).to_bytes().hex()
        '04504c544506000000000000'
        """
        return bytes([self.depth]) + b"".join(
            kind + varint(len(content)) + content for kind, content in self.chunks
        )

    @classmethod
    def from_bytes(cls, section: bytes) -> "PngForm":
        """Read a section; :class:`CorruptFile` if it breaks a rule of section 2."""
        reader = Reader(section, "PNG form", inner=True)
        depth = reader.u8("a depth")
        if depth not in (1, 2, 4, 8, 16):
            raise reader.fault(f"a depth of {depth} bits is not known")
        chunks: list[tuple[bytes, bytes]] = []
        while reader.remaining:
            kind = bytes(reader.take(4, "the kind of a chunk"))
            if kind not in KEPT or kind in dict(chunks):
                raise reader.fault(f"the chunk {kind!r} is not known, or there twice")
            chunks.append((kind, bytes(reader.take(reader.varint("the length of a chunk"), "a chunk"))))
        form = cls(depth, tuple(chunks))
        entries, rest = divmod(3 if form.palette is None else len(form.palette), 3)
        if rest or not 1 <= entries <= 256:
            raise reader.fault("a palette has 1 to 256 entries of 3 bytes")
        if form.palette is not None and depth > 8:
            raise reader.fault("a palette does not go with 16 bits")
        return form


def chunk(kind: bytes, content: bytes) -> bytes:
    """Return a chunk with its length and checksum."""
    return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")


def chunks(data: Buffer) -> Iterator[tuple[bytes, memoryview, int]]:
    """Yield kind, content and checksum of a file's chunks as far as they go."""
    view, position = memoryview(data), len(SIGNATURE)
    while position + 8 <= len(view):
        size = int.from_bytes(view[position : position + 4], "big")
        end = position + 8 + size
        checksum = int.from_bytes(view[end : end + 4], "big")
        yield bytes(view[position + 4 : position + 8]), view[position + 8 : end], checksum
        position = end + 4


def read_head(data: Buffer) -> Head | None:
    """Return the head of a PNG file; None if these bytes start no PNG file of a known layout."""
    if bytes(data[: len(SIGNATURE)]) != SIGNATURE:
        return None
    kind, content, _ = next(chunks(data), (b"", memoryview(b""), 0))
    if kind != b"IHDR" or len(content) != 13 or content[9] not in CHANNELS or content[12] > 1:
        return None
    width, height = (int.from_bytes(content[i : i + 4], "big") for i in (0, 4))
    return Head(width, height, content[8], content[9], bool(content[12]))


def packed_rows(samples: NDArray[Any], depth: int) -> NDArray[np.uint8]:
    """Return the bytes (H, n) of rows of samples (H, W) or (H, W, channels) below 2^depth.

    >>> packed_rows(np.array([[1, 2, 3]], np.uint8), 4).tolist()
    [[18, 48]]
    """
    rows = samples.reshape(len(samples), -1)
    if depth == 16:
        return np.ascontiguousarray(rows, ">u2").view(np.uint8)
    if depth == 8:
        return np.ascontiguousarray(rows, np.uint8)
    bits = np.unpackbits(rows.astype(np.uint8)[:, :, None], axis=2)[:, :, 8 - depth :]
    return np.packbits(bits.reshape(len(rows), -1), axis=1)


def image_data(samples: NDArray[Any], depth: int, level: int, *, adaptive: bool) -> Iterator[bytes]:
    """Yield the parts of the zlib stream of a PNG's rows; of each row the best filter, or none for all."""
    deflater = zlib.compressobj(level, zlib.DEFLATED, 15, 9)
    channels = 1 if samples.ndim == 2 else samples.shape[2]
    above: NDArray[np.uint8] | None = None
    step = max(1, STRIP // max(1, samples[:1].nbytes))
    for start in range(0, len(samples), step):
        rows = packed_rows(samples[start : start + step], depth)
        if adaptive:
            filtered = _filtered(rows, max(1, channels * depth // 8), above)
        else:
            filtered = np.concatenate([np.zeros((len(rows), 1), np.uint8), rows], axis=1)
        yield deflater.compress(filtered.data)
        above = rows[-1]
    yield deflater.flush()


def _filtered(rows: NDArray[np.uint8], pixel: int, above: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    """Return rows with that filter of the five before each that leaves the least sum of sizes."""
    first = np.zeros_like(rows[:1]) if above is None else above[None]
    up = np.concatenate([first, rows[:-1]])
    left, corner = np.zeros_like(rows), np.zeros_like(rows)
    left[:, pixel:], corner[:, pixel:] = rows[:, :-pixel], up[:, :-pixel]
    a, b, c = left.astype(np.int16), up.astype(np.int16), corner.astype(np.int16)
    pa, pb, pc = abs(b - c), abs(a - c), abs(a + b - 2 * c)
    paeth = np.where((pa <= pb) & (pa <= pc), left, np.where(pb <= pc, up, corner))
    average = ((a + b) >> 1).astype(np.uint8)
    ways = [rows, rows - left, rows - up, rows - average, rows - paeth]
    sizes = np.stack([np.minimum(way, -way).sum(1, dtype=np.int64) for way in ways])
    best = sizes.argmin(0).astype(np.uint8)
    chosen = np.empty_like(rows)
    for number, way in enumerate(ways):
        chosen[best == number] = way[best == number]
    return np.concatenate([best[:, None], chosen], axis=1)


def read_samples(head: Head, parts: Iterable[Buffer]) -> NDArray[Any]:
    """Return the samples of a PNG's image data, which comes in parts: not scaled, indices of palettes.

    Returns
    -------
    ndarray
        (H, W), or (H, W, 2 to 4): bool for a depth of 1, uint16 for 16, else uint8.

    Raises
    ------
    ValueError
        The image data is damaged.
    """
    if head.interlaced or head.row_bytes * head.height <= STRIP:
        return _undone(head, b"".join(parts))
    dtype = np.dtype({1: np.bool_, 16: np.uint16}.get(head.depth, np.uint8))
    shape = (head.height, head.width) if head.channels == 1 else (head.height, head.width, head.channels)
    samples = np.empty(shape, dtype)
    row, done = head.row_bytes + 1, 0
    for strip in _strips(parts, row * max(1, STRIP // row), row * head.height):
        # The row above goes before them, without a filter.
        before = b"" if not done else b"\0" + packed_rows(samples[done - 1 : done], head.depth).tobytes()
        count = len(strip) // row
        part = Head(head.width, count + bool(done), head.depth, head.colour)
        samples[done : done + count] = _undone(part, zlib.compress(before + strip, 0))[bool(done) :]
        done += count
    return samples


def _strips(parts: Iterable[Buffer], size: int, whole: int) -> Iterator[bytes]:
    """Yield `whole` bytes of a zlib stream, `size` at a time."""
    inflater, have = zlib.decompressobj(), bytearray()
    for data in parts:
        left: Buffer = data
        while len(left) and whole:
            have += inflater.decompress(left, min(size, whole) - len(have))
            left = inflater.unconsumed_tail
            if len(have) == min(size, whole):
                yield bytes(have)
                whole -= len(have)
                have.clear()
    if whole:
        raise ValueError("the image data ends early")


def _undone(head: Head, data: bytes) -> NDArray[Any]:
    """Return the samples of image data by Pillow."""
    if head.depth == 16 and head.channels == 2:
        # The bytes of both samples as if they were four.
        wide = _loaded(Head(head.width, head.height, 8, COLOURS_ALPHA, head.interlaced), data)
        return np.ascontiguousarray(wide).view(">u2").astype(np.uint16)
    if head.depth == 16 and head.channels > 2:
        mode = "RGB" if head.channels == 3 else "RGBA"
        high, low = (_loaded(head, data, f"{mode};16{order}") for order in "BL")
        deep: NDArray[np.uint16] = high.astype(np.uint16) << 8 | low
        return deep
    colour = GRAY if head.colour == PALETTE else head.colour
    samples = _loaded(Head(head.width, head.height, head.depth, colour, head.interlaced), data)
    if head.depth in (2, 4):
        return samples // np.uint8(step_of(head.depth))
    return samples.astype(np.uint16) if head.depth == 16 else np.ascontiguousarray(samples)


def _loaded(head: Head, data: bytes, layout: str | None = None) -> NDArray[Any]:
    """Return what Pillow makes of image data, of which it takes the bytes as a layout of its own says."""
    from PIL.PngImagePlugin import PngImageFile

    file = SIGNATURE + chunk(b"IHDR", head.to_bytes()) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    with PngImageFile(io.BytesIO(file)) as image:
        if layout is not None:
            image.tile = [(*tile[:3], layout) for tile in image.tile]  # type: ignore[misc]
        samples = np.asarray(image)
    # Pillow's bools are bytes of 0 and 255.
    return samples.view(np.uint8) != 0 if samples.dtype == bool else samples


def depth_of(dtype: "np.dtype[Any]") -> int:
    """Return the bits of a sample: 1, 8 or 16.

    >>> [depth_of(np.dtype(name)) for name in ("bool", "uint8", "uint16")]
    [1, 8, 16]
    """
    return 1 if dtype.kind == "b" else 8 * dtype.itemsize


def step_of(depth: int) -> int:
    """Return by what gray samples of so many bits are scaled to 8: the most that 8 bits hold.

    >>> [step_of(depth) for depth in (1, 2, 4)]
    [255, 85, 17]
    """
    return 255 // ((1 << depth) - 1)


def exact_samples(file: Buffer, head: Head) -> NDArray[Any]:
    """Return the samples of a PNG file as :func:`read_samples` does."""

    def parts() -> Iterator[memoryview]:
        for kind, content, checksum in chunks(file):
            if kind == b"IDAT":
                if zlib.crc32(content, zlib.crc32(kind)) != checksum:
                    raise ValueError("a checksum of the image data is wrong")
                yield content

    return read_samples(head, parts())


def colours_of(indices: NDArray[np.uint8], form: PngForm) -> NDArray[np.uint8] | None:
    """Return the colours (H, W, 3), or (H, W, 4) with transparency, of indices; None if those cannot be had back."""
    table = _table(form)
    if int(indices.max()) >= len(table):
        return None
    colours: NDArray[np.uint8] = table[indices]
    return colours if np.array_equal(indices_of(colours, form), indices) else None


def indices_of(colours: NDArray[np.uint8], form: PngForm) -> NDArray[np.uint8]:
    """Return the first entries of a palette that have these colours; :class:`CorruptFile` if some are not there."""
    keys, first = np.unique(_keys(_table(form)), return_index=True)
    wanted = _keys(colours)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    if not np.array_equal(keys[place], wanted):
        raise CorruptFile("the image has colours that its palette does not have", "PNG form")
    return first.astype(np.uint8)[place]


def _table(form: PngForm) -> NDArray[np.uint8]:
    table = np.frombuffer(form.palette or bytes(3), np.uint8).reshape(-1, 3)
    if form.transparency is None:
        return table
    alpha = np.full((len(table), 1), 255, np.uint8)
    given = np.frombuffer(form.transparency[: len(table)], np.uint8)
    alpha[: len(given), 0] = given
    return np.concatenate([table, alpha], axis=1)


def _keys(colours: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Return each colour as one number."""
    keys = np.zeros(colours.shape[:-1], np.uint32)
    for channel in range(colours.shape[-1]):
        keys = keys << np.uint32(8) | colours[..., channel]
    return keys
