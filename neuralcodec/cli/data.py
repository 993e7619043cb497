"""`neuralcodec data`: the data sets that codecs are measured on."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

from neuralcodec.cli import options
from neuralcodec.cli.console import echo, echo_json, echo_table, guarded, is_terminal, size, tell
from neuralcodec.cli.parameters import argument, for_typer

if TYPE_CHECKING:
    import typer

    from neuralcodec.evaluation.data.sets import KnownSet

SHORT_HELP = "List, fetch and find the data sets to measure on."
HELP = """List the data sets that `eval` knows by name, fetch one, or tell where one is.

They are looked for in the folder that the variable NEURALCODEC_DATA names, then in the user's cache folder.

\b
Examples:
  neuralcodec data
  neuralcodec data fetch kodak
  neuralcodec data path kodak
  neuralcodec data list kodak        its files: addresses, sizes and hashes
"""

Name = Annotated[str, argument("NAME", "Name of a data set.")]
MaybeName = Annotated[str | None, argument("[NAME]", "Name of a data set, to list its files.")]


def group() -> "typer.Typer":
    """Return the Typer application of the verb."""
    import typer

    app = typer.Typer(rich_markup_mode=None, invoke_without_command=True)

    def default(
        context: typer.Context, json: Annotated[bool, typer.Option("--json", hidden=True)] = False
    ) -> None:
        if context.invoked_subcommand is None:
            list_sets(None, json)

    app.callback(help=HELP)(default)
    app.command("list", help="List the data sets, or the files of one at their public home.")(
        for_typer(list_sets)
    )
    app.command("fetch", help="Download what is not here of a data set, and check it.")(for_typer(fetch))
    app.command("path", help="Print the folder in which a data set is.")(for_typer(path))
    return app


@guarded
def list_sets(name: MaybeName = None, json: options.Json = False) -> None:
    """Print one line a data set, or one a file of the data set."""
    from neuralcodec.evaluation.data.sets import find_set, known_sets

    if name is not None:
        _list_files(find_set(name), json)
        return
    rows = [_describe(known) for known in known_sets().values()]
    if json:
        echo_json(rows)
        return
    lines = [
        (r["name"], str(r["images"]), size(r["bytes"]), r["path"] or "not here", r["title"]) for r in rows
    ]
    echo_table([("NAME", "IMAGES", "DOWNLOAD", "WHERE", "TITLE"), *lines])


@guarded
def fetch(name: Name, quiet: options.Quiet = False, json: options.Json = False) -> None:
    """Run `data fetch`."""
    from neuralcodec.evaluation.data import fetching
    from neuralcodec.evaluation.data.sets import find_copy, find_set

    known = find_set(name)
    was_here = find_copy(known)
    with _bar(f"fetching {name}", known.bytes, quiet or was_here is not None) as advance:
        copy = fetching.fetch(known, advance)
    if json:
        echo_json(_describe(known))
    done = "is here already, in" if was_here == copy else "is now in"
    tell(f"{name} {done} {copy.folder}, and its content is right", quiet)


@guarded
def path(name: Name, json: options.Json = False) -> None:
    """Run `data path`."""
    from neuralcodec.evaluation.data.opening import copy_of
    from neuralcodec.evaluation.data.sets import find_set

    known = find_set(name)
    copy = copy_of(known)
    if json:
        echo_json({"name": name, "path": copy.folder, "files": list(copy.files), "absent": list(copy.absent)})
    else:
        echo(copy.folder)


def _describe(known: "KnownSet") -> dict[str, Any]:
    """Return the facts of a data set as a JSON object."""
    from neuralcodec.evaluation.data.sets import find_copy

    copy = find_copy(known)
    return {
        "name": known.name,
        "title": known.title,
        "home": known.home,
        "images": known.images,
        "bytes": known.bytes,
        "path": copy and copy.folder,
        "absent": list(copy.absent) if copy else [],
    }


def _list_files(known: "KnownSet", json: bool) -> None:
    from neuralcodec.evaluation.data.sets import home_of

    if json:
        files = [
            {"file": one.file, "bytes": one.bytes, "sha256": one.sha256, "urls": list(one.urls)}
            for one in known.downloads
        ]
        echo_json({**_describe(known), "folder": home_of(known), "files": files})
        return
    archive = any(one.members for one in known.downloads)
    echo(f"{known.title}\n{'unpacked' if archive else 'to be put'} in {home_of(known)}\n")
    rows = [(one.file, str(one.bytes), one.sha256, one.urls[0]) for one in known.downloads]
    echo_table([("FILE", "BYTES", "SHA-256", "ADDRESS"), *rows])


@contextlib.contextmanager
def _bar(what: str, total: int, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Show a bar of bytes on a terminal; elsewhere, do nothing."""
    if quiet or not is_terminal(sys.stderr):
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
    from rich.progress import TimeRemainingColumn as TimeLeft

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeLeft(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda n: bar.advance(task, n)
