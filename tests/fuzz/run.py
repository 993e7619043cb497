"""Fuzz every target for its share of the time: `python tests/fuzz/run.py --seconds 60`.

The Python targets run under atheris (`pip install neuralcodec[fuzz]`); the C++ ones under libFuzzer with the
address and undefined-behaviour sanitizers, where clang++ has them; with `--native`, it must. The exit code is 1 if
anything was found; what was found is left in the folder that is printed.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parents[1] / "neuralcodec" / "native" / "src"
if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent))

from fuzz.native_seeds import circuit_seeds, tensor_seeds  # noqa: E402
from fuzz.targets import TARGETS  # noqa: E402

OPTIONS = ["-max_len=1024", "-timeout=10", "-print_final_stats=1"]
STRICT = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
FLAGS = ["-std=c++17", "-g", "-O1", "-ffp-contract=off", "-fno-fast-math", "-Wno-psabi", *STRICT]
X86 = {
    "walk_avx2": ["-mavx2", "-mbmi2"],
    "walk_avx512": [
        *("-mavx2", "-mbmi2", "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl"),
        "-mprefer-vector-width=512",
    ],
}


@dataclass(frozen=True)
class Job:
    """A fuzzer's command, and the inputs that it starts from."""

    name: str
    command: list[str]
    seeds: list[bytes]
    environment: dict[str, str]


@dataclass(frozen=True)
class Outcome:
    """What one run did."""

    name: str
    executions: int
    peak_mb: int
    failed: bool
    log: str


def python_jobs() -> list[Job]:
    environment = {"NEURALCODEC_MODELS": str(HERE / "no models"), "MALLOC_MMAP_THRESHOLD_": "65536"}
    return [
        Job(
            name,
            [sys.executable, str(HERE / "drive.py"), name, "-rss_limit_mb=512"],
            target.seeds(),
            environment,
        )
        for name, target in TARGETS.items()
    ]


def compile_native(folder: Path, target: int) -> Path:
    """Build the C++ harness; :class:`subprocess.CalledProcessError` if the compiler cannot."""
    objects = []
    sources = ["blocks", "circuit", "cpu", "tensor_coder", "walk_scalar"]
    extra = X86 if os.uname().machine == "x86_64" else {}
    for name in [*sources, *extra]:
        objects.append(str(folder / f"{name}.o"))
        if not (folder / f"{name}.o").exists():
            flags = [*FLAGS, "-fsanitize=fuzzer-no-link", *extra.get(name, [])]
            _run(["clang++", *flags, "-c", str(SOURCE / f"{name}.cpp"), "-o", objects[-1]])
    program = folder / f"native{target}"
    flags = [*FLAGS, "-fsanitize=fuzzer", f"-DTARGET={target}"]
    _run(["clang++", *flags, str(HERE / "native.cpp"), *objects, "-o", str(program)])
    return program


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


def native_jobs(folder: Path, *, required: bool = False) -> list[Job]:
    """Return the C++ targets, or none (and say so) without clang++ and its fuzzer, unless `required`.

    Other faults end it all.
    """
    if shutil.which("clang++") is None:
        return _skipped("there is no clang++", required)
    try:
        programs = [compile_native(folder, target) for target in (1, 2)]
    except subprocess.CalledProcessError as error:
        if "libclang_rt" in error.stderr:
            return _skipped("clang++ comes without its fuzzing library", required)
        sys.exit(f"native targets: they cannot be built:\n{error.stderr[-2000:]}")
    limits = ["-malloc_limit_mb=64", "-rss_limit_mb=1024"]
    environment = {"ASAN_OPTIONS": "quarantine_size_mb=16"}
    return [
        Job(name, [str(program), *limits], seeds, environment)
        for name, program, seeds in zip(
            ("native tensor", "native circuit"), programs, (tensor_seeds(), circuit_seeds()), strict=True
        )
    ]


def _skipped(reason: str, required: bool) -> list[Job]:
    if required:
        sys.exit(f"native targets: they cannot be built, for {reason}")
    print(f"native targets: skipped, for {reason}")
    return []


def fuzz(job: Job, seconds: int, folder: Path) -> Outcome:
    """Run a job for some seconds; its corpus and what it finds go to a folder of their own."""
    place = folder / job.name.replace(" ", "-")
    corpus = place / "corpus"
    corpus.mkdir(parents=True)
    for number, seed in enumerate(job.seeds):
        (corpus / f"seed{number}").write_bytes(seed)
    options = [f"-max_total_time={seconds}", *OPTIONS, f"-artifact_prefix={place}/"]
    run = subprocess.run(
        [*job.command, *options, str(corpus)],
        env={**os.environ, **job.environment},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    log = run.stdout + run.stderr
    (place / "log.txt").write_text(log)
    return Outcome(
        job.name, _stat(log, "number_of_executed_units"), _stat(log, "peak_rss_mb"), run.returncode != 0, log
    )


def _stat(log: str, name: str) -> int:
    found = re.search(rf"stat::{name}:\s+(\d+)", log)
    return int(found[1]) if found else 0


def report(outcomes: Iterable[Outcome], folder: Path) -> int:
    """Print what was found; return the exit code."""
    failures = [outcome for outcome in outcomes if outcome.failed or not outcome.executions]
    for outcome in failures:
        print(f"\n{outcome.name} FAILED; its last lines:\n{outcome.log[-3000:]}")
    if failures:
        print(f"\nthe inputs are in {folder}")
    return 1 if failures else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="of fuzzing in all, shared by the targets")
    parser.add_argument("--only", nargs="*", help="names of targets (default: all)")
    parser.add_argument(
        "--folder", type=Path, help="where corpora, logs and findings go (default: temporary)"
    )
    parser.add_argument("--native", action="store_true", help="fail where the C++ targets cannot be built")
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="fuzz-"))
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [*python_jobs(), *native_jobs(folder, required=arguments.native)]
    if arguments.only:
        jobs = [job for job in jobs if job.name in arguments.only]
    share = max(1, arguments.seconds // max(1, len(jobs)))
    outcomes = []
    for job in jobs:
        outcomes.append(fuzz(job, share, folder))
        last = outcomes[-1]
        result = "FAILED" if last.failed or not last.executions else "nothing found"
        print(
            f"{last.name}: {share} s, {last.executions} executions, peak {last.peak_mb} MB, {result}",
            flush=True,
        )
    code = report(outcomes, folder)
    if code == 0 and arguments.folder is None:
        shutil.rmtree(folder)
    return code


if __name__ == "__main__":
    sys.exit(main())
