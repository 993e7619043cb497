"""Images: exact samples in every mode, profile and EXIF kept, and no silent reduction of anything."""

import contextlib
import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image

from neuralcodec.errors import UnsupportedInput
from neuralcodec.signals.images import is_image, read_image, resize, to_gray, write_png


def file_of(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width: int, height: int, depth: int, colour: int, rows: bytes, extra: bytes = b"") -> bytes:
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", head) + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


IMAGES = st.one_of(
    hnp.arrays(
        st.sampled_from([np.bool_, np.uint8, np.uint16]), hnp.array_shapes(min_dims=2, max_dims=2, max_side=9)
    ),
    st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(2, 4)).flatmap(
        lambda s: hnp.arrays(np.uint8, s)
    ),
)


@given(IMAGES)
def test_png_round_trip(samples: NDArray[Any]) -> None:
    file = io.BytesIO()
    write_png(file, samples)
    again = read_image(file.getvalue()).samples
    np.testing.assert_array_equal(again, samples)
    assert again.dtype == samples.dtype


def test_a_channel_axis_of_one_is_gray() -> None:
    file = io.BytesIO()
    write_png(file, np.array([[[1], [2]]], np.uint8))
    assert read_image(file.getvalue()).samples.tolist() == [[1, 2]]


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "PPM", "WEBP"])
def test_other_formats_are_read(kind: str) -> None:
    samples = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
    if kind == "WEBP":
        samples = np.repeat(samples[..., None], 3, axis=2)
    signal = read_image(
        file_of(Image.fromarray(samples), kind, **({"lossless": True} if kind == "WEBP" else {}))
    )
    np.testing.assert_array_equal(signal.samples, samples)


def test_profile_and_exif_survive() -> None:
    exif = Image.Exif()
    exif[0x010E] = "a digit"
    picture = Image.new("L", (2, 2))
    for data in (
        file_of(picture, "PNG", icc_profile=b"profile", exif=exif),
        file_of(picture, "JPEG", icc_profile=b"profile", exif=exif),
    ):
        signal = read_image(data)
        assert signal.icc == b"profile"
        assert signal.exif is not None
        assert signal.exif[:2] in (b"II", b"MM")
        file = io.BytesIO()
        write_png(file, signal.samples, icc=signal.icc, exif=signal.exif)
        with Image.open(file) as again:
            assert again.info["icc_profile"] == b"profile"
            assert again.getexif()[0x010E] == "a digit"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (file_of(Image.new("P", (2, 2)), "PNG"), "a palette image"),
        (file_of(Image.new("CMYK", (2, 2)), "TIFF"), "a CMYK image"),
        (file_of(Image.new("F", (2, 2)), "TIFF"), "a floating-point image"),
        (png(1, 1, 16, 2, bytes(7)), "16-bit colour"),
        (png(1, 1, 16, 4, bytes(5)), "16-bit colour"),
        (png(1, 1, 16, 6, bytes(9)), "16-bit colour"),
        (png(1, 1, 8, 0, bytes(2), chunk(b"tRNS", b"\0\5")), "transparent colour"),
        (png(1, 1, 8, 2, bytes(4), chunk(b"tRNS", b"\0\5\0\5\0\5")), "transparent colour"),
    ],
)
def test_what_would_change_is_refused_but_converts_when_asked(data: bytes, words: str) -> None:
    with pytest.raises(UnsupportedInput, match=words) as caught:
        read_image(data, "scan.png")
    assert "scan.png" in str(caught.value)
    assert "--grayscale" in str(caught.value)
    gray = read_image(data, grayscale=True)
    assert gray.samples.dtype == np.uint8
    assert gray.samples.ndim == 2


def test_animations_are_refused() -> None:
    frames = [Image.new("L", (2, 2), value) for value in (0, 200)]
    for kind in ("GIF", "PNG", "TIFF"):
        with pytest.raises(UnsupportedInput, match="several frames"):
            read_image(file_of(frames[0], kind, save_all=True, append_images=frames[1:]))


def test_giant_images_are_refused_before_they_are_decoded() -> None:
    with pytest.raises(UnsupportedInput, match="pixels"):
        read_image(png(100_000, 100_000, 8, 0, b""))


WHOLE = file_of(Image.fromarray(np.arange(16, dtype=np.uint8).reshape(4, 4)), "PNG")


@given(st.integers(0, len(WHOLE) - 1))
def test_truncated_images_are_refused_or_whole(length: int) -> None:
    try:
        samples = read_image(WHOLE[:length]).samples
    except UnsupportedInput:
        assert length < len(WHOLE) - 12  # only the IEND chunk is no loss
    else:
        assert length > len(WHOLE) - 21  # with that, only checksums after the last sample
        np.testing.assert_array_equal(samples, np.arange(16).reshape(4, 4))


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_damaged_images_raise_nothing_else(position: int, change: int) -> None:
    data = bytearray(WHOLE)
    data[position] ^= change
    with contextlib.suppress(UnsupportedInput):
        assert read_image(data).samples.dtype in (np.uint8, np.uint16, np.bool_, np.int32)


def test_to_gray_exact_values() -> None:
    assert to_gray(np.array([[False, True]])).tolist() == [[0, 255]]
    assert to_gray(np.array([[0, 128, 129, 65535]], np.uint16)).tolist() == [[0, 0, 1, 255]]
    assert to_gray(np.array([[[255, 0, 0], [0, 255, 0], [9, 9, 9]]], np.uint8)).tolist() == [[76, 150, 9]]
    with pytest.raises(UnsupportedInput, match="float64"):
        to_gray(np.zeros((2, 2)))


def test_resize_keeps_flat_images_flat() -> None:
    assert (resize(np.full((7, 5, 3), 9, np.uint8), 28, 28) == 9).all()
    with pytest.raises(UnsupportedInput, match="--grayscale"):
        resize(np.zeros((2, 2), np.uint16), 28, 28)


def test_what_is_no_image() -> None:
    assert not is_image(np.zeros((2, 2), np.int64))
    assert not is_image(np.zeros((2, 2, 5), np.uint8))
    with pytest.raises(UnsupportedInput, match=r"\.npy"):
        write_png(io.BytesIO(), np.zeros(4, np.uint8))
