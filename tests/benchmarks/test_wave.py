"""The finite elements of the wave benchmark converge to analytic solutions, at the orders of theory."""

import numpy as np
import pytest

pytest.importorskip("skfem", reason="the wave benchmark needs scikit-fem")

from fem import WaveEquation


def standing(cells: int, step: float) -> float:
    """Error at t = 0.5 of sin(pi x) sin(pi y) cos(sqrt(2) pi t), whose edge stands still."""
    model = WaveEquation(cells, step)
    x, y = model.nodes
    start = (np.sin(np.pi * x) * np.sin(np.pi * y))[:, None]
    still = np.zeros((len(model.edge), 1))
    *_, u = model.march(lambda _: (still, still), start, np.zeros_like(start), round(0.5 / step))
    time = np.cos(2**0.5 * np.pi * 0.5)
    return model.error(u[:, 0], lambda x, y: np.sin(np.pi * x) * np.sin(np.pi * y) * time)


def travelling(cells: int, step: float) -> float:
    """Error at t = 0.4 of a plane wave that the edge drives, sin(4 (0.6 x + 0.8 y - t))."""
    model = WaveEquation(cells, step)

    def wave(x: np.ndarray, y: np.ndarray, t: float) -> np.ndarray:
        return np.sin(4 * (0.6 * x + 0.8 * y - t))

    x, y = model.nodes
    ex, ey = model.nodes[:, model.edge]
    speed = (-4 * np.cos(4 * (0.6 * x + 0.8 * y)))[:, None]
    *_, u = model.march(
        lambda t: (wave(ex, ey, t)[:, None], -16 * wave(ex, ey, t)[:, None]),
        wave(x, y, 0.0)[:, None],
        speed,
        round(0.4 / step),
    )
    return model.error(u[:, 0], lambda x, y: wave(x, y, 0.4))


@pytest.mark.parametrize("problem", [standing, travelling])
def test_third_order_in_the_elements(problem: object) -> None:
    errors = [problem(cells, 1e-3) for cells in (2, 4, 8)]  # type: ignore[operator]
    orders = np.diff(np.log2(errors))
    assert np.all(orders < -2.7)


@pytest.mark.parametrize("problem", [standing, travelling])
def test_second_order_in_time(problem: object) -> None:
    errors = [problem(16, step) for step in (0.1, 0.05, 0.025)]  # type: ignore[operator]
    orders = np.diff(np.log2(errors))
    assert np.all(orders < -1.9)
    assert np.all(orders > -2.4)
