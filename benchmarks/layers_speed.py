"""Time, operations and memory of compact layers as multiples of torch's own layers', in one run; and tensorly-torch.

    pip install 'neuralcodec[torch]' tensorly-torch==0.5.0
    python benchmarks/layers_speed.py [--rounds 9] [--threads 2]

Every round runs the dense layer and all compact ones in turn; a ratio is the median over the rounds of the time over
that of the dense layer in the same round, so that a busy machine counts little. On one thread, the default, it is the
processor's time; on more, whose figures stand beside those in the result file, it is the clock's. "Training" is
forward and backward, to the input and all parameters; "inference" is forward in evaluation without gradients, kernels
folded. "Kept" is what the backward pass needs: bytes of all tensors that autograd saves, each storage counted once.
Compact layers choose their path themselves.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from common import ratio, write_result
from layers_cases import compact, seeded, tensorly_torch, versions
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from neuralcodec.layers import timing

Case = tuple[Callable[[], nn.Module], tuple[int, ...]]
CASES: dict[str, Case] = {
    "conv2d 192 -> 192, 3x3, at 16x16": (lambda: nn.Conv2d(192, 192, 3, padding=1), (4, 192, 16, 16)),
    "conv2d 64 -> 64, 3x3, at 32x32": (lambda: nn.Conv2d(64, 64, 3, padding=1), (4, 64, 32, 32)),
    "conv2d 128 -> 128, 3x3, at 32x32": (lambda: nn.Conv2d(128, 128, 3, padding=1), (4, 128, 32, 32)),
    "conv2d 256 -> 256, 3x3, at 32x32": (lambda: nn.Conv2d(256, 256, 3, padding=1), (2, 256, 32, 32)),
    "conv2d 64 -> 64, 5x5, at 32x32": (lambda: nn.Conv2d(64, 64, 5, padding=2), (4, 64, 32, 32)),
    "conv2d 128 -> 128, 1x1, at 32x32": (lambda: nn.Conv2d(128, 128, 1), (4, 128, 32, 32)),
    "conv2d 128 channels, 9x9, depthwise, at 32x32": (
        lambda: nn.Conv2d(128, 128, 9, padding=4, groups=128),
        (4, 128, 32, 32),
    ),
    "conv3d 32 -> 32, 3x3x3, at 16x16x16": (lambda: nn.Conv3d(32, 32, 3, padding=1), (2, 32, 16, 16, 16)),
    "linear 512 -> 512, batch 256": (lambda: nn.Linear(512, 512), (256, 512)),
}
LAYERS: dict[str, tuple[str, dict[str, Any]]] = {
    "hypercomplex, n=2": ("PH", {"n": 2}),
    "hypercomplex, n=4": ("PH", {"n": 4}),
    "hypercomplex, n=4, rank 4": ("PH", {"n": 4, "algebra_rank": 4}),
    "Tucker, 25%": ("Tensor", {"format": "tucker", "rank": 0.25}),
    "full Tucker, 25%": ("Tensor", {"format": "tucker-full", "rank": 0.25}),
    "CP, 25%": ("Tensor", {"format": "cp", "rank": 0.25}),
    "separable, one product": ("Tensor", {"format": "separable", "rank": 1}),
}
RIVALS = {"Tucker": "tucker", "CP": "cp", "TT": "tt"}


def rivals(layer: nn.Module) -> dict[str, nn.Module]:
    """Layers of tensorly-torch at a quarter of the parameters, in the place of a convolution in two dimensions."""
    package = tensorly_torch()
    if package is None or type(layer) is not nn.Conv2d or layer.groups != 1 or layer.kernel_size == (1, 1):
        return {}
    found = {}
    for name, kind in RIVALS.items():
        for implementation in ("factorized", "reconstructed"):
            made = package.FactorizedConv(
                layer.in_channels,
                layer.out_channels,
                layer.kernel_size[0],
                order=2,
                padding=layer.padding[0],
                bias=True,
                rank=0.25,
                factorization=kind,
                implementation=implementation,
            )
            with torch.no_grad():
                made.weight.normal_(0, 0.02)
            found[f"tensorly-torch, {name}, {implementation}"] = made
    return found


def in_turns(jobs: Mapping[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each job, of the processor if there is one thread, run one after the other for several rounds."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            start = clock()
            job()
            seconds[name].append(clock() - start)
    return seconds


def training(layer: nn.Module, x: torch.Tensor) -> Callable[[], None]:
    """Forward and backward."""
    leaves = [x, *layer.parameters()]

    def run() -> None:
        y = layer(x)
        torch.autograd.grad(y, leaves, torch.ones_like(y), allow_unused=True)

    return run


def inference(layer: nn.Module, x: torch.Tensor) -> Callable[[], None]:
    """Forward, kernels folded."""
    layer.eval()

    def run() -> None:
        with torch.no_grad():
            layer(x)

    return run


def kept(layer: nn.Module, x: torch.Tensor) -> int:
    """Bytes that autograd saves for the backward pass."""
    storages: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        y = layer(x)  # what is saved lives as long as the output
    total = sum(storages.values())
    del y
    return total


def flops(layer: nn.Module, x: torch.Tensor) -> int:
    """Of a forward pass in evaluation, kernels folded."""
    run = inference(layer, x)
    run()
    with FlopCounterMode(display=False) as counter:
        run()
    return int(counter.get_total_flops())


def measured(case: Case, rounds: int) -> dict[str, Any]:
    """All layers in the place of one."""
    make, shape = case
    seeded(0)
    dense = make()
    made = {name: compact(dense, family, **options) for name, (family, options) in LAYERS.items()}
    all_layers = {"dense": dense, **{name: layer for name, layer in made.items() if layer is not None}}
    all_layers |= rivals(dense)
    x = torch.randn(shape, requires_grad=True)
    result: dict[str, Any] = {}
    count = sum(p.numel() for p in dense.parameters())
    seconds = {}
    for mode, job in (("training", training), ("inference", inference)):
        for layer in all_layers.values():
            layer.train(mode == "training")
        jobs = {name: job(layer, x) for name, layer in all_layers.items()}
        in_turns(jobs, 2)  # warm, and paths chosen
        seconds[mode] = in_turns(jobs, rounds)
    base_flops, base_kept = flops(dense, x), kept(dense.train(), x)
    for name, layer in all_layers.items():
        result[name] = {
            "parameters": sum(p.numel() for p in layer.parameters()) / count,
            "flops": flops(layer, x) / base_flops,
            "kept": kept(layer.train(), x) / base_kept,
            "training": ratio(seconds["training"], name, "dense"),
            "inference": ratio(seconds["inference"], name, "dense"),
        }
        if hasattr(layer, "_chooses_chain"):
            result[name]["chain"] = {
                "training": bool(layer.train()._chooses_chain(x)),
                "inference": _chosen_in_evaluation(layer, x),
            }
    result["dense"]["seconds"] = {mode: min(each["dense"]) for mode, each in seconds.items()}
    return result


def _chosen_in_evaluation(layer: Any, x: torch.Tensor) -> bool:
    with torch.no_grad():
        return bool(layer.eval()._chooses_chain(x))


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument(
        "--only", help="measure cases with this in their names, and keep what is known of others"
    )
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    timing.ROUNDS = 7  # the machine may be busy: choose with care
    path = Path(__file__).with_suffix(".json")
    figures = json.loads(path.read_text())["figures"] if path.exists() else {}
    # those of one thread stand for themselves, the others by the number of threads
    more = figures.setdefault("cases_by_threads", {})
    known = figures.get("cases", {}) if options.threads == 1 else more.get(str(options.threads), {})
    for name, case in CASES.items():
        if options.only is None or options.only in name:
            known[name] = measured(case, options.rounds)
            for layer, found in known[name].items():
                print(f"{name}: {layer}: {found}", file=sys.stderr)
    cases = {name: known[name] for name in CASES if name in known}
    if options.threads == 1:
        figures["cases"] = cases
    else:
        more[str(options.threads)] = cases
    write_result(__file__, {**figures, "versions": versions()})


if __name__ == "__main__":
    main()
