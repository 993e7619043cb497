"""The figures in docs/recombiner.md, from the result files beside this script; report.py writes and checks them."""

from typing import Any

from comparison_page import load, table

CIFAR, MNIST = "recombiner-cifar-", "recombiner-mnist-"
RIVALS = {
    "RECOMBINER, published": "the paper",
    "COIN++, published": "COIN++",
    "jpeg2000, one file an image": "JPEG 2000",
    "webp, one file an image": "WebP",
    "jxl, one file an image": "JPEG XL",
    "jpeg2000, one mosaic of all": "JPEG 2000, one mosaic",
    "webp, one mosaic of all": "WebP, one mosaic",
    "jxl, one mosaic of all": "JPEG XL, one mosaic",
}


def figures() -> list[str]:
    """The tables."""
    found: dict[str, Any] = load("recombiner_small")["figures"]
    return [
        f"{found['images']} test images of each set, drawn by seed, in one archive a model, preset "
        f"`{found['preset']}`; written from `benchmarks/recombiner_small.json`.",
        "",
        *rates(found),
        *against(
            found, CIFAR, "decibels", "dB above others at the same rate (below where negative), CIFAR-10"
        ),
        *against(found, MNIST, "rate_ratio", "Bytes over those of others at the same PSNR, MNIST"),
        *photographs(load("recombiner_kodak")["figures"]),
        *presets(load("recombiner_presets")["figures"]),
        *ablations(load("recombiner_ablations")["figures"]),
        *signals(load("recombiner_signals")["figures"]),
    ]


def photographs(found: dict[str, Any]) -> list[str]:
    """Kodak: each preset that was measured, and others at its rate."""
    rows = []
    for preset, one in found["presets"].items():
        threads = next(iter(one["images"].values()))["threads"]
        others = [one["rivals"]["jpeg2000"], one["rivals"]["webp"], one["rivals_on_all"]["jpeg2000"]]
        fast = [found["presets"]["fast"]["images"][name]["psnr"] for name in one["images"]]
        row = [f"`{preset}`", str(len(one["images"])), f"{one['bpp']:.3f}", f"{one['psnr']:.2f}"]
        row.append(f"{sum(fast) / len(fast):.2f}")
        row += ["" if psnr is None else f"{psnr:.2f}" for psnr in others]
        rows.append((*row, f"{one['encode_seconds']:.0f}", f"{one['decode_seconds']:.2f}", str(threads)))
    head = (
        "preset", "images", "bpp", "PSNR, dB", "`fast` on the same", "JPEG 2000", "WebP", "JPEG 2000 on all 24",
        "encode, s", "decode, s", "threads",
    )  # fmt: skip
    return [
        "Photographs: `recombiner-photo` on images of Kodak, drawn by seed, and others at the same rate:",
        "",
        *table(head, rows),
    ]


def presets(found: dict[str, Any]) -> list[str]:
    """What each preset reaches, and how long it takes."""
    rows = [
        (f"`{name}`", f"{one['psnr']:.2f}", f"{one['processor_seconds']:.1f}")
        for name, one in found["presets"].items()
    ]
    title = f"Presets, {found['images']} images of CIFAR-10 with `{found['model']}` (the rate is the same for all):"
    return [title, "", *table(("preset", "PSNR, dB", "processor seconds an image"), rows)]


def ablations(found: dict[str, Any]) -> list[str]:
    """Positional encodings, and the index model."""
    index = found["index_model"]
    rows = [
        (name, f"{one['psnr']:.2f}", f"{one['bits_uniform']:.0f}", f"{one['bits_fitted']:.2f}")
        for name, one in index.items()
    ]
    first = (
        f"Index models, {found['images']} images of CIFAR-10, `fast`: bits of a block's index without and with a "
        "fitted table."
    )
    lines = [first, "", *table(("candidate", "PSNR, dB", "uniform", "fitted"), rows)]
    rows = [
        (name, f"{one['bpp']:.3f}", f"{one['psnr']:.2f}", f"{one['guessed']['held_out_psnr']:.2f}")
        for name, one in found["encodings"].items()
    ]
    second = (
        f"Positional encodings: models trained for {found['steps']} steps by the same recipe, images coded with "
        "`fast`."
    )
    head = ("positional encodings", "bpp", "PSNR, dB", "PSNR of guessed posteriors, held out")
    return [*lines, second, "", *table(head, rows)]


def signals(found: dict[str, Any]) -> list[str]:
    """Signals of one and three dimensions."""
    rows = []
    for name, one in found.items():
        if name == "steps":
            continue
        rate = f"{one['rate']:.3g} {one['rate_unit']}"
        sizes = f"{one['training_signals']}; {one['held_out']}"
        patch = "x".join(map(str, one["patch"]))
        rows.append(
            (name, sizes, patch, rate, f"{one['psnr']:.1f}", f"{one['snr']:.1f}", f"{one['rmsd']:.3g}")
        )
    head = ("signals", "trained on; held out", "patch", "rate", "PSNR, dB", "SNR, dB", "RMSD, in samples")
    title = (
        f"Other signals: small models trained from nothing for {found['steps']} steps on small sets, files of "
        "held-out signals."
    )
    return [title, "", *table(head, rows)]


def models(found: dict[str, Any], prefix: str) -> list[str]:
    """Models of a prefix that were measured."""
    return sorted(name for name in found if name.startswith(prefix))


def rates(found: dict[str, Any]) -> list[str]:
    """Rates, distortions and times of all models."""
    rows = []
    for name in [*models(found, CIFAR), *models(found, MNIST)]:
        one = found[name]
        rows.append(
            (
                f"`{name}`",
                f"{one['bytes']:.1f}",
                f"{one['bpp']:.3f}",
                f"{one['psnr']:.2f} ± {one['psnr_interval']:.2f}",
                f"{one['psnr_of_mean_mse']:.2f}",
                f"{one['encode_seconds']:.1f}",
                f"{one['decode_milliseconds']:.1f}",
                f"{one['single_file_bytes_beyond_indices']:.1f}",
                f"{one['model_bytes'] / 1000:.0f}",
            )
        )
    head = (
        "model", "bytes an image", "bpp", "PSNR, dB", "of mean MSE", "encode, s", "decode, ms",
        "single file: bytes beyond indices", "model, kB",
    )  # fmt: skip
    return table(head, rows)


def against(found: dict[str, Any], prefix: str, key: str, title: str) -> list[str]:
    """How models compare with others, where those have points on both sides."""
    names = models(found, prefix)
    gains = {name: [found[name]["against"].get(rival, {}).get(key) for rival in RIVALS] for name in names}
    # Others that no model can be held against have no column.
    shown = [i for i in range(len(RIVALS)) if any(row[i] is not None for row in gains.values())]
    form = "+.2f" if key == "decibels" else ".2f"
    rows = [
        (f"`{name}`", *("" if row[i] is None else format(row[i], form) for i in shown))
        for name, row in gains.items()
    ]
    titles = list(RIVALS.values())
    return [f"{title}:", "", *table(("model", *(titles[i] for i in shown)), rows)]
