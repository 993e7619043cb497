"""What codes images that are no photographs gives them back, and refuses what it did not make."""

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from photo.tiny_photos import Image, images

from neuralcodec.errors import CorruptFile
from neuralcodec.photo.fallback import (
    decode_differences,
    decode_levels,
    decode_png,
    deflate_samples,
    encode_differences,
    encode_levels,
    encode_png,
    inflate_samples,
    png_holds,
)


@given(images())
def test_differences_return(image: Image) -> None:
    tile = image.reshape(*image.shape[:2], -1)
    again = decode_differences(encode_differences(tile), tile.shape, tile.dtype)
    assert np.array_equal(again.astype(tile.dtype), tile)


@given(images())
def test_png_data_return(image: Image) -> None:
    if not png_holds(image.shape, image.dtype):
        return
    again = decode_png(encode_png(image), image.shape, image.dtype)
    assert again.dtype == image.dtype
    assert np.array_equal(again, image)


@given(images())
def test_levels_return(image: Image) -> None:
    if image.ndim != 2 or image.dtype != np.uint8:
        return
    data = encode_levels(image)
    if data is None:
        values = np.unique(image)
        assert values[-1] > 15 * np.gcd.reduce(values)
        return
    assert np.array_equal(decode_levels(data, image.shape), image)


@pytest.mark.parametrize("step", [1, 5, 17])
@pytest.mark.parametrize("depth", [1, 2, 4])
def test_samples_of_few_bits_are_packed(depth: int, step: int) -> None:
    levels = np.random.default_rng(depth).integers(0, 2**depth, (50, 60))
    data = encode_levels((levels * step).astype(np.uint8))
    assert data is not None
    assert (data[0] >= depth, data[1]) == (True, step)
    assert len(data) < 50 * (1 + -(-60 * depth // 8)) + 20


@pytest.mark.parametrize("data", [b"", b"\1", b"\3\1", b"\4\x12", b"\2\0", b"\1\1"])
def test_levels_that_are_refused(data: bytes) -> None:
    with pytest.raises(CorruptFile):
        decode_levels(data + zlib.compress(bytes(3)), (3, 4))


@given(images())
def test_deflated_samples_return(image: Image) -> None:
    tile = image.reshape(*image.shape[:2], -1)
    assert np.array_equal(inflate_samples(deflate_samples(tile), tile.shape, tile.dtype), tile)


@pytest.mark.parametrize("raw", [bytes(5), bytes(7), b"\0\1\2\0\0\0"])
def test_other_samples_are_refused(raw: bytes) -> None:
    with pytest.raises(CorruptFile):
        inflate_samples(zlib.compress(raw), (2, 3, 1), np.dtype(np.bool_))


def test_a_ramp_of_16_bits_costs_nearly_nothing() -> None:
    ramp = np.add.outer(np.arange(200) * 7, np.arange(200) * 3).astype(np.uint16)[:, :, None]
    assert len(encode_differences(ramp)) < 300


@pytest.mark.parametrize("way", [4, 8, 255])
def test_unknown_ways_are_refused(way: int) -> None:
    data = encode_differences(np.zeros((3, 3, 1), np.uint8))
    with pytest.raises(CorruptFile, match="is no way"):
        decode_differences(bytes([way]) + data[1:], (3, 3, 1), np.dtype(np.uint8))


def test_differences_too_large_for_the_dtype_are_refused() -> None:
    tile = np.array([[[40000]], [[1]]], np.uint16)
    with pytest.raises(CorruptFile, match="too large for 8 bits"):
        decode_differences(encode_differences(tile), (2, 1, 1), np.dtype(np.uint8))


rows = np.arange(12, dtype=np.uint8).reshape(3, 4)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"nothing",
        encode_png(rows)[:-1],
        encode_png(rows) + b"\0",
        zlib.compress(bytes(14)),
        zlib.compress(bytes(16)),
        zlib.compress(b"\5" + bytes(14)),
    ],
)
def test_damaged_png_data_is_refused(data: bytes) -> None:
    with pytest.raises(CorruptFile):
        decode_png(data, rows.shape, rows.dtype)


@given(st.binary(max_size=60))
def test_any_bytes_are_refused_or_decoded(data: bytes) -> None:
    dtype = np.dtype(np.uint8)
    for decode in (decode_png, decode_differences, inflate_samples):
        shape: tuple[int, ...] = (4, 5, 3)
        try:
            found: NDArray[np.generic] = decode(data, shape, dtype)  # type: ignore[arg-type]
        except CorruptFile:
            continue
        assert found.shape == shape
