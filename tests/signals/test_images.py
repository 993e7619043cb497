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
from png_files import Drawn, facts_of, pngs

from neuralcodec.container.png import PngForm, exact_samples, read_head
from neuralcodec.errors import CorruptFile, UnsupportedInput
from neuralcodec.signals.images import expanded, is_image, read_image, resize, to_gray, write_png


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
        lambda s: hnp.arrays(st.sampled_from([np.uint8, np.uint16]), s)
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


@given(pngs())
def test_png_files_of_every_layout_return(drawn: Drawn) -> None:
    signal = read_image(drawn.file, forms=True)
    file = io.BytesIO()
    write_png(file, signal.samples, png_form=signal.png_form)
    again = read_head(file.getvalue())
    assert again is not None
    assert facts_of(file.getvalue()) == facts_of(drawn.file)
    assert np.array_equal(exact_samples(file.getvalue(), again), drawn.samples)


@given(pngs())
def test_colours_of_palettes_return_as_indices(drawn: Drawn) -> None:
    signal = read_image(drawn.file, forms=True)
    colours = expanded(signal, len(drawn.file))
    if colours is None:
        return
    with Image.open(io.BytesIO(drawn.file)) as image:
        mode = "RGB" if drawn.transparency is None else "RGBA"
        assert np.array_equal(colours, np.asarray(image.convert(mode)))
    file = io.BytesIO()
    write_png(file, colours, png_form=signal.png_form)
    again = read_head(file.getvalue())
    assert again is not None
    assert facts_of(file.getvalue()) == facts_of(drawn.file)
    assert np.array_equal(exact_samples(file.getvalue(), again), drawn.samples)


def test_drawings_are_not_expanded() -> None:
    picture = Image.new("P", (40, 40), 3)
    picture.putpalette(range(30))
    palette = read_image(file_of(picture, "PNG"), forms=True)
    assert expanded(palette, 199) is None
    assert expanded(palette, 200) is not None
    assert expanded(read_image(file_of(Image.new("L", (40, 40), 3), "PNG"), forms=True), 2000) is None


def test_large_files_are_read_in_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = np.random.default_rng(0).integers(0, 256, (50, 40, 3)).astype(np.uint8)
    data = file_of(Image.fromarray(samples), "PNG")
    monkeypatch.setattr("neuralcodec.signals.images._LARGE", 1000)
    monkeypatch.setattr("neuralcodec.container.png.STRIP", 1000)
    assert np.array_equal(read_image(data).samples, samples)
    gray = png(5, 1, 4, 0, b"\0\x12\x34\x50")
    monkeypatch.setattr("neuralcodec.signals.images._LARGE", 0)
    assert read_image(gray, forms=True).samples.tolist() == [[17, 34, 51, 68, 85]]


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF"])
def test_palettes_of_other_formats_become_those_of_png(kind: str) -> None:
    picture = Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4) % 5)
    picture.putpalette([9, 8, 7, 200, 100, 0, 1, 2, 3, 40, 50, 60, 255, 0, 255])
    options = {"transparency": 2} if kind == "GIF" else {}
    signal = read_image(file_of(picture, kind, **options), forms=True)
    file = io.BytesIO()
    write_png(file, signal.samples, png_form=signal.png_form)
    with Image.open(file) as image:
        mode = "RGBA" if options else "RGB"
        if options:
            picture.info["transparency"] = 2
        assert np.array_equal(np.asarray(image.convert(mode)), np.asarray(picture.convert(mode)))


def test_xmp_is_kept() -> None:
    picture = Image.new("RGB", (2, 2))
    for kind in ("PNG", "JPEG", "WEBP"):
        options = {"lossless": True} if kind == "WEBP" else {}
        if kind == "PNG":
            file = io.BytesIO()
            form = PngForm(8, ((b"iTXt", b"XML:com.adobe.xmp" + bytes(5) + b"<x/>"),)).to_bytes()
            write_png(file, np.zeros((2, 2), np.uint8), png_form=form)
            data = file.getvalue()
        else:
            data = file_of(picture, kind, xmp=b"<x/>", **options)
        signal = read_image(data)
        file = io.BytesIO()
        write_png(file, signal.samples, png_form=signal.png_form)
        with Image.open(file) as again:
            assert again.info["xmp"] == b"<x/>"


@pytest.mark.parametrize(
    ("samples", "form"),
    [
        (np.array([[4]], np.uint8), PngForm(2, ((b"PLTE", bytes(12)),))),
        (np.array([[4]], np.uint16), PngForm(8, ((b"PLTE", bytes(30)),))),
        (np.array([[16]], np.uint8), PngForm(4)),
        (np.array([[[1, 2, 3]]], np.uint8), PngForm(4, ((b"PLTE", bytes(3)),))),
    ],
)
def test_forms_that_do_not_fit_are_refused(samples: NDArray[Any], form: PngForm) -> None:
    with pytest.raises(CorruptFile, match="PNG form"):
        write_png(io.BytesIO(), samples, png_form=form.to_bytes())


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
