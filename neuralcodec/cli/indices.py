"""The lists of numbers that `--index` takes."""

import re

from neuralcodec.errors import UnsupportedInput

_PART = re.compile(r"(\d{1,18})(?:-(\d{1,18}))?")


def parse_indices(text: str, count: int) -> list[int]:
    """Return the numbers that a text lists, in its order.

    Parameters
    ----------
    text
        Numbers and ranges with both ends, separated by commas: "0,17,100-199".
    count
        How many signals there are: every number must be below.

    Raises
    ------
    UnsupportedInput
        If the text is not such a list, or names a signal that is not there.

    >>> parse_indices("7, 0-2", 10)
    [7, 0, 1, 2]
    """
    numbers: list[int] = []
    for part in text.split(","):
        match = _PART.fullmatch(part.strip())
        if match is None:
            raise UnsupportedInput(f"--index takes numbers and ranges such as 0,17,100-199, not {text!r}")
        first = int(match[1])
        last = int(match[2] or first)
        if last < first:
            raise UnsupportedInput(f"--index {part.strip()}: a range goes up")
        if last >= count:
            raise UnsupportedInput(f"--index {part.strip()}: there are {count} signals, counted from 0")
        numbers.extend(range(first, last + 1))
    return numbers
