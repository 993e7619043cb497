"""Images through Pillow: their exact samples in, PNG out.

An image is read only if its samples reach us unchanged. What would be lost on the way (the other frames of an
animation; palettes and transparent colours where the codec does not keep them) is refused unless a conversion is
asked for.
"""

import contextlib
import io
import warnings
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from neuralcodec.container import png
from neuralcodec.container.png import PngForm
from neuralcodec.errors import CorruptFile, UnsupportedInput
from neuralcodec.signals.signal import Signal

if TYPE_CHECKING:
    from PIL import Image

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
_XMP = b"XML:com.adobe.xmp" + bytes(5)
_LARGE = 2**26
"""Bytes of samples from which a PNG is read in strips: Pillow would hold all of them, and more, besides ours."""

_EXIF_PREFIX = b"Exif\0\0"  # what JPEG puts before the block; PNG and our section 3 do without


def read_image(
    data: bytes | memoryview, source: str = "the image", *, grayscale: bool = False, forms: bool = False
) -> Signal:
    """Read an image file of any format that Pillow knows.

    Parameters
    ----------
    data
        The whole file.
    source
        What to call it in messages.
    grayscale
        Convert to 8-bit gray (ITU-R 601-2 luma, alpha dropped, 16 bits scaled to 8).
    forms
        Read palette images as indices, and those with a transparent colour, with what is needed to restore them.

    Returns
    -------
    Signal
        bool (H, W) for 1-bit images, uint8 or uint16 (H, W) or (H, W, channels); ICC profile, EXIF and PNG form.

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
                return _to_signal(image, data, source, grayscale, forms)
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
    if bytes(data[:8]) == png.SIGNATURE:
        # Image.open would import five plugins first, which a cold start feels.
        from PIL.PngImagePlugin import PngImageFile

        return PngImageFile(file)
    from PIL import Image

    return Image.open(file)


def _unidentified(error: Exception) -> bool:
    return type(error).__name__ == "UnidentifiedImageError"


def _to_signal(
    image: "Image.Image", data: bytes | memoryview, source: str, grayscale: bool, forms: bool
) -> Signal:
    from PIL import Image

    # Where Pillow would end by an error, not by a warning.
    if image.width * image.height > 2 * (Image.MAX_IMAGE_PIXELS or 2**30):
        raise UnsupportedInput(
            f"{source} is an image of {image.width}x{image.height} pixels, too many to decode safely"
        )
    if getattr(image, "n_frames", 1) > 1:
        raise UnsupportedInput(f"{source} has several frames: save the one you want as a still image")
    kind = _KINDS.get(image.mode, f"a {image.mode} image")
    head = png.read_head(data)
    if not grayscale:
        _check_exact(image, source, kind, forms, is_png=head is not None)
    exif = image.info.get("exif")
    exif = exif.removeprefix(_EXIF_PREFIX) if isinstance(exif, bytes) else None
    icc = None if grayscale and image.mode not in ("L", "1") else image.info.get("icc_profile")
    if grayscale:
        return Signal(_gray(image), source=source, icc=icc or None, exif=exif or None, kind=_KINDS["L"])
    deep = _depth_is_lost(image)
    if head is not None and (deep or (head.row_bytes * head.height > _LARGE and not head.interlaced)):
        samples = _scaled(png.exact_samples(data, head), head)
        kind = kind.replace("8-bit", "16-bit") if deep else kind
    else:
        samples = _samples(image)
    form = _form(image, data, head, forms)
    stream = None
    if forms and head is not None and not head.interlaced and head.row_bytes * head.height <= _LARGE:
        stream = b"".join(content for name, content, _ in png.chunks(data) if name == b"IDAT")
    return Signal(
        samples,
        source=source,
        icc=icc or None,
        exif=exif or None,
        png_form=form,
        png_data=stream,
        kind=kind,
    )


def _scaled(samples: NDArray[Any], head: png.Head) -> NDArray[Any]:
    """Return gray samples of 2 and 4 bits as Pillow reads them: of 8 bits."""
    low = head.depth in (2, 4) and head.colour == png.GRAY
    return samples * np.uint8(png.step_of(head.depth)) if low else samples


def _form(image: "Image.Image", data: bytes | memoryview, head: png.Head | None, forms: bool) -> bytes | None:
    """Return what a PNG needs to be restored besides samples, profile and EXIF; None if that is nothing."""
    found: list[tuple[bytes, bytes]] = []
    if forms and head is not None:
        for kind, content, _ in png.chunks(data):
            if kind == b"IDAT":
                break
            if kind == b"tRNS" or (kind == b"PLTE" and head.colour == png.PALETTE):
                found.append((kind, bytes(content)))
    elif forms and image.mode == "P":
        found.append((b"PLTE", bytes(image.getpalette() or bytes(3))))
        alpha = image.info.get("transparency")
        if alpha is not None:
            found.append((b"tRNS", alpha if isinstance(alpha, bytes) else b"\xff" * alpha + b"\0"))
    xmp = image.info.get("xmp")
    if isinstance(xmp, bytes) and xmp:
        found.append((b"iTXt", _XMP + xmp))
    depth = 8 if head is None else head.depth
    if not found and (depth not in (2, 4) or not forms):
        return None
    return PngForm(depth, tuple(found)).to_bytes()


def kept_data(signal: Signal) -> tuple[bytes, int, int] | None:
    """Return the image data that a signal has from its PNG, its depth, and by what its samples are multiplied.

    The step is 0 where the samples have a dtype of that depth.
    """
    if signal.png_data is None:
        return None
    if signal.png_form is None or signal.samples.dtype != np.uint8:
        return signal.png_data, png.depth_of(signal.samples.dtype), 0
    form = PngForm.from_bytes(signal.png_form)
    return signal.png_data, form.depth, 1 if form.palette is not None else png.step_of(form.depth)


def expanded(signal: Signal, size: int) -> NDArray[np.uint8] | None:
    """Return the colours of a palette image whose indices take `size` bytes, if those may well take less.

    They may where neighbours differ nearly each time, as in a photograph; drawings are better off as indices.
    """
    if signal.png_form is None or signal.stacked or 8 * size < signal.samples.size:
        return None
    form = PngForm.from_bytes(signal.png_form)
    return None if form.palette is None else png.colours_of(signal.samples, form)


def _depth_is_lost(image: "Image.Image") -> bool:
    """Tell whether Pillow reduces 16-bit samples to 8 bits when it loads this image, as with colour."""
    raw = " ".join(str(getattr(tile, "args", tile[3])) for tile in getattr(image, "tile", []))
    return ";16" in raw and not image.mode.startswith("I")


def _check_exact(image: "Image.Image", source: str, kind: str, forms: bool, *, is_png: bool) -> None:
    remedy = "convert it first, or ask for 8-bit gray with --grayscale (grayscale=True in Python)"
    if not is_png and _depth_is_lost(image):
        raise UnsupportedInput(f"{source} has 16-bit colour, which Pillow reads as 8-bit only: {remedy}")
    kept = forms and (is_png or image.mode == "P")
    if not forms and (image.mode == "P" or (is_png and "transparency" in image.info)):
        remedy += "; models of photographs take it as it is"
    if image.mode not in _EXACT and not (forms and image.mode == "P"):
        raise UnsupportedInput(f"{source} is {kind}, which has no samples to code as they are: {remedy}")
    if "transparency" in image.info and not kept:
        raise UnsupportedInput(f"{source} has a transparent colour, which would be lost: {remedy}")


def _samples(image: "Image.Image") -> NDArray[Any]:
    samples: NDArray[Any] = np.asarray(image)
    if samples.dtype == bool:
        samples = samples.view(np.uint8) != 0  # Pillow's bools are bytes of 0 and 255
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
        return np.asarray(_to_picture(samples).convert("L"))
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

    resized = np.asarray(_to_picture(samples).resize((width, height), Image.Resampling.LANCZOS))
    return resized.reshape(height, width, *samples.shape[2:])


def is_image(samples: NDArray[Any]) -> bool:
    """Tell whether a PNG can hold these samples exactly: bool, uint8 or uint16 (H, W), or with 1 to 4 channels.

    >>> is_image(np.zeros((2, 2), np.uint16)), is_image(np.zeros((2, 2), np.int32))
    (True, False)
    """
    if samples.ndim == 2 and samples.dtype == bool:
        return True
    channels = 1 if samples.ndim == 2 else samples.shape[2] if samples.ndim == 3 else 0
    return samples.dtype in (np.uint8, np.uint16) and 1 <= channels <= 4


def _to_picture(samples: NDArray[np.uint8]) -> "Image.Image":
    """Return a Pillow image of 8-bit samples."""
    from PIL import Image

    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[1 if samples.ndim == 2 else samples.shape[2]]
    return Image.frombytes(mode, (samples.shape[1], samples.shape[0]), samples.tobytes())


def write_png(
    file: BinaryIO,
    samples: NDArray[Any],
    *,
    icc: bytes | None = None,
    exif: bytes | None = None,
    png_form: bytes | None = None,
    level: int = 6,
) -> None:
    """Write samples as a PNG file, with their colour profile, EXIF block, palette, transparency and XMP.

    Parameters
    ----------
    file
        Where to write.
    samples
        As :func:`read_image` gives them; colours instead of a palette's indices are taken too.
    icc, exif, png_form
        As of a :class:`Signal`.
    level
        Of deflation, 1 to 9.

    Raises
    ------
    UnsupportedInput
        If PNG cannot hold the samples (see `is_image`).
    CorruptFile
        If the form does not fit the samples.

    >>> file = io.BytesIO()
    >>> write_png(file, np.array([[1, 2]], np.uint8), exif=b"II*\\0")
    >>> signal = read_image(file.getvalue())
    >>> signal.samples, signal.exif
    (array([[1, 2]], dtype=uint8), b'II*\\x00')
    """
    if not is_image(samples):
        raise UnsupportedInput(
            f"{samples.dtype.name} samples of shape {samples.shape} are no image: write a .npy file instead"
        )
    form = None if png_form is None else PngForm.from_bytes(png_form)
    head = png.Head.of(samples.shape, png.depth_of(samples.dtype))
    if form is not None and form.palette is not None:
        samples = png.indices_of(samples, form) if samples.ndim == 3 else samples
        head = replace(head, depth=form.depth, colour=png.PALETTE)
        _check_form(samples.dtype == np.uint8 and int(samples.max()) >> form.depth == 0)
    elif form is not None and head.depth == 8 and form.depth in (2, 4) and samples.ndim == 2:
        head, step = replace(head, depth=form.depth), png.step_of(form.depth)
        _check_form(not (samples % step).any())
        samples = samples // np.uint8(step)
    file.write(png.SIGNATURE + png.chunk(b"IHDR", head.to_bytes()))
    if icc:
        file.write(png.chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(icc, 9)))
    for kind, content in () if form is None else form.chunks:
        file.write(png.chunk(kind, content))
    if exif:
        file.write(png.chunk(b"eXIf", exif.removeprefix(_EXIF_PREFIX)))
    adaptive = head.depth >= 8 and head.colour != png.PALETTE
    for part in png.image_data(samples, head.depth, level, adaptive=adaptive):
        if part:
            file.write(png.chunk(b"IDAT", part))
    file.write(png.chunk(b"IEND", b""))


def _check_form(fits: bool) -> None:
    if not fits:
        raise CorruptFile("the samples are not of the depth that the file says", "PNG form")
