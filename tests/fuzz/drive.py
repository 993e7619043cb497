"""Fuzz one target with atheris: `python drive.py NAME CORPUS... -libfuzzer_option=...` (run.py does it for all)."""

import gc
import resource
import sys
from pathlib import Path
from types import FunctionType

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzz.targets import TARGETS, one_input

MEMORY = 64 * 1024  # kB that one input of 1 kB may take beyond what the process has
PAGE = resource.getpagesize() // 1024


class TooMuchMemory(Exception):
    """An input took more memory than is allowed."""


def instrument(name: str) -> None:
    """Count the branches of the package's functions, after all that the target needs has been imported.

    The functions themselves are changed, not imports, for atheris cannot hook the imports of editable installs.
    """
    import atheris  # type: ignore[import-not-found,import-untyped,unused-ignore]

    run = one_input(name)
    for seed in TARGETS[name].seeds():
        run(seed)
    for function in gc.get_objects():
        if isinstance(function, FunctionType) and (function.__module__ or "").startswith("neuralcodec"):
            atheris.instrument_func(function)


def main(arguments: list[str]) -> None:
    import atheris

    name = arguments.pop(1)
    instrument(name)
    run = one_input(name)

    def test_one_input(data: bytes) -> None:
        with open("/proc/self/statm", "rb") as file:
            before = int(file.read().split()[1]) * PAGE
        highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        run(data)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if peak > highest and peak - before > MEMORY:
            raise TooMuchMemory(f"{len(data)} bytes took {peak - before} kB")

    atheris.Setup(arguments, test_one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv)
