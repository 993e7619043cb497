"""Safetensors files: read as the library reads them, refused where it refuses them."""

import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from neuralcodec.container.files import BufferSource
from neuralcodec.errors import NeuralCodecError, UnsupportedInput
from neuralcodec.weights import WeightsReader, encode_weights
from neuralcodec.weights.safetensors_format import MAX_HEADER, read_layout
from neuralcodec.weights.sinks import write_tensors
from neuralcodec.weights.sources import safetensors_source

ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


def file_of(header: Any, data: bytes = bytes(8), size: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if size is None else size) + text + data


def through(data: bytes, **options: Any) -> bytes:
    """Code a safetensors file, decode it, and return the file that is written."""
    coded, out = io.BytesIO(), io.BytesIO()
    encode_weights(safetensors_source(BufferSource(data)), coded, **options)
    with WeightsReader(coded.getvalue()) as reader:
        items = ((spec, one) for spec, one, _ in reader.tensors())
        write_tensors(out, "safetensors", reader.index.specs, items, reader.index)
    return out.getvalue()


def test_files_of_the_library_come_back_byte_for_byte() -> None:
    rng = np.random.default_rng(0)
    tensors = {f"层.{i}": rng.normal(size=(i, 3)).astype(("f4", "f2", "f8")[i % 3]) for i in range(6)}
    for metadata in (None, {}, {"format": "pt", "Ä": 'quoted "text"\n'}):
        data = save(tensors, metadata)
        assert through(data) == data


@pytest.mark.parametrize("dtype", ["BF16", "F8_E4M3", "F8_E5M2", "BOOL", "C64", "U64"])
def test_dtypes_that_numpy_may_lack(dtype: str) -> None:
    width = {"BF16": 2, "C64": 8, "U64": 8}.get(dtype, 1)
    raw = np.random.default_rng(1).integers(0, 2, 24 * width, np.uint8).tobytes()
    data = file_of({"w": {"dtype": dtype, "shape": [4, 6], "data_offsets": [0, len(raw)]}}, raw)
    assert through(data) == data  # with a header that is spaced in another way than the usual one


def test_order_of_the_header_is_kept() -> None:
    header = {
        "b": {"dtype": "U8", "shape": [4], "data_offsets": [4, 8]},
        "__metadata__": {"k": "v"},
        "a": {"dtype": "U8", "shape": [2, 2], "data_offsets": [0, 4]},
    }
    data = file_of(header, bytes(range(8)))
    assert through(data) == data


HOSTILE: dict[str, bytes] = {
    "empty": b"",
    "seven bytes": bytes(7),
    "no header": struct.pack("<Q", 0),
    "length of 2^64 - 1": b"\xff" * 8 + b"{}",
    "length beyond the limit": struct.pack("<Q", MAX_HEADER + 1) + b"{}",
    "length beyond the file": file_of({"a": ENTRY}, size=10_000),
    "not JSON": file_of(b"{nonsense"),
    "not UTF-8": file_of(b'{"\xff": {}}'),
    "a list": file_of(b"[]"),
    "deep nesting": file_of(b"{" + b'"a":{' * 5000 + b"}" * 5001),
    "twice the same name": file_of(b'{"a": %b, "a": %b}' % ((json.dumps(ENTRY).encode(),) * 2)),
    "no offsets": file_of({"a": {"dtype": "F32", "shape": [2]}}),
    "offsets descend": file_of({"a": {**ENTRY, "data_offsets": [8, 0]}}),
    "offsets of text": file_of({"a": {**ENTRY, "data_offsets": ["0", "8"]}}),
    "negative offsets": file_of({"a": {**ENTRY, "data_offsets": [-8, 0]}}),
    "negative shape": file_of({"a": {**ENTRY, "shape": [-2]}}),
    "shape too large": file_of({"a": {**ENTRY, "shape": [2**40, 2**40]}}),
    "shape and offsets differ": file_of({"a": {**ENTRY, "shape": [3]}}),
    "hole": file_of({"a": {**ENTRY, "data_offsets": [8, 16]}}, bytes(16)),
    "overlap": file_of({"a": ENTRY, "b": {**ENTRY, "data_offsets": [4, 12]}}, bytes(12)),
    "data cut off": file_of({"a": ENTRY}, bytes(7)),
    "data left over": file_of({"a": ENTRY}, bytes(9)),
    "unknown dtype": file_of({"a": {**ENTRY, "dtype": "F13"}}),
    "metadata of numbers": file_of({"__metadata__": {"a": 1}, "a": ENTRY}),
    "NaN": file_of(b'{"a": NaN}'),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused(name: str) -> None:
    with pytest.raises(NeuralCodecError):
        read_layout(BufferSource(HOSTILE[name]))
    if name != "twice the same name":  # of which the library takes the last
        with pytest.raises(safetensors.SafetensorError):
            safetensors.deserialize(HOSTILE[name])


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_damaged_headers_raise_nothing_foreign(data: st.DataObject) -> None:
    file = bytearray(file_of({"a": ENTRY, "b": {**ENTRY, "data_offsets": [8, 16]}}, bytes(16)))
    for _ in range(data.draw(st.integers(1, 4))):
        file[data.draw(st.integers(0, len(file) - 1))] = data.draw(st.integers(0, 255))
    try:
        layout = read_layout(BufferSource(bytes(file)))
    except NeuralCodecError:
        return
    assert layout.offsets[-1] == len(file)


def test_npz_and_torch_files(tmp_path: Path) -> None:
    from neuralcodec.weights import decompress_weights, open_weights

    state = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b c": np.array(3, np.int8)}
    np.savez(tmp_path / "w.npz", **state)
    with open_weights(tmp_path / "w.npz") as source:
        coded = io.BytesIO()
        encode_weights(source, coded)
    back = decompress_weights(coded.getvalue())
    assert {name: array.tolist() for name, array in back.items()} == {"a": state["a"].tolist(), "b c": 3}
    np.savez(tmp_path / "o.npz", a=np.array([{}], object))
    with pytest.raises(NeuralCodecError, match=r"o\.npz"), open_weights(tmp_path / "o.npz"):
        pass


def test_torch_state_dicts(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from neuralcodec.weights import compress_weights, decompress_weights

    base = torch.randn(6, 8)
    state = {
        "transposed": base.T,
        "shared": base[1:3],
        "brain": base.to(torch.bfloat16),
        "eight": base.to(torch.float8_e4m3fn),
        "complex": torch.complex(base, base).conj(),
        "scalar": torch.tensor(3),
        "empty": torch.zeros(0, 4),
        "parameter": torch.nn.Parameter(base[:, ::2]),
    }
    torch.save(state, tmp_path / "w.pt")
    coded = io.BytesIO()
    encode_weights(tmp_path / "w.pt", coded)
    back = decompress_weights(coded.getvalue(), framework="torch")
    assert list(back) == list(state)
    for name, tensor in state.items():
        assert back[name].dtype == tensor.dtype
        assert back[name].shape == tensor.shape
        assert torch.equal(
            back[name].reshape(-1).view(torch.uint8),
            tensor.detach().resolve_conj().contiguous().reshape(-1).view(torch.uint8),
        )
    assert compress_weights(state) != b""
    with pytest.raises(UnsupportedInput, match=r"'epoch' is a int, not a tensor"):
        compress_weights({"epoch": 3})
    with pytest.raises(UnsupportedInput, match="quantised or sparse"):
        compress_weights({"s": base.to_sparse()})
    torch.save(torch.nn.Linear(2, 2), tmp_path / "module.pt")
    with pytest.raises(UnsupportedInput, match="weights_only"):
        encode_weights(tmp_path / "module.pt", io.BytesIO())
