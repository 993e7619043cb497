"""The text of docs/comparison.md, from the result files beside this script; report.py writes and checks it."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
TITLES = {"mnist": "MNIST", "fashion-mnist": "Fashion-MNIST"}
FAMILIES = {"balanced": "balanced", "image": "image grid", "chain": "chain"}
ORDERS = {"naive": "one evaluation per variable", "path": "path only", "walk": "one walk"}
JOBS = ORDERS | {"encode": "neuralcodec, encode", "decode": "neuralcodec, decode"}


def load(name: str) -> dict[str, Any]:
    """One result file."""
    result: dict[str, Any] = json.loads((HERE / f"{name}.json").read_text())
    return result


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """Lines of a table, and an empty one."""
    titles = list(head)
    lines = [f"| {' | '.join(titles)} |", "|" + "---|" * len(titles)]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows), ""]


def ratio(value: float) -> str:
    """Three significant digits, without exponents."""
    digits = max(0, 2 - len(str(int(value)).lstrip("0"))) if value >= 1 else 2
    return f"{value:.{digits}f}" if value >= 0.1 else f"{value:.4f}"


def decimal(value: float) -> str:
    """A published rate: two decimals, or all that were published."""
    return max(f"{value:.2f}", f"{value:g}", key=len)


def page() -> str:
    """The whole page."""
    compare, complexity = load("compare")["figures"], load("complexity")["figures"]
    lines = [
        "# Comparison",
        "",
        "Written by `python benchmarks/report.py` from `published.json`, `compare.json` and `complexity.json` in "
        "`benchmarks/`; the last two name the command, the versions and the machine of each run. What the models are "
        "stands in [models.md](models.md), what is asked of them in [results.md](results.md). Bits per dimension (bpd) "
        "are bits per sample, here per pixel.",
        "",
        *published(compare),
        *files(compare),
        *break_even(compare),
        *orders(complexity),
    ]
    return "\n".join(lines).rstrip() + "\n"


def published(compare: dict[str, Any]) -> list[str]:
    """Rates from the literature beside ours."""
    known = load("published")
    sources = {name: f"[{number}]" for number, name in enumerate(known["sources"], 1)}
    rows: list[tuple[float, list[str]]] = []
    for row in known["rows"]:
        rates = [decimal(row[data]) for data in TITLES]
        cells = [row["method"], row["kind"], "likelihood", *rates, sources[row["source"]]]
        rows.append((row["mnist"], cells))
    for data, of_set in compare["sets"].items():
        for model, about in of_set["models"].items():
            archive = next(r for r in of_set["rows"] if r["model"] == model and r["layout"] == "archive")
            for counted, rate in (("likelihood", about["model_bpd"]), ("**file**", archive["bpd"])):
                rates = [f"**{rate:.4f}**" if data == one else "" for one in TITLES]
                cells = [f"**`{model}`**", "circuit", counted, *rates, "measured"]
                rows.append((rate, cells))
    lines = [
        "## Published rates",
        "",
        "Most publications report what the model's likelihood promises (for the VAEs a bound on it), not the size of "
        "a file that was decoded again. Ours are given both ways; the files are whole archives of the 10,000 test "
        "images. Neither counts the model itself, which comes under [break-even](#break-even). Only figures that were "
        "read in the source named are repeated here.",
        "",
        *table(
            ("model", "kind", "counted", "MNIST, bpd", "Fashion-MNIST, bpd", "source"),
            (cells for _, cells in sorted(rows, key=lambda item: item[0])),
        ),
    ]
    for name, source in known["sources"].items():
        lines += [f"{sources[name]} {source['cite']}: <{source['url']}>", ""]
    return lines


def files(compare: dict[str, Any]) -> list[str]:
    """Sizes and times of everything measured."""
    lines = [
        "## Files",
        "",
        "The 10,000 test images, coded, decoded and compared. Layouts: a *file per image* (the first "
        f"{compare['singles']} images); a *mosaic*, one picture of 100 x 100 images; a *strip*, one picture of 28 "
        "columns with every image below the one before; *one stream* of all samples as bytes; an *archive*. "
        "Only files per image and archives give back one image without decoding all the rest. A mosaic, a strip or a "
        "stream lets a tool learn from all the images that it codes; neuralcodec knows its model alone, and codes "
        "every group of images apart.",
        "",
        "Times are over that of `lzma.compress(preset=9)` on the same bytes, run in turn with the others; those of "
        "files per image are scaled to 10,000. *Wall* is what one waits (neuralcodec uses "
        f"{compare['our_threads']} threads, the others mostly one), *processor* what all threads use.",
        "",
        "![Bits per dimension over decoding time](figures/comparison.png)",
        "",
    ]
    for data, of_set in compare["sets"].items():
        lines += [f"### {TITLES[data]}", "", *file_table(of_set)]
    tools = ", ".join(f"{name} {version}" for name, version in compare["tools"].items())
    lines += [f"Tools: {tools}.", ""]
    if compare["skipped"]:
        lines += [f"Left out where this was measured: {'; '.join(compare['skipped'])}.", ""]
    return lines


def file_table(of_set: dict[str, Any]) -> list[str]:
    """What was measured on one data set, smallest first, and who is smallest."""
    rows = sorted(of_set["rows"], key=lambda row: row["bpd"])
    times = [f"{way}{kind}_over_lzma" for kind in ("", "_processor") for way in ("encode", "decode")]
    cells = []
    for row in rows:
        name = f"**{row['name']}**" if row["model"] else row["name"]
        figures = [f"{row['bytes_per_image']:.1f}", f"{row['bpd']:.4f}", *(ratio(row[t]) for t in times)]
        cells.append([name, row["layout"], *figures])
    head = ("tool", "layout", "bytes per image", "bpd", "encode, wall", "decode, wall")
    models = ", ".join(f"`{m}` {about['bytes']:,} bytes" for m, about in of_set["models"].items())
    return [
        *table((*head, "encode, processor", "decode, processor"), cells),
        f"Models, not counted above: {models}." if models else "No model ships for these images.",
        "",
        *best(rows),
    ]


def best(rows: list[dict[str, Any]]) -> list[str]:
    """Who is smallest, in words."""
    said = []
    for kind, layouts in (("one by one", ["file per image"]), ("together", None)):
        chosen = [r for r in rows if (r["layout"] in layouts if layouts else r["layout"] != "file per image")]
        first, rest = chosen[0], [r for r in chosen if bool(r["model"]) != bool(chosen[0]["model"])]
        text = f"Smallest {kind}: {first['name']} ({first['layout']}), {first['bpd']:.4f} bpd"
        if rest:
            other = "the best of the others" if first["model"] else "the best of ours"
            text += f"; {other}: {rest[0]['name']} ({rest[0]['layout']}), {rest[0]['bpd']:.4f}"
        said.append(text + ".")
    return [" ".join(said), ""]


def break_even(compare: dict[str, Any]) -> list[str]:
    """From how many images on a model pays for its own bytes."""
    lines = [
        "## Break-even",
        "",
        "The least number n of images for which the model's file and n images together take less than n images with "
        "the other tool: model + n x ours < n x other. Sizes per image are the means above: our single files against "
        "files per image, our archive against the other layouts. Beyond the images measured this extrapolates; the "
        "programs themselves are not counted.",
        "",
    ]
    for data, of_set in compare["sets"].items():
        models = list(of_set["models"])
        if not models:
            lines += [f"{TITLES[data]}: no model ships yet.", ""]
            continue
        cells = []
        for row in sorted(
            (r for r in of_set["rows"] if not r["model"]), key=lambda r: (r["layout"], r["bpd"])
        ):
            counts = [row["break_even"][m] for m in models]
            cells.append(
                [row["name"], row["layout"], *(f"{n:,}" if n is not None else "never" for n in counts)]
            )
        lines += table((f"{TITLES[data]}, against", "layout", *(f"`{m}`" for m in models)), cells)
    return lines


def orders(complexity: dict[str, Any]) -> list[str]:
    """What a signal costs as its number of variables grows."""
    return [
        *what_is_measured(complexity["setting"]),
        *slope_table(complexity),
        *count_table(complexity["families"]),
        *caches(complexity),
    ]


def what_is_measured(setting: dict[str, Any]) -> list[str]:
    """The three orders and the setting."""
    return [
        "## Cost of a signal",
        "",
        "Coding needs the probability of every variable given those before it. Asking the circuit anew for each of "
        "the D variables costs O(D |p|), |p| being the circuit's size. Liu, Mandt and Van den Broeck (*Lossless "
        "Compression with Probabilistic Circuits*, ICLR 2022) evaluate for each variable only what changes, the path "
        "above it, which makes O(log(D) |p|) if the structure is balanced. The walk of [format.md](format.md), section "
        "7.3, passes every edge at most twice for all variables together: O(|p|), whatever the shape of the tree.",
        "",
        "All three were written with the same arithmetic and run on the same circuits "
        f"({setting['states']} states, {setting['alphabet']} values, |p| proportional to D), on one thread, "
        f"{setting['lanes']} signals side by side: balanced binary trees with the variables at their leaves; random "
        "spanning trees of a square grid, as an image gives; chains; the last two rooted at their centre. They agree "
        "on all code lengths to one part in a million, and so "
        f"does the shipped kernel, whose times include the coder (groups of {setting['kernel_group']} signals). The "
        "orders work out code lengths only: as encoders the first two would need a second evaluation for each "
        "variable, as decoders several. Variables come in the order that suits *path only* best; a chain rooted at one "
        "end and coded from the other would cost it O(|p|) too.",
        "",
        "![Time of a signal over its number of variables](figures/complexity.png)",
        "",
    ]


def slope_table(complexity: dict[str, Any]) -> list[str]:
    """How fast time and multiply-adds grow."""
    cells = []
    for job, title in JOBS.items():
        found = []
        for name in complexity["families"]:
            slopes = complexity["slopes"][name]
            counted = f" ({slopes['multiply_adds'][job]:.2f})" if job in slopes["multiply_adds"] else ""
            found.append(f"{slopes['time'][job]:.3f}{counted}")
        cells.append([title, *found])
    return [
        "Slopes of log(time) over log(D), least squares, and of multiply-adds in brackets:",
        "",
        *table(("order", *(FAMILIES[name] for name in complexity["families"])), cells),
    ]


def count_table(families: dict[str, Any]) -> list[str]:
    """Multiply-adds per parameter."""
    cells = []
    sizes = list(families["balanced"])
    for name, results in families.items():
        for order, title in ORDERS.items():
            per = (results[d]["multiply_adds"][order] / results[d]["parameters"] for d in sizes)
            cells.append([FAMILIES[name], title, *(f"{value:,.2f}" for value in per)])
    return [
        "Multiply-adds for one signal and parameter of the circuit, counted exactly:",
        "",
        *table(("tree", "order", *(f"D = {int(d):,}" for d in sizes)), cells),
    ]


def caches(complexity: dict[str, Any]) -> list[str]:
    """Why time may grow a little faster than multiply-adds."""
    setting, balanced = complexity["setting"], complexity["families"]["balanced"]
    small, large = (4e-6 * of(e["parameters"] for e in balanced.values()) for of in (min, max))
    naive = max(int(d) for d, e in balanced.items() if "naive" in e["least_seconds_per_signal"])
    return [
        f"The first order is timed up to D = {naive:,}; beyond that it takes minutes. Where time grows faster than "
        f"multiply-adds, memory is the reason: the balanced circuits' tables grow from {small:.1f} MB, which caches "
        f"hold, to {large:.0f} MB, and every matrix is read once for {setting['lanes']} signals in the three orders, "
        f"once for {setting['kernel_group']} in the kernel. The bare walk, which does least with a matrix that it has "
        "read, feels it most. The setting is the same for all D.",
        "",
    ]
