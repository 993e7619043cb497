"""Codecs whose payloads are whole image files: options, what they accept, and errors that become ours."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from neuralcodec.codec import Codec, Fields
from neuralcodec.codecs.options import Option, Value, read_options
from neuralcodec.errors import CorruptFile, EntropyCodingError, NeuralCodecError, UnsupportedInput

GRAY, GRAY_ALPHA, RGB, RGBA = 1, 2, 3, 4
ALL = (GRAY, GRAY_ALPHA, RGB, RGBA)
_CHANNELS = {GRAY: "gray", GRAY_ALPHA: "gray with alpha", RGB: "RGB", RGBA: "RGB with alpha"}
_DEPTHS = {"bool": "1-bit", "uint8": "8-bit", "uint16": "16-bit"}


class ImageFileCodec(Codec):
    """A codec whose payload is a whole file of a format of its own.

    Subclasses say what their format holds and do the work in :meth:`pack` and :meth:`unpack`; options of a
    spec (``avif:speed=8``) are the keyword arguments of the class. One thread does the work where the library
    lets itself be told, so that the times of codecs compare.

    Attributes
    ----------
    options
        Settings beside the rate parameter, by name.
    kinds
        Numbers of channels that the format holds, for each dtype; images of others are refused.
    greatest_side
        Longest side that the format allows, in pixels.

    Raises
    ------
    UnsupportedInput
        If there is no such option, or it cannot have such a value.
    """

    standalone = True
    options: ClassVar[Mapping[str, Option]] = {}
    kinds: ClassVar[Mapping[str, tuple[int, ...]]]
    greatest_side: ClassVar[int] = 65535

    def __init__(self, **options: Value) -> None:
        self._options = read_options(self.name, self.options, options)

    @classmethod
    def absent(cls) -> str | None:
        """Return what to install if what does the work is not here, else None."""
        return None

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The values of its options."""
        return dict(self._options)

    @property
    def takes(self) -> str:
        """What the format holds, in words."""
        each = (
            f"{_DEPTHS[dtype]} {', '.join(_CHANNELS[channels] for channels in held)}"
            for dtype, held in self.kinds.items()
        )
        return f"images ({'; '.join(each)})"

    def accepts(self, signal: NDArray[Any]) -> str | None:
        """Return None if the format holds such an image, else why not."""
        if signal.ndim not in (2, 3) or (signal.ndim == 3 and signal.shape[2] not in ALL):
            return f"it is no image (H, W) or (H, W, 1 to 4 channels): its shape is {signal.shape}"
        if 0 in signal.shape:
            return f"it is empty: its shape is {signal.shape}"
        kind, channels = signal.dtype.name, signal.shape[2] if signal.ndim == 3 else GRAY
        if kind not in self.kinds:
            return f"it has {_DEPTHS.get(kind, kind)} samples, and {self._title} here takes {self.takes}"
        if channels not in self.kinds[kind]:
            return f"it is {_DEPTHS[kind]} {_CHANNELS[channels]}, and {self._title} here takes {self.takes}"
        if max(signal.shape[:2]) > self.greatest_side:
            height, width = signal.shape[:2]
            return (
                f"it has {width}x{height} pixels, and a side is at most {self.greatest_side} in {self._title}"
            )
        return None

    def encode(
        self,
        signal: NDArray[Any],
        *,
        missing: NDArray[np.bool_] | None = None,
        quality: float | None = None,
        preset: str | None = None,
        verify: bool = False,
    ) -> bytes:
        """Return the file of one image (see :meth:`neuralcodec.codec.Codec.encode`)."""
        self._check_here()
        if quality is None and self.quality is not None:
            quality = self.quality.default
        try:
            payload = self.pack(self.plane(signal), 0.0 if quality is None else quality)
        except Exception as error:  # each library has errors of its own
            raise UnsupportedInput(f"{self._title} cannot code it: {_reason(error)}") from error
        if verify and self.lossless and not np.array_equal(self.decode(payload, _fields(signal)), signal):
            raise EntropyCodingError(f"{self._title} does not give the image back")
        return payload

    def decode(self, payload: bytes, fields: Fields) -> NDArray[Any]:
        """Return the image of a file; :class:`CorruptFile` if it is damaged or of another shape or dtype."""
        self._check_here()
        try:
            decoded = self.unpack(payload, fields)
        except Exception as error:  # each library has errors of its own
            raise CorruptFile(f"{self._title} cannot decode it: {_reason(error)}") from error
        wanted = fields.signal
        if decoded.dtype != wanted.dtype or decoded.shape not in (
            wanted.shape,
            _plane_shape(wanted.shape),
        ):
            found = f"{' x '.join(map(str, decoded.shape))} {decoded.dtype}"
            raise CorruptFile(f"the {self._title} file holds {found}, not {wanted}")
        return np.ascontiguousarray(decoded.reshape(wanted.shape))

    @abstractmethod
    def pack(self, image: NDArray[Any], quality: float) -> bytes:
        """Return the file of an image, which is (H, W) if it has one channel."""

    @abstractmethod
    def unpack(self, payload: bytes, fields: Fields) -> NDArray[Any]:
        """Return the image of a file, (H, W) if it has one channel."""

    def plane(self, signal: NDArray[Any]) -> NDArray[Any]:
        """Return an image as libraries want it: (H, W) if it has one channel, C-contiguous, native bytes."""
        image = np.ascontiguousarray(signal, signal.dtype.newbyteorder("="))
        return image.reshape(_plane_shape(image.shape))

    @property
    def _title(self) -> str:
        return self.title or self.name

    def _check_here(self) -> None:
        remedy = self.absent()
        if remedy:
            raise UnsupportedInput(f"{self._title} is not available here: {remedy}")


def _plane_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape[:2] if len(shape) == 3 and shape[2] == 1 else shape


def _fields(signal: NDArray[Any]) -> Fields:
    from neuralcodec.container.signal import SignalType

    return Fields(SignalType(signal.shape, signal.dtype))


def _reason(error: Exception) -> str:
    if isinstance(error, NeuralCodecError):
        return str(error)
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[-1]}" if lines else type(error).__name__
