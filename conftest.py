"""Modules whose optional libraries are not installed are not looked through for doctests."""

from importlib.util import find_spec

TORCH = ("batches", "encoding", "finishing", "inference", "learning", "network", "posterior", "training")

collect_ignore = [] if find_spec("torch") else [f"neuralcodec/recombiner/{name}.py" for name in TORCH]
if not find_spec("torch"):
    collect_ignore += ["neuralcodec/weights/calibration.py"]
if not (find_spec("torch") and find_spec("tensorly")):
    collect_ignore += ["neuralcodec/layers", "tests/layers/explicit_kernels.py"]
