"""The figures of docs/weights.md, from the result files of weights."""

from typing import Any

import evidence_page

GOALS = {"uniform": (-6, -10), "dependent": (-2, -5)}
EXACT = {"float32": (-0.5, -0.8), "bfloat16": (-1.2, -2.0)}


def mark(reached: float, least: float, aim: float) -> str:
    """Tell what a figure, of which less is better, reaches."""
    return "aim" if reached <= aim else "asked" if reached <= least else "**missed**"


def figures(
    result: dict[str, Any], factors: dict[str, Any], importance: dict[str, Any], coded: dict[str, Any]
) -> str:
    """Return the tables."""
    lines = [codecs(result), *of_factors(factors), *of_importance(importance), *evidence_page.coded(coded)]
    return "\n".join(lines)


def of_factors(result: dict[str, Any]) -> list[str]:
    """What regard to the built kernels saves."""
    networks = result["networks"]
    ratios = [name for name in next(iter(networks.values())) if name != "parameters"]
    lines = [
        "From `benchmarks/weights_factors.json`: the 3x3 convolutions of 64 channels of the same network as compact "
        "layers, their weights decomposed; bytes of files whose built kernels have the ratio, against those of one "
        "step for all factors.",
        "",
        f"| layers | parameters | {' | '.join(ratios)} |",
        f"|---|---|{'---|' * len(ratios)}",
    ]
    for name, found in networks.items():
        cells = [
            f"{found[r]['bytes']:,}, {100 * (found[r]['bytes'] / found[r]['one_step_bytes'] - 1):+.1f}%"
            for r in ratios
        ]
        lines.append(f"| {' | '.join([name, format(found['parameters'], ','), *cells])} |")
    return [
        *lines,
        "",
        "Where a decomposition leaves all factors equally large, as CP and separable ones here, one step is right "
        "already.",
        "",
    ]


def of_importance(result: dict[str, Any]) -> list[str]:
    """What importance saves at equal bytes."""
    lines = [
        "From `benchmarks/phnn/importance.json`: a small residual network on Fashion-MNIST, real and hypercomplex "
        f"(n=4), after {result['epochs']} epoch{'s' if result['epochs'] > 1 else ''} of training. At the same bytes, "
        "the divergence of the outputs from those before coding in nats (and the accuracy on the same images), by what "
        "errors weigh. The powers are of the information that was measured; 0.75 is what `measure_importance` returns.",
        "",
    ]
    ways = list(next(iter(next(iter(result["networks"].values())).values())))
    lines += [f"| network | size | {' | '.join(ways)} |", f"|---|---|{'---|' * len(ways)}"]
    for network, sizes in result["networks"].items():
        for size, found in sizes.items():
            cells = [f"{found[way]['divergence']:.2g} ({100 * found[way]['accuracy']:.2f}%)" for way in ways]
            lines.append(f"| {' | '.join([network, size, *cells])} |")
    return [*lines, ""]


def codecs(result: dict[str, Any]) -> str:
    """The tables against other codecs, and of speed."""
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
