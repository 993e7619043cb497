"""`neuralcodec complete`: what is missing of a signal, filled in by a model."""

import os
from typing import TYPE_CHECKING, Annotated, Any

from neuralcodec.cli import options
from neuralcodec.cli.console import echo_json, guarded, tell
from neuralcodec.cli.parameters import argument, option
from neuralcodec.errors import UnsupportedInput

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from neuralcodec.codec import Codec
    from neuralcodec.signals.signal import Signal
    from neuralcodec.signals.targets import Kind, Label, Plan

SHORT_HELP = "Fill in what is missing of a signal."
HELP = """Fill in what is missing of a signal, by what a model believes of it given the rest.

FILE is an image, .npy, .npz or IDX file, or - for standard input. What stands in it at missing places is ignored.
MASK is a gray image or an array of the same size: it is NOT 0 WHERE A SAMPLE IS MISSING and is to be filled in, and 0
where the sample is kept. A .npz file with `data` and `mask` needs none. Without OUT, digit.png becomes
digit.completed.png.

\b
HOW is one of
  median  of each sample's distribution given the kept ones: least absolute error expected (the default)
  mean    the same, rounded: least squared error expected, but blurred
  mode    the same: most samples right expected
  map     all samples together, at a local maximum of their probability given the kept ones
  mpe     those of the most probable samples and latents together, exactly
  sample  drawn from their distribution given the kept ones; --count N draws N times

\b
Examples:
  neuralcodec complete digit.png --mask mask.png -m pc-mnist
  neuralcodec complete digit.png --mask mask.npy -m pc-mnist --how sample --count 8 -o drawn/ --seed 7
  neuralcodec complete - --mask mask.png -m pc-mnist -o - < digit.png > whole.png
"""


@guarded
def complete(
    file: Annotated[str, argument("FILE", "The signal, or - for standard input.")],
    model: options.Model,
    mask: Annotated[
        str | None, option("--mask", metavar="MASK", help="Not 0 where a sample is to be filled in.")
    ] = None,
    output: options.Output = None,
    how: Annotated[
        str, option("--how", metavar="HOW", help="median, mean, mode, map, mpe or sample.")
    ] = "median",
    count: Annotated[
        int, option("--count", "-n", metavar="N", least=1, help="How many completions, with --how sample.")
    ] = 1,
    seed: Annotated[
        int, option("--seed", metavar="SEED", least=0, most=2**63 - 1, help="Seed of the random numbers.")
    ] = 0,
    grayscale: options.Grayscale = False,
    kind: options.Kind = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Run the verb (the help text is `HELP`)."""
    from neuralcodec.cli.decode import check_target
    from neuralcodec.signals.outputs import check_not_input
    from neuralcodec.signals.targets import Plan, open_target
    from neuralcodec.zoo.resolve import codec_with

    _check_options(file, mask, output, how, count, json=json)
    inputs = [path for path in (file, mask) if path is not None]
    if output is not None:
        check_not_input(output, inputs)
        check_target(output, kind, force)
    codec = codec_with(model)
    circuit: Any = codec.model
    if not hasattr(circuit, "complete"):
        raise UnsupportedInput(f"{model} is a model that cannot complete signals")
    signal, stack, missing = _read(file, mask, codec, model, grayscale)
    if count > 1 and len(stack) > 1:
        raise UnsupportedInput(f"{signal.source} holds {len(stack)} signals; --count draws for one only")
    number = count if count > 1 else len(stack) if signal.stacked else None
    plan = Plan(number, stack.shape[1:], stack.dtype)
    target, chosen = _place(file, output, kind, plan, count, force)
    check_not_input(target, inputs)
    with open_target(target, chosen, plan) as out:
        filled = _fill(circuit, stack, missing, how, count, seed)
        out.write(filled, _labels(signal, len(filled)))
    if json:
        report = {"output": target, "model": model, "how": how, "seed": seed if how == "sample" else None}
        echo_json(report | _facts(circuit, stack, filled, missing))
    tell(f"{file}: {missing.sum()} of {missing.size} samples filled in ({how}); written to {target}", quiet)


def _check_options(
    file: str, mask: str | None, output: str | None, how: str, count: int, *, json: bool
) -> None:
    from neuralcodec.circuits.queries import HOWS

    if how not in HOWS:
        raise UnsupportedInput(f"--how takes {', '.join(HOWS)}, not {how}")
    if count > 1 and how != "sample":
        raise UnsupportedInput(f"--count {count} needs --how sample: there is one completion by {how}")
    if file == mask == "-":
        raise UnsupportedInput("FILE and --mask cannot both be standard input: name one of them")
    if json and (output == "-" or (output is None and file == "-")):
        raise UnsupportedInput(
            "the completion would go to standard output, which --json needs for its report: use --output"
        )


def _read(
    file: str, mask: str | None, codec: "Codec", model: str, grayscale: bool
) -> "tuple[Signal, NDArray[Any], NDArray[np.bool_]]":
    """Return the input, its signals (n, *shape), 0 where missing, and which samples are missing."""
    import numpy as np

    from neuralcodec.cli.encode import wanted_by
    from neuralcodec.signals.sources import read_mask, read_signals

    wanted = wanted_by(codec, model, {"resize": False, "grayscale": grayscale}, ("--grayscale",))
    found = read_signals(file, wanted)
    if len(found) > 1:
        raise UnsupportedInput(
            f"{file} holds {len(found)} arrays: put them into one, (n, ...), or into files"
        )
    signal = found[0]
    missing = np.ma.getmaskarray(signal.samples)
    if mask is not None:
        missing = missing | read_mask(mask, signal, grayscale=grayscale)
    elif not np.ma.isMaskedArray(signal.samples):
        raise UnsupportedInput(f"{signal.source} does not say what is missing: name a mask with --mask")
    samples = np.where(missing, np.zeros((), signal.samples.dtype), np.ma.getdata(signal.samples))
    stack = samples if signal.stacked else samples[None]
    fault = codec.accepts_many(stack)
    if fault is not None:
        which = f", signal {fault[0]}" if signal.stacked else ""
        raise UnsupportedInput(
            f"{signal.source}{which} does not fit: {wanted.model} takes {codec.takes}; {fault[1]}"
        )
    # A narrower dtype of the input might not hold what is filled in.
    return signal, stack.astype(wanted.dtype), missing.reshape(stack.shape)


def _place(
    file: str, output: str | None, kind: str | None, plan: "Plan", count: int, force: bool
) -> "tuple[str, Kind]":
    """Return where to write, and what kind of file: for several draws a folder, if the user does not say."""
    from neuralcodec.cli.decode import place
    from neuralcodec.cli.encode import default_output
    from neuralcodec.signals.targets import default_kind

    default: Kind = "folder" if count > 1 and file != "-" and output is None else default_kind(plan, False)
    beside = file if file == "-" else f"{os.path.splitext(default_output([file]))[0]}.completed.ncz"
    return place(beside, output, kind, default, force)


def _fill(
    circuit: Any, stack: "NDArray[Any]", missing: "NDArray[np.bool_]", how: str, count: int, seed: int
) -> "NDArray[Any]":
    """Return the completions, (n, *shape) for n signals or n draws of one."""
    n = len(stack)
    known, holes = stack.reshape(n, -1), missing.reshape(n, -1)
    if how == "sample":
        filled = circuit.conditional_sample(known, holes, count, seed)
    else:
        filled = circuit.complete(known, holes, how)
    result: NDArray[Any] = filled.reshape(n * count, *stack.shape[1:])
    return result


def _labels(signal: "Signal", n: int) -> "list[Label]":
    from neuralcodec.signals.targets import Label

    if n == 1:
        return [Label(signal.name, signal.icc, signal.exif, signal.png_form)]
    digits = len(str(n - 1))
    return [Label(f"{number:0{digits}d}", signal.icc, signal.exif, signal.png_form) for number in range(n)]


def _facts(
    circuit: Any, stack: "NDArray[Any]", filled: "NDArray[Any]", missing: "NDArray[np.bool_]"
) -> dict[str, Any]:
    """Return the numbers of the report; `bits` is -log2 of each completion's probability given what was kept."""
    import numpy as np

    holes = np.broadcast_to(missing.reshape(len(missing), -1), (len(filled), missing[0].size))
    bits = -circuit.log2_conditional(filled.reshape(len(filled), -1), holes)
    sizes = {"signals": len(filled), "samples": stack.size, "missing": int(missing.sum())}
    return {**sizes, "bits": [float(b) for b in bits.round(3)]}
