"""`neuralcodec repair`: a whole archive of what is whole in a damaged one."""

import os
from typing import Annotated, Any

from neuralcodec.cli import options
from neuralcodec.cli.console import echo_json, guarded, is_terminal, plural, tell
from neuralcodec.cli.parameters import argument
from neuralcodec.errors import UnsupportedInput

SHORT_HELP = "Make a damaged archive whole."
HELP = """Write a whole archive of every chunk of a damaged one whose checksum holds.

Nothing is coded again, and FILE is only read. What is lost is told on standard error; signals behind lost
ones move up. Exit code 0 means that every signal is there, 1 that some are lost, 2 that nothing was written.

\b
Examples:
  neuralcodec repair scans.ncz                   writes scans.repaired.ncz
  neuralcodec repair scans.ncz -o whole.ncz --json
"""


@guarded
def repair(
    file: Annotated[str, argument("FILE", "An archive, or - for standard input.")],
    output: options.Output = None,
    model: options.MaybeModel = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Run the verb (the help text is `HELP`)."""
    import sys

    from neuralcodec.api import repair_archive
    from neuralcodec.cli import salvage
    from neuralcodec.signals.outputs import STDOUT, check_free, check_not_input, is_special, open_output
    from neuralcodec.signals.sources import read_bytes

    target = _default_output(file) if output is None else output
    if target == STDOUT and (json or is_terminal(sys.stdout)):
        reason = "--json needs for its report" if json else "is a terminal"
        raise UnsupportedInput(f"the archive would go to standard output, which {reason}: use --output")
    check_not_input(target, [file])
    check_free(target, force)
    data: Any = bytes(read_bytes(file)) if file == "-" or is_special(file) else file
    with open_output(target) as out:
        damage = repair_archive(data, out, model)
    if json:
        echo_json({"output": target, **salvage.describe(damage)})
    salvage.tell_damage(file, damage)
    tell(f"{target}: {plural(damage.signals, 'signal')}", quiet)
    salvage.end(damage)


def _default_output(file: str) -> str:
    """Return where to write if the user does not say.

    >>> _default_output("a/scans.ncz"), _default_output("-")
    ('a/scans.repaired.ncz', '-')
    """
    stem, suffix = os.path.splitext(file)
    return file if file == "-" else f"{stem}.repaired{suffix}"
