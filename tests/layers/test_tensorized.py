"""Tensor formats against sums by definition, and torch's own layers."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip(
    "torch", reason="neuralcodec.layers needs torch: pip install 'neuralcodec[torch]'"
)

from explicit_kernels import array, as_weight, conv_sizes, dense, perturbed, random_input
from torch import nn

from neuralcodec import layers
from neuralcodec.errors import InvalidLayer

# of torch's own layers, which ours are compared with
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
CONVS = {1: layers.TensorConv1d, 2: layers.TensorConv2d, 3: layers.TensorConv3d}
AXES = "xyz"
every_format = pytest.mark.parametrize("format", ["tucker", "tucker-full", "cp", "separable"])


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def by_definition(layer: Any) -> Any:
    """The kernel `(groups, outputs, inputs, *taps)` of a layer as the sum that its format stands for."""
    kernel, groups = layer.geometry.kernel, layer.geometry.groups
    factors = {name: array(value) for name, value in layer.named_parameters() if name != "bias"}
    taps = AXES[: len(kernel)]
    if layer.format.name == "tucker":
        spec = f"gop,gpq{taps},gqi->goi{taps}"
        return np.einsum(spec, factors["factor_out"], factors["core"], factors["factor_in"])
    if layer.format.name == "tucker-full":
        spatial = [factors[f"factor_{axis}"] for axis in range(len(kernel))]
        small = taps.upper()
        each = "".join(f",g{a}{b}" for a, b in zip(taps, small, strict=True))
        spec = f"gop,gpq{small},gqi{each}->goi{taps}"
        return np.einsum(spec, factors["factor_out"], factors["core"], factors["factor_in"], *spatial)
    if layer.format.name == "cp":
        rank = layer.ranks[0]
        spatial = [factors.get(f"factor_{axis}", np.ones((groups, rank, 1))) for axis in range(len(kernel))]
        spec = f"gor,gri{''.join(f',gr{a}' for a in taps)}->goi{taps}"
        return np.einsum(spec, factors["factor_out"], factors["factor_in"], *spatial)
    ones = np.ones((layer.ranks[0], *layer.geometry.grouped[:3], 1))
    spatial = [factors.get(f"factor_{axis}", ones) for axis in range(len(kernel))]
    return np.einsum(f"{','.join(f'rgoi{a}' for a in taps)}->goi{taps}", *spatial)


def made(kind: Any, sizes: dict[str, Any], path: str, **options: Any) -> Any:
    """The layer, or None where its format has nothing to offer, which it must say."""
    if options["format"] == "separable":
        if sum(size > 1 for size in sizes["kernel_size"]) < 2:
            with pytest.raises(InvalidLayer, match="no two axes"):
                kind(**sizes, path=path, **options)
            return None
        path = path if sizes["in_channels"] == sizes["groups"] else "kernel"
    return kind(**sizes, path=path, dtype=torch.float64, **options)


def compare(layer: Any, x: Any) -> None:
    """Either path does, forward and backward, what torch's own layer with the kernel by definition does."""
    weight = torch.from_numpy(as_weight(by_definition(layer), layer.geometry.transposed))
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


@every_format
@pytest.mark.parametrize("axes", [1, 2, 3])
@given(st.data())
@settings(deadline=None, max_examples=15)
def test_convolutions_are_those_of_the_sum(axes: int, format: str, data: st.DataObject) -> None:
    sizes = data.draw(conv_sizes(axes))
    path = data.draw(st.sampled_from(["chain", "kernel"]))
    layer = made(CONVS[axes], sizes, path, format=format, rank=data.draw(st.integers(1, 4)))
    if layer is not None:
        compare(perturbed(layer), random_input(sizes, axes))


@every_format
@given(st.data())
@settings(deadline=None, max_examples=20)
def test_transposed_convolutions_are_those_of_the_sum(format: str, data: st.DataObject) -> None:
    sizes = data.draw(conv_sizes(2, transposed=True))
    path = data.draw(st.sampled_from(["chain", "kernel"]))
    layer = made(layers.TensorConvTranspose2d, sizes, path, format=format, rank=data.draw(st.integers(1, 4)))
    if layer is not None:
        compare(perturbed(layer), random_input(sizes, 2))


@pytest.mark.parametrize("format", ["separable", "cp"])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("kernel", [(5, 7), (9, 9), (1, 3), (3, 1)])
def test_depthwise_layers_have_chains(format: str, transposed: bool, kernel: tuple[int, int]) -> None:
    kind = layers.TensorConvTranspose2d if transposed else layers.TensorConv2d
    sizes = {"in_channels": 4, "out_channels": 8, "kernel_size": kernel, "groups": 4, "stride": (2, 1)}
    if transposed:
        sizes["output_padding"] = (1, 0)
    layer = made(kind, sizes, "chain", format=format, rank=2)
    if layer is not None:
        assert layer.path == "chain"
        compare(perturbed(layer), torch.randn(2, 4, 11, 10, dtype=torch.float64))


@every_format
@pytest.mark.parametrize("path", ["chain", "kernel"])
@given(outs=st.integers(1, 12), ins=st.integers(1, 12), rank=st.integers(1, 5))
@settings(deadline=None, max_examples=10)
def test_linear_layers_take_any_leading_axes(format: str, path: str, outs: int, ins: int, rank: int) -> None:
    layer = perturbed(
        layers.TensorLinear(ins, outs, format=format, rank=rank, path=path, dtype=torch.float64)
    )
    if format == "separable":
        pairs = zip(array(layer.factor_0), array(layer.factor_1), strict=True)
        weight = sum(np.kron(a, b) for a, b in pairs)
    else:
        weight = by_definition(layer)[0]
    own = dense(layer, torch.from_numpy(np.asarray(weight)))
    for shape in ((), (4,), (2, 3), (0,)):
        x = torch.randn(*shape, ins, dtype=torch.float64)
        torch.testing.assert_close(layer(x), own(x))


@every_format
@pytest.mark.parametrize(
    "own",
    [
        lambda: nn.Conv2d(12, 20, 3, stride=2, padding=1),
        lambda: nn.Conv2d(12, 8, (5, 3), groups=2, padding_mode="circular", padding=1),
        lambda: nn.Conv3d(4, 6, 3),
        lambda: nn.Conv1d(6, 9, 4),
        lambda: nn.ConvTranspose2d(6, 9, 4, stride=2),
        lambda: nn.Linear(24, 15),
    ],
)
@pytest.mark.parametrize("path", ["chain", "kernel"])
def test_full_rank_is_dense(format: str, own: Any, path: str) -> None:
    dense_layer = own()
    kind = getattr(layers, f"Tensor{type(dense_layer).__name__}")
    if format == "separable" and not isinstance(dense_layer, nn.Linear):
        if len(dense_layer.kernel_size) == 1:
            pytest.skip("one axis has nothing to separate")
        path = "kernel"
    layer = kind.from_dense(dense_layer, format=format, rank="full", path=path)
    x = (
        torch.randn(3, 24)
        if isinstance(dense_layer, nn.Linear)
        else torch.randn(2, dense_layer.in_channels, *[7] * len(dense_layer.kernel_size))
    )
    with torch.no_grad():
        error = (layer(x) - dense_layer(x)).norm() / dense_layer(x).norm()
    assert float(error) < 1e-5


@every_format
@pytest.mark.parametrize("fraction", [0.7, 0.9])
def test_a_fraction_bounds_the_parameters(format: str, fraction: float) -> None:
    for sizes in ((32, 32, 3), (40, 16, 5), (30, 20, (3, 5))):
        layer = layers.TensorConv2d(*sizes, format=format, rank=fraction, bias=False)
        count, full = sum(p.numel() for p in layer.parameters()), layer.weight.numel()
        assert (0.5 if format == "separable" else 0.75) * fraction * full < count <= fraction * full


@every_format
@pytest.mark.parametrize("energy", [0.3, 0.9, 1.0])
def test_an_energy_is_kept(format: str, energy: float) -> None:
    own = nn.Conv2d(12, 16, 3)
    layer = layers.TensorConv2d.from_dense(own, format=format, energy=energy)
    with torch.no_grad():
        left = (layer.weight - own.weight).square().sum() / own.weight.square().sum()
    assert float(left) <= 1 - energy + 1e-6
    if energy < 0.5:
        assert sum(p.numel() for p in layer.parameters()) < sum(p.numel() for p in own.parameters()) * 1.1


@pytest.mark.parametrize("format", ["tucker", "tucker-full", "cp"])
def test_a_kernel_of_low_rank_is_found(format: str) -> None:
    torch.manual_seed(1)
    one = layers.TensorConv2d(16, 12, 3, format=format, rank=4)
    again = layers.TensorConv2d.from_dense(one.to_dense(), format=format, rank=4)
    with torch.no_grad():
        left = (again.weight - one.weight).norm() / one.weight.norm()
    assert float(left) < (0.05 if format == "cp" else 1e-5)


@every_format
@pytest.mark.parametrize(
    "sizes",
    [
        {"in_channels": 64, "out_channels": 128, "kernel_size": 3},
        {"in_channels": 128, "out_channels": 48, "kernel_size": (5, 3), "groups": 2},
        {"in_channels": 48, "out_channels": 48, "kernel_size": 3, "dilation": 2, "stride": 2},
    ],
)
def test_the_variance_at_the_start(format: str, sizes: dict[str, Any]) -> None:
    for nonlinearity, gain in (("linear", 1.0), ("relu", 2**0.5)):
        layer = layers.TensorConv2d(
            **sizes, format=format, rank=0.7, nonlinearity=nonlinearity, path="kernel"
        )
        with torch.no_grad():
            y = layer(torch.randn(16, sizes["in_channels"], 20, 20))
        assert 0.85 < float(y.square().mean()) / gain**2 < 1.15


def test_the_variance_of_linear_and_transposed_layers() -> None:
    for format in ("tucker", "cp", "separable"):
        layer = layers.TensorLinear(256, 192, format=format, rank=0.3, path="kernel")
        with torch.no_grad():
            assert 0.85 < float(layer(torch.randn(2000, 256)).square().mean()) < 1.15
    layer = layers.TensorConvTranspose2d(64, 96, 4, stride=2, rank=0.3, path="kernel")
    with torch.no_grad():
        y = layer(torch.randn(8, 64, 24, 24))[..., 4:-4, 4:-4]
    assert 0.85 < float(y.square().mean()) < 1.15


def test_every_factor_can_learn() -> None:
    for format in ("tucker", "tucker-full", "cp", "separable"):
        for rank in (1, 3, "full"):
            layer = layers.TensorConv2d(8, 8, 3, format=format, rank=rank)
            layer(torch.randn(2, 8, 6, 6)).square().sum().backward()
            for name, parameter in layer.named_parameters():
                assert parameter.grad is not None, name
                assert float(parameter.grad.abs().sum()) > 0, (format, rank, name)


def test_terms_beyond_what_is_exact_are_alive() -> None:
    layer = layers.TensorConv2d.from_dense(nn.Conv2d(2, 3, 2), format="cp", rank=8)
    assert layer.ranks == (8,)
    learned = layers.PHConv2d.from_dense(nn.Conv2d(2, 2, 1, bias=False), n=2, algebra_rank=6)
    learned(torch.randn(2, 2, 3, 3)).square().sum().backward()
    gradients = torch.cat([p.grad.flatten() for p in learned.parameters()])
    assert torch.isfinite(gradients).all()
    assert float(gradients.abs().sum()) > 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"format": "train"}, ["'train'", "tucker"]),
        ({"rank": 0}, ["rank=0"]),
        ({"rank": 0.0}, ["rank=0.0"]),
        ({"rank": -0.5}, ["-0.5"]),
        ({"rank": float("nan")}, ["nan"]),
        ({"rank": 1e-4}, ["allows 0 of", "576", "least", "25"]),
        ({"rank": (2, 3, 4)}, ["(2, 3, 4)", "3 numbers", "takes 2"]),
        ({"rank": "half"}, ["'half'", "full"]),
        ({"energy": 0.9}, ["energy=0.9", "from_dense"]),
        ({"format": "separable", "kernel_size": (3, 1)}, ["(3, 1)", "no two axes"]),
        ({"format": "separable", "rank": 0.25}, ["0.25", "384", "576"]),
        ({"format": "separable", "path": "chain", "rank": 1}, ["no chain"]),
        ({"nonlinearity": "wave"}, ["'wave'"]),
    ],
)
def test_what_cannot_be_is_refused_with_the_numbers(options: dict[str, Any], words: list[str]) -> None:
    given_sizes = {"in_channels": 8, "out_channels": 8, "kernel_size": 3} | options
    with pytest.raises(InvalidLayer) as caught:
        layers.TensorConv2d(**given_sizes)
    for word in words:
        assert word in str(caught.value)


def test_tensorlys_own_backend_does_not_matter() -> None:
    import tensorly

    before = tensorly.get_backend()
    tensorly.set_backend("pytorch")
    try:
        layers.TensorConv2d.from_dense(nn.Conv2d(8, 8, 3), rank=4)
        assert tensorly.get_backend() == "pytorch"
    finally:
        tensorly.set_backend(before)


def test_decompositions_are_as_good_as_tensorlys() -> None:
    from tensorly import cp_to_tensor
    from tensorly.decomposition import parafac, partial_tucker

    own = nn.Conv2d(12, 10, 3)
    kernel = array(own.weight)
    (core, factors), _ = partial_tucker(kernel, [4, 5], modes=[0, 1])
    theirs = {"tucker": np.einsum("pqxy,op,iq->oixy", core, *factors) - kernel}
    theirs["cp"] = cp_to_tensor(parafac(kernel, 12, init="random", random_state=0)) - kernel
    for format, rank in (("tucker", (4, 5)), ("cp", 12)):
        layer = layers.TensorConv2d.from_dense(own, format=format, rank=rank)
        left = np.square(array(layer.weight) - kernel).sum()
        assert left <= 1.03 * np.square(theirs[format]).sum()


def test_energy_and_rank_together_are_refused() -> None:
    for options, words in (({"energy": 0.5, "rank": 2}, "one of the two"), ({"energy": 1.5}, "1.5")):
        with pytest.raises(InvalidLayer, match=words):
            layers.TensorConv2d.from_dense(nn.Conv2d(4, 4, 3), **options)
    with pytest.raises(InvalidLayer, match="Conv2d, not of Conv1d"):
        layers.TensorConv2d.from_dense(nn.Conv1d(4, 4, 3))
