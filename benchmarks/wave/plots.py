"""Pictures of the wave benchmark: error against parameters, and fields predicted and true; into docs/figures/."""

import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import torch
from fields import TIMES
from matplotlib import pyplot as plt
from torch import Tensor, nn

FIGURES = Path(__file__).resolve().parents[2] / "docs" / "figures"


def draw(result: Path, model: nn.Module, test: tuple[Tensor, Tensor]) -> None:
    """Both pictures."""
    FIGURES.mkdir(exist_ok=True)
    sizes(json.loads(result.read_text())["figures"]["surrogates"], FIGURES / "wave_error.png")
    fields(model, test, FIGURES / "wave_fields.png")


def sizes(surrogates: dict[str, dict[str, float]], path: Path) -> None:
    """Error, with its spread over seeds, against the number of parameters; one line for each family."""
    families: dict[str, list[dict[str, float]]] = {}
    for name, one in surrogates.items():
        families.setdefault(name.split(",")[0], []).append(one)
    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    for family, ones in families.items():
        ones.sort(key=lambda one: one["parameters"])
        x, y = [one["parameters"] for one in ones], [one["error"] for one in ones]
        axes.errorbar(x, y, [one["spread"] for one in ones], marker="o", capsize=3, label=family)
    axes.set(xscale="log", yscale="log", xlabel="parameters", ylabel="relative L2 error")
    axes.legend()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def fields(model: nn.Module, test: tuple[Tensor, Tensor], path: Path) -> None:
    """The first test problem: true, told, and the difference, at all times."""
    with torch.no_grad():
        told = model(test[0][:1])[0]
    true = test[1][0]
    limit = float(true.abs().max())
    figure, axes = plt.subplots(3, len(TIMES), figsize=(8, 6), layout="constrained")
    for row, (title, values) in enumerate((("true", true), ("surrogate", told), ("difference", told - true))):
        for column, time in enumerate(TIMES):
            shown = axes[row, column]
            image = shown.imshow(values[column], origin="lower", cmap="RdBu", vmin=-limit, vmax=limit)
            shown.set(xticks=[], yticks=[], title=f"{title}, t = {time}")
    figure.colorbar(image, ax=axes)
    figure.savefig(path, dpi=120)
    plt.close(figure)
