"""The figures of docs/photo.md, from the results of photo_rate, _tiles, _memory, _integer, _deep and _online."""

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


RATIO = (1.2, 0.6)
"""Encoding time by decoding time: at most, and the aim."""

REFERENCE = "jxl-lossless:effort=9"
AGAINST = (
    ("Kodak", ("kodak",), 1.0, -3.0),
    ("photo_eval (wallpapers and Set14)", ("wallpapers", "set14"), 2.0, -2.0),
)
"""Sets, and percent above JPEG XL: at the most, and the aim."""

LARGEST = "100"
TILES, MEMORY, INTEGER = (1.0, 0.4), (1000, 1000), (0.02, 0.005)
"""At least, and the aim: percent lost by tiles of 512, MB for 100 megapixels, and bits lost by integers. Memory is
that for LARGEST megapixels."""


def mark(met_aim: bool, met_least: bool) -> str:
    """Tell what a figure reaches."""
    return "aim" if met_aim else "asked" if met_least else "**missed**"


def figures(
    result: dict[str, Any],
    tiles: dict[str, Any],
    memory: dict[str, Any],
    integer: dict[str, Any],
    deep: dict[str, Any],
    online: dict[str, Any],
) -> str:
    """Return the tables."""
    models = [name for name in result["kodak"] if name.startswith("pc-")]
    lines = [
        "Written by `python benchmarks/report.py` from `benchmarks/photo_rate.json` and those that are named below, "
        "beside the scripts that measure. Bits per sub-pixel of whole "
        "files, and how far above JPEG XL at effort 9 they are, with the 95% interval over images; of one run on one "
        "machine (2 cores, AVX-512 with VNNI).",
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
    lines += ["", "![Bits a sub-pixel over decoding speed on Kodak](figures/photo.png)", ""]
    lines += [
        *of_learning(online),
        "",
        *of_tiles(tiles),
        "",
        *of_memory(memory),
        "",
        *of_integers(integer),
        "",
        *of_depth(deep),
    ]
    lines += ["", "| goal | at least | aim | reached |", "|---|---|---|---|"]
    for model in (name for name in models if name in ASKED):
        least, aim, slow, quick = ASKED[model]
        rate = result["kodak"][model]["bits_per_subpixel"]
        speed = result["kodak"][model]["two_threads"]["decode_megapixels_per_second"]
        lines.append(
            f"| `{model}`, Kodak, bits per sub-pixel | {least:.2f} | {aim:.2f} | {rate:.3f} "
            f"({mark(rate <= aim, rate <= least)}) |"
        )
        lines.append(
            f"| `{model}`, decoding with 2 threads, MP/s | {slow:g} | {quick:g} | {speed:.3g} "
            f"({mark(speed >= quick, speed >= slow)}) |"
        )
    both = result["kodak"]["pc-photo"]["two_threads"]
    ratio = both["decode_megapixels_per_second"] / both["encode_megapixels_per_second"]
    lines.append(
        f"| `pc-photo`, encoding time by decoding time, 2 threads | {RATIO[0]} | {RATIO[1]} | {ratio:.2f} "
        f"({mark(ratio <= RATIO[1], ratio <= RATIO[0])}) |"
    )
    for title, sets, least, aim in AGAINST:
        over = percent_above(result, sets)
        lines.append(
            f"| `pc-photo` against JPEG XL at effort 9, {title} | {least:+g}% | {aim:+g}% | {over:+.1f}% "
            f"({mark(over <= aim, over <= least)}) |"
        )
    lines += goals(tiles, memory, integer)
    return "\n".join(lines) + "\n"


def percent_above(result: dict[str, Any], sets: tuple[str, ...]) -> float:
    """How far `pc-photo` is above JPEG XL in the mean over the images of some sets."""
    ours, theirs = (
        [bits for name in sets for bits in result[name][codec]["of_each_image"].values()]
        for codec in ("pc-photo", REFERENCE)
    )
    return 100 * (sum(ours) / sum(theirs) - 1)


def of_learning(found: dict[str, Any]) -> list[str]:
    """What learning online brings."""
    lines = [
        f"What learning online brings and costs on {found['images']} photographs of Kodak (`photo_online.json`): the "
        "networks of two models, of which no layers, the last or all learn while they code. Speeds are those of "
        f"decoding with {found['threads']} threads.",
        "",
        "| networks | layers | bits | won | MP/s |",
        "|---|---|---|---|---|",
    ]
    for name, ways in found["models"].items():
        for layers, one in ways.items():
            low, high = one["interval"]
            won = "" if layers == "none" else f"{one['percent']:.1f}% ({low:.1f} to {high:.1f})"
            speed = one["decode_megapixels_per_second"]
            lines.append(f"| `{name}` | {layers} | {one['bits_per_subpixel']:.3f} | {won} | {speed:.2f} |")
    return lines


def of_tiles(found: dict[str, Any]) -> list[str]:
    """What tiles cost."""
    lines = [
        f"What tiles cost on {found['images']} photographs of Kodak, each of which is one tile of at most 1,024 pixels "
        "a side (`photo_tiles.json`); intervals as above. Most of it is that networks begin to learn anew in each "
        "tile; the rest is their borders. In large images, where more could be learned, tiles of 512 lose more than "
        "in these.",
        "",
        "| model | one tile, bits | tiles of 512 | lost | tiles of 256 | lost |",
        "|---|---|---|---|---|---|",
    ]
    for name, one in found["models"].items():
        cells = [f"`{name}`", f"{one['bits_per_subpixel']:.4f}"]
        for side in ("512", "256"):
            low, high = one[side]["interval"]
            lost = f"{one[side]['percent_lost']:.2f}% ({low:.2f} to {high:.2f})"
            cells += [f"{one[side]['bits_per_subpixel']:.4f}", lost]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def of_memory(found: dict[str, Any]) -> list[str]:
    """Peak memory by size."""
    lines = [
        f"Peak memory of the command with `{found['model']}` and {found['threads']} threads, from PNG to PNG, of RGB "
        "images made of photographs (`photo_memory.json`). It is that of the whole process: interpreter, image, and "
        "the files, one of which is mapped.",
        "",
        "| megapixels | samples, MB | PNG | coded | encode, peak MB | decode, peak MB |",
        "|---|---|---|---|---|---|",
    ]
    for size, one in found["megapixels"].items():
        size = size.replace("-colours", " (256 colours)")
        cells = [size, *(f"{one[f'{what}_mb']:.0f}" for what in ("sample", "png", "coded"))]
        cells += [f"{one[verb]['peak_mb']:.0f}" for verb in ("encode", "decode")]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def of_integers(found: dict[str, Any]) -> list[str]:
    """What integers cost."""
    floats, coded = (found[f"{what}_bits_per_subpixel"] for what in ("float", "coded"))
    return [
        f"Integers against floats (`photo_integer.json`): networks {found['networks']}, of {found['hidden']} hidden "
        f"units, on {found['samples']:,} samples of crops that were not learned from. In floats, as learning takes "
        f"them, the code length is {floats:.4f} bits a sub-pixel; the coder's bytes, with the networks' integers, take "
        f"{coded:.4f}, before they learn online; with that, {found['learning_online_bits_per_subpixel']:.4f}.",
    ]


def of_depth(found: dict[str, Any]) -> list[str]:
    """Rates of 16-bit images."""
    lines = [
        f"16-bit colour (`photo_deep.json`): {found['images']} photographs of Kodak averaged to half their size, with "
        "noise in the lowest bits. The networks have learned from 8-bit samples only.",
        "",
        "| codec | bits a sample | against JPEG XL |",
        "|---|---|---|",
    ]
    for name, one in found["codecs"].items():
        low, high = one["interval"]
        against = f"{one['percent_above_jxl']:+.1f}% ({low:+.1f} to {high:+.1f})"
        lines.append(f"| {NAMES.get(name, f'`{name}`')} | {one['bits_per_sample']:.2f} | {against} |")
    return lines


def goals(tiles: dict[str, Any], memory: dict[str, Any], integer: dict[str, Any]) -> list[str]:
    """Rows of what was asked, beside rate and speed."""
    model, *_ = tiles["models"]
    lost = tiles["models"][model]["512"]["percent_lost"]
    bits = integer["lost_bits_per_subpixel"]
    rows = [
        (f"`{model}`, lost by tiles of 512, %", TILES, lost, f"{lost:.2f}"),
        (
            f"lost by integers, bits per sub-pixel (networks {integer['networks']})",
            INTEGER,
            bits,
            f"{bits:.4f}",
        ),
    ]
    largest = [one for size, one in memory["megapixels"].items() if size.split("-")[0] == LARGEST]
    if largest:
        peak = max(one[verb]["peak_mb"] for one in largest for verb in ("encode", "decode"))
        rows.append((f"peak memory, {LARGEST} megapixels, MB", MEMORY, peak, f"{peak:.0f}"))
    missing = (
        [] if largest else [f"| peak memory, {LARGEST} megapixels, MB | {MEMORY[0]} | | not measured yet |"]
    )
    return missing + [
        f"| {what} | {least:g} | {aim:g} | {shown} ({mark(value <= aim, value <= least)}) |"
        for what, (least, aim), value, shown in rows
    ]
