"""`neuralcodec encode`: signals to a file or an archive."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, cast

from neuralcodec.cli import options
from neuralcodec.cli.console import echo_json, guarded, is_terminal, plural, progress, size, tell
from neuralcodec.cli.parameters import argument, option
from neuralcodec.errors import UnsupportedInput

if TYPE_CHECKING:
    from neuralcodec.archives import ArchiveEncoder
    from neuralcodec.codec import Codec
    from neuralcodec.signals.signal import Signal, Wanted

BATCH, DEFAULT_GROUP = 1024, 128
IMAGE_MODEL = "pc-photo"

SHORT_HELP = "Compress images and arrays."
HELP = """Compress signals, without loss or with it, as the model decides.

Models of the families "photo" and "circuit" code without loss: images of any size the first, which images are coded
with if no model is named, signals of one kind the second. Those of the family "recombiner" code with loss, each at a
rate of its own (`neuralcodec models show NAME` tells family and rate); --preset trades their time for quality.

One image or array makes a file; several inputs, a folder, or an array whose first axis counts signals make
one archive. Inputs are images, .npy, .npz, IDX, gzipped IDX and WAV files, folders of these, or - for
standard input, of which arrays are read and coded as they come.

\b
Examples:
  neuralcodec encode photo.png
  neuralcodec encode digit.png -m pc-mnist
  neuralcodec encode t10k-images-idx3-ubyte.gz -m pc-mnist-fast -o t10k.ncz --verify
  neuralcodec encode scans/ extra.png -m my.ncm -o scans.ncz --grayscale --resize
  neuralcodec encode more.npy --append t10k.ncz
  neuralcodec encode photo.png -m recombiner-photo --preset slow --checkpoint photo.part --resume
  neuralcodec encode photo.png -m recombiner-photo --time-limit 60
  cat digit.png | neuralcodec encode - -m pc-mnist > digit.ncz
"""


@guarded
def encode(
    inputs: Annotated[list[str], argument("INPUT", "Files, folders, or -.")],
    model: Annotated[
        str | None,
        option(
            "--model",
            "-m",
            metavar="MODEL",
            help="Name of a model, or the path of a model file (.ncm); by default pc-photo for image files, and "
            "with --append the archive's.",
        ),
    ] = None,
    output: options.Output = None,
    append: Annotated[
        str | None,
        option("--append", metavar="ARCHIVE", help="Add the signals to an archive, instead of --output."),
    ] = None,
    preset: Annotated[
        str | None,
        option(
            "--preset",
            metavar="NAME",
            help="Trade of time for rate or quality, of codecs that have one: fast, medium, slow, reference.",
        ),
    ] = None,
    quality: Annotated[
        float | None,
        option("--quality", metavar="Q", help="Rate parameter, of lossy codecs that have one."),
    ] = None,
    time_limit: Annotated[
        float | None,
        option(
            "--time-limit",
            metavar="SECONDS",
            help="Take fewer steps where time is short, of codecs that take long.",
        ),
    ] = None,
    checkpoint: Annotated[
        str | None,
        option("--checkpoint", metavar="FILE", help="Keep the state of a long encoding of one signal here."),
    ] = None,
    resume: Annotated[bool, option("--resume", help="Go on from the checkpoint, if it is there.")] = False,
    verify: Annotated[bool, option("--verify", help="Decode what was coded, and compare.")] = False,
    resize: options.Resize = False,
    grayscale: options.Grayscale = False,
    raw: Annotated[
        bool,
        option("--raw", help="Inputs hold only samples, of the model's shape and dtype, little-endian."),
    ] = False,
    group: Annotated[
        int | None,
        option(
            "--group",
            metavar="N",
            least=1,
            most=1024,
            help="Signals that share a coder (128): more for size, fewer for random access.",
        ),
    ] = None,
    threads: options.Jobs = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Run the verb (the help text is `HELP`)."""
    from neuralcodec.codec import limited
    from neuralcodec.signals.outputs import check_free, check_not_input

    settings: dict[str, Any] = {"verify": verify, "threads": threads, "preset": preset, "quality": quality}
    if checkpoint is not None:
        check_not_input(checkpoint, inputs)
        check_free(checkpoint, force=True)
    reading = {"resize": resize, "grayscale": grayscale, "raw": raw}
    with limited(seconds=time_limit, checkpoint=checkpoint, resume=resume):
        if append is not None:
            _check_append(append, inputs, output, group)
            report = _append(append, inputs, model, settings, reading, quiet=quiet)
        else:
            target = default_output(inputs) if output is None else output
            _check_target(target, inputs, force=force, json=json)
            settings["group"] = DEFAULT_GROUP if group is None else group
            report = _write(target, inputs, model, settings, reading, quiet=quiet)
    _report(report, json=json, quiet=quiet)


def _write(
    target: str,
    inputs: list[str],
    model: str | None,
    settings: dict[str, Any],
    reading: dict[str, bool],
    *,
    quiet: bool,
) -> dict[str, Any]:
    """Write a file or an archive; return what to report."""
    from neuralcodec.api import create_archive
    from neuralcodec.signals.outputs import open_output

    codec = _codec(model, inputs)
    wanted = wanted_by(codec, model, reading)
    with open_output(target) as file:
        counted = _Counted(file)
        batches, total = _find(inputs, wanted, target, raw=reading["raw"])
        if isinstance(batches, list) and len(batches) == 1 and not batches[0].stacked:
            count, samples = 1, _encode_one(counted, batches[0], codec, settings, quiet=quiet)
        else:
            with (
                _progress(codec, total, quiet=quiet) as advance,
                create_archive(cast(BinaryIO, counted), codec, **settings) as archive,
            ):
                samples = _fill(archive, batches, advance)
            count = len(archive)
    return _facts(target, wanted.model, count, samples, counted.bytes)


def _append(
    target: str,
    inputs: list[str],
    model: str | None,
    settings: dict[str, Any],
    reading: dict[str, bool],
    *,
    quiet: bool,
) -> dict[str, Any]:
    """Add to an archive; return what to report."""
    from neuralcodec.api import append_archive

    before = os.path.getsize(target)
    with append_archive(target, model, **settings) as archive:
        wanted = wanted_by(archive.codec, model, reading)
        batches, total = _find(inputs, wanted, target, raw=reading["raw"])
        with _progress(archive.codec, total, quiet=quiet) as advance:
            samples = _fill(archive, batches, advance)
            archive.flush()
    added = os.path.getsize(target) - before
    facts = _facts(target, wanted.model, len(archive), samples, added)
    return {**facts, "total_signals": archive.signals}


def _codec(model: str | None, inputs: Sequence[str]) -> "Codec":
    from neuralcodec.errors import UnknownModel
    from neuralcodec.signals.kinds import holds_image
    from neuralcodec.zoo import model_names
    from neuralcodec.zoo.resolve import codec_with

    if model is None and not all(map(holds_image, inputs)):
        raise UnsupportedInput(
            f"no model is given, and only images have one by default ({IMAGE_MODEL}): name one with --model; "
            f"{UnknownModel.listing(model_names())}"
        )
    _prepare(inputs)
    return codec_with(model or IMAGE_MODEL)


def _prepare(inputs: Sequence[str]) -> None:
    """Import Pillow's PNG reader while the model is being decoded, which leaves the interpreter free."""
    if any(path.lower().endswith(".png") for path in inputs):
        from threading import Thread

        from neuralcodec.signals.images import prepare_png

        Thread(target=prepare_png, daemon=True).start()


def _check_target(target: str, inputs: Sequence[str], *, force: bool, json: bool) -> None:
    import sys

    from neuralcodec.signals.outputs import STDOUT, check_free, check_not_input

    if target == STDOUT and (json or is_terminal(sys.stdout)):
        reason = "--json needs for its report" if json else "is a terminal"
        raise UnsupportedInput(f"the file would go to standard output, which {reason}: use --output")
    check_not_input(target, inputs)
    check_free(target, force)


def _check_append(target: str, inputs: Sequence[str], output: str | None, group: int | None) -> None:
    from neuralcodec.signals.outputs import STDOUT, check_free, check_not_input, is_special

    if output is not None or group is not None:
        given, reason = (
            ("--output", "it is written to") if output is not None else ("--group", "it has its own")
        )
        raise UnsupportedInput(f"{given} does not go with --append: the archive is there, and {reason}")
    if target == STDOUT or is_special(target):
        raise UnsupportedInput(f"{target}: only an archive that is a file can be appended to")
    check_not_input(target, inputs)
    check_free(target, force=True)


def _find(
    inputs: Sequence[str], wanted: "Wanted", target: str, *, raw: bool
) -> "tuple[Iterable[Signal], int | None]":
    """Return the signals of the inputs, and how many steps `_fill` will count, if that is known.

    One file is opened at once, to tell whether it holds one signal; of several, each is read in its turn.
    """
    from neuralcodec.signals.outputs import check_not_input
    from neuralcodec.signals.sources import expand, read_signals, stream_signals

    files = expand(inputs)
    check_not_input(target, files)
    if len(inputs) == 1 and files == list(inputs):
        return stream_signals(files[0], wanted, raw=raw)
    if raw:
        return (one for file in files for one in stream_signals(file, wanted, raw=True)[0]), None
    return (signal for file in files for signal in read_signals(file, wanted)), len(files)


def default_output(inputs: Sequence[str]) -> str:
    """Return where to write if the user does not say: beside the input, with the suffix .ncz.

    Raises
    ------
    UnsupportedInput
        If there are several inputs, so that none can lend the archive its name.

    >>> [default_output([path]) for path in ("a/digit.png", "t10k-images-idx3-ubyte.gz", "x.idx.gz", "-")]
    ['a/digit.ncz', 't10k-images-idx3-ubyte.ncz', 'x.ncz', '-']
    """
    if len(inputs) != 1:
        raise UnsupportedInput("several inputs make one archive: name it with --output")
    path = inputs[0]
    if path == "-":
        return path
    if os.path.isdir(path):
        return os.path.abspath(path) + ".ncz"
    stem, suffix = os.path.splitext(path)
    if suffix.lower() == ".gz":
        inner, idx = os.path.splitext(stem)
        stem = inner if idx.lower() == ".idx" else stem
    return stem + ".ncz"


def wanted_by(
    codec: "Codec",
    model: str | None,
    reading: dict[str, bool],
    offers: tuple[str, ...] = ("--grayscale", "--resize"),
) -> "Wanted":
    """Return what a codec takes, in the model's name; `offers` are the conversions that the verb can make."""
    import numpy as np

    from neuralcodec.signals.signal import Wanted

    header = codec.model.header if codec.model is not None else {}
    name = str(header.get("name") or os.path.basename(model or "the model"))
    kind = codec.signal
    shape, dtype = (kind.shape, kind.dtype) if kind is not None else ((), np.dtype(np.uint8))
    return Wanted(name, shape, dtype, reading["resize"], reading["grayscale"], offers, codec.keeps_forms)


@contextmanager
def _progress(codec: "Codec", total: int | None, *, quiet: bool) -> Iterator[Callable[[float], None]]:
    """Show how far encoding is; a slow codec tells it by itself, so that what `_fill` counts is not shown."""
    from neuralcodec.codec import NO_LIMITS, limits, reporting

    if limits() != NO_LIMITS and not codec.slow:
        raise UnsupportedInput(
            f"the codec {codec.name!r} is not one that takes long: leave out --time-limit and --checkpoint"
        )
    with progress("encoding", total, quiet=quiet, slow=codec.slow) as advance:
        if not codec.slow:
            yield advance
            return
        with reporting(advance):
            yield lambda _: None


def _encode_one(
    file: "_Counted", signal: "Signal", codec: "Codec", settings: dict[str, Any], *, quiet: bool
) -> int:
    """Write a single file; return how many samples it holds."""
    from neuralcodec.api import compress
    from neuralcodec.signals.images import expanded, kept_data

    chosen = {key: settings[key] for key in ("verify", "preset", "quality")}
    try:
        with _progress(codec, 1, quiet=quiet):
            # The name is left out: it would weigh as much as the rest of the header, and the file has one itself.
            chosen |= {"icc_profile": signal.icc, "exif": signal.exif, "png_form": signal.png_form}
            kept = kept_data(signal)
            candidate = None if kept is None else codec.payload_of_png(*kept)
            data = compress(signal.samples, codec, candidate=candidate, **chosen)
            if (colours := expanded(signal, len(data))) is not None:
                data = min(data, compress(colours, codec, **chosen), key=len)
        file.write(data)
    except UnsupportedInput as error:
        raise UnsupportedInput(f"{signal.source}: {error}") from None
    return signal.samples.size


def _fill(archive: "ArchiveEncoder", signals: "Iterable[Signal]", advance: Callable[[float], None]) -> int:
    """Add signals to an archive; return how many samples they hold."""
    from neuralcodec.archives import Metadata

    samples = 0
    for signal in signals:
        stack = signal.samples if signal.stacked else signal.samples[None]
        metadata = Metadata(signal.name, signal.icc, signal.exif, signal.png_form)
        for start in range(0, len(stack), BATCH):
            batch = stack[start : start + BATCH]
            try:
                archive.append(batch, [metadata] * len(batch))
            except UnsupportedInput as error:
                raise UnsupportedInput(f"{signal.source}: {error}") from None
            samples += batch.size
            advance(len(batch))
    return samples


class _Counted:
    """A binary file to write to, and how many bytes were written."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.bytes = 0

    def write(self, data: Any) -> int:
        self.bytes += len(data)
        self._file.write(data)
        return len(data)


def _facts(target: str, model: str, count: int, samples: int, written: int) -> dict[str, Any]:
    rate = 8 * written / samples if samples else 0.0
    counts = {"signals": count, "samples": samples, "bytes": written}
    return {"output": target, "model": model, **counts, "bits_per_dimension": round(rate, 5)}


def _report(facts: dict[str, Any], *, json: bool, quiet: bool) -> None:
    if json:
        echo_json(facts)
    where = "standard output" if facts["output"] == "-" else facts["output"]
    more = f", {facts['total_signals']} in all" if "total_signals" in facts else ""
    what = f"{plural(facts['signals'], 'signal')}{' added' * bool(more)}{more}"
    tell(
        f"{where}: {what} in {size(facts['bytes'])}, {facts['bits_per_dimension']:.4g} bits per sample", quiet
    )
