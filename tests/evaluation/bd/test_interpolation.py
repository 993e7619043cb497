"""Interpolated means against scipy's interpolators and numpy's polynomials, curve by curve."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import Akima1DInterpolator, PchipInterpolator

from neuralcodec.evaluation.bd.interpolation import LEAST_POINTS, mean_between


@given(st.sampled_from(sorted(LEAST_POINTS)), st.integers(2, 12), st.booleans(), st.integers(0, 2**32 - 1))
def test_against_scipy_and_numpy(method: str, points: int, rising: bool, seed: int) -> None:
    points = max(points, 3 if method == "akima" else LEAST_POINTS[method])
    rng = np.random.default_rng(seed)
    x = np.cumsum(rng.uniform(0.1, 3, (5, points)), axis=1)
    y = rng.normal(0, 1, (5, points)) * (rng.random((5, points)) < 0.8)
    if rising:
        y = np.cumsum(np.abs(y), axis=1)
    low, high = np.sort(x[:, :1] + (x[:, -1:] - x[:, :1]) * rng.uniform(0, 1, (5, 2)), axis=1).T
    found = mean_between(x, y, low, high, method)
    for row in range(5):
        if method == "cubic":
            primitive = np.polynomial.Polynomial.fit(x[row], y[row], 3).integ()
            integral = primitive(high[row]) - primitive(low[row])
        else:
            kind = PchipInterpolator if method == "pchip" else Akima1DInterpolator
            integral = kind(x[row], y[row]).integrate(low[row], high[row])
        assert found[row] == pytest.approx(integral / (high[row] - low[row]), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("method", ["pchip", "akima"])
def test_two_points_are_a_line(method: str) -> None:
    ends = np.array([0.0]), np.array([3.0])
    assert mean_between(np.array([[0.0, 4.0]]), np.array([[1.0, 9.0]]), *ends, method) == 4
