"""Size and time of other compressors and of ours on the 10,000 test images of MNIST and of Fashion-MNIST.

    pip install -e '.[eval]' && apt install zpaq
    NEURALCODEC_DATA=... python benchmarks/compare.py

Everything that is coded is decoded and compared. Files per image are those of the first SINGLES images, the other
layouts hold all of them. Times are wall and processor seconds over those of `lzma.compress(preset=9)` on the same
bytes, which runs again whenever its last run is older than FRESH seconds; for files per image they are scaled to all
images. Jobs below BRIEF seconds run ROUNDS times and the median counts. Our models are loaded beforehand.

break_even is the least number n of images for which n images and the model's file together are smaller with ours
than n images with the other: model + n * ours < n * other. Sizes per image are those measured here, means over the
images: our single files against files per image, our archive of all images against the other layouts. Beyond the
images measured it is an extrapolation.
"""

import lzma
import os
import resource
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from common import fashion_mnist, mnist, write_result
from figures import draw_comparison
from rivals import ARCHIVE, SINGLE, Images, Rival, ours, rivals

import neuralcodec
from neuralcodec.native import thread_count
from neuralcodec.zoo import ModelEntry, zoo_models

SINGLES, ROUNDS, BRIEF, FRESH = 500, 3, 2.0, 12.0
SETS: dict[str, Callable[[str], Images]] = {"mnist": mnist, "fashion-mnist": fashion_mnist}

Times = tuple[float, float]


def timed(job: Callable[[], Any]) -> tuple[Any, Times]:
    """A job's result, and its wall and processor seconds, those of child processes included."""

    def processor() -> float:
        uses = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return sum(use.ru_utime + use.ru_stime for use in uses)

    wall, used = time.perf_counter(), processor()
    result = job()
    return result, (time.perf_counter() - wall, processor() - used)


class Yardstick:
    """`lzma.compress(preset=9)` on the bytes of all images, run again when the last run is old."""

    def __init__(self, images: Images) -> None:
        self._raw = images.tobytes()
        self._at = -FRESH
        self.seconds: list[Times] = []

    def now(self) -> Times:
        """Wall and processor seconds of a recent run."""
        if time.perf_counter() - self._at > FRESH:
            self.seconds.append(timed(lambda: lzma.compress(self._raw, preset=9))[1])
            self._at = time.perf_counter()
        return self.seconds[-1]


def measure(rival: Rival, images: Images, yardstick: Yardstick) -> dict[str, Any]:
    """Bytes and times of one way to store the images."""
    part = images[:SINGLES] if rival.layout == SINGLE else images
    ratios: dict[str, list[Times]] = {"encode": [], "decode": []}
    seconds: dict[str, list[Times]] = {"encode": [], "decode": []}
    while len(seconds["encode"]) < ROUNDS:
        base = yardstick.now()
        files, encoding = timed(lambda: rival.encode(part))
        back, decoding = timed(lambda files=files: rival.decode(files))
        if not np.array_equal(np.reshape(back, part.shape), part):
            raise SystemExit(f"{rival.name}, {rival.layout}: the images do not come back")
        for way, spent in (("encode", encoding), ("decode", decoding)):
            seconds[way].append(spent)
            scale = len(images) / len(part)
            ratios[way].append((spent[0] * scale / base[0], spent[1] * scale / base[1]))
        if encoding[0] + decoding[0] > BRIEF:
            break
    size = sum(map(len, files))
    result = {"name": rival.name, "layout": rival.layout, "model": rival.model, "images": len(part)}
    result |= {"bytes": size, "bytes_per_image": size / len(part), "bpd": size * 8 / part.size}
    for way in ratios:
        result[f"{way}_over_lzma"] = statistics.median(r[0] for r in ratios[way])
        result[f"{way}_processor_over_lzma"] = statistics.median(r[1] for r in ratios[way])
    print(f"{rival.name}, {rival.layout}: {result['bpd']:.4f} bpd", flush=True)
    return result | {"seconds": seconds}


def break_even(model: int, ours: float, other: float) -> int | None:
    """The least n with model + n * ours < n * other, all in bytes; None if there is none."""
    return int(model / (other - ours)) + 1 if other > ours else None


def models_of(data: str) -> list[ModelEntry]:
    """The shipped models that were made for a data set, which their names say."""
    return [entry for entry in zoo_models() if entry.name.startswith(f"pc-{data}")]


def compare(data: str, others: list[Rival]) -> dict[str, Any]:
    """All figures of one data set."""
    images = SETS[data]("test")
    yardstick = Yardstick(images)
    models: dict[str, dict[str, Any]] = {}
    rows = []
    for entry in models_of(data):
        circuit = neuralcodec.load_model(entry.name)
        likelihood = circuit.log2_likelihood(images.reshape(len(images), -1))
        models[entry.name] = {"bytes": entry.size, "model_bpd": float(-likelihood.sum() / images.size)}
        rows += [measure(rival, images, yardstick) for rival in ours(entry.name)]
    rows += [measure(rival, images, yardstick) for rival in others]
    for name, about in models.items():
        size = {row["layout"]: row["bytes_per_image"] for row in rows if row["model"] == name}
        for row in (row for row in rows if not row["model"]):
            own = size[SINGLE if row["layout"] == SINGLE else ARCHIVE]
            row.setdefault("break_even", {})[name] = break_even(about["bytes"], own, row["bytes_per_image"])
    return {
        "images": len(images),
        "raw_bytes": images.size,
        "models": models,
        "rows": rows,
        "yardstick_seconds": yardstick.seconds,
    }


def main() -> None:
    """Compare on both data sets and draw docs/figures/comparison.png."""
    load = os.getloadavg()
    others, versions, missing = rivals()
    figures = {
        "sets": {data: compare(data, others) for data in SETS},
        "tools": versions,
        "skipped": missing,
        "singles": SINGLES,
        "our_threads": thread_count(),
        "load_average_before": load,
    }
    write_result(__file__, figures)
    draw_comparison(figures)


if __name__ == "__main__":
    main()
