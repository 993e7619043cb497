"""The highest learning rate that each surrogate of train.py is best with, on held-out problems.

    python benchmarks/wave/rates.py [--epochs 15]

From 8e-3 the rate is doubled as long as that helps; if the first doubling does not, it is halved as long as that does.
One seed; runs keep their state in `runs/wave/`, and an interrupted search goes on.
"""

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from common import write_result  # noqa: E402
from train import CHOICES, Run, data_set  # noqa: E402

START = 8e-3


def main() -> int:
    """Search for each surrogate in turn, and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--only", help="one surrogate; nothing is written")
    options = parser.parse_args()
    data = data_set()
    errors: dict[str, dict[float, float]] = {}
    for name in [options.only] if options.only else CHOICES:
        found = errors[name] = {}

        def better(rate: float, than: float, name: str = name, found: dict[float, float] = found) -> bool:
            run = Run(name, 0, options.epochs, rate)
            while not run.done:
                run.epoch(data, None)
            found[rate] = run.held_out
            print(f"{name}, {rate:g}: {run.held_out:.4f}", file=sys.stderr, flush=True)
            return found[rate] < found.get(than, float("inf"))

        better(START, 0)
        for factor in (2, 0.5):
            rate = START
            while better(factor * rate, rate):
                rate *= factor
            if rate != START:
                break
    if options.only:
        return 0
    chosen = {name: min(found, key=lambda rate: found[rate]) for name, found in errors.items()}
    held_out = {
        name: {f"{rate:g}": one for rate, one in sorted(found.items())} for name, found in errors.items()
    }
    write_result(__file__, {"epochs": options.epochs, "held_out": held_out, "chosen": chosen})
    return 0


if __name__ == "__main__":
    sys.exit(main())
