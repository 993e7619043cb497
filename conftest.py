"""Modules whose optional libraries are not installed are not looked through for doctests."""

from importlib.util import find_spec

TORCH = {
    "photo": ("network", "pool", "quantise", "soap", "training"),
    "recombiner": (
        *("batches", "encoding", "finishing", "inference", "learning", "network", "posterior"),
        *("resuming", "training", "transform"),
    ),
    "weights": ("calibration",),
}

collect_ignore = []
if not find_spec("torch"):
    collect_ignore += [f"neuralcodec/{part}/{name}.py" for part, names in TORCH.items() for name in names]
if not (find_spec("torch") and find_spec("tensorly")):
    collect_ignore += ["neuralcodec/layers", "tests/layers/explicit_kernels.py"]
