"""Wall time of a cold `neuralcodec encode digit.png -m MODEL` against that of importing NumPy and Pillow.

Both commands run as new processes, in turn, from the same interpreter's environment, with warm disk caches and with
byte code compiled. Run it with the interpreter that neuralcodec is installed in (not as an editable install, whose
import hooks cost time):

    python benchmarks/cold_start.py --runs 40 --output benchmarks/cold_start.json
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BASELINE = [sys.executable, "-c", "import numpy, PIL.Image"]


def seconds(command: Sequence[str], folder: Path) -> float:
    """Return the wall time of one run of a command, which must succeed."""
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def measure(commands: dict[str, list[str]], runs: int, folder: Path) -> dict[str, list[float]]:
    """Run the commands in turn, in an order that is reversed every time, after two runs that do not count."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for run in range(-2, runs):
        for name in sorted(commands, reverse=run % 2 == 0):
            elapsed = seconds(commands[name], folder)
            if run >= 0:
                times[name].append(elapsed)
    return times


def summary(times: dict[str, list[float]], baseline: str, other: str) -> dict[str, Any]:
    """Return minima and medians in seconds, and their ratios; `paired` is the median of the ratios run by run."""
    ratios = [ours / theirs for ours, theirs in zip(times[other], times[baseline], strict=True)]
    figures: dict[str, Any] = {
        name: {"min": round(min(values), 5), "median": round(statistics.median(values), 5)}
        for name, values in times.items()
    }
    figures["ratio"] = {
        "min": round(min(times[other]) / min(times[baseline]), 3),
        "median": round(statistics.median(times[other]) / statistics.median(times[baseline]), 3),
        "paired": round(statistics.median(ratios), 3),
    }
    return figures


def environment() -> dict[str, Any]:
    """Return what the figures depend on."""
    import numpy
    import PIL
    import typer

    import neuralcodec

    return {
        "python": platform.python_version(),
        "numpy": numpy.__version__,
        "pillow": PIL.__version__,
        "typer": typer.__version__,
        "neuralcodec": neuralcodec.__version__,
        "installed": Path(neuralcodec.__file__).is_relative_to(Path(sysconfig.get_path("platlib")).resolve()),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
    }


def main() -> None:
    """Measure, print and write the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=40, help="runs of each command")
    parser.add_argument("--model", default="pc-mnist-fast", help="name or path of the model")
    parser.add_argument("--image", type=Path, default=ROOT / "examples" / "digit.png")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "cold_start.json")
    options = parser.parse_args()
    command = shutil.which("neuralcodec", path=str(Path(sys.executable).parent))
    if command is None:
        parser.error(f"no neuralcodec command beside {sys.executable}: install the package first")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(options.image, folder / "digit.png")
        model = os.path.abspath(options.model) if os.path.exists(options.model) else options.model
        encode = [command, "encode", "digit.png", "-m", model, "-f"]
        times = measure({"baseline": BASELINE, "encode": encode}, options.runs, folder)
    result = {
        "what": "wall time in seconds of `neuralcodec encode digit.png`, and of importing numpy and PIL.Image",
        "model": os.path.basename(options.model),
        "runs": options.runs,
        "figures": summary(times, "baseline", "encode"),
        "environment": environment(),
    }
    options.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
