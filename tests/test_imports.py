"""Imports are cheap and run one way."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from small_models import small_circuit

import neuralcodec
from neuralcodec.artifact import write_artifact

PACKAGE = Path(neuralcodec.__file__).parent

# What each part of the package may import besides itself.
FOUNDATION = {"errors", "native"}
BYTES = {*FOUNDATION, "artifact", "container"}
CODING = {*BYTES, "codec", "codecs", "zoo", "samples"}
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "native": {"errors"},
    "entropy": FOUNDATION,
    "factors": set(),
    "layers": {*FOUNDATION, "factors"},
    "container": {*FOUNDATION, "entropy.tensor"},
    "artifact": {*FOUNDATION, "container", "entropy.tensor"},
    "circuits": {*BYTES, "entropy", "signals.arrays"},
    "weights": {*BYTES, "entropy", "factors"},
    "codec": {"errors", "artifact", "container"},
    "recombiner": {*BYTES, "entropy"},
    "photo": BYTES,
    "codecs": {*BYTES, "codec", "circuits", "photo", "recombiner", "entropy"},
    "zoo": {*BYTES, "codec"},
    "samples": {*BYTES, "codec", "zoo"},
    "archives": CODING,
    "info": CODING,
    "api": {*CODING, "archives", "info"},
    "signals": {"errors", "container.files", "container.png"},
    "evaluation": {*CODING, "", "__init__", "api", "signals"},
    "__init__": {"errors", "api", "info", "weights"},
    "__main__": {"cli"},
    "cli": {
        *CODING,
        *(
            "",
            "__init__",
            "api",
            "archives",
            "info",
            "circuits",
            "photo",
            "recombiner",
            "signals",
            "evaluation",
            "weights",
        ),
    },
}
HEAVY = {
    "torch",
    "tensorly",
    "scipy",
    "imagecodecs",
    "matplotlib",
    "plotly",
    "constriction",
    "PIL",
    "typer",
    "rich",
    "safetensors",
}


def component(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Names of the modules of this package that a module imports anywhere, without the package's name."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relative to itself"
            assert node.module is not None
            submodules = (PACKAGE.parent / node.module.replace(".", "/")).is_dir()
            found |= {f"{node.module}.{alias.name}" if submodules else node.module for alias in node.names}
    return {
        name.removeprefix("neuralcodec").removeprefix(".")
        for name in found
        if name.split(".")[0] == "neuralcodec"
    }


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_imports_run_one_way(path: Path) -> None:
    part = component(path)
    assert part in ALLOWED, f"{part} is new: say in this test what it may import"
    for name in imported(path):
        first = name.split(".")[0]
        allowed = first == part or any(name == rule or name.startswith(f"{rule}.") for rule in ALLOWED[part])
        assert allowed or (first in ("", "__version__") and "" in ALLOWED[part]), f"{part} imports {name}"


def modules_after(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return {name.split(".")[0] for name in done.stdout.split()}


def test_importing_the_package_costs_nothing() -> None:
    assert not {"numpy", "json", "dataclasses", *HEAVY} & modules_after("import neuralcodec") - modules_after(
        ""
    )


def test_coding_imports_numpy_and_nothing_heavy(tmp_path: Path) -> None:
    path = tmp_path / "m.ncm"
    write_artifact(path, small_circuit().to_artifact())
    code = f"""
import neuralcodec, numpy
x = numpy.zeros((4, 3), numpy.uint8)
neuralcodec.decompress(neuralcodec.compress(x, {str(path)!r}), {str(path)!r})
import sys
assert "numpy.ma" not in sys.modules and "importlib.metadata" not in sys.modules
neuralcodec.decompress_many(neuralcodec.compress_many(x[None], {str(path)!r}), model={str(path)!r})
m = numpy.ma.MaskedArray(x, x == 0)
neuralcodec.decompress(neuralcodec.compress(m, {str(path)!r}), {str(path)!r})
"""
    modules = modules_after(code)
    assert "neuralcodec" in modules
    assert not HEAVY & modules
