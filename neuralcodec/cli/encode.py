"""`neuralcodec encode`: signals to a file or an archive."""

import os
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, cast

from neuralcodec.cli import options
from neuralcodec.cli.console import echo_json, guarded, is_terminal, plural, progress, size, tell
from neuralcodec.cli.parameters import argument, option
from neuralcodec.errors import UnsupportedInput

if TYPE_CHECKING:
    from neuralcodec.codec import Codec
    from neuralcodec.signals.signal import Signal, Wanted

BATCH = 1024

SHORT_HELP = "Compress images and arrays."
HELP = """Compress signals without loss.

One image or array makes a file; several inputs, a folder, or an array whose first axis counts signals make
one archive. Inputs are images, .npy, .npz, IDX and gzipped IDX files, folders of these, or - for
standard input.

\b
Examples:
  neuralcodec encode digit.png -m pc-mnist
  neuralcodec encode t10k-images-idx3-ubyte.gz -m pc-mnist-fast -o t10k.ncz --verify
  neuralcodec encode scans/ extra.png -m my.ncm -o scans.ncz --grayscale --resize
  cat digit.png | neuralcodec encode - -m pc-mnist > digit.ncz
"""


@guarded
def encode(
    inputs: Annotated[list[str], argument("INPUT", "Files, folders, or -.")],
    model: options.Model,
    output: options.Output = None,
    verify: Annotated[bool, option("--verify", help="Decode what was coded, and compare.")] = False,
    resize: options.Resize = False,
    grayscale: options.Grayscale = False,
    group: Annotated[
        int,
        option(
            "--group",
            metavar="N",
            least=1,
            most=1024,
            help="Signals that share a coder: more for size, fewer for random access.",
        ),
    ] = 128,
    threads: options.Threads = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Run the verb (the help text is `HELP`)."""
    target = default_output(inputs) if output is None else output
    _check_target(target, inputs, force=force, json=json)
    from neuralcodec.signals.outputs import open_output
    from neuralcodec.zoo.resolve import codec_with

    _prepare(inputs)
    codec = codec_with(model)
    wanted = wanted_by(codec, model, resize, grayscale)
    with open_output(target) as file:
        counted = _Counted(file)
        batches, total = _find(inputs, wanted, target)
        if isinstance(batches, list) and len(batches) == 1 and not batches[0].stacked:
            count, samples = 1, _encode_one(counted, batches[0], codec, verify)
        else:
            settings = {"group": group, "verify": verify, "threads": threads}
            with progress("encoding", total, quiet=quiet) as advance:
                count, samples = _encode_many(counted, batches, codec, settings, advance)
    _report(target, wanted.model, count, counted.bytes, samples, json=json, quiet=quiet)


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


def _find(inputs: Sequence[str], wanted: "Wanted", target: str) -> "tuple[Iterable[Signal], int]":
    """Return the signals of the inputs, and how many steps `_encode_many` will count.

    One file is read at once, to tell whether it holds one signal; of several, each is read in its turn.
    """
    from neuralcodec.signals.outputs import check_not_input
    from neuralcodec.signals.sources import expand, read_signals

    files = expand(inputs)
    check_not_input(target, files)
    if len(inputs) == 1 and files == list(inputs):
        signals = read_signals(files[0], wanted)
        return signals, sum(map(len, signals))
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
    model: str,
    resize: bool,
    grayscale: bool,
    offers: tuple[str, ...] = ("--grayscale", "--resize"),
) -> "Wanted":
    """Return what a codec takes, in the model's name; `offers` are the conversions that the verb can make."""
    import numpy as np

    from neuralcodec.signals.signal import Wanted

    header = codec.model.header if codec.model is not None else {}
    name = str(header.get("name") or os.path.basename(model))
    kind = codec.signal
    shape, dtype = (kind.shape, kind.dtype) if kind is not None else ((), np.dtype(np.uint8))
    return Wanted(name, shape, dtype, resize, grayscale, offers)


def _encode_one(file: "_Counted", signal: "Signal", codec: "Codec", verify: bool) -> int:
    """Write a single file; return how many samples it holds."""
    from neuralcodec.api import compress

    try:
        # The name is left out: it would weigh as much as the rest of the header, and the file has one itself.
        file.write(compress(signal.samples, codec, verify, icc_profile=signal.icc, exif=signal.exif))
    except UnsupportedInput as error:
        raise UnsupportedInput(f"{signal.source}: {error}") from None
    return signal.samples.size


def _encode_many(
    file: "_Counted",
    signals: "Iterable[Signal]",
    codec: "Codec",
    settings: dict[str, Any],
    advance: Callable[[int], None],
) -> tuple[int, int]:
    """Write an archive; return how many signals and samples it holds."""
    from neuralcodec.api import create_archive
    from neuralcodec.archives import Metadata

    samples = 0
    with create_archive(cast(BinaryIO, file), codec, **settings) as archive:
        for signal in signals:
            stack = signal.samples if signal.stacked else signal.samples[None]
            metadata = Metadata(signal.name, signal.icc, signal.exif)
            for start in range(0, len(stack), BATCH):
                batch = stack[start : start + BATCH]
                try:
                    archive.append(batch, [metadata] * len(batch))
                except UnsupportedInput as error:
                    raise UnsupportedInput(f"{signal.source}: {error}") from None
                samples += batch.size
                advance(len(batch))
    return len(archive), samples


class _Counted:
    """A binary file to write to, and how many bytes were written."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.bytes = 0

    def write(self, data: Any) -> int:
        self.bytes += len(data)
        self._file.write(data)
        return len(data)


def _report(
    target: str, model: str, count: int, written: int, samples: int, *, json: bool, quiet: bool
) -> None:
    rate = 8 * written / samples if samples else 0.0
    if json:
        report = {"output": target, "model": model, "signals": count, "samples": samples, "bytes": written}
        echo_json({**report, "bits_per_dimension": round(rate, 5)})
    where = "standard output" if target == "-" else target
    tell(f"{where}: {plural(count, 'signal')} in {size(written)}, {rate:.4g} bits per sample", quiet)
