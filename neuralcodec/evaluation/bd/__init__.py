"""Bjontegaard deltas between rate-distortion curves, with confidence intervals."""

from neuralcodec.evaluation.bd.comparison import METRICS, Comparison, bd_table, compare_results
from neuralcodec.evaluation.bd.delta import BD, bd_psnr, bd_rate, compare_curves

__all__ = [
    "BD",
    "METRICS",
    "Comparison",
    "bd_psnr",
    "bd_rate",
    "bd_table",
    "compare_curves",
    "compare_results",
]
