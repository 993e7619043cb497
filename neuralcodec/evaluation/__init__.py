"""The rate-distortion harness: every codec measured by its bytes on disk (docs/evaluation.md).

>>> from neuralcodec.evaluation import bd_rate
>>> round(bd_rate([0.2, 0.4, 0.8, 1.6], [28, 31, 34, 37], [0.1, 0.2, 0.4, 0.8], [28, 31, 34, 37]), 6)
-50.0
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neuralcodec.evaluation.bd import bd_psnr, bd_rate
    from neuralcodec.evaluation.data import open_data
    from neuralcodec.evaluation.reporting import report
    from neuralcodec.evaluation.results import Result
    from neuralcodec.evaluation.runner import evaluate
    from neuralcodec.evaluation.specs import find_subject

_MODULES = {
    "Result": "results",
    "bd_psnr": "bd",
    "bd_rate": "bd",
    "evaluate": "runner",
    "find_subject": "specs",
    "open_data": "data",
    "report": "reporting",
}

__all__ = ["Result", "bd_psnr", "bd_rate", "evaluate", "find_subject", "open_data", "report"]


def __getattr__(name: str) -> Any:
    # What measures, draws and interpolates is imported only by whom uses it.
    if name not in _MODULES:
        raise AttributeError(f"module 'neuralcodec.evaluation' has no attribute {name!r}")
    value = getattr(import_module(f"neuralcodec.evaluation.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
