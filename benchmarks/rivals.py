"""The compressors that compare.py measures, each as a pair of functions on a stack of 28 x 28 images.

A tool that is not on this machine is left out with a word on how to get it. Layouts:

- "file per image": every image is a file of its own.
- "mosaic": one picture of 100 x 100 images.
- "strip": one picture of 28 columns, every image below the one before.
- "one stream": the samples of all images one after the other, as bytes.
- "archive": one file of all images, made by neuralcodec.
"""

import bz2
import importlib.metadata
import io
import lzma
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

import neuralcodec

Images = NDArray[np.uint8]
SIDE, PER_ROW = 28, 100
SINGLE, MOSAIC, STRIP = "file per image", "mosaic", "strip"
STREAM, ARCHIVE = "one stream", "archive"


@dataclass(frozen=True)
class Rival:
    """One way to store images.

    Attributes:
        name: tool and setting.
        layout: how the images are given to it.
        encode: files of a stack of images.
        decode: the images again, in any shape.
        model: the model of ours that it needs, "" for others.
    """

    name: str
    layout: str
    encode: Callable[[Images], list[bytes]]
    decode: Callable[[list[bytes]], Images]
    model: str = ""


def mosaic(images: Images) -> Images:
    """(100 k, 28, 28) images as one picture, 100 in a row."""
    rows = len(images) // PER_ROW
    tiles = images.reshape(rows, PER_ROW, SIDE, SIDE).transpose(0, 2, 1, 3)
    return np.ascontiguousarray(tiles.reshape(rows * SIDE, PER_ROW * SIDE))


def tiles(picture: Images) -> Images:
    """The images of a mosaic."""
    rows = picture.shape[0] // SIDE
    return picture.reshape(rows, SIDE, PER_ROW, SIDE).transpose(0, 2, 1, 3).reshape(-1, SIDE, SIDE)


def rivals() -> tuple[list[Rival], dict[str, str], list[str]]:
    """All that are here, the versions of their tools, and what is missing."""
    found: list[Rival] = []
    versions: dict[str, str] = {"python": sys.version.split()[0]}
    missing: list[str] = []
    for make in (_pillow, _imagecodecs, _standard, _zstandard, _zpaq):
        try:
            made, version = make()
        except _Missing as gap:
            missing.append(str(gap))
            print(f"skipped: {gap}", file=sys.stderr)
            continue
        found += made
        versions |= version
    return found, versions, missing


class _Missing(Exception):
    pass


def _import(module: str, package: str, what: str) -> Any:
    try:
        return __import__(module), importlib.metadata.version(package)
    except ImportError:
        raise _Missing(f"{what}: needs {package} (pip install -e '.[eval]')") from None


def of_pictures(
    name: str, encode: Callable[[Images], bytes], decode: Callable[[bytes], Images]
) -> list[Rival]:
    """An image codec on single images and on the mosaic."""
    return [
        Rival(name, SINGLE, lambda x: [encode(i) for i in x], lambda f: np.stack([decode(b) for b in f])),
        Rival(name, MOSAIC, lambda x: [encode(mosaic(x))], lambda f: tiles(decode(f[0]))),
    ]


def of_strip(name: str, encode: Callable[[Images], bytes], decode: Callable[[bytes], Images]) -> Rival:
    """An image codec on one tall picture."""
    return Rival(
        name,
        STRIP,
        lambda x: [encode(np.ascontiguousarray(x.reshape(-1, SIDE)))],
        lambda f: decode(f[0]),
    )


def of_bytes(name: str, encode: Callable[[bytes], bytes], decode: Callable[[bytes], bytes]) -> Rival:
    """A general compressor on the bytes of all samples."""
    return Rival(
        name, STREAM, lambda x: [encode(x.tobytes())], lambda f: np.frombuffer(decode(f[0]), np.uint8)
    )


def ours(model: str) -> list[Rival]:
    """neuralcodec with one model: an archive, and single files."""
    return [
        Rival(
            f"neuralcodec, {model}",
            ARCHIVE,
            lambda x: [neuralcodec.compress_many(x, model)],
            lambda f: neuralcodec.decompress_many(f[0]),
            model,
        ),
        Rival(
            f"neuralcodec, {model}",
            SINGLE,
            lambda x: [neuralcodec.compress(i, model) for i in x],
            lambda f: np.stack([neuralcodec.decompress(b) for b in f]),
            model,
        ),
    ]


def _pillow() -> tuple[list[Rival], dict[str, str]]:
    def encoder(**options: Any) -> Callable[[Images], bytes]:
        def encode(image: Images) -> bytes:
            buffer = io.BytesIO()
            Image.fromarray(image).save(buffer, **options)
            return buffer.getvalue()

        return encode

    def decode(data: bytes) -> Images:
        return np.asarray(Image.open(io.BytesIO(data)).convert("L"))

    made = of_pictures("PNG, Pillow optimize", encoder(format="PNG", optimize=True), decode)
    versions = {
        "Pillow": importlib.metadata.version("pillow"),
        "zlib in Pillow": str(features.version("zlib")),
    }
    if features.check("webp"):
        webp = encoder(format="WEBP", lossless=True, quality=100, method=6)
        made += of_pictures("WebP lossless, method 6", webp, decode)
        versions["libwebp in Pillow"] = str(features.version("webp"))
    return made, versions


def _imagecodecs() -> tuple[list[Rival], dict[str, str]]:
    codecs, version = _import("imagecodecs", "imagecodecs", "JPEG XL and JPEG-LS")

    def encoder(effort: int) -> Callable[[Images], bytes]:
        def encode(image: Images) -> bytes:
            data: bytes = codecs.jpegxl_encode(image, lossless=True, effort=effort, numthreads=2)
            return data

        return encode

    made = of_pictures("JPEG-LS", lambda x: codecs.jpegls_encode(x, level=0), codecs.jpegls_decode)
    made += of_pictures("JPEG XL, effort 9", encoder(9), codecs.jpegxl_decode)
    # A tall picture suits effort 10 better than a mosaic: it learns from all of it, and sees each sample's column.
    most = encoder(10)
    single, _ = of_pictures("JPEG XL, effort 10", most, codecs.jpegxl_decode)
    made += [single, of_strip("JPEG XL, effort 10", most, codecs.jpegxl_decode)]
    libraries = {"JPEG XL": codecs.jpegxl_version(), "JPEG-LS": codecs.jpegls_version()}
    return made, {"imagecodecs": version, **libraries}


def _standard() -> tuple[list[Rival], dict[str, str]]:
    extreme = 9 | lzma.PRESET_EXTREME
    return [
        of_bytes("bzip2 -9", bz2.compress, bz2.decompress),
        of_bytes("xz -9e", lambda x: lzma.compress(x, preset=extreme), lzma.decompress),
    ], {}


def _zstandard() -> tuple[list[Rival], dict[str, str]]:
    zstandard, version = _import("zstandard", "zstandard", "zstd")
    decode = zstandard.ZstdDecompressor().decompress
    made = []
    for name, level in (("zstd -19", 19), ("zstd --ultra -22", 22)):
        made.append(of_bytes(name, zstandard.ZstdCompressor(level=level).compress, decode))
    return made, {"zstandard": version, "zstd": ".".join(map(str, zstandard.ZSTD_VERSION))}


def _zpaq() -> tuple[list[Rival], dict[str, str]]:
    if not shutil.which("zpaq"):
        raise _Missing("zpaq: not on the PATH (apt install zpaq)")

    def run(folder: str, *arguments: str) -> str:
        done = subprocess.run(["zpaq", *arguments], cwd=folder, capture_output=True, text=True, check=True)
        return done.stdout

    def encode(data: bytes) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "x").write_bytes(data)
            run(folder, "add", "x.zpaq", "x", "-m5")
            return (Path(folder) / "x.zpaq").read_bytes()

    def decode(data: bytes) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "x.zpaq").write_bytes(data)
            run(folder, "extract", "x.zpaq")
            return (Path(folder) / "x").read_bytes()

    banner = subprocess.run(["zpaq"], capture_output=True, text=True, check=False).stdout.split()
    return [of_bytes("zpaq -m5", encode, decode)], {"zpaq": banner[1] if len(banner) > 1 else "unknown"}
