"""The codec of representations: files of all kinds decode without torch, and hostile ones get clear errors."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from recombiner.tiny_models import LAYOUTS, SHAPES, random_indices, tiny_model, tiny_signals

import neuralcodec
from neuralcodec.artifact import write_artifact
from neuralcodec.codec import Fields, codec_named, reporting
from neuralcodec.codecs.recombiner import RecombinerCodec
from neuralcodec.container.header import Header
from neuralcodec.container.signal import SignalType
from neuralcodec.container.single import write_single
from neuralcodec.entropy.relative import IndexModel
from neuralcodec.errors import CorruptFile, NeuralCodecError, UnsupportedInput, WrongModel
from neuralcodec.info import read_info
from neuralcodec.recombiner.model import Representation

CASES = [(name, shape) for name in sorted(LAYOUTS) for shape in SHAPES[name]]
cases = pytest.mark.parametrize(("name", "shape"), CASES)


def kind_of(name: str, shape: tuple[int, ...]) -> SignalType:
    return SignalType(shape, tiny_model(name).dtype)


def payload_of(codec: RecombinerCodec, kind: SignalType, n: int = 1, seed: int = 0) -> bytes:
    return codec._pack(random_indices(codec.model, codec._rows(kind), n, seed))


def single_file(name: str, shape: tuple[int, ...]) -> bytes:
    """A file of random indices, made without an encoder."""
    codec, kind = RecombinerCodec(tiny_model(name)), kind_of(name, shape)
    payload = payload_of(codec, kind)
    checked = codec.checked(np.zeros((1, *shape), kind.dtype), [payload], 1)
    header = Header("recombiner", codec.model.identity, None if kind == codec.signal else kind)
    return write_single(header, payload, checked)


@cases
def test_files_decode_without_an_encoder(name: str, shape: tuple[int, ...]) -> None:
    data = single_file(name, shape)
    x = neuralcodec.decompress(data, tiny_model(name))
    assert (x.shape, x.dtype) == (shape, tiny_model(name).dtype)
    assert np.array_equal(x, neuralcodec.decompress(data, tiny_model(name)))
    with pytest.raises(WrongModel):
        neuralcodec.decompress(data, tiny_model(name, seed=4))


def test_decoding_does_not_import_torch(tmp_path: Path) -> None:
    (tmp_path / "x.ncz").write_bytes(single_file("patches", (17, 20, 3)))
    write_artifact(tmp_path / "m.ncm", tiny_model("patches").artifact)
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import neuralcodec\n"
        "x = neuralcodec.decompress(open('x.ncz', 'rb').read(), 'm.ncm')\n"
        "assert x.shape == (17, 20, 3)\n"
        "try:\n    neuralcodec.compress(x, 'm.ncm')\n"
        "except neuralcodec.errors.UnsupportedInput as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "needs torch" in done.stdout
    assert "neuralcodec[torch]" in done.stdout


@cases
def test_groups_and_threads_decode_alike(name: str, shape: tuple[int, ...]) -> None:
    codec, kind = RecombinerCodec(tiny_model(name)), kind_of(name, shape)
    groups = [payload_of(codec, kind, 3, 1), payload_of(codec, kind, 2, 2)]
    both = codec.decode_many(groups, Fields(kind), 5, group=3, threads=2)
    assert np.array_equal(both[:3], codec.decode_many(groups[:1], Fields(kind), 3, group=3, threads=1))
    assert np.array_equal(both[3:], codec.decode_many(groups[1:], Fields(kind), 2, group=3, threads=1))
    for number, indices in enumerate(
        zip(*(p.reshape(3, -1) for p in codec._unpack(groups[0], 3, kind)), strict=True)
    ):
        alone = codec.decode(codec._pack(list(indices)), Fields(kind))
        assert np.array_equal(alone, both[number])


def test_the_checksum_is_of_the_indices() -> None:
    codec, kind = RecombinerCodec(tiny_model("patches")), kind_of("patches", (17, 20, 3))
    indices = [random_indices(codec.model, codec._rows(kind), n, n) for n in (2, 1)]
    groups = [codec._pack(one) for one in indices]
    x = np.zeros((3, 17, 20, 3), np.uint8)
    expected = b"".join(part.astype("<u4").tobytes() for one in indices for part in one)
    assert bytes(codec.checked(x, groups, 2)) == expected


def test_many_patches_are_decoded_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    codec, kind = RecombinerCodec(tiny_model("gray")), kind_of("gray", (8, 12))
    group = payload_of(codec, kind, 9)
    whole = codec.decode_many([group], Fields(kind), 9, group=9)
    monkeypatch.setattr("neuralcodec.codecs.recombiner.DECODED_PATCHES", 2)
    assert np.array_equal(codec.decode_many([group], Fields(kind), 9, group=9), whole)


def test_too_few_bytes_for_a_huge_shape_are_refused_before_memory_is_taken() -> None:
    codec = RecombinerCodec(tiny_model("patches"))
    huge = SignalType((4_000, 3_000, 3), np.dtype(np.uint8))
    payload = payload_of(codec, kind_of("patches", (17, 20, 3)))
    for call in (
        lambda: codec.decode(payload, Fields(huge)),
        lambda: codec.checked(np.broadcast_to(np.uint8(0), (1, *huge.shape)), [payload], 1),
        lambda: codec.decode_many([payload], Fields(SignalType((9, 9, 3), huge.dtype)), 10**7, group=1024),
    ):
        with pytest.raises(CorruptFile, match="too few"):
            call()
    with pytest.raises(CorruptFile, match="too many"):
        codec.decode(payload, Fields(SignalType((2**31, 1, 1), np.dtype(np.uint8))))
    header = Header("recombiner", codec.model.identity, huge)
    with pytest.raises(CorruptFile, match="too few"):
        neuralcodec.decompress(write_single(header, payload, b""), codec.model)


def test_a_signal_of_another_kind_than_the_models_is_refused() -> None:
    codec = RecombinerCodec(tiny_model("gray"))
    payload = payload_of(codec, kind_of("gray", (8, 12)))
    for shape, dtype in (((8, 13), "uint8"), ((8, 12), "int8"), ((8, 12, 2), "uint8")):
        with pytest.raises(CorruptFile, match="signal description"):
            codec.decode(payload, Fields(SignalType(shape, np.dtype(dtype))))


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=60))
def test_any_payload_is_refused_or_decoded(payload: bytes) -> None:
    codec, kind = RecombinerCodec(tiny_model("gray")), kind_of("gray", (8, 12))
    try:
        x = codec.decode(payload, Fields(kind))
    except CorruptFile:
        return
    assert (x.shape, x.dtype) == (kind.shape, kind.dtype)


FILES = {name: single_file(name, SHAPES[name][-1]) for name in ("gray", "patches", "sound")}


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(sorted(FILES)), st.data())
def test_damaged_files_are_refused(name: str, data: st.DataObject) -> None:
    file = bytearray(FILES[name])
    if data.draw(st.booleans()):
        bit = data.draw(st.integers(0, 8 * len(file) - 1))
        file[bit // 8] ^= 1 << bit % 8
    else:
        del file[data.draw(st.integers(0, len(file) - 1)) :]
    with pytest.raises(NeuralCodecError):
        neuralcodec.decompress(bytes(file), tiny_model(name))


def test_fitted_tables_of_indices_decode() -> None:
    indices = np.minimum(np.random.default_rng(0).geometric(0.2, 5000), 63)
    model = tiny_model("gray")
    model = replace(model, frequencies=[IndexModel.fit(indices, bits=model.bits).frequencies])
    model = Representation.from_artifact(model.artifact)
    codec, kind = RecombinerCodec(model), kind_of("gray", (8, 12))
    part = [indices[: model.partitions[0].blocks * 4].astype(np.uint32)]
    payload = codec._pack(part)
    assert len(payload) < part[0].size * model.bits / 8
    assert np.array_equal(codec._unpack(payload, 4, kind)[0], part[0])


def test_facts_on_models_and_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model("patches")
    monkeypatch.setenv("NEURALCODEC_MODELS", str(tmp_path))
    write_artifact(tmp_path / "tiny.ncm", model.artifact)
    info = read_info(tmp_path / "tiny.ncm")
    assert (info.shape, info.codec) == (None, "recombiner")
    blocks = [partition.blocks for partition in model.partitions]
    assert info.details["blocks"] == pytest.approx(blocks[0] + blocks[1] / 4, abs=0.01)
    assert info.details["index bits a patch"] == pytest.approx(
        (blocks[0] + blocks[1] / 4) * model.bits, abs=0.1
    )
    file = read_info(single_file("patches", (17, 20, 3)))
    assert file.model == "tiny"
    assert file.details["patches"] == 9
    assert file.details["blocks"] == 9 * blocks[0] + 4 * blocks[1] + blocks[2]
    write_artifact(tmp_path / "gray.ncm", tiny_model("gray").artifact)
    assert read_info(single_file("gray", (8, 12))).shape == (8, 12)
    entry = next(e for e in neuralcodec.list_models() if e.name == "gray")
    assert entry.signal == SignalType((8, 12), np.dtype(np.uint8))


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (np.zeros((8, 12)), "float64"),
        (np.full((8, 12), np.nan), "float64"),
        (np.zeros((8, 12), np.uint16), "uint16"),
        (np.zeros((8, 12), bool), "bool"),
        (np.zeros((8, 13), np.uint8), "8 x 13"),
        (np.zeros((0, 12), np.uint8), "empty"),
        (np.ma.MaskedArray(np.zeros((8, 12), np.uint8), np.eye(8, 12, dtype=bool)), "missing samples"),
    ],
)
def test_signals_that_do_not_fit_are_refused(x: NDArray[Any], words: str) -> None:
    with pytest.raises(UnsupportedInput, match=words):
        neuralcodec.compress(x, tiny_model("gray"))


def test_what_the_codec_does_not_have_is_refused() -> None:
    x, model = tiny_signals("gray", (8, 12))[0], tiny_model("gray")
    with pytest.raises(
        UnsupportedInput, match="no preset 'best'; its presets are fast, medium, slow, reference"
    ):
        neuralcodec.compress(x, model, preset="best")
    with pytest.raises(UnsupportedInput, match="quality"):
        neuralcodec.compress(x, model, quality=3)
    assert codec_named("recombiner") is RecombinerCodec
    assert RecombinerCodec.slow
    assert not RecombinerCodec.lossless


class TestEncoding:
    """What needs the encoder, and so torch."""

    @pytest.fixture(autouse=True)
    def _quick(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pytest.importorskip("torch", reason="encoding needs torch")
        from neuralcodec.recombiner import batches
        from neuralcodec.recombiner.encoding import Preset

        monkeypatch.setitem(batches.PRESETS, "medium", Preset(steps=10, rounds=2, refining=4))

    @cases
    def test_files_and_archives_come_back_alike(self, name: str, shape: tuple[int, ...]) -> None:
        x, model = tiny_signals(name, shape, 3), tiny_model(name)
        data = neuralcodec.compress(x[0], model, verify=True)
        single = neuralcodec.decompress(data, model)
        assert (single.shape, single.dtype) == (shape, x.dtype)
        archive = neuralcodec.compress_many(x, model, group=2, chunk=2, names=["a", None, "c"], threads=1)
        together = neuralcodec.decompress_many(archive, model=model)
        assert together.shape == x.shape
        with neuralcodec.open_archive(archive, model) as opened:
            assert opened.names == ["a", None, "c"]
            assert np.array_equal(opened[2], together[2])

    def test_the_file_is_the_same_for_all_threads(self) -> None:
        x, model = tiny_signals("patches", (9, 17, 3), 5), tiny_model("patches")
        files = {neuralcodec.compress_many(x, model, group=2, threads=threads) for threads in (1, 2, 3)}
        assert len(files) == 1

    @pytest.mark.parametrize("value", [0, 255])
    def test_constant_images(self, value: int) -> None:
        model = tiny_model("patches")
        for shape in ((1, 1, 3), (1, 1), (1, 30), (30, 1, 3), (8, 8, 3)):
            x = np.full(shape, value, np.uint8)
            assert neuralcodec.decompress(neuralcodec.compress(x, model), model).shape == shape

    def test_encoding_tells_how_far_it_is(self) -> None:
        told: list[float] = []
        with reporting(told.append):
            neuralcodec.compress_many(
                tiny_signals("gray", (8, 12), 5), tiny_model("gray"), chunk=2, threads=1
            )
        assert sum(told) == pytest.approx(5)
        neuralcodec.compress(tiny_signals("gray", (8, 12))[0], tiny_model("gray"))
        assert sum(told) == pytest.approx(5)

    def test_salvage_of_a_damaged_archive(self) -> None:
        x, model = tiny_signals("gray", (8, 12), 6), tiny_model("gray")
        data = bytearray(neuralcodec.compress_many(x, model, group=2, chunk=2, threads=1))
        whole = neuralcodec.decompress_many(bytes(data), model=model)
        with neuralcodec.open_archive(bytes(data), model) as opened:
            at = opened._reader.entries[1].offset + 12
        data[at] ^= 1
        with neuralcodec.open_archive(bytes(data), model, salvage=True) as rescued:
            assert np.array_equal(rescued[:], whole[[0, 1, 4, 5]])
