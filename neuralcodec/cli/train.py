"""`neuralcodec train`: models of your own signals; this file has circuits, and each other family one of its own."""

import math
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from neuralcodec.circuits.recipe import Recipe
from neuralcodec.cli import options, train_photo, train_recombiner
from neuralcodec.cli.console import echo_json, fraction_bar, guarded, tell
from neuralcodec.cli.parameters import argument, for_typer, option
from neuralcodec.errors import UnsupportedInput

if TYPE_CHECKING:
    import typer

    from neuralcodec.circuits.learning import Progress as Report

DEFAULT = Recipe()

SHORT_HELP = "Train a model."
HELP = """Train models, one command for each family.

\b
Examples:
  neuralcodec train pc train-images-idx3-ubyte.gz -o mnist.ncm
  neuralcodec train photo scans/ -o scans.ncm
  neuralcodec train recombiner photos/ --bpp 0.15 --patch 64 -o photos.ncm
"""
PC_HELP = """Learn a probabilistic circuit from signals of one shape: images, .npy, .npz, IDX files, folders.

The same data, options, seed and threads give the same model. The model's file keeps the recipe.

\b
Examples:
  neuralcodec train pc train-images-idx3-ubyte.gz -o mnist.ncm
  neuralcodec train pc scans/ -o scans.ncm --latents 64 --epochs 40 --checkpoint scans.part --resume
"""


def group() -> "typer.Typer":
    """Return the Typer application of the verb."""
    import typer

    app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)
    app.callback(help=HELP)(lambda: None)
    app.command("pc", help=PC_HELP, short_help="A probabilistic circuit, for coding without loss.")(
        for_typer(pc)
    )
    app.command("photo", help=train_photo.HELP, short_help=train_photo.SHORT_HELP)(
        for_typer(train_photo.photo)
    )
    app.command("recombiner", help=train_recombiner.HELP, short_help=train_recombiner.SHORT_HELP)(
        for_typer(train_recombiner.recombiner)
    )
    return app


@guarded
def pc(
    data: Annotated[list[str], argument("DATA", "Files and folders of training signals.")],
    output: Annotated[str, option("--output", "-o", metavar="OUT", help="The model file to write (.ncm).")],
    latents: Annotated[
        int, option("--latents", metavar="M", least=1, most=4096, help="States of a latent.")
    ] = DEFAULT.latents,
    epochs: Annotated[
        int,
        option("--epochs", metavar="E", least=1, help="Passes over the data, all stages of growth together."),
    ] = DEFAULT.epochs,
    structure: Annotated[
        str, option("--structure", metavar="KIND", help="Tree: hclt (from the data), hmm or binary.")
    ] = DEFAULT.structure,
    emission: Annotated[
        str, option("--emission", metavar="KIND", help="shared (mixtures of a common basis) or free.")
    ] = DEFAULT.emission,
    basis: Annotated[
        int, option("--basis", metavar="K", least=1, most=4096, help="Distributions in the shared basis.")
    ] = DEFAULT.basis,
    transitions: Annotated[
        int | None,
        option(
            "--transitions",
            metavar="T",
            least=16,
            help="Transitions an edge keeps on average: fewer are faster.",
        ),
    ] = DEFAULT.transitions,
    start_latents: Annotated[
        int, option("--start-latents", metavar="M", least=1, help="States in the first stage; they double.")
    ] = DEFAULT.start_latents,
    batch: Annotated[
        int, option("--batch", metavar="N", least=1, help="Signals in a mini-batch.")
    ] = DEFAULT.batch,
    first_rate: Annotated[
        float,
        option("--first-rate", metavar="R", help="Step size at the start of a stage: above 0, at most 1."),
    ] = DEFAULT.first_rate,
    last_rate: Annotated[
        float, option("--last-rate", metavar="R", help="Step size at its end: above 0, at most the first.")
    ] = DEFAULT.last_rate,
    growth_noise: Annotated[
        float, option("--growth-noise", metavar="X", help="Noise that sets doubled states apart: above 0.")
    ] = DEFAULT.growth_noise,
    pseudocount: Annotated[
        float,
        option("--pseudocount", metavar="X", help="Uniform counts added to every distribution: above 0."),
    ] = DEFAULT.pseudocount,
    validation: Annotated[
        float,
        option("--validation", metavar="N", least=0, help="Signals held out; below 1 a fraction of them."),
    ] = DEFAULT.validation,
    patience: Annotated[
        int, option("--patience", metavar="N", least=1, help="Epochs without gain that end a stage.")
    ] = DEFAULT.patience,
    seed: Annotated[
        int, option("--seed", metavar="SEED", least=0, help="Seed of the random numbers.")
    ] = DEFAULT.seed,
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
        str | None,
        option("--checkpoint", metavar="FILE", help="Keep the state of the training here, every epoch."),
    ] = None,
    resume: Annotated[bool, option("--resume", help="Go on from the checkpoint, if it is there.")] = False,
    threads: options.Threads = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Run the verb (the help text is `PC_HELP`)."""
    from neuralcodec.artifact import write_artifact
    from neuralcodec.circuits.learning import train
    from neuralcodec.signals.outputs import check_free, check_not_input
    from neuralcodec.signals.sources import expand, read_stack

    check_not_input(output, data)
    check_free(output, force)
    if resume and checkpoint is None:
        raise UnsupportedInput("--resume goes on from a checkpoint: name its file with --checkpoint")
    settings: dict[str, Any] = {
        "latents": latents, "epochs": epochs, "structure": structure, "emission": emission, "basis": basis,
        "transitions": transitions, "start_latents": start_latents, "batch": batch,
        "first_rate": first_rate, "last_rate": last_rate,
        "growth_noise": growth_noise, "pseudocount": pseudocount, "validation": validation,
        "patience": patience, "seed": seed,
    }  # fmt: skip
    recipe = Recipe(**settings)
    if checkpoint is not None:
        check_free(checkpoint, force=True)
    signals = read_stack(expand(data), grayscale=grayscale)
    facts = {
        "name": name or os.path.splitext(os.path.basename(output))[0],
        "description": description,
        "licence": licence,
        "data": ", ".join(os.path.basename(os.path.normpath(path)) for path in data),
    }
    with fraction_bar("training", quiet=quiet) as show:
        circuit = train(
            signals,
            recipe,
            header={key: value for key, value in facts.items() if value},
            checkpoint=checkpoint,
            resume=resume,
            threads=threads,
            report=lambda now: show(now.fraction, _line(now)),
        )
    artifact = circuit.to_artifact()
    write_artifact(output, artifact)
    if json:
        echo_json({"output": output, "identity": artifact.identity.hex(), "header": dict(artifact.header)})
    tell(f"{output}: model {artifact.identity.hex()[:8]}{_reached(artifact.header['figures'])}", quiet)


def _reached(figures: Mapping[str, float]) -> str:
    """Return the figures of a training run in words.

    >>> _reached({"training_bpd": 1.25, "validation_bpd": 1.5})
    ', 1.2500 bits per sample in training, 1.5000 held out'
    """
    words = {"training_bpd": "bits per sample in training", "validation_bpd": "held out"}
    return "".join(f", {figures[key]:.4f} {word}" for key, word in words.items() if key in figures)


def _line(now: "Report") -> str:
    """Return the state of a run in words."""
    held_out = "" if math.isnan(now.validation_bpd) else f", held out {now.validation_bpd:.4f}"
    return f"epoch {now.epoch}/{now.epochs}, {now.states} states: {now.train_bpd:.4f} bpd{held_out}"
