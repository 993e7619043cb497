"""`neuralcodec bd`: how much rate one codec saves over another."""

import math
from typing import TYPE_CHECKING, Annotated, Any

from neuralcodec.cli import options
from neuralcodec.cli.console import echo, echo_json, guarded, plural
from neuralcodec.cli.parameters import argument, option

if TYPE_CHECKING:
    from neuralcodec.evaluation.bd import BD, Comparison

SHORT_HELP = "Compare two measured codecs: BD-rate and BD-PSNR."
HELP = """Tell how much more or less rate B needs than A for the same quality, and how much better it is at equal rate.

A, the anchor, and B are records that `eval` wrote, or files in CompressAI's schema. Where both have measured the
same images, the figures have confidence intervals from a bootstrap over the images.

\b
Examples:
  neuralcodec bd results/kodak/jpeg.json results/kodak/webp.json
  neuralcodec bd jpeg.json mine.json --metric ms-ssim-rgb-db --json
"""


@guarded
def bd(
    anchor: Annotated[str, argument("A", "Record of the anchor, a .json file.")],
    test: Annotated[str, argument("B", "Record of what is compared with it.")],
    metric: Annotated[
        str,
        option(
            "--metric",
            metavar="NAME",
            help="psnr-rgb, psnr-y, ms-ssim-rgb, ms-ssim-rgb-db, ssim-rgb or psnr-rgb-of-mean-mse.",
        ),
    ] = "psnr-rgb",
    method: Annotated[
        str, option("--method", metavar="NAME", help="Interpolation: pchip, akima or cubic.")
    ] = "pchip",
    confidence: Annotated[
        float, option("--confidence", metavar="PERCENT", least=1, most=99.99, help="Of the intervals.")
    ] = 95.0,
    seed: Annotated[int, option("--seed", metavar="SEED", least=0, help="Seed of the bootstrap.")] = 0,
    json: options.Json = False,
) -> None:
    """Run the verb (the help text is `HELP`)."""
    from neuralcodec.evaluation.bd import compare_results
    from neuralcodec.evaluation.results import Result

    found = compare_results(
        Result.read(anchor), Result.read(test), metric=metric, method=method, confidence=confidence, seed=seed
    )
    if json:
        echo_json(_facts(found))
    else:
        for line in _lines(found):
            echo(line)


def _facts(found: "Comparison") -> dict[str, Any]:
    def facts(delta: "BD") -> dict[str, Any]:
        return {
            "value": None if math.isnan(delta.value) else delta.value,
            "interval": delta.interval,
            "overlap": delta.overlap,
            "common": delta.common,
            "reason": delta.reason,
            "warnings": delta.warnings,
        }

    return {
        "anchor": found.anchor,
        "test": found.test,
        "metric": found.metric,
        "method": found.method,
        "confidence": found.confidence,
        "images": found.images,
        "bd_rate_percent": facts(found.rate),
        "bd_quality": facts(found.quality),
    }


def _lines(found: "Comparison") -> list[str]:
    over = "" if found.images is None else f", {plural(found.images, 'image')}"
    quality = "BD-PSNR" if found.metric.startswith("psnr") else f"BD of {found.metric}"
    unit = " dB" if found.metric.startswith("psnr") or found.metric.endswith("-db") else ""
    rows = {
        "BD-rate": _delta(found.rate, "{:+.2f}", " %", found.confidence),
        quality: _delta(found.quality, "{:+.3f}" if unit else "{:+.5f}", unit, found.confidence),
    }
    if found.rate.common:
        low, high = found.rate.common
        rows["overlap"] = f"{found.rate.overlap:.0%}, {found.metric} from {low:.4g} to {high:.4g}"
    width = max(map(len, rows)) + 2
    return [
        f"{found.test} against {found.anchor}: {found.metric}, {found.method}{over}",
        *(f"  {key:{width}}{value}" for key, value in rows.items()),
        *(f"  note: {warning}" for warning in found.warnings),
    ]


def _delta(delta: "BD", form: str, unit: str, confidence: float) -> str:
    if delta.reason:
        return f"none: {delta.reason}"
    value = form.format(delta.value) + unit
    if delta.interval is None:
        return value
    low, high = map(form.format, delta.interval)
    return f"{value}, {confidence:g}% interval {low} to {high}"
