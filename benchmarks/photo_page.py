"""The figures of docs/photo.md, from photo_rate.json and photo_zoo.*.json."""

from typing import Any

NAMES = {
    "jxl-lossless:effort=9": "JPEG XL, effort 9",
    "jxl-lossless:effort=7": "JPEG XL, effort 7",
    "jxl-lossless:effort=3": "JPEG XL, effort 3",
    "webp-lossless": "WebP",
    "png": "PNG",
    "jpeg-ls": "JPEG-LS",
    "jpeg2000-lossless": "JPEG 2000",
}
SETS = {"kodak": "Kodak", "wallpapers": "wallpapers", "set14": "Set14"}
ASKED = {
    "pc-photo": (2.90, 2.80, 0.3, 1.0),
    "pc-photo-fast": (3.00, 2.90, 1.0, 4.0),
}
"""Bits per sub-pixel of Kodak, and megapixels a second of decoding with 2 threads: at least, and the aim."""


def mark(met_aim: bool, met_least: bool) -> str:
    """Tell what a figure reaches."""
    return "aim" if met_aim else "asked" if met_least else "**missed**"


def figures(result: dict[str, Any]) -> str:
    """Return the tables."""
    models = [name for name in result["kodak"] if name.startswith("pc-")]
    lines = [
        "Written by `python benchmarks/report.py` from `benchmarks/photo_rate.json`. Bits per sub-pixel of whole "
        "files, and how far above JPEG XL at effort 9 they are, with the 95% interval over images; of one run on one "
        "machine (2 cores, AVX2).",
        "",
        f"| codec | {' | '.join(f'{SETS[s]}, bits | against JPEG XL' for s in result)} |",
        f"|---|{'---|---|' * len(result)}",
    ]
    for codec in result["kodak"]:
        cells = [NAMES.get(codec, f"`{codec}`")]
        for found in (result[s][codec] for s in result):
            low, high = found["interval"]
            cells += [
                f"{found['bits_per_subpixel']:.3f}",
                f"{found['percent_above_jxl']:+.1f}% ({low:+.1f} to {high:+.1f})",
            ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "| codec on Kodak | encode, MP/s, 1 thread | decode | encode, 2 threads | decode | model, bytes |",
        "|---|---|---|---|---|---|",
    ]
    for codec, found in result["kodak"].items():
        both = found.get("two_threads", {})
        cells = [NAMES.get(codec, f"`{codec}`")]
        cells += [f"{found[f'{kind}_megapixels_per_second']:.2f}" for kind in ("encode", "decode")]
        cells += [
            f"{both[f'{kind}_megapixels_per_second']:.2f}" if both else "" for kind in ("encode", "decode")
        ]
        cells.append(f"{found['model_bytes']:,}" if found["model_bytes"] else "")
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "| goal | at least | aim | reached |", "|---|---|---|---|"]
    for model in models:
        least, aim, slow, quick = ASKED[model]
        rate = result["kodak"][model]["bits_per_subpixel"]
        speed = result["kodak"][model]["two_threads"]["decode_megapixels_per_second"]
        lines.append(
            f"| `{model}`, Kodak, bits per sub-pixel | {least:.2f} | {aim:.2f} | {rate:.3f} "
            f"({mark(rate <= aim, rate <= least)}) |"
        )
        lines.append(
            f"| `{model}`, decoding with 2 threads, MP/s | {slow:g} | {quick:g} | {speed:.2f} "
            f"({mark(speed >= quick, speed >= slow)}) |"
        )
    return "\n".join(lines) + "\n"
