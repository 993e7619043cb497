"""`neuralcodec verify`: whether files are whole and decode to what was coded."""

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated

from neuralcodec.cli import options
from neuralcodec.cli.console import ERROR, as_options, complain, echo, echo_json, guarded, plural, progress
from neuralcodec.cli.parameters import argument

if TYPE_CHECKING:
    from neuralcodec.cli.checks import Result

FAULT = 1

SHORT_HELP = "Check that files are whole."
HELP = """Check files: every checksum, and that every signal decodes to the samples that were coded.

A PATH is a .ncz file, an archive, a .ncm model file or a folder. In a folder with a manifest.json the files
that it lists must also have the hashes it gives; in another folder all .ncz and .ncm files are checked.
Exit code 0 means that all is well, 1 that a file is damaged, 2 that one could not be checked: it cannot be
read, or its model is not here.

\b
Examples:
  neuralcodec verify digit.ncz t10k.ncz
  neuralcodec verify bitstreams/
  neuralcodec verify scans.ncz -m my.ncm --json
  curl -s https://example.org/scans.ncz | neuralcodec verify -
"""


@guarded
def verify(
    paths: Annotated[list[str], argument("PATH", "Files and folders, or - for standard input.")],
    model: options.MaybeModel = None,
    threads: options.Jobs = None,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Run the verb (the help text is `HELP`)."""
    from neuralcodec.cli.checks import check, find, spooled
    from neuralcodec.native import thread_count

    thread_count(threads)
    entries = [entry for path in paths for entry in find(path)]
    with progress("verifying", len(entries), quiet=quiet) as advance:
        results = []
        for entry in entries:
            with spooled(entry) as here:
                result = check(here, model, threads)
            results.append(replace(result, path=entry.path))
            advance(1)
    if json:
        echo_json(
            {"ok": all(one.error is None for one in results), "files": [asdict(one) for one in results]}
        )
    _tell(results, json=json, quiet=quiet)
    if any(one.error is not None and one.checked for one in results):
        raise SystemExit(FAULT)
    if any(one.error is not None for one in results):
        raise SystemExit(ERROR)


def _tell(results: "list[Result]", *, json: bool, quiet: bool) -> None:
    """Print a line for each file: on standard error for those that could not be checked."""
    for result in results:
        path = "standard input" if result.path == "-" else result.path
        if not result.checked:
            complain(f"error: {path}: {as_options(result.error or '')}")
        elif result.error is not None and not json:
            echo(f"FAIL  {path}: {as_options(result.error)}")
        elif result.error is None and not (json or quiet):
            what = result.kind if result.signals is None else plural(result.signals, "signal")
            echo(f"ok    {path} ({what})")
