"""Draws docs/figures/photo.png, rate against decoding speed on Kodak, from photo_rate.json.

python benchmarks/photo_figures.py
"""

import json
from typing import Any

from common import HERE
from figures import OTHERS, OURS, save, style
from photo_page import NAMES

TOP = 3.35
"""Rates above are told at the edge."""


def label(axes: Any, name: str, place: tuple[float, float], shift: tuple[float, float], colour: str) -> None:
    """Write a name beside a point, `shift` points right of it and up; below it where up is negative enough."""
    side = "center" if abs(shift[1]) < 5 else "bottom" if shift[1] > 0 else "top"
    axes.annotate(name, place, color=colour, fontsize=10, xytext=shift, textcoords="offset points", va=side)


def draw(found: dict[str, Any]) -> None:
    """One point for each codec with one thread, and with two for ours."""
    plt = style()
    plt.rcParams.update({"font.size": 11})
    figure, axes = plt.subplots(figsize=(5.4, 4.4))
    rates = {codec: one["bits_per_subpixel"] for codec, one in found.items()}
    least = min(rates.values())
    above = [found[codec]["decode_megapixels_per_second"] for codec, rate in rates.items() if rate > TOP]
    before = (1.0, 0.0)
    for codec, rate in sorted(rates.items(), key=lambda pair: pair[1]):
        one = found[codec]
        speed = one["decode_megapixels_per_second"]
        name = NAMES.get(codec, codec).replace(", effort", "")
        if codec.startswith("pc-"):
            both = one["two_threads"]["decode_megapixels_per_second"]
            axes.plot([speed, both], [rate, rate], ":", color=OURS, linewidth=1.4)
            axes.plot(both, rate, "D", color=OURS, markersize=7, markerfacecolor="white")
            axes.plot(speed, rate, "o", color=OURS, markersize=8)
            label(axes, name, (speed, rate), (-14, -7 if rate == least else 7), OURS)
        elif rate > TOP:
            axes.plot(speed, TOP - 0.015, "^", color=OTHERS, markersize=8)
            # Of two that are close, the slower one's name ends at its mark, and the other's starts there.
            near = [x for x in above if x != speed and 0.67 < x / speed < 1.5]
            side = "center" if not near else "left" if speed > near[0] else "right"
            text = f"{name}\n{rate:.2f}"
            axes.text(speed, TOP - 0.045, text, color=OTHERS, ha=side, va="top", fontsize=10)
        else:
            axes.plot(speed, rate, "o", color=OTHERS, markersize=8)
            close = rate - before[1] < 0.03 and 0.5 < speed / before[0] < 2
            label(axes, name, (speed, rate), (7, 4 if close else 0), OTHERS)
            before = (speed, rate)
    axes.plot([], [], "o", color="#3d3d3d", label="1 thread")
    axes.plot([], [], "D", color="#3d3d3d", markerfacecolor="white", label="2 threads")
    axes.legend(loc="upper left")
    axes.set_xscale("log")
    ticks = [0.2, 0.5, 1, 2, 5, 10, 20, 50]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlim(0.12, 100)
    axes.set_ylim(least - 0.08, TOP)
    axes.set_xlabel("decoding, megapixels a second")
    axes.set_ylabel("bits a sub-pixel, Kodak")
    save(figure, "photo")
    plt.close(figure)


def main() -> None:
    """Draw it."""
    draw(json.loads((HERE / "photo_rate.json").read_text())["figures"]["kodak"])


if __name__ == "__main__":
    main()
