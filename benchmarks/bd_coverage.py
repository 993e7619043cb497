"""How often the intervals of BD-rate and BD-PSNR hold the truth, on made-up images whose true curves are known.

    python benchmarks/bd_coverage.py

Each trial draws images from a population, 24 as Kodak has or another number, and compares two codecs on them. The
population's curves and the variation between images are near those of JPEG (4:2:0) and WebP on Kodak: with an image's
complexity, log rates vary by a standard deviation of 0.29 and 0.45 and PSNRs by 1.9 and 1.3 dB; besides, each codec
has its own 10% of the rate and 0.5 dB on each image. Rates are log-normal, so means are as skewed as they are in life.
"""

import argparse
import time

import numpy as np
from common import write_result
from numpy.typing import NDArray

from neuralcodec.evaluation.bd import compare_curves, compare_results
from neuralcodec.evaluation.results import Result

# Of each codec: mean log rates, mean PSNRs, and how both vary with complexity.
CODECS = {
    "old": (np.log([0.42, 0.66, 0.90, 1.37, 2.35]), np.array([28.1, 30.5, 32.2, 34.5, 38.0]), 0.29, 1.9),
    "new": (np.log([0.23, 0.46, 0.72, 1.00, 2.00]), np.array([28.3, 30.9, 33.2, 35.1, 39.5]), 0.45, 1.3),
}
OWN_RATE, OWN_PSNR, POINT_RATE = 0.10, 0.5, 0.03
FALL = np.linspace(1.1, 0.8, 5)  # PSNRs vary less at high rates


def truth(name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean rates and PSNRs over the population: a log-normal mean is exp(mu + sigma^2 / 2)."""
    log_rate, psnr, spread, _ = CODECS[name]
    return np.exp(log_rate + (spread**2 + OWN_RATE**2 + POINT_RATE**2) / 2), psnr


def drawn(name: str, complexity: NDArray[np.float64], rng: np.random.Generator) -> Result:
    """What would be measured of a codec on images of some complexities."""
    log_rate, psnr, spread, fall = CODECS[name]
    images = len(complexity)
    own_rate, own_psnr = rng.standard_normal((2, images, 1))
    noise = rng.standard_normal((images, 5))
    rates = np.exp(log_rate + spread * complexity[:, None] + OWN_RATE * own_rate + POINT_RATE * noise)
    psnrs = psnr - fall * complexity[:, None] * FALL + OWN_PSNR * own_psnr
    rows = [
        {"image": str(image), "sha256": str(image), "quality": point, "bpp": rate, "psnr-rgb": quality}
        for image in range(images)
        for point, (rate, quality) in enumerate(
            zip(rates[image].tolist(), psnrs[image].tolist(), strict=True)
        )
    ]
    return Result(name, rows=rows)


def measure(
    images: int, trials: int, resamples: int, true: dict[str, float]
) -> dict[str, float | dict[str, float]]:
    """Coverage and width of both intervals over trials of so many images each."""
    rng = np.random.default_rng(images)
    intervals = {of: np.empty((trials, 2)) for of in true}
    seconds = []
    for trial in range(trials):
        complexity = rng.standard_normal(images)
        old, new = (drawn(name, complexity, rng) for name in CODECS)
        start = time.perf_counter()
        found = compare_results(old, new, resamples=resamples, seed=trial)
        seconds.append(time.perf_counter() - start)
        for of, delta in (("rate", found.rate), ("quality", found.quality)):
            if delta.interval is None:
                raise SystemExit(f"trial {trial} of {images} images has no interval: {delta}")
            intervals[of][trial] = delta.interval
    figures: dict[str, float | dict[str, float]] = {"seconds_per_comparison": float(np.median(seconds))}
    for of, name in (("rate", "bd_rate"), ("quality", "bd_psnr")):
        low, high = intervals[of].T
        figures[name] = {
            "coverage": float(((low <= true[of]) & (true[of] <= high)).mean()),
            "truth_below_interval": float((true[of] < low).mean()),
            "truth_above_interval": float((true[of] > high).mean()),
            "mean_width": float((high - low).mean()),
        }
    return figures


def main() -> None:
    """Measure the coverage and write it beside this script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--resamples", type=int, default=2000)
    parser.add_argument("--images", type=int, nargs="+", default=[8, 14, 24, 100])
    given = parser.parse_args()
    true = {of: compare_curves(*truth("old"), *truth("new"), of=of).value for of in ("rate", "quality")}
    figures = {
        "nominal": 0.95,
        "trials": given.trials,
        "resamples": given.resamples,
        "true_bd_rate": true["rate"],
        "true_bd_psnr": true["quality"],
        "by_images": {str(n): measure(n, given.trials, given.resamples, true) for n in given.images},
    }
    write_result(__file__, figures)


if __name__ == "__main__":
    main()
