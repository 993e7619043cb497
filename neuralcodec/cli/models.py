"""`neuralcodec models`: the models that have a name here."""

import os
from typing import TYPE_CHECKING, Annotated, Any

from neuralcodec.cli import options
from neuralcodec.cli.console import echo, echo_json, echo_table, guarded, size, tell
from neuralcodec.cli.parameters import argument, for_typer, option
from neuralcodec.errors import NeuralCodecError, UnsupportedInput, naming

if TYPE_CHECKING:
    import numpy as np
    import typer

    from neuralcodec.zoo import ModelEntry

SHORT_HELP = "List, add, show, import and export models."
HELP = """List the models that can be asked for by name, add one, show one, or bring one from another library.

\b
Examples:
  neuralcodec models
  neuralcodec models add my.ncm --name my-scans
  neuralcodec models show pc-mnist --json
  neuralcodec models import circuit.npz -o my.ncm --shape 28,28
"""
IMPORT_HELP = """Make a model of a circuit that another library trained, given as arrays in a .npz file.

Any smooth and structured-decomposable circuit over discrete samples will do; its weights need not be normalised.
docs/import.md tells which arrays, and how PyJuice's and cirkit's circuits become them.

\b
Examples:
  neuralcodec models import circuit.npz -o my.ncm --shape 28,28
  neuralcodec models import tiles.npz -o tiles.ncm --shape 16,16,3 --name tiles --licence CC0-1.0
"""
EXPORT_HELP = """Write a circuit's arrays to a .npz file, which `models import` turns into the same model again.

\b
Example:
  neuralcodec models export pc-mnist-fast -o circuit.npz
"""


def group() -> "typer.Typer":
    """Return the Typer application of the verb."""
    import typer

    app = typer.Typer(rich_markup_mode=None, invoke_without_command=True)

    def default(
        context: typer.Context, json: Annotated[bool, typer.Option("--json", hidden=True)] = False
    ) -> None:
        if context.invoked_subcommand is None:
            list_models(json)

    app.callback(help=HELP)(default)
    app.command("list", help="List the models: the shipped ones and your own.")(for_typer(list_models))
    app.command("add", help="Copy a model file into your own models, so that files made with it decode.")(
        for_typer(add)
    )
    app.command("show", help="Show all that a model says of itself.")(for_typer(show))
    app.command("import", help=IMPORT_HELP, short_help="Make a model of another library's circuit.")(
        for_typer(import_model)
    )
    app.command("export", help=EXPORT_HELP, short_help="Write a circuit as arrays.")(for_typer(export_model))
    return app


@guarded
def list_models(json: options.Json = False) -> None:
    """Print one line a model, the user's before the shipped ones."""
    from neuralcodec.zoo import list_models as entries

    rows = [_describe(entry) for entry in entries()]
    if json:
        echo_json(rows)
        return
    if not rows:
        tell("there are no models here; `neuralcodec train` makes one, `neuralcodec models add` adds one")
        return
    table = [("NAME", "TAKES", "SIZE", "ORIGIN", "IDENTITY", "DESCRIPTION")]
    table += [
        (
            ", ".join([row["name"], *row["aliases"]]),
            row.get("error")
            or f"{' x '.join(map(str, row['shape'] or ['any']))} {row['dtype'] or ''}".strip(),
            size(row["bytes"]),
            row["origin"],
            row["identity"][:8],
            str(row["header"].get("description", "")),
        )
        for row in rows
    ]
    echo_table(table)


@guarded
def add(
    file: Annotated[str, argument("FILE", "A model file (.ncm).")],
    name: Annotated[
        str | None, option("--name", metavar="NAME", help="What to call it; by default what it calls itself.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Check a model file and copy it into the user's folder."""
    from neuralcodec.zoo import add_model

    entry = add_model(file, name)
    if json:
        echo_json(_describe(entry))
    tell(f"{entry.name} ({entry.identity[:8]}) is at {entry.path}")


@guarded
def show(
    name: Annotated[str, argument("MODEL", "Name, or path of a model file.")],
    json: options.Json = False,
) -> None:
    """Print a model's facts and its header."""
    from neuralcodec.info import read_info
    from neuralcodec.zoo import find_model
    from neuralcodec.zoo.resolve import model_path

    path = model_path(name) or find_model(name).path
    found = read_info(path)
    facts = {
        "name": found.model,
        "path": path,
        "family": found.codec,
        "identity": found.identity,
        "shape": None if found.shape is None else list(found.shape),
        "dtype": found.dtype,
        "bytes": found.size,
        "details": dict(found.details),
        "header": dict(found.header),
    }
    if json:
        echo_json(facts)
        return
    for key, value in facts.items():
        if key not in ("header", "details"):
            echo(f"{key:24}{value}")
    for key, value in (*found.details.items(), *found.header.items()):
        echo(f"{key:24}{_text(value)}")


@guarded
def import_model(
    file: Annotated[str, argument("FILE", "Arrays of a circuit (.npz).")],
    output: Annotated[str, option("--output", "-o", metavar="OUT", help="The model file to write (.ncm).")],
    shape: Annotated[
        str | None,
        option("--shape", metavar="H,W", help="Shape of a signal; by default what FILE says, or one row."),
    ] = None,
    dtype: Annotated[
        str | None, option("--dtype", metavar="TYPE", help="Its dtype; by default what FILE says, or uint8.")
    ] = None,
    name: Annotated[
        str | None,
        option("--name", metavar="NAME", help="What the model calls itself; by default OUT's name."),
    ] = None,
    description: Annotated[str, option("--description", metavar="TEXT", help="What the model is for.")] = "",
    licence: Annotated[
        str, option("--licence", metavar="TEXT", help="Licence of the model and its data.")
    ] = "",
    force: options.Force = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Run `models import` (the help text is `IMPORT_HELP`)."""
    from neuralcodec.artifact import write_artifact
    from neuralcodec.circuits.arrays import load_arrays
    from neuralcodec.circuits.importing import from_arrays
    from neuralcodec.signals.outputs import check_free, check_not_input

    check_not_input(output, [file])
    check_free(output, force)
    sides, kind = None if shape is None else _sides(shape), _dtype(dtype)
    arrays = load_arrays(file)
    facts = {
        "name": name or os.path.splitext(os.path.basename(output))[0],
        "description": description,
        "licence": licence,
        "recipe": {"imported": os.path.basename(file)},
    }
    with naming(file):
        circuit = from_arrays(arrays, sides, kind, {key: value for key, value in facts.items() if value})
    artifact = circuit.to_artifact()
    write_artifact(output, artifact)
    if json:
        echo_json({"output": output, "identity": artifact.identity.hex(), "header": dict(artifact.header)})
    structure = circuit.structure
    tell(
        f"{output}: model {artifact.identity.hex()[:8]}, {structure.nodes} nodes, "
        f"{structure.parameter_count} parameters",
        quiet,
    )


@guarded
def export_model(
    model: Annotated[str, argument("MODEL", "Name, or path of a model file.")],
    output: Annotated[str, option("--output", "-o", metavar="OUT", help="The .npz file to write.")],
    force: options.Force = False,
    quiet: options.Quiet = False,
) -> None:
    """Run `models export` (the help text is `EXPORT_HELP`)."""
    from neuralcodec.circuits.arrays import save_arrays
    from neuralcodec.circuits.circuit import Circuit
    from neuralcodec.circuits.exporting import to_arrays
    from neuralcodec.signals.outputs import check_free, check_not_input
    from neuralcodec.zoo.resolve import load_model

    check_not_input(output, [model])
    check_free(output, force)
    circuit = load_model(model)
    if not isinstance(circuit, Circuit):
        raise UnsupportedInput(f"{model} is no circuit, and only circuits can be exported")
    arrays = to_arrays(circuit)
    save_arrays(output, arrays)
    tell(f"{output}: {arrays.units} units, {len(arrays.child)} edges", quiet)


def _sides(text: str) -> tuple[int, ...]:
    """Read a shape.

    >>> _sides("28,28"), _sides("3x4")
    ((28, 28), (3, 4))
    """
    parts = text.replace("x", ",").split(",")
    if not all(part.isascii() and part.isdigit() and int(part[:9]) > 0 and len(part) < 10 for part in parts):
        raise UnsupportedInput(f"--shape {text}: a shape is numbers of samples, such as 28,28")
    return tuple(map(int, parts))


def _dtype(name: str | None) -> "np.dtype[Any] | None":
    if name is None:
        return None
    from neuralcodec.container.signal import DTYPES

    known = {str(dtype): dtype for dtype in DTYPES.values()}
    if name not in known:
        raise UnsupportedInput(f"--dtype {name}: it must be one of {', '.join(known)}")
    return known[name]


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={item}" for key, item in value.items())
    return str(value)


def _describe(entry: "ModelEntry") -> dict[str, Any]:
    """Return a model's facts; one whose file is damaged has an error instead of a shape."""
    facts: dict[str, Any] = {
        "name": entry.name,
        "aliases": list(entry.aliases),
        "origin": entry.origin,
        "path": entry.path,
        "identity": entry.identity,
        "bytes": 0,
        "shape": None,
        "dtype": None,
        "header": {},
    }
    try:
        facts["bytes"] = entry.size
        signal = entry.signal
        facts["header"] = dict(entry.header)
    except (NeuralCodecError, OSError) as error:
        return {**facts, "error": str(error)}
    if signal is not None:
        facts |= {"shape": list(signal.shape), "dtype": str(signal.dtype)}
    return facts
