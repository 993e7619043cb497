"""Pictures of the wave benchmark: error against parameters, and fields predicted and true; into docs/figures/."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from fields import TIMES, ZONE  # noqa: E402
from figures import save, style  # noqa: E402

NEAR = 1.05  # of the dense one's error
SHARES = (4, 10)
LOOKS = {
    "dense": ("#3d3d3d", "s"),
    "Tucker": ("#1f6f8b", "o"),
    "hypercomplex": ("#b3452c", "D"),
    "CP": ("#c98a1b", "^"),
    "separable": ("#5b8c3a", "v"),
}


def sizes(surrogates: Mapping[str, Mapping[str, Any]]) -> None:
    """Error, with its spread over seeds, against the number of parameters; one line for each family."""
    plt = style()
    families: dict[str, list[Mapping[str, Any]]] = {}
    for name, one in surrogates.items():
        families.setdefault(name.split(",")[0], []).append(one)
    figure, axes = plt.subplots(figsize=(5, 3.9))
    dense = surrogates["dense"]
    for share in SHARES:
        axes.axvline(dense["parameters"] / share, color="#9a9a9a", linewidth=0.8, linestyle=":")
        place = (dense["parameters"] / share, 1)
        axes.text(
            *place, f" 1/{share}", transform=axes.get_xaxis_transform(), va="top", color="#6b6b6b", fontsize=9
        )
    axes.axhline(100 * NEAR * dense["error"], color="#9a9a9a", linewidth=0.8, linestyle="--")
    for family, ones in families.items():
        colour, mark = LOOKS[family]
        ones.sort(key=lambda one: int(one["parameters"]))
        x = [one["parameters"] for one in ones]
        y, spread = ([100 * one[what] for one in ones] for what in ("error", "spread"))
        axes.errorbar(x, y, spread, marker=mark, color=colour, capsize=3, label=family)
    axes.set(xscale="log", xlabel="parameters of the whole surrogate", ylabel="relative L2 error, % (test)")
    ticks = (25_000, 50_000, 100_000, 250_000)
    axes.set_xticks(ticks, [f"{tick // 1000}k" for tick in ticks])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3)
    save(figure, "wave_error")
    plt.close(figure)


def fields(models: Mapping[str, nn.Module], test: tuple[Tensor, Tensor]) -> None:
    """The first test problem at all times: the truth, and of each surrogate what it tells and how far off that is."""
    plt = style()
    true = test[1][0]
    told, off_by = [("finite\nelements", true, False)], []
    with torch.no_grad():
        for name, model in models.items():
            values, short = model(test[0][:1])[0], name.replace(", ", ",\n")
            told.append((short, values, False))
            off_by.append((f"{short}\noff by", values - true, True))
    rows = [*told, *off_by]
    limit = {
        off: max(float(values.abs().max()) for _, values, is_off in rows if is_off == off)
        for off in (False, True)
    }
    figure, axes = plt.subplots(len(rows), len(TIMES), figsize=(5, 5.2), layout="constrained")
    images = {}
    for row, (title, values, off) in enumerate(rows):
        for column, time in enumerate(TIMES):
            shown = axes[row, column]
            images[off] = shown.imshow(
                values[column],
                origin="lower",
                cmap="PuOr" if off else "RdBu",
                vmin=-limit[off],
                vmax=limit[off],
                extent=(*ZONE, *ZONE),
            )
            shown.set(xticks=[], yticks=[])
            shown.grid(visible=False)
            shown.spines[:].set_visible(False)
            if row == 0:
                shown.set_title(f"t = {time}", fontsize=9)
        axes[row, 0].set_ylabel(title, rotation=0, ha="right", va="center")
    figure.colorbar(images[False], ax=axes[: len(told)], label="displacement", shrink=0.8)
    figure.colorbar(images[True], ax=axes[len(told) :], label="off by", shrink=0.9)
    save(figure, "wave_fields", 256)
    plt.close(figure)
