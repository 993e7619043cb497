"""`neuralcodec info`: what a file says of itself."""

import math
from typing import TYPE_CHECKING, Annotated, Any

from neuralcodec.cli import options
from neuralcodec.cli.console import echo, echo_json, guarded, size
from neuralcodec.cli.parameters import argument

if TYPE_CHECKING:
    from neuralcodec.info import Info

SHORT_HELP = "Tell what a file holds."
HELP = """Tell what a .ncz file, an archive, a file of weights or a .ncm model file holds.

\b
Examples:
  neuralcodec info digit.ncz
  neuralcodec info t10k.ncz --json
  neuralcodec info my.ncm
"""


@guarded
def info(
    file: Annotated[str, argument("FILE", "A .ncz or .ncm file, or - for standard input.")],
    json: options.Json = False,
) -> None:
    """Run the verb (the help text is `HELP`)."""
    from neuralcodec.container.header import is_weights
    from neuralcodec.info import read_info
    from neuralcodec.signals.outputs import is_special
    from neuralcodec.signals.sources import read_bytes

    if file != "-" and not is_special(file) and is_weights(_head(file)):
        from neuralcodec.cli.weights import info as weights_info

        weights_info(file, json)
        return
    found = read_info(read_bytes(file) if file == "-" or is_special(file) else file)
    facts = describe(found)
    if json:
        echo_json(facts)
    else:
        for line in _lines(file, found, facts):
            echo(line)


def _head(file: str) -> bytes:
    with open(file, "rb") as stream:
        return stream.read(6)


def describe(found: "Info") -> dict[str, Any]:
    """Return what is known of a file as a JSON object; what does not apply is left out."""
    facts: dict[str, Any] = {
        "kind": found.kind,
        "version": found.version,
        "codec" if found.kind != "model" else "family": found.codec,
        "model": found.model,
        "identity": found.identity or None,
        "signals": found.signals if found.kind != "model" else None,
        "shape": None if found.shape is None else list(found.shape),
        "dtype": found.dtype,
        "bytes": found.size,
        "payload_bytes": found.payload if found.kind != "model" else None,
        "bits_per_dimension": bits_per_dimension(found),
        "group": found.group,
        "chunks": len(found.chunks) if found.kind == "archive" else None,
        "sections": dict(found.sections) or None,
        "names": list(found.names) or None,
        "details": dict(found.details) or None,
        "header": dict(found.header) or None,
    }
    return {key: value for key, value in facts.items() if value is not None}


def bits_per_dimension(found: "Info") -> float | None:
    """Return the file's bits for each sample; None if it has none, or does not tell how many."""
    samples = found.signals * math.prod(found.shape) if found.shape is not None else 0
    return round(8 * found.size / samples, 5) if samples else None


def _lines(file: str, found: "Info", facts: dict[str, Any]) -> list[str]:
    kinds = {"single": "one signal", "archive": "an archive", "model": "a model"}
    rows = {
        "kind": f"{kinds[found.kind]} (format version {found.version})",
        "codec": facts.get("codec"),
        "family": facts.get("family"),
        "model": _model(found),
        "signals": facts.get("signals"),
        "shape": _shape(found),
        "dtype": found.dtype,
        "size": size(found.size),
        "payload": size(found.payload) if found.kind != "model" else None,
        "bits per sample": facts.get("bits_per_dimension"),
        "chunks": f"{len(found.chunks)}, groups of {found.group}" if found.kind == "archive" else None,
        "names": _names(found.names),
        "sections": ", ".join(f"{name}: {size(n)}" for name, n in found.sections.items()) or None,
        **found.details,
        **{key: value for key, value in found.header.items() if isinstance(value, str | int | float)},
    }
    width = max(map(len, rows)) + 2
    return [
        "standard input" if file == "-" else file,
        *(f"  {key:{width}}{value}" for key, value in rows.items() if value is not None),
    ]


def _model(found: "Info") -> str | None:
    if not found.identity:
        return None
    name = found.model or ("" if found.kind == "model" else "not here")
    return f"{name} ({found.identity})" if name else found.identity


def _shape(found: "Info") -> str | None:
    if found.shape is not None:
        return " x ".join(map(str, found.shape))
    return None if found.kind == "model" else "the model's, which is not here"


def _names(names: tuple[str | None, ...]) -> str | None:
    shown = [name or "(none)" for name in names[:5]]
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(shown) + more if names else None
