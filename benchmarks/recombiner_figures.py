"""Draws docs/figures/recombiner.png, rates and distortions on CIFAR-10 and MNIST, from the result files beside it.

python benchmarks/recombiner_figures.py
"""

import json
from typing import Any

from common import HERE
from figures import OURS, save, style
from recombiner_small import Curve, rivals

LIMITS = {"cifar10": ((0.2, 4.5), (21, 37)), "mnist": ((0.12, 6), (22, 45))}
TITLES = {"cifar10": "CIFAR-10", "mnist": "MNIST"}
PREFIXES = {"cifar10": "recombiner-cifar-", "mnist": "recombiner-mnist-"}
SHOWN = {
    "cifar10": {
        "RECOMBINER, published": ("RECOMBINER, its paper", "#c98a1b", "s", "--"),
        "COIN++, published": ("COIN++", "#b3452c", "^", "--"),
        "BPG, published": ("BPG", "#8a8a8a", "x", "--"),
        "bmshj2018-hyperprior, published": ("scale hyperprior", "#6b4c9a", "D", "--"),
        "webp, one file an image": ("WebP, a file an image", "#3d3d3d", "v", "-"),
        "jpeg2000, one mosaic of all": ("JPEG 2000, one mosaic", "#3d3d3d", "P", ":"),
        "webp, one mosaic of all": ("WebP, one mosaic", "#3d3d3d", "v", ":"),
    },
    "mnist": {
        "webp, one file an image": ("WebP, a file an image", "#3d3d3d", "v", "-"),
        "jxl, one file an image": ("JPEG XL, a file an image", "#8a8a8a", "x", "-"),
        "jpeg2000, one mosaic of all": ("JPEG 2000, one mosaic", "#3d3d3d", "P", ":"),
        "webp, one mosaic of all": ("WebP, one mosaic", "#3d3d3d", "v", ":"),
        "jxl, one mosaic of all": ("JPEG XL, one mosaic", "#8a8a8a", "x", ":"),
    },
}


def points(curve: Curve) -> list[tuple[float, float]]:
    """Rates and PSNR that are both known, by rate."""
    return sorted((b, p) for b, p in zip(curve["bpp"], curve["psnr-rgb"], strict=True) if b and p)


def draw(axes: Any, data: str, found: dict[str, Any]) -> None:
    """One data set."""
    ours = sorted((one["bpp"], one["psnr"]) for name, one in found.items() if name.startswith(PREFIXES[data]))
    curves = rivals(data)
    for name, (label, colour, mark, line) in SHOWN[data].items():
        x, y = zip(*points(curves[name]), strict=True)
        axes.plot(x, y, line, color=colour, marker=mark, markersize=4, linewidth=1, label=label)
    x, y = zip(*ours, strict=True)
    axes.plot(x, y, "-", color=OURS, marker="o", markersize=6, linewidth=2, label="neuralcodec, one archive")
    axes.set_xscale("log")
    ticks = [0.2, 0.5, 1, 2, 4]
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axes.minorticks_off()
    axes.set_xlim(*LIMITS[data][0])
    axes.set_ylim(*LIMITS[data][1])
    axes.set_title(TITLES[data])
    axes.set_xlabel("bits a pixel, of files on disk where measured here")
    axes.legend(fontsize=7, loc="upper left")


def main() -> None:
    """Draw both data sets."""
    found = json.loads((HERE / "recombiner_small.json").read_text())["figures"]
    plt = style()
    figure, both = plt.subplots(1, 2, figsize=(10, 4.2))
    for axes, data in zip(both, PREFIXES, strict=True):
        draw(axes, data, {name: one for name, one in found.items() if isinstance(one, dict)})
    both[0].set_ylabel("mean PSNR, dB")
    figure.tight_layout()
    save(figure, "recombiner")


if __name__ == "__main__":
    main()
