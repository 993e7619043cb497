"""Files of compact networks, steps chosen by the error of the built kernels, against one step for all factors.

    python benchmarks/weights_factors.py [--rounds 12]

The convolutions of a trained network take each format, from its weights; both files reach the same signal-to-noise
ratio of the kernels that are built from what they decode to, together with the plain matrices.
"""

import argparse
import math
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from common import write_result
from torch import Tensor, nn

from neuralcodec import compress_weights, decompress_weights
from neuralcodec.layers import CompactLayer, Hypercomplex, Tensorized, compact
from neuralcodec.weights.sources import open_weights

NAME = "weights/resnet56_cifar100.safetensors"
RATIOS = (20, 30, 40)
CHOICES: dict[str, Any] = {
    "hypercomplex, n=4": Hypercomplex(4),
    "hypercomplex, n=4, rank 4": Hypercomplex(4, algebra_rank=4),
    "Tucker, 25%": Tensorized("tucker", 0.25),
    "full Tucker, 25%": Tensorized("tucker-full", 0.25),
    "CP, 25%": Tensorized("cp", 0.25),
    "separable, one product": Tensorized("separable", 1),
}


def convolutions(path: Path) -> nn.ModuleDict:
    """The 3 x 3 convolutions of 64 channels of the network, a dozen, as plain layers."""
    layers = nn.ModuleDict()
    with open_weights(path) as source:
        for number, spec in enumerate(source.specs):
            if spec.shape == (64, 64, 3, 3) and len(layers) < 12:
                layer = nn.Conv2d(64, 64, 3, bias=False)
                values = torch.from_numpy(source.read(number).view("<f4").copy()).view(spec.shape)
                layer.weight = nn.Parameter(values, requires_grad=False)
                layers[spec.name.replace(".", "_")] = layer
    return layers


def kernels(model: nn.Module) -> Tensor:
    """All kernels, end to end, in double precision."""
    made = [layer.double().weight for layer in model.modules() if isinstance(layer, CompactLayer)]
    return torch.cat([one.detach().flatten() for one in made])


def built_ratio(model: nn.Module, state: Mapping[str, Tensor], data: bytes) -> float:
    """Signal-to-noise ratio, in dB, of the kernels that a file builds."""
    before = kernels(model.double())
    model.load_state_dict(decompress_weights(data, framework="torch"))
    after = kernels(model.double())
    model.float().load_state_dict(state)
    return float(10 * torch.log10(before.square().sum() / (before - after).square().sum()))


def same_step(
    ratio_of: Callable[[bytes], float], state: Mapping[str, Tensor], wanted: float, rounds: int
) -> bytes:
    """The smallest file of factors with one step whose kernels reach a ratio, by bisection of the step."""
    low, high = 1e-7, 1.0
    best = b""
    for _ in range(rounds):
        step = math.sqrt(low * high)
        data = compress_weights(state, step=step, factors=False)
        if ratio_of(data) >= wanted:
            low, best = step, data
        else:
            high = step
    return best


def main() -> int:
    """Code both ways, and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=16, help="of the bisection")
    options = parser.parse_args()
    path = Path(os.environ.get("NEURALCODEC_DATA") or ".") / NAME
    if not path.exists():
        sys.exit(f"put {NAME} into a folder and name it in NEURALCODEC_DATA")
    found: dict[str, Any] = {}
    for name, choice in CHOICES.items():
        torch.manual_seed(0)
        model = convolutions(path)
        compact(model, choice, trained=True, strict=True)
        state = {key: value.clone() for key, value in model.state_dict().items()}

        def ratio_of(data: bytes, model: nn.Module = model, state: Any = state) -> float:
            return built_ratio(model, state, data)

        found[name] = {"parameters": sum(value.numel() for value in state.values())}
        for wanted in RATIOS:
            aware = compress_weights(state, sqnr=wanted)
            unaware = same_step(ratio_of, state, wanted, options.rounds)
            found[name][f"{wanted} dB"] = {
                "bytes": len(aware),
                "ratio": ratio_of(aware),
                "one_step_bytes": len(unaware),
                "one_step_ratio": ratio_of(unaware),
                "saved_percent": round(100 * (1 - len(aware) / len(unaware)), 2),
            }
            print(name, wanted, found[name][f"{wanted} dB"], file=sys.stderr, flush=True)
    write_result(__file__, {"networks": found})
    return 0


if __name__ == "__main__":
    sys.exit(main())
