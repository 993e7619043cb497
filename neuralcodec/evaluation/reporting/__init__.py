"""The report of a run: one HTML page that needs no network, figures, and a table of all rows."""

from neuralcodec.evaluation.reporting.page import report
from neuralcodec.evaluation.reporting.viewer import Reconstruction, write_comparison

__all__ = ["Reconstruction", "report", "write_comparison"]
