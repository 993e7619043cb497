"""The `neuralcodec` command, one module a verb.

Starting up is most of what coding one small image costs. So a verb's module is imported only when it is asked
for, modules import what they need where they need it, and Typer is called for what cannot be read plainly.
"""

from collections.abc import Callable

VERBS = (
    *("encode", "decode", "info", "verify", "repair", "models", "train", "sample", "complete"),
    *("weights", "data", "eval", "report", "bd", "compare"),
)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; the process exits with the code of the verb.

    Parameters
    ----------
    arguments
        What follows the command's name; None means those of the process.

    Raises
    ------
    SystemExit
        1 if `verify`, `repair` or `decode --salvage` found a fault, 2 for an error, 130 if interrupted, 143 if
        terminated, 129 if its terminal was closed.
    """
    import signal
    import sys

    signal.signal(signal.SIGTERM, _terminate)
    hangup = getattr(signal, "SIGHUP", None)  # Windows has none
    if hangup is not None and signal.getsignal(hangup) != signal.SIG_IGN:  # as `nohup` sets it
        signal.signal(hangup, _terminate)
    given = sys.argv[1:] if arguments is None else arguments
    try:
        _run(given)
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except OSError as error:  # of help and version; verbs tell their own
        from neuralcodec.cli.console import fail, os_error

        fail(os_error(error))


def _terminate(number: int, frame: object) -> None:
    """End by an exception, so that blocks which write a file remove what they began."""
    raise SystemExit(128 + number)


def _run(given: list[str]) -> None:
    verbs = given[:1] if given[:1] and given[0] in VERBS else VERBS
    if len(verbs) == 1:
        from importlib import import_module

        from neuralcodec.cli.parameters import read_plainly

        verb: Callable[..., None] | None
        verb = getattr(import_module(f"neuralcodec.cli.{given[0]}"), given[0], None)
        values = None if verb is None else read_plainly(verb, given[1:])
        if verb is not None and values is not None:
            verb(**values)
            return
    from neuralcodec.cli.app import build

    build(verbs)(args=given, prog_name="neuralcodec")
