"""Writes docs/results.md, comparison.md and rate-distortion.md, and figures in other pages (queries, photo, ...).

So every figure there is a measured one.

python benchmarks/report.py            writes the pages
python benchmarks/report.py --check    fails if a page is not what the result files say
"""

import json
import sys
from pathlib import Path
from typing import Any

import comparison_page
import layers_page
import photo_page
import rd_page
import recombiner_page
import weights_page

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs"
MODELS = ("pc-mnist-fast", "pc-mnist", "pc-fashion-mnist")
QUERIES, LAYERS, RECOMBINER = DOCS / "queries.md", DOCS / "layers.md", DOCS / "recombiner.md"
WEIGHTS, PHOTO = DOCS / "weights.md", DOCS / "photo.md"
FIRST, LAST = "<!-- figures -->\n", "<!-- end of figures -->"


def figures(name: str) -> dict[str, Any]:
    """The figures of one result file."""
    result: dict[str, Any] = json.loads((HERE / f"{name}.json").read_text())["figures"]
    return result


def rows() -> list[tuple[str, float, float, float, str, str]]:
    """(what, at least, aim, reached, unit, script) of every figure; smaller is better in all of them."""
    rate, speed = figures("rate"), figures("mnist_speed")
    memory, cold, epoch = figures("decode_memory"), figures("cold_start"), figures("em_epoch")
    fast, best, quick = rate["pc-mnist-fast"], rate["pc-mnist"], speed["pc-mnist-fast"]
    overhead = max(one["archive_overhead_bpd"] for one in rate.values())
    single = max(one["single_file_overhead_bytes_mean"] for one in rate.values())
    peak = max(ways[way] for ways in memory.values() for way in ways)
    archive = "test set, 10,000 images in one archive, file bits per dimension"
    turns = "10,000 MNIST images, time / time of `lzma.compress(preset=9)`"
    made = [figures(f"train_zoo.{name}") for name in MODELS]
    slopes = {
        tree: max(found["time"][way] for way in ("encode", "decode"))
        for tree, found in figures("complexity")["slopes"].items()
    }
    trees = {
        "balanced": "balanced tree",
        "image": "tree over an image grid",
        "chain": "chain, root at its centre",
    }
    defaults = max(found["above_published"] for found in figures("train_defaults").values())
    return [
        (f"MNIST {archive}, `pc-mnist`", 1.17, 1.14, best["archive_bpd"], "bpd", "rate"),
        (f"MNIST {archive}, `pc-mnist-fast`", 1.21, 1.18, fast["archive_bpd"], "bpd", "rate"),
        (f"Fashion-MNIST {archive}", 3.30, 3.22, rate["pc-fashion-mnist"]["archive_bpd"], "bpd", "rate"),
        (
            "loss by quantisation of the parameters, held-out images, the most of all models",
            0.005,
            0.002,
            max(one["loss_by_quantisation_bpd"] for one in made),
            "bpd",
            "train_zoo",
        ),
        (f"decode {turns}, `pc-mnist`", 3, 1, speed["pc-mnist"]["decode_over_lzma"], "", "mnist_speed"),
        (f"encode {turns}, `pc-mnist-fast`", 0.20, 0.10, quick["encode_over_lzma"], "", "mnist_speed"),
        (f"decode {turns}, `pc-mnist-fast`", 0.25, 0.12, quick["decode_over_lzma"], "", "mnist_speed"),
        *(
            (
                f"slope of log time over log D, encode or decode, {name}",
                1.1,
                1.02,
                slopes[tree],
                "",
                "complexity",
            )
            for tree, name in trees.items()
        ),
        (
            "training `pc-mnist` from scratch, 2 cores",
            150,
            45,
            made[1]["seconds"] / 60,
            "minutes",
            "train_zoo",
        ),
        (
            "`neuralcodec train pc` without options, bpd against published HCLT, the worse of MNIST and Fashion-MNIST",
            0.05,
            -0.03,
            defaults,
            "",
            "train_defaults",
        ),
        ("archive size minus the model's own -log2 likelihood", 0.005, 0.001, overhead, "bpd", "rate"),
        ("single 28x28 file, mean bytes beyond -log2 p / 8", 20, 17, single, "bytes", "rate"),
        (
            "cold `neuralcodec encode digit.png -m pc-mnist-fast`, time / that of importing numpy and PIL.Image",
            3,
            2,
            cold["ratio"]["median"],
            "",
            "cold_start",
        ),
        (
            "EM epoch, 60,000 MNIST images, M=64, time / the same products in numpy float32",
            5,
            2,
            epoch["epoch_over_same_products"],
            "",
            "em_epoch",
        ),
        (
            "peak memory, decoding 10,000 images, beyond the loaded model (the larger model, whole array)",
            150,
            80,
            peak,
            "MB",
            "decode_memory",
        ),
    ]


def number(value: float) -> str:
    """Enough digits to judge by."""
    return f"{value:.0f}" if value >= 100 else f"{value:.4f}" if value < 2 else f"{value:.2f}"


def page() -> str:
    """The whole page."""
    lines = [
        "# Results",
        "",
        "Written by `python benchmarks/report.py` from the JSON files in `benchmarks/`, which name the command, the "
        "versions and the machine of each run. Smaller is better everywhere. Times are ratios of runs taken in turns "
        "on 2 cores. Other compressors, published rates and the cost in numbers of operations stand in "
        "[comparison.md](comparison.md), the figures of the rate-distortion harness in "
        "[rate-distortion.md](rate-distortion.md).",
        "",
        "| what | asked | aim | reached | script |",
        "|---|---|---|---|---|",
    ]
    for what, least, aim, reached, unit, script in rows():
        mark = "aim" if reached <= aim else "asked" if reached <= least else "**missed**"
        cells = [what, f"{least:g}", f"{aim:g}", f"{number(reached)} {unit}".strip() + f" ({mark})"]
        lines.append(f"| {' | '.join(cells)} | `benchmarks/{script}.py` |")
    return "\n".join([*lines, "", *models(), *experiments(), *against()]) + "\n"


def models() -> list[str]:
    """The shipped models."""
    rate, speed = figures("rate"), figures("mnist_speed")
    lines = [
        "## Models",
        "",
        "Trained on the 60,000 training images of their sets, a twelfth of them held out to choose the epoch and the "
        "quantisation. The test images were read by the benchmarks alone, and nothing was tuned on them but one "
        "thing: of several small models that were all below 1.20 bpd on MNIST, the fastest became the first "
        "`pc-mnist-fast`, whose place the present one has taken.",
        "",
        "| model | file, bytes | parameters | training, bpd | held out, bpd | loss by quantisation, bpd | "
        "test archive, bpd | encode / lzma | decode / lzma |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name in MODELS:
        made = figures(f"train_zoo.{name}")
        cells = [f"{rate[name]['model_bytes']:,}", f"{made['parameters']:,}", f"{made['training_bpd']:.4f}"]
        cells += [f"{made['validation_bpd']:.4f}", f"{made['loss_by_quantisation_bpd']:.5f}"]
        cells.append(f"{rate[name]['archive_bpd']:.4f}")
        cells += [
            f"{speed[name][f'{way}_over_lzma']:.2f}" if name in speed else "" for way in ("encode", "decode")
        ]
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return [*lines, "", "![Training curves](figures/training.png)", ""]


def experiments() -> list[str]:
    """What was tried."""
    results = figures("experiments")
    base = results["baseline"]["validation_bpd"]
    lines = [
        "## What was tried",
        "",
        "One change each to a small circuit (`benchmarks/experiments.py`), on MNIST's training images; bpd on those "
        "held out, smaller is better. Ideas that did not help are listed like those that did.",
        "",
        "| idea | held out, bpd | to the baseline | training, bpd | transitions per edge | model, bytes | CPU, s |",
        "|---|---|---|---|---|---|---|",
    ]
    for found in results.values():
        cells = [found["idea"], f"{found['validation_bpd']:.4f}", f"{found['validation_bpd'] - base:+.4f}"]
        cells += [f"{found['training_bpd']:.4f}", f"{found['transitions_per_edge']:,.0f}"]
        cells += [f"{found['model_bytes']:,}", f"{found['cpu_seconds']}"]
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def against() -> list[str]:
    """What the yardsticks of this page are."""
    epoch = figures("em_epoch")
    square = epoch["epoch_over_square_products"]
    return [
        "## Notes",
        "",
        "- The EM yardstick is the three products of each edge for a mini-batch of 500, as numpy would do them. "
        "Against as many multiply-adds in square matrices of side 1,000, where numpy is at its best, the ratio is "
        f"{square:.2f}.",
        "- On the chain, messages of half the path are kept for the way back: over 100 MB at D = 16,384, where 64 "
        "variables need half a megabyte. Time grows with the way from cache to memory; multiply-adds do not.",
        "- Bits per dimension count every byte of the archive: header, chunks, checksums, index. The model's own bytes "
        "are not part of it; they stand in the table of models.",
    ]


def inpainting() -> str:
    """The figures of completions: a table for each kind of mask."""
    result = figures("inpainting")
    lines = [
        f"Written by `python benchmarks/report.py` from `benchmarks/inpainting.json`: `{result['model']}` on the "
        f"first {result['images_rated']:,} test images (bits) and {result['images_completed']} (completions). Errors "
        "are those of the missing samples alone; bits are those of the completion itself, per missing sample, given "
        "the rest. Two ways, for comparison, do not look at the rest: black, and each sample's median a priori. Times "
        "are of the processor.",
        "",
    ]
    for mask, made in result["masks"].items():
        lines += [
            f"**Missing: {mask}** ({made['missing']:.0%} of the samples). What was there takes "
            f"{made['bits_per_missing_sample']:.3f} bits per missing sample given the rest, "
            f"{made['bits_without_the_rest']:.3f} without.",
            "",
            "| completion | exact | mean absolute error | PSNR, dB | bits | ms per image |",
            "|---|---|---|---|---|---|",
        ]
        for way, found in made["ways"].items():
            seconds = found.get("cpu_seconds_per_image")
            cells = [
                f"`{way}`" if seconds else way,
                f"{found['exact']:.1%}",
                f"{found['mean_absolute_error']:.1f}",
            ]
            cells += [f"{found['psnr_db']:.1f}", f"{found['own_bits_per_missing_sample']:.3f}"]
            lines.append(f"| {' | '.join(cells)} | {f'{1000 * seconds:.0f}' if seconds else ''} |")
        lines.append("")
    return "\n".join(lines)


def pages() -> dict[Path, str]:
    """What each page must be."""
    weights = json.loads((HERE / "weights_rate.json").read_text())
    weights["figures"]["load"] = weights["load_average"][0]
    return {
        DOCS / "results.md": page(),
        DOCS / "comparison.md": comparison_page.page(),
        DOCS / "rate-distortion.md": rd_page.page(),
        QUERIES: between_marks(QUERIES, inpainting()),
        LAYERS: between_marks(LAYERS, layers_page.text()),
        RECOMBINER: between_marks(RECOMBINER, "\n".join(recombiner_page.figures())),
        WEIGHTS: between_marks(
            WEIGHTS,
            weights_page.figures(
                weights["figures"],
                *(figures(name) for name in ("weights_factors", "phnn/importance", "phnn/coded")),
            ),
        ),
        PHOTO: between_marks(
            PHOTO,
            photo_page.figures(
                *(
                    figures(f"photo_{what}")
                    for what in ("rate", "tiles", "memory", "integer", "deep", "online")
                )
            ),
        ),
    }


def between_marks(path: Path, text: str) -> str:
    """The page with this text for its figures."""
    before, rest = path.read_text().split(FIRST)
    return f"{before}{FIRST}{text}{LAST}{rest.partition(LAST)[2]}"


def main() -> int:
    """Write or check the pages."""
    faults = 0
    for path, text in pages().items():
        if sys.argv[1:] != ["--check"]:
            path.write_text(text)
        elif path.read_text() != text:
            print(f"{path.name} differs from the result files: run python benchmarks/report.py")
            faults = 1
    return faults


if __name__ == "__main__":
    sys.exit(main())
