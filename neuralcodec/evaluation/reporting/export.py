"""`results.csv`: every row of every measured codec."""

import csv
import io
from typing import Any

from neuralcodec.container.files import PathLike, atomic_write
from neuralcodec.evaluation.reporting.run import Run, layout_of, spec_of

FIRST = ("codec", "spec", "layout", "image", "sha256", "quality")
# What makes a spreadsheet take a cell for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_csv(run: Run, path: PathLike) -> None:
    """Write the rows of all measured codecs as UTF-8 CSV with a header (RFC 4180).

    Columns are the same for all codecs; a figure that a row lacks is an empty cell. Names come from files: one
    that a spreadsheet would run as a formula gets an apostrophe in front.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    keys = dict.fromkeys(key for result in run.measured for row in result.rows for key in row)
    columns = [*FIRST, *(key for key in keys if key not in FIRST)]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="")
    writer.writerow({column: column for column in columns})
    for result in run.measured:
        head = {"codec": run.labels[id(result)], "spec": spec_of(result), "layout": layout_of(result)}
        for row in result.rows:
            writer.writerow({key: cell(value) for key, value in (head | row).items()})
    atomic_write(path, text.getvalue().encode())


def cell(value: Any) -> Any:
    """Return a value as a cell.

    >>> cell(0.25), cell([3, 4]), cell(None), cell("=1+1")
    (0.25, '3 x 4', '', "'=1+1")
    """
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return " x ".join(map(str, value))
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
