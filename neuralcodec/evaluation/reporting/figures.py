"""The plots of the page as PNG and SVG files."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuralcodec.container.files import atomic_write
from neuralcodec.errors import UnsupportedInput
from neuralcodec.evaluation.reporting.palette import LIGHT, MARKERS
from neuralcodec.evaluation.reporting.run import Run
from neuralcodec.evaluation.results import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LABELS = {
    "bpp": "Bits per pixel",
    "bits_per_sample": "Bits per sub-pixel",
    "psnr-rgb": "PSNR (RGB), dB",
    "psnr-y": "PSNR (luma), dB",
    "ms-ssim-rgb": "MS-SSIM (RGB)",
    "ms-ssim-rgb-db": "MS-SSIM (RGB), dB",
    "ssim-rgb": "SSIM (RGB)",
    "encoding_time": "Encoding, seconds a file",
    "decoding_time": "Decoding, seconds a file",
    "peak_memory": "Peak memory, bytes",
}
COSTS = ("encoding_time", "decoding_time", "peak_memory")
STYLE: Any = {
    **{"font.family": "sans-serif", "font.size": 10, "axes.edgecolor": "#888", "axes.labelcolor": "#333"},
    **{"axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": "#e6e4df"},
    **{"grid.linewidth": 0.8, "axes.axisbelow": True, "xtick.color": "#555", "ytick.color": "#555"},
    # The same run gives the same bytes; and dollars in names are dollars, not formulas.
    **{"svg.hashsalt": "neuralcodec", "text.parse_math": False},
}


def write_figures(run: Run, folder: Path) -> list[Path]:
    """Write a figure of each metric, and of time and memory, over rate: PNG at 200 dots an inch, and SVG.

    Parameters
    ----------
    run
        The run.
    folder
        Where to write; it must be there. Files are called rate-METRIC.png and so on.

    Raises
    ------
    UnsupportedInput
        If matplotlib is not installed.
    OSError
        If a file cannot be written.
    """
    paths: list[Path] = []
    none: list[Result] = []
    plots = [(run.lossy, run.featured, "bpp", key) for key in run.metrics]
    plots += [(run.lossy, none, "bpp", key) for key in COSTS]
    plots += [(run.lossless, none, "bits_per_sample", key) for key in COSTS]
    for measured, published, x, y in plots:
        name = f"{'lossless' if x != 'bpp' else 'rate'}-{y}"
        if any(_points(run, result, x, y)[0].size for result in measured):
            paths += _write(run, measured, published, x, y, folder / name)
    return paths


def _write(
    run: Run, measured: Sequence[Result], published: Sequence[Result], x: str, y: str, stem: Path
) -> list[Path]:
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError:
        raise UnsupportedInput("figures need matplotlib: pip install 'neuralcodec[eval]'") from None
    paths = []
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 4.6), layout="constrained")
        axes = figure.add_subplot()
        for result in (*measured, *published):
            _draw(run, axes, result, x, y)
        axes.set_xlabel(LABELS[x])
        axes.set_ylabel(LABELS[y])
        # Memory may be too little to be seen, which no logarithm shows.
        if y in COSTS and all((np.asarray(line.get_ydata()) > 0).all() for line in axes.lines):
            axes.set_yscale("log")
        axes.set_xlim(left=0)
        axes.legend(frameon=False, fontsize=8.5)
        for kind in ("png", "svg"):
            file = io.BytesIO()
            metadata = {"Date": None} if kind == "svg" else {"Software": None}
            figure.savefig(file, format=kind, dpi=200, metadata=metadata)
            # Not with_suffix: a metric's name may have a dot.
            paths.append(stem.parent / f"{stem.name}.{kind}")
            atomic_write(paths[-1], file.getvalue())
    return paths


def _draw(run: Run, axes: "Axes", result: Result, x: str, y: str) -> None:
    group = run.published if result.is_published else run.measured
    number = [id(one) for one in group].index(id(result))
    xs, ys = _points(run, result, x, y)
    if not xs.size:
        return
    colour, marker = LIGHT[number % len(LIGHT)], MARKERS[(number + number // len(LIGHT)) % len(MARKERS)]
    # A leading underscore would keep a curve out of the legend.
    label = f"\u200b{run.labels[id(result)]}"
    if result.is_published:
        dashes = ("--", ":", "-.")[number % 3]
        axes.plot(xs, ys, dashes, color=colour, linewidth=1.1, alpha=0.8, label=f"{label} (published)")
    else:
        axes.plot(xs, ys, "-", color=colour, marker=marker, markersize=5, linewidth=1.6, label=label)


def _points(run: Run, result: Result, x: str, y: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    images = None if result.is_published else run.over(result)
    xs, ys = result.curve(x, images), result.curve(y, images)
    known = np.isfinite(xs) & np.isfinite(ys)
    order = np.argsort(xs[known], kind="stable")
    return xs[known][order], ys[known][order]
