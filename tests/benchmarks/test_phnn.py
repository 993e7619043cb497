"""The hypercomplex network for inference is the one that was trained."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install 'neuralcodec[torch]'")
pytest.importorskip("tensorly", reason="compact layers need the extra torch")

from torch import nn

SOURCE = Path(__file__).parents[2] / "benchmarks" / "phnn" / "network.py"
spec = importlib.util.spec_from_file_location("phnn_network", SOURCE)
assert spec is not None
assert spec.loader is not None
module: Any = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)


@pytest.mark.parametrize("n", [1, 4])
def test_scales_and_shifts_are_the_norms(n: int) -> None:
    torch.manual_seed(0)
    model, _ = module.network(n, 12, 1)
    for child in model.modules():
        if isinstance(child, nn.BatchNorm2d):
            for value, least in (
                (child.weight, -1),
                (child.bias, -1),
                (child.running_mean, -1),
                (child.running_var, 0.1),
            ):
                value.data.uniform_(least, 2)
    x = torch.randn(4, 1, 28, 28)
    made = module.for_inference(model)
    assert not any(isinstance(child, nn.BatchNorm2d) for child in made.modules())
    assert not any("running" in name or "tracked" in name for name in made.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(made(x), model.eval()(x), atol=1e-4, rtol=1e-4)
