"""Options that several verbs share."""

from typing import Annotated

from neuralcodec.cli.parameters import option

Model = Annotated[
    str,
    option("--model", "-m", metavar="MODEL", help="Name of a model, or the path of a model file (.ncm)."),
]
MaybeModel = Annotated[
    str | None,
    option(
        "--model", "-m", metavar="MODEL", help="Model to decode with; by default the one that the file names."
    ),
]
Output = Annotated[
    str | None,
    option("--output", "-o", metavar="OUT", help="Where to write; - is standard output."),
]
Force = Annotated[bool, option("--force", "-f", help="Overwrite what is there.")]
Quiet = Annotated[bool, option("--quiet", "-q", help="No progress and no summary, even on a terminal.")]
Json = Annotated[bool, option("--json", help="Print the result as JSON.")]
Threads = Annotated[
    int | None,
    option(
        "--threads", metavar="N", least=1, help="Threads to use; by default all cores. Files are the same."
    ),
]
Jobs = Annotated[
    int | None,
    option(
        "--jobs",
        "-j",
        "--threads",
        metavar="N",
        least=1,
        help="Groups to code at the same time; by default as many as there are cores. Files are the same.",
    ),
]
Resize = Annotated[
    bool, option("--resize", help="Resize images to the model's size first (this loses information).")
]
Grayscale = Annotated[
    bool, option("--grayscale", help="Convert images to 8-bit gray first (this loses information).")
]
Kind = Annotated[
    str | None,
    option("--format", metavar="KIND", help="Kind of file: png, wav, npy, npz, idx, idx.gz or folder."),
]
