"""The payload of a photograph: a form, and tiles that decode alone (docs/format.md, section 11.2)."""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from neuralcodec.container.primitives import Reader, crc32, varint
from neuralcodec.container.signal import SignalType, sample_string
from neuralcodec.errors import CorruptFile
from neuralcodec.native import thread_count
from neuralcodec.native.photo import STREAMS
from neuralcodec.photo.context import ORDER, PLANES
from neuralcodec.photo.fallback import (
    decode_differences,
    decode_levels,
    decode_png,
    deflate_samples,
    encode_differences,
    encode_levels,
    encode_png,
    inflate_samples,
    of_sample_string,
    png_holds,
)
from neuralcodec.photo.indexed import Tables, tables_of
from neuralcodec.photo.model import PhotoModel
from neuralcodec.photo.residuals import decode_residuals, encode_residuals
from neuralcodec.photo.tiles import MOST_SIDE, SIDE, Box, Grid, boxes_array

Item = TypeVar("Item")

TILES, PNG, LEVELS, INDEXED = 0, 1, 2, 3
"""Forms of a payload."""

CONSTANT, ONE_STREAM, STREAMED, DIFFERENCES, DEFLATED, RESIDUALS = 0, 1, 2, 3, 4, 5
"""Methods of a tile's channels."""

MOST_CHANNELS = 4
MOST_SAMPLES_PER_BYTE = 2**18
CRC_BYTES = 4
SMALL = 2**14
"""Samples of a plane below which a tile has one stream."""

BUSY, CALM = 6.5, 1.0
"""Bits per 8-bit sample of a network above and below which differences are tried as well; always with 16 bits."""


def channels_of(shape: tuple[int, ...]) -> int:
    """Return how many channels an image has."""
    return 1 if len(shape) == 2 else shape[2]


def channel_groups(channels: int, networks: int) -> list[tuple[int, ...]]:
    """Return the channels that are coded together, in the order of coding.

    >>> channel_groups(4, 3), channel_groups(3, 1)
    ([(1, 0, 2), (3,)], [(0,), (1,), (2,)])
    """
    if channels >= PLANES <= networks:
        return [ORDER, *((c,) for c in range(PLANES, channels))]
    return [(c,) for c in range(channels)]


def encode_image(model: PhotoModel, image: NDArray[Any], side: int = SIDE) -> bytes:
    """Return the payload of an image (H, W) or (H, W, 1 to 4) of bool, uint8 or uint16."""
    image = np.ascontiguousarray(image, image.dtype.newbyteorder("="))
    found = [_tiled(model, image, side)]
    tables = tables_of(image)
    if tables is not None:
        found.append(bytes([INDEXED]) + tables.to_bytes() + _tiled(model, image, side, tables))
    levels = encode_levels(image) if image.ndim == 2 and image.dtype == np.uint8 else None
    if levels is not None:
        found.append(bytes([LEVELS]) + levels)
    if png_holds(image.shape, image.dtype) and _looks_synthetic(image, min(map(len, found))):
        found.append(bytes([PNG]) + encode_png(image))
    return min(found, key=len)


def _tiled(model: PhotoModel, image: NDArray[Any], side: int, tables: Tables | None = None) -> bytes:
    """Return the payload of tiles, of an image or of its indices into tables."""
    volume = image.reshape(*image.shape[:2], channels_of(image.shape))
    grid = Grid(volume.shape[0], volume.shape[1], side)
    table, records = [], []
    for numbers in _batches(range(len(grid))):
        boxes = [grid[number] for number in numbers]
        some, places = (volume, boxes) if tables is None else _indices(tables, volume, boxes)
        for place, record in zip(places, _encode_tiles(model, some, places), strict=True):
            table.append(varint(len(record)) + _checksum(some[place.slices]))
            records.append(record)
    return b"".join([bytes([TILES]), varint(side), *table, *records])


def _indices(tables: Tables, volume: NDArray[Any], boxes: list[Box]) -> tuple[NDArray[Any], list[Box]]:
    """Return the indices of some tiles alone, side by side, and where they are: memory stays that of a few tiles."""
    starts = np.cumsum([0, *(box.width for box in boxes)]).tolist()
    places = [Box(left, 0, box.width, box.height) for left, box in zip(starts, boxes, strict=False)]
    strip = np.zeros((max(box.height for box in boxes), starts[-1], tables.planes), volume.dtype)
    for box, place in zip(boxes, places, strict=True):
        strip[place.slices] = tables.indices(volume[box.slices])
    return strip, places


def payload_of_png(data: bytes, depth: int, step: int) -> bytes:
    """Return the payload that holds the image data of a PNG, of samples of that depth times a step, or of the dtype's.

    >>> payload_of_png(b"data", 8, 1), payload_of_png(b"data", 4, 17)
    (b'\\x01data', b'\\x02\\x04\\x11data')
    """
    return (bytes([PNG]) if depth >= 8 or step == 0 else bytes([LEVELS, depth, step])) + data


@dataclass(frozen=True)
class _Tile:
    box: Box
    record: memoryview
    checksum: bytes


class ImageReader:
    """Reads the payload of an image, all of it or a part.

    Parameters
    ----------
    model
        The model that it was made with.
    payload
        The bytes.
    signal
        Shape and dtype of the image.
    damaged
        Take what is there of tiles that are cut off, to salvage others.

    Raises
    ------
    CorruptFile
        The form or the table of tiles breaks a rule of the format.
    """

    def __init__(
        self, model: PhotoModel, payload: bytes, signal: SignalType, *, damaged: bool = False
    ) -> None:
        self._model, self._signal, self._damaged = model, signal, damaged
        reader = Reader(payload, "payload")
        if signal.samples > MOST_SAMPLES_PER_BYTE * len(payload):
            raise reader.fault(f"{len(payload)} bytes are too few for {signal}")
        form = reader.u8("the form")
        gray = len(signal.shape) == 2 and signal.dtype == np.uint8
        if form not in (TILES, PNG, *([LEVELS] * gray), *([INDEXED] * (signal.dtype.kind == "u"))):
            raise reader.fault(f"the form {form} is not known for {signal}")
        if form == PNG and not png_holds(signal.shape, signal.dtype):
            raise reader.fault(f"no PNG holds {signal}")
        self._form = form
        self._tables: Tables | None = None
        self._planes = channels_of(signal.shape)
        if form == INDEXED:
            self._tables = Tables.read(reader, self._planes, signal.dtype)
            self._planes = self._tables.planes
            if reader.u8("the form of indices") != TILES:
                raise reader.fault("indices are not in tiles")
        self._groups = channel_groups(self._planes, len(model.networks))
        tiled = form in (TILES, INDEXED)
        self._data = b"" if tiled else bytes(reader.take(reader.remaining, "the image data"))
        self.tiles = self._read_table(reader) if tiled else []

    def _read_table(self, reader: Reader) -> list[_Tile]:
        rows, columns = self._signal.shape[:2]
        grid = Grid(rows, columns, reader.varint("the side of a tile", MOST_SIDE, 1))
        if len(grid) * (1 + CRC_BYTES) > reader.remaining:
            raise reader.fault(f"{reader.remaining} bytes are too few for {len(grid)} tiles")
        table = [
            (reader.varint("the length of a tile"), bytes(reader.take(CRC_BYTES, "the checksum of a tile")))
            for _ in range(len(grid))
        ]
        tiles = []
        for number, (size, checksum) in enumerate(table):
            length = min(size, reader.remaining) if self._damaged else size
            tiles.append(_Tile(grid[number], reader.take(length, f"tile {number}"), checksum))
        if reader.remaining and not self._damaged:
            raise reader.fault(f"{reader.remaining} bytes follow the last tile")
        return tiles

    def decode(self, crop: Box | None = None) -> NDArray[Any]:
        """Return the image, or a part of it, of which only the tiles it needs are decoded.

        Raises
        ------
        CorruptFile
            A tile that is needed is damaged.
        """
        found, damaged = self._decode(crop)
        if damaged:
            raise damaged[0][1]
        return found

    def salvage(self) -> tuple[NDArray[Any], NDArray[np.bool_], list[str]]:
        """Return the image with 0 where tiles are damaged, which pixels (H, W) are lost, and what is wrong."""
        found, damaged = self._decode(None)
        lost = np.zeros(found.shape[:2], np.bool_)
        for tile, _ in damaged:
            lost[tile.box.slices] = True
            found[tile.box.slices] = 0
        return found, lost, [str(error) for _, error in damaged]

    def _decode(self, crop: Box | None) -> tuple[NDArray[Any], list[tuple[_Tile, CorruptFile]]]:
        shape = self._signal.shape
        part = crop or Box(0, 0, shape[1], shape[0])
        if self._form in (PNG, LEVELS):
            whole = (
                decode_png(self._data, shape, self._signal.dtype)
                if self._form == PNG
                else decode_levels(self._data, shape)
            )
            return np.ascontiguousarray(whole[part.slices]), []
        out = np.zeros((part.height, part.width, *shape[2:]), self._signal.dtype)
        volume = out.reshape(part.height, part.width, channels_of(shape))
        damaged = []
        wanted = [tile for tile in self.tiles if tile.box.inside(part)]
        for batch in _batches(wanted):
            for tile, found in zip(batch, self._decode_tiles(batch), strict=True):
                if isinstance(found, CorruptFile):
                    damaged.append((tile, found))
                    continue
                common = tile.box.inside(part)
                assert common is not None
                inner = Box(
                    common.left - tile.box.left, common.top - tile.box.top, common.width, common.height
                )
                outer = Box(common.left - part.left, common.top - part.top, common.width, common.height)
                volume[outer.slices] = found[inner.slices]
        return out, damaged

    def _decode_tiles(self, tiles: Sequence[_Tile]) -> list[NDArray[Any] | CorruptFile]:
        """Return the samples (h, w, channels) of each tile, or what is wrong with it."""
        out: list[NDArray[Any] | CorruptFile] = []
        networks: dict[tuple[int, ...], list[tuple[int, list[bytes]]]] = {}
        for number, tile in enumerate(tiles):
            values = np.empty((tile.box.height, tile.box.width, self._planes), self._signal.dtype)
            out.append(values)
            try:
                for group, streams in self._parts(tile, values):
                    networks.setdefault(group, []).append((number, streams))
            except CorruptFile as error:
                out[number] = error
        for group, jobs in networks.items():
            sizes = np.array([(tiles[n].box.height, tiles[n].box.width) for n, _ in jobs], np.int64)
            found = self._model.kernel.decode(
                [streams for _, streams in jobs], sizes, len(group), self._signal.dtype
            )
            for (number, _), samples in zip(jobs, found, strict=True):
                values_or_error = out[number]
                if isinstance(values_or_error, CorruptFile):
                    continue
                if samples is None:
                    out[number] = _damaged(tiles[number], "its coders do not end empty")
                else:
                    values_or_error[:, :, list(group)] = samples
        return [self._checked(tile, found) for tile, found in zip(tiles, out, strict=True)]

    def _checked(self, tile: _Tile, found: NDArray[Any] | CorruptFile) -> NDArray[Any] | CorruptFile:
        """Return what was decoded, or what its indices stand for, if the checksum says that it is whole."""
        if isinstance(found, CorruptFile):
            return found
        if _checksum(found) != tile.checksum:
            return _damaged(tile, "its checksum is another")
        if self._tables is None:
            return found
        try:
            return self._tables.samples(found)
        except CorruptFile as error:
            return _damaged(tile, error.args[0])

    def _parts(self, tile: _Tile, values: NDArray[Any]) -> Iterator[tuple[tuple[int, ...], list[bytes]]]:
        """Decode a tile's channels that need no network, and yield the streams of the others."""
        reader = Reader(tile.record, "payload", inner=True)
        for group in self._groups:
            method = reader.u8("a method")
            if method == CONSTANT:
                size = len(group) * values.itemsize
                raw = bytes(reader.take(size, "constants"))
                values[:, :, list(group)] = of_sample_string(raw, values.dtype)
            elif method in (ONE_STREAM, STREAMED) and values.dtype.kind == "u":
                count = 1 if method == ONE_STREAM else STREAMS
                lengths = [reader.varint("the length of a stream") for _ in range(count)]
                yield group, [bytes(reader.take(length, "a stream")) for length in lengths]
            elif method == DIFFERENCES:
                data = bytes(reader.take(reader.varint("the length of differences"), "differences"))
                shape = (tile.box.height, tile.box.width, len(group))
                values[:, :, list(group)] = decode_differences(data, shape, values.dtype)
            elif method == DEFLATED:
                data = bytes(reader.take(reader.varint("the length of samples"), "samples"))
                shape = (tile.box.height, tile.box.width, len(group))
                values[:, :, list(group)] = inflate_samples(data, shape, values.dtype)
            elif method == RESIDUALS and values.dtype == np.uint16:
                data = bytes(reader.take(reader.varint("the length of residuals"), "residuals"))
                shape = (tile.box.height, tile.box.width, len(group))
                values[:, :, list(group)] = decode_residuals(data, shape)
            else:
                raise reader.fault(f"the method {method} is not known for {values.dtype}")
        if reader.remaining:
            raise reader.fault(f"{reader.remaining} bytes follow the end of a tile")


def _damaged(tile: _Tile, what: str) -> CorruptFile:
    box = tile.box
    return CorruptFile(
        f"the tile of {box.width}x{box.height} at {box.left},{box.top} is damaged: {what}", "payload"
    )


def _checksum(tile: NDArray[Any]) -> bytes:
    return crc32(sample_string(tile))


def _batches(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """Yield a few items for each thread at a time: memory is bounded by it."""
    size = 4 * thread_count()
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _encode_tiles(model: PhotoModel, volume: NDArray[Any], boxes: list[Box]) -> list[bytes]:
    records = [b""] * len(boxes)
    for group in channel_groups(volume.shape[2], len(model.networks)):
        parts = [volume[box.slices][:, :, list(group)] for box in boxes]
        coded: list[bytes | None] = [_constant(part) for part in parts]
        if volume.dtype.kind == "u":
            for small in (True, False):
                some = [
                    i for i, box in enumerate(boxes)
                    if coded[i] is None and (box.width * box.height < SMALL) == small
                ]  # fmt: skip
                where = boxes_array([boxes[i] for i in some])
                streams = model.kernel.encode(volume, group, where, 1 if small else STREAMS)
                for i, one in zip(some, streams, strict=True):
                    coded[i] = _streamed(one)
        for i, part in enumerate(parts):
            records[i] += _least(part, coded[i])
    return records


def _constant(part: NDArray[Any]) -> bytes | None:
    first = part[0, 0]
    return bytes([CONSTANT]) + bytes(sample_string(first)) if (part == first).all() else None


def _streamed(streams: list[bytes]) -> bytes:
    method = ONE_STREAM if len(streams) == 1 else STREAMED
    return b"".join([bytes([method]), *(varint(len(s)) for s in streams), *streams])


def _least(part: NDArray[Any], coded: bytes | None) -> bytes:
    """Return what a network made, if anything, or differences if those are shorter."""
    if coded is not None:
        rate = 8 * len(coded) / part.size
        if coded[0] == CONSTANT or (part.dtype == np.uint8 and CALM < rate < BUSY):
            return coded
    bodies = {DIFFERENCES: encode_differences(part), DEFLATED: deflate_samples(part)}
    if part.dtype == np.uint16:
        bodies[RESIDUALS] = encode_residuals(part)
    others = [bytes([method]) + varint(len(body)) + body for method, body in bodies.items()]
    return min(others if coded is None else [coded, *others], key=len)


def _looks_synthetic(image: NDArray[Any], size: int) -> bool:
    """Tell whether a PNG of the image may be as small as `size` bytes, by deflating a few rows of it."""
    if image.size < SMALL:
        return True
    rows = image[image.shape[0] // 2 :][: max(2, SMALL * 4 * len(image) // image.size)]
    packed = np.packbits(rows, axis=1) if rows.dtype == bool else rows
    below = packed[1:] - packed[:-1]
    a_row = min(
        (len(zlib.compress(part.tobytes(), 1)) + 64) / len(part) for part in (packed, below) if part.size
    )
    return a_row * len(image) < 1.3 * size
