"""Asymmetric numeral system streams: a stack of symbols on constriction's `AnsCoder`, kept as coder bytes.

The coder is the one of docs/format.md, section 4: 32-bit words, a 64-bit state that starts at 0,
probabilities of 24 bits. What is encoded last is decoded first, so the batches of a stream are decoded in
the reverse order of their encoding; within a batch symbols keep their order.

Source: J. Duda, "Asymmetric numeral systems", arXiv:1311.2540; constriction: R. Bamler, arXiv:2201.01741.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuralcodec.entropy import _constriction
from neuralcodec.entropy.integers import PRECISION, checked_integer
from neuralcodec.entropy.models import Model
from neuralcodec.errors import EntropyCodingError

_TOTAL = 1 << PRECISION
# Elements of the tables handed to constriction at a time: stays in the cache, and changes no byte.
_CHUNK = 1 << 15
_COUNT_LIMIT = 1 << 31


def words_to_bytes(words: NDArray[np.uint32]) -> bytes:
    """Return the coder bytes of constriction's words (whose last words are the state).

    >>> words_to_bytes(np.array([1, 2, 3], dtype=np.uint32)).hex(" ")
    '01 00 00 00 02 00 00 00 03'
    """
    if not isinstance(words, np.ndarray) or words.dtype != np.uint32 or words.ndim != 1:
        raise EntropyCodingError("coder words must be a uint32 array of rank 1")
    if len(words) and words[-1] == 0:
        raise EntropyCodingError("the last coder word is 0, which no encoder writes")
    return words.astype("<u4").tobytes().rstrip(b"\0")


def bytes_to_words(data: bytes) -> NDArray[np.uint32]:
    """Return the words of coder bytes, as constriction's `AnsCoder` takes them.

    Raises
    ------
    EntropyCodingError
        If the last byte is 0: such bytes are not canonical, and no encoder writes them.
    """
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise EntropyCodingError(f"coder bytes must be bytes, not {type(data).__name__}")
    data = bytes(data)
    if data.endswith(b"\0"):
        raise EntropyCodingError("the last coder byte is 0, which no encoder writes")
    padded = data + bytes(-len(data) % 4)
    return np.frombuffer(padded, dtype="<u4").astype(np.uint32)


class _Coder:
    """What encoder and decoder share: the constriction coder, and its retirement after an error inside it."""

    def __init__(self, words: NDArray[np.uint32]) -> None:
        self._coder: Any = _constriction.ANS_CODER(words) if len(words) else _constriction.ANS_CODER()
        self._broken = False

    @property
    def is_empty(self) -> bool:
        """True if no word is left and the state is 0: nothing encoded, or everything decoded."""
        self._check()
        return bool(self._coder.is_empty())

    @property
    def bit_length(self) -> int:
        """Bits of the words and of the state without its leading zeros."""
        self._check()
        words, state = self._coder.pos()
        return 32 * int(words) + int(state).bit_length()

    def to_words(self) -> NDArray[np.uint32]:
        """Return a copy of the words with the state at their end, as constriction's ``get_compressed``."""
        self._check()
        words: NDArray[np.uint32] = self._coder.get_compressed()
        return words

    def to_bytes(self) -> bytes:
        """Return the coder bytes (docs/format.md, section 4)."""
        return words_to_bytes(self.to_words())

    def _check(self) -> None:
        if self._broken:
            raise EntropyCodingError("this coder met an error in the middle of a batch; start a new one")

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Retire the coder if its work is cut short, and turn constriction's errors into ours.

        Everything is checked before constriction is called, so its own errors would mean a fault of this
        module. Its panics derive from BaseException.
        """
        self._check()
        self._broken = True
        try:
            yield
        except (KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError, EntropyCodingError):
            raise
        except BaseException as error:
            raise EntropyCodingError(f"constriction refused a batch: {error}") from error
        self._broken = False


class AnsEncoder(_Coder):
    """An encoder: symbols are pushed on a stack.

    It starts empty, or on the coder bytes of another coder, which is then found below what is pushed here.
    An error about the arguments leaves the encoder as it was. Should one occur inside the coder (an
    interrupt, no memory), the encoder refuses all further use.

    >>> from neuralcodec.entropy.models import Categorical
    >>> model = Categorical.from_counts([5, 3, 1])
    >>> encoder = AnsEncoder()
    >>> encoder.encode_reverse(np.array([0, 2, 1, 0]), model)
    >>> decoder = AnsDecoder(encoder.to_bytes())
    >>> decoder.decode(model, 4)
    array([0, 2, 1, 0], dtype=int32)
    >>> decoder.finish()
    """

    def __init__(self, data: bytes = b"") -> None:
        super().__init__(bytes_to_words(data))

    def encode_reverse(self, symbols: NDArray[np.integer[Any]], model: Model) -> None:
        """Push a batch, its last symbol first, so that a decoder gets it back in order.

        Parameters
        ----------
        symbols
            Shape (n,), any integer dtype, within the model's alphabet; for a family, n is its size.
        model
            One model for all symbols, or a family with a table for each.

        Raises
        ------
        EntropyCodingError
            For symbols of another dtype, rank or number, or outside the alphabet; nothing is encoded then.
        """
        self._check()
        offsets = _checked(model).offsets(symbols)
        if model.alphabet == 1 or not len(offsets):
            return
        if model.size is None:
            compiled = model.compiled
            with self._guarded():
                self._coder.encode_reverse(offsets.astype(np.int32), compiled)
            return
        starts, widths = (part << (PRECISION - model.precision) for part in model.intervals(offsets))
        with self._guarded():
            for stop in range(len(starts), 0, -_CHUNK):
                part = slice(max(0, stop - _CHUNK), stop)
                chosen, tables = _small_tables(starts[part], widths[part], model.alphabet)
                self._coder.encode_reverse(chosen, _constriction.FAMILY, _constriction.family_rows(tables))


class AnsDecoder(_Coder):
    """A decoder: symbols are popped from a stack made of coder bytes.

    rANS maps every string of coder bytes to some sequence of symbols, so damaged bytes decode without an
    error, and an exhausted coder goes on forever (with symbols whose interval starts at 0). Files need
    lengths and checksums; :meth:`finish` finds what is left over.

    Raises
    ------
    EntropyCodingError
        If the bytes are not canonical.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(bytes_to_words(data))

    @classmethod
    def from_words(cls, words: NDArray[np.uint32]) -> "AnsDecoder":
        """Make a decoder from constriction's words (state at the end, last word not 0)."""
        return cls(words_to_bytes(words))

    def decode(self, model: Model, count: int | None = None) -> NDArray[np.int32]:
        """Pop a batch of symbols.

        Parameters
        ----------
        model
            One model, or a family; tables equal to those of the encoder.
        count
            Number of symbols, below 2^31: needed for one model; for a family it may be omitted.

        Returns
        -------
        int32 array of shape (count,).

        Raises
        ------
        EntropyCodingError
            For a count that is missing, negative, or not that of the family. Nothing is decoded then.
        """
        self._check()
        size = _checked(model).size
        if count is None:
            if size is None:
                raise EntropyCodingError("give the number of symbols to decode with one model")
            count = size
        count = checked_integer("count", count, 0, _COUNT_LIMIT - 1)
        if size is not None and count != size:
            raise EntropyCodingError(
                f"{count} symbols asked of a family of {size} tables; leave out the count"
            )
        if model.alphabet == 1:
            return np.full(count, model.low, dtype=np.int32)
        symbols = np.empty(count, dtype=np.int32)
        with self._guarded():
            if size is None:
                self._decode_alike(symbols, model)
            else:
                self._decode_family(symbols, model)
        symbols += np.int32(model.low)
        return symbols

    def _decode_alike(self, symbols: NDArray[np.int32], model: Model) -> None:
        compiled = model.compiled
        for start in range(0, len(symbols), _CHUNK):
            stop = min(start + _CHUNK, len(symbols))
            symbols[start:stop] = self._coder.decode(compiled, stop - start)

    def _decode_family(self, symbols: NDArray[np.int32], model: Model) -> None:
        step = max(1, _CHUNK // model.alphabet)
        for start in range(0, len(symbols), step):
            stop = min(start + step, len(symbols))
            tables = np.diff(model.cdf_rows(start, stop)) << (PRECISION - model.precision)
            symbols[start:stop] = self._coder.decode(_constriction.FAMILY, _constriction.family_rows(tables))

    def finish(self) -> None:
        """Check that everything was decoded.

        Raises
        ------
        EntropyCodingError
            If words are left over or the state is not 0: the stream is damaged, or the tables are not those
            of the encoder, or symbols remain.
        """
        if not self.is_empty:
            raise EntropyCodingError(
                f"{self.bit_length} bits are left over: the stream is damaged, was made with other tables, "
                "or has more symbols"
            )


def _checked(model: Model) -> Model:
    if not isinstance(model, Model):
        raise EntropyCodingError(f"expected a model of neuralcodec.entropy, not {type(model).__name__}")
    return model


def _small_tables(
    starts: NDArray[np.int64], widths: NDArray[np.int64], alphabet: int
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return symbols and tables of at most three symbols, in which the chosen one has the interval given.

    Encoding needs one interval a symbol, not a whole table. Around it the rest of the probability is cut in
    two, or in any way that leaves each part at least one count: an alphabet of 3 or more leaves at least 2
    counts outside.
    """
    after = _TOTAL - starts - widths
    if alphabet == 2:
        chosen = (starts > 0).astype(np.int32)
        return chosen, np.stack([np.where(chosen, starts, widths), np.where(chosen, widths, after)], axis=1)
    first, last = starts == 0, after == 0
    left = np.where(first, widths, np.where(last, 1, starts))
    middle = np.where(first, after - 1, np.where(last, starts - 1, widths))
    tables = np.stack([left, middle, _TOTAL - left - middle], axis=1)
    return np.where(first, 0, np.where(last, 2, 1)).astype(np.int32), tables
