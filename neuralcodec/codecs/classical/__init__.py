"""The codecs that neural ones are measured against: JPEG and its successors, and general compressors.

Each is a thin :class:`~neuralcodec.codec.Codec` over the library that people use, in one file, and is imported only
when it is asked for. Their payloads are whole files of formats of their own, which any viewer opens; they are no
built-in codecs of ``.ncz`` files, and none carries them.
"""

from collections.abc import Iterator
from functools import cache
from importlib import import_module

from neuralcodec.codecs.image_file import ImageFileCodec

_HERE = "neuralcodec.codecs.classical"
TABLE = {
    "jpeg": "jpeg:Jpeg",
    "jpeg-444": "jpeg:Jpeg444",
    "webp": "webp:WebP",
    "avif": "avif:Avif",
    "jpeg2000": "jpeg2000:Jpeg2000",
    "jpeg2000-psnr": "jpeg2000:Jpeg2000Psnr",
    "jxl": "jxl:JpegXl",
    "htj2k": "htj2k:Htj2k",
    "png": "png:Png",
    "webp-lossless": "webp:WebPLossless",
    "jpeg2000-lossless": "jpeg2000:Jpeg2000Lossless",
    "jxl-lossless": "jxl:JpegXlLossless",
    "jpeg-ls": "jpeg_ls:JpegLs",
    "htj2k-lossless": "htj2k:Htj2kLossless",
    "qoi": "qoi:Qoi",
    "zstd": "raw:Zstd",
    "lzma": "raw:Lzma",
    "bz2": "raw:Bz2",
}


@cache
def classical_codec(name: str) -> type[ImageFileCodec]:
    """Return the class of a classical codec by its name, a key of `TABLE`; KeyError if there is none."""
    module, _, attribute = TABLE[name].partition(":")
    found: type[ImageFileCodec] = getattr(import_module(f"{_HERE}.{module}"), attribute)
    return found


def classical_codecs() -> Iterator[type[ImageFileCodec]]:
    """Give the classes of all of them, lossy ones first; also of those whose libraries are absent."""
    return map(classical_codec, TABLE)
