"""What tensors are worth: given, read from files, measured."""

from pathlib import Path

import numpy as np
import pytest

from neuralcodec import compress_weights, decompress_weights
from neuralcodec.errors import UnsupportedInput
from neuralcodec.weights import measure_importance, read_importance

RNG = np.random.default_rng(0)
STATE = {name: RNG.normal(size=(64, 64)).astype(np.float32) for name in "abc"}


def noise(importance: object) -> dict[str, float]:
    back = decompress_weights(compress_weights(STATE, sqnr=25, importance=importance))  # type: ignore[arg-type]
    return {name: float(np.square(back[name] - STATE[name]).sum()) for name in STATE}


def test_errors_are_inverse_to_importance_and_the_ratio_is_weighted() -> None:
    weights = {"a": 4.0, "b": np.full((64, 1), 0.25)}
    found = noise(weights)
    assert found["c"] / found["a"] == pytest.approx(4, rel=0.1)
    assert found["b"] / found["c"] == pytest.approx(4, rel=0.1)
    power = {name: float(np.square(value).sum()) for name, value in STATE.items()}
    ratio = sum(w * power[n] for n, w in {"a": 4, "b": 0.25, "c": 1}.items())
    ratio /= sum(w * found[n] for n, w in {"a": 4, "b": 0.25, "c": 1}.items())
    assert 25 - 1e-6 <= 10 * np.log10(ratio) < 25.3


def test_only_ratios_of_importance_count() -> None:
    alike = compress_weights(STATE, sqnr=25, importance=dict.fromkeys(STATE, 1e-7))
    assert abs(len(alike) - len(compress_weights(STATE, sqnr=25))) <= 20
    assert noise({"a": 0.0, "b": 1.0, "c": 1.0})["b"] > 0


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf, np.zeros(0)])
def test_importance_that_makes_no_sense(value: object) -> None:
    with pytest.raises(UnsupportedInput, match="'a'"):
        compress_weights(STATE, sqnr=25, importance={"a": value})


def test_importance_of_what_is_not_there_or_without_loss() -> None:
    with pytest.raises(UnsupportedInput, match="'d'"):
        compress_weights(STATE, sqnr=25, importance={"d": 1.0})
    with pytest.raises(UnsupportedInput, match="with loss"):
        compress_weights(STATE, importance={"a": 1.0})


def test_files_of_importance(tmp_path: Path) -> None:
    np.savez(tmp_path / "i.npz", a=np.float64(4), b=np.full(64, 0.25, np.float32))
    found = read_importance(tmp_path / "i.npz")
    assert {name: float(np.mean(value)) for name, value in found.items()} == {"a": 4, "b": 0.25}
    np.savez(tmp_path / "i.npz", a=np.int64(4))
    with pytest.raises(UnsupportedInput, match=r"i\.npz.*'a'.*I64"):
        read_importance(tmp_path / "i.npz")


def test_measured_importance_is_the_fisher_information() -> None:
    torch = pytest.importorskip("torch", reason="calibration runs torch modules")
    torch.manual_seed(0)
    layer = torch.nn.Linear(6, 4).double()
    x = torch.randn(20_000, 6, dtype=torch.float64)
    p = layer(x).softmax(1).detach()
    # of W[o, i]: the mean of (y_o - p_o)^2 x_i^2 over outcomes y
    exact = float(((p * (1 - p))[:, :, None] * x.square()[:, None]).mean()) * 10
    found = measure_importance(layer, x.split(10), damping=1)
    assert found["weight"] == pytest.approx(exact, rel=0.05)
    assert measure_importance(layer, x.split(10), damping=0.5)["weight"] == pytest.approx(
        found["weight"] ** 0.5
    )


def test_measuring_changes_nothing() -> None:
    torch = pytest.importorskip("torch", reason="calibration runs torch modules")
    network = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 3))
    network[1].eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = torch.get_rng_state()
    found = measure_importance(network, [(torch.randn(5, 6, generator=torch.Generator().manual_seed(1)),)])
    assert list(found) == ["0.weight", "2.weight"]
    assert torch.equal(state, torch.get_rng_state())
    assert network.training
    assert not network[1].training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_measuring_on_nothing_and_on_bad_examples() -> None:
    torch = pytest.importorskip("torch", reason="calibration runs torch modules")
    layer = torch.nn.Linear(6, 4)
    with pytest.raises(UnsupportedInput, match="no calibration examples"):
        measure_importance(layer, [])
    with pytest.raises(UnsupportedInput, match="not finite"):
        measure_importance(layer, [torch.ones(2, 6)], lambda y: y.sum() * float("nan"))
