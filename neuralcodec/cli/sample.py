"""`neuralcodec sample`: signals drawn from a model."""

from typing import Annotated, Any

from neuralcodec.cli import options
from neuralcodec.cli.console import guarded, plural, tell
from neuralcodec.cli.parameters import option
from neuralcodec.errors import UnsupportedInput

SHORT_HELP = "Draw signals from a model."
HELP = """Draw signals from a model, exactly as it believes they are distributed.

OUT is a .png (one image), .npy, .npz, .idx or .idx.gz file, a folder, or -. A seed always draws the same.

\b
Examples:
  neuralcodec sample -m pc-mnist -n 1 -o digit.png
  neuralcodec sample -m pc-mnist -n 100 -o digits/ --seed 7
"""


@guarded
def sample(
    model: options.Model,
    output: Annotated[
        str, option("--output", "-o", metavar="OUT", help="Where to write; - is standard output.")
    ],
    count: Annotated[int, option("--number", "-n", metavar="N", least=1, help="How many signals.")] = 1,
    seed: Annotated[
        int, option("--seed", metavar="SEED", least=0, most=2**63 - 1, help="Seed of the random numbers.")
    ] = 0,
    kind: options.Kind = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
) -> None:
    """Run the verb (the help text is `HELP`)."""
    from neuralcodec.cli.decode import check_target
    from neuralcodec.signals.outputs import STDOUT
    from neuralcodec.signals.targets import Label, Plan, kind_of, open_target
    from neuralcodec.zoo.resolve import load_model

    check_target(output, kind, force)
    chosen: Any = kind or ("npy" if output == STDOUT else kind_of(output))
    loaded = load_model(model)
    draw = getattr(loaded, "sample", None)
    if draw is None:
        raise UnsupportedInput(f"{model} is a model that cannot be sampled from")
    signals = draw(count, seed)
    digits = len(str(count - 1))
    labels = [Label(f"{number:0{digits}d}") for number in range(count)]
    plan = Plan(None if chosen == "png" and count == 1 else count, signals.shape[1:], signals.dtype)
    with open_target(output, chosen, plan) as target:
        target.write(signals, labels)
    tell(f"{plural(count, 'signal')} drawn to {output}", quiet)
