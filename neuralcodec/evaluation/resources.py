"""What a measurement was made with: peak memory, machine, versions."""

import contextlib
import ctypes
import os
import platform
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_RESET_PEAK = b"5"  # man 5 proc: resets the peak resident set size


def _trimming() -> Callable[[int], int] | None:
    """Return glibc's `malloc_trim`; None where the C library has none."""
    try:
        found: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
    return found


_trim = _trimming()


class PeakMemory:
    """The most memory that a block used beyond what was in use before; None where the system cannot tell.

    >>> with peak_memory() as memory:
    ...     _ = bytes(10_000_000)
    >>> memory.bytes is None or memory.bytes >= 0
    True
    """

    bytes: int | None = None


@contextlib.contextmanager
def peak_memory() -> Iterator[PeakMemory]:
    """Measure the peak of this process's resident memory over a block (Linux; other processes do not count).

    What was freed before goes to the system first (glibc): reused, it would not be seen.
    """
    peak = PeakMemory()
    if _trim is not None:
        _trim(0)
    try:
        _CLEAR.write_bytes(_RESET_PEAK)
        before = _resident()["VmRSS"]
    except (OSError, KeyError):
        yield peak
        return
    yield peak
    peak.bytes = max(0, _resident()["VmHWM"] - before)


def _resident() -> dict[str, int]:
    """Return the sizes of resident memory, now and at most, in bytes."""
    lines = (line.split() for line in _STATUS.read_text().splitlines() if line.startswith(("VmHWM", "VmRSS")))
    return {line[0].rstrip(":"): int(line[1]) * 1024 for line in lines}


def machine() -> dict[str, Any]:
    """Return what the times depend on: system, processor, cores, kernels in use.

    >>> sorted(machine())
    ['architecture', 'cpus', 'processor', 'simd', 'system']
    """
    from neuralcodec.native import simd

    return {
        "system": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
        "processor": _processor(),
        "cpus": os.cpu_count(),
        "simd": simd(),
    }


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def versions(codec: Mapping[str, str]) -> dict[str, str]:
    """Return the versions of what measured, and of what did the codec's work."""
    import numpy
    import scipy

    import neuralcodec

    own = {"neuralcodec": neuralcodec.__version__, "python": platform.python_version()}
    return own | {"numpy": numpy.__version__, "scipy": scipy.__version__} | dict(codec)


def command() -> str:
    """Return the command line of this process, as one would type it."""
    import shlex

    words = [Path(sys.argv[0]).name or "python", *sys.argv[1:]]
    return shlex.join(words)
