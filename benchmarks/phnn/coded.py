"""Files of the hypercomplex ResNet (n=4), coded with loss, against the real one's bytes in single precision.

    NEURALCODEC_DATA=... python benchmarks/phnn/coded.py [--epochs 10] [--width 12]

Reads the states that train.py, with the same options, left in `runs/phnn/`. For inference a batch norm is a scale and a
shift by channel, which is exact, and these are what the files hold. What errors of each tensor are worth is measured on
1,024 training images. Ratio and bound of a file are chosen by 10,000 of
the training images, seen as they are: it is the smallest file whose accuracy there is at most 0.1 point below that of
the network before coding. Then the test images are looked at, once. The real network's bytes are those of its kernels,
the norms folded into them, four bytes a value and nothing else.
"""

import argparse
import copy
import io
import itertools
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from common import write_result  # noqa: E402
from train import SEEDS, Run, accuracy, images  # noqa: E402

from neuralcodec import compress_weights, decompress_weights  # noqa: E402
from neuralcodec.weights import WeightsReader, measure_importance  # noqa: E402
from neuralcodec.weights.description import describe  # noqa: E402

COMPONENTS, STATES = 4, 256
CHOOSING, CALIBRATION, ALLOWED = 10_000, 1_024, 0.001
RATIOS = tuple(range(36, 5, -2))  # dB, from fine to coarse; then by halves
BOUNDS = (1e-4, 1e-3, 1e-2, 3e-2)


class Affine(nn.Module):
    """What a batch norm is in evaluation: a scale and a shift of each channel."""

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight.detach() / torch.sqrt(norm.running_var + norm.eps)
        self.scale = nn.Parameter(scale)
        self.shift = nn.Parameter(norm.bias.detach() - norm.running_mean * scale)

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, channels, height, width)`."""
        return x * self.scale[:, None, None] + self.shift[:, None, None]


def for_inference(model: nn.Module) -> nn.Module:
    """A copy with scales and shifts in the place of norms."""
    model = copy.deepcopy(model).eval()
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, Affine(child))
    return model


def folded_bytes(model: nn.Module) -> int:
    """Bytes in single precision, the scales of the norms being in the kernels: all values but the scales."""
    state = model.state_dict()
    return 4 * sum(value.numel() for name, value in state.items() if not name.endswith(".scale"))


def coded(
    model: nn.Module, importance: Mapping[str, float], ratio: float, bound: float
) -> tuple[bytes, nn.Module]:
    """A file, and the network that it decodes to."""
    data = compress_weights(model.state_dict(), sqnr=ratio, bound=bound, states=STATES, importance=importance)
    made = copy.deepcopy(model)
    made.load_state_dict(decompress_weights(data, framework="torch"))
    return data, made


def smallest(model: nn.Module, importance: Mapping[str, float], x: Tensor, classes: Tensor) -> dict[str, Any]:
    """The smallest file that is as good, by its ratio and bound: first the ratio, then the bound, then the ratio."""
    least = accuracy(model, x, classes) - ALLOWED

    def good(ratio: float, bound: float) -> bool:
        return accuracy(coded(model, importance, ratio, bound)[1], x, classes) >= least

    def coarsest(ratios: Any, bound: float, known: float) -> float:
        for ratio in ratios:
            if not good(ratio, bound):
                break
            known = ratio
        return known

    ratio = coarsest(RATIOS, BOUNDS[0], float(RATIOS[0]))
    bound = max((one for one in BOUNDS if good(ratio, one)), default=BOUNDS[0])
    ratio = coarsest((ratio - 0.5 * step for step in itertools.count(1)), bound, ratio)
    return {"ratio": ratio, "bound": bound, "accuracy_wanted": least}


def parts(data: bytes) -> dict[str, float]:
    """Bytes of a file by what they are for."""
    with WeightsReader(io.BytesIO(data)) as reader:
        facts = describe(reader)
    taken = {"matrices": 0.0, "vectors": 0.0}
    for tensor in facts["tensors"]:
        taken["matrices" if len(tensor["shape"]) > 1 else "vectors"] += tensor["bytes"]
    return {**taken, "names, models and the rest": facts["size"] - sum(taken.values())}


def figures(
    runs: dict[int, Run], choose: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor]
) -> dict[str, Any]:
    """Of a seed: the real network, and the files of both."""
    found: dict[str, Any] = {}
    for n, run in runs.items():
        model = for_inference(run.model)
        importance = measure_importance(model, choose[0][:CALIBRATION].split(16))
        chosen = smallest(model, importance, *choose)
        data, decoded = coded(model, importance, chosen["ratio"], chosen["bound"])
        found["real" if n == 1 else f"n={n}"] = {
            **chosen,
            "bytes": len(data),
            "parts": parts(data),
            "single_precision_bytes": folded_bytes(model) if n == 1 else 4 * run.report.after.parameters,
            "accuracy": accuracy(model, *test),
            "coded_accuracy": accuracy(decoded, *test),
        }
    real, own = found["real"], found[f"n={COMPONENTS}"]
    found["bytes_to_real"] = own["bytes"] / real["single_precision_bytes"]
    found["points_to_real"] = 100 * (own["coded_accuracy"] - real["accuracy"])
    return found


def main() -> int:
    """Code, choose, measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--width", type=int, default=12)
    parser.add_argument("--blocks", type=int, default=1)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    options = parser.parse_args()
    runs = {seed: {n: Run(n, seed, options) for n in (1, COMPONENTS)} for seed in options.seeds}
    missing = [run.name for mine in runs.values() for run in mine.values() if not run.done]
    if missing:
        sys.exit(f"train.py has not finished {', '.join(missing)}")
    train, test = images("train"), images("test")
    choose = (train[0][-CHOOSING:], train[1][-CHOOSING:])
    seeds = {str(seed): figures(mine, choose, test) for seed, mine in runs.items()}
    result = {
        "seeds": seeds,
        "bytes_to_real": float(np.mean([one["bytes_to_real"] for one in seeds.values()])),
        "points_to_real": float(np.mean([one["points_to_real"] for one in seeds.values()])),
        **{name: getattr(options, name) for name in ("epochs", "width", "blocks")},
    }
    write_result(__file__, result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
