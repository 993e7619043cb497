"""The Typer application of one or more verbs."""

from collections.abc import Iterable
from importlib import import_module
from typing import Annotated

import typer

from neuralcodec.cli import VERBS
from neuralcodec.cli.parameters import for_typer

_HELP = """Compress images and arrays with probability models, without loss.

\b
Examples:
  neuralcodec encode digit.png -m pc-mnist       writes digit.ncz
  neuralcodec decode digit.ncz                   writes digit.png
  neuralcodec encode scans/ -m my.ncm -o s.ncz   one archive of a folder
  neuralcodec models                             the models that are here

`neuralcodec VERB --help` tells more of each verb. Exit codes: 0 all went well, 1 `verify` found a fault,
2 an error, told in one line on standard error, 130 interrupted.
"""


def build(verbs: Iterable[str] = VERBS) -> typer.Typer:
    """Return an application that knows the given verbs; help on all of them needs all of them.

    >>> [command.name for command in build(["info"]).registered_commands]
    ['info']
    """
    app = typer.Typer(
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(help=_HELP)(_options)
    for verb in verbs:
        module = import_module(f"neuralcodec.cli.{verb}")
        if hasattr(module, "group"):
            app.add_typer(module.group(), name=verb, short_help=module.SHORT_HELP)
        else:
            function = for_typer(getattr(module, verb))
            app.command(verb, help=module.HELP, short_help=module.SHORT_HELP)(function)
    return app


def _print_version(asked: bool) -> None:
    if asked:
        from neuralcodec import __version__

        typer.echo(f"neuralcodec {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version),
    ] = False,
) -> None:
    pass
