"""Draws docs/figures/ from the result files beside this script; complexity.py and compare.py draw theirs at their end.

python benchmarks/figures.py
"""

import json
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
FOLDER = HERE.parent / "docs" / "figures"
LINES = {
    "naive": ("one evaluation per variable", "#b3452c", "s", "-"),
    "path": ("path only (Liu et al. 2022)", "#c98a1b", "^", "-"),
    "walk": ("one walk, same arithmetic", "#1f6f8b", "o", "-"),
    "encode": ("neuralcodec, encode", "#3d3d3d", "v", "--"),
    "decode": ("neuralcodec, decode", "#8a8a8a", "D", "--"),
}
TITLES = {"balanced": "balanced binary tree", "image": "tree over an image grid", "chain": "chain"}
MARKS = {"file per image": "o", "mosaic": "s", "strip": "P", "one stream": "^", "archive": "*"}
OURS, OTHERS = "#1f6f8b", "#6b6b6b"
SHORT = {", Pillow optimize": "", " lossless, method 6": "", "JPEG XL, effort ": "JXL e", " --ultra": ""}
PLACES = [
    (1, 0),
    (-1, 0),
    (0, 2),
    (0, -2),
    (1, 1),
    (1, -1),
    (-1, 1),
    (-1, -1),
    (1, 2),
    (1, -2),
    (-1, 2),
    (-1, -2),
]


def style() -> Any:
    """matplotlib.pyplot, set up for small figures on white."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update(
        {
            "font.size": 9,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.color": "#e4e4e4",
            "grid.linewidth": 0.6,
            "axes.axisbelow": True,
            "figure.facecolor": "white",
            "savefig.facecolor": "white",
            "legend.frameon": False,
        }
    )
    return plt


def save(figure: Any, name: str, colours: int = 64) -> None:
    """Write docs/figures/<name>.png with a palette, which keeps it small."""
    from io import BytesIO

    from PIL import Image

    FOLDER.mkdir(exist_ok=True)
    buffer = BytesIO()
    figure.savefig(buffer, dpi=150, bbox_inches="tight", format="png")
    picture = Image.open(buffer).convert("RGB").quantize(colours, dither=Image.Dither.NONE)
    picture.save(FOLDER / f"{name}.png", optimize=True)


def draw_complexity(figures: Mapping[str, Any]) -> None:
    """Time per signal over D for every family of trees, log-log, with the slopes."""
    plt = style()
    figure, axes = plt.subplots(1, len(figures["families"]), figsize=(9.6, 3.6), sharey=True)
    for axis, (name, results) in zip(axes, figures["families"].items(), strict=True):
        axis.text(0.04, 0.97, "slope", transform=axis.transAxes, va="top", fontsize=8)
        for row, (job, (label, colour, marker, line)) in enumerate(LINES.items()):
            times = {int(d): e["least_seconds_per_signal"].get(job) for d, e in results.items()}
            points = [(d, t * 1e6) for d, t in times.items() if t is not None]
            look = {"color": colour, "marker": marker, "ls": line, "ms": 4, "lw": 1.3, "label": label}
            axis.loglog(*zip(*points, strict=True), **look)
            text = f"{figures['slopes'][name]['time'][job]:.2f}"
            place = (0.04, 0.90 - 0.065 * row)
            axis.text(*place, text, transform=axis.transAxes, va="top", fontsize=8, color=colour)
        sizes = [int(d) for d in results]
        axis.set_xticks(sizes, [f"{d:,}" for d in sizes], fontsize=8)
        axis.minorticks_off()
        axis.set_title(TITLES[name], fontsize=10)
        axis.set_xlabel("variables D")
    axes[0].set_ylim(top=2e6)
    axes[0].set_ylabel("microseconds per signal, one thread")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=5, fontsize=8, bbox_to_anchor=(0.5, -0.08))
    save(figure, "complexity")
    plt.close(figure)


def short(row: Mapping[str, Any]) -> str:
    """A label for the plot."""
    name = str(row["name"]).removeprefix("neuralcodec, ")
    for long, brief in SHORT.items():
        name = name.replace(long, brief)
    return name


def place_labels(axis: Any, points: list[tuple[float, float]], labels: list[Any]) -> None:
    """Move each label to the side of its point where it overlaps least with labels and points placed before."""
    renderer = axis.figure.canvas.get_renderer()
    marks = axis.transData.transform(points)
    taken = [(x - 4, y - 4, x + 4, y + 4) for x, y in marks]
    frame = axis.get_window_extent(renderer)
    for (x, y), label in zip(marks, labels, strict=True):
        box = label.get_window_extent(renderer)
        best = None
        for dx, dy in PLACES:
            left = x + dx * 7 - (box.width if dx < 0 else 0 if dx > 0 else box.width / 2)
            low = y + dy * 6 - box.height / 2
            spot = (left, low, left + box.width, low + box.height)
            cost = sum(overlap(spot, other) for other in taken) + 0.02 * abs(dy)
            cost += 1e3 * (spot[0] < frame.x0 or spot[2] > frame.x1 or spot[1] < frame.y0)
            if best is None or cost < best[0]:
                best = cost, spot
        assert best is not None
        taken.append(best[1])
        label.set_position(axis.transData.inverted().transform(best[1][:2]))


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Common area of two boxes (left, low, right, high)."""
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


def draw_comparison(figures: Mapping[str, Any]) -> None:
    """Bits per dimension over decoding time, one panel for each data set."""
    plt = style()
    figure, axes = plt.subplots(1, len(figures["sets"]), figsize=(9.6, 4.6))
    for axis, (data, of_set) in zip(axes, figures["sets"].items(), strict=True):
        points, labels = [], []
        for row in sorted(of_set["rows"], key=lambda row: -bool(row["model"])):
            point = row["decode_over_lzma"], row["bpd"]
            colour = OURS if row["model"] else OTHERS
            axis.scatter(*point, marker=MARKS[row["layout"]], s=34 if row["model"] else 24, color=colour)
            points.append(point)
            labels.append(axis.text(*point, short(row), fontsize=7, color=colour, va="bottom"))
        axis.set_xscale("log")
        axis.margins(0.12)
        axis.set_title({"mnist": "MNIST test", "fashion-mnist": "Fashion-MNIST test"}[data], fontsize=10)
        figure.canvas.draw()
        place_labels(axis, points, labels)
    axes[0].set_ylabel("bits per dimension")
    figure.supxlabel("time to decode 10,000 images / time of lzma -9 to encode them", fontsize=9, y=0.02)
    handles = [plt.Line2D([], [], ls="", marker=m, color=OTHERS, label=name) for name, m in MARKS.items()]
    handles.append(plt.Line2D([], [], ls="", marker="s", color=OURS, label="neuralcodec"))
    figure.legend(handles=handles, loc="lower center", ncols=6, fontsize=8, bbox_to_anchor=(0.5, -0.07))
    save(figure, "comparison")
    plt.close(figure)


def draw_training(results: Mapping[str, Any]) -> None:
    """Training and held-out rates of the shipped models, epoch by epoch."""
    plt = style()
    figure, axes = plt.subplots(1, len(results), figsize=(9, 2.6), layout="constrained")
    for axis, (name, result) in zip(axes, results.items(), strict=True):
        epochs = result["epochs"]
        at = [line["epoch"] for line in epochs]
        axis.plot(
            at, [line["training_bpd"] for line in epochs], color=OTHERS, linestyle="--", label="training"
        )
        axis.plot(at, [line["validation_bpd"] for line in epochs], color=OURS, label="held out")
        for before, after in pairwise(epochs):
            if before["states"] != after["states"]:
                axis.axvline(after["epoch"] - 0.5, color="#c4c4c4", linewidth=0.8)
                axis.annotate(
                    str(after["states"]), (after["epoch"] - 0.3, 0.97), xycoords=("data", "axes fraction"),
                    fontsize=7, color=OTHERS, va="top",
                )  # fmt: skip
        axis.set_title(name, fontsize=9)
        axis.set_xlabel("epoch (states at the lines)")
    axes[0].set_ylabel("bits per dimension")
    axes[0].legend()
    save(figure, "training")


RD_LINES = {
    "jpeg": ("JPEG 4:2:0", "#0072b2", "o"),
    "jpeg-444": ("JPEG 4:4:4", "#56b4e9", "v"),
    "webp": ("WebP", "#e69f00", "s"),
    "avif": ("AVIF", "#009e73", "D"),
    "jpeg2000": ("JPEG 2000", "#cc79a7", "^"),
    "jxl": ("JPEG XL", "#d55e00", "P"),
}
RD_TITLES = {"mnist": "MNIST", "cifar10": "CIFAR-10", "each": "a file per image", "mosaic": "one mosaic"}


def draw_rate_distortion(figures: Mapping[str, Any]) -> None:
    """PSNR of the mean squared error over the rate on small images: a panel for each set and layout."""
    plt = style()
    sets = figures["sets"]
    fig, axes = plt.subplots(len(sets), 2, figsize=(8, 3.2 * len(sets)), sharey="row", squeeze=False)
    for row, (data, layouts) in zip(axes, sets.items(), strict=True):
        for axis, (layout, codecs) in zip(row, layouts.items(), strict=True):
            for codec, curve in codecs.items():
                name, colour, mark = RD_LINES[codec]
                points = (curve["bpp"], curve["psnr-rgb-of-mean-mse"])
                axis.plot(*points, color=colour, marker=mark, markersize=4, linewidth=1.2, label=name)
            axis.set_title(f"{RD_TITLES[data]}, {RD_TITLES[layout]}", loc="left", fontsize=9)
            axis.set_xlabel("bits per pixel, headers included")
            axis.set_xlim(left=0)
        row[0].set_ylabel("PSNR of the mean squared error, dB")
    axes[-1, 0].legend(fontsize=8)
    fig.tight_layout()
    save(fig, "small_images")


def main() -> None:
    """Draw what there are results for."""
    for name, draw in {"complexity": draw_complexity, "compare": draw_comparison}.items():
        draw(json.loads((HERE / f"{name}.json").read_text())["figures"])
    names = ("pc-mnist-fast", "pc-mnist", "pc-fashion-mnist")
    draw_training({name: json.loads((HERE / f"train_zoo.{name}.json").read_text()) for name in names})


if __name__ == "__main__":
    main()
