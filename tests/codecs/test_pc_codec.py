import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import random_signals, small_circuit

import neuralcodec
from neuralcodec.circuits.circuit import Circuit
from neuralcodec.circuits.parameters import Levels
from neuralcodec.circuits.structure import TreeStructure
from neuralcodec.codec import Fields
from neuralcodec.codecs.pc import PcCodec
from neuralcodec.container.signal import SignalType, sample_string
from neuralcodec.errors import CorruptFile, EntropyCodingError, InvalidModel, UnsupportedInput

CIRCUIT = small_circuit((4, 3), alphabet=[2] * 6 + [256] * 6)
CODEC = PcCodec(CIRCUIT)
KIND = SignalType((4, 3), np.dtype("uint8"))


def test_contract() -> None:
    assert (CODEC.name, CODEC.family, CODEC.lossless, CODEC.quality, CODEC.masks) == (
        "pc",
        "circuit",
        True,
        None,
        True,
    )
    assert CODEC.signal == KIND
    assert CODEC.model is CIRCUIT
    assert CODEC.takes == "4 x 3 uint8 signals with values 0 to 255 or fewer at some places"
    assert PcCodec(small_circuit((5,))).takes == "5 uint8 signals with values 0 to 255"


def test_artifacts_come_back_as_circuits() -> None:
    assert PcCodec.load(CIRCUIT.to_artifact()).identity == CIRCUIT.identity


@pytest.mark.parametrize(
    ("signal", "reason"),
    [
        (np.zeros((3, 4), np.uint8), "it is 3 x 4 uint8"),
        (np.zeros((4, 3, 2), np.uint8), "it is 4 x 3 x 2 uint8"),
        (np.zeros((4, 3)), "dtype is float64"),
        (np.array([[0] * 3] * 3 + [[0, 256, 0]]), r"sample at (3, 1) is 256, but the model takes 0 to 255"),
        (np.array([[0, 2, 0]] + [[0] * 3] * 3), "sample at (0, 1) is 2, but the model takes 0 to 1 there"),
        (np.array([[0] * 3] * 3 + [[0, 0, -1]], np.int8), "sample at (3, 2) is -1"),
        (np.full((4, 3), 2**64 - 1, np.uint64), "is 18446744073709551615, but"),
    ],
)
def test_other_signals_are_refused_with_the_reason(signal: np.ndarray, reason: str) -> None:
    assert reason in str(CODEC.accepts(signal))


@pytest.mark.parametrize(
    "dtype", ["bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"]
)
@pytest.mark.parametrize("shape", [(4, 3), (1, 4, 3), (4, 1, 3, 1)])
def test_every_integer_dtype_and_axes_of_one_are_accepted(dtype: str, shape: tuple[int, ...]) -> None:
    signal = np.arange(12).reshape(shape).astype(dtype) % 2 == 1
    signal = signal.astype(dtype)
    assert CODEC.accepts(signal) is None
    decoded = CODEC.decode(CODEC.encode(signal), Fields(SignalType(shape, np.dtype(dtype))))
    assert (decoded.dtype, decoded.shape) == (signal.dtype, shape)
    assert np.array_equal(decoded, signal)


def test_the_first_bad_signal_of_many_is_named() -> None:
    signals = np.zeros((5, 4, 3), np.int64)
    assert CODEC.accepts_many(signals) is None
    assert CODEC.accepts_many(signals[:0]) is None
    signals[3, 0, 0] = 7
    assert CODEC.accepts_many(signals) == (3, "its sample at (0, 0) is 7, but the model takes 0 to 1 there")


@given(st.integers(0, 9), st.integers(1, 4), st.booleans(), st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_many_come_back_in_groups(n: int, group: int, holes: bool, seed: int) -> None:
    signals = random_signals(CIRCUIT, n, seed)
    missing = np.random.default_rng(seed).random(signals.shape) < 0.3 if holes else None
    if missing is not None:
        signals[missing] = 0
    groups = CODEC.encode_many(signals, group=group, missing=missing, verify=True, threads=1)
    assert len(groups) == -(-n // group)
    decoded = CODEC.decode_many(groups, Fields(KIND, missing), n, group=group, threads=2)
    assert np.array_equal(decoded, signals)
    assert bytes(CODEC.checked(signals, groups, group)) == bytes(sample_string(signals))


def test_one_signal_is_a_group_of_one() -> None:
    signal = random_signals(CIRCUIT, 1)[0]
    missing = np.arange(12).reshape(4, 3) % 3 == 0
    signal[missing] = 0
    payload = CODEC.encode(signal, missing=missing, verify=True)
    assert [payload] == CODEC.encode_many(signal[None], group=1, missing=missing[None])
    assert np.array_equal(CODEC.decode(payload, Fields(KIND, missing)), signal)
    assert len(payload) < len(CODEC.encode(signal))


def test_values_that_the_dtype_cannot_hold_are_refused() -> None:
    signal = np.where(CIRCUIT.structure.alphabet.reshape(4, 3) > 2, 200, 1).astype(np.uint8)
    payload = CODEC.encode(signal)
    for dtype in ("int8", "bool"):
        with pytest.raises(CorruptFile, match=f"200, which {dtype} cannot hold"):
            CODEC.decode(payload, Fields(SignalType((4, 3), np.dtype(dtype))))


def test_another_shape_is_refused_when_decoding() -> None:
    with pytest.raises(CorruptFile, match="says 3 x 4 uint8, but the model's signals are 4 x 3 uint8"):
        CODEC.decode(CODEC.encode(np.zeros((4, 3), int)), Fields(SignalType((3, 4), np.dtype("uint8"))))


def test_a_payload_with_bytes_left_is_refused() -> None:
    payload = CODEC.encode(random_signals(CIRCUIT, 1)[0])
    with pytest.raises(CorruptFile, match="payload"):
        CODEC.decode(b"\1" * 8 + payload, Fields(KIND))


def test_verification_notices_a_coder_that_errs(monkeypatch: pytest.MonkeyPatch) -> None:
    circuit = small_circuit((4, 3))
    codec = PcCodec(circuit)
    signal = random_signals(circuit, 1)[0]
    honest = codec.encode(signal)
    monkeypatch.setattr(type(circuit.kernel), "encode", lambda *_: [codec_bytes])
    other = signal.copy()
    other[0, 0] ^= 1
    codec_bytes = honest
    with pytest.raises(EntropyCodingError, match="verification failed"):
        codec.encode(other, verify=True)
    assert codec.encode(other) == honest


def test_lossless_codecs_have_neither_quality_nor_presets() -> None:
    for options in ({"quality": 1.0}, {"preset": "fast"}):
        with pytest.raises(UnsupportedInput, match="lossless"):
            CODEC.encode(np.zeros((4, 3), int), **options)


def test_artifacts_of_another_family_are_refused() -> None:
    from neuralcodec.artifact import Artifact

    with pytest.raises(InvalidModel, match="'demo'"):
        PcCodec.load(Artifact("demo", {}, {}))


def deep_circuit(nodes: int, states: int) -> Circuit:
    """A chain of silent nodes whose end owns the only sample; a second child of the root keeps all messages held."""
    parent = np.r_[np.arange(-1, nodes - 2), 0]
    variable = np.full(nodes, -1)
    variable[-1] = 0
    structure = TreeStructure(
        shape=(1,),
        dtype=np.dtype(np.uint8),
        parent=parent,
        variable=variable,
        states=np.full(nodes, states),
        alphabet=np.array([2]),
        emission=np.where(variable < 0, -1, 0),
        basis_size=(),
    ).validate()
    sizes = structure.sizes.values()
    return Circuit(structure, Levels(*(np.ones(size, np.uint16) for size in sizes)))


def test_groups_shrink_where_a_deep_model_would_hold_many_messages() -> None:
    deep = deep_circuit(3000, 40)
    xs = np.arange(200, dtype=np.uint8).reshape(-1, 1) % 2
    data = neuralcodec.compress_many(xs, deep)
    with neuralcodec.open_archive(data, deep) as archive:
        assert np.array_equal(archive[:], xs)
    assert neuralcodec.read_info(data).group == 32
    codec = PcCodec(deep)
    fields = Fields(SignalType((1,), np.dtype(np.uint8)))
    groups = deep.kernel.encode(xs.astype(np.uint16), None, 128)
    with pytest.raises(CorruptFile, match="32 may at most"):
        codec.decode_many(groups, fields, len(xs), group=128)
