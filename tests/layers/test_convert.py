"""Whole networks become compact, and torch's own again."""

import copy
from typing import Any

import pytest

torch = pytest.importorskip(
    "torch", reason="neuralcodec.layers needs torch: pip install 'neuralcodec[torch]'"
)

from torch import nn
from torch.nn.utils import parametrizations

from neuralcodec import (
    compress_weights,
    layers,
)
from neuralcodec.errors import InvalidLayer
from neuralcodec.layers import Hypercomplex, Tensorized, compact, fold


class Block(nn.Module):
    """A residual block, with a convolution that is used twice."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)

    def forward(self, x: Any) -> Any:
        return x + self.conv2(self.norm(self.conv1(x)).relu())


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        Block(16),
        Block(16),
        nn.ConvTranspose2d(16, 16, 2, stride=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 10),
    )


def example() -> Any:
    return torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))


SPECS: list[Any] = [
    Hypercomplex(n=4),
    Hypercomplex(n=2, algebra_rank=2),
    Tensorized("tucker", 0.5),
    {"0": None, "?.conv1": Tensorized("cp", 8), "?.conv2": Tensorized("separable", 1), "*": Hypercomplex(2)},
]


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("trained", [False, True])
def test_a_network_becomes_compact_and_torchs_own_again(spec: Any, trained: bool) -> None:
    model = network()
    before = [type(module) for module in model.modules()]
    report = compact(model, spec, trained=trained, example=example())
    assert report.before.parameters == sum(p.numel() for p in network().parameters())
    assert report.after.parameters == sum(p.numel() for p in model.parameters())
    assert report.after.parameters < report.before.parameters
    assert report.after.coded_bytes < report.before.coded_bytes < report.before.bytes
    assert report.after.flops is not None
    assert report.before.flops is not None
    assert report.after.flops <= report.before.flops
    assert model.training
    model.eval()
    folded = fold(model)
    assert [type(module) for module in folded.modules()] == before
    with torch.no_grad():
        torch.testing.assert_close(folded(example()), model(example()), atol=1e-5, rtol=1e-4)
    exported = torch.export.export(folded, (example(),)).module()
    torch.testing.assert_close(exported(example()), folded(example()), atol=1e-5, rtol=1e-4)
    assert any(isinstance(module, layers.CompactLayer) for module in model.modules())
    assert fold(model, inplace=True) is model
    assert [type(module) for module in model.modules()] == before


def test_full_rank_from_trained_weights_is_the_same_network() -> None:
    model = network().eval()
    with torch.no_grad():
        expected = model(example())
        compact(model, Tensorized(rank="full"), trained=True)
        torch.testing.assert_close(model(example()), expected, atol=1e-5, rtol=1e-4)
        reference = network().eval()
        compact(reference, {"*": None})
        torch.testing.assert_close(reference(example()), expected)


def test_layers_that_cannot_change_stay_with_a_reason() -> None:
    model = network()
    report = compact(model, Hypercomplex(n=4))
    stayed = {change.name: change.reason for change in report.changes if change.after is None}
    assert set(stayed) == {"0", "6"}
    assert "n=4 does not divide 3 inputs" in str(stayed["0"])
    assert "10 outputs" in str(report)
    with pytest.raises(InvalidLayer, match=r"^0: n=4 does not divide 3 inputs"):
        compact(network(), Hypercomplex(n=4), strict=True)


def test_nothing_changes_if_it_fails() -> None:
    model = network()
    with pytest.raises(InvalidLayer):
        compact(model, {"1.*": Hypercomplex(n=4), "*": Hypercomplex(n=4)}, strict=True)
    assert not any(isinstance(module, layers.CompactLayer) for module in model.modules())


def test_the_first_pattern_decides_and_every_pattern_must_match() -> None:
    model = network()
    compact(model, {"1.conv1": None, "1.*": Hypercomplex(n=2), "*.conv?": Tensorized()})
    kinds = [type(model.get_submodule(name)).__name__ for name in ("1.conv1", "1.conv2", "2.conv1", "0")]
    assert kinds == ["Conv2d", "PHConv2d", "TensorConv2d", "Conv2d"]
    with pytest.raises(InvalidLayer, match=r"'3\.conv1' matches no layer; the layers are 0, 1\.conv1"):
        compact(network(), {"3.conv1": Hypercomplex()})
    with pytest.raises(InvalidLayer, match="itself a Linear"):
        compact(nn.Linear(4, 4), Hypercomplex())


def test_a_layer_that_is_used_twice_stays_one() -> None:
    shared = nn.Linear(8, 8)
    model = nn.Sequential(shared, nn.ReLU(), shared)
    report = compact(model, {"2": Hypercomplex(n=2)})
    assert model[0] is model[2]
    assert isinstance(model[0], layers.PHLinear)
    assert len(report.changes) == 1
    folded = fold(model)
    assert folded[0] is folded[2]
    assert type(folded[0]) is nn.Linear
    x = torch.randn(3, 8)
    torch.testing.assert_close(folded(x), model(x))


def test_ties_hooks_and_derived_layers_are_left_alone() -> None:
    class Own(nn.Linear):
        pass

    tied = nn.Linear(8, 8)
    tied.weight = (table := nn.Embedding(8, 8)).weight
    hooked = nn.Linear(8, 8)
    hooked.register_forward_hook(lambda *_: None)
    weighted = parametrizations.weight_norm(nn.Linear(8, 8))
    model = nn.ModuleDict({"a": Own(8, 8), "b": tied, "c": table, "d": hooked, "e": weighted})
    model["f"] = nn.MultiheadAttention(8, 2)
    before = copy.deepcopy(list(map(type, model.modules())))
    report = compact(model, Hypercomplex(n=2))
    assert [type(module) for module in model.modules()] == before
    reasons = {change.name: str(change.reason) for change in report.changes}
    for name, word in {
        "a": "Own",
        "b": "uses its",
        "d": "hooks",
        "e": "Parametrized",
        "f.out_proj": "Non",
    }.items():
        assert word in reasons[name]


def test_dtype_device_mode_and_freezing_are_kept() -> None:
    layer = nn.Conv2d(8, 8, 3, dtype=torch.float64).requires_grad_(False).eval()
    model = nn.Sequential(layer)
    compact(model, Hypercomplex(n=2), trained=True)
    assert model[0].filters.dtype == torch.float64
    assert not any(p.requires_grad for p in model.parameters())
    assert not model[0].training


def test_transformer_layers_work_with_compact_linear_layers() -> None:
    torch.manual_seed(0)
    model = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True).eval()
    compact(model, {"linear?": Hypercomplex(n=4)}, trained=True)
    x = torch.randn(2, 5, 16)
    with torch.no_grad():
        fast = model(x)
        torch.testing.assert_close(fast, fold(model)(x), atol=1e-5, rtol=1e-4)


def test_flops_are_those_of_the_formula() -> None:
    model = nn.Sequential(nn.Conv2d(16, 32, 3, padding=1, bias=False))
    spec = Tensorized("tucker", (8, 4), path="chain")
    report = compact(model, spec, example=torch.randn(1, 16, 10, 10))
    assert report.before.flops == 2 * 100 * 16 * 32 * 9
    assert report.after.flops == 2 * 100 * (16 * 4 + 4 * 8 * 9 + 8 * 32)


def test_expected_bytes_of_gaussian_values_are_their_entropy() -> None:
    model = nn.Sequential(nn.Linear(500, 500, bias=False))
    nn.init.normal_(model[0].weight)
    size = layers.report.measured(model)
    bits = 8 * size.coded_bytes / 250_000
    # h(X) - log2(step), at a step for 35 dB
    expected = 0.5 * (
        torch.log2(torch.tensor(2 * torch.pi * torch.e / 12)) + 3.5 * torch.log2(torch.tensor(10.0))
    )
    assert bits == pytest.approx(float(expected), abs=0.02)
    assert size.bytes == 10**6


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")  # of the exporter itself
def test_a_folded_network_goes_to_onnx() -> None:
    onnx = pytest.importorskip("onnx", reason="needs onnx and onnxscript")
    pytest.importorskip("onnxscript", reason="needs onnx and onnxscript")
    from onnx.reference import ReferenceEvaluator

    made = network().eval()
    compact(made, {"0": None, "*": Hypercomplex(n=2)})
    folded = fold(made)
    program = torch.onnx.export(folded, (example(),), dynamo=True, verbose=False)
    onnx.checker.check_model(program.model_proto)
    (found,) = ReferenceEvaluator(program.model_proto).run(
        None, {program.model_proto.graph.input[0].name: example().numpy()}
    )
    torch.testing.assert_close(torch.from_numpy(found), folded(example()), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("spec", [None, *SPECS[:3], Tensorized("cp", 8)])
def test_expected_bytes_are_near_those_of_a_file(spec: Any) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(*(nn.Linear(128, 128, bias=False) for _ in range(3)))
    report = compact(model, spec)
    size = len(compress_weights(model.state_dict(), sqnr=35))
    assert 0.9 < report.after.coded_bytes / size < 1.1
