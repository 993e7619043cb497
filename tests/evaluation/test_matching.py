"""The setting nearest to a rate: against trying every setting, and with codecs."""

import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from neuralcodec.codec import Codec, Fields, QualityRange
from neuralcodec.errors import UnsupportedInput
from neuralcodec.evaluation.matching import match_rate, nearest, search_range
from neuralcodec.evaluation.specs import find_subject
from neuralcodec.evaluation.subject import Subject

ROWS, COLUMNS = np.mgrid[0:96, 0:128]
NOISE = np.random.default_rng(1).normal(0, 12, (96, 128, 3))
PHOTO = np.clip(np.dstack([ROWS + COLUMNS, 2 * ROWS, 255 - COLUMNS]) + NOISE, 0, 255).astype(np.uint8)

steps = st.lists(st.integers(0, 5), min_size=1, max_size=60)


@given(steps, st.integers(-5, 5), st.booleans(), st.floats(0.01, 400))
def test_of_whole_numbers_the_nearest_is_found(
    increments: list[int], least: int, inverse: bool, target: float
) -> None:
    table = np.cumsum(increments)[:: -1 if inverse else 1].tolist()
    scale = QualityRange(least, least, least + len(table) - 1, integral=True, inverse=inverse)
    asked: list[float] = []

    def rate(quality: float) -> float:
        asked.append(quality)
        return float(table[int(quality) - least])

    found = nearest(rate, scale, target)
    assert abs(table[int(found) - least] - target) == min(abs(one - target) for one in table)
    assert len(asked) == len(set(asked)) <= 2 + math.ceil(math.log2(len(table)) if len(table) > 1 else 1)


curves: dict[str, Callable[[float], float]] = {
    "rising": lambda q: 0.01 + q / 10,
    "falling": lambda q: 40 / (q + 0.1),
    "curved": lambda q: math.exp(q / 30) - 0.9,
}


@given(
    st.sampled_from(sorted(curves)),
    st.sampled_from([(0.0, 100.0), (0.01, 25.0), (1.0, 2000.0)]),
    st.floats(0.001, 50),
)
def test_on_a_scale_without_steps_the_rate_is_close(
    name: str, ends: tuple[float, float], target: float
) -> None:
    curve = curves[name]
    asked: list[float] = []

    def rate(quality: float) -> float:
        asked.append(quality)
        return curve(quality)

    found = nearest(rate, QualityRange(1, *ends), target)
    least, greatest = sorted(map(curve, ends))
    reachable = min(max(target, least), greatest)
    fine = 1e-4 * (ends[1] - ends[0])
    steps = [abs(curve(max(0, found + step)) - curve(found)) for step in (fine, -fine)]
    slack = max(0.005 * target, *steps)
    assert abs(curve(found) - reachable) <= 1.01 * slack + 1e-9
    assert ends[0] <= found <= ends[1]
    assert len(asked) <= 20


def test_a_plateau_is_left_on_the_right_side() -> None:
    assert nearest(lambda q: 1.0 if q < 90 else q, QualityRange(1, 0, 100, integral=True), 91) == 91
    flat = nearest(lambda q: 2.0, QualityRange(1, 0, 100, integral=True), 5)
    assert flat in (0, 100)


def test_of_two_as_near_the_smaller_file_is_taken() -> None:
    assert nearest(lambda q: q, QualityRange(1, 0, 9, integral=True), 4.5) == 4


def test_rates_that_are_not_monotone_give_the_nearest_that_was_tried() -> None:
    rates = {0.0: 1.0, 10.0: 9.0, 5.0: 2.0, 7.0: 1.5, 8.0: 3.9, 9.0: 8.0}
    assert nearest(lambda q: rates[q], QualityRange(1, 0, 10, integral=True), 4) == 8.0


@pytest.mark.parametrize("spec", ["jpeg", "jpeg-444", "webp", "jpeg2000", "avif:speed=10"])
def test_codecs_come_near_the_target(spec: str) -> None:
    subject = find_subject(spec)
    match = match_rate(subject, PHOTO, 1.5)
    assert match.missed is None
    assert match.bpp == 8 * len(match.encoded.file) / (96 * 128)
    assert match.encoded.file == subject.encode(PHOTO, match.quality).file
    assert abs(match.bpp - 1.5) < 0.1


def test_jpeg_is_matched_as_by_trying_all_qualities() -> None:
    subject = find_subject("jpeg")
    rates = {q: 8 * len(subject.encode(PHOTO, q).file) / (96 * 128) for q in range(1, 101)}
    for target in (0.05, 0.9, 1.7, 3.1, 30.0):
        match = match_rate(subject, PHOTO, target)
        assert abs(match.bpp - target) == min(abs(rate - target) for rate in rates.values())
        assert (match.missed is None) == (min(rates.values()) <= target <= max(rates.values()))


def test_a_rate_out_of_reach_is_told_with_the_nearest_end() -> None:
    subject = find_subject("jpeg")
    low, high = match_rate(subject, PHOTO, 0.01), match_rate(subject, PHOTO, 100)
    assert low.quality == 1
    assert low.missed == f"its least rate for this image is {low.bpp:.3f} bpp"
    assert high.quality == 100
    assert high.missed == f"its greatest rate for this image is {high.bpp:.3f} bpp"


def test_a_lossless_codec_has_one_rate() -> None:
    match = match_rate(find_subject("png"), PHOTO, 0.3)
    assert (match.quality, match.tried) == (None, 1)
    assert match.missed == f"it has one rate for an image, {match.bpp:.3f} bpp"


class Steps(Codec):
    """Writes as many bytes as its setting says."""

    name = "steps"
    standalone = True
    lossless = False
    quality: ClassVar[QualityRange | None] = QualityRange(0, -1e9, 1e9)

    def accepts(self, signal: NDArray[Any]) -> str | None:
        """Take all but one-row images."""
        return "it has one row" if len(signal) == 1 else None

    def encode(self, signal: NDArray[Any], **options: Any) -> bytes:
        """Return so many zeros; only whole settings have a meaning."""
        assert float(options["quality"]).is_integer()
        return bytes(int(options["quality"]))

    def decode(self, payload: bytes, fields: Fields) -> NDArray[Any]:
        """Return black."""
        return np.zeros(fields.signal.shape, fields.signal.dtype)


def test_rate_points_bound_the_search() -> None:
    image = np.zeros((8, 8), np.uint8)
    subject = Subject(Steps(), "steps@10,90,50", [10, 90, 50])
    match = match_rate(subject, image, 33 / 8)
    assert (match.quality, match.bpp, match.missed) == (33, 33 / 8, None)
    assert match_rate(subject, image, 95 / 8).missed == "its greatest rate for this image is 11.250 bpp"
    fractions = search_range(Subject(Steps(), "steps@0.5,2", [0.5, 2]))
    assert fractions is not None
    assert not fractions.integral
    quality = find_subject("jpeg@20,40").codec.quality
    assert quality is not None
    assert search_range(find_subject("jpeg@20,40")) == QualityRange(20, 20, 40, integral=True)


def test_refusals_are_told() -> None:
    with pytest.raises(UnsupportedInput, match="steps cannot code the image: it has one row"):
        match_rate(Subject(Steps(), "steps@1,2", [1, 2]), np.zeros((1, 8), np.uint8), 1)
    for rate in (0, -1, math.nan, math.inf):
        with pytest.raises(UnsupportedInput, match="is no rate: give a number above 0"):
            match_rate(find_subject("jpeg"), PHOTO, rate)
