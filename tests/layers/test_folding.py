"""The kernel kept in evaluation is always that of the parameters; paths agree; layers are good modules."""

import copy
import io
import pickle
from typing import Any

import pytest

torch = pytest.importorskip(
    "torch", reason="neuralcodec.layers needs torch: pip install 'neuralcodec[torch]'"
)

from torch import nn

from neuralcodec import layers
from neuralcodec.layers import timing

MAKERS = {
    "learned": lambda **o: layers.PHConv2d(8, 8, 3, n=4, **o),
    "quaternion": lambda **o: layers.PHConv2d(8, 8, 3, algebra="quaternion", **o),
    "ranked": lambda **o: layers.PHConv2d(8, 8, 3, n=2, algebra_rank=3, **o),
    "transposed": lambda **o: layers.PHConvTranspose2d(8, 8, 3, n=2, **o),
    "tucker": lambda **o: layers.TensorConv2d(8, 8, 3, rank=0.6, **o),
    "cp": lambda **o: layers.TensorConv2d(8, 8, 3, format="cp", rank=5, **o),
    "separable": lambda **o: layers.TensorConv2d(8, 8, 3, format="separable", rank=1, **o),
    "linear": lambda **o: layers.TensorLinear(8, 8, format="cp", rank=3, **o),
}
every = pytest.mark.parametrize("name", MAKERS)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def input_for(layer: Any) -> Any:
    place = next(layer.parameters())
    shape = (2, 8, 6, 6) if layer.geometry.axes else (2, 8)
    return torch.randn(*shape, dtype=place.dtype, device=place.device)


def check(layer: Any) -> None:
    """In evaluation, again and again, the layer is what its parameters say."""
    x = input_for(layer)
    with torch.no_grad():
        expected = layer.geometry.apply(x, layer.weight, layer.bias)
        for _ in range(2):
            torch.testing.assert_close(layer(x), expected)


def steps(layer: Any) -> None:
    optimiser = torch.optim.SGD(layer.parameters(), lr=0.1, momentum=0.9)
    layer(input_for(layer)).square().mean().backward()
    optimiser.step()


def loads(layer: Any) -> None:
    layer.load_state_dict({name: torch.randn_like(value) for name, value in layer.state_dict().items()})


def assigns(layer: Any) -> None:
    layer.load_state_dict(
        {name: torch.randn_like(value) for name, value in layer.state_dict().items()}, assign=True
    )


def writes_data(layer: Any) -> None:
    for parameter in layer.parameters():
        parameter.data.mul_(1.5)


def writes_memory(layer: Any) -> None:
    for parameter in layer.parameters():
        parameter.detach().numpy()[...] *= 1.5


def replaces(layer: Any) -> None:
    for name, parameter in list(layer.named_parameters()):
        setattr(layer, name, nn.Parameter(torch.randn_like(parameter)))


def from_vector(layer: Any) -> None:
    count = sum(parameter.numel() for parameter in layer.parameters())
    nn.utils.vector_to_parameters(torch.randn(count), layer.parameters())


CHANGES = [
    steps,
    loads,
    assigns,
    writes_data,
    writes_memory,
    replaces,
    lambda layer: layer.to(torch.float64),
    lambda layer: layer.double().float(),
    lambda layer: layer.reset_parameters(),
    from_vector,
    lambda layer: layer.half().float(),
]


@every
@pytest.mark.parametrize("change", CHANGES)
def test_the_kept_kernel_follows_the_parameters(name: str, change: Any) -> None:
    layer = MAKERS[name](path="kernel").eval()
    check(layer)
    change(layer)
    check(layer)
    change(layer)
    layer.train().eval()
    check(layer)


@every
def test_the_kernel_is_kept(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = MAKERS[name](path="kernel").eval()
    x = input_for(layer)
    built = []
    build = layer.build
    monkeypatch.setattr(layer, "build", lambda: built.append(1) or build())
    with torch.no_grad():
        for _ in range(3):
            layer(x)
    assert len(built) == 1
    layer(x)  # gradients must reach the parameters
    layer.train()
    with torch.no_grad():
        layer(x)
    assert len(built) == 3


@every
def test_gradients_in_evaluation(name: str) -> None:
    layer = MAKERS[name](path="kernel").eval()
    x = input_for(layer)
    with torch.no_grad():
        layer(x)
    layer(x).square().sum().backward()
    assert all(p.grad is not None for p in layer.parameters())
    layer.requires_grad_(False)
    x.requires_grad_()
    layer(x).square().sum().backward()
    assert x.grad is not None


@every
def test_inference_mode_and_autocast_leave_no_trace(name: str) -> None:
    layer = MAKERS[name](path="kernel").eval().requires_grad_(False)
    x = input_for(layer)
    with torch.inference_mode():
        layer(x)
    y = x.clone().requires_grad_()
    layer(y).sum().backward()
    layer.train().eval()
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16
    check(layer)


@every
def test_copies_are_apart(name: str) -> None:
    layer = MAKERS[name]().eval()
    check(layer)
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        torch.testing.assert_close(other.weight, layer.weight)
        before = layer.weight.clone()
        writes_data(other)
        check(other)
        torch.testing.assert_close(layer.weight, before)
        check(layer)


@every
def test_state_dicts_go_round(name: str) -> None:
    layer, other = MAKERS[name](), MAKERS[name]()
    assert not torch.equal(layer.weight, other.weight)
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    torch.testing.assert_close(other.weight, layer.weight, rtol=0, atol=0)
    assert set(layer.state_dict()) == set(dict(layer.named_parameters()))


@every
def test_the_paths_agree_and_the_choice_is_remembered(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "_choices", {})
    layer = MAKERS[name]()
    x = input_for(layer)
    if layer.chain_operations(1, 1) is None:
        layer(x)
        assert not timing._choices
        return
    outputs = {}
    for path in ("kernel", "chain"):
        layer.path = path
        outputs[path] = layer(x)
    torch.testing.assert_close(outputs["chain"], outputs["kernel"], atol=1e-5, rtol=1e-4)
    layer.path = "auto"
    torch.testing.assert_close(layer(x), outputs["kernel"], atol=1e-5, rtol=1e-4)
    assert all(p.grad is None for p in layer.parameters())
    known = dict(timing._choices)
    assert len(known) <= 1
    layer(input_for(layer))
    assert timing._choices == known
    assert set(known.values()) <= {"chain", "kernel"}


def test_the_faster_path_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    for slow in ("kernel", "chain"):
        monkeypatch.setattr(timing, "_choices", {})
        monkeypatch.setattr(
            timing,
            "_seconds",
            lambda job, *_, slow=slow: float(("chain" in job.__name__) == (slow == "chain")),
        )
        layer = layers.TensorConv2d(8, 8, 3)
        assert layer._chooses_chain(torch.randn(1, 8, 5, 5)) == (slow == "kernel")


@every
def test_measuring_changes_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "_choices", {})
    layer = MAKERS[name]()
    state = {key: value.clone() for key, value in layer.state_dict().items()}
    x = input_for(layer).requires_grad_()
    random = torch.get_rng_state()
    y = layer(x)
    assert torch.equal(random, torch.get_rng_state())
    assert x.grad is None
    y.sum().backward()
    assert all(torch.equal(state[key], value) for key, value in layer.state_dict().items())


@every
@pytest.mark.parametrize("evaluation", [False, True])
def test_layers_export_and_transform(name: str, evaluation: bool) -> None:
    layer = MAKERS[name]().train(not evaluation)
    x = input_for(layer)
    expected = layer(x)
    exported = torch.export.export(layer, (x,)).module()
    torch.testing.assert_close(exported(x), expected, atol=1e-5, rtol=1e-4)
    parameters = {key: value.detach() for key, value in layer.named_parameters()}

    def loss(values: dict[str, Any]) -> Any:
        return torch.func.functional_call(layer, values, (x,)).square().sum()

    gradients = torch.func.grad(loss)(parameters)
    layer(x).square().sum().backward()
    for key, parameter in layer.named_parameters():
        torch.testing.assert_close(gradients[key], parameter.grad, atol=1e-3, rtol=1e-3)


@every
def test_layers_are_made_on_the_meta_device(name: str) -> None:
    layer = MAKERS[name](device="meta")
    assert layer(torch.empty(2, *((8, 6, 6) if layer.geometry.axes else (8,)), device="meta")).is_meta
    layer = layer.to_empty(device="cpu")
    layer.reset_parameters()
    check(layer.eval())


@every
def test_other_precisions(name: str) -> None:
    for dtype in (torch.float64, torch.bfloat16):
        layer = MAKERS[name](dtype=dtype)
        y = layer(input_for(layer))
        assert y.dtype == dtype
        y.float().sum().backward()
        expected = layer.float()(input_for(layer))
        assert torch.isfinite(expected).all()


@every
def test_networks_change_to_channels_last(name: str) -> None:
    layer = MAKERS[name]()
    x = input_for(layer)
    before = layer(x).detach()
    network = nn.Sequential(layer).to(memory_format=torch.channels_last)
    if layer.geometry.axes:
        x = x.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(network(x), before)
    with pytest.raises(RuntimeError, match="channels_last"):  # but what torch refuses of others stays refused
        layer._apply(lambda t: t[None].to(memory_format=torch.channels_last))


def test_to_dense_is_torchs_own() -> None:
    layer = MAKERS["learned"]().eval().requires_grad_(False)
    own = layer.to_dense()
    assert type(own) is nn.Conv2d
    assert not own.training
    assert not own.weight.requires_grad
    assert "n=4" in repr(layer)
    assert "tucker" in repr(MAKERS["tucker"]())
