"""Indices through the shared coder, and what a fitted model saves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entropy.relative.problems import problem
from neuralcodec.entropy import AnsDecoder, AnsEncoder
from neuralcodec.entropy.relative import IndexModel
from neuralcodec.entropy.relative.index import TABLE_PRECISION, token_count
from neuralcodec.errors import EntropyCodingError


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_round_trip(data: st.DataObject) -> None:
    bits = data.draw(st.integers(1, 20))
    index = st.integers(0, 2**bits - 1) | st.integers(0, bits - 1).map(lambda k: 2**k)
    indices = data.draw(st.lists(index, max_size=50))
    training = data.draw(st.lists(index, max_size=50))
    model = IndexModel.fit(np.array(training, np.int64), bits=bits)
    encoder = AnsEncoder()
    model.encode(encoder, np.array(indices, np.uint32))
    data_bytes = encoder.to_bytes()
    decoder = AnsDecoder(data_bytes)
    assert model.decode(decoder, len(indices)).tolist() == indices
    decoder.finish()
    assert 8 * len(data_bytes) <= model.information(np.array(indices, np.int64)) + 32 + 24
    assert int(model.frequencies.sum()) == 1 << TABLE_PRECISION
    assert int(model.frequencies.min()) >= 1


@pytest.mark.parametrize("bits", range(1, 21))
def test_the_uniform_model_costs_its_bits(bits: int) -> None:
    model = IndexModel.uniform(bits)
    indices = np.unique([0, 1, 2 ** (bits - 1), 2**bits - 1])
    assert [model.information([index]) for index in indices] == [bits] * len(indices)
    assert len(model.frequencies) == token_count(bits)


def test_golden_bytes() -> None:
    """The bytes are part of the format and never change."""
    model = IndexModel.fit(np.arange(0, 65536, 7) ** 2 // 65536, bits=16)
    indices = np.array([0, 1, 2, 3, 4, 5, 15, 16, 4095, 4096, 16383, 16384, 40_000, 65_535], np.uint32)
    encoder = AnsEncoder()
    model.encode(encoder, indices)
    assert encoder.to_bytes().hex() == "00e0ff00506d8267194804ce51dd01713c750033bf1d9e06"


def test_a_fitted_model_saves_bits_of_blocks_it_was_not_fitted_to() -> None:
    """Small divergences need few of the candidates: the index costs little more than the divergence."""
    case = problem(2000, 10, 6.0)
    indices, _ = case.encode(12)
    model = IndexModel.fit(indices[:1000], bits=12)
    held_out = indices[1000:]
    bits = model.information(held_out) / len(held_out)
    assert 6.0 < bits < 9.2
    encoder = AnsEncoder()
    model.encode(encoder, held_out)
    assert 8 * len(encoder.to_bytes()) / len(held_out) == pytest.approx(bits, abs=0.06)


@pytest.mark.parametrize("indices", [[16], [-1], [0.5], [[1]]])
def test_bad_indices_are_refused(indices: list[int]) -> None:
    model = IndexModel.uniform(4)
    encoder = AnsEncoder()
    with pytest.raises(EntropyCodingError):
        model.encode(encoder, indices)
    assert encoder.is_empty
    with pytest.raises(EntropyCodingError):
        IndexModel.fit(indices, bits=4)


@pytest.mark.parametrize("frequencies", [[1 << 20], [1 << 19] * 2, np.full((2, 12), 1), [0.5] * 12])
def test_bad_tables_are_refused(frequencies: list[int]) -> None:
    with pytest.raises(EntropyCodingError):
        IndexModel(frequencies, bits=4)
