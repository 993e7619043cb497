"""Images of few colours, and of channels with gaps, are coded as indices, shorter, and return."""

import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from photo.tiny_photos import Image, tiny_model, waves

from neuralcodec.container.primitives import Reader, crc32, varint
from neuralcodec.container.signal import SignalType
from neuralcodec.errors import CorruptFile
from neuralcodec.photo import payload as payloads
from neuralcodec.photo.indexed import Tables, tables_of
from neuralcodec.photo.payload import ImageReader, encode_image
from neuralcodec.photo.tiles import Box

MODEL = tiny_model()
UINT8 = np.dtype(np.uint8)


@st.composite
def few_colours(draw: st.DrawFn) -> Image:
    """Draw an image (H, W, C), or (H, W), of as many colours as a table holds, or a few more."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    channels = draw(st.integers(1, 4))
    table = rng.integers(0, 256, (draw(st.sampled_from([1, 2, 7, 255, 256, 258])), channels), np.uint8)
    image = table[rng.integers(0, len(table), (height, width))]
    return image[..., 0] if channels == 1 and draw(st.booleans()) else image


@settings(max_examples=60)
@given(few_colours())
def test_indices_stand_for_the_samples(image: Image) -> None:
    tables = tables_of(image)
    if tables is not None:
        volume = image.reshape(*image.shape[:2], -1)
        indices = tables.indices(volume)
        assert (indices.shape, indices.dtype) == ((*image.shape[:2], tables.planes), UINT8)
        assert np.array_equal(tables.samples(indices), volume)
        read = Tables.read(Reader(tables.to_bytes(), "payload"), volume.shape[2], UINT8)
        assert read.to_bytes() == tables.to_bytes()
        assert np.array_equal(read.samples(indices), volume)


@settings(max_examples=60)
@given(few_colours())
def test_images_of_few_colours_return(image: Image) -> None:
    payload = encode_image(MODEL, image, 20)
    found = ImageReader(MODEL, payload, SignalType(image.shape, UINT8)).decode()
    assert (found.dtype, found.shape) == (image.dtype, image.shape)
    assert np.array_equal(found, image)


def test_the_order_of_a_table_does_not_matter() -> None:
    gray = waves(90, 80, 1)[..., 0]
    shuffled = np.random.default_rng(0).permutation(256).astype(np.uint8)[gray]
    tables = tables_of(shuffled)
    assert tables is not None
    indices = tables.indices(shuffled[..., None])[..., 0]
    steps = [np.abs(np.diff(x.astype(int), axis=1)).mean() for x in (gray, indices, shuffled)]
    assert steps[1] < 1.5 * steps[0] < steps[2] / 4


def test_gray_photographs_stay_as_they_are() -> None:
    assert tables_of(waves(90, 80, 1)) is None


def test_gaps_are_closed() -> None:
    colour = waves(90, 80, 3)
    assert tables_of(colour) is None
    stretched = (colour // 2 * 2 + colour % 2 * (colour > 99)).astype(np.uint8)
    tables = tables_of(stretched)
    assert tables is not None
    assert not tables.by_pixel
    indices = tables.indices(stretched)
    assert [int(indices[..., c].max()) + 1 for c in range(3)] == [len(table) for table in tables.values]


@pytest.mark.parametrize("channels", [None, 3])
@pytest.mark.parametrize("kind", ["shifted", "replicated"])
def test_gaps_of_16_bits_are_closed(channels: int | None, kind: str) -> None:
    fine = waves(90, 80, channels or 1).astype(np.uint16) * 16 + np.arange(80, dtype=np.uint16)[:, None] % 16
    image = fine << 4 | (fine >> 8 if kind == "replicated" else 0)
    image = image if channels else image[..., 0]
    tables = tables_of(image)
    assert tables is not None
    indices = tables.indices(image.reshape(90, 80, -1))
    assert len(tables.to_bytes()) < 2**12
    payload = encode_image(MODEL, image)
    assert np.array_equal(ImageReader(MODEL, payload, SignalType(image.shape, image.dtype)).decode(), image)
    read = Tables.read(Reader(tables.to_bytes(), "payload"), channels or 1, image.dtype)
    assert np.array_equal(read.samples(indices), image.reshape(indices.shape))


def test_every_machine_finds_the_same_order() -> None:
    """Were the order found by sums of floats, it would depend on how a machine adds them up."""
    colours = (np.arange(200)[:, None] * [[37, 101, 59]] % 256).astype(np.uint8)
    y, x = np.indices((120, 150))
    image = colours[((x * x + 3 * x * y) // 90 + 7 * (x % 5) * (y % 3)) % 200]
    tables = tables_of(image)
    assert tables is not None
    assert crc32(tables.to_bytes()[:-4]).hex() == "558b1c8a"


@pytest.mark.parametrize("strided", [False, True])
def test_arrays_of_any_layout(strided: bool) -> None:
    image = waves(60, 50, 3).astype(">u2") * 257
    image = image[::-1, ::2] if strided else image
    payload = encode_image(MODEL, image)
    kind = SignalType(image.shape, image.dtype.newbyteorder("="))
    assert np.array_equal(ImageReader(MODEL, payload, kind).decode(), image)


FEW = np.random.default_rng(3).integers(0, 256, (40, 3), np.uint8)[waves(40, 50, 1)[..., 0] // 7]
PAYLOAD = encode_image(MODEL, FEW, 20)
KIND = SignalType(FEW.shape, UINT8)


def test_crops_of_indices() -> None:
    assert PAYLOAD[0] == payloads.INDEXED
    found = ImageReader(MODEL, PAYLOAD, KIND).decode(Box(7, 11, 30, 25))
    assert np.array_equal(found, FEW[11:36, 7:37])


def test_salvage_of_indices() -> None:
    damaged = bytearray(PAYLOAD)
    damaged[-1] ^= 1
    damaged[-2] ^= 1
    found, lost, faults = ImageReader(MODEL, bytes(damaged), KIND, damaged=True).salvage()
    assert len(faults) == 1
    assert 0 < lost.sum() <= 400
    assert np.array_equal(found[~lost], FEW[~lost])
    assert not found[lost].any()


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"\2", "the kind of tables 2 is not known for uint8"),
        (b"\0\1\0\0\0\1\1\1" + bytes(4), "the checksum of tables is another"),
        (b"\0\1\0\0\0\1", "a table needs 6 bytes"),
        (b"\1" + bytes(95), "tables needs 96 bytes"),
    ],
)
def test_tables_that_are_refused(head: bytes, words: str) -> None:
    with pytest.raises(CorruptFile, match=words):
        ImageReader(MODEL, b"\3" + head, SignalType((3, 3, 3), UINT8))


@pytest.mark.parametrize(
    ("masks", "words"),
    [
        (zlib.compress(bytes(2**13 - 1)), "does not hold the 8192 bytes"),
        (zlib.compress(bytes(2**26)), "does not hold the 8192 bytes"),
        (b"no stream", "zlib stream is damaged"),
    ],
)
def test_tables_of_16_bits_that_are_refused(masks: bytes, words: str) -> None:
    data = b"\3\1" + varint(len(masks)) + masks + bytes(40)
    with pytest.raises(CorruptFile, match=words):
        ImageReader(MODEL, data, SignalType((3, 3), np.dtype(np.uint16)))


@pytest.mark.parametrize("kind", [b"\0\1" + bytes(6), b"\1" + (b"\3" + bytes(31)) * 3])
def test_indices_beyond_a_table_lose_their_tile(kind: bytes) -> None:
    planes = 1 if kind[0] == 0 else 3
    bad, good = (np.full((3, 3, planes), index, np.uint8) for index in (2, 1))
    records = b"".join(b"\0" + part[0, 0].tobytes() for part in (bad, good))
    table = b"".join(varint(1 + planes) + crc32(part.tobytes()) for part in (bad, good))
    payload = b"\3" + kind + crc32(kind) + b"\0\3" + table + records
    signal = SignalType((3, 6, 3), UINT8)
    with pytest.raises(CorruptFile, match="the tile of 3x3 at 0,0 is damaged: an index is 2, of 2"):
        ImageReader(MODEL, payload, signal).decode()
    found, lost, faults = ImageReader(MODEL, payload, signal, damaged=True).salvage()
    assert lost[:, :3].all()
    assert not lost[:, 3:].any()
    assert len(faults) == 1
    assert (found[:, 3:] == (0 if planes == 1 else 1)).all()


def test_tables_hold_tiles_only() -> None:
    kind = b"\0\1" + bytes(6)
    with pytest.raises(CorruptFile, match="indices are not in tiles"):
        ImageReader(MODEL, b"\3" + kind + crc32(kind) + b"\3" + bytes(9), SignalType((3, 3, 3), UINT8))
