"""The text of docs/rate-distortion.md, from the result files beside this script; report.py writes and checks it."""

import itertools
from typing import Any

from comparison_page import load, table

from neuralcodec.evaluation.bd import bd_rate

SETS = {"mnist": "MNIST", "cifar10": "CIFAR-10"}
LAYOUTS = {"each": "a file per image", "mosaic": "one mosaic"}
NAMES = {
    "jpeg": "JPEG 4:2:0",
    "jpeg-444": "JPEG 4:4:4",
    "webp": "WebP",
    "avif": "AVIF",
    "jpeg2000": "JPEG 2000",
    "jxl": "JPEG XL",
}
LEVELS = {"mnist": (25, 30, 35, 40), "cifar10": (24, 28, 32)}  # dB at which rates are told


def page() -> str:
    """The whole page."""
    lines = [
        "# Rate and distortion",
        "",
        "Written by `python benchmarks/report.py` from `rd_kodak.json`, `eval_overhead.json`, `eval_full.json`, "
        "`report_page.json`, `bd_coverage.json` and `rd_small.json` in `benchmarks/`, which name the command, the "
        "versions and the machine of each run. How it is measured stands in [evaluation.md](evaluation.md), what the "
        "figures mean in [metrics.md](metrics.md).",
        "",
        *asked(),
        *kodak(),
        *published(),
        *small(),
    ]
    return "\n".join(lines).rstrip() + "\n"


def figures(name: str) -> dict[str, Any]:
    """The figures of one result file."""
    result: dict[str, Any] = load(name)["figures"]
    return result


def asked() -> list[str]:
    """What the harness must reach."""
    kodak, full, ready = figures("rd_kodak"), figures("eval_full"), figures("report_page")
    overhead, coverage = figures("eval_overhead"), figures("bd_coverage")["by_images"]["24"]
    slowest = max(one["median"] for one in ready["milliseconds_until_ready"].values()) / 1000
    jpeg = kodak["jpeg"]["with_libjpeg_9"]["bd_rate"]
    share = [f"{coverage[which]['coverage']:.1%}" for which in ("bd_rate", "bd_psnr")]
    rows = [
        ("BD goldens, PCHIP and cubic, 12 pairs", "0.01", "equal to rounding", "tests/evaluation/bd"),
        (
            "WebP on Kodak against the published curve, BD-rate",
            "1%",
            percent(kodak["webp"]),
            "benchmarks/rd_kodak.py",
        ),
        (
            "JPEG (4:2:0) on Kodak against the published curve, BD-rate",
            "1%, or explained",
            f"{percent(kodak['jpeg'])}; with the JPEG library of that curve {jpeg:+.2f}%: see below",
            "benchmarks/rd_kodak.py",
        ),
        (
            "`eval` of JPEG on Kodak / bare Pillow loop, whole commands",
            "1.3",
            f"{overhead['eval_over_loop']:.2f}",
            "benchmarks/eval_overhead.py",
        ),
        (
            f"full run, 24 images, 5 codecs, 8 rates, 2 jobs ({full['measurements']} measurements), report included",
            "10 min, 2 GB",
            f"{full['seconds'] / 60:.1f} min, {full['peak_memory_bytes'] / 1e9:.2f} GB",
            "benchmarks/eval_full.py",
        ),
        ("report of that run, size", "15 MB", f"{ready['bytes'] / 1e6:.1f} MB", "benchmarks/report_page.py"),
        (
            "the same, until interactive in headless Chromium",
            "2 s",
            f"{slowest:.2f} s",
            "benchmarks/report_page.py",
        ),
        (
            "coverage of nominal 95% intervals, 2,000 trials, 24 images: BD-rate, BD-PSNR",
            "92-98%",
            ", ".join(share),
            "benchmarks/bd_coverage.py",
        ),
    ]
    return table(("what", "asked", "reached", "script"), ((*row[:3], f"`{row[3]}`") for row in rows))


def percent(found: dict[str, Any]) -> str:
    """A BD-rate by PSNR."""
    return f"{found['bd_rate']['psnr-rgb']:+.2f}%".replace("-0.00", "0.00")


def kodak() -> list[str]:
    """The codecs of the full run against JPEG."""
    curves = figures("eval_full")["curves"]
    anchor = curves["JPEG"]
    rows = []
    for name, curve in curves.items():
        deltas = [
            bd_rate(anchor["bpp"], anchor[key], curve["bpp"], curve[key])
            for key in ("psnr-rgb", "ms-ssim-rgb-db")
        ]
        if name != "JPEG":
            rows.append((name, *(f"{delta:+.1f}%" for delta in deltas)))
    return [
        "## Kodak",
        "",
        "BD-rate (PCHIP) against JPEG 4:2:0 of the full run, over 24 images; files with all their headers.",
        "",
        *table(("codec", "by PSNR (RGB)", "by MS-SSIM (dB)"), rows),
    ]


def published() -> list[str]:
    """How ours agree with the published curves."""
    found = figures("rd_kodak")
    jpeg, webp, nine = found["jpeg"], found["webp"], found["jpeg"]["with_libjpeg_9"]
    return [
        "### Against published curves",
        "",
        "CompressAI publishes JPEG and WebP at Pillow's qualities 5, 10, ..., 95, made with Pillow 7.1.2. Our WebP is "
        f"the same to {webp['largest_psnr_difference']:.0e} dB. Our JPEG files have the same sizes within "
        f"{jpeg['largest_relative_bpp_difference']:.1%}, but are up to {jpeg['largest_psnr_difference']:.2f} dB "
        "better. The wheels of Pillow 7.1.2 hold the Independent JPEG Group's libjpeg 9, which resamples chroma within "
        "the DCT; today's hold libjpeg-turbo, which averages and interpolates. `benchmarks/ijg_chroma.py` codes the "
        "images as libjpeg 9 does: its PSNR is the published one within "
        f"{nine['largest_psnr_difference']:.2f} dB at all 19 qualities, and with our files' sizes the BD-rate is "
        f"{nine['bd_rate']:+.2f}%.",
        "",
    ]


def small() -> list[str]:
    """Rates on small images at a few PSNRs."""
    result = figures("rd_small")
    lines = [
        "## Small images",
        "",
        f"{result['images']:,} test images drawn by seed; the PSNR is that of the mean squared error. On images of "
        "28x28 and 32x32 headers are most of a file, so every codec is also given all images as the tiles of one "
        "picture. Rates are bits per pixel, headers included, interpolated between rate points; a dash is "
        "out of a codec's reach.",
        "",
        "![PSNR over rate](figures/small_images.png)",
        "",
    ]
    for data, layouts in result["sets"].items():
        for layout, codecs in layouts.items():
            rows = [
                (NAMES[name], *(rate(curve, level) for level in LEVELS[data]))
                for name, curve in codecs.items()
            ]
            lines += [f"### {SETS[data]}, {LAYOUTS[layout]}", ""]
            lines += table(("codec", *(f"at {level} dB" for level in LEVELS[data])), rows)
    return lines


def rate(curve: dict[str, Any], level: float) -> str:
    """The rate of a curve at a PSNR, on a straight line between its points."""
    points = sorted(zip(curve["psnr-rgb-of-mean-mse"], curve["bpp"], strict=True))
    for (low, below), (high, above) in itertools.pairwise(points):
        if low <= level <= high:
            return f"{below + (above - below) * (level - low) / (high - low):.2f}"
    return "-"
