"""The figures of docs/weights.md, from weights_rate.json."""

from typing import Any

GOALS = {"uniform": (-6, -10), "dependent": (-2, -5)}
EXACT = {"float32": (-0.5, -0.8), "bfloat16": (-1.2, -2.0)}


def mark(reached: float, least: float, aim: float) -> str:
    """Tell what a figure, of which less is better, reaches."""
    return "aim" if reached <= aim else "asked" if reached <= least else "**missed**"


def figures(result: dict[str, Any]) -> str:
    """Return the tables."""
    versions = result["rivals"]
    lines = [
        "Written by `python benchmarks/report.py` from `benchmarks/weights_rate.json`: a ResNet-56 trained on "
        f"CIFAR-100, {result['file']['parameters']:,} parameters, {result['file']['bytes']:,} bytes in single "
        f"precision; nncodec {versions['nncodec']} and ZipNN {versions['zipnn']} in the same run. Our files hold "
        "names, metadata and the "
        "integer tensors besides; theirs are of the floating tensors alone. SQNR is that of the tensors of two or more "
        "dimensions, measured on what was decoded, and never below nncodec's. 1-D tensors are within 1e-4 of their "
        "norm (nncodec's are finer, at about 26 bits a value).",
        "",
        "| nncodec | SQNR, dB | its bytes | 8 states | 64 states (default) | 256 states | asked | aim |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, found in result["lossy"].items():
        theirs, ours = found["nncodec"], found["neuralcodec_by_states"]
        least, aim = GOALS[name.split()[0]]
        cells = [name, f"{theirs['sqnr']:.2f}", f"{theirs['bytes']:,}"]
        for one in ours.values():
            change = one["against_nncodec_percent"]
            cells.append(f"{one['bytes']:,}, {change:+.2f}% ({mark(change, least, aim)})")
        lines.append(f"| {' | '.join([*cells, f'{least}%', f'{aim}%'])} |")
    lines += [
        "",
        "| without loss | raw | ZipNN | neuralcodec | asked | aim |",
        "|---|---|---|---|---|---|",
    ]
    for name, found in result["lossless"].items():
        (least, aim), change = EXACT[name], found["against_zipnn_percent"]
        cells = [name, f"{found['raw']:,}", f"{found['zipnn']:,}"]
        cells += [
            f"{found['neuralcodec']:,}, {change:+.2f}% ({mark(change, least, aim)})",
            f"{least}%",
            f"{aim}%",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "Speed with 2 threads on 2 cores, by the clock in millions of parameters a second (asked: 3, aim: 10), and in "
        f"nanoseconds of the processor for each; load average at the end {result['load']:.1f}.",
        "",
        "| what | encode, M/s | decode, M/s | encode, ns | decode, ns |",
        "|---|---|---|---|---|",
    ]
    for name, found in result["speed"].items():
        cells = [name]
        cells += [f"{found[f'{way}_million_parameters_per_second']:.1f}" for way in ("encode", "decode")]
        cells += [
            f"{found[f'{way}_processor_nanoseconds_per_parameter']:.0f}" for way in ("encode", "decode")
        ]
        lines.append(f"| {' | '.join(cells)} |")
    against = result["time_against_nncodec"]
    lines += [
        "",
        f"By the clock, coding to a ratio takes {against['encode']:.3f} of nncodec's time, decoding "
        f"{against['decode']:.3f}.",
        "",
    ]
    return "\n".join(lines)
