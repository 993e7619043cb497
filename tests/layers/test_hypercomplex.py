"""Hypercomplex layers against Kronecker products by definition, and torch's own layers."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip(
    "torch", reason="neuralcodec.layers needs torch: pip install 'neuralcodec[torch]'"
)

from explicit_kernels import array, as_weight, conv_sizes, dense, kronecker_sum, perturbed, random_input
from torch import nn

from neuralcodec import layers
from neuralcodec.errors import InvalidLayer

# of torch's own layers, which ours are compared with
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
CONVS = {1: layers.PHConv1d, 2: layers.PHConv2d, 3: layers.PHConv3d}
TRANSPOSED = {1: layers.PHConvTranspose1d, 2: layers.PHConvTranspose2d, 3: layers.PHConvTranspose3d}
every_axes = pytest.mark.parametrize("axes", [1, 2, 3])
either_way = pytest.mark.parametrize("transposed", [False, True])


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@either_way
@every_axes
@given(st.data())
@settings(deadline=None, max_examples=15)
def test_convolutions_are_those_of_the_kronecker_sum(
    axes: int, transposed: bool, data: st.DataObject
) -> None:
    n = data.draw(st.integers(1, 4))
    sizes = data.draw(conv_sizes(axes, transposed, unit=n))
    layer = perturbed((TRANSPOSED if transposed else CONVS)[axes](**sizes, n=n, dtype=torch.float64))
    kernel = kronecker_sum(array(layer.algebra), array(layer.filters), sizes["groups"])
    compare(layer, torch.from_numpy(as_weight(kernel, transposed)), random_input(sizes, axes))


@either_way
@every_axes
@given(st.data())
@settings(deadline=None, max_examples=15)
def test_the_chain_of_a_ranked_algebra_is_its_kernel(
    axes: int, transposed: bool, data: st.DataObject
) -> None:
    n, rank = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 5))
    sizes = data.draw(conv_sizes(axes, transposed, unit=n))
    kind = (TRANSPOSED if transposed else CONVS)[axes]
    layer = perturbed(kind(**sizes, n=n, algebra_rank=rank, path="chain", dtype=torch.float64))
    mix = array(layer.algebra_mix) if rank > n else np.eye(rank)
    algebra = np.einsum("ir,ar,br->iab", mix, array(layer.algebra_out), array(layer.algebra_in))
    kernel = kronecker_sum(algebra, array(layer.filters), sizes["groups"])
    compare(layer, torch.from_numpy(as_weight(kernel, transposed)), random_input(sizes, axes))


def compare(layer: Any, weight: Any, x: Any) -> None:
    """A layer has this weight, and does, forward and backward, with and without a batch, what torch's own does."""
    torch.testing.assert_close(layer.weight.detach(), weight)
    own = dense(layer, weight)
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    y, expected = layer(ours), own(theirs)
    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(layer(x[0]), own(x)[0])
    direction = torch.randn_like(y)
    y.backward(direction)
    expected.backward(direction)
    torch.testing.assert_close(ours.grad, theirs.grad)
    if layer.bias is not None:
        torch.testing.assert_close(layer.bias.grad, own.bias.grad)
    layer.eval()
    with torch.no_grad():
        torch.testing.assert_close(layer(x), expected)
        torch.testing.assert_close(layer.to_dense()(x), expected)


@given(n=st.integers(1, 5), outs=st.integers(1, 3), ins=st.integers(1, 3), rank=st.integers(0, 6))
@settings(deadline=None, max_examples=30)
def test_linear_layers_take_any_leading_axes(n: int, outs: int, ins: int, rank: int) -> None:
    options = {"algebra_rank": rank, "path": "chain"} if rank else {}
    layer = perturbed(layers.PHLinear(n * ins, n * outs, n=n, dtype=torch.float64, **options))
    algebra = array(layer.structure())
    banks = array(layer.filters)
    if rank > n:
        algebra = np.einsum(
            "ir,ar,br->iab", *(array(p) for p in (layer.algebra_mix, layer.algebra_out, layer.algebra_in))
        )
    weight = torch.from_numpy(as_weight(kronecker_sum(algebra, banks, 1), False))
    own = dense(layer, weight)
    for shape in ((), (4,), (2, 3), (0,)):
        x = torch.randn(*shape, n * ins, dtype=torch.float64)
        torch.testing.assert_close(layer(x), own(x))


@pytest.mark.parametrize("build", [layers.PHConv2d, layers.PHConvTranspose2d])
def test_the_fixed_quaternion_layer_is_the_hamilton_product(build: Any) -> None:
    layer = build(8, 12, 1, algebra="quaternion", bias=False, dtype=torch.float64)
    x = torch.randn(1, 8, 3, 2, dtype=torch.float64)
    parts = [part[0].flatten(1) for part in x.split(2, dim=1)]
    w = [(f[:, :, 0, 0]) for f in layer.filters]
    p = [[weight @ part for part in parts] for weight in w]
    expected = torch.cat(
        [
            p[0][0] - p[1][1] - p[2][2] - p[3][3],
            p[0][1] + p[1][0] + p[2][3] - p[3][2],
            p[0][2] - p[1][3] + p[2][0] + p[3][1],
            p[0][3] + p[1][2] - p[2][1] + p[3][0],
        ]
    )
    torch.testing.assert_close(layer(x)[0].flatten(1), expected)
    assert set(dict(layer.named_parameters())) == {"filters"}


def test_the_fixed_complex_layer_multiplies_complex_numbers() -> None:
    layer = layers.PHLinear(6, 4, algebra="complex", bias=False, dtype=torch.float64)
    x = torch.randn(5, 6, dtype=torch.float64)
    y = torch.complex(x[:, :3], x[:, 3:]) @ torch.complex(layer.filters[0], layer.filters[1]).T
    torch.testing.assert_close(layer(x), torch.cat([y.real, y.imag], 1))


def test_a_learned_algebra_can_become_hamiltons() -> None:
    quaternion = layers.PHConv2d(8, 8, 3, algebra="quaternion")
    learned = layers.PHConv2d.from_dense(quaternion.to_dense(), n=4)
    torch.testing.assert_close(learned.weight, quaternion.weight, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("algebra", ["learned", "real", "complex", "quaternion"])
@pytest.mark.parametrize("groups", [1, 3])
def test_from_dense_finds_a_kernel_that_the_layer_can_have(algebra: str, groups: int) -> None:
    options = {"algebra": algebra, **({"n": 3} if algebra == "learned" else {})}
    one = layers.PHConv2d(12 * groups, 24 * groups, (3, 2), groups=groups, **options)
    again = layers.PHConv2d.from_dense(one.to_dense(), **options)
    torch.testing.assert_close(again.weight, one.weight, atol=1e-5, rtol=1e-4)


def test_from_dense_is_the_nearest_sum_of_products() -> None:
    own = nn.Conv2d(8, 8, 3)
    layer = layers.PHConv2d.from_dense(own, n=2)
    blocks = array(own.weight).reshape(2, 4, 2, 4, 9).transpose(0, 2, 1, 3, 4).reshape(4, -1)
    left_out = np.square(np.linalg.svd(blocks, compute_uv=False)[2:]).sum()
    error = (layer.weight - own.weight).detach().square().sum()
    assert float(error) == pytest.approx(left_out, rel=1e-4)
    torch.testing.assert_close(layer.bias, own.bias)


@pytest.mark.parametrize("rank", [2, 3, 6])
def test_a_ranked_algebra_starts_from_a_dense_kernel(rank: int) -> None:
    own = nn.Conv2d(12, 12, 3)
    layer = layers.PHConv2d.from_dense(own, n=3, algebra_rank=rank)
    share = 1 - float(
        (layer.weight - own.weight).detach().square().sum() / own.weight.detach().square().sum()
    )
    assert share > min(3, rank) / 9  # better than any rank of the 9 blocks taken at random


def test_n_1_is_torchs_own_layer() -> None:
    for kind, own in ((layers.PHConv2d, nn.Conv2d), (layers.PHConvTranspose2d, nn.ConvTranspose2d)):
        layer = kind(16, 24, 3, n=1)
        reference = own(16, 24, 3)
        with torch.no_grad():
            layer.filters.copy_(layer.geometry.from_torch(reference.weight).reshape(layer.filters.shape))
            layer.bias.copy_(reference.bias)
        x = torch.randn(2, 16, 9, 9)
        assert float((layer(x) - reference(x)).detach().norm() / reference(x).detach().norm()) < 1e-6


@pytest.mark.parametrize("n", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("rank", [None, 2, 12])
@pytest.mark.parametrize("transposed", [False, True])
def test_the_variance_at_the_start(n: int, groups: int, rank: int | None, transposed: bool) -> None:
    kind = layers.PHConvTranspose2d if transposed else layers.PHConv2d
    stride = 2 if transposed else 1
    layer = kind(
        96, 192, 4, stride=stride, groups=groups, n=n, algebra_rank=rank, nonlinearity="relu", path="kernel"
    )
    with torch.no_grad():
        y = layer(torch.randn(8, 96, 24, 24))
    inner = y[..., 4:-4, 4:-4]  # the border of a transposed convolution meets fewer inputs
    assert 0.85 < float(inner.square().mean()) / 2 < 1.15


def test_the_gain_is_that_of_the_nonlinearity() -> None:
    for name in ("linear", "relu", "tanh", "leaky_relu"):
        layer = layers.PHLinear(512, 512, n=4, nonlinearity=name)
        expected = nn.init.calculate_gain(name) ** 2 / 512
        assert float(layer.weight.detach().square().mean()) == pytest.approx(expected, rel=0.05)


def test_parameters_are_those_of_the_reference() -> None:
    counts = {n: sum(p.numel() for p in layers.PHConv2d(192, 192, 3, n=n).parameters()) for n in (2, 3, 4, 8)}
    assert counts == {2: 166_088, 3: 110_811, 4: 83_200, 8: 42_176}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"n": 4, "in_channels": 6}, ["n=4", "6 inputs", "n=1, 2"]),
        ({"n": 4, "out_channels": 9}, ["n=4", "9 outputs", "n=1"]),
        ({"n": 4, "groups": 4}, ["2 inputs", "each of 4 groups"]),
        ({"n": 0}, ["n=0"]),
        ({"n": 2, "algebra": "quaternion"}, ["n=2", "n=4"]),
        ({"algebra": "octonion"}, ["'octonion'", "quaternion"]),
        ({"groups": 3}, ["groups=3", "8 input"]),
        ({"algebra_rank": 0}, ["algebra_rank=0"]),
        ({"algebra_rank": 3, "algebra": "quaternion"}, ["algebra_rank=3"]),
        ({"nonlinearity": "wave"}, ["'wave'"]),
        ({"path": "chain"}, ["path='chain'"]),
        ({"path": "fast"}, ["path='fast'", "kernel"]),
        ({"padding_mode": "mirror"}, ["'mirror'", "reflect"]),
        ({"padding": "full"}, ["'full'"]),
        ({"padding": "same", "stride": 2}, ["(2, 2)"]),
        ({"padding": -1}, ["(-1, -1)"]),
        ({"kernel_size": (3, 3, 3)}, ["(3, 3, 3)", "2 axes"]),
        ({"stride": 0}, ["(0, 0)"]),
        ({"in_channels": 0}, ["in=0"]),
    ],
)
def test_what_cannot_be_is_refused_with_the_numbers(arguments: dict[str, Any], words: list[str]) -> None:
    given_sizes = {"in_channels": 8, "out_channels": 8, "kernel_size": 3} | arguments
    with pytest.raises(InvalidLayer) as caught:
        layers.PHConv2d(**given_sizes)
    assert isinstance(caught.value, ValueError)
    for word in words:
        assert word in str(caught.value)


def test_inputs_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InvalidLayer, match="6 channels, the layer takes 8"):
        layers.PHConv2d(8, 8, 3)(torch.zeros(1, 6, 5, 5))
    with pytest.raises(InvalidLayer, match="shape"):
        layers.PHConv2d(8, 8, 3)(torch.zeros(8, 5))
    with pytest.raises(InvalidLayer, match="6 features, the layer takes 8"):
        layers.PHLinear(8, 8)(torch.zeros(1, 6))
    with pytest.raises(InvalidLayer, match="transposed"):
        layers.PHConv2d(8, 8, 3)(torch.zeros(1, 8, 5, 5), output_size=(3, 3))


@pytest.mark.parametrize("options", [{}, {"algebra_rank": 3, "path": "chain"}])
def test_output_size_of_transposed_layers(options: dict[str, Any]) -> None:
    layer = layers.PHConvTranspose2d(8, 8, 3, stride=2, padding=1, **options)
    own = layer.to_dense()
    x = torch.randn(1, 8, 5, 5)
    for size in ((9, 10), (10, 9), (1, 8, 10, 10)):
        torch.testing.assert_close(layer(x, size), own(x, list(size)), atol=1e-5, rtol=1e-5)
    with pytest.raises(InvalidLayer, match=r"between \(9, 9\) and \(10, 10\)"):
        layer(x, (11, 9))
    with pytest.raises(InvalidLayer, match="output_size"):
        layer(x, (9,))


def test_the_border_of_channels_and_taps_has_its_fan_in() -> None:
    assert layers.PHConv2d(8, 8, (3, 5), groups=2, n=2).geometry.fan_in == 4 * 15
    assert layers.PHConvTranspose2d(8, 8, (4, 4), stride=2, n=2).geometry.fan_in == 8 * 4
    assert math.isclose(layers.PHConvTranspose1d(8, 8, 3, stride=2, n=2).geometry.fan_in, 12)
