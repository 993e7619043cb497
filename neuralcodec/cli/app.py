"""The Typer application of one or more verbs."""

from collections.abc import Iterable
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from neuralcodec.cli import VERBS
from neuralcodec.cli.console import ERROR, fail
from neuralcodec.cli.parameters import for_typer

_HELP = """Compress images and arrays with probability models, without loss, and measure any codec.

\b
Examples:
  neuralcodec encode digit.png -m pc-mnist       writes digit.ncz
  neuralcodec decode digit.ncz                   writes digit.png
  neuralcodec encode scans/ -m my.ncm -o s.ncz   one archive of a folder
  neuralcodec models                             the models that are here
  neuralcodec weights encode net.safetensors     writes net.ncz: a network's weights
  neuralcodec eval --data kodak -c jpeg -c avif -o out   files, quality, time, and a report

`neuralcodec VERB --help` tells more of each verb. Exit codes: 0 all went well, 1 `verify` found damage, or
`repair` or `decode --salvage` lost signals, 2 an error, told in one line on standard error, 130 interrupted.
"""


class _OneLine(TyperGroup):
    """Tells what is wrong with a command line as the verbs tell their errors: in one line, with code 2."""

    def main(self, args: Any = None, *, standalone_mode: bool = True, **extra: Any) -> Any:  # type: ignore[override]
        if not (standalone_mode and args):  # nothing given: that is answered with the help text
            return super().main(args, standalone_mode=standalone_mode, **extra)
        try:
            code = super().main(args, standalone_mode=False, **extra)
        except Exception as error:
            # Typer's errors have this method; where their classes are depends on its version.
            message, show = getattr(error, "format_message", None), getattr(error, "show", None)
            if message is None or show is None:
                raise
            if type(error).__name__ == "NoArgsIsHelpError":
                show()
                raise SystemExit(ERROR) from None
            path = getattr(getattr(error, "ctx", None), "command_path", "neuralcodec")
            fail(f"{message().removesuffix('.')} (see `{path} --help`)")
        raise SystemExit(code if isinstance(code, int) else 0)


def build(verbs: Iterable[str] = VERBS) -> typer.Typer:
    """Return an application that knows the given verbs; help on all of them needs all of them.

    >>> [command.name for command in build(["info"]).registered_commands]
    ['info']
    """
    app = typer.Typer(
        cls=_OneLine,
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
