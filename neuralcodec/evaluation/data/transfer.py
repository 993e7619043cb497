"""A file over HTTP, piece by piece: a transfer that was cut goes on where it stopped."""

import http.client
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable

Advance = Callable[[int], None]

BLOCK = 1 << 18
_TIMEOUT = 30  # seconds without a byte
_TRIES = 3  # of one address, if each brings the transfer on
_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")


class NotReached(Exception):
    """An address gave no file, or not all of it; the message tells why."""


class Meter:
    """Tells a progress bar how far a transfer is, which may also fall back."""

    def __init__(self, advance: Advance) -> None:
        self._advance, self._position = advance, 0

    def at(self, position: int) -> None:
        """Say how many bytes are there."""
        self._advance(position - self._position)
        self._position = position


def transfer(url: str, part: str, meter: Meter, *, most: int) -> bool:
    """Bring the file at an address to the path `part`, going on from what is there.

    Parameters
    ----------
    url
        Its address.
    part
        Where to write; what was transferred stays there if the transfer fails.
    meter
        Told of the bytes that are there.
    most
        More bytes than this are no file that was asked for.

    Returns
    -------
    bool
        Whether bytes that were there before the call are part of the file.

    Raises
    ------
    NotReached
        If the server cannot be reached, refuses, or ends early, three times or without any progress.
    OSError
        If the file cannot be written.
    """
    resumed = bool(_size(part))
    for attempt in range(_TRIES):
        before = _size(part)
        try:
            return _transfer_once(url, part, meter, most) and resumed
        except NotReached:
            if attempt == _TRIES - 1 or _size(part) <= before:
                raise
    raise AssertionError("the last try returns or raises")


def _transfer_once(url: str, part: str, meter: Meter, most: int) -> bool:
    there = _size(part)
    with _open(url, there) as response:
        start, total = _range(response)
        if response.status == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            if total == there:
                return True
            os.unlink(part)
            meter.at(0)
            return _transfer_once(url, part, meter, most)
        if start not in (0, there):
            raise NotReached(f"the server sent bytes from {start} on, asked for those from {there} on")
        with open(part, "ab" if start else "wb") as file:
            position = start
            meter.at(position)
            while block := _read(response):
                file.write(block)
                position += len(block)
                meter.at(position)
                if position > most:
                    raise NotReached(f"the server sends more than {most} bytes")
    if total is not None and position < total:
        raise NotReached(f"the connection ended after {position} of {total} bytes")
    return start > 0


def _open(url: str, there: int) -> http.client.HTTPResponse:
    headers = {"User-Agent": "neuralcodec", "Accept-Encoding": "identity"}
    if there:
        headers["Range"] = f"bytes={there}-"
    try:
        response: http.client.HTTPResponse
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT)
        return response
    except urllib.error.HTTPError as error:
        if there and error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            return error  # type: ignore[return-value]  # a response too, whose headers tell the size
        with error:
            raise NotReached(f"the server answers {error.code} {error.reason}") from None
    except urllib.error.URLError as error:
        raise NotReached(_words(error.reason)) from None
    except (OSError, http.client.HTTPException) as error:
        raise NotReached(_words(error)) from None


def _range(response: http.client.HTTPResponse) -> tuple[int, int | None]:
    """Return from where on the server sends, and the size of the whole file if it says."""
    if response.status == http.client.OK:
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if length.isdigit() else None
    match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if match is None:
        return -1, None
    start, total = match.groups()
    return int(start or 0), None if total == "*" else int(total)


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read1(BLOCK)  # what has come, so that little is lost if the connection breaks
    except (OSError, http.client.HTTPException) as error:
        raise NotReached(_words(error)) from None


def _words(error: object) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error) or repr(error)


def _size(path: str) -> int:
    return os.path.getsize(path) if os.path.exists(path) else 0
