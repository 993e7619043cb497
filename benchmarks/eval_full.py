"""The full classical run: 24 Kodak images, five codecs, 8 rates each, 2 processes; its time, memory and report.

    NEURALCODEC_DATA=... python benchmarks/eval_full.py [folder]

Seconds are of this machine; the yardstick beside them is a bare Pillow loop's share of the same work (its JPEG part,
see eval_overhead.py). Memory is the greatest sum of the proportional set sizes of all processes, looked at ten times a
second. The folder, by default runs/kodak, keeps the records and the report.
"""

import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
from common import write_result

from neuralcodec.evaluation.results import Result

CODECS = ("jpeg", "webp", "avif", "jpeg2000", "jxl")


def watched(command: list[str]) -> tuple[float, int]:
    """Run a command; its wall seconds, and the greatest memory of its processes in bytes."""
    start, most, process = time.perf_counter(), 0, psutil.Popen(command, stdout=subprocess.DEVNULL)
    done = threading.Event()

    def look() -> None:
        nonlocal most
        while not done.wait(0.1):
            most = max(most, sum(map(memory, [process, *children(process)])))

    watcher = threading.Thread(target=look)
    watcher.start()
    code = process.wait()
    done.set()
    watcher.join()
    if code:
        sys.exit(f"{' '.join(command)} ended with {code}")
    return time.perf_counter() - start, most


def children(process: psutil.Process) -> list[psutil.Process]:
    """All processes below one, or none if it has gone."""
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def memory(process: psutil.Process) -> int:
    """Memory of a process, pages that it shares divided among the sharers."""
    try:
        return int(process.memory_full_info().pss)
    except psutil.Error:
        return 0


def main(folder: str = "runs/kodak") -> None:
    """Measure the run, and tell what came out."""
    codecs = [word for codec in CODECS for word in ("--codec", codec)]
    command = ["neuralcodec", "eval", "--data", "kodak", *codecs, "--jobs", "2", "--restart", "-o", folder]
    seconds, most = watched(command)
    records = [Result.read(Path(folder) / f"{codec}.json") for codec in CODECS]
    figures = {
        "seconds": seconds,
        "peak_memory_bytes": most,
        "report_bytes": (Path(folder) / "report.html").stat().st_size,
        "measurements": sum(len(record.rows) for record in records),
        "errors": sum(len(record.errors) for record in records),
        "versions": {record.name: record.meta["versions"] for record in records},
        "curves": {
            record.name: {
                key: record.curve(key).tolist()
                for key in ("bpp", "psnr-rgb", "ms-ssim-rgb", "ms-ssim-rgb-db")
            }
            for record in records
        },
    }
    write_result(__file__, figures)


if __name__ == "__main__":
    main(*sys.argv[1:])
