"""The weights codec against nncodec at its signal-to-noise ratios, and without loss against ZipNN; and its speed.

python benchmarks/weights_rate.py --rivals ENVIRONMENT/bin/python

The environment of the two others is made by the commands in weights_rivals.py. Both get the floating tensors alone;
the bytes of our files are those of all tensors, names and metadata. Speed is measured on the same network and on one of
8.9 million parameters: wall time, time of the processor, and against nncodec's wall time in the same run.
"""

import argparse
import io
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import HERE, write_result

from neuralcodec.container.files import BufferSource
from neuralcodec.weights import Target, WeightsEncoder, WeightsReader
from neuralcodec.weights.safetensors_format import write_header
from neuralcodec.weights.sources import WeightSource, mapping_source, open_weights, safetensors_source
from neuralcodec.weights.tensors import TensorSpec

NAME = "weights/resnet56_cifar100.safetensors"
STATES = (8, 64, 256)


def coded(source: WeightSource, target: Target, states: int) -> tuple[bytes, dict[str, float]]:
    """Return a file and what its report says."""
    file = io.BytesIO()
    report = WeightsEncoder(source, target, states=states, threads=2, verify=True).write(file)
    return file.getvalue(), {"bytes": report.size, "sqnr": report.sqnr, "vector_error": report.vector_error}


def measured(source: WeightSource, data: bytes) -> tuple[float, float]:
    """Return the signal-to-noise ratio of the matrices, and the largest error of the vectors, as decoded."""
    power = noise = worst = 0.0
    with WeightsReader(data, threads=2) as reader:
        for number, (spec, one, _) in enumerate(reader.tensors()):
            if spec.type.name != "F32":
                assert bytes(one) == bytes(source.read(number)), spec.name
                continue
            x, y = (values.view("<f4").astype(np.float64) for values in (source.read(number), one))
            energy, error = float(x @ x), float((x - y) @ (x - y))
            if len(spec.shape) >= 2:
                power, noise = power + energy, noise + error
            elif energy:
                worst = max(worst, math.sqrt(error / energy))
    return 10 * math.log10(power / noise), worst


def against_nncodec(source: WeightSource, runs: dict[str, dict[str, float]]) -> dict[str, Any]:
    """Code to nncodec's ratios and compare the bytes."""
    found: dict[str, Any] = {}
    for name, run in runs.items():
        ours = {}
        for states in STATES:
            data, report = coded(source, Target(sqnr=run["sqnr"]), states)
            sqnr, worst = measured(source, data)
            assert sqnr >= run["sqnr"] - 1e-6
            assert worst <= 1e-4
            ours[str(states)] = {
                **report,
                "sqnr": sqnr,
                "vector_error": worst,
                "against_nncodec_percent": round(100 * (report["bytes"] / run["bytes"] - 1), 2),
            }
        found[name] = {"nncodec": run, "neuralcodec_by_states": ours}
    return found


def brain(source: WeightSource) -> WeightSource:
    """Return the floating tensors with the upper half of their bits, as bfloat16."""
    from neuralcodec.weights.dtypes import BY_NAME

    specs, parts = [], []
    for number, spec in enumerate(source.specs):
        if spec.type.name == "F32":
            specs.append(TensorSpec(spec.name, BY_NAME["BF16"], spec.shape))
            parts.append((source.read(number).view("<u4") >> 16).astype("<u2").tobytes())
    header = write_header(specs, None)
    return safetensors_source(BufferSource(len(header).to_bytes(8, "little") + header + b"".join(parts)))


def floats_only(source: WeightSource) -> WeightSource:
    """Return the floating tensors alone, which is what ZipNN gets."""
    kept = [number for number, spec in enumerate(source.specs) if spec.type.is_float]
    return WeightSource([source.specs[n] for n in kept], lambda number: source.read(kept[number]))


def against_zipnn(source: WeightSource, zipnn: dict[str, list[int]]) -> dict[str, Any]:
    """Code without loss and compare the bytes."""
    found: dict[str, Any] = {}
    for name, one in (("float32", floats_only(source)), ("bfloat16", brain(source))):
        raw, theirs = zipnn[name]
        data, _ = coded(one, Target(), 8)
        found[name] = {
            "raw": raw,
            "zipnn": theirs,
            "neuralcodec": len(data),
            "against_zipnn_percent": round(100 * (len(data) / theirs - 1), 2),
        }
    return found


def large() -> WeightSource:
    """Return a network of 8.9 million parameters: smooth kernels and matrices."""
    rng = np.random.default_rng(0)
    state = {}
    for number in range(8):
        kernels = rng.normal(size=(256, 256, 1, 1)) + rng.normal(size=(256, 256, 3, 3))
        state[f"conv{number}.weight"] = (0.1 * kernels).astype(np.float32)
    for number in range(4):
        state[f"fc{number}.weight"] = (0.1 * rng.normal(size=(1024, 1024))).astype(np.float32)
    return mapping_source(state)


def speed(source: WeightSource, target: Target, states: int, rounds: int) -> dict[str, float]:
    """Return millions of parameters a second, best of some rounds, and nanoseconds of the processor for each."""
    count = sum(spec.count for spec in source.specs)
    walls: dict[str, list[float]] = {"encode": [], "decode": []}
    cpus: dict[str, list[float]] = {"encode": [], "decode": []}
    for _ in range(rounds):
        file = io.BytesIO()
        start, cpu = time.perf_counter(), time.process_time()
        WeightsEncoder(source, target, states=states, threads=2).write(file)
        walls["encode"].append(time.perf_counter() - start)
        cpus["encode"].append(time.process_time() - cpu)
        start, cpu = time.perf_counter(), time.process_time()
        with WeightsReader(file.getvalue(), threads=2) as reader:
            for _ in reader.tensors():
                pass
        walls["decode"].append(time.perf_counter() - start)
        cpus["decode"].append(time.process_time() - cpu)
    result: dict[str, float] = {}
    for way in walls:
        result[f"{way}_million_parameters_per_second"] = round(count / min(walls[way]) / 1e6, 2)
        result[f"{way}_processor_nanoseconds_per_parameter"] = round(min(cpus[way]) / count * 1e9, 1)
        result[f"{way}_seconds"] = round(min(walls[way]), 4)
    return result


def main() -> None:
    """Measure, and write weights_rate.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rivals", required=True, help="Python of the environment with nncodec and zipnn")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    folder = os.environ.get("NEURALCODEC_DATA")
    path = Path(folder or ".") / NAME
    if not path.exists():
        sys.exit(f"put {NAME} into a folder and name it in NEURALCODEC_DATA")
    command = [options.rivals, str(HERE / "weights_rivals.py"), str(path)]
    rivals = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    with open_weights(path) as source:
        figures = {
            "file": {"bytes": path.stat().st_size, "parameters": sum(spec.count for spec in source.specs)},
            "rivals": rivals["versions"],
            "lossy": against_nncodec(source, rivals["nncodec"]),
            "lossless": against_zipnn(source, rivals["zipnn"]),
            "speed": {},
        }
        network = large()
        for states in STATES:
            figures["speed"][f"this file, step 0.0177, {states} states"] = speed(
                source, Target(step=0.0177), states, options.rounds
            )
            figures["speed"][f"8.9 million, step 0.01, {states} states"] = speed(
                network, Target(step=0.01), states, options.rounds
            )
        figures["speed"]["this file, 31.3 dB, 64 states"] = speed(
            source, Target(sqnr=31.3), 64, options.rounds
        )
        figures["speed"]["8.9 million, 30 dB, 64 states"] = speed(
            network, Target(sqnr=30), 64, options.rounds
        )
        figures["speed"]["8.9 million, without loss"] = speed(network, Target(), 64, options.rounds)
    theirs = rivals["nncodec"]["dependent qp -20"]
    ours = figures["speed"]["this file, 31.3 dB, 64 states"]
    figures["time_against_nncodec"] = {
        way: round(ours[f"{way}_seconds"] / theirs[f"{way}_seconds"], 4) for way in ("encode", "decode")
    }
    write_result(__file__, figures)


if __name__ == "__main__":
    main()
