"""`neuralcodec models`: the models that have a name here."""

from typing import TYPE_CHECKING, Annotated, Any

from neuralcodec.cli import options
from neuralcodec.cli.console import echo, echo_json, guarded, size, tell
from neuralcodec.cli.parameters import argument, for_typer, option
from neuralcodec.errors import NeuralCodecError

if TYPE_CHECKING:
    import typer

    from neuralcodec.zoo import ModelEntry

SHORT_HELP = "List, add and show models."
HELP = """List the models that can be asked for by name, add one, or show one.

\b
Examples:
  neuralcodec models
  neuralcodec models add my.ncm --name my-scans
  neuralcodec models show pc-mnist --json
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
        tell("there are no models here; `neuralcodec train pc` makes one, `neuralcodec models add` adds one")
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
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


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
        "header": dict(found.header),
    }
    if json:
        echo_json(facts)
        return
    for key, value in facts.items():
        if key == "header":
            continue
        echo(f"{key:14}{value}")
    for key, value in found.header.items():
        echo(f"{key:14}{_text(value)}")


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
