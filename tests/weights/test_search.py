"""The search for the step, on errors and sizes that are known functions of it."""

import math

import pytest

from neuralcodec.errors import UnsupportedInput
from neuralcodec.weights.search import expected_step, step_for_noise, step_for_size


@pytest.mark.parametrize("wanted", [1e-8, 1e-3, 0.2])
@pytest.mark.parametrize("power", [1.0, 2.0, 3.0])
def test_noise_is_met_from_below(wanted: float, power: float) -> None:
    tried = []

    def measure(step: float) -> tuple[float, float]:
        tried.append(step)
        return 1000 * step**power / 12, 1000

    step = step_for_noise(wanted, 3, measure, slack=0.001)
    assert wanted * 0.999 <= step**power / 12 <= wanted
    assert len(tried) <= 12


def test_noise_in_steps_is_met_as_well_as_it_can_be() -> None:
    def measure(step: float) -> tuple[float, float]:
        return 2.0 ** math.floor(math.log2(step)), 1

    step = step_for_noise(0.3, 0, measure, slack=0.001)
    assert measure(step)[0] == 0.25


def test_noise_that_no_step_reaches() -> None:
    with pytest.raises(UnsupportedInput, match="code without loss"):
        step_for_noise(1e-9, 0, lambda step: (1.0, 1), slack=0.001)


@pytest.mark.parametrize("wanted", [2_000, 30_000, 60_000])
def test_size_is_met_from_below(wanted: float) -> None:
    def size(step: float) -> float:
        return 1_500 + 5_000 * math.log2(1 + 1 / step)

    step = step_for_size(wanted, 0.1, size, 5_000)
    assert 0.99 * wanted <= size(step) <= wanted


def test_size_that_no_step_reaches() -> None:
    with pytest.raises(UnsupportedInput, match="as small as 10 bytes"):
        step_for_size(10, 1.0, lambda step: 20.0, 100)


def test_expected_step_of_scalar_quantisation() -> None:
    assert expected_step(0.25**2 / 12, 0) == pytest.approx(0.25)
