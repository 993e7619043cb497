"""Images return from their payloads, whole or in part, on every path; damage is found, and kept to its tile."""

import os
from unittest import mock

import numpy as np
import pytest
from edge_circuits import kernel_paths
from hypothesis import given, settings
from hypothesis import strategies as st
from photo.tiny_photos import Image, deep, images, networks_only, tiny_model, waves

from neuralcodec.container.primitives import varint
from neuralcodec.container.signal import SignalType
from neuralcodec.errors import CorruptFile
from neuralcodec.photo import payload as payloads
from neuralcodec.photo.model import PhotoModel
from neuralcodec.photo.payload import ImageReader, channel_groups, encode_image
from neuralcodec.photo.tiles import Box, Grid


def methods(model: PhotoModel, payload: bytes, image: Image) -> set[int]:
    """Return the methods of the first groups of tiles."""
    return {tile.record[0] for tile in ImageReader(model, payload, kind(image)).tiles}


COLOUR, GRAY = tiny_model(), tiny_model(1, seed=3)
SIDE = 20


def kind(image: Image) -> SignalType:
    return SignalType(image.shape, image.dtype)


def decoded(model: PhotoModel, payload: bytes, image: Image) -> Image:
    return ImageReader(model, payload, kind(image)).decode()


@settings(max_examples=150)
@given(images(), st.integers(1, 26), st.sampled_from([COLOUR, GRAY]))
def test_images_return(image: Image, side: int, model: PhotoModel) -> None:
    found = decoded(model, encode_image(model, image, side), image)
    assert (found.dtype, found.shape) == (image.dtype, image.shape)
    assert np.array_equal(found, image)


@pytest.mark.parametrize("shape", [(70, 45, 3), (300, 130, 1), (9, 300, 3), (140, 141, 4), (129, 128, 2)])
@pytest.mark.parametrize("deepen", [False, True])
def test_larger_images_return_from_networks(shape: tuple[int, int, int], deepen: bool) -> None:
    image = deep(waves(*shape)) if deepen else waves(*shape)
    with networks_only():
        payload = encode_image(COLOUR, image)
    assert payload[0] == payloads.TILES
    assert methods(COLOUR, payload, image) <= {payloads.ONE_STREAM, payloads.STREAMED}
    assert np.array_equal(decoded(COLOUR, payload, image), image)


@pytest.mark.parametrize("model", [COLOUR, tiny_model(3, 12, 8, seed=5)])
@pytest.mark.parametrize("deepen", [False, True])
@pytest.mark.parametrize("side", [80, 190])
def test_every_path_and_any_threads_give_the_same_bytes(model: PhotoModel, deepen: bool, side: int) -> None:
    image = waves(150, 190, 3)
    image[:20] = np.random.default_rng(0).integers(0, 256, (20, 190, 3))
    if deepen:
        image = deep(image)
        image[20:30] = np.random.default_rng(1).integers(0, 2**16, (10, 190, 3))
    written = set()
    with networks_only():
        for path in kernel_paths():
            for threads in ("1", "2", "3"):
                with mock.patch.dict(os.environ, NEURALCODEC_SIMD=path, NEURALCODEC_THREADS=threads):
                    written.add(encode_image(model, image, side))
                    assert np.array_equal(decoded(model, max(written), image), image)
    assert len(written) == 1
    assert methods(model, max(written), image) == {payloads.ONE_STREAM if side < 100 else payloads.STREAMED}


@given(st.data())
def test_a_crop_is_part_of_the_image(data: st.DataObject) -> None:
    image = waves(45, 53, 3)
    left, top = data.draw(st.integers(0, 52)), data.draw(st.integers(0, 44))
    box = Box(left, top, data.draw(st.integers(1, 53 - left)), data.draw(st.integers(1, 45 - top)))
    found = ImageReader(COLOUR, PAYLOAD, kind(image)).decode(box)
    assert np.array_equal(found, image[box.slices])


IMAGE = waves(45, 53, 3)
with networks_only():
    PAYLOAD = encode_image(COLOUR, IMAGE, SIDE)


def test_a_crop_decodes_only_its_tiles() -> None:
    damaged = bytearray(PAYLOAD)
    damaged[-1] ^= 1
    damaged[-2] ^= 1
    reader = ImageReader(COLOUR, bytes(damaged), kind(IMAGE))
    assert np.array_equal(reader.decode(Box(0, 0, 30, 30)), IMAGE[:30, :30])
    with pytest.raises(CorruptFile, match="the tile of 18x15 at 35,30 is damaged"):
        reader.decode()


@given(st.integers(0, 2**32), st.integers(1, 255))
def test_what_is_whole_is_salvaged(seed: int, change: int) -> None:
    records = len(PAYLOAD) - sum(len(tile.record) for tile in ImageReader(COLOUR, PAYLOAD, kind(IMAGE)).tiles)
    damaged = bytearray(PAYLOAD)
    damaged[records + seed % (len(PAYLOAD) - records)] ^= change
    with pytest.raises(CorruptFile):
        decoded(COLOUR, bytes(damaged), IMAGE)
    found, lost, faults = ImageReader(COLOUR, bytes(damaged), kind(IMAGE), damaged=True).salvage()
    assert len(faults) == 1
    assert 0 < lost.sum() <= SIDE * SIDE
    assert np.array_equal(found[~lost], IMAGE[~lost])
    assert not found[lost].any()


@given(st.integers(60, len(PAYLOAD) - 1))
def test_what_is_left_of_a_file_cut_off_is_salvaged(length: int) -> None:
    with pytest.raises(CorruptFile):
        decoded(COLOUR, PAYLOAD[:length], IMAGE)
    found, lost, faults = ImageReader(COLOUR, PAYLOAD[:length], kind(IMAGE), damaged=True).salvage()
    assert 1 <= len(faults) <= len(Grid(45, 53, SIDE))
    assert np.array_equal(found[~lost], IMAGE[~lost])


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"", "too few"),
        (b"\2" + bytes(20), "the form 2 is not known for"),
        (b"\4" + bytes(20), "the form 4 is not known"),
        (b"\0\0" + bytes(20), "the side of a tile is 0"),
        (b"\0" + varint(1025) + bytes(20), "the side of a tile is 1025"),
        (b"\0\1" + bytes(20), "too few for 2385 tiles"),
        (PAYLOAD + b"\0", "1 bytes follow the last tile"),
    ],
)
def test_payloads_that_are_refused(payload: bytes, words: str) -> None:
    with pytest.raises(CorruptFile, match=words):
        ImageReader(COLOUR, payload, kind(IMAGE))


def test_few_bytes_cannot_stand_for_a_huge_image() -> None:
    with pytest.raises(CorruptFile, match="too few"):
        ImageReader(COLOUR, b"\0\1" + bytes(40), SignalType((2**15, 2**15), np.dtype(np.uint8)))


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (b"\6", "the method 6 is not known"),
        (b"\5", "the method 5 is not known for uint8"),
        (b"\0\1\2\3\0", "1 bytes follow the end of a tile"),
        (b"\1\5\1", "a stream needs 5 bytes"),
        (b"", "a method needs 1 bytes"),
        (b"\1\2\1\0", "its coders do not end empty"),
        (b"\0\1\2\3", "its checksum is another"),
    ],
)
def test_tiles_that_are_refused(record: bytes, words: str) -> None:
    payload = b"\0\x10" + varint(len(record)) + bytes(4) + record
    with pytest.raises(CorruptFile, match=words):
        ImageReader(COLOUR, payload, SignalType((3, 3, 3), np.dtype(np.uint8))).decode()


def test_networks_code_no_bits() -> None:
    payload = b"\0\x10\2" + bytes(4) + b"\1\0"
    with pytest.raises(CorruptFile, match="the method 1 is not known for bool"):
        ImageReader(COLOUR, payload, SignalType((3, 3), np.dtype(np.bool_))).decode()


@pytest.mark.parametrize(
    ("channels", "networks", "groups"),
    [
        (1, 3, [(0,)]),
        (2, 3, [(0,), (1,)]),
        (3, 3, [(1, 0, 2)]),
        (4, 3, [(1, 0, 2), (3,)]),
        (3, 1, [(0,), (1,), (2,)]),
    ],
)
def test_which_channels_are_coded_together(
    channels: int, networks: int, groups: list[tuple[int, ...]]
) -> None:
    assert channel_groups(channels, networks) == groups


@given(images(most=40))
def test_synthetic_images_do_not_explode(image: Image) -> None:
    assert len(encode_image(COLOUR, image)) <= 100 + image.nbytes * 1.01
