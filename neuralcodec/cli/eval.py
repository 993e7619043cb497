"""`neuralcodec eval`: codecs measured on a data set."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

from neuralcodec.cli import options
from neuralcodec.cli.console import complain, echo, echo_json, guarded, plural, progress, tell
from neuralcodec.cli.parameters import option
from neuralcodec.errors import UnsupportedInput

if TYPE_CHECKING:
    from neuralcodec.evaluation.results import Result

SHORT_HELP = "Measure codecs on a data set: rate, distortion, time, memory."
HELP = """Measure codecs on a data set by the bytes of their files.

Every image is encoded and decoded at every rate point. The folder OUT gets a JSON record for each codec and a
report that opens in a browser. A run that was interrupted goes on where it stopped; codecs and rate points can be
added to a folder later. Lossless codecs must return the very samples, or the run fails.

DATA is a data set (`neuralcodec data list`), a folder, an image, an IDX, .npy or .npz file. CODEC is a name
(--list tells them), a model, module:Class, or a command; rate points may follow it: jpeg@10,50,90.

\b
Examples:
  neuralcodec eval --data kodak --codec jpeg --codec webp --codec avif -o results/kodak --jobs 2
  neuralcodec eval --data photos/ --codec jpeg@30,60,90 --codec avif:speed=8 -o results/photos
  neuralcodec eval --data mnist --codec pc-mnist --layout archive -o results/mnist
  neuralcodec eval --data kodak --codec 'cmd:cjxl {in} {out.jxl} -q {q} ::: djxl {in.jxl} {out}@30,60,90' -o results/k
  neuralcodec eval --list
"""


@guarded
def eval(
    data: Annotated[
        str | None, option("--data", "-d", metavar="DATA", help="Data set, folder or file of images.")
    ] = None,
    codec: Annotated[
        list[str] | None, option("--codec", "-c", metavar="CODEC", help="A codec; give one or more.")
    ] = None,
    output: Annotated[str | None, option("--output", "-o", metavar="OUT", help="The run's folder.")] = None,
    metric: Annotated[
        list[str] | None,
        option("--metric", metavar="NAME", help="psnr-rgb, psnr-y, ms-ssim-rgb, ms-ssim-rgb-db or ssim-rgb."),
    ] = None,
    layout: Annotated[
        str,
        option("--layout", metavar="KIND", help="each image a file, one mosaic of all, or one .ncz archive."),
    ] = "each",
    limit: Annotated[
        int | None, option("--limit", metavar="N", least=1, help="Images to draw from the data set.")
    ] = None,
    seed: Annotated[int, option("--seed", metavar="SEED", least=0, help="Seed of that draw.")] = 0,
    jobs: Annotated[
        int, option("--jobs", "-j", metavar="N", least=1, most=1024, help="Processes to measure in.")
    ] = 1,
    scheduler: Annotated[
        str | None,
        option("--scheduler", metavar="ADDRESS", help="Measure on a Dask cluster instead: tcp://host:8786."),
    ] = None,
    keep: Annotated[
        int,
        option("--keep", metavar="N", least=0, help="Images whose files are kept, for the report's viewer."),
    ] = 3,
    anchor: Annotated[
        str | None,
        option(
            "--anchor", metavar="CODEC", help="What the report compares with; by default JPEG, or the first."
        ),
    ] = None,
    restart: Annotated[bool, option("--restart", help="Measure anew what the folder holds.")] = False,
    no_report: Annotated[bool, option("--no-report", help="Write the records only.")] = False,
    list_codecs: Annotated[bool, option("--list", help="List codecs and metrics, and end.")] = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Run the verb (the help text is `HELP`)."""
    if list_codecs:
        _list(json=json)
        return
    if data is None or not codec or output is None:
        missing = "--data" if data is None else "--codec" if not codec else "--output"
        raise UnsupportedInput(f"{missing} is missing: see `neuralcodec eval --help` for examples")
    if not no_report:
        _check_libraries()
        if anchor is not None:
            _check_anchor(anchor, codec, data, output)
    from neuralcodec.evaluation.runner import evaluate

    with ExitStack() as stack:
        bar = _Bar(stack, quiet)
        results = evaluate(
            data,
            codec,
            output,
            metrics=metric or None,
            layout=layout,
            limit=limit,
            seed=seed,
            jobs=jobs,
            scheduler=scheduler,
            keep=keep,
            restart=restart,
            isolate=True,
            begin=bar.begin,
            advance=bar.advance,
        )
    page = None if no_report else _report(output, anchor)
    _tell(results, output, page, json=json, quiet=quiet)


class _Bar:
    """A progress bar whose length is known only when the run begins."""

    def __init__(self, stack: ExitStack, quiet: bool) -> None:
        self._stack, self._quiet = stack, quiet
        self._advance: Callable[[int], None] = lambda n: None

    def begin(self, total: int) -> None:
        """Show the bar."""
        if total:
            self._advance = self._stack.enter_context(progress("measuring", total, quiet=self._quiet))

    def advance(self, n: int) -> None:
        """Move on."""
        self._advance(n)


def _check_libraries() -> None:
    """Refuse a run whose report could not be made, before it is measured rather than after."""
    from importlib.util import find_spec

    for library in ("plotly", "matplotlib"):
        if find_spec(library) is None:
            raise UnsupportedInput(
                f"the report needs {library}: pip install 'neuralcodec[eval]', or do without it (--no-report)"
            )


def _check_anchor(anchor: str, codecs: Sequence[str], data: str, output: str) -> None:
    """Refuse an anchor that the report will not know, before the codecs are measured."""
    from neuralcodec.evaluation.published import published_curves
    from neuralcodec.evaluation.reporting.run import read_run
    from neuralcodec.evaluation.specs import find_subject

    subjects = [find_subject(codec) for codec in codecs]
    names = [name for subject in subjects for name in (subject.name, subject.title)]
    names += (curve.name for curve in published_curves(data))
    if anchor.casefold() in map(str.casefold, names):
        return
    try:
        read_run(output).find(anchor)
    except UnsupportedInput:
        raise UnsupportedInput(
            f"--anchor {anchor}: no codec of this run is called so; there are {', '.join(dict.fromkeys(names))}"
        ) from None


def _report(output: str, anchor: str | None) -> str:
    from neuralcodec.evaluation.reporting import report

    return str(report(output, anchor=anchor, trust=True))  # the user has just named the codecs


def _list(*, json: bool) -> None:
    from neuralcodec.evaluation.results import QUALITY_METRICS
    from neuralcodec.evaluation.specs import absent, available

    if json:
        echo_json({"codecs": dict(available()), "absent": dict(absent()), "metrics": list(QUALITY_METRICS)})
        return
    for name, title in available().items():
        echo(f"{name:18} {title}")
    for name, remedy in absent().items():
        echo(f"{name:18} absent: {remedy}")
    echo(f"metrics: {', '.join(QUALITY_METRICS)}")


def _tell(results: "Sequence[Result]", output: str, page: str | None, *, json: bool, quiet: bool) -> None:
    failed = [row | {"codec": result.meta["codec"]} for result in results for row in result.errors]
    if json:
        errors = [{key: row[key] for key in ("codec", "image", "quality", "error")} for row in failed]
        means = [{"name": one.name, "codec": one.meta["codec"]} | one.to_json()["results"] for one in results]
        echo_json({"output": output, "report": page, "results": means, "errors": errors})
    else:
        for line in _table(results):
            echo(line)
    if failed:
        first = failed[0]
        complain(
            f"{plural(len(failed), 'measurement')} failed, the first of {first['codec']} on {first['image']}: "
            f"{first['error']}"
        )
    _tell_left_out(results, quiet)
    tell(f"{output}: {plural(len(results), 'record')}" + (f" and {page}" if page else ""), quiet)


def _tell_left_out(results: "Sequence[Result]", quiet: bool) -> None:
    """Tell what was not measured: files that are no images, and metrics that the images refuse."""
    skipped = list(results[0].meta["skipped"])
    if skipped and not quiet:
        complain(f"left out of the data: {plural(len(skipped), 'file')}, the first {skipped[0]}")
    for reason in results[0].meta["refused_metrics"].values():
        tell(reason, quiet)


_COLUMNS = (
    ("bpp", "bpp", ".4f"),
    ("PSNR", "psnr-rgb", ".3f"),
    ("MS-SSIM", "ms-ssim-rgb", ".5f"),
    ("bits/sample", "bits_per_sample", ".4f"),
    ("encode s", "encoding_time", ".4f"),
    ("decode s", "decoding_time", ".4f"),
)


def _infinite(result: "Result", key: str, quality: float | None) -> str:
    """Return what stands in place of a mean that is no number: "infinite" if some image came back equal."""
    rows = (row for row in result.rows if row["quality"] == quality)
    return "infinite" if any(row.get(key, 0.0) is None for row in rows) else ""


def _table(results: "Sequence[Result]") -> list[str]:
    """Return the means as lines of text."""
    import math

    shown = [
        column for column in _COLUMNS if any(column[1] in row for result in results for row in result.rows)
    ]
    titles = [result.name for result in results]
    names = [
        title if titles.count(title) == 1 else result.meta["codec"]
        for title, result in zip(titles, results, strict=True)
    ]
    width = max(5, *map(len, names))
    lines = [f"{'codec':{width}} {'quality':>8}" + "".join(f" {title:>11}" for title, _, _ in shown)]
    for name, result in zip(names, results, strict=True):
        curves = [result.curve(key) for _, key, _ in shown]
        for number, quality in enumerate(result.qualities):
            values = [curve[number] for curve in curves]
            cells = [
                f" {_infinite(result, key, quality) if math.isnan(value) else format(value, spec):>11}"
                for value, (_, key, spec) in zip(values, shown, strict=True)
            ]
            point = "lossless" if quality is None else f"{quality:g}"
            lines.append(f"{name:{width}} {point:>8}" + "".join(cells))
    return lines
