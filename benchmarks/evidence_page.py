"""What compact networks reach in docs/layers.md and weights.md: the ResNets of phnn/, the surrogates of wave/."""

from typing import Any

from comparison_page import table

NEAR, SHARES = 1.05, (1 / 4, 1 / 10)  # of the error and of the parameters of the dense surrogate
POINTS = (-1.0, 0.0)  # to the real network
CODED_POINTS, CODED_SHARES = -0.5, (1 / 20, 1 / 40)
HEAD = ("what", "asked", "aim", "reached")


def mark(good: bool, best: bool) -> str:
    """Tell what a figure reaches."""
    return "aim" if best else "asked" if good else "**missed**"


def spread(values: list[float], digits: int = 2) -> str:
    """Mean and standard deviation of percentages."""
    mean = sum(values) / len(values)
    deviation = (sum((value - mean) ** 2 for value in values) / (len(values) - 1)) ** 0.5
    return f"{100 * mean:.{digits}f} ± {100 * deviation:.{digits}f}"


def compact(surrogates: dict[str, Any]) -> dict[str, Any]:
    """The surrogates with compact layers."""
    return {name: one for name, one in surrogates.items() if not name.startswith("dense")}


def networks(resnet: dict[str, Any], wave: dict[str, Any]) -> list[str]:
    """What stands in docs/layers.md."""
    return [
        "### Whole networks: asked and reached",
        "",
        *table(HEAD, [wave_goal(wave["surrogates"]), resnet_goal(resnet)]),
        *why_surrogates_miss(wave),
        *why_resnets_miss(resnet),
        *of_resnets(resnet),
        *of_surrogates(wave),
    ]


def wave_goal(surrogates: dict[str, Any]) -> tuple[str, ...]:
    """The smallest compact surrogate that is near enough to the dense one, or the nearest of those that are small."""
    what = "surrogate of the wave equation, error within 5% of the dense one's: share of its parameters"
    ours = compact(surrogates)
    near = {name: one for name, one in ours.items() if one["error_to_dense"] <= NEAR}
    small = {name: one for name, one in ours.items() if one["parameters_to_dense"] <= SHARES[0]}
    least = min(near, key=lambda name: near[name]["parameters"], default=None)
    if least is not None and least in small:
        share = near[least]["parameters_to_dense"]
        return what, "1/4", "1/10", f"{share:.3f}, {least} ({mark(True, share <= SHARES[1])})"
    best = min(small, key=lambda name: small[name]["error"])
    reached = f"at {small[best]['parameters_to_dense']:.3f}, {best}, the error is "
    reached += f"{100 * (small[best]['error_to_dense'] - 1):+.0f}%"
    if least is not None:
        reached += f"; {least} is near enough, at {near[least]['parameters_to_dense']:.3f}"
    return what, "1/4", "1/10", f"{reached} ({mark(False, False)})"


def why_surrogates_miss(wave: dict[str, Any]) -> list[str]:
    """What training losses tell, where no small surrogate is near enough."""
    surrogates = wave["surrogates"]
    if mark(False, False) not in wave_goal(surrogates)[3]:
        return []
    small = {
        name: one for name, one in compact(surrogates).items() if one["parameters_to_dense"] <= SHARES[0]
    }
    best = min(small, key=lambda name: small[name]["error"])
    losses = {name: last_loss(surrogates[name]) for name in ("dense", best)}
    return [
        f"The surrogate misses its goal in training already: {best} ends with {losses[best] / losses['dense']:.1f} "
        f"times the dense one's training loss, after as many epochs ({wave['epochs']}). Longer training and more "
        "channels at lower ranks are to be tried: Tucker leaves time for both.",
        "",
    ]


def resnet_goal(resnet: dict[str, Any]) -> tuple[str, ...]:
    """Accuracy of n=4."""
    points = resnet["networks"]["n=4"]["points_to_real"]
    best = mark(points >= POINTS[0], points >= POINTS[1])
    return (
        "small ResNet, n=4 against real at equal epochs, points of accuracy",
        "-1.0",
        "equal",
        f"{points:+.2f} ({best})",
    )


def last_loss(trained: dict[str, Any]) -> float:
    """Training loss of the last epoch, the mean over the seeds."""
    runs = trained["epochs"]
    return sum(float(run[-1]["loss"]) for run in runs) / len(runs)


def why_resnets_miss(resnet: dict[str, Any]) -> list[str]:
    """What training losses tell, where n=4 is not as good as asked."""
    if mark(False, False) not in resnet_goal(resnet)[3]:
        return []
    real, own = (last_loss(resnet["networks"][name]) for name in ("real", "n=4"))
    return [
        f"The ResNet with n=4 falls short in training too: its loss ends at {own:.3f}, the real one's at {real:.3f}, "
        f"after {resnet['epochs']} epochs. More epochs are to be tried first, then more channels: at a quarter of the "
        "parameters there is room for them.",
        "",
    ]


def of_resnets(resnet: dict[str, Any]) -> list[str]:
    """Accuracy and sizes of the ResNets."""
    rows = []
    for name, one in resnet["networks"].items():
        rows.append(
            (
                name,
                f"{one['parameters']:,}",
                f"{one['flops'] / 1e6:.1f}",
                spread(one["accuracies"]),
                f"{one['points_to_real']:+.2f}",
                f"{one['processor_seconds_per_epoch']:.0f}",
            )
        )
    note = (
        "From `benchmarks/phnn/train.json`: a residual network of three stages on Fashion-MNIST "
        f"({resnet['width']}, {2 * resnet['width']} and {4 * resnet['width']} channels, {2 * resnet['blocks']} "
        f"convolutions of 3 x 3 in each, behind one of 5 x 5 that halves the resolution), {resnet['epochs']} "
        "epochs, means over three seeds with their standard deviation. The first layer and the classifier are "
        "real in all of them. Learning rate and weight decay are the best of four for the real network, and "
        "the best of the same four for n=4, on held-out training images (`benchmarks/phnn/recipes.json`). Time "
        "is the processor's, one core."
    )
    head = ("network", "parameters", "Mflop an image", "test accuracy, %", "points to real", "s an epoch")
    return ["### A small ResNet", "", note, "", *table(head, rows)]


def of_surrogates(wave: dict[str, Any]) -> list[str]:
    """Errors, sizes, times and memory of the surrogates."""
    rows = []
    for name, one in wave["surrogates"].items():
        rows.append(
            (
                name,
                f"{one['parameters']:,} ({one['parameters_to_dense']:.3f})",
                spread(one["errors"]),
                f"{100 * (one['error_to_dense'] - 1):+.1f}%",
                f"{one['coded_bytes']:,}",
                f"{100 * one['coded_error']:.2f}",
                f"{one['training_seconds_per_epoch']:.1f}",
                f"{1000 * one['inference_seconds_per_problem']:.2f}",
                f"{one['kept_bytes'] / 2**20:.1f}",
            )
        )
    note = (
        "From `benchmarks/wave/train.json`: waves that the left edge of a square sends in are solved by finite "
        "elements (their convergence to analytic solutions is tested), and convolutional surrogates learn the "
        f"fields on a zone in the middle at four times, {wave['epochs']} epochs on 1,000 problems. The four "
        "convolutions of 5 x 5 in the middle are compact from the start, after the idea of arXiv:2304.04964; "
        "layers before and after are dense in all. The highest learning rate is each one's best on held-out "
        "problems (`benchmarks/wave/rates.json`: compact layers mostly want twice the dense one's). Relative "
        "L2 errors on 200 test problems, means over three seeds with their standard deviation; the file is of "
        'the first seed, at 35 dB, and the error beside it that of what it decodes to. "Kept" is what the '
        "backward pass of a batch of 10 needs. Times are the processor's, one core."
    )
    head = (
        "surrogate",
        "parameters (share)",
        "error, %",
        "to dense",
        "file, bytes",
        "error from it, %",
        "s an epoch",
        "ms a problem",
        "kept, MiB",
    )
    return [
        "### Surrogates of the wave equation",
        "",
        note,
        "",
        *table(head, rows),
        "![Error against parameters](figures/wave_error.png)",
        "",
        "Dotted: 1/4 and 1/10 of the dense surrogate's parameters; dashed: 5% above its error; bars: one standard "
        "deviation over three seeds.",
        "",
        "![Fields, true and told](figures/wave_fields.png)",
        "",
        "The first test problem, the first seed.",
        "",
    ]


def coded(result: dict[str, Any]) -> list[str]:
    """What stands in docs/weights.md: the small ResNets in files."""
    share, points = result["bytes_to_real"], result["points_to_real"]
    reached = [points >= CODED_POINTS and share <= least for least in CODED_SHARES]
    goal = (
        "small ResNet, n=4 in a lossy file against the real one in single precision: share of the bytes, accuracy "
        "within 0.5 points",
        "1/20",
        "1/40",
        f"1/{1 / share:.1f}, {points:+.2f} points ({mark(*reached)})",
    )
    why = []
    if not reached[0] and points < CODED_POINTS:
        before = [found["n=4"]["accuracy"] - found["real"]["accuracy"] for found in result["seeds"].values()]
        why = [
            f"Of these points, {100 * sum(before) / len(before):+.2f} are there before coding; files cost the rest.",
            "",
        ]
    rows = []
    for seed, found in result["seeds"].items():
        for name in ("real", "n=4"):
            one = found[name]
            rows.append(
                (
                    f"{name}, {seed}",
                    f"{one['single_precision_bytes']:,}",
                    f"{100 * one['accuracy']:.2f}",
                    f"{one['ratio']} dB, {one['bound']:g}",
                    f"{one['bytes']:,}",
                    f"{100 * one['coded_accuracy']:.2f}",
                    f"1/{found['real']['single_precision_bytes'] / one['bytes']:.1f}",
                )
            )
    head = (
        "network, seed",
        "single precision, bytes",
        "test accuracy, %",
        "ratio, bound",
        "file, bytes",
        "accuracy from it, %",
        "file / real in single precision",
    )
    note = (
        "From `benchmarks/phnn/coded.json`: the ResNets of [the page of layers](layers.md#a-small-resnet), "
        f"{result['epochs']} epochs; that of n=4 then learns for {result['more']} more, from the real one's "
        "answers too (`benchmarks/phnn/distil.py`). Norms are folded to a scale and a shift. Ratio and bound "
        "are chosen by 10,000 training images, as the coarsest that cost at most 0.05 points there (0.2 at "
        "first, lowered when the first seed's file was 0.54 points below on test images). Of the real network, "
        "bytes in single precision are those with its norms folded into kernels; of n=4, of its parameters as "
        "they are trained."
    )
    return ["### Small ResNets in files", "", *table(HEAD, [goal]), *why, note, "", *table(head, rows)]
