"""`neuralcodec weights`: files of network weights."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

from neuralcodec.cli import options
from neuralcodec.cli.console import (
    complain,
    echo,
    echo_json,
    echo_table,
    guarded,
    is_terminal,
    plural,
    progress,
    size,
    tell,
)
from neuralcodec.cli.parameters import argument, for_typer, option
from neuralcodec.errors import UnsupportedInput

if TYPE_CHECKING:
    import typer

    from neuralcodec.errors import CorruptFile
    from neuralcodec.weights import Report, WeightSource, WeightsReader
    from neuralcodec.weights.tensors import TensorSpec

LOST = 1

SHORT_HELP = "Compress and restore network weights."
HELP = """Compress the weights of networks: safetensors files, torch state dicts and .npz files.

Without a target nothing is lost. With one, tensors of two or more dimensions are quantised, vectors (norm statistics,
biases) are kept within 1e-4 of their norm, and all else exactly.

\b
Examples:
  neuralcodec weights encode model.safetensors                    writes model.ncz, without loss
  neuralcodec weights encode model.safetensors --sqnr 35          to 35 dB of signal to noise
  neuralcodec weights decode model.ncz -o model.safetensors
  neuralcodec weights info model.ncz
"""
ENCODE_HELP = """Compress a file of weights; names, order, shapes, dtypes and metadata are kept.

FILE is a safetensors file, a torch state dict (.pt, .pth; loaded as plain weights, never as code), a .npz file, or
- for a safetensors file on standard input. --sqnr means all floating tensors of two or more dimensions together;
--bits the size of the whole file for each parameter. Factors of compact layers, known by their names, are quantised by
the error of the kernels that they build, which is what --sqnr then means.

\b
Examples:
  neuralcodec weights encode model.safetensors -o model.ncz --lossless
  neuralcodec weights encode model.safetensors -o model.ncz --sqnr 35
  neuralcodec weights encode checkpoint.pt --bits 4.5 --states 256
  neuralcodec weights encode checkpoint.pt --bits 3.5 --importance importance.npz
  neuralcodec weights encode arrays.npz --step 0.01 --keep-nonfinite
"""
DECODE_HELP = """Restore weights to a .safetensors, .npz, .npy or torch (.pt) file; its suffix tells which.

Without OUT the file stands beside FILE, of the kind that was compressed. - is standard output, as safetensors.

\b
Examples:
  neuralcodec weights decode model.ncz
  neuralcodec weights decode model.ncz -o model.npz
  neuralcodec weights decode model.ncz --tensor layer1.0.conv1.weight -o conv.npy
  neuralcodec weights decode damaged.ncz --salvage -o whole.safetensors
"""
INFO_HELP = """Tell what a file of weights holds: each tensor's shape, dtype, bytes and error.

The error is the signal-to-noise ratio that the encoder measured, in dB, rounded down to half a dB; exact tensors
have none. Tensors that share a record are decoded to tell how many bytes each takes; large ones are not.

\b
Examples:
  neuralcodec weights info model.ncz
  neuralcodec weights info model.ncz --json
"""


def group() -> "typer.Typer":
    """Return the Typer application of the verb."""
    import typer

    app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)
    app.callback(help=HELP)(lambda: None)
    app.command("encode", help=ENCODE_HELP, short_help="Compress a file of weights.")(for_typer(encode))
    app.command("decode", help=DECODE_HELP, short_help="Restore weights.")(for_typer(decode))
    app.command("info", help=INFO_HELP, short_help="Tell what a file of weights holds.")(for_typer(info))
    return app


@guarded
def encode(
    file: Annotated[str, argument("FILE", "A .safetensors, .pt or .npz file, or -.")],
    output: options.Output = None,
    lossless: Annotated[bool, option("--lossless", help="Lose nothing (the default).")] = False,
    sqnr: Annotated[
        float | None, option("--sqnr", metavar="DB", help="Reach this signal-to-noise ratio.", least=0)
    ] = None,
    bits: Annotated[
        float | None,
        option("--bits", metavar="B", help="Spend this many bits a parameter, at most.", least=0),
    ] = None,
    step: Annotated[
        float | None, option("--step", metavar="D", help="Use levels of this width.", least=0)
    ] = None,
    bound: Annotated[
        float, option("--bound", metavar="E", help="Greatest error of vectors, against their norm.", least=0)
    ] = 1e-4,
    states: Annotated[
        int,
        option(
            "--states",
            metavar="N",
            help="States of dependent quantisation, 4 to 256: more for size, fewer for speed; 1 for none.",
            least=1,
            most=256,
        ),
    ] = 64,
    importance: Annotated[
        str | None,
        option(
            "--importance",
            metavar="FILE",
            help="What errors of each tensor weigh: floats by name, in a .safetensors, .npz or .pt file.",
        ),
    ] = None,
    plain_factors: Annotated[
        bool,
        option(
            "--plain-factors", help="Code factors of compact layers without regard to the kernels they build."
        ),
    ] = False,
    keep_nonfinite: Annotated[
        bool, option("--keep-nonfinite", help="Code tensors with NaN or infinity exactly.")
    ] = False,
    verify: Annotated[bool, option("--verify", help="Decode what was coded, and compare.")] = False,
    threads: options.Threads = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Run `weights encode` (the help text is `ENCODE_HELP`)."""
    from neuralcodec.native import thread_count
    from neuralcodec.signals.outputs import open_output
    from neuralcodec.weights import Target, WeightsEncoder, read_importance

    thread_count(threads)
    target = Target(sqnr, bits, step)
    if lossless and not target.lossless:
        raise UnsupportedInput("--lossless does not go with --sqnr, --bits or --step: give one")
    place = _beside(file, ".ncz") if output is None else output
    _check_target(place, file, force=force, json=json)
    chosen: dict[str, Any] = {
        "bound": bound,
        "states": states,
        "keep_nonfinite": keep_nonfinite,
        "verify": verify,
    }
    chosen |= {
        "factors": not plain_factors,
        "importance": read_importance(importance) if importance else None,
    }
    with _opened(file) as source:
        encoder = WeightsEncoder(source, target, threads=threads, **chosen)
        with (
            open_output(place) as out,
            progress("encoding", len(source.specs), quiet=quiet) as advance,
        ):
            report = encoder.write(out, advance)
        facts = _facts(place, source, report)
    if json:
        echo_json(facts)
    what = f"{plural(len(source.specs), 'tensor')} in {size(report.size)}"
    what += f", {facts['bits_per_parameter']:.4g} bits a parameter"
    loss = f", {report.sqnr:.2f} dB" if report.step else ", without loss"
    if report.kernels:
        loss += f" of {plural(report.kernels, 'built kernel')} and the plain tensors"
    tell(f"{'standard output' if place == '-' else place}: {what}{loss}", quiet)


@guarded
def decode(
    file: Annotated[str, argument("FILE", "A .ncz file of weights, or -.")],
    output: options.Output = None,
    tensor: Annotated[
        list[str] | None, option("--tensor", metavar="NAME", help="Only this tensor; may be given again.")
    ] = None,
    salvage: Annotated[
        bool,
        option("--salvage", help="Leave out the tensors of damaged records; exit code 1 if there are any."),
    ] = False,
    threads: options.Threads = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Run `weights decode` (the help text is `DECODE_HELP`)."""
    from neuralcodec.signals.outputs import open_output
    from neuralcodec.weights.sinks import check_kind, default_suffix, kind_of, write_tensors

    damaged: list[CorruptFile] | None = [] if salvage else None
    with _reader(file, threads) as reader:
        index = reader.index
        numbers = sorted({reader.number_of(name) for name in tensor}) if tensor else None
        specs = list(index.specs) if numbers is None else [index.specs[number] for number in numbers]
        place = _beside(file, default_suffix(index.origin)) if output is None else output
        kind = "safetensors" if place == "-" else kind_of(place)
        _check_target(place, file, force=force, json=json)
        check_kind(kind, specs)
        if damaged is not None:
            specs = _whole(reader, specs, damaged)
        with open_output(place) as out, progress("decoding", len(specs), quiet=quiet) as advance:
            write_tensors(out, kind, specs, _items(reader, specs, advance), index)
    if json:
        lost = {"damaged": list(map(str, damaged))} if damaged is not None else {}
        echo_json(
            {"output": place, "tensors": len(specs), "bytes": sum(spec.nbytes for spec in specs), **lost}
        )
    tell(f"{file}: {plural(len(specs), 'tensor')} restored to {place}", quiet)
    if damaged:
        for error in damaged:
            complain(f"lost: {error}")
        raise SystemExit(LOST)


@guarded
def info(
    file: Annotated[str, argument("FILE", "A .ncz file of weights, or -.")],
    json: options.Json = False,
) -> None:
    """Run `weights info` (the help text is `INFO_HELP`)."""
    from neuralcodec.weights.description import describe

    with _reader(file, None) as reader:
        facts = describe(reader)
    if json:
        echo_json(facts)
        return
    for key, value in facts.items():
        if key not in ("tensors", "metadata") and value is not None:
            echo(f"{key:20}{value}")
    for key, value in (facts["metadata"] or {}).items():
        echo(f"{'metadata':20}{key}: {value}")
    table = [("TENSOR", "SHAPE", "DTYPE", "BYTES", "BITS", "CODED", "ERROR")]
    table += [
        (
            one["name"],
            " x ".join(map(str, one["shape"])) or "scalar",
            one["dtype"],
            f"{one['bytes']:.0f}",
            "" if one["bits_per_element"] is None else f"{one['bits_per_element']:.2f}",
            one["coded"],
            "" if one["sqnr"] is None else f"{one['sqnr']:g} dB",
        )
        for one in facts["tensors"]
    ]
    echo_table(table)


def _beside(file: str, suffix: str) -> str:
    if file == "-":
        return file
    stem, old = os.path.splitext(file)
    known = (".safetensors", ".pt", ".pth", ".bin", ".npz", ".ncz")
    return (stem if old.lower() in known else file) + suffix


def _check_target(target: str, file: str, *, force: bool, json: bool) -> None:
    from neuralcodec.signals.outputs import STDOUT, check_free, check_not_input

    if target == STDOUT and (json or is_terminal(sys.stdout)):
        reason = "--json needs for its report" if json else "is a terminal"
        raise UnsupportedInput(f"the file would go to standard output, which {reason}: use --output")
    check_not_input(target, [file])
    check_free(target, force)


@contextmanager
def _opened(file: str) -> "Iterator[WeightSource]":
    from neuralcodec.container.files import BufferSource
    from neuralcodec.signals.outputs import is_special
    from neuralcodec.signals.sources import read_bytes
    from neuralcodec.weights.sources import open_weights, safetensors_source

    if file == "-" or is_special(file):
        yield safetensors_source(BufferSource(bytes(read_bytes(file))))
        return
    with open_weights(file) as source:
        yield source


def _reader(file: str, threads: int | None) -> "WeightsReader":
    from neuralcodec.signals.outputs import is_special
    from neuralcodec.signals.sources import read_bytes
    from neuralcodec.weights import WeightsReader

    if file == "-" or is_special(file):
        return WeightsReader(io.BytesIO(read_bytes(file)), threads=threads)
    return WeightsReader(file, threads=threads)


def _items(reader: "WeightsReader", specs: "list[TensorSpec]", advance: Any) -> Iterator[Any]:
    wanted = {spec.name for spec in specs}
    for spec, data, _ in reader.tensors(wanted):
        yield spec, data
        advance(1)


def _whole(
    reader: "WeightsReader", specs: "list[TensorSpec]", damaged: "list[CorruptFile]"
) -> "list[TensorSpec]":
    """Return the tensors that can be decoded, having decoded them once; the errors of others go to `damaged`."""
    wanted = {spec.name for spec in specs}
    return [spec for spec, _, _ in reader.tensors(wanted, skip_damaged=damaged)]


def _facts(place: str, source: "WeightSource", report: "Report") -> dict[str, Any]:
    parameters = sum(spec.count for spec in source.specs)
    original = sum(spec.nbytes for spec in source.specs)
    return {
        "output": place,
        "tensors": len(source.specs),
        "parameters": parameters,
        "bytes": report.size,
        "original_bytes": original,
        "bits_per_parameter": round(8 * report.size / parameters, 5) if parameters else 0.0,
        "step": report.step or None,
        "sqnr": round(report.sqnr, 4) if report.step and report.sqnr < 1e3 else None,
        "vector_error": report.vector_error or None,
        "kernels": report.kernels or None,
    }
