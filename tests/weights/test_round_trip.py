"""State dicts through the codec: what is exact comes back exact, what is lossy within its bounds."""

import io
from typing import Any

import numpy as np
import pytest
from edge_circuits import kernel_paths
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from neuralcodec.errors import UnsupportedInput
from neuralcodec.weights import Target, WeightsReader, compress_weights, decompress_weights, encode_weights
from neuralcodec.weights.sources import mapping_source

State = dict[str, NDArray[Any]]
DTYPES = ("u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "?", "f2", "f4", "f8", "c8", "c16")


def network(seed: int = 0, width: int = 24) -> State:
    rng = np.random.default_rng(seed)
    taps = rng.normal(size=(width, 16, 1, 1)) + 0.4 * rng.normal(size=(width, 16, 3, 3))
    return {
        "conv.weight": taps.astype(np.float32),
        "conv.bias": rng.normal(size=width).astype(np.float32),
        "bn.running_var": rng.gamma(3.0, size=width).astype(np.float32),
        "bn.steps": np.array(1234, np.int64),
        "fc.weight": rng.laplace(size=(40, 150)).astype(np.float32),
        "mask": rng.random((5, 7)) < 0.3,
    }


def identical(a: State, b: State) -> None:
    assert list(a) == list(b)
    for name, array in a.items():
        assert b[name].dtype == array.dtype, name
        assert b[name].shape == array.shape, name
        assert b[name].tobytes() == array.tobytes(), name


def ratio(state: State, back: State) -> float:
    pairs = [(a, back[n]) for n, a in state.items() if a.dtype.kind == "f" and a.ndim >= 2]
    noise = sum(((a.astype(float) - b) ** 2).sum() for a, b in pairs)
    return float(10 * np.log10(sum((a.astype(float) ** 2).sum() for a, _ in pairs) / noise))


def test_lossless_is_exact() -> None:
    identical(network(), decompress_weights(compress_weights(network())))


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_any_arrays_come_back(data: st.DataObject) -> None:
    shapes = hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=7)
    state = {
        f"tensor {i}": data.draw(hnp.arrays(np.dtype(data.draw(st.sampled_from(DTYPES))), shapes))
        for i in range(data.draw(st.integers(0, 4)))
    }
    identical(state, decompress_weights(compress_weights(state)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_never_much_larger_than_raw(dtype: str) -> None:
    noise = np.random.default_rng(3).integers(0, 256, 64_000, dtype=np.uint8)
    array = (noise > 127) if dtype == "?" else noise.view(dtype)
    data = compress_weights({"x": array.reshape(-1, 16)})
    assert len(data) <= 1.01 * array.nbytes
    identical({"x": array.reshape(-1, 16)}, decompress_weights(data))


@pytest.mark.parametrize("states", [1, 4, 8, 16, 32, 64, 128, 256])
@pytest.mark.parametrize("sqnr", [3.0, 12.0, 31.3])
def test_ratio_asked_for_is_reached(sqnr: float, states: int) -> None:
    state = network()
    back = decompress_weights(compress_weights(state, sqnr=sqnr, states=states))
    assert sqnr <= ratio(state, back) <= sqnr + 0.1
    for name in ("conv.bias", "bn.running_var"):
        assert np.linalg.norm(back[name] - state[name]) <= 1e-4 * np.linalg.norm(state[name])
    assert back["bn.steps"] == 1234
    assert np.array_equal(back["mask"], state["mask"])


@pytest.mark.parametrize("bits", [2.5, 4.5, 9.0])
def test_bits_asked_for_are_not_exceeded(bits: float) -> None:
    state = network(width=200)
    data = compress_weights(state, bits=bits)
    spent = 8 * len(data) / sum(array.size for array in state.values())
    assert 0.99 * bits <= spent <= bits


def test_report_tells_what_the_file_holds() -> None:
    state = network()
    file = io.BytesIO()
    report = encode_weights(mapping_source(state), file, Target(sqnr=25))
    back = decompress_weights(file.getvalue())
    assert report.size == len(file.getvalue())
    assert report.sqnr == pytest.approx(ratio(state, back), abs=1e-4)
    worst = max(
        np.linalg.norm(back[n] - state[n]) / np.linalg.norm(state[n]) for n in ("conv.bias", "bn.running_var")
    )
    assert report.vector_error == pytest.approx(worst, rel=1e-3)
    with WeightsReader(file.getvalue()) as reader:
        assert reader.index.sqnr == pytest.approx(report.sqnr, rel=1e-6)


def test_one_tensor_is_read_alone() -> None:
    state = network() | {"large": np.random.default_rng(1).normal(size=(300, 700)).astype(np.float32)}
    data = compress_weights(state)
    assert list(decompress_weights(data, ["fc.weight"])) == ["fc.weight"]
    large = decompress_weights(data, ["large"])["large"]
    assert np.array_equal(large, state["large"])
    with pytest.raises(UnsupportedInput, match=r"no tensor is called 'fc'.*'fc.weight'"):
        decompress_weights(data, ["fc"])


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_bytes_do_not_depend_on_threads(threads: int) -> None:
    state = network() | {"large": np.random.default_rng(1).normal(size=(300, 700)).astype(np.float32)}
    assert compress_weights(state, sqnr=20, threads=threads) == compress_weights(state, sqnr=20, threads=3)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nonfinite_values(value: float) -> None:
    state = network()
    state["fc.weight"][3, 4] = value
    identical(state, decompress_weights(compress_weights(state)))
    with pytest.raises(UnsupportedInput, match=r"'fc.weight' holds NaN or infinity"):
        compress_weights(state, sqnr=20)
    back = decompress_weights(compress_weights(state, sqnr=20, keep_nonfinite=True))
    assert back["fc.weight"].tobytes() == state["fc.weight"].tobytes()
    assert not np.array_equal(back["conv.weight"], state["conv.weight"])


@pytest.mark.parametrize("states", [4, 8, 16, 32, 64, 128, 256])
@pytest.mark.parametrize("sqnr", [3, 30])
def test_bytes_do_not_depend_on_the_instruction_set(
    states: int, sqnr: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = set()
    for path in kernel_paths():
        monkeypatch.setenv("NEURALCODEC_SIMD", path)
        files.add(compress_weights(network(), sqnr=sqnr, states=states))
    assert len(files) == 1
