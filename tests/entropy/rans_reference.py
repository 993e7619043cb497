"""The entropy coder of docs/format.md, section 4, in Python's integers: streams are compared with it."""

from collections.abc import Iterable, Sequence

TOTAL = 1 << 24


class Rans:
    """One state and a stack of words. `intervals` are (start, width) with widths of at least 1, in 2^-24."""

    def __init__(self) -> None:
        self.state = 0
        self.words: list[int] = []

    def push(self, start: int, width: int) -> None:
        assert width >= 1
        assert 0 <= start <= TOTAL - width
        if self.state >= width << 40:
            self.words.append(self.state & 0xFFFFFFFF)
            self.state >>= 32
        self.state = (self.state // width << 24) + self.state % width + start

    def pop(self, cdf: Sequence[int]) -> int:
        """Decode with a cumulative table from 0 to 2^24."""
        target = self.state % TOTAL
        symbol = next(s for s in range(len(cdf) - 1) if cdf[s] <= target < cdf[s + 1])
        start, width = cdf[symbol], cdf[symbol + 1] - cdf[symbol]
        self.state = (self.state >> 24) * width + target - start
        if self.state < 1 << 32 and self.words:
            self.state = self.state << 32 | self.words.pop()
        return symbol

    @property
    def is_empty(self) -> bool:
        return self.state == 0 and not self.words

    def to_bytes(self) -> bytes:
        head = self.state.to_bytes((self.state.bit_length() + 7) // 8, "little")
        return b"".join(word.to_bytes(4, "little") for word in self.words) + head

    def to_words(self) -> list[int]:
        """The words and the state as one list of words without leading zeros, as constriction shows them."""
        state = [self.state & 0xFFFFFFFF, self.state >> 32]
        while state and not state[-1]:
            state.pop()
        return self.words + state

    @classmethod
    def from_bytes(cls, data: bytes) -> "Rans":
        assert not data.endswith(b"\0")
        size = len(data)
        head = size if size <= 8 else (size - 1) % 4 + 5
        coder = cls()
        coder.words = [int.from_bytes(data[i : i + 4], "little") for i in range(0, size - head, 4)]
        coder.state = int.from_bytes(data[size - head :], "little")
        return coder


def encode_reverse(intervals: Iterable[tuple[int, int]], coder: Rans | None = None) -> Rans:
    """Push intervals, the last one first."""
    coder = coder or Rans()
    for start, width in reversed(list(intervals)):
        coder.push(start, width)
    return coder
