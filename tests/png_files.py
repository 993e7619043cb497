"""PNG files of every colour type, depth and interlacing, of random samples, and what is in them."""

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from neuralcodec.container.png import PALETTE, SIGNATURE, Head, chunk, chunks, image_data, packed_rows

LAYOUTS = [
    *((depth, 0) for depth in (1, 2, 4, 8, 16)),
    *((depth, 3) for depth in (1, 2, 4, 8)),
    *((depth, colour) for colour in (2, 4, 6) for depth in (8, 16)),
]
"""Depths and colour types that go together."""

PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
"""First row and column, and steps, of the passes of Adam7."""


@dataclass(frozen=True)
class Drawn:
    """A PNG file, and its samples: not scaled, indices of palettes."""

    file: bytes
    samples: NDArray[Any]
    head: Head
    palette: bytes | None
    transparency: bytes | None


@st.composite
def pngs(draw: st.DrawFn, most: int = 20) -> Drawn:
    """Draw a PNG file."""
    depth, colour = draw(st.sampled_from(LAYOUTS))
    width, height = draw(st.integers(1, most)), draw(st.integers(1, most))
    head = Head(width, height, depth, colour, draw(st.booleans()))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    palette, transparency = None, None
    top = 2**depth
    if colour == PALETTE:
        top = draw(st.integers(1, top))
        palette = rng.integers(0, draw(st.sampled_from([3, 256])), 3 * top, np.uint8).tobytes()
    if colour in (0, 2, 3) and draw(st.booleans()):
        size = draw(st.integers(1, top)) if colour == PALETTE else 2 * head.channels
        transparency = rng.integers(0, 256, size, np.uint8).tobytes()
    shape = (height, width, head.channels)[: 2 + (head.channels > 1)]
    place = np.indices(shape).sum(0)
    kinds = [rng.integers(0, top, shape), place * int(rng.integers(1, 9)) % top, np.full(shape, top - 1)]
    samples = draw(st.sampled_from(kinds)).astype({1: np.bool_, 16: np.uint16}.get(depth, np.uint8))
    extra = b"" if palette is None else chunk(b"PLTE", palette)
    extra += b"" if transparency is None else chunk(b"tRNS", transparency)
    data = _adam7(samples, depth) if head.interlaced else _plain(samples, depth, draw(st.booleans()))
    body = chunk(b"IHDR", head.to_bytes()) + extra
    cut = draw(st.integers(0, len(data)))
    body += chunk(b"IDAT", data[:cut]) + chunk(b"IDAT", data[cut:]) + chunk(b"IEND", b"")
    return Drawn(SIGNATURE + body, samples, head, palette, transparency)


def _plain(samples: NDArray[Any], depth: int, adaptive: bool) -> bytes:
    return b"".join(image_data(samples, depth, 9, adaptive=adaptive))


def _adam7(samples: NDArray[Any], depth: int) -> bytes:
    rows = bytearray()
    for top, left, down, right in PASSES:
        part = samples[top::down, left::right]
        if part.size:
            for row in packed_rows(np.ascontiguousarray(part), depth):
                rows += b"\0" + row.tobytes()
    return zlib.compress(bytes(rows), 9)


def facts_of(file: bytes) -> dict[bytes, bytes]:
    """Return head, palette and transparency of a PNG file, as bytes; interlacing is left out."""
    found = {kind: bytes(content) for kind, content, _ in chunks(file)}
    found[b"IHDR"] = found[b"IHDR"][:-1]
    return {kind: content for kind, content in found.items() if kind in (b"IHDR", b"PLTE", b"tRNS")}
