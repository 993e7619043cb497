"""Side-by-side pictures of an original and its reconstructions at matched rates."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuralcodec.codec import BUILT_IN
from neuralcodec.container.files import PathLike
from neuralcodec.container.signal import SignalType
from neuralcodec.errors import NeuralCodecError, UnsupportedInput
from neuralcodec.evaluation.reporting.pictures import Crop, crop_for, data_uri, displayed
from neuralcodec.evaluation.reporting.run import Run, spec_of
from neuralcodec.evaluation.results import QUALITY_METRICS, Result, Row

# Characters of all pictures in a page.
BUDGET = 8_500_000
IMAGE_LIMIT = 4
TARGETS = 3

Decode = Callable[[Result, bytes, SignalType], NDArray[Any]]


@dataclass(frozen=True)
class Reconstruction:
    """What a codec made of an image.

    Attributes
    ----------
    title
        What the page calls the codec.
    samples
        Shape and dtype of the original.
    bpp
        Bits per pixel of the file, headers included.
    metrics
        Its quality by name, such as "psnr-rgb"; None where it is infinite.
    quality
        The codec's rate parameter, or None.
    """

    title: str
    samples: NDArray[Any]
    bpp: float
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    quality: float | None = None


def write_comparison(
    path: PathLike,
    original: NDArray[Any],
    reconstructions: Sequence[Reconstruction],
    *,
    title: str = "image",
    note: str = "",
) -> Path:
    """Write a page, one HTML file, that shows an image beside its reconstructions.

    Parameters
    ----------
    path
        File to write; what was there is replaced only by a whole page.
    original
        (H, W) or (H, W, C), uint8, uint16 or bool.
    reconstructions
        At least one, each of the original's shape.
    title
        What the page calls the image.
    note
        A sentence on how the rates were chosen, say.

    Raises
    ------
    UnsupportedInput
        If an array is no picture, or a reconstruction has another shape.
    OSError
        If the file cannot be written.
    """
    from neuralcodec.evaluation.reporting.page import write_page

    if not reconstructions:
        raise UnsupportedInput("a comparison needs at least one reconstruction")
    image = picture_set(title, original, {"": reconstructions}, BUDGET)
    codecs = list(dict.fromkeys(one.title for one in reconstructions))
    rows = [
        {"codec": one.title, "quality": one.quality, "bpp": one.bpp, **_finite(one.metrics)}
        for one in reconstructions
    ]
    data = {
        **{"title": title, "headline": title, "eyebrow": "Original and reconstructions", "note": note},
        **{"codecs": [{"name": name} for name in codecs], "rows": rows},
    }
    return write_page(path, "comparison", data | {"viewer": {"images": [image], "notes": []}})


def picture_set(
    name: str, original: NDArray[Any], targets: Mapping[str, Sequence[Reconstruction]], budget: int
) -> dict[str, Any]:
    """Return one image for the viewer: the original and, for each target rate in words, the reconstructions.

    Parameters
    ----------
    name
        What the page calls it.
    original
        The image.
    targets
        Reconstructions by target rate.
    budget
        Characters that its pictures may take together; a part in the middle is shown where all is too much.
    """
    shown = displayed(original)
    crop = crop_for(shown, sum(map(len, targets.values())), budget)
    height, width = shown.shape[:2]
    return {
        **{"name": name, "height": crop.height, "width": crop.width},
        "crop": _crop_in_words(crop, height, width),
        "note": "uint16 samples are shown by their upper 8 bits" if original.dtype == np.uint16 else "",
        "original": data_uri(crop.of(shown)),
        "targets": [
            {"label": label, "pictures": [_picture(one, original, crop) for one in ones]}
            for label, ones in targets.items()
        ],
    }


def pictures_of(run: Run, decode: Decode, budget: int = BUDGET) -> dict[str, Any]:
    """Return the images whose encoded files a run kept, decoded, for the viewer.

    Parameters
    ----------
    run
        The run; rows with "file" and "original" are used.
    decode
        Gives the samples of a file (see `Decoder`).
    budget
        Characters that all pictures may take.

    Returns
    -------
    dict
        images: what `picture_set` returns; notes: sentences on what cannot be shown.
    """
    notes: list[str] = []
    kept = _kept(run)
    if len(kept) > IMAGE_LIMIT:
        notes.append(f"The run kept files of {len(kept)} images; the first {IMAGE_LIMIT} are shown.")
    images = []
    for rows in list(kept.values())[:IMAGE_LIMIT]:
        try:
            original = _load(run.folder, rows[0][1]["original"])
            targets = _targets(run, rows, original, decode, notes)
            share = budget // min(len(kept), IMAGE_LIMIT)
            if any(targets.values()):
                images.append(picture_set(str(rows[0][1]["image"]), original, targets, share))
        except (NeuralCodecError, OSError, ValueError) as error:
            notes.append(f"{rows[0][1]['image']} cannot be shown: {error}")
    return {"images": images, "notes": list(dict.fromkeys(notes))}


class Decoder:
    """Decodes the files that a run kept, by the codecs that its records name.

    A record may name a command, or a module to import. Only a reader who trusts the run lets it run those.

    Parameters
    ----------
    trust
        Whether to run commands and import modules that the records name.
    """

    def __init__(self, trust: bool) -> None:
        self._trust = trust

    def __call__(self, result: Result, file: bytes, kind: SignalType) -> NDArray[Any]:
        """Return the samples of a file; :class:`UnsupportedInput` if its codec is not here or not trusted."""
        from neuralcodec.evaluation.specs import available, find_subject

        spec = spec_of(result)
        head, colon, _ = spec.partition(":")
        if colon and head not in available() and head not in BUILT_IN and not self._trust:
            raise UnsupportedInput(
                f"files of {spec!r} are decoded only for a run that is trusted (`neuralcodec report --trust`): "
                "its record names a program or module to run"
            )
        return find_subject(spec).decode(file, kind)


def _kept(run: Run) -> dict[str, list[tuple[Result, Row]]]:
    kept: dict[str, list[tuple[Result, Row]]] = {}
    for result in run.lossy or run.measured:
        for row in result.rows:
            if {"file", "original", "shape", "dtype", "bpp"} <= row.keys():
                kept.setdefault(str(row["sha256"]), []).append((result, row))
    return kept


def _targets(
    run: Run, rows: list[tuple[Result, Row]], original: NDArray[Any], decode: Decode, notes: list[str]
) -> dict[str, list[Reconstruction]]:
    """Return reconstructions at a few rates that all codecs come near."""
    by_codec: dict[int, list[tuple[Result, Row]]] = {}
    for result, row in rows:
        by_codec.setdefault(id(result), []).append((result, row))
    chosen: dict[str, list[Reconstruction]] = {}
    made: dict[tuple[int, Any], Reconstruction | None] = {}
    for target in target_rates([[row["bpp"] for _, row in pairs] for pairs in by_codec.values()]):
        pictures = []
        for pairs in by_codec.values():
            result, row = min(pairs, key=lambda pair: abs(math.log(pair[1]["bpp"] / target)))
            key = (id(result), row["quality"])
            if key not in made:
                made[key] = _reconstruct(run, result, row, original, decode, notes)
            pictures.append(made[key])
        chosen[f"{target:.2g} bpp"] = [picture for picture in pictures if picture is not None]
    return chosen


def target_rates(rates: Sequence[Sequence[float]]) -> list[float]:
    """Return rates, in geometric steps, that lie in the ranges of all codecs.

    Parameters
    ----------
    rates
        For each codec, the rates that there are; all above 0.

    >>> target_rates([[0.25, 0.5, 4.0], [0.1, 1.0]])
    [0.25, 0.5, 1.0]
    >>> target_rates([[1.0], [4.0]])
    [2.0]
    """
    low, high = max(map(min, rates)), min(map(max, rates))
    if low >= high:
        return [math.sqrt(low * high)]
    return [low * (high / low) ** (step / (TARGETS - 1)) for step in range(TARGETS)]


def _reconstruct(
    run: Run, result: Result, row: Row, original: NDArray[Any], decode: Decode, notes: list[str]
) -> Reconstruction | None:
    kind = SignalType(tuple(row["shape"]), np.dtype(row["dtype"]))
    name = run.labels[id(result)]
    try:
        samples = decode(result, _inside(run.folder, row["file"]).read_bytes(), kind)
    except (NeuralCodecError, OSError) as error:
        notes.append(f"{name} is not shown: {error}")
        return None
    if samples.shape != original.shape:
        notes.append(f"{name} is not shown: its file has shape {samples.shape}, the image {original.shape}.")
        return None
    metrics = {key: row.get(key) for key in (*QUALITY_METRICS, "max-error") if key in row}
    return Reconstruction(name, samples, row["bpp"], metrics, row["quality"])


def _picture(one: Reconstruction, original: NDArray[Any], crop: Crop) -> dict[str, Any]:
    if one.samples.shape != original.shape:
        raise UnsupportedInput(
            f"the reconstruction by {one.title} has shape {one.samples.shape}, the image {original.shape}"
        )
    return {
        **{"codec": one.title, "bpp": one.bpp, "quality": one.quality, "metrics": _finite(one.metrics)},
        "source": data_uri(crop.of(displayed(one.samples))),
    }


def _finite(metrics: Mapping[str, float | None]) -> dict[str, float | None]:
    return {key: v if v is not None and math.isfinite(v) else None for key, v in metrics.items()}


def _load(folder: Path, name: str) -> NDArray[Any]:
    """Read an original, a PNG or .npy file of the run."""
    from neuralcodec.signals.images import read_image

    path = _inside(folder, name)
    if path.suffix == ".npy":
        return np.asarray(np.load(path, allow_pickle=False))
    return read_image(path.read_bytes(), name).samples


def _inside(folder: Path, name: str) -> Path:
    """Return the path of a run's file; a record may not name files elsewhere."""
    relative = PurePosixPath(name)
    if relative.is_absolute() or ".." in relative.parts:
        raise UnsupportedInput(f"{name} lies outside the run's folder")
    return folder / relative


def _crop_in_words(crop: Crop, height: int, width: int) -> str:
    if (crop.height, crop.width) == (height, width):
        return ""
    return f"{crop.width} × {crop.height} samples from the middle of {width} × {height}"
