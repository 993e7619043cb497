"""Doctests of modules whose optional libraries are not installed are not collected."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("torch") and find_spec("tensorly") else ["neuralcodec/layers"]
