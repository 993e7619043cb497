"""PNG image data of every layout returns, whole and in strips; what is no form is refused."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from png_files import LAYOUTS, Drawn, pngs

from neuralcodec.container import png
from neuralcodec.container.png import (
    Head,
    PngForm,
    colours_of,
    exact_samples,
    image_data,
    indices_of,
    read_head,
    read_samples,
)
from neuralcodec.errors import CorruptFile


@contextmanager
def strips_of(size: int) -> Iterator[None]:
    with mock.patch.object(png, "STRIP", size):
        yield


@given(pngs())
def test_files_of_every_layout_are_read(drawn: Drawn) -> None:
    head = read_head(drawn.file)
    assert head is not None
    for size in (2**21, 40):
        with strips_of(size):
            samples = exact_samples(drawn.file, head)
        assert samples.dtype == drawn.samples.dtype
        assert np.array_equal(samples, drawn.samples)


@given(st.sampled_from(LAYOUTS), st.booleans(), st.sampled_from([30, 2**21]), st.integers(0, 2**32 - 1))
def test_image_data_returns(layout: tuple[int, int], adaptive: bool, strip: int, seed: int) -> None:
    depth, colour = layout
    rng = np.random.default_rng(seed)
    head = Head(*(int(side) for side in rng.integers(1, 30, 2)), depth, colour)
    shape = (head.height, head.width, head.channels)[: 2 + (head.channels > 1)]
    samples = rng.integers(0, 2**depth, shape) * (rng.random(shape) < rng.random())
    typed = samples.astype({1: np.bool_, 16: np.uint16}.get(depth, np.uint8))
    with strips_of(strip):
        parts = list(image_data(typed, depth, 9, adaptive=adaptive))
        assert np.array_equal(read_samples(head, parts), typed)


def test_a_smooth_image_is_filtered() -> None:
    y, x = np.mgrid[:64, :64]
    smooth = (x * 2 + y * 3 + x * y // 40).astype(np.uint8)
    plain, filtered = (
        len(b"".join(image_data(smooth, 8, 9, adaptive=adaptive))) for adaptive in (False, True)
    )
    assert filtered < plain / 2


def test_a_wrong_checksum_and_an_early_end_are_refused() -> None:
    samples = np.random.default_rng(0).integers(0, 2**16, (20, 20, 3)).astype(np.uint16)
    data = b"".join(image_data(samples, 16, 6, adaptive=True))
    head = Head(20, 20, 16, png.COLOURS)
    file = png.SIGNATURE + png.chunk(b"IHDR", head.to_bytes()) + png.chunk(b"IDAT", data)
    assert np.array_equal(exact_samples(file, head), samples)
    with pytest.raises(ValueError, match="checksum"):
        exact_samples(file[:-6] + b"\0" + file[-5:], head)
    with strips_of(300), pytest.raises(ValueError, match="ends early"):
        read_samples(head, [data[: len(data) // 2]])


@pytest.mark.parametrize("data", [b"", png.SIGNATURE, png.SIGNATURE + bytes(40), b"GIF89a" + bytes(30)])
def test_other_files_have_no_head(data: bytes) -> None:
    assert read_head(data) is None


FORM = PngForm(8, ((b"PLTE", bytes([0, 0, 0, 9, 9, 9, 9, 9, 9])), (b"tRNS", b"\5\5")))


def test_forms_return() -> None:
    assert PngForm.from_bytes(FORM.to_bytes()) == FORM


@pytest.mark.parametrize(
    ("section", "words"),
    [
        (b"\3", "a depth of 3 bits"),
        (b"", "a depth needs 1 bytes"),
        (b"\x08IDAT\0", "not known, or there twice"),
        (FORM.to_bytes() * 2, "not known"),
        (b"\x08tRNS\0tRNS\0", "there twice"),
        (b"\x08PLTE\4aaaa", "1 to 256 entries"),
        (b"\x08PLTE\0", "1 to 256 entries"),
        (b"\x10PLTE\3aaa", "does not go with 16 bits"),
        (b"\x08tRNS\3a", "a chunk needs 3 bytes"),
    ],
)
def test_damaged_forms_are_refused(section: bytes, words: str) -> None:
    with pytest.raises(CorruptFile, match=words):
        PngForm.from_bytes(section)


def test_colours_stand_for_indices_where_they_are_unique() -> None:
    indices = np.array([[0, 1], [1, 2]], np.uint8)
    colours = colours_of(indices, FORM)
    assert colours is not None
    assert colours.tolist() == [[[0, 0, 0, 5], [9, 9, 9, 5]], [[9, 9, 9, 5], [9, 9, 9, 255]]]
    assert np.array_equal(indices_of(colours, FORM), indices)
    opaque = PngForm(8, FORM.chunks[:1])
    assert colours_of(indices, opaque) is None  # entries 1 and 2 are alike
    assert colours_of(indices + np.uint8(1), FORM) is None  # there is no entry 3
    with pytest.raises(CorruptFile, match="colours that its palette does not have"):
        indices_of(colours + np.uint8(1), FORM)
