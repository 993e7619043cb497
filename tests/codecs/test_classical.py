"""Classical codecs: exact where they say so, whole files of their formats, honest about what they refuse."""

import contextlib
import io
import re
import struct
import sys
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image

from neuralcodec.codec import Fields, codec_names
from neuralcodec.codecs.classical import TABLE, base, classical_codec, classical_codecs
from neuralcodec.codecs.classical.contents import box_bytes, png_bytes, riff_bytes, scan_bytes
from neuralcodec.codecs.image_file import ImageFileCodec
from neuralcodec.container.signal import SignalType
from neuralcodec.errors import CorruptFile, EntropyCodingError, UnsupportedInput

HERE = [kind.name for kind in classical_codecs() if kind.absent() is None]
SHAPES = ((1, 1), (1, 1, 3), (5, 7), (6, 9, 1), (9, 4, 2), (7, 5, 3), (33, 18, 3), (11, 13, 4))
DTYPES = (np.dtype(bool), np.dtype(np.uint8), np.dtype(np.uint16))


def codec(name: str, **options: str) -> ImageFileCodec:
    kind = classical_codec(name)
    if kind.absent():
        pytest.skip(str(kind.absent()))
    return kind(**options)


def fields(signal: NDArray[np.generic]) -> Fields:
    return Fields(SignalType(signal.shape, signal.dtype))


def noise(shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
    high = 2 if dtype.kind == "b" else int(np.iinfo(dtype).max) + 1
    return np.random.default_rng(len(shape)).integers(0, high, shape).astype(dtype)


def smooth(height: int, width: int) -> NDArray[np.uint8]:
    """A colour image without edges, so that every lossy codec comes near it."""
    y, x = np.mgrid[:height, :width]
    waves = (np.sin(x / 9) + np.cos(y / 7), np.sin((x + y) / 15) * 2, np.cos(x / 23) * 2)
    return np.stack([np.round(127 + 45 * wave) for wave in waves], -1).astype(np.uint8)


def psnr(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    return float(10 * np.log10(255**2 / max(1e-9, np.mean((a.astype(float) - b) ** 2))))


def accepted(name: str) -> Iterator[NDArray[np.generic]]:
    for shape in SHAPES:
        for dtype in DTYPES:
            signal = noise(shape, dtype)
            if codec(name).accepts(signal) is None:
                yield signal


@pytest.mark.parametrize("name", TABLE)
def test_names_titles_and_rate_points(name: str) -> None:
    kind = classical_codec(name)
    assert (kind.name, kind.standalone) == (name, True)
    assert kind.title
    assert name not in codec_names(), "files of ours never carry them"
    assert (kind.quality is None) == kind.lossless
    if kind.quality:
        assert len(kind.quality.points) == 8
        assert list(kind.quality.points) == sorted(set(kind.quality.points))
        assert kind.quality.least <= kind.quality.points[0] < kind.quality.points[-1] <= kind.quality.greatest


@pytest.mark.parametrize("name", HERE)
def test_shapes_and_dtypes_come_back(name: str) -> None:
    one = codec(name)
    signals = list(accepted(name))
    assert len(signals) >= 4
    for signal in signals:
        payload = one.encode(signal, verify=True)
        decoded = one.decode(payload, fields(signal))
        assert decoded.shape == signal.shape
        assert decoded.dtype == signal.dtype
        assert decoded.flags.c_contiguous
        assert 0 < one.content_bytes(payload) <= len(payload)
        if one.lossless:
            assert np.array_equal(decoded, signal)


@pytest.mark.parametrize("name", [name for name in HERE if classical_codec(name).lossless])
@given(data=st.data())
def test_lossless_codecs_are_exact(name: str, data: st.DataObject) -> None:
    held = classical_codec(name).kinds or {"int32": (3,), "uint8": (1,)}
    dtype = data.draw(st.sampled_from(sorted(held)))
    channels = data.draw(st.sampled_from(held[dtype]))
    shape = (data.draw(st.integers(1, 12)), data.draw(st.integers(1, 12)), channels)
    signal = data.draw(arrays(dtype, shape))
    one = codec(name)
    assert one.accepts(signal) is None
    assert np.array_equal(one.decode(one.encode(signal), fields(signal)), signal)


@pytest.mark.parametrize("name", [name for name in HERE if not classical_codec(name).lossless])
def test_better_quality_costs_more_and_is_nearer(name: str) -> None:
    one, image = codec(name), smooth(97, 131)
    assert one.quality is not None
    points = [one.quality.points[0], one.quality.points[-1]]
    coarse, fine = reversed(points) if one.quality.inverse else points
    small, large = one.encode(image, quality=coarse), one.encode(image, quality=fine)
    assert len(small) < len(large)
    near = psnr(image, one.decode(large, fields(image)))
    assert psnr(image, one.decode(small, fields(image))) < near
    assert near > 35, "also catches samples that wrap around"


def test_bright_and_dark_samples_do_not_wrap_around() -> None:
    blocks = noise((12, 12), np.dtype(np.uint8)) // 128 * 255
    image = np.dstack([np.kron(blocks, np.ones((8, 8), np.uint8))] * 3).astype(np.uint8)
    for name in HERE:
        one = codec(name)
        if not one.lossless:
            assert psnr(image, one.decode(one.encode(image), fields(image))) > 20, name


@pytest.mark.parametrize("name", HERE)
def test_damage_is_an_error_of_ours_or_another_image(name: str) -> None:
    one, image = codec(name), smooth(16, 24)
    payload = one.encode(image)
    for damaged in (b"", payload[: len(payload) // 3], bytes(len(payload)), b"\xff" + payload[1:]):
        with contextlib.suppress(CorruptFile):
            assert one.decode(damaged, fields(image)).shape == image.shape
    with pytest.raises(CorruptFile):
        one.decode(payload, fields(image[:, :-1]))
    with pytest.raises(CorruptFile):
        one.decode(b"not this format", fields(image))


@pytest.mark.parametrize(
    ("name", "signal", "reason"),
    [
        ("jpeg", noise((4, 4, 4), np.dtype(np.uint8)), "it is 8-bit RGB with alpha, and JPEG here takes"),
        ("jpeg", noise((4, 4), np.dtype(np.uint16)), "16-bit samples"),
        ("jxl", noise((4, 4), np.dtype(bool)), "1-bit samples"),
        ("qoi", noise((4, 4), np.dtype(np.uint8)), "it is 8-bit gray, and QOI here takes"),
        ("png", noise((4, 4, 3), np.dtype(np.uint16)), "it is 16-bit RGB, and PNG"),
        ("png", np.zeros((4, 4, 5), np.uint8), r"no image .* its shape is \(4, 4, 5\)"),
        ("png", np.zeros(9, np.uint8), r"its shape is \(9,\)"),
        ("png", np.zeros((0, 4), np.uint8), "empty"),
        ("png", np.zeros((4, 4)), "float64 samples"),
        ("webp", np.zeros((1, 16384), np.uint8), "16384x1 pixels, and a side is at most 16383 in WebP"),
        ("bz2", np.zeros((4, 4)), "samples of float64"),
    ],
)
def test_what_a_format_does_not_hold_is_refused_by_name(
    name: str, signal: NDArray[np.generic], reason: str
) -> None:
    said = classical_codec(name)().accepts(signal)
    assert said is not None
    assert said.startswith("it ")
    assert re.search(reason, said)


def test_general_compressors_take_signals_of_any_shape() -> None:
    for name in ("zstd", "lzma", "bz2"):
        for signal in (np.arange(-9, 9, dtype=np.int64), noise((3, 4, 5, 3), np.dtype(np.uint16))):
            one = codec(name)
            assert one.accepts(signal) is None
            assert np.array_equal(one.decode(one.encode(signal), fields(signal)), signal)


def test_jpeg_2000_aims_at_a_psnr_in_small_images_too() -> None:
    one, image = codec("jpeg2000-psnr"), smooth(28, 28)
    for target in (24, 36):
        reached = psnr(image, one.decode(one.encode(image, quality=target), fields(image)))
        assert reached == pytest.approx(target, abs=3)


def test_files_are_of_the_formats() -> None:
    image = smooth(20, 30)
    for name, kind in (("jpeg", "JPEG"), ("webp-lossless", "WEBP"), ("avif", "AVIF"), ("png", "PNG")):
        with Image.open(io.BytesIO(codec(name).encode(image))) as file:
            assert (file.format, file.size) == (kind, (30, 20))


def test_jpeg_is_what_pillow_writes_and_gray_stays_gray() -> None:
    image = smooth(40, 56)
    with io.BytesIO() as file:
        Image.fromarray(image).save(file, "JPEG", quality=55)
        assert codec("jpeg").encode(image, quality=55) == file.getvalue()
    with Image.open(io.BytesIO(codec("jpeg").encode(image[..., 0]))) as opened:
        assert opened.mode == "L"
    full = codec("jpeg-444").encode(image, quality=55)
    assert len(full) > len(codec("jpeg").encode(image, quality=55))


def test_options_reach_the_encoder() -> None:
    image = smooth(64, 64)
    assert codec("jpeg", optimize="yes").encode(image) != codec("jpeg").encode(image)
    assert b"\xff\xc2" in codec("jpeg", progressive="yes").encode(image)
    assert codec("avif", subsampling="4:4:4").encode(image) != codec("avif").encode(image)
    assert codec("avif", speed="8").parameters == {"speed": 8, "subsampling": "4:2:0"}
    bare = codec("jpeg2000-lossless", container="no").encode(image)
    boxed = codec("jpeg2000-lossless").encode(image)
    assert boxed.endswith(bare)
    assert len(boxed) > len(bare)
    assert {codec("jpeg2000").content_bytes(file) for file in (bare, boxed)} == {len(bare)}
    assert codec("bz2", level="1").encode(image)[:4] == b"BZh1"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sped": "1"}, r"avif has no option 'sped'; its options are speed=6 \(0 to 10\), subsampling=4:2:0"),
        ({"speed": "11"}, "avif: speed is 0 to 10, not '11'"),
        ({"speed": "fast"}, "avif: speed is 0 to 10, not 'fast'"),
        ({"subsampling": "4:1:1"}, "subsampling is 4:2:0 or 4:2:2 or 4:4:4, not '4:1:1'"),
    ],
)
def test_wrong_options_are_told_with_the_right_ones(options: dict[str, str], said: str) -> None:
    with pytest.raises(UnsupportedInput, match=said):
        classical_codec("avif")(**options)


def test_one_thread_decodes_avif_and_the_users_setting_stays() -> None:
    from PIL import AvifImagePlugin

    image, one = smooth(16, 16), codec("avif")
    AvifImagePlugin.DEFAULT_MAX_THREADS = 3
    try:
        one.decode(one.encode(image), fields(image))
        assert AvifImagePlugin.DEFAULT_MAX_THREADS == 3
    finally:
        AvifImagePlugin.DEFAULT_MAX_THREADS = 0


def test_versions_name_the_libraries() -> None:
    for name in HERE:
        versions = codec(name).versions
        assert versions
        assert all(version and version != "None" for version in versions.values()), versions
    assert "Pillow" in codec("jpeg").versions


def test_a_library_that_is_not_here_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    one = codec("jxl")
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    assert classical_codec("jxl").absent() == "pip install 'neuralcodec[eval]'"
    with pytest.raises(
        UnsupportedInput, match=r"JPEG XL is not available here: pip install 'neuralcodec\[eval\]'"
    ):
        one.encode(smooth(4, 4))


def test_a_format_that_pillow_was_built_without_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "_built_in", lambda: {"webp", "jpg"})
    assert (
        classical_codec("avif").absent() == "this Pillow was built without avif: pip install --upgrade Pillow"
    )
    assert classical_codec("webp").absent() is None


def test_an_encoder_that_is_not_exact_is_found_by_verify(monkeypatch: pytest.MonkeyPatch) -> None:
    one = codec("png")
    monkeypatch.setattr(type(one), "plane", lambda self, signal: signal // 2)
    with pytest.raises(EntropyCodingError, match="PNG does not give the image back"):
        one.encode(smooth(4, 4), verify=True)


def test_contents_without_headers() -> None:
    image = smooth(40, 56)
    jpeg = codec("jpeg").encode(image)
    start = jpeg.index(b"\xff\xda")
    header = struct.unpack(">H", jpeg[start + 2 : start + 4])[0]
    assert scan_bytes(jpeg) == len(jpeg) - start - 2 - header - 2
    progressive = codec("jpeg", progressive="yes").encode(image)
    assert 0.3 * len(progressive) < scan_bytes(progressive) < len(progressive)
    png, webp, avif = (codec(name).encode(image) for name in ("png", "webp", "avif"))
    assert len(png) - png_bytes(png) == 8 + 25 + 12 + 12
    assert len(webp) - riff_bytes(webp, {b"VP8 "}) in (20, 21)
    assert len(avif) - box_bytes(avif, {b"mdat"}) == avif.index(b"mdat") + 4


@given(st.binary(max_size=60))
def test_contents_of_any_bytes_are_counted_without_an_end_to_it(data: bytes) -> None:
    assert scan_bytes(data) <= len(data)
    assert png_bytes(data) >= 0
    assert riff_bytes(data, {b"VP8 "}) >= 0
    assert isinstance(box_bytes(data, {b"mdat"}), int)
