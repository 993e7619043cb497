"""Check that the kernels decode alike on aarch64 and here: `python tests/cross/run.py`.

Builds the driver over the library's own sources for this machine (every instruction set that it has) and for aarch64
(run by qemu-user), lets both expand models, decode and encode again, and compares the hashes with those of the
installed package. The files are made on the fly, and those of bitstreams/ are taken too. `--install` gets the cross
compiler and the emulator from apt if they are missing (as root).
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SOURCE = ROOT / "neuralcodec" / "native" / "src"
if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent))

from cross.cases import Case, cases_of, write_samples_of_all  # noqa: E402
from edge_circuits import kernel_paths  # noqa: E402

CROSS, EMULATOR = "aarch64-linux-gnu-g++", ("qemu-aarch64", "qemu-aarch64-static")
FLAGS = ["-std=c++17", "-O3", "-ffp-contract=off", "-fno-fast-math", "-Wno-psabi"]
AVX2 = ["-mavx2", "-mbmi2"]
AVX512 = [*AVX2, "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mprefer-vector-width=512"]
X86 = {"walk_avx2": AVX2, "walk_avx512": AVX512}


@dataclass(frozen=True)
class Machine:
    """A way to run the driver: a command, and the path of the kernels that it takes."""

    name: str
    command: list[str]
    path: str


def build(compiler: str, folder: Path, x86: bool, extra: list[str]) -> Path:
    """Compile the driver and the kernels."""
    folder.mkdir(parents=True, exist_ok=True)
    special = X86 if x86 else {}
    objects = []
    for name in ["blocks", "circuit", "cpu", "tensor_coder", "walk_scalar", *special]:
        objects.append(str(folder / f"{name}.o"))
        source = str(SOURCE / f"{name}.cpp")
        subprocess.run(
            [compiler, *FLAGS, *special.get(name, []), "-c", source, "-o", objects[-1]], check=True
        )
    program = folder / "driver"
    source = str(HERE / "driver.cpp")
    subprocess.run([compiler, *FLAGS, source, *objects, *extra, "-o", str(program)], check=True)
    return program


def emulator() -> str | None:
    return next((found for name in EMULATOR if (found := shutil.which(name))), None)


def install() -> None:
    """Get what is missing from apt."""
    if shutil.which(CROSS) and emulator():
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        sys.exit(f"{CROSS} and qemu-aarch64 are needed: apt-get install g++-aarch64-linux-gnu qemu-user")
    subprocess.run(["apt-get", "update", "-qq"], check=True)
    packages = ["g++-aarch64-linux-gnu", "qemu-user"]
    subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages], check=True)


def machines(folder: Path) -> list[Machine]:
    """Build for this machine and for aarch64; every path that can be run makes a machine."""
    here, emulated = platform.machine(), emulator()
    if emulated is None or not shutil.which(CROSS):
        print(f"{CROSS} or qemu-aarch64 is missing; run with --install", file=sys.stderr)
        sys.exit(77)  # as automake has it: what the check needs is not here
    compiler = os.environ.get("CXX") or shutil.which("g++") or "c++"
    native = str(build(compiler, folder / "native", here == "x86_64", []))
    foreign = str(build(CROSS, folder / "aarch64", False, ["-static"]))
    found = [Machine(f"{here} {path}", [native], path) for path in kernel_paths()]
    return [*found, Machine("aarch64 (emulated)", [emulated, foreign], "scalar")]


def check(case: Case, machine: Machine, folder: Path) -> list[str]:
    """Run a case on a machine; return what differs from the package."""
    file = folder / "case"
    file.write_bytes(case.file)
    command = [*machine.command, machine.path, str(file)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    printed = dict(line.split(" ", 1) for line in run.stdout.splitlines())
    if run.returncode or printed.keys() != case.expected.keys():
        return [f"exit code {run.returncode}: {run.stderr.strip() or run.stdout.strip()}"]
    return [
        f"{key} is {printed[key]}, but the package has {value}"
        for key, value in case.expected.items()
        if printed[key] != value
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--install", action="store_true", help="get missing compilers from apt")
    parser.add_argument(
        "--golden", type=Path, default=ROOT / "bitstreams", help="folder of more files and models"
    )
    arguments = parser.parse_args()
    if arguments.install:
        install()
    failures = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = folder / "made"
        made.mkdir()
        write_samples_of_all(made)
        cases = [*cases_of(made), *cases_of(arguments.golden)]
        for machine in machines(folder):
            faults = [(case, fault) for case in cases for fault in check(case, machine, folder)]
            failures += len(faults)
            print(f"{machine.name}: {len(cases)} cases, {len(faults) or 'no'} differences", flush=True)
            for case, fault in faults:
                print(f"  {case.name}: {fault}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
