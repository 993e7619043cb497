"""ANS streams: equal to the pure-integer coder word for word, empty at the end, one error type."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuralcodec.entropy import (
    AnsDecoder,
    AnsEncoder,
    Categorical,
    DiscretisedLaplace,
    bytes_to_words,
    words_to_bytes,
)
from neuralcodec.entropy import ans as ans_module
from neuralcodec.errors import EntropyCodingError

from .rans_reference import Rans, encode_reverse
from .strategies import symbols_of, tables

FULL = 1 << 24


def reference_of(model: Categorical, symbols: np.ndarray[Any, Any], coder: Rans | None = None) -> Rans:
    starts, widths = model.intervals(model.offsets(symbols))
    shift = 24 - model.precision
    return encode_reverse(zip((starts << shift).tolist(), (widths << shift).tolist(), strict=True), coder)


def assert_same_stream(encoder: AnsEncoder, reference: Rans) -> None:
    assert encoder.to_words().tolist() == reference.to_words()
    assert encoder.to_bytes() == reference.to_bytes()


@given(st.data(), st.sampled_from([24, 24, 13]))
def test_one_model(data: st.DataObject, precision: int) -> None:
    table = data.draw(tables(precision))
    symbols = data.draw(symbols_of(table))
    model = Categorical(table, precision=precision)
    encoder = AnsEncoder()
    encoder.encode_reverse(symbols, model)
    assert_same_stream(encoder, reference_of(model, symbols))
    decoder = AnsDecoder(encoder.to_bytes())
    decoded = decoder.decode(model, len(symbols))
    assert decoded.dtype == np.int32
    assert decoded.tolist() == symbols.tolist()
    assert decoder.is_empty
    decoder.finish()


@given(st.data(), st.sampled_from([2, 3, 64]), st.sampled_from([24, 8]))
def test_a_family(data: st.DataObject, alphabet: int, precision: int) -> None:
    rows = data.draw(st.lists(tables(precision, alphabet=alphabet), max_size=12))
    family = Categorical(np.array(rows, dtype=np.int64).reshape(-1, alphabet), low=-3, precision=precision)
    symbols = np.array([data.draw(st.integers(-3, alphabet - 4)) for _ in rows], dtype=np.int32)
    encoder = AnsEncoder()
    encoder.encode_reverse(symbols, family)
    assert_same_stream(encoder, reference_of(family, symbols))
    decoder = AnsDecoder(encoder.to_bytes())
    assert decoder.decode(family).tolist() == symbols.tolist()
    decoder.finish()


@given(st.data())
def test_batches_are_a_stack(data: st.DataObject) -> None:
    batches = []
    encoder, reference = AnsEncoder(), Rans()
    for _ in range(data.draw(st.integers(1, 4))):
        model = Categorical(data.draw(tables(max_alphabet=50)))
        symbols = data.draw(symbols_of(np.diff(model.cdf()), max_size=10))
        if data.draw(st.booleans()):
            family = Categorical(np.diff(model.cdf())[None, :]).select(np.zeros(len(symbols), dtype=int))
            encoder.encode_reverse(symbols, family)
        else:
            encoder.encode_reverse(symbols, model)
        reference_of(model, symbols, reference)
        batches.append((symbols, model))
    assert_same_stream(encoder, reference)
    decoder = AnsDecoder.from_words(encoder.to_words())
    for symbols, model in reversed(batches):
        assert decoder.decode(model, len(symbols)).tolist() == symbols.tolist()
    decoder.finish()


@pytest.mark.parametrize("position", [0, 1, 2047, 4095])
def test_the_largest_alphabet_with_one_dominant_symbol(position: int) -> None:
    table = np.ones(4096, dtype=np.int64)
    table[position] = FULL - 4095
    symbols = np.concatenate([np.arange(4096), np.full(500, position), np.arange(4096)[::-1]]).astype(
        np.int32
    )
    model, family = Categorical(table), Categorical(table[None, :]).select(np.zeros(len(symbols), dtype=int))
    streams = []
    for kind in (model, family):
        encoder = AnsEncoder()
        encoder.encode_reverse(symbols, kind)
        assert_same_stream(encoder, reference_of(model, symbols))
        streams.append(encoder.to_bytes())
    for kind in (model, family):
        decoder = AnsDecoder(streams[0])
        assert decoder.decode(kind, len(symbols)).tolist() == symbols.tolist()
        decoder.finish()
    assert streams[0] == streams[1]


def test_golden_streams() -> None:
    encoder = AnsEncoder()
    encoder.encode_reverse(np.array([0, 1, 2, 1, 0]), Categorical([3, 5, FULL - 8]))
    assert encoder.to_words().tolist() == [2885681152, 43690]
    assert encoder.to_bytes().hex() == "000000acaaaa"
    assert encoder.bit_length == 48


def test_every_length_of_bytes_splits_into_words_and_state() -> None:
    model = Categorical(np.full(256, FULL // 256))
    for length in range(40):
        data = bytes(range(1, length + 1))
        reference = Rans.from_bytes(data)
        assert reference.to_bytes() == data
        assert reference.state >= 1 << 32 or not reference.words
        assert bytes_to_words(data).tolist() == reference.to_words()
        assert words_to_bytes(bytes_to_words(data)) == data
        symbols = AnsDecoder(data).decode(model, 60)
        assert symbols.tolist() == [reference.pop(range(0, FULL + 1, FULL // 256)) for _ in range(60)]


@given(st.data(), st.binary(max_size=60).filter(lambda data: not data.endswith(b"\0")), st.integers(0, 70))
def test_decoding_any_bytes_and_encoding_again_gives_the_bytes(
    source: st.DataObject, data: bytes, count: int
) -> None:
    # rANS is a bijection: a sequence of symbols above a rest of the stream has one form
    model = Categorical(source.draw(tables(max_alphabet=300)))
    decoder = AnsDecoder(data)
    symbols = decoder.decode(model, count)
    encoder = AnsEncoder(decoder.to_bytes())
    encoder.encode_reverse(symbols, model)
    assert encoder.to_bytes() == data


@pytest.mark.parametrize("exponent", [0, 1, 3, 10])
def test_code_length_is_ideal(exponent: int) -> None:
    rng = np.random.default_rng(exponent)
    model = Categorical.from_counts((rng.random(300) ** exponent * 10**9).astype(np.int64))
    probabilities = np.diff(model.cdf()) / FULL
    symbols = rng.choice(300, 20000, p=probabilities)
    encoder = AnsEncoder()
    encoder.encode_reverse(symbols, model)
    ideal = model.information(symbols) / 8
    assert ideal - 1 <= len(encoder.to_bytes()) <= ideal * 1.001 + 4
    assert (encoder.bit_length + 7) // 8 == len(encoder.to_bytes())


def test_batches_beyond_the_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    tables = rng.integers(1, 50, (1000, 7))
    tables[:, 6] = 512 - tables[:, :6].sum(axis=1)
    symbols = rng.integers(0, 7, 1000)
    family, model = Categorical(tables, precision=9), Categorical(tables[0], precision=9)
    encoder = AnsEncoder()
    encoder.encode_reverse(symbols, family)
    encoder.encode_reverse(symbols, model)
    monkeypatch.setattr(ans_module, "_CHUNK", 32)
    chunked = AnsEncoder()
    chunked.encode_reverse(symbols, family)
    chunked.encode_reverse(symbols, model)
    assert chunked.to_bytes() == encoder.to_bytes()
    decoder = AnsDecoder(chunked.to_bytes())
    assert np.array_equal(decoder.decode(model, 1000), symbols)
    assert np.array_equal(decoder.decode(family), symbols)
    decoder.finish()


def test_an_alphabet_of_one_costs_nothing() -> None:
    model, family = Categorical([FULL], low=42), Categorical([[2], [2]], low=-1, precision=1)
    encoder = AnsEncoder()
    encoder.encode_reverse(np.array([1, 0, 1]), Categorical([1, 3], precision=2))
    before = encoder.to_bytes()
    encoder.encode_reverse(np.full(10, 42), model)
    encoder.encode_reverse(np.full(2, -1), family)
    assert encoder.to_bytes() == before
    decoder = AnsDecoder(before)
    assert decoder.decode(family).tolist() == [-1, -1]
    assert decoder.decode(model, 10).tolist() == [42] * 10
    assert decoder.to_bytes() == before


def test_symbols_of_any_integer_dtype_give_the_same_bytes() -> None:
    model = Categorical([1, 2, 5], precision=3)
    streams = set()
    for dtype in "BbHhIiQq":
        encoder = AnsEncoder()
        encoder.encode_reverse(np.array([2, 0, 1, 2, 2]).astype(dtype), model)
        encoder.encode_reverse(np.array([2, 0, 1, 2, 2, 9]).astype(dtype)[4::-2], model)  # strided
        streams.add(encoder.to_bytes())
    assert len(streams) == 1


def test_empty_streams() -> None:
    encoder = AnsEncoder()
    assert encoder.is_empty
    encoder.encode_reverse(np.zeros(0, dtype=np.int32), Categorical([1, 1], precision=1))
    assert encoder.to_bytes() == b""
    decoder = AnsDecoder(b"")
    assert decoder.decode(Categorical([1, 1], precision=1), 0).tolist() == []
    decoder.finish()


def test_left_over_words_are_found() -> None:
    model = Categorical([1, 3], precision=2)
    encoder = AnsEncoder()
    encoder.encode_reverse(np.ones(500, dtype=np.int32), model)
    decoder = AnsDecoder(encoder.to_bytes())
    decoder.decode(model, 300)
    assert not decoder.is_empty
    with pytest.raises(EntropyCodingError, match=r"\d+ bits are left over"):
        decoder.finish()
    decoder.decode(model, 200)
    decoder.finish()


MODEL = Categorical([1, 3], precision=2)
FAMILY = Categorical([[1, 3], [2, 2]], precision=2)


@pytest.mark.parametrize(
    ("symbols", "model", "message"),
    [
        (np.array([0, 2]), MODEL, "symbol 2 at position 1"),
        (np.array([-1]), MODEL, "symbol -1"),
        (np.array([0.0]), MODEL, "integers"),
        (np.array([True]), MODEL, "integers"),
        (np.array([[0]]), MODEL, "rank 1"),
        (np.array(0), MODEL, "rank 1"),
        (np.array([0, 1, 1]), FAMILY, "3 symbols for a family of 2"),
        (np.array([0, 2]), FAMILY, "symbol 2 at position 1"),
        (np.array([1]), Categorical([4], precision=2), "symbol 1 at position 0"),
        (np.array([1]), [1, 3], "expected a model"),
    ],
)
def test_a_refused_batch_leaves_the_encoder_as_it_was(symbols: Any, model: Any, message: str) -> None:
    encoder = AnsEncoder()
    encoder.encode_reverse(np.array([1, 0, 0, 1]), MODEL)
    before = encoder.to_bytes()
    with pytest.raises(EntropyCodingError, match=message):
        encoder.encode_reverse(symbols, model)
    assert encoder.to_bytes() == before


@pytest.mark.parametrize(
    ("model", "count", "message"),
    [
        (MODEL, None, "give the number of symbols"),
        (MODEL, -1, "count is -1"),
        (MODEL, 2**31, "count is 2147483648"),
        (MODEL, 1.0, "count must be an integer"),
        (FAMILY, 3, "3 symbols asked of a family of 2 tables"),
        ("model", 3, "expected a model"),
    ],
)
def test_a_refused_decode_leaves_the_decoder_as_it_was(model: Any, count: Any, message: str) -> None:
    decoder = AnsDecoder(b"abc")
    with pytest.raises(EntropyCodingError, match=message):
        decoder.decode(model, count)
    assert decoder.to_bytes() == b"abc"


@pytest.mark.parametrize("data", [b"\0", b"abc\0", b"12345678\0", "text", None, [1, 2]])
def test_bytes_that_are_not_canonical_are_refused(data: Any) -> None:
    with pytest.raises(EntropyCodingError, match="coder byte"):
        AnsDecoder(data)


@pytest.mark.parametrize(
    "words", [np.array([1, 0], dtype=np.uint32), np.array([1]), np.array([[1]], dtype=np.uint32), [1]]
)
def test_words_that_are_not_canonical_are_refused(words: Any) -> None:
    with pytest.raises(EntropyCodingError, match="coder word"):
        AnsDecoder.from_words(words)


class _Rude:
    """Stands for constriction's coder and its PanicException, which is no Exception."""

    def encode_reverse(self, *arguments: object) -> None:
        raise BaseException("panicked")

    decode = encode_reverse


@pytest.mark.parametrize("model", [MODEL, FAMILY])
def test_an_error_inside_the_coder_retires_it(model: Categorical) -> None:
    encoder, decoder = AnsEncoder(), AnsDecoder(b"abc")
    encoder._coder = decoder._coder = _Rude()
    with pytest.raises(EntropyCodingError, match="refused a batch: panicked"):
        encoder.encode_reverse(np.array([0, 1]), model)
    with pytest.raises(EntropyCodingError, match="refused a batch: panicked"):
        decoder.decode(model, 2)
    for use in (
        encoder.to_bytes,
        encoder.to_words,
        lambda: encoder.encode_reverse(np.array([0, 1]), model),
        lambda: encoder.bit_length,
        lambda: encoder.is_empty,
        decoder.finish,
        lambda: decoder.decode(model, 2),
    ):
        with pytest.raises(EntropyCodingError, match="start a new one"):
            use()


def test_an_interrupt_passes_through_and_retires_the_coder() -> None:
    class Interrupted:
        def encode_reverse(self, *arguments: object) -> None:
            raise KeyboardInterrupt

    encoder = AnsEncoder()
    encoder._coder = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        encoder.encode_reverse(np.array([0]), MODEL)
    with pytest.raises(EntropyCodingError, match="start a new one"):
        encoder.to_bytes()


def test_mixed_models_in_one_stream() -> None:
    laplace = DiscretisedLaplace(np.array([0, 70000]), np.array([65536]), low=-5, high=5)  # one scale for two
    encoder = AnsEncoder()
    encoder.encode_reverse(np.array([1, 0]), MODEL)
    encoder.encode_reverse(np.array([-5, 2]), laplace)
    decoder = AnsDecoder(encoder.to_bytes())
    assert decoder.decode(laplace).tolist() == [-5, 2]
    assert decoder.decode(MODEL, 2).tolist() == [1, 0]
    decoder.finish()
