"""A codec made of two commands, so that any encoder and decoder that is installed can be measured.

``cmd:cjxl {in} {out.jxl} -q {q} ::: djxl {in.jxl} {out}`` is an encoder and a decoder. They are split into arguments
as a shell would, but no shell runs them. In each argument stand for

- ``{in}``, ``{out}``: the files to read and to write; the suffix of a file may be given, as in ``{out.jxl}``. Images
  are PNG unless it says ``.ppm``, ``.pgm``, ``.bmp``, ``.tif`` or ``.raw`` (samples in C order, little-endian);
- ``{q}``: the rate point; without it the command has one;
- ``{width}``, ``{height}``: of the image.

Options stand in brackets: ``cmd[label=VTM,timeout=900]:...``, ``cmd[lossless=yes]:...``.
"""

import hashlib
import io
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from neuralcodec.codec import Fields, QualityRange
from neuralcodec.codecs.image_file import ALL, GRAY, RGB, ImageFileCodec
from neuralcodec.codecs.options import Option, Value, read_options
from neuralcodec.container.signal import SignalType
from neuralcodec.errors import UnsupportedInput

SEPARATOR = ":::"
OPTIONS = {
    "label": Option("", "what figures call it; the encoder's name if empty"),
    "timeout": Option(600.0, "seconds that one command may take", 0.1),
    "lossless": Option(False, "whether it gives the very samples back"),
}
_PLACE = re.compile(r"\{(in|out)(\.\w+)?\}")
_PLAIN: Mapping[str, tuple[int, ...]] = {"uint8": (GRAY, RGB)}
_KINDS: Mapping[str, Mapping[str, tuple[int, ...]]] = {
    ".png": {"uint8": ALL, "uint16": (GRAY,)},
    ".ppm": _PLAIN,
    ".pgm": _PLAIN,
    ".bmp": _PLAIN,
    ".tif": {"uint8": (GRAY, RGB), "uint16": (GRAY,)},
    ".raw": {"uint8": ALL, "uint16": ALL},
}
_ANY = QualityRange(0, -1e9, 1e9)


@dataclass(frozen=True)
class Program:
    """One of the two commands: its words with places, and the suffixes of what it reads and writes."""

    role: str
    words: Sequence[str]
    source: str
    result: str

    def run(self, data: bytes, values: Mapping[str, str], timeout: float) -> bytes:
        """Return the file that it writes when it is given a file with these bytes.

        Raises
        ------
        UnsupportedInput
            If it fails, takes too long or writes no file.
        """
        with tempfile.TemporaryDirectory(prefix="neuralcodec-") as folder:
            source, result = Path(folder, f"in{self.source}"), Path(folder, f"out{self.result}")
            source.write_bytes(data)
            places = {"in": str(source), "out": str(result)}
            with open(os.path.join(folder, "messages"), "w+b") as messages:
                code = self._wait([_filled(word, places, values) for word in self.words], messages, timeout)
                if code:
                    messages.seek(0)
                    lines = messages.read().decode(errors="replace").strip().splitlines()
                    last = lines[-1] if lines else "it said nothing"
                    raise UnsupportedInput(f"the {self} ended with exit code {code}: {last}")
            try:
                return result.read_bytes()
            except OSError:
                raise UnsupportedInput(f"the {self} wrote no file in the place of {{out}}") from None

    def _wait(self, words: Sequence[str], messages: IO[bytes], timeout: float) -> int:
        process = subprocess.Popen(  # in a group of its own, so that its children end with it
            words, stdin=subprocess.DEVNULL, stdout=messages, stderr=messages, start_new_session=True
        )
        try:
            return process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise UnsupportedInput(
                f"the {self} took more than {timeout:g} s: see the option timeout"
            ) from None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def __str__(self) -> str:
        return f"{self.role} {self.words[0]!r}"


class CommandCodec(ImageFileCodec):
    """An encoder and a decoder outside this process; made by :func:`command_codec`."""

    name = "cmd"
    greatest_side = 2**31 - 1

    def __init__(self, encoder: Program, decoder: Program, timeout: float) -> None:
        super().__init__()
        self._encoder, self._decoder, self._timeout = encoder, decoder, timeout

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The two commands."""
        return {program.role: shlex.join(program.words) for program in (self._encoder, self._decoder)}

    @property
    def versions(self) -> Mapping[str, str]:
        """SHA-256 (16 digits) of each file that the commands name, for want of their version numbers."""
        words = [*self._encoder.words, *self._decoder.words]
        files = filter(os.path.isfile, (shutil.which(word) or word for word in words))
        return {os.path.basename(path): _digest(path) for path in files}

    def pack(self, image: NDArray[Any], quality: float) -> bytes:
        """Return what the encoder writes."""
        values = {"{q}": f"{quality:g}"} | _size(image.shape)
        return self._encoder.run(_written(image, self._encoder.source), values, self._timeout)

    def unpack(self, payload: bytes, fields: Fields) -> NDArray[Any]:
        """Return the image that the decoder writes."""
        decoded = self._decoder.run(payload, _size(fields.signal.shape), self._timeout)
        return _read(decoded, self._decoder.result, fields.signal)


def command_codec(
    commands: str, options: Mapping[str, Value] | None = None, *, rate_points: bool = True
) -> CommandCodec:
    """Return the codec of two commands.

    Parameters
    ----------
    commands
        "ENCODER ::: DECODER" (see the module's text).
    options
        Values of some of `OPTIONS`.
    rate_points
        Whether the caller has rate points for it.

    Raises
    ------
    UnsupportedInput
        If the text does not make two commands, a program is not here, or rate points are needed.

    >>> codec = command_codec("cp {in} {out.png} ::: cp {in.png} {out}", {"lossless": True})
    >>> codec.title, codec.lossless, codec.quality
    ('cp', True, None)
    """
    values = read_options("cmd", OPTIONS, options or {})
    encoder, decoder = _programs(commands)
    rated = any("{q}" in word for word in encoder.words)
    if rated and not rate_points:
        raise UnsupportedInput(
            f"the {encoder} has a rate parameter {{q}}: give rate points at the end, as in @20,40,60,80"
        )

    class Command(CommandCodec):
        title = str(values["label"]) or os.path.basename(encoder.words[0])
        lossless = bool(values["lossless"])
        quality = _ANY if rated else None
        kinds: ClassVar = _KINDS[encoder.source]

    return Command(encoder, decoder, float(values["timeout"]))


def _programs(commands: str) -> tuple[Program, Program]:
    try:
        pair = [shlex.split(command) for command in commands.split(SEPARATOR)]
    except ValueError as error:
        raise UnsupportedInput(f"cmd: {error} in {commands!r}") from None
    if len(pair) != 2 or not all(pair):
        raise UnsupportedInput(f"cmd: an encoder and a decoder are needed, with {SEPARATOR} between them")
    inputs, outputs = zip(*map(_suffixes, ("encoder", "decoder"), pair), strict=True)
    coded = outputs[0] or inputs[1] or ".bin"
    encoder = Program("encoder", pair[0], inputs[0] or ".png", coded)
    decoder = Program("decoder", pair[1], inputs[1] or coded, outputs[1] or ".png")
    for suffix in (encoder.source, decoder.result):
        if suffix not in _KINDS:
            raise UnsupportedInput(f"cmd: images are files of the kinds {', '.join(_KINDS)}, not {suffix}")
    return encoder, decoder


def _suffixes(role: str, words: Sequence[str]) -> tuple[str, str]:
    """Return the suffixes that a command gives its two files, empty where it gives none."""
    found = {place[1]: place[2] or "" for place in _PLACE.finditer(" ".join(words))}
    if found.keys() != {"in", "out"}:
        raise UnsupportedInput(
            f"cmd: the {role} {words[0]!r} needs both {{in}} and {{out}} among its arguments"
        )
    if role == "decoder" and any("{q}" in word for word in words):
        raise UnsupportedInput("cmd: a decoder is not told {q}: it must do with the file")
    if shutil.which(words[0]) is None:
        raise UnsupportedInput(f"cmd: there is no program {words[0]!r}: install it, or give its path")
    return found["in"], found["out"]


def _size(shape: tuple[int, ...]) -> dict[str, str]:
    return {"{height}": str(shape[0]), "{width}": str(shape[1])}


def _digest(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]


def _filled(word: str, places: Mapping[str, str], values: Mapping[str, str]) -> str:
    for key, value in values.items():
        word = word.replace(key, value)
    return _PLACE.sub(lambda match: places[match[1]], word)


def _written(image: NDArray[Any], suffix: str) -> bytes:
    """Return the file of an image that is given to an encoder."""
    from PIL import Image

    if suffix == ".raw":
        return image.astype(image.dtype.newbyteorder("<")).tobytes()
    with io.BytesIO() as file:
        fast = {"compress_level": 1} if suffix == ".png" else {}
        plugin = {".png": "PNG", ".tif": "TIFF", ".bmp": "BMP"}.get(suffix, "PPM")
        Image.fromarray(image).save(file, plugin, **fast)
        return file.getvalue()


def _read(data: bytes, suffix: str, wanted: SignalType) -> NDArray[Any]:
    """Return the image of a file that a decoder wrote."""
    from PIL import Image

    if suffix == ".raw":
        flat = np.frombuffer(data, wanted.dtype.newbyteorder("<"))
        return flat.astype(wanted.dtype).reshape(wanted.shape)
    with Image.open(io.BytesIO(data), formats=("PNG", "PPM", "BMP", "TIFF")) as file:
        image = np.asarray(file)
    if image.dtype == np.int32 and wanted.dtype == np.uint16:
        image = image.astype(np.uint16)  # how Pillow reads 16-bit PGM
    gray = wanted.samples == image.size // RGB and image.ndim == 3
    if gray and image.shape[2] == RGB and (image == image[..., :1]).all():
        return image[..., 0]  # decoders that know only colour
    return image
