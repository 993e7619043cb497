"""`neuralcodec train recombiner`: a lossy model of your own signals."""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from neuralcodec.artifact import write_artifact
from neuralcodec.cli import options
from neuralcodec.cli.console import echo_json, fraction_bar, guarded, tell
from neuralcodec.cli.parameters import argument, option
from neuralcodec.errors import UnsupportedInput

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from neuralcodec.recombiner.learning import Progress

SHORT_HELP = "A neural representation, for lossy coding."
HELP = """Learn the prior of a neural representation (RECOMBINER), with which signals are coded with loss, at one rate.

Signals of one size are represented whole; with --patch, signals of any sizes are cut into patches. Images, sounds
(16-bit WAV), and .npy, .npz and IDX files, whose signals may have 1, 2 or 3 dimensions (--dimensions) and channels.
Training needs torch: pip install 'neuralcodec[torch]'. docs/recombiner.md tells how long it takes, and what to expect.

\b
Examples:
  neuralcodec train recombiner train-images-idx3-ubyte.gz --bpp 0.35 --no-mirror -o digits.ncm
  neuralcodec train recombiner photos/ --bpp 0.15 --patch 32 --transform -o photos.ncm --checkpoint photos.part --resume
  neuralcodec train recombiner photos/ --bpp 0.3 --patch 32 -o finer.ncm --warm-start photos.part --steps 8000
  neuralcodec train recombiner speech/ --bpp 0.6 --patch 800 -o speech.ncm
"""


@guarded
def recombiner(
    data: Annotated[list[str], argument("DATA", "Files and folders of training signals.")],
    output: Annotated[str, option("--output", "-o", metavar="OUT", help="The model file to write (.ncm).")],
    bpp: Annotated[
        float, option("--bpp", metavar="BITS", help="Bits for each point: a pixel, an instant of sound.")
    ],
    steps: Annotated[int, option("--steps", metavar="N", least=1, help="Mini-batches.")] = 30_000,
    batch: Annotated[
        int, option("--batch", metavar="N", least=1, help="Patches, or whole signals, in a mini-batch.")
    ] = 64,
    transform: Annotated[
        bool,
        option(
            "--transform",
            help="Start as a transform codec, which learns far faster at low rates; other defaults hold.",
        ),
    ] = False,
    rate: Annotated[
        float | None,
        option(
            "--rate", metavar="R", help="Step size at the start (0.002; 0.00025); it falls to a fiftieth."
        ),
    ] = None,
    map_rate: Annotated[
        float | None,
        option(
            "--map-rate", metavar="R", help="Step size of the maps of latents, relative to it (0.1; 0.01)."
        ),
    ] = None,
    network_rate: Annotated[
        float | None,
        option(
            "--network-rate",
            metavar="R",
            help="Step size of what else the model has, relative to it (1; 0.5).",
        ),
    ] = None,
    width: Annotated[
        int | None,
        option(
            "--width",
            metavar="N",
            least=16,
            most=1024,
            help="Channels of the network that guesses posteriors (128; 192).",
        ),
    ] = None,
    balance: Annotated[
        float | None,
        option(
            "--balance",
            metavar="P",
            least=0,
            most=1,
            help="0 lowers the mean squared error, 1 raises the mean PSNR: smooth signals count for more (0; 0.5).",
        ),
    ] = None,
    mirror: Annotated[
        bool, option("--mirror/--no-mirror", help="Whether images are also seen mirrored, left and right.")
    ] = True,
    dimensions: Annotated[
        int | None,
        option(
            "--dimensions",
            metavar="D",
            least=1,
            most=3,
            help="Of a signal without its channels; by default 1 for sounds, else 2.",
        ),
    ] = None,
    patch: Annotated[
        str | None,
        option(
            "--patch", metavar="N[,N]", help="Cut signals into patches of this size; else they stay whole."
        ),
    ] = None,
    group: Annotated[
        str | None,
        option(
            "--group", metavar="N[,N]", help="Patches along each side of a group, which share latents (4)."
        ),
    ] = None,
    crop: Annotated[
        str | None,
        option(
            "--crop", metavar="N[,N]", help="Patches along each side of a training crop; by default a group."
        ),
    ] = None,
    hidden: Annotated[
        str, option("--hidden", metavar="N,N", help="Widths of the sine network's hidden layers.")
    ] = "32,32,32",
    features: Annotated[
        int | None,
        option(
            "--features", metavar="N", least=2, help="Fourier features of the coordinates (16; 18 in 3-D)."
        ),
    ] = None,
    latents: Annotated[
        str | None,
        option("--latents", metavar="N,N", help="Latents of each layer's weights; by default 384, or fewer."),
    ] = None,
    encoding: Annotated[
        str | None,
        option(
            "--encoding",
            metavar="N,N",
            help="Channels of the positional encoding's latents, and after each upsampling.",
        ),
    ] = None,
    factors: Annotated[
        str | None,
        option(
            "--factors",
            metavar="N,N",
            help="By how much each stage upsamples (2 as often as it divides).",
        ),
    ] = None,
    index_bits: Annotated[
        int,
        option(
            "--index-bits",
            metavar="N",
            least=4,
            most=20,
            help="Bits of an index: each more doubles the work.",
        ),
    ] = 16,
    validation: Annotated[
        float,
        option("--validation", metavar="N", least=0, help="Signals held out; below 1 a fraction of them."),
    ] = 0.05,
    finishing: Annotated[
        int,
        option(
            "--finishing",
            metavar="N",
            least=1,
            help="Steps of optimising posteriors before blocks are built.",
        ),
    ] = 200,
    seed: Annotated[
        int, option("--seed", metavar="SEED", least=0, most=2**31, help="Seed of the random numbers.")
    ] = 0,
    grayscale: options.Grayscale = False,
    name: Annotated[
        str | None,
        option("--name", metavar="NAME", help="What the model calls itself; by default OUT's name."),
    ] = None,
    description: Annotated[str, option("--description", metavar="TEXT", help="What the model is for.")] = "",
    licence: Annotated[
        str, option("--licence", metavar="TEXT", help="Licence of the model and its data.")
    ] = "",
    warm_start: Annotated[
        str | None,
        option(
            "--warm-start", metavar="FILE", help="Start from the checkpoint of another run, of a near rate."
        ),
    ] = None,
    checkpoint: Annotated[
        str | None,
        option("--checkpoint", metavar="FILE", help="Keep the state of the training here."),
    ] = None,
    resume: Annotated[bool, option("--resume", help="Go on from the checkpoint, if it is there.")] = False,
    threads: options.Threads = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Run the verb (the help text is `HELP`)."""
    from neuralcodec.signals.outputs import check_free, check_not_input
    from neuralcodec.signals.sources import expand

    check_not_input(output, data)
    check_free(output, force)
    if resume and checkpoint is None:
        raise UnsupportedInput("--resume goes on from a checkpoint: name its file with --checkpoint")
    if checkpoint is not None:
        check_not_input(checkpoint, data)
        check_free(checkpoint, force=True)
    if not 0 < bpp <= 64:
        raise UnsupportedInput(f"--bpp {bpp:g}: a rate is above 0 and at most 64 bits a point")
    training = _training()
    usual = training.TRANSFORMED if transform else training.USUAL
    sizes = training.Sizes(
        _numbers("patch", patch), _numbers("group", group), _numbers("hidden", hidden), features,
        _numbers("latents", latents) or usual.latents, _numbers("encoding", encoding) or usual.encoding,
        _numbers("factors", factors) or usual.factors,
    )  # fmt: skip
    found, d, sampling_rate = read_training(expand(data), dimensions, grayscale)
    signals = training.prepared(found, d)
    layout = training.layout_for(signals, d, sizes)
    recipe = training.Recipe(
        bpp * layout.points, steps=steps, batch=batch, mirror=mirror, seed=seed,
        crop=training.spread(_numbers("crop", crop) or layout.group, d, "crop"),
        rate=usual.rate if rate is None else rate,
        map_rate=usual.map_rate if map_rate is None else map_rate,
        network_rate=usual.network_rate if network_rate is None else network_rate,
        width=width or usual.width, balance=usual.balance if balance is None else balance,
    )  # fmt: skip
    facts = {
        "name": name or os.path.splitext(os.path.basename(output))[0],
        "description": description,
        "licence": licence,
        "data": ", ".join(os.path.basename(os.path.normpath(path)) for path in data),
        "sampling_rate": sampling_rate,
    }
    with fraction_bar("training", quiet=quiet) as show:
        model = training.train(
            signals, layout, recipe, held_out=validation, transform=transform, warm_start=warm_start,
            checkpoint=checkpoint,
            resume=resume, threads=threads, every=min(200, max(1, steps // 50)), index_bits=index_bits,
            finishing_steps=finishing, report=lambda now: show(now.fraction, _line(now)),
            header={key: value for key, value in facts.items() if value},
        )  # fmt: skip
    write_artifact(output, model.artifact)
    if json:
        echo_json({"output": output, "identity": model.identity.hex(), "header": dict(model.header)})
    tell(f"{output}: model {model.identity.hex()[:8]}{_reached(model.header['figures'])}", quiet)


def _training() -> Any:
    """Return the module that trains, which needs torch."""
    try:
        from neuralcodec.recombiner import training
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != "torch":
            raise
        raise UnsupportedInput(
            "training a neural representation needs torch, which is not installed here: "
            "pip install 'neuralcodec[torch]'"
        ) from None
    return training


def read_training(
    files: Sequence[str], dimensions: int | None, grayscale: bool
) -> "tuple[list[NDArray[Any]], int, int | None]":
    """Return the signals of files, their dimensions without channels, and the sampling rate of sounds."""
    from neuralcodec.signals.kinds import is_image_name, is_sound_file
    from neuralcodec.signals.sources import read_apart

    d = dimensions or (1 if all(map(is_sound_file, files)) else 2)
    pictures = [path for path in files if is_image_name(path)]
    if pictures and d != 2:
        raise UnsupportedInput(f"--dimensions {d}: {pictures[0]} is an image, which has 2")
    signals = read_apart(files, d, grayscale=grayscale)
    rates = {one.sampling_rate for one in signals}
    if len(rates) > 1:
        raise UnsupportedInput(
            f"the signals have several sampling rates ({', '.join(sorted(map(str, rates)))}): resample them to one"
        )
    return [one.samples for one in signals], d, rates.pop() if rates else None


def _numbers(name: str, text: str | None) -> tuple[int, ...] | None:
    """Read numbers above 0.

    >>> _numbers("patch", "64,32"), _numbers("patch", "24x16x16"), _numbers("patch", None)
    ((64, 32), (24, 16, 16), None)
    """
    if text is None:
        return None
    parts = text.replace("x", ",").split(",")
    if not all(part.isascii() and part.isdigit() and int(part[:7]) > 0 and len(part) < 7 for part in parts):
        raise UnsupportedInput(f"--{name} {text}: it takes numbers above 0, such as 64 or 64,32")
    return tuple(map(int, parts))


def _line(now: "Progress") -> str:
    """Return the state of a run in words."""
    return (
        f"step {now.step}/{now.steps}: {now.psnr:.2f} dB, KL {now.bits:.1f} bits a patch, beta {now.beta:.2g}"
    )


def _reached(figures: Mapping[str, float]) -> str:
    """Return the figures of a training run in words.

    >>> _reached({"training_psnr": 25.0, "training_bits": 700.0})
    ', 25.00 dB at 700 bits a patch in training'
    """
    words = {"training": "in training", "held_out": "held out"}
    return "".join(
        f", {figures[f'{key}_psnr']:.2f} dB at {figures[f'{key}_bits']:.4g} bits a patch {word}"
        for key, word in words.items()
        if f"{key}_psnr" in figures
    )
