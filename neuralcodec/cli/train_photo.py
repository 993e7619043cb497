"""`neuralcodec train photo`: a lossless model of your own kind of photographs."""

import os
from typing import TYPE_CHECKING, Annotated, Any

from neuralcodec.artifact import write_artifact
from neuralcodec.cli import options
from neuralcodec.cli.console import echo_json, fraction_bar, guarded, tell
from neuralcodec.cli.parameters import argument, option
from neuralcodec.errors import UnsupportedInput

if TYPE_CHECKING:
    from neuralcodec.photo.training import Progress

SHORT_HELP = "Networks for photographs of any size, for coding without loss."
HELP = """Learn the networks with which images of any size are coded without loss.

RGB images, or gray ones (--grayscale), of 8 or 16 bits and 32x32 pixels and more: photographs, scans, micrographs.
Some dozens are enough. Training needs torch: pip install 'neuralcodec[torch]'. docs/photo.md tells how long it takes.

\b
Examples:
  neuralcodec train photo scans/ -o scans.ncm
  neuralcodec train photo scans/ -o scans.ncm --hidden 32 --steps 5000 --checkpoint scans.part --resume
"""


@guarded
def photo(
    data: Annotated[list[str], argument("DATA", "Files and folders of training images.")],
    output: Annotated[str, option("--output", "-o", metavar="OUT", help="The model file to write (.ncm).")],
    hidden: Annotated[
        int,
        option(
            "--hidden",
            metavar="N",
            least=4,
            most=128,
            help="Units of a hidden layer, a multiple of 4: its cost.",
        ),
    ] = 64,
    components: Annotated[
        int,
        option(
            "--components", metavar="K", least=4, most=16, help="Logistics in a mixture, a multiple of 4."
        ),
    ] = 8,
    no_fit: Annotated[
        bool,
        option("--no-fit", help="Fit no predictor to an image while it is coded: faster, larger files."),
    ] = False,
    online: Annotated[
        str,
        option(
            "--online",
            metavar="LAYERS",
            help="Which layers go on learning while an image is coded: none, last (a fifth slower, smaller files) "
            "or all (half as fast, smaller still).",
        ),
    ] = "last",
    steps: Annotated[
        int, option("--steps", metavar="N", least=1, help="Mini-batches, for each of the planes.")
    ] = 20_000,
    batch: Annotated[
        int, option("--batch", metavar="N", least=16, help="Samples in a mini-batch, a multiple of 16.")
    ] = 8192,
    rate: Annotated[
        float, option("--rate", metavar="R", help="Step size at the start; it falls to 0.")
    ] = 1e-2,
    variants: Annotated[
        int,
        option(
            "--variants",
            metavar="N",
            least=0,
            help="Variants of each image to learn from too: of other scale, sharpness, noise and colours, some "
            "with the coarse chroma of JPEG; of 16-bit images at half the size, with less light.",
        ),
    ] = 2,
    validation: Annotated[
        float,
        option("--validation", metavar="N", least=0, help="Images held out; below 1 a fraction of them."),
    ] = 0.05,
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
    checkpoint: Annotated[
        str | None, option("--checkpoint", metavar="FILE", help="Keep the state of the training here.")
    ] = None,
    resume: Annotated[bool, option("--resume", help="Go on from the checkpoint, if it is there.")] = False,
    threads: options.Threads = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Run the verb (the help text is `HELP`)."""
    from neuralcodec.photo.model import ONLINE
    from neuralcodec.signals.outputs import check_free, check_not_input
    from neuralcodec.signals.sources import expand, read_apart

    check_not_input(output, data)
    check_free(output, force)
    if resume and checkpoint is None:
        raise UnsupportedInput("--resume goes on from a checkpoint: name its file with --checkpoint")
    if checkpoint is not None:
        check_not_input(checkpoint, data)
        check_free(checkpoint, force=True)
    _check_numbers(hidden, components, batch, rate)
    if online not in ONLINE:
        raise UnsupportedInput(f"--online {online}: it takes {', '.join(ONLINE)}")
    training = _training()
    sizes = training.Sizes(hidden, components, fitted=not no_fit, online=ONLINE.index(online))
    recipe = training.Recipe(sizes, steps, batch, rate, variants, validation, seed)
    images = [signal.samples for signal in read_apart(expand(data), 2, grayscale=grayscale)]
    facts = {
        "name": name or os.path.splitext(os.path.basename(output))[0],
        "description": description,
        "licence": licence,
        "data": ", ".join(os.path.basename(os.path.normpath(path)) for path in data),
    }
    with fraction_bar("training", quiet=quiet) as show:
        model = training.train(
            images, recipe, checkpoint=checkpoint, resume=resume, threads=threads,
            every=max(1, min(100, steps // 50)), report=lambda now: show(now.fraction, _line(now)),
            header={key: value for key, value in facts.items() if value},
        )  # fmt: skip
    write_artifact(output, model.artifact)
    figures = model.header["figures"]
    if json:
        echo_json({"output": output, "identity": model.identity.hex(), "header": dict(model.header)})
    held_out = f", {figures['validation_bpd']:.4f} held out" if "validation_bpd" in figures else ""
    tell(
        f"{output}: model {model.identity.hex()[:8]}, {figures['training_bpd']:.4f} bits per sample in training"
        f"{held_out}",
        quiet,
    )


def _check_numbers(hidden: int, components: int, batch: int, rate: float) -> None:
    for name, value, unit in (("hidden", hidden, 4), ("components", components, 4), ("batch", batch, 16)):
        if value % unit:
            raise UnsupportedInput(f"--{name} {value}: it takes a multiple of {unit}")
    if not 0 < rate <= 1:
        raise UnsupportedInput(f"--rate {rate:g}: a step size is above 0 and at most 1")


def _training() -> Any:
    """Return the module that trains, which needs torch."""
    try:
        from neuralcodec.photo import training
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != "torch":
            raise
        raise UnsupportedInput(
            "training networks of photographs needs torch, which is not installed here: "
            "pip install 'neuralcodec[torch]'"
        ) from None
    return training


def _line(now: "Progress") -> str:
    """Return the state of a run in words."""
    return (
        f"plane {now.plane + 1} of {now.planes}, step {now.step}/{now.steps}: {now.bits:.4f} bits per sample"
    )
