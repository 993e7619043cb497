"""`neuralcodec decode`: a file or an archive back to signals."""

import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, cast

from neuralcodec.cli import options
from neuralcodec.cli.console import complain, echo_json, guarded, is_terminal, plural, progress, tell
from neuralcodec.cli.indices import parse_indices
from neuralcodec.cli.parameters import argument, option
from neuralcodec.errors import CorruptFile, UnsupportedInput

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from neuralcodec.archives import Archive, Damage
    from neuralcodec.codec import Codec
    from neuralcodec.signals.targets import Kind, Label

BATCH = 1024
_SIGNALS = (b"\x89PNG", b"\x93NUMPY", b"PK\x03\x04", b"RIFF", b"\xff\xd8\xff", b"\x1f\x8b")

SHORT_HELP = "Restore what was compressed."
HELP = """Restore the signals of a .ncz file: sample for sample, or as near as a lossy codec kept them.

OUT is a .png, .wav, .npy, .npz, .idx or .idx.gz file, a folder (one file a signal), or - for standard output.
Without it, an image becomes a .png beside FILE, a sound a .wav, and an archive a folder if it has names, else a
.npy file.

\b
Examples:
  neuralcodec decode digit.ncz
  neuralcodec decode photo.ncz --crop 0,0,640,480 -o corner.png
  neuralcodec decode t10k.ncz -o t10k-images-idx3-ubyte.gz
  neuralcodec decode t10k.ncz --index 0,17,100-199 -o some/
  neuralcodec decode damaged.ncz --salvage -o whole/
  neuralcodec decode - -o - --format npy < digit.ncz > digit.npy
"""


@guarded
def decode(
    file: Annotated[str, argument("FILE", "A .ncz file, or - for standard input.")],
    output: options.Output = None,
    model: options.MaybeModel = None,
    index: Annotated[
        str | None,
        option(
            "--index", metavar="I,J-K", help="Which signals of an archive, counted from 0; J-K includes both."
        ),
    ] = None,
    salvage: Annotated[
        bool,
        option(
            "--salvage",
            help="Take what is whole of a damaged archive or photograph; exit code 1 if something is lost.",
        ),
    ] = False,
    crop: Annotated[
        str | None,
        option("--crop", metavar="X,Y,W,H", help="Decode only this part of a photograph, in pixels."),
    ] = None,
    kind: options.Kind = None,
    sampling_rate: Annotated[
        int | None,
        option(
            "--sampling-rate",
            metavar="HZ",
            least=1,
            most=2**31 - 1,
            help="Of sounds that are written as .wav; by default the model's.",
        ),
    ] = None,
    threads: options.Jobs = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Run the verb (the help text is `HELP`)."""
    from neuralcodec.native import thread_count
    from neuralcodec.signals.outputs import check_not_input, is_special
    from neuralcodec.signals.sources import read_bytes

    thread_count(threads)
    if output is not None:
        check_not_input(output, [file])
        check_target(output, kind, force)
    if json and (output == "-" or (output is None and file == "-")):
        raise UnsupportedInput("the samples would go to standard output, which --json needs: use --output")
    data: Any = bytes(read_bytes(file)) if file == "-" or is_special(file) else file
    _check_kind(file, data)
    part = None if crop is None else parse_crop(crop)
    if not _is_archive(data) and (not salvage or _has_parts(data)):
        if index is not None:
            raise UnsupportedInput(f"{file} holds one signal; --index is for archives")
        if salvage and part is not None:
            raise UnsupportedInput("--crop does not go with --salvage: leave one of them out")
        target, faults = _decode_one(
            file, data, output, model, kind, sampling_rate, force, part=part, salvage=salvage
        )
        _report(file, target, 1, json=json, quiet=quiet)
        _end_salvage(file, faults)
        return
    if part is not None:
        raise UnsupportedInput(f"{file} is an archive: --crop is for single files of photographs")
    from neuralcodec.api import open_archive

    with open_archive(data, model, salvage=salvage, threads=threads) as archive:
        count, target = _decode_many(
            file, data, archive, output, index, kind, sampling_rate, force=force, quiet=quiet
        )
        damage = archive.damage if salvage else None
    _report(file, target, count, damage, json=json, quiet=quiet)


def _report(
    file: str, target: str, count: int, damage: "Damage | None" = None, *, json: bool, quiet: bool
) -> None:
    """Tell what was done, and what is lost; end with exit code 1 if something is."""
    tell(f"{file}: {plural(count, 'signal')} restored to {target}", quiet)
    report = {"output": target, "signals": count}
    if damage is None:
        if json:
            echo_json(report)
        return
    from neuralcodec.cli import salvage

    if json:
        echo_json({**report, "salvage": salvage.describe(damage)})
    salvage.tell_damage(file, damage)
    salvage.end(damage)


def check_target(target: str, kind: str | None, force: bool) -> None:
    """Refuse a target before any work is done for it.

    Raises
    ------
    UnsupportedInput
        If the kind of file or the suffix is not one that is written, or the samples would go to a terminal.
    FileExistsError
        If there is something and `force` is false.
    """
    from neuralcodec.signals.outputs import STDOUT, check_free
    from neuralcodec.signals.targets import KINDS, kind_of

    if kind is not None and kind not in KINDS:
        raise UnsupportedInput(f"--format takes {', '.join(KINDS)}, not {kind}")
    if target == STDOUT and is_terminal(sys.stdout):
        raise UnsupportedInput("the samples would go to a terminal: name a file with --output")
    if target != STDOUT and kind is None:
        kind_of(target)
    check_free(target, force)


def _head(data: str | bytes) -> bytes:
    if isinstance(data, bytes):
        return data[:6]
    with open(data, "rb") as stream:
        return stream.read(6)


def _check_kind(file: str, data: str | bytes) -> None:
    """Refuse model files, and signals that are not compressed, with what to do instead."""
    from neuralcodec.artifact import MAGIC as MODEL
    from neuralcodec.container.header import is_weights

    head = _head(data)
    if head.startswith(MODEL):
        raise UnsupportedInput(f"{file} is a model file: decode takes a .ncz file, and this one with -m")
    if is_weights(head):
        raise UnsupportedInput(f"{file} holds the weights of a network: use `neuralcodec weights decode`")
    if head.startswith(_SIGNALS):
        raise UnsupportedInput(f"{file} is not a neuralcodec file: to compress it, use encode")


def _is_archive(data: str | bytes) -> bool:
    """Tell an archive from a single file by its flags; other files are left to the reader of those."""
    from neuralcodec.container.header import ARCHIVE, MAGIC

    head = _head(data)
    return len(head) == 6 and head.startswith(MAGIC) and bool(head[5] & ARCHIVE)


def place(
    file: str, output: str | None, kind: str | None, default: "Kind", force: bool
) -> "tuple[str, Kind]":
    """Return where to write and what kind of file: at `output`, else beside `file` if that is free."""
    from neuralcodec.signals.outputs import STDOUT, check_not_input
    from neuralcodec.signals.targets import kind_of

    asked = cast("Kind | None", kind)
    if output is not None:
        return output, asked or (default if output == STDOUT else kind_of(output))
    chosen = asked or default
    stem = os.path.splitext(file)[0]
    target = STDOUT if file == "-" else stem if chosen == "folder" else f"{stem}.{chosen}"
    check_not_input(target, [file])
    check_target(target, chosen, force)
    return target, chosen


def _sampling_rate(codec: "Codec", given: int | None) -> int | None:
    """Return the sampling rate that is given, else the one in the model's header, if it is one."""
    header = codec.model.header if codec.model is not None else {}
    told = header.get("sampling_rate")
    return given or (told if type(told) is int and 0 < told < 2**31 else None)


def parse_crop(text: str) -> tuple[int, int, int, int]:
    """Return left, top, width and height of a part of an image.

    >>> parse_crop("0,16,640,480")
    (0, 16, 640, 480)
    """
    numbers = [int(item) for item in text.split(",") if item.isascii() and item.isdigit() and len(item) < 10]
    if len(numbers) != 4 or text.count(",") != 3 or 0 in numbers[2:]:
        raise UnsupportedInput(f"--crop {text}: it takes left, top, width and height, such as 0,0,640,480")
    left, top, width, height = numbers
    return left, top, width, height


def _has_parts(data: str | bytes) -> bool:
    """Tell whether a single file's codec has parts that can be salvaged; other files are left to their reader."""
    from neuralcodec.codec import find_codec
    from neuralcodec.container.single import read_single
    from neuralcodec.errors import NeuralCodecError
    from neuralcodec.signals.sources import read_bytes

    try:
        content = data if isinstance(data, bytes) else read_bytes(data)
        codec = find_codec(read_single(content, damaged=True).header.codec)
    except (NeuralCodecError, OSError):
        return False
    return codec is not None and codec.parts


def _end_salvage(file: str, faults: list[str]) -> None:
    """Tell what is lost of a photograph, and end with exit code 1 if something is."""
    from neuralcodec.cli.salvage import LOST

    for fault in faults:
        complain(f"{file}: {fault}")
    if faults:
        raise SystemExit(LOST)


def _decode_one(
    file: str,
    data: str | bytes,
    output: str | None,
    model: str | None,
    kind: str | None,
    sampling_rate: int | None,
    force: bool,
    *,
    part: tuple[int, int, int, int] | None = None,
    salvage: bool = False,
) -> tuple[str, list[str]]:
    """Decode a single file; return where the signal went, and what is lost of it."""
    import numpy as np

    from neuralcodec.api import decode_file, salvage_image
    from neuralcodec.container.single import read_single
    from neuralcodec.errors import naming
    from neuralcodec.info import single_info
    from neuralcodec.signals.sources import read_bytes
    from neuralcodec.signals.targets import Label, Plan, default_kind, open_target
    from neuralcodec.zoo.resolve import codec_of

    with naming(None if file == "-" else file):
        content = data if isinstance(data, bytes) else read_bytes(data)
        single = read_single(content, damaged=salvage)
        codec = codec_of(single.header, model)
        faults: list[str] = []
        if salvage:
            array, faults = salvage_image(content, codec)
            info = single_info(single, len(content))
        else:
            decoded = decode_file(content, codec, crop=part)
            array, info = decoded.array, decoded.info
    plan = Plan(None, array.shape, array.dtype, _sampling_rate(codec, sampling_rate))
    masked = np.ma.isMaskedArray(array)
    target, chosen = place(file, output, kind, default_kind(plan, masked), force)
    name = info.names[0] if info.names else os.path.splitext(os.path.basename(file))[0]
    with open_target(target, chosen, plan) as out:
        _warn_of_mask(masked, chosen)
        out.write(array[None], [Label(name, info.icc_profile, info.exif, info.png_form)])
    return target, faults


def _decode_many(
    file: str,
    data: str | bytes,
    archive: "Archive",
    output: str | None,
    index: str | None,
    kind: str | None,
    sampling_rate: int | None,
    *,
    force: bool,
    quiet: bool,
) -> tuple[int, str]:
    """Decode an archive, or some signals of it; return how many, and where they went."""
    import numpy as np

    from neuralcodec.signals.targets import Plan, default_kind, open_target

    positions = None if index is None else parse_indices(index, len(archive))
    alone = index is not None and index.strip().isdigit()
    count = len(archive) if positions is None else len(positions)
    rate = _sampling_rate(archive.codec, sampling_rate)
    plan = Plan(None if alone else count, archive.signal.shape, archive.signal.dtype, rate)
    masked, named = _holds(data, archive) if output in (None, "-") and kind is None else (False, False)
    default: Kind = "folder" if named and output is None and file != "-" else default_kind(plan, masked)
    target, chosen = place(file, output, kind, default, force)
    batches = _parts(archive, positions, labelled=chosen in ("png", "folder"))
    warned = False
    with open_target(target, chosen, plan) as out, progress("decoding", count, quiet=quiet) as advance:
        for batch, labels in batches:
            warned = warned or _warn_of_mask(np.ma.isMaskedArray(batch), chosen)
            out.write(batch, labels)
            advance(len(batch))
    return count, target


def _holds(data: str | bytes, archive: "Archive") -> tuple[bool, bool]:
    """Tell whether an archive holds masks, and names."""
    from neuralcodec.info import read_info

    try:
        info = read_info(data)
    except CorruptFile:
        return False, any(archive.names)
    return "mask" in info.sections, bool(info.names)


def _parts(
    archive: "Archive", positions: list[int] | None, *, labelled: bool
) -> "Iterator[tuple[NDArray[Any], list[Label]]]":
    """Yield signals batch by batch, with their labels if those are needed."""
    from neuralcodec.signals.targets import Label

    digits = len(str(archive.numbers.max(initial=0)))

    def label(first: int, stop: int) -> list[Label]:
        if not labelled:
            return [Label()] * (stop - first)
        found = zip(archive.numbers[first:stop].tolist(), archive.metadata(first, stop), strict=True)
        return [
            Label(item.name or f"{n:0{digits}d}", item.icc_profile, item.exif, item.png_form)
            for n, item in found
        ]

    if positions is None:
        first = 0
        for chunk in archive.chunks():
            yield chunk, label(first, first + len(chunk))
            first += len(chunk)
        return
    for start in range(0, len(positions), BATCH):
        part = positions[start : start + BATCH]
        labels = [one for first, stop in _runs(part) for one in label(first, stop)]
        yield archive[part], labels


def _runs(positions: list[int]) -> list[tuple[int, int]]:
    """Return the (first, stop) of the runs of consecutive numbers.

    >>> _runs([3, 4, 5, 9, 8])
    [(3, 6), (9, 10), (8, 9)]
    """
    runs: list[tuple[int, int]] = []
    for position in positions:
        if runs and runs[-1][1] == position:
            runs[-1] = (runs[-1][0], position + 1)
        else:
            runs.append((position, position + 1))
    return runs


def _warn_of_mask(masked: bool, kind: str) -> bool:
    """Tell that a kind of file cannot say which samples are missing; return whether it was told."""
    lost = masked and kind not in ("npz", "folder")
    if lost:
        complain(
            f"warning: missing samples become 0 in a {kind} file; .npz files and folders keep them missing"
        )
    return lost
