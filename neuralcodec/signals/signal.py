"""What the readers return and the writers take: samples with what their file said about them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuralcodec.errors import UnsupportedInput

CHANNELS = (2, 3, 4)  # gray with alpha, RGB, RGBA


@dataclass(frozen=True)
class Signal:
    """One signal, or a stack of signals of one shape.

    Attributes
    ----------
    samples
        The array, of shape ``(n, *signal shape)`` if ``stacked``; a masked array if samples are missing.
    stacked
        Whether the first axis counts signals.
    source
        Where the signal came from, for messages.
    name
        The file's name without its folder, for a signal that was a file of its own; else None.
    icc, exif
        The colour profile and the EXIF block of an image (from its TIFF header on), as bytes; None without.
    png_form
        What a PNG is besides its samples, as in section 2 of docs/format.md: palette, transparency, XMP, depth.
    png_data
        The zlib stream of the image data of the PNG that the signal was, if it may be of use.
    kind
        What the signal is in a reader's words ("an RGB image"), for messages.
    sampling_rate
        In Hz, of a sound; else None.
    """

    samples: NDArray[Any]
    stacked: bool = False
    source: str = "the signal"
    name: str | None = None
    icc: bytes | None = None
    exif: bytes | None = None
    png_form: bytes | None = None
    png_data: bytes | None = None
    kind: str = "an array"
    sampling_rate: int | None = None

    def __len__(self) -> int:
        return int(self.samples.shape[0]) if self.stacked else 1


@dataclass(frozen=True)
class Wanted:
    """What a model takes, and which conversions the user asked for.

    Attributes
    ----------
    model
        The model's name, for messages.
    shape, dtype
        Shape and dtype of one signal; an empty shape means any.
    resize, grayscale
        Whether images may be resized to ``shape``, and turned into 8-bit gray.
    offers
        The options by which the user can ask for these, for messages.
    forms
        Whether the codec keeps palettes, transparent colours and depths of 2 and 4 bits beside the samples.
    """

    model: str
    shape: tuple[int, ...]
    dtype: "np.dtype[Any]"
    resize: bool = False
    grayscale: bool = False
    offers: tuple[str, ...] = ("--grayscale", "--resize")
    forms: bool = False

    def __str__(self) -> str:
        """Return "pc-mnist takes ...".

        >>> print(Wanted("pc-mnist", (28, 28), np.dtype(np.uint8)))
        pc-mnist takes 28x28 8-bit gray images (uint8 arrays of shape (28, 28))
        """
        if not self.shape:
            return f"{self.model} takes signals of any shape"
        arrays = f"{self.dtype.name} arrays of shape {self.shape}"
        colours = {2: "gray", 3: {3: "RGB", 4: "RGBA", 2: "gray-and-alpha"}.get(self.shape[-1])}
        colour = colours.get(len(self.shape))
        bits = {"uint8": "8-bit", "uint16": "16-bit", "bool": "1-bit"}.get(self.dtype.name)
        if colour is None or bits is None:
            return f"{self.model} takes {arrays}"
        height, width = self.shape[:2]
        return f"{self.model} takes {width}x{height} {bits} {colour} images ({arrays})"

    def is_stack(self, shape: tuple[int, ...]) -> bool:
        """Tell whether an array of this shape is a stack of wanted signals rather than one signal.

        Axes of length 1 do not count in a signal's shape. With a conversion asked for, the signals of a stack
        may have other sizes, or channels.

        >>> wanted = Wanted("pc-mnist", (28, 28), np.dtype(np.uint8))
        >>> [wanted.is_stack(shape) for shape in ((28, 28), (5, 28, 28), (1, 28, 28), (28, 28, 3))]
        [False, True, True, False]
        """
        rank = len(self.shape)
        if not rank:
            return False
        if len(shape) > rank and _squeezed(shape[1:]) == _squeezed(self.shape):
            return True
        if not (self.resize or self.grayscale):
            return False
        coloured = shape[-1:] and shape[-1] in CHANNELS and len(self.shape) == 2
        return len(shape) == (rank + 2 if coloured else rank + 1)


def _squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(length for length in shape if length != 1)


def check_fit(signal: Signal, wanted: Wanted) -> None:
    """Refuse an image that the model does not take, saying what it takes and what to do.

    Arrays are left to the codec, which knows the whole of its conditions.

    Raises
    ------
    UnsupportedInput
        If the signal is an image of another shape or dtype.
    """
    samples = signal.samples
    if signal.stacked or not wanted.shape or not signal.kind.endswith("image"):
        return
    if samples.dtype == wanted.dtype and _squeezed(samples.shape) == _squeezed(wanted.shape):
        return
    remedies = []
    gray_model = len(wanted.shape) == 2 and wanted.dtype == np.uint8
    if gray_model and (samples.ndim != 2 or samples.dtype != np.uint8):
        remedies.append("--grayscale")
    if len(wanted.shape) >= 2 and samples.shape[:2] != wanted.shape[:2]:
        remedies.append("--resize")
    offered = remedies and all(remedy in wanted.offers for remedy in remedies)
    advice = f"convert it with {' and '.join(remedies)}" if offered else "convert it first"
    height, width = samples.shape[:2]
    raise UnsupportedInput(
        f"{signal.source} is {signal.kind} of {width}x{height}; {wanted}: {advice}, or encode it "
        "apart, with a model that takes it"
    )
