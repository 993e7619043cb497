"""Cost of coding a signal of D variables in three orders, in multiply-adds and in time on one thread.

    pip install -e '.[eval]' && python benchmarks/complexity.py [rounds]

Liu, Mandt and Van den Broeck (Lossless Compression with Probabilistic Circuits, ICLR 2022) code in O(log(D) |p|) where
one marginal evaluation for each variable takes O(D |p|). Measured here on the same circuits, whose size |p| is
proportional to D: that naive order, their order (`path`), and the walk of this project, O(|p|). The three share all
arithmetic (complexity_orders.cpp) and work out the code lengths only; `encode` and `decode` are the shipped kernel,
coder included. All must agree on the code lengths.

The setting is one for all D: 16 states, 16 values, random parameters and uniformly random signals, on which nothing
can be shared between signals; 16 signals side by side, and groups of 128 for the kernel, its default in archives.
Every measurement takes so many signals that the multiply-adds are at least WORK. Jobs run in turns; the least time of
the rounds counts. An order is timed only where LANES signals take at most LIMIT multiply-adds; it is counted for all D.
"""

import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from common import in_turns, write_result
from complexity_orders import ALPHABET, FAMILIES, LANES, ORDERS, STATES, OrderedTree, ordered, random_levels
from figures import draw_complexity
from numpy.typing import NDArray

from neuralcodec.circuits.circuit import Circuit

SIZES = (64, 256, 1024, 4096, 16384)
GROUP = 128
SAMPLES = 2**22  # of all signals together, for the kernel
WORK = 2**32
LIMIT = 2**38
SLOW = 2**36  # multiply-adds of jobs that run in the first two rounds only
TOLERANCE = 1e-6

Jobs = dict[str, Callable[[], Any]]


def signals(n: int, variables: int) -> NDArray[np.uint16]:
    """(n, D) uniformly random samples."""
    return np.random.default_rng(variables).integers(0, ALPHABET, (n, variables), np.uint16)


def kernel_bits(tree: OrderedTree, circuit: Circuit, x: NDArray[np.uint16]) -> NDArray[np.float64]:
    """Code lengths of signals under the kernel's integer tables."""
    structure = tree.structure
    tables = circuit.kernel.tables(x).reshape(structure.variables, len(x), -1)
    coded = x.T[structure.variable[structure.variable >= 0]][:, :, None].astype(np.int64)
    sizes = np.take_along_axis(tables, coded + 1, 2) - np.take_along_axis(tables, coded, 2)
    bits: NDArray[np.float64] = (24 - np.log2(sizes[:, :, 0].astype(np.float64))).sum(axis=0)
    return bits


def check(name: str, tree: OrderedTree, circuit: Circuit, counts: dict[str, int]) -> dict[str, float]:
    """Largest relative difference of each order's code lengths from the kernel's; the kernel must also decode."""
    x = signals(LANES, tree.structure.variables)
    expected = kernel_bits(tree, circuit, x)
    off = {}
    for order in ORDERS:
        if counts[order] * LANES <= LIMIT:
            off[order] = float(np.abs(tree.bits(order, x) / expected - 1).max())
    groups = circuit.kernel.encode(x, None, GROUP, 1)
    if not np.array_equal(circuit.kernel.decode(groups, len(x), None, GROUP, 1), x):
        raise SystemExit(f"{name}: the kernel does not decode what it coded")
    if max(off.values()) > TOLERANCE:
        raise SystemExit(f"{name}: the orders do not agree on code lengths: {off}")
    return off


def jobs_of(tree: OrderedTree, circuit: Circuit, counts: dict[str, int]) -> dict[str, tuple[int, int, Any]]:
    """(signals, multiply-adds in all, job) of everything that is timed on one circuit."""
    variables = tree.structure.variables
    jobs: dict[str, tuple[int, int, Any]] = {}
    for order in ORDERS:
        if counts[order] * LANES <= LIMIT:
            n = LANES * max(1, -(-WORK // (counts[order] * LANES)))
            x = signals(n, variables)
            jobs[order] = n, n * counts[order], lambda order=order, x=x: tree.bits(order, x)
    n = max(GROUP, SAMPLES // variables)
    x, kernel = signals(n, variables), circuit.kernel
    groups = kernel.encode(x, None, GROUP, 1)
    work = n * counts["walk"]
    jobs["encode"] = n, work, lambda: kernel.encode(x, None, GROUP, 1)
    jobs["decode"] = n, work, lambda: kernel.decode(groups, n, None, GROUP, 1)
    return jobs


def slope(sizes: list[int], values: list[float]) -> float:
    """Least-squares slope of log(value) over log(D)."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def measure(rounds: int) -> dict[str, Any]:
    """Counts, checks and times of all families and sizes."""
    results: dict[str, Any] = {name: {} for name in FAMILIES}
    jobs: dict[tuple[str, int, str], tuple[int, int, Any]] = {}
    for name, build in FAMILIES.items():
        for variables in SIZES:
            structure = build(variables)
            levels = random_levels(structure)
            tree, circuit = ordered(structure, levels), Circuit(structure, levels)
            counts = {order: tree.count(order) for order in ORDERS}
            results[name][variables] = {
                "parameters": tree.parameters,
                "depth": int(tree.arrays["depth"].max()),
                "multiply_adds": counts,
                "code_length_difference": check(f"{name}, D = {variables}", tree, circuit, counts),
                "signals": {},
                "seconds": {},
                "least_seconds_per_signal": {},
            }
            for job, what in jobs_of(tree, circuit, counts).items():
                jobs[name, variables, job] = what
            print(f"{name}, D = {variables}: ready", flush=True)
    for turn in range(rounds):
        chosen = {str(key): what for key, (_, work, what) in jobs.items() if turn < 2 or work < SLOW}
        seconds = in_turns(chosen, 1)
        for key in jobs:
            name, variables, job = key
            results[name][variables]["seconds"].setdefault(job, []).extend(seconds.get(str(key), []))
    for (name, variables, job), (n, _, _) in jobs.items():
        entry = results[name][variables]
        entry["signals"][job] = n
        entry["least_seconds_per_signal"][job] = min(entry["seconds"][job]) / n
    return results


def slopes(results: dict[int, Any]) -> dict[str, Any]:
    """Slopes of one family: of time for every job, of multiply-adds for every order."""
    found: dict[str, Any] = {"time": {}, "multiply_adds": {}}
    for job in (*ORDERS, "encode", "decode"):
        timed = [v for v in results if job in results[v]["least_seconds_per_signal"]]
        found["time"][job] = slope(timed, [results[v]["least_seconds_per_signal"][job] for v in timed])
        if job in ORDERS:
            counts = [results[v]["multiply_adds"][job] for v in results]
            found["multiply_adds"][job] = slope(list(results), counts)
    return found


def main() -> None:
    """Measure, and draw docs/figures/complexity.png."""
    load = os.getloadavg()
    results = measure(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
    figures = {
        "setting": {
            "states": STATES,
            "alphabet": ALPHABET,
            "lanes": LANES,
            "kernel_group": GROUP,
            "kernel_samples": SAMPLES,
            "work": WORK,
            "limit": LIMIT,
            "threads": 1,
        },
        "load_average_before": load,
        "slopes": {name: slopes(of_family) for name, of_family in results.items()},
        "families": results,
    }
    write_result(__file__, figures)
    draw_complexity(figures)


if __name__ == "__main__":
    main()
