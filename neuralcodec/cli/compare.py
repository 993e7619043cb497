"""`neuralcodec compare`: one image, coded by several codecs at one rate, side by side."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from neuralcodec.cli import options
from neuralcodec.cli.console import complain, echo_json, echo_table, guarded, progress, tell
from neuralcodec.cli.parameters import argument, option
from neuralcodec.errors import UnsupportedInput

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from neuralcodec.evaluation.matching import Match
    from neuralcodec.evaluation.metrics import Reference
    from neuralcodec.evaluation.reporting.viewer import Reconstruction
    from neuralcodec.evaluation.subject import Subject

SHORT_HELP = "Show codecs side by side at one rate, on one image."
HELP = """Find for each codec the setting nearest to a rate, and write a page that shows the results side by side.

The page is one file that opens in a browser from the disk. CODEC is a name (`neuralcodec eval --list` tells them),
a model, module:Class, or a command. Rate points after it bound the search: jpeg@20,90; a command needs them.

\b
Examples:
  neuralcodec compare photo.png --codec jpeg --codec webp --codec avif --bpp 0.3 -o photo.html
  neuralcodec compare photo.png --codec jxl --bpp 0.5 --metric ms-ssim-rgb-db --json
  neuralcodec compare photo.png --codec 'cmd:cjxl {in} {out.jxl} -q {q} ::: djxl {in.jxl} {out}@5,95' --bpp 0.3
"""
_MISSED = "codecs that cannot come near that rate are shown at their nearest"


@dataclass(frozen=True)
class _Shown:
    """What became of the image with one codec."""

    subject: "Subject"
    match: "Match"
    reconstruction: "Reconstruction"


@guarded
def compare(
    image: Annotated[list[str], argument("IMG", "An image: a file, of which there is one.")],
    codec: Annotated[list[str], option("--codec", "-c", metavar="CODEC", help="A codec; give one or more.")],
    bpp: Annotated[float, option("--bpp", "-b", metavar="RATE", least=0, help="Bits per pixel to aim at.")],
    output: Annotated[
        str | None,
        option("--output", "-o", metavar="OUT", help="The page to write; by default IMG's name with .html."),
    ] = None,
    metric: Annotated[
        list[str] | None,
        option(
            "--metric", metavar="NAME", help="A metric, given once or more; by default all for the image."
        ),
    ] = None,
    open: Annotated[str, option("--open", metavar="yes|no", help="Open the page in a browser.")] = "no",
    force: options.Force = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Run the verb (the help text is `HELP`)."""
    from neuralcodec.signals.outputs import check_free, check_not_input

    if open not in ("yes", "no"):
        raise UnsupportedInput(f"--open {open}: it is yes or no")
    name, samples = _one_image(image)
    page = output or os.path.splitext(os.path.basename(name))[0] + ".html"
    if page == "-":
        raise UnsupportedInput("-o -: the page is a file, which a browser opens: give its name")
    check_not_input(page, image)
    check_free(page, force)
    subjects = _subjects(codec)
    shown, failed = _coded(subjects, samples, bpp, metric, quiet)
    _write(page, name, samples, shown, bpp)
    if json:
        echo_json({"image": name, "bpp": bpp, "page": page, "codecs": [*map(_facts, shown), *failed]})
    else:
        _echo(shown)
    for one in failed:
        complain(f"{one['codec']}: {one['error']}")
    tell(f"{page} shows {name} at {bpp:g} bits per pixel", quiet)
    if open == "yes":
        _open(page)


def _one_image(inputs: Sequence[str]) -> tuple[str, "NDArray[Any]"]:
    """Return name and samples of the only image that was given."""
    from neuralcodec.evaluation.data import open_data

    advice = "compare shows one: name one image file, or measure many with `neuralcodec eval`"
    if len(inputs) > 1:
        raise UnsupportedInput(f"{len(inputs)} images were given ({', '.join(inputs)}); {advice}")
    found = open_data(inputs[0])
    if len(found.items) > 1:
        raise UnsupportedInput(f"{inputs[0]} holds {len(found.items)} images; {advice}")
    return found.items[0].name, found.items[0].load()


def _subjects(specs: Sequence[str]) -> list["Subject"]:
    from neuralcodec.evaluation.specs import find_subject

    twice = next((spec for spec in specs if specs.count(spec) > 1), None)
    if twice is not None:
        raise UnsupportedInput(f"--codec {twice} is given twice")
    return [find_subject(spec) for spec in specs]


def _coded(
    subjects: Sequence["Subject"],
    samples: "NDArray[Any]",
    bpp: float,
    metrics: Sequence[str] | None,
    quiet: bool,
) -> tuple[list[_Shown], list[dict[str, str]]]:
    """Return what the codecs made of the image, and the errors of those that failed."""
    from neuralcodec.evaluation.measure import words
    from neuralcodec.evaluation.metrics import Reference, refuses
    from neuralcodec.evaluation.results import QUALITY_METRICS

    reference = Reference(samples)
    chosen = metrics or [one for one in QUALITY_METRICS if not refuses(one, samples.shape, samples.dtype)]
    reference.compare(samples, chosen)  # tells now of a metric that does not exist, or refuses the image
    titles = [subject.title for subject in subjects]
    shown, failed = [], []
    with progress("matching", len(subjects), quiet=quiet) as advance:
        for subject, title in zip(subjects, titles, strict=True):
            unique = title if titles.count(title) == 1 else f"{title} ({subject.spec})"
            try:
                shown.append(_match(subject, unique, reference, chosen, bpp))
            except Exception as error:  # a codec of the user's may raise anything
                failed.append({"codec": subject.spec, "error": words(error)})
            advance(1)
    if not shown:
        raise UnsupportedInput("; ".join(f"{one['codec']}: {one['error']}" for one in failed))
    return shown, failed


def _match(
    subject: "Subject", title: str, reference: "Reference", metrics: Sequence[str], bpp: float
) -> _Shown:
    from neuralcodec.evaluation.matching import match_rate
    from neuralcodec.evaluation.reporting.viewer import Reconstruction
    from neuralcodec.evaluation.subject import kind_of

    match = match_rate(subject, reference.original, bpp)
    samples = subject.decode(match.encoded.file, kind_of(reference.original))
    figures = reference.compare(samples, metrics)
    if subject.lossless and figures["max-error"]:
        raise UnsupportedInput("the decoded samples differ from the original, though the codec is lossless")
    return _Shown(subject, match, Reconstruction(title, samples, match.bpp, figures, match.quality))


def _write(page: str, name: str, samples: "NDArray[Any]", shown: Sequence[_Shown], bpp: float) -> None:
    from neuralcodec.evaluation.reporting.viewer import write_comparison

    note = f"Each codec at the setting whose file is nearest to {bpp:g} bits per pixel"
    note += f"; {_MISSED}." if any(one.match.missed for one in shown) else "."
    write_comparison(page, samples, [one.reconstruction for one in shown], title=name, note=note)


def _facts(one: _Shown) -> dict[str, Any]:
    """Return a codec's figures as a JSON object."""
    return {
        "codec": one.subject.spec,
        "title": one.reconstruction.title,
        "quality": one.match.quality,
        "bpp": one.match.bpp,
        "bytes": len(one.match.encoded.file),
        "missed": one.match.missed,
        "tried": one.match.tried,
        **one.reconstruction.metrics,
    }


def _echo(shown: Sequence[_Shown]) -> None:
    """Print a line for each codec, and why those miss the rate that do."""
    metrics = [key for key in shown[0].reconstruction.metrics if key not in ("mse", "max-error")]
    table = [["CODEC", "QUALITY", "BPP", *map(str.upper, metrics), ""]]
    for one in shown:
        values = [one.reconstruction.metrics[key] for key in metrics]
        table.append(
            [
                one.reconstruction.title,
                "" if one.match.quality is None else f"{one.match.quality:.5g}",
                f"{one.match.bpp:.4f}",
                *("infinite" if value is None else f"{value:.4f}" for value in values),
                one.match.missed or "",
            ]
        )
    echo_table(table)


def _open(page: str) -> None:
    import webbrowser
    from pathlib import Path

    if not webbrowser.open(Path(page).resolve().as_uri()):
        complain(f"no browser could be started: open {page} yourself")
