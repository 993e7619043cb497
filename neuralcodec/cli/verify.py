"""`neuralcodec verify`: whether files are whole and decode to what was coded."""

from dataclasses import asdict
from typing import Annotated

from neuralcodec.cli import options
from neuralcodec.cli.console import as_options, echo, echo_json, guarded, plural, progress
from neuralcodec.cli.parameters import argument

FAULT = 1

SHORT_HELP = "Check that files are whole."
HELP = """Check files: every checksum, and that every signal decodes to the samples that were coded.

A PATH is a .ncz file, an archive, a .ncm model file or a folder. In a folder with a manifest.json the files
that it lists must also have the hashes it gives; in another folder all .ncz and .ncm files are checked.
Exit code 0 means that all is well, 1 that a file is not, 2 that nothing could be checked.

\b
Examples:
  neuralcodec verify digit.ncz t10k.ncz
  neuralcodec verify bitstreams/
  neuralcodec verify scans.ncz -m my.ncm --json
"""


@guarded
def verify(
    paths: Annotated[list[str], argument("PATH", "Files and folders.")],
    model: options.MaybeModel = None,
    threads: options.Threads = None,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Run the verb (the help text is `HELP`)."""
    from neuralcodec.cli.checks import check, find
    from neuralcodec.native import thread_count

    thread_count(threads)
    entries = [entry for path in paths for entry in find(path)]
    with progress("verifying", len(entries), quiet=quiet) as advance:
        results = []
        for entry in entries:
            results.append(check(entry, model, threads))
            advance(1)
    failed = [result for result in results if result.error is not None]
    if json:
        echo_json({"ok": not failed, "files": [asdict(result) for result in results]})
    else:
        for result in results if not quiet else failed:
            what = result.kind if result.signals is None else plural(result.signals, "signal")
            echo(
                f"ok    {result.path} ({what})"
                if result.error is None
                else f"FAIL  {result.path}: {as_options(result.error)}"
            )
    if failed:
        raise SystemExit(FAULT)
