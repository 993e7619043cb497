"""Factors of compact layers: the error of the kernels that they build is what counts."""

import io
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from neuralcodec import compress_weights, decompress_weights
from neuralcodec.errors import UnsupportedInput
from neuralcodec.factors import kernels_of
from neuralcodec.weights import Target, WeightsEncoder, WeightsReader
from neuralcodec.weights.description import describe
from neuralcodec.weights.sources import mapping_source

torch = pytest.importorskip("torch", reason="neuralcodec.layers needs the extra torch")
pytest.importorskip("tensorly", reason="neuralcodec.layers needs the extra torch")

from torch import nn  # noqa: E402

from neuralcodec.layers import (  # noqa: E402
    PHConv2d,
    PHConvTranspose2d,
    PHLinear,
    TensorConv1d,
    TensorConv2d,
    TensorConv3d,
    TensorLinear,
)

LAYERS: dict[str, Callable[[], Any]] = {
    "hypercomplex": lambda: PHConv2d(16, 24, 3, n=4),
    "hypercomplex, two groups": lambda: PHConv2d(16, 24, 3, n=4, groups=2),
    "hypercomplex, rank 3": lambda: PHConv2d(16, 24, 3, n=4, algebra_rank=3),
    "hypercomplex, rank 6": lambda: PHConvTranspose2d(16, 24, 3, n=4, algebra_rank=6),
    "hypercomplex, linear": lambda: PHLinear(48, 32, n=2),
    "quaternions": lambda: PHConv2d(16, 24, 3, algebra="quaternion"),
    "complex numbers": lambda: PHLinear(48, 32, algebra="complex"),
    "Tucker": lambda: TensorConv2d(16, 24, 3, format="tucker", rank=(6, 5)),
    "Tucker, linear": lambda: TensorLinear(48, 32, format="tucker", rank=0.3),
    "full Tucker, two groups": lambda: TensorConv2d(
        16, 24, 3, groups=2, format="tucker-full", rank=(6, 5, 2, 3)
    ),
    "full Tucker, three axes": lambda: TensorConv3d(8, 8, 3, format="tucker-full", rank=(4, 4, 2, 2, 2)),
    "CP": lambda: TensorConv2d(16, 24, 3, format="cp", rank=12),
    "CP, one axis, two groups": lambda: TensorConv1d(16, 24, 5, groups=2, format="cp", rank=9),
    "CP, 1 x 5": lambda: TensorConv2d(16, 24, (1, 5), format="cp", rank=12),
    "CP, linear": lambda: TensorLinear(48, 32, format="cp", rank=10),
    "separable": lambda: TensorConv2d(16, 24, 3, format="separable", rank=2),
    "sum of Kronecker products": lambda: TensorLinear(48, 32, format="separable", rank=3),
}


def made(name: str) -> Any:
    torch.manual_seed(0)
    return LAYERS[name]()


def built(layer: Any) -> Any:
    return layer.double().weight.detach().numpy()


@pytest.mark.parametrize("name", LAYERS)
def test_kernels_are_found_and_built_and_their_sensitivities_are_exact(name: str) -> None:
    layer = made(name).double()
    state = {f"a.b.{key}": value.numpy() for key, value in layer.state_dict().items()}
    (kernel,) = kernels_of({key: value.shape for key, value in state.items()})
    assert kernel.name == "a.b"
    values = [state[factor] for factor in kernel.factors]
    assert np.square(kernel.build(values)).sum() == pytest.approx(np.square(built(layer)).sum())
    by_name = {f"a.b.{key}": parameter.detach() for key, parameter in layer.named_parameters()}
    for factor, found in zip(kernel.factors, kernel.sensitivities(values), strict=True):

        def weight(value: Any, key: str = factor.removeprefix("a.b.")) -> Any:
            return torch.func.functional_call(_Weight(layer), {f"layer.{key}": value}, ())

        jacobian = torch.autograd.functional.jacobian(weight, by_name[factor])
        assert found == pytest.approx(float(jacobian.square().sum()) / by_name[factor].numel())


class _Weight(nn.Module):
    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = layer

    def forward(self) -> Any:
        return self.layer.weight


@pytest.mark.parametrize("name", LAYERS)
def test_the_ratio_is_that_of_the_built_kernel(name: str) -> None:
    layer = made(name)
    before = built(layer)
    state = layer.float().state_dict()
    data = compress_weights(state, sqnr=30, states=8)
    layer.load_state_dict(decompress_weights(data, framework="torch"))
    noise = np.square(built(layer) - before).sum()
    found = 10 * math.log10(np.square(before).sum() / noise)
    assert 30 - 1e-6 <= found < 31.5  # steps of factors are on a grid
    with WeightsReader(data) as reader:
        assert reader.index.sqnr == pytest.approx(found, abs=1e-4)


def unbalanced() -> dict[str, Any]:
    """A layer whose factors are of different size, and a plain matrix."""
    layer = made("Tucker")
    state = {f"conv.{key}": value.numpy().copy() for key, value in layer.state_dict().items()}
    state["conv.core"] /= 8
    state["conv.factor_in"] *= 8
    state["fc.weight"] = np.random.default_rng(0).normal(size=(32, 40)).astype(np.float32) / 6
    return state


def kernel_and_plain(state: dict[str, Any]) -> Any:
    (kernel,) = kernels_of({name: value.shape for name, value in state.items()})
    values = [state[factor].astype(np.float64) for factor in kernel.factors]
    return np.concatenate([kernel.build(values).ravel(), state["fc.weight"].ravel()])


def test_files_are_smaller_than_with_one_step_at_the_same_ratio() -> None:
    state = unbalanced()
    before = kernel_and_plain(state)

    def ratio(data: bytes) -> float:
        noise = kernel_and_plain(decompress_weights(data)) - before
        return float(10 * np.log10(np.square(before).sum() / np.square(noise).sum()))

    aware = compress_weights(state, sqnr=25)
    low, high = 1e-4, 1.0
    for _ in range(12):  # the coarsest step of all that does it
        step = math.sqrt(low * high)
        reached = ratio(compress_weights(state, step=step, factors=False)) >= 25
        low, high = (step, high) if reached else (low, step)
    assert ratio(aware) >= 25 - 1e-6
    assert len(aware) < 0.9 * len(compress_weights(state, step=low, factors=False))


def test_without_regard_to_kernels_the_ratio_is_that_of_the_tensors() -> None:
    state = unbalanced()
    back = decompress_weights(compress_weights(state, sqnr=25, factors=False))
    matrices = [name for name, value in state.items() if value.ndim > 1]
    power = sum(np.square(state[name]).sum() for name in matrices)
    noise = sum(np.square(state[name] - back[name]).sum() for name in matrices)
    assert 25 - 1e-6 <= 10 * math.log10(power / noise) < 25.1


def test_a_given_step_is_that_of_plain_tensors() -> None:
    state = unbalanced()
    file = io.BytesIO()
    report = WeightsEncoder(mapping_source(state), Target(step=0.02)).write(file)
    assert report.kernels == 1
    assert report.step == 0.02
    plain = compress_weights({"fc.weight": state["fc.weight"]}, step=0.02)
    assert np.array_equal(
        decompress_weights(file.getvalue())["fc.weight"], decompress_weights(plain)["fc.weight"]
    )


SHAPES = {"a.core": (1, 6, 5, 3, 3), "a.factor_out": (1, 24, 6), "a.factor_in": (1, 5, 16)}
OTHERS: dict[str, dict[str, tuple[int, ...]]] = {
    "ranks that do not fit": {**SHAPES, "a.factor_in": (1, 4, 16)},
    "a factor is missing": {name: SHAPES[name] for name in ("a.core", "a.factor_out")},
    "names of two layers": {"a.algebra": (4, 4, 4), "b.filters": (3, 8, 8)},
    "an algebra that is none": {"a.algebra": (4, 4), "a.filters": (4, 8, 8)},
    "vectors": {"a.factor_0": (8,), "a.factor_1": (8,)},
    "nothing in it": {**SHAPES, "a.core": (1, 0, 5, 3, 3)},
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_only_looks_like_factors(name: str) -> None:
    assert not kernels_of(OTHERS[name])


def test_factors_that_are_not_finite_are_refused_or_kept() -> None:
    state = unbalanced()
    state["conv.core"][0, 0, 0, 0, 0] = np.nan
    with pytest.raises(UnsupportedInput, match=r"conv\.core"):
        compress_weights(state, sqnr=25)
    back = decompress_weights(compress_weights(state, sqnr=25, keep_nonfinite=True))
    assert np.array_equal(back["conv.core"], state["conv.core"], equal_nan=True)


def test_zero_factors() -> None:
    state = {name: np.zeros(shape, np.float32) for name, shape in SHAPES.items()}
    back = decompress_weights(compress_weights(state, sqnr=25))
    assert all(np.array_equal(back[name], state[name]) for name in state)


def test_half_precision_and_what_info_says() -> None:
    state = {name: value.astype(np.float16) for name, value in unbalanced().items()}
    with WeightsReader(compress_weights(state, sqnr=25)) as reader:
        facts = describe(reader)
    assert facts["sqnr"] >= 25 - 1e-3
    assert all(
        tensor["coded"].startswith("levels") for tensor in facts["tensors"] if len(tensor["shape"]) > 1
    )
