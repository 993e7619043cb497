"""One measurement: an image is encoded, the file decoded, and both compared."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuralcodec.codecs.command import CommandCodec
from neuralcodec.errors import NeuralCodecError, UnsupportedInput
from neuralcodec.evaluation import layouts
from neuralcodec.evaluation.data import Item, sample_sha256
from neuralcodec.evaluation.metrics import Reference, refuses
from neuralcodec.evaluation.resources import peak_memory, versions
from neuralcodec.evaluation.results import REFUSED, Row
from neuralcodec.evaluation.specs import find_subject
from neuralcodec.evaluation.subject import Encoded, Subject, kind_of

NOT_EXACT = "the decoded samples differ from the original, though the codec is lossless"
_WARM_UP = 16  # side of the corner that readies a codec


@dataclass(frozen=True)
class Task:
    """Some images to be coded by one codec at some rate points; small enough to be sent to another process.

    Attributes
    ----------
    codec
        The codec, or the spec by which a worker finds it.
    items
        The images: each coded alone, or, in another layout, all together.
    qualities
        Rate points.
    layout
        "each", "mosaic" or "archive".
    metrics
        Names of the metrics.
    keep
        Numbers of the items whose files are kept, under "_file" and "_original" of a row.
    weigh
        Numbers of the items whose peak memory is measured, in a pass that is not timed.
    """

    codec: str | Subject
    items: tuple[Item, ...]
    qualities: tuple[float | None, ...]
    layout: str = layouts.EACH
    metrics: tuple[str, ...] = ()
    keep: tuple[int, ...] = ()
    weigh: tuple[int, ...] = ()


@dataclass(frozen=True)
class Measured:
    """The rows of a task, and the versions of what made them in the process that did."""

    rows: list[Row]
    versions: dict[str, str]


def measure(task: Task) -> Measured:
    """Return a row for each image and rate point of a task; what fails is a row with the error."""
    subject = subject_of(task.codec)
    rows: list[Row] = []
    if task.layout == layouts.EACH:
        for number, item in enumerate(task.items):
            rows += _image_rows(subject, task, item, keep=number in task.keep, weigh=number in task.weigh)
    else:
        rows += _set_rows(subject, task)
    return Measured(rows, versions(subject.versions))


def failure(task: Task, reason: str) -> Measured:
    """Return error rows for all of a task."""
    subject = subject_of(task.codec)
    names = [item.name for item in task.items]
    if task.layout != layouts.EACH:
        names = [layouts.set_name(task.layout, len(names))]
    rows = [
        {"image": name, "sha256": "", "quality": quality, "error": reason}
        for name in names
        for quality in task.qualities
    ]
    return Measured(rows, versions(subject.versions))


def subject_of(codec: str | Subject) -> Subject:
    """Return the codec of a task; a worker that has found it once keeps it."""
    return _found(codec) if isinstance(codec, str) else codec


_found = lru_cache(maxsize=16)(find_subject)


@dataclass(frozen=True)
class _Original:
    """An image, what identifies it, and what its reconstructions are compared with."""

    name: str
    samples: NDArray[Any]
    sha256: str
    reference: Reference


@lru_cache(maxsize=2)
def _original(item: Item) -> _Original:
    # The tasks of an image follow each other, so that the next codec finds it here.
    samples = item.load()
    return _Original(item.name, samples, sample_sha256(samples), Reference(samples))


def _image_rows(subject: Subject, task: Task, item: Item, *, keep: bool, weigh: bool) -> Iterator[Row]:
    try:
        original = _original(item)  # type: ignore[arg-type]  # items are frozen, so they hash
    except (NeuralCodecError, OSError) as error:
        for quality in task.qualities:
            yield {"image": item.name, "sha256": "", "quality": quality, "error": str(error)}
        return
    _warm_up(subject, original.samples)
    reason = _refusal(subject, subject.refuses(original.samples))
    for quality in task.qualities:
        row: Row = {"image": original.name, "sha256": original.sha256, "quality": quality}
        row |= _shape_facts(original.samples)
        if reason:
            yield row | {"error": f"{REFUSED}{reason}"}
            continue
        try:
            yield row | _coded(subject, original, quality, task.metrics, keep=keep, weigh=weigh)
        except Exception as error:  # a codec under test may raise anything: that is a result too
            yield row | {"error": words(error)}


def _coded(
    subject: Subject,
    original: _Original,
    quality: float | None,
    metrics: Sequence[str],
    *,
    keep: bool,
    weigh: bool,
) -> Row:
    samples = original.samples

    def encode() -> Encoded:
        return subject.encode(samples, quality)

    def decode(file: bytes) -> NDArray[Any]:
        return subject.decode(file, kind_of(samples))

    trial = _timed(encode, decode)
    row = _rate_facts(trial.encoded, _pixels(samples), samples.size) | trial.facts
    row |= _distortion(subject, original.reference, samples, trial.decoded, metrics)
    if keep:
        row |= {"_file": trial.encoded.file, "_original": samples}
    return row | {"peak_memory": _peak(subject, encode, decode) if weigh else None}


def _peak(
    subject: Subject, encode: Callable[[], Encoded], decode: Callable[[bytes], NDArray[Any]]
) -> int | None:
    """Return the peak memory of encoding and decoding once more; None where another process does the work.

    A pass of its own, as what makes memory measurable makes small images slow: memory freed goes to the system first.
    """
    if isinstance(subject.codec, CommandCodec):
        return None
    with peak_memory() as memory:
        decode(encode().file)
    return memory.bytes


def _refusal(subject: Subject, reason: str | None) -> str | None:
    """Return why a codec does not take an image; of a model, also what it takes."""
    if reason is None or subject.codec.standalone or subject.codec.takes in reason:
        return reason
    return f"{reason}; {subject.name} takes {subject.codec.takes}"


def _set_rows(subject: Subject, task: Task) -> Iterator[Row]:
    """Measure all images together, in one file."""
    images = layouts.stack(task.items)
    digest, pixels = sample_sha256(images), _pixels(images[0])
    references = [Reference(image) for image in images] if not subject.lossless else []
    coder = layouts.coder(task.layout, subject, images)
    for quality in task.qualities:
        row: Row = {"image": layouts.set_name(task.layout, len(images)), "sha256": digest, "quality": quality}
        row |= _shape_facts(images[0]) | {"images": len(images)}
        reason = _refusal(subject, coder.refuses())
        if reason:
            yield row | {"error": f"{REFUSED}{reason}"}
            continue
        try:
            encode = partial(coder.encode, quality)
            trial = _timed(encode, coder.decode)
            row["peak_memory"] = _peak(subject, encode, coder.decode) if task.weigh else None
            row |= _rate_facts(trial.encoded, pixels * len(images), images.size) | trial.facts
            yield row | _set_distortion(subject, references, images, trial.decoded, task.metrics)
        except Exception as error:
            yield row | {"error": words(error)}


def _set_distortion(
    subject: Subject, references: list[Reference], images: NDArray[Any], decoded: NDArray[Any], metrics: Any
) -> Row:
    """Return the means over the images of a set; an image that is equal makes the mean PSNR infinite."""
    if subject.lossless:
        return _exactness(images, decoded)
    found = [one.compare(image, metrics) for one, image in zip(references, decoded, strict=True)]
    row: Row = {}
    for key in found[0]:
        values = [one[key] for one in found]
        whole = [value for value in values if value is not None]
        mean = (
            max(whole) if key == "max-error" else float(np.mean(whole)) if len(whole) == len(values) else None
        )
        row[key] = mean
    return row


@dataclass(frozen=True)
class _Trial:
    encoded: Encoded
    decoded: NDArray[Any]
    facts: Row


def _timed(encode: Callable[[], Encoded], decode: Callable[[bytes], NDArray[Any]]) -> _Trial:
    """Encode and decode; wall seconds of each."""
    start = time.perf_counter()
    encoded = encode()
    middle = time.perf_counter()
    decoded = decode(encoded.file)
    end = time.perf_counter()
    return _Trial(encoded, decoded, {"encoding_time": middle - start, "decoding_time": end - middle})


def _distortion(
    subject: Subject,
    reference: Reference,
    samples: NDArray[Any],
    decoded: NDArray[Any],
    metrics: Sequence[str],
) -> Row:
    if subject.lossless:
        return _exactness(samples, decoded)
    if decoded.shape != samples.shape or decoded.dtype != samples.dtype:
        raise UnsupportedInput(f"it decodes to {kind_of(decoded)}, not {kind_of(samples)}")
    defined = [metric for metric in metrics if refuses(metric, samples.shape, samples.dtype) is None]
    return dict(reference.compare(decoded, defined))


def _exactness(samples: NDArray[Any], decoded: NDArray[Any]) -> Row:
    """Return the figures of a lossless codec, whose only distortion is none."""
    same = decoded.shape == samples.shape and decoded.dtype == samples.dtype
    if not (same and np.array_equal(decoded, samples)):
        raise UnsupportedInput(NOT_EXACT)
    return {"mse": 0.0, "max-error": 0}


def _rate_facts(encoded: Encoded, pixels: int, samples: int) -> Row:
    size, content = len(encoded.file), encoded.content_bytes
    return {
        "bytes": size,
        "payload_bytes": content,
        "bpp": 8 * size / pixels,
        "bpp_payload": 8 * content / pixels,
        "bits_per_sample": 8 * size / samples,
    }


def _shape_facts(samples: NDArray[Any]) -> Row:
    height, width = samples.shape[0], samples.shape[1] if samples.ndim > 1 else 1
    channels = samples.shape[2] if samples.ndim > 2 else 1
    facts = {"width": width, "height": height, "channels": channels, "images": 1}
    return facts | {"shape": list(samples.shape), "dtype": samples.dtype.name}


def _pixels(samples: NDArray[Any]) -> int:
    return int(np.prod(samples.shape[:2]))


_warm: set[str] = set()


def _warm_up(subject: Subject, samples: NDArray[Any]) -> None:
    """Let a codec load its libraries and tables, on a corner of the image, before it is timed."""
    if subject.name in _warm or not subject.codec.standalone:
        return
    _warm.add(subject.name)
    corner = np.ascontiguousarray(samples[:_WARM_UP, :_WARM_UP])
    with contextlib.suppress(Exception):  # what fails here fails again where it is recorded
        if subject.refuses(corner) is None:
            subject.decode(subject.encode(corner, subject.qualities[0]).file, kind_of(corner))


def words(error: Exception) -> str:
    """Return what a row says of an error: that it is none of ours where it is not."""
    text = str(error) or type(error).__name__
    return text if isinstance(error, NeuralCodecError) else f"{type(error).__name__}: {text}"
