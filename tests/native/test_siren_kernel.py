"""The kernel of sine networks against plain torch, on every path of instructions."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from edge_circuits import kernel_paths
from numpy.typing import NDArray

from neuralcodec import native

Array = NDArray[Any]
CASES = {
    "usual": ((32, 32, 32, 3), 16, 100),
    "odd": ((7, 5, 9, 2), 3, 65),
    "no own inputs": ((6, 11, 1), 6, 64),
    "own inputs alone": ((5, 17, 4), 0, 33),
    "one layer": ((4, 3), 2, 1),
    "wide": ((20, 130, 65, 1), 8, 7),
    "deep": ((6, 8, 8, 8, 8, 8, 3), 4, 129),
}
cases = pytest.mark.parametrize("case", sorted(CASES))
paths = pytest.mark.parametrize("path", kernel_paths())


def inputs(case: str, signals: int = 3) -> tuple[tuple[int, ...], Array, Array, Array, Array]:
    widths, shared, points = CASES[case]
    rng = np.random.default_rng(len(case))
    parameters = []
    for a, b in pairwise(widths):
        parameters.append(rng.normal(0, 1, (signals, b)))
        parameters.append(rng.normal(0, 1.5 / np.sqrt(a), (signals, a * b)))
    flat = np.concatenate(parameters, axis=1).astype(np.float32)
    features = rng.normal(size=(points, shared)).astype(np.float32)
    own = rng.normal(size=(signals, points, widths[0] - shared)).astype(np.float32)
    target = rng.normal(size=(signals, points, widths[-1])).astype(np.float32)
    return widths, features, own, flat, target


def reference(widths: tuple[int, ...], features: Array, own: Array, flat: Array) -> Array:
    """The network in float64."""
    outputs = []
    for one, parameters in zip(own, flat.astype(np.float64), strict=True):
        x, at = np.hstack([features, one]).astype(np.float64), 0
        for number, (a, b) in enumerate(pairwise(widths)):
            x = x @ parameters[at + b : at + b + a * b].reshape(a, b) + parameters[at : at + b]
            x = np.sin(x) if number + 2 < len(widths) else x
            at += b + a * b
        outputs.append(x)
    return np.array(outputs)


@cases
@paths
def test_outputs(case: str, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEURALCODEC_SIMD", path)
    widths, features, own, flat, _ = inputs(case)
    found = native.siren_outputs(widths, features, own, flat, 2)
    np.testing.assert_allclose(found, reference(widths, features, own, flat), atol=2e-5 * max(widths))
    assert np.array_equal(found, native.siren_outputs(widths, features, own, flat, 1))
    alone = native.siren_outputs(widths, features, own[1:2], flat[1:2], 1)
    assert np.array_equal(found[1:2], alone)


@cases
@paths
def test_gradients_are_those_of_torch(case: str, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch", reason="the reference is torch's automatic differentiation")
    monkeypatch.setenv("NEURALCODEC_SIMD", path)
    widths, features, own, flat, target = inputs(case)
    error, own_gradient, gradient = native.siren_gradient(widths, features, own, flat, target, 2)
    both = [torch.from_numpy(x.astype(np.float64)).requires_grad_() for x in (own, flat)]
    shared = torch.from_numpy(features.astype(np.float64)).expand(len(own), -1, -1)
    x, at = torch.cat([shared, both[0]], dim=2), 0
    for number, (a, b) in enumerate(pairwise(widths)):
        weights = both[1][:, at + b : at + b + a * b].reshape(-1, a, b)
        x = x @ weights + both[1][:, None, at : at + b]
        x = torch.sin(x) if number + 2 < len(widths) else x
        at += b + a * b
    exact = ((x - torch.from_numpy(target)) ** 2).sum((1, 2))
    exact.sum().backward()
    np.testing.assert_allclose(error, exact.detach(), rtol=1e-4)
    for found, wanted in ((own_gradient, both[0].grad), (gradient, both[1].grad)):
        assert found.shape == wanted.shape
        if found.size:
            scale = float(wanted.abs().max())
            np.testing.assert_allclose(found, wanted, atol=1e-4 * scale)
    again = native.siren_gradient(widths, features, own, flat, target, 1)
    assert all(np.array_equal(a, b) for a, b in zip((error, own_gradient, gradient), again, strict=True))


@cases
def test_paths_are_close_to_each_other(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    widths, features, own, flat, target = inputs(case)
    found = []
    for path in kernel_paths():
        monkeypatch.setenv("NEURALCODEC_SIMD", path)
        found.append(
            (
                native.siren_outputs(widths, features, own, flat),
                *native.siren_gradient(widths, features, own, flat, target),
            )
        )
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            if a.size:
                np.testing.assert_allclose(a, b, atol=1e-4 * max(1.0, float(np.abs(a).max())))


@paths
def test_sines_of_large_numbers(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEURALCODEC_SIMD", path)
    angles = np.concatenate([np.linspace(-2000, 2000, 4001), np.linspace(-4, 4, 999)]).astype(np.float32)
    parameters = np.array([[0, 1, 0, 1]], np.float32)  # sin(x * 1 + 0) * 1 + 0
    found = native.siren_outputs(
        (1, 1, 1), angles[:, None], np.zeros((1, len(angles), 0), np.float32), parameters
    )
    np.testing.assert_allclose(found[0, :, 0], np.sin(angles.astype(np.float64)), atol=3e-7 + 3e-8 * 2000)


@pytest.mark.parametrize("wrong", ["widths", "features", "own", "parameters", "target"])
def test_shapes_that_do_not_fit_are_refused(wrong: str) -> None:
    widths, features, own, flat, target = inputs("odd")
    arguments: dict[str, Any] = {
        "widths": widths,
        "features": features,
        "own": own,
        "parameters": flat,
        "target": target,
    }
    if wrong == "widths":
        arguments["widths"] = (7, 5, 9, 3)
    else:
        arguments[wrong] = arguments[wrong][..., :-1].copy()
    with pytest.raises(ValueError, match="fit"):
        native.siren_gradient(**arguments)
    with pytest.raises(ValueError, match="widths must be"):
        native.siren_outputs((0, 3), features, own, flat)
