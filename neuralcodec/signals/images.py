"""Images through Pillow: their exact samples in, PNG out.

An image is read only if its samples reach us unchanged. What Pillow would reduce on the way (16-bit colour,
palettes, a transparent colour, the other frames of an animation) is refused unless a conversion is asked for.
"""

import contextlib
import io
import warnings
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from neuralcodec.errors import UnsupportedInput
from neuralcodec.signals.signal import Signal

if TYPE_CHECKING:
    from PIL import Image

_PNG = b"\x89PNG\r\n\x1a\n"
_KINDS = {
    "1": "a 1-bit image",
    "L": "an 8-bit gray image",
    "LA": "an 8-bit gray-and-alpha image",
    "RGB": "an 8-bit RGB image",
    "RGBA": "an 8-bit RGBA image",
    "I;16": "a 16-bit gray image",
    "I;16B": "a 16-bit gray image",
    "P": "a palette image",
    "PA": "a palette image",
    "F": "a floating-point image",
}
_EXACT = ("1", "L", "LA", "RGB", "RGBA", "I;16", "I;16B", "I")
_EXIF_PREFIX = b"Exif\0\0"  # what JPEG puts before the block; PNG and our section 3 do without


def read_image(data: bytes | memoryview, source: str = "the image", *, grayscale: bool = False) -> Signal:
    """Read an image file of any format that Pillow knows.

    Parameters
    ----------
    data
        The whole file.
    source
        What to call it in messages.
    grayscale
        Convert to 8-bit gray (ITU-R 601-2 luma, alpha dropped, 16 bits scaled to 8).

    Returns
    -------
    Signal
        bool (H, W) for 1-bit images, uint8 (H, W) or (H, W, channels), uint16 (H, W); ICC profile and EXIF.

    Raises
    ------
    UnsupportedInput
        If Pillow cannot read the file, or not without changing its samples.
    """
    with warnings.catch_warnings():
        # Pillow warns of giant images, which are refused here, and of broken metadata, which is not ours.
        warnings.simplefilter("ignore")
        try:
            with _open(data) as image:
                return _to_signal(image, source, grayscale)
        except UnsupportedInput:
            raise
        # The plugins raise nearly anything on hostile files: struct.error, SyntaxError, IndexError, ...
        except Exception as error:
            reason = (
                "no image format that Pillow knows" if _unidentified(error) else str(error) or repr(error)
            )
            raise UnsupportedInput(f"{source} cannot be read as an image: {reason}") from None


def prepare_png() -> None:
    """Import Pillow's PNG reader ahead of its use; if that fails, it will fail again where it can be told."""
    with contextlib.suppress(ImportError):
        import PIL.PngImagePlugin  # noqa: F401


def _open(data: bytes | memoryview) -> "Image.Image":
    file = io.BytesIO(data)
    if bytes(data[:8]) == _PNG:
        # Image.open would import five plugins first, which a cold start feels.
        from PIL.PngImagePlugin import PngImageFile

        return PngImageFile(file)
    from PIL import Image

    return Image.open(file)


def _unidentified(error: Exception) -> bool:
    return type(error).__name__ == "UnidentifiedImageError"


def _to_signal(image: "Image.Image", source: str, grayscale: bool) -> Signal:
    from PIL import Image

    if image.width * image.height > (Image.MAX_IMAGE_PIXELS or 2**31):
        raise UnsupportedInput(
            f"{source} is an image of {image.width}x{image.height} pixels, too many to decode safely"
        )
    if getattr(image, "n_frames", 1) > 1:
        raise UnsupportedInput(f"{source} has several frames: save the one you want as a still image")
    kind = _KINDS.get(image.mode, f"a {image.mode} image")
    deep = _depth_is_lost(image)
    if not grayscale:
        _check_exact(image, source, kind, deep)
    exif = image.info.get("exif")
    exif = exif.removeprefix(_EXIF_PREFIX) if isinstance(exif, bytes) else None
    icc = None if grayscale and image.mode not in ("L", "1") else image.info.get("icc_profile")
    samples = _gray(image) if grayscale else _samples(image)
    kind = _KINDS["L"] if grayscale else kind
    return Signal(samples, source=source, icc=icc or None, exif=exif or None, kind=kind)


def _depth_is_lost(image: "Image.Image") -> bool:
    """Tell whether Pillow reduces 16-bit samples to 8 bits when it loads this image, as with colour."""
    raw = " ".join(str(getattr(tile, "args", tile[3])) for tile in getattr(image, "tile", []))
    return ";16" in raw and not image.mode.startswith("I")


def _check_exact(image: "Image.Image", source: str, kind: str, deep: bool) -> None:
    remedy = "convert it first, or ask for 8-bit gray with --grayscale (grayscale=True in Python)"
    if deep:
        raise UnsupportedInput(f"{source} has 16-bit colour, which Pillow reads as 8-bit only: {remedy}")
    if image.mode not in _EXACT:
        raise UnsupportedInput(f"{source} is {kind}, which has no samples to code as they are: {remedy}")
    if "transparency" in image.info:
        raise UnsupportedInput(f"{source} has a transparent colour, which would be lost: {remedy}")


def _samples(image: "Image.Image") -> NDArray[Any]:
    samples: NDArray[Any] = np.asarray(image)
    if image.mode == "I" and samples.min(initial=0) >= 0 and samples.max(initial=0) < 2**16:
        samples = samples.astype(np.uint16)  # how older Pillow reads 16-bit PNG
    return np.ascontiguousarray(samples, samples.dtype.newbyteorder("="))


def _gray(image: "Image.Image") -> NDArray[Any]:
    if image.mode.startswith("I"):
        return to_gray(_samples(image))
    return np.asarray(image.convert("L"))


def to_gray(samples: NDArray[Any]) -> NDArray[np.uint8]:
    """Convert an image array to 8-bit gray, (H, W) uint8.

    Parameters
    ----------
    samples
        bool or uint16 (H, W), or uint8 (H, W) or (H, W, 1 to 4).

    Raises
    ------
    UnsupportedInput
        If the array is none of these.

    >>> to_gray(np.array([[0, 65535]], np.uint16))
    array([[  0, 255]], dtype=uint8)
    """
    if samples.ndim == 2 and samples.dtype == bool:
        return samples.astype(np.uint8) * np.uint8(255)
    if samples.ndim == 2 and samples.dtype == np.uint16:
        return ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if samples.ndim == 2 and samples.dtype == np.uint8:
        return samples
    if samples.ndim == 3 and samples.dtype == np.uint8 and 1 <= samples.shape[2] <= 4:
        return np.asarray(to_image(samples).convert("L"))
    raise UnsupportedInput(
        f"only 8-bit images and 1- or 16-bit gray ones convert to gray, not {samples.dtype.name} arrays "
        f"of shape {samples.shape}"
    )


def resize(samples: NDArray[Any], height: int, width: int) -> NDArray[np.uint8]:
    """Resize an 8-bit image array to (height, width, ...) with Pillow's Lanczos filter.

    Raises
    ------
    UnsupportedInput
        If the array is no 8-bit image.

    >>> resize(np.full((4, 4), 7, np.uint8), 2, 3).shape
    (2, 3)
    """
    if samples.dtype != np.uint8 or not is_image(samples):
        raise UnsupportedInput(
            f"only 8-bit images are resized, not {samples.dtype.name} arrays of shape {samples.shape}: "
            "resize it before, or add --grayscale"
        )
    from PIL import Image

    resized = np.asarray(to_image(samples).resize((width, height), Image.Resampling.LANCZOS))
    return resized.reshape(height, width, *samples.shape[2:])


def is_image(samples: NDArray[Any]) -> bool:
    """Tell whether a PNG can hold these samples exactly: bool, uint8 or uint16 (H, W), uint8 (H, W, 1 to 4).

    >>> is_image(np.zeros((2, 2), np.uint16)), is_image(np.zeros((2, 2), np.int32))
    (True, False)
    """
    if samples.ndim == 2:
        return samples.dtype in (np.bool_, np.uint8, np.uint16)
    return samples.ndim == 3 and samples.dtype == np.uint8 and 1 <= samples.shape[2] <= 4


def to_image(samples: NDArray[Any]) -> "Image.Image":
    """Return a Pillow image of exactly these samples.

    Raises
    ------
    UnsupportedInput
        If no Pillow mode holds them (see `is_image`).
    """
    if not is_image(samples):
        raise UnsupportedInput(
            f"{samples.dtype.name} samples of shape {samples.shape} are no image: write a .npy file instead"
        )
    from PIL import Image

    size = (samples.shape[1], samples.shape[0])
    if samples.dtype == bool:
        return Image.frombytes("1", size, np.packbits(samples, axis=1).tobytes())
    if samples.dtype == np.uint16:
        return Image.frombytes("I;16", size, samples.astype("<u2").tobytes())
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[1 if samples.ndim == 2 else samples.shape[2]]
    return Image.frombytes(mode, size, samples.tobytes())


def write_png(
    file: BinaryIO, samples: NDArray[Any], *, icc: bytes | None = None, exif: bytes | None = None
) -> None:
    """Write samples as a PNG file, with their colour profile and EXIF block.

    Raises
    ------
    UnsupportedInput
        If PNG cannot hold the samples (see `is_image`).

    >>> file = io.BytesIO()
    >>> write_png(file, np.array([[1, 2]], np.uint8), exif=b"II*\\0")
    >>> signal = read_image(file.getvalue())
    >>> signal.samples, signal.exif
    (array([[1, 2]], dtype=uint8), b'II*\\x00')
    """
    options: dict[str, Any] = {}
    if icc:
        options["icc_profile"] = icc
    if exif:
        options["exif"] = exif
    to_image(samples).save(file, format="PNG", **options)
