"""`neuralcodec report`: the page, the figures and the table of a run."""

from typing import Annotated

from neuralcodec.cli import options
from neuralcodec.cli.console import complain, echo, guarded
from neuralcodec.cli.parameters import argument, option

SHORT_HELP = "Make the report of a run of `eval`."
HELP = """Make the report of a run from the records in its folder: report.html, results.csv and figures/.

The page opens from the disk and needs no network. Pictures are decoded from the files that the run kept. A record may
name a command, or a module of Python, as its codec: those are run only with --trust.

\b
Examples:
  neuralcodec report results/run1
  neuralcodec report results/run1 --anchor webp -o site/run1
"""


@guarded
def report(
    run: Annotated[str, argument("RUN", "The folder that `eval -o` wrote.")],
    anchor: Annotated[
        str | None,
        option("--anchor", metavar="NAME", help="Codec that BD-rates are against; by default JPEG."),
    ] = None,
    output: options.Output = None,
    measured: Annotated[bool, option("--measured", help="Leave out published curves.")] = False,
    trust: Annotated[
        bool, option("--trust", help="Decode with commands and modules that the records name, too.")
    ] = False,
) -> None:
    """Run the verb (the help text is `HELP`)."""
    from neuralcodec.evaluation.reporting import report as write_report

    def left_out(reason: str) -> None:
        complain(f"left out: {reason}")

    page = write_report(
        run, anchor=anchor, published=not measured, output=output, trust=trust, left_out=left_out
    )
    echo(str(page))
