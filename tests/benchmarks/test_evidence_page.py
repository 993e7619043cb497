"""What the pages say of goals is what the figures say."""

import sys
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    import evidence_page

    yield evidence_page
    for name in ("evidence_page", "comparison_page"):
        sys.modules.pop(name, None)


def surrogate(share: float, error: float) -> dict[str, float]:
    return {
        "parameters": 1000 * share,
        "parameters_to_dense": share,
        "error": error,
        "error_to_dense": error / 0.1,
    }


@pytest.mark.parametrize(
    ("share", "error", "said"),
    [
        (0.1, 0.105, "(aim)"),
        (0.25, 0.09, "(asked)"),
        (0.11, 0.105, "(asked)"),
        (0.1, 0.106, "+6%; separable is near enough, at 0.400 (**missed**)"),
    ],
)
def test_surrogates(page: Any, share: float, error: float, said: str) -> None:
    found = {
        "dense": surrogate(1, 0.1),
        "dense, 16 channels": surrogate(0.05, 0.1),  # no compact one
        "Tucker": surrogate(share, error),
        "separable": surrogate(0.4, 0.1),
    }
    assert said in page.wave_goal(found)[3]


@pytest.mark.parametrize(("points", "said"), [(0.0, "aim"), (-1.0, "asked"), (-1.01, "**missed**")])
def test_networks(page: Any, points: float, said: str) -> None:
    assert said in page.resnet_goal({"networks": {"n=4": {"points_to_real": points}}})[3]


@pytest.mark.parametrize(
    ("share", "points", "said"),
    [
        (1 / 40, -0.5, "aim"),
        (1 / 39, 0.1, "asked"),
        (1 / 19, 0.1, "**missed**"),
        (1 / 80, -0.51, "**missed**"),
    ],
)
def test_files(page: Any, share: float, points: float, said: str) -> None:
    one = {
        "single_precision_bytes": 100,
        "bytes": 10,
        "accuracy": 0.9,
        "coded_accuracy": 0.9,
        "ratio": 20,
        "bound": 0.1,
    }
    seed = {"real": one, "n=4": one}
    result = {"bytes_to_real": share, "points_to_real": points, "seeds": {"0": seed}, "epochs": 4, "more": 4}
    assert any(f"points ({said})" in line for line in page.coded(result))
