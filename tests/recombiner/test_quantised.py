"""Real matrices as levels of a step."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuralcodec.errors import InvalidModel
from neuralcodec.recombiner.quantised import of_levels, of_step_words, step_words, to_levels


@given(
    st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=30), st.sampled_from([2.0**-8, 0.01, 0.5])
)
def test_levels_are_within_half_a_step(values: list[float], step: float) -> None:
    x = np.array([values], np.float32)
    back = of_levels(to_levels(x, step), step)
    assert back.dtype == np.float32
    assert np.abs(back - x).max() <= step / 2 * 1.0001 + 1e-5
    assert np.array_equal(to_levels(back, step), to_levels(x, step))


def test_levels_alternate_in_sign() -> None:
    assert of_levels(np.arange(7, dtype=np.uint32)[None], 1.0).tolist() == [[0, -1, 1, -2, 2, -3, 3]]


@given(st.lists(st.floats(2.0**-126, 2.0**127, width=32), min_size=1, max_size=9))
def test_steps_come_back(steps: list[float]) -> None:
    assert of_step_words(step_words(steps), len(steps)) == steps


@pytest.mark.parametrize(
    "words",
    [[[0, 0]], [[0x8000 + 0x3F80, 0]], [[0x7F80, 0]], [[0x7FC0, 0]], [[0x10000, 0]], [[1, 2], [3, 4]]],
)
def test_words_that_are_no_steps_are_refused(words: list[list[int]]) -> None:
    with pytest.raises(InvalidModel):
        of_step_words(np.array(words, np.uint32), 1)
