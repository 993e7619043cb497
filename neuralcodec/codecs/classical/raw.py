"""General compressors on the bytes of the samples: what a format that knows nothing of images achieves.

The files hold the samples alone, in C order and little-endian bytes; shape and dtype have to be told, as with raw
images. They are small for it: a comparison with them is on the side of the general compressor.
"""

import bz2
import lzma
from abc import abstractmethod
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from neuralcodec.codec import Fields
from neuralcodec.codecs.classical.base import INSTALL
from neuralcodec.codecs.image_file import ImageFileCodec
from neuralcodec.codecs.options import Option

_DICTIONARY_LEAST, _DICTIONARY_MOST = 2**12, 2**26  # of xz; larger than the data it only takes time to clear


class RawCodec(ImageFileCodec):
    """A general compressor on the samples of a signal of any shape."""

    kinds: ClassVar = {}

    @property
    def takes(self) -> str:
        """What it accepts, in words."""
        return "integer and bool samples"

    def accepts(self, signal: NDArray[Any]) -> str | None:
        """Return None unless the samples are neither integers nor bool."""
        return None if signal.dtype.kind in "uib" else f"it has samples of {signal.dtype}"

    @property
    def versions(self) -> Mapping[str, str]:
        """Version of Python, whose module does the work."""
        import platform

        return {"Python": platform.python_version()}

    def plane(self, signal: NDArray[Any]) -> NDArray[Any]:
        """Return the samples in little-endian bytes."""
        return np.ascontiguousarray(signal, signal.dtype.newbyteorder("<"))

    def pack(self, image: NDArray[Any], quality: float) -> bytes:
        """Return the compressed bytes of the samples."""
        return self.squeeze(image.tobytes())

    def unpack(self, payload: bytes, fields: Fields) -> NDArray[Any]:
        """Return the samples; ValueError if there are more or fewer bytes of them."""
        wanted = fields.signal
        data = self.expand(payload, wanted.nbytes)
        if len(data) != wanted.nbytes:
            raise ValueError(f"it does not hold the {wanted.nbytes} bytes of {wanted}")
        samples = np.frombuffer(data, wanted.dtype.newbyteorder("<")).reshape(wanted.shape)
        return samples.astype(wanted.dtype)

    @abstractmethod
    def squeeze(self, data: bytes) -> bytes:
        """Return the compressed bytes."""

    @abstractmethod
    def expand(self, payload: bytes, size: int) -> bytes:
        """Return the bytes again, which ought to be `size`; of more than that, one too many is enough."""


class Zstd(RawCodec):
    """Zstandard (RFC 8878) at its highest level."""

    name = "zstd"
    title = "zstd"
    options: ClassVar = {"level": Option(22, "effort of the encoder", 1, 22)}

    @classmethod
    def absent(cls) -> str | None:
        """Return what to install if zstandard is not here."""
        return None if find_spec("zstandard") else INSTALL

    @property
    def versions(self) -> Mapping[str, str]:
        """Versions of zstandard and libzstd."""
        library: Any = import_module("zstandard")
        return {"zstandard": library.__version__, "libzstd": ".".join(map(str, library.ZSTD_VERSION))}

    def squeeze(self, data: bytes) -> bytes:
        """Return one frame, without a checksum."""
        library: Any = import_module("zstandard")
        return bytes(library.ZstdCompressor(level=self._options["level"]).compress(data))

    def expand(self, payload: bytes, size: int) -> bytes:
        """Return the bytes of a frame."""
        library: Any = import_module("zstandard")
        with library.ZstdDecompressor().stream_reader(payload) as reader:
            return bytes(reader.read(size + 1))


class Lzma(RawCodec):
    """LZMA2 in an .xz file, by the preset 9 "extreme", whose dictionary is cut to the size of the data."""

    name = "lzma"
    title = "LZMA"

    def squeeze(self, data: bytes) -> bytes:
        """Return an .xz file."""
        dictionary = min(max(len(data), _DICTIONARY_LEAST), _DICTIONARY_MOST)
        settings = {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": dictionary}
        return lzma.compress(data, filters=[settings])

    def expand(self, payload: bytes, size: int) -> bytes:
        """Return the bytes of an .xz file."""
        return lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(payload, size + 1)


class Bz2(RawCodec):
    """The Burrows-Wheeler compressor bzip2."""

    name = "bz2"
    title = "bzip2"
    options: ClassVar = {"level": Option(9, "size of a block in 100 kB", 1, 9)}

    def squeeze(self, data: bytes) -> bytes:
        """Return a .bz2 file."""
        return bz2.compress(data, int(self._options["level"]))

    def expand(self, payload: bytes, size: int) -> bytes:
        """Return the bytes of a .bz2 file."""
        return bz2.BZ2Decompressor().decompress(payload, size + 1)
