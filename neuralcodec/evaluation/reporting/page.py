"""The report of a run, and pages in general: one HTML file that needs nothing else."""

import base64
import hashlib
import html
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import neuralcodec
from neuralcodec.container.files import PathLike, atomic_write
from neuralcodec.errors import UnsupportedInput
from neuralcodec.evaluation.reporting.bd import bd_tables
from neuralcodec.evaluation.reporting.breakeven import break_even_table
from neuralcodec.evaluation.reporting.claim import claim_of
from neuralcodec.evaluation.reporting.curves import codecs_of, rows_of
from neuralcodec.evaluation.reporting.export import write_csv
from neuralcodec.evaluation.reporting.facts import facts_of, warnings_of
from neuralcodec.evaluation.reporting.figures import write_figures
from neuralcodec.evaluation.reporting.lossless import lossless_table
from neuralcodec.evaluation.reporting.palette import DARK, LIGHT
from neuralcodec.evaluation.reporting.run import Run, read_run, spec_of
from neuralcodec.evaluation.reporting.viewer import Decoder, pictures_of

SCRIPTS = {
    "report": ("basics", "codecs", "tiles", "plots", "tables", "bd", "viewer", "app"),
    "comparison": ("basics", "codecs", "tables", "viewer", "comparison"),
}


def report(
    folder: PathLike,
    *,
    anchor: str | None = None,
    published: bool = True,
    output: PathLike | None = None,
    trust: bool = False,
    left_out: Callable[[str], None] | None = None,
) -> Path:
    """Write the report of a run: report.html, results.csv and figures/*.png and *.svg.

    Parameters
    ----------
    folder
        What `neuralcodec eval -o` wrote.
    anchor
        Name or spec of the codec that BD-rates are against when the page opens; None means JPEG, or the first.
    published
        Whether to draw curves that others published of the same data, dashed.
    output
        Folder to write into; None means the run's.
    trust
        Whether codecs that the records name as a command or as a module of Python may be run to decode the
        pictures. Only for runs of one's own.
    left_out
        Called with why a file could not be read that claims to be a record; the page says so, too.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    UnsupportedInput
        If the folder has no record, `anchor` is not among them, or a library is missing.
    OSError
        If something cannot be written; each file is replaced as a whole or not at all.
    """
    run = read_run(folder, published=published)
    if left_out is not None:
        for reason in run.left_out.values():
            left_out(reason)
    number = _anchor(run, anchor)
    place = run.folder if output is None else Path(output)
    (place / "figures").mkdir(parents=True, exist_ok=True)
    write_csv(run, place / "results.csv")
    write_figures(run, place / "figures")
    return write_page(place / "report.html", "report", report_data(run, number, trust))


def report_data(run: Run, anchor: int, trust: bool) -> dict[str, Any]:
    """Return all that the page of a run shows, as a JSON value."""
    tables = bd_tables(run)
    claim = claim_of(run, tables, anchor)
    metric = run.metrics[0] if run.metrics else None
    return {
        **claim,
        "title": f"{claim['eyebrow']}: {claim['headline']}",
        **{"metrics": run.metrics, "anchor": anchor, "codecs": codecs_of(run), "caption": _caption(run)},
        **{"bd": tables, "rows": rows_of(run), "lossless": lossless_table(run)},
        "breakEven": break_even_table(run, metric or "psnr-rgb"),
        **{"facts": facts_of(run), "warnings": warnings_of(run, metric, tables, anchor)},
        "viewer": pictures_of(run, Decoder(trust)),
    }


def write_page(path: PathLike, kind: str, data: Mapping[str, Any]) -> Path:
    """Write a page.

    Parameters
    ----------
    path
        File to write.
    kind
        "report" or "comparison".
    data
        What it shows. "title" is the window's; "viewer" is stored at the end, so that the rest need not wait.

    Raises
    ------
    UnsupportedInput
        If plotly is not installed.
    """
    content = dict(data)
    pictures = content.pop("viewer")
    shared = {
        "palette": {"light": LIGHT, "dark": DARK},
        "hasPictures": bool(pictures["images"] or pictures["notes"]),
        "footer": f"neuralcodec {neuralcodec.__version__}. This page needs no network and loads nothing.",
    }
    main = "\n".join(_static(f"{name}.js") for name in SCRIPTS[kind])
    late = "neuralcodecLate();"
    early = _static("theme.js")
    scripts = [early, f'"use strict";(() => {{\n{main}\nglobalThis.neuralcodecLate = drawLate;\n}})();', late]
    if kind == "report":
        scripts.insert(1, _plotly())
    page = Template(_static("page.html")).substitute(
        title=html.escape(str(content["title"])),
        policy=_policy(scripts),
        style=_static("style.css"),
        early=early,
        body=_static(f"{kind}.html"),
        data=in_script(content | shared),
        scripts="\n".join(f"<script>{script}</script>" for script in scripts[1:-1]),
        pictures=in_script(pictures),
        late=late,
    )
    atomic_write(path, page.encode())
    return Path(path)


def in_script(value: Any) -> str:
    """Return a JSON value as the text of a script element, which nothing in it can end.

    >>> in_script({"name": "</script><b>"})
    '{"name":"\\\\u003c/script>\\\\u003cb>"}'
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # A lone surrogate, as from a file's name, is no Unicode text: as an escape it is.
    text = (
        "".join(f"\\u{ord(c):04x}" if "\ud800" <= c <= "\udfff" else c for c in text)
        if not _is_utf8(text)
        else text
    )
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _policy(scripts: Sequence[str]) -> str:
    """Return a content security policy: these scripts and no others, and nothing from elsewhere."""
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{one}'" for one in hashes)
    # Plotly sets styles; they can load nothing either.
    rest = "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    return f"default-src 'none'; script-src {allowed}; {rest}"


def _anchor(run: Run, name: str | None) -> int:
    everyone = [*run.measured, *run.published]
    if name is not None:
        return everyone.index(run.find(name))
    curves = [number for number, result in enumerate(run.measured) if result in run.lossy]
    specs = {number: spec_of(run.measured[number]) for number in curves}
    jpegs = [number for number in curves if specs[number].split(":")[0] == "jpeg"]
    plain = [number for number in jpegs if specs[number] == "jpeg"]
    return (plain or jpegs or curves or [0])[0]


def _caption(run: Run) -> str:
    count = len(run.images)
    mean = f"Means over {count} image{'s' * (count != 1)}" if count else "Means over each codec's own images"
    dashed = " Dashed: published by others, not measured here." if run.published else ""
    return f"{mean}; quality is the mean of the images' own values.{dashed}"


@cache
def _static(name: str) -> str:
    return (files(__package__) / "static" / name).read_text(encoding="utf-8")


def _plotly() -> str:
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise UnsupportedInput("a report needs plotly: pip install 'neuralcodec[eval]'") from None
    return str(get_plotlyjs()).replace("</script", "<\\/script")
