"""How many bytes of a file are compressed samples, and how many are its format's own headers."""

import struct
from collections.abc import Collection

_STANDALONE = {0x01, *range(0xD0, 0xD9)}  # JPEG markers without a length: TEM, RST0 to RST7, SOI
_END, _SCAN = 0xD9, 0xDA


def scan_bytes(data: bytes) -> int:
    """Return the size of the entropy-coded segments of a JPEG or JPEG-LS file (ITU-T T.81, B.1; T.87, D.1).

    >>> scan_bytes(bytes.fromhex("ffd8 ffda0003aa 0102ff0003 ffd9"))
    5
    """
    position, total = 0, 0
    while position + 2 <= len(data):
        marker = data[position + 1]
        position += 2
        if marker in _STANDALONE:
            continue
        if marker == _END:
            break
        start = position + int.from_bytes(data[position : position + 2], "big")
        position = _next_marker(data, start) if marker == _SCAN else start
        total += position - start
    return total


def _next_marker(data: bytes, position: int) -> int:
    """Return where the entropy-coded bytes from `position` on end; FF is followed there by no marker."""
    while (found := data.find(b"\xff", position)) >= 0 and found + 1 < len(data):
        follower = data[found + 1]
        if follower >= 0x80 and follower not in _STANDALONE:
            return found
        position = found + 2
    return len(data)


def riff_bytes(data: bytes, names: Collection[bytes]) -> int:
    """Return the size of the contents of the chunks with these names in a RIFF file such as WebP.

    >>> riff_bytes(b"RIFF\\x10\\0\\0\\0WEBP" + b"VP8L\\x03\\0\\0\\0abc\\0", {b"VP8L"})
    3
    """
    position, total = 12, 0
    while position + 8 <= len(data):
        size = int.from_bytes(data[position + 4 : position + 8], "little")
        total += size * (data[position : position + 4] in names)
        position += 8 + size + size % 2
    return total


def png_bytes(data: bytes) -> int:
    """Return the size of the contents of the IDAT chunks of a PNG file.

    >>> png_bytes(b"\\x89PNG\\r\\n\\x1a\\n" + b"\\0\\0\\0\\x02IDATxx" + bytes(4) + bytes(4) + b"IEND" + bytes(4))
    2
    """
    position, total = 8, 0
    while position + 8 <= len(data):
        size = int.from_bytes(data[position : position + 4], "big")
        total += size * (data[position + 4 : position + 8] == b"IDAT")
        position += 12 + size
    return total


def box_bytes(data: bytes, names: Collection[bytes]) -> int:
    """Return the size of the contents of the outer boxes with these names (ISO/IEC 14496-12: AVIF, JP2).

    >>> box_bytes(b"\\0\\0\\0\\x08free" + b"\\0\\0\\0\\x00mdat" + b"12345", {b"mdat"})
    5
    """
    position, total = 0, 0
    while position + 8 <= len(data):
        size, head = int.from_bytes(data[position : position + 4], "big"), 8
        if size == 1 and position + 16 <= len(data):
            size, head = struct.unpack_from(">Q", data, position + 8)[0], 16
        size = size or len(data) - position  # 0: to the end of the file
        total += (size - head) * (data[position + 4 : position + 8] in names)
        position += max(size, head)
    return total
