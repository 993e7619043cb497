import io
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import random_signals, small_circuit

import neuralcodec
from neuralcodec.artifact import write_artifact
from neuralcodec.container.archive import ArchiveWriter
from neuralcodec.container.header import Header
from neuralcodec.container.signal import SignalType
from neuralcodec.container.single import write_single
from neuralcodec.errors import (
    CorruptFile,
    NeuralCodecError,
    NotNeuralCodecFile,
    TruncatedFile,
    UnsupportedInput,
)

CIRCUIT = small_circuit((4, 3))
BITS = small_circuit((2, 2), dtype="bool", alphabet=2)
XS = random_signals(CIRCUIT, 20)
X = XS[0]
DTYPES = ["bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"]


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal in shape, dtype, mask and every sample that is not missing."""
    kinds = isinstance(a, np.ma.MaskedArray) == isinstance(b, np.ma.MaskedArray)
    masks = np.array_equal(np.ma.getmaskarray(a), np.ma.getmaskarray(b))
    return kinds and masks and a.shape == b.shape and a.dtype == b.dtype and bool(np.ma.allequal(a, b))


def holed(xs: np.ndarray, seed: int = 0) -> np.ma.MaskedArray:
    holes = np.random.default_rng(seed).random(xs.shape) < 0.3
    holes.flat[0] = True
    return np.ma.MaskedArray(np.where(holes, 99, xs).astype(xs.dtype), holes)


# ---- one signal


def test_a_signal_of_the_model_s_own_kind_costs_nothing_to_describe() -> None:
    data = neuralcodec.compress(X, CIRCUIT, verify=True)
    bits = -CIRCUIT.log2_likelihood(X.reshape(1, -1))[0]
    assert data[5] == 0x10
    assert len(data) <= bits / 8 + 18
    assert same(neuralcodec.decompress(data, CIRCUIT), X)


@given(
    st.sampled_from(DTYPES),
    st.sampled_from([(4, 3), (1, 4, 3), (4, 3, 1), (4, 1, 3)]),
    st.booleans(),
    st.sampled_from("=<>"),
    st.integers(0, 2**32),
)
@settings(max_examples=60, deadline=None)
def test_dtype_shape_and_mask_come_back(
    dtype: str, shape: tuple[int, ...], holes: bool, order: str, seed: int
) -> None:
    top = 2 if dtype == "bool" else min(np.iinfo(dtype).max, 255) + 1
    x = np.random.default_rng(seed).integers(0, top, shape).astype(np.dtype(dtype).newbyteorder(order))
    given_x = holed(x, seed) if holes else x
    decoded = neuralcodec.decompress(neuralcodec.compress(given_x, CIRCUIT, verify=True), CIRCUIT)
    assert same(decoded, given_x.astype(dtype))
    assert decoded.dtype.isnative
    if holes:
        assert not np.ma.getdata(decoded)[np.ma.getmaskarray(decoded)].any()


def test_layout_does_not_matter() -> None:
    wide = np.repeat(np.repeat(X, 2, 0), 3, 1)
    expected = neuralcodec.compress(X, CIRCUIT)
    for layout in (np.asfortranarray(X), wide[::2, ::3], X[::-1][::-1], np.broadcast_to(X, (4, 3))):
        assert neuralcodec.compress(layout, CIRCUIT) == expected
    assert same(
        neuralcodec.decompress(neuralcodec.compress(X.tolist(), CIRCUIT), CIRCUIT), X.astype(np.int64)
    )
    read_only = X.copy()
    read_only.setflags(write=False)
    assert neuralcodec.compress(read_only, CIRCUIT) == expected


def test_bool_models_take_bools_and_bits() -> None:
    x = np.array([[True, False], [True, True]])
    data = neuralcodec.compress(x, BITS)
    assert data[5] == 0x10
    assert same(neuralcodec.decompress(data, BITS), x)
    assert same(
        neuralcodec.decompress(neuralcodec.compress(x.astype(np.int32), BITS), BITS), x.astype(np.int32)
    )


def test_a_mask_of_nothing_is_like_none() -> None:
    expected = neuralcodec.compress(X, CIRCUIT)
    assert neuralcodec.compress(np.ma.MaskedArray(X), CIRCUIT) == expected
    assert neuralcodec.compress(np.ma.MaskedArray(X, np.zeros(X.shape, bool)), CIRCUIT) == expected


def test_missing_samples_are_not_coded() -> None:
    nothing = np.ma.MaskedArray(X, True)
    data = neuralcodec.compress(nothing, CIRCUIT)
    assert neuralcodec.read_info(data).payload == 0
    assert same(neuralcodec.decompress(data, CIRCUIT), nothing)
    one = np.ma.MaskedArray(X.astype(np.int64), np.arange(12).reshape(4, 3) == 5)
    one.data[1, 2] = -7  # below the mask anything goes
    assert same(neuralcodec.decompress(neuralcodec.compress(one, CIRCUIT), CIRCUIT), one)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (X.astype(float), "dtype float64 cannot be coded without loss"),
        (np.zeros((4, 3), complex), "complex128"),
        (["text"], "<U4"),
        ([[1, 2], [3]], "not an array of numbers"),
        ([None], "object"),
        (7, "single number"),
        ([], "is empty"),
        (np.zeros((0, 3), np.uint8), "is empty"),
        (X[:3], r"small takes 4 x 3 uint8 signals with values 0 to 255; .* it is 3 x 3 uint8.*--resize"),
        (np.full((4, 3), 256), r"sample at \(0, 0\) is 256.*Change the samples"),
        (np.full((4, 3), -1), r"is -1, but the model takes 0 to 255"),
        (X.reshape(4, 3, 1, 1, 1, 1, 1, 1, 1), "1 to 8 dimensions"),
    ],
)
def test_what_cannot_be_coded_is_refused_with_the_remedy(x: object, message: str) -> None:
    with pytest.raises(UnsupportedInput, match=message):
        neuralcodec.compress(x, CIRCUIT)


def test_models_that_take_the_signal_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEURALCODEC_MODELS", str(tmp_path))
    write_artifact(tmp_path / "tiny.ncm", BITS.to_artifact())
    with pytest.raises(UnsupportedInput, match="Models that take 2 x 2 uint8: tiny"):
        neuralcodec.compress(np.zeros((2, 2), np.uint8), CIRCUIT)


def test_sections_are_kept() -> None:
    sections = {"name": "scans/ä.png", "icc_profile": b"profile", "exif": b"Exif"}
    data = neuralcodec.compress(holed(X), CIRCUIT, **sections)
    decoded = neuralcodec.decode_file(data, CIRCUIT)
    assert same(decoded.array, neuralcodec.decompress(data, CIRCUIT))
    assert decoded.info.names == ("ä.png",)
    assert (decoded.info.icc_profile, decoded.info.exif) == (b"profile", b"Exif")
    assert (decoded.info.shape, decoded.info.dtype) == ((4, 3), "uint8")
    assert neuralcodec.read_info(data).sections.keys() == {"ICC profile", "mask", "EXIF", "name"}
    plain = neuralcodec.read_info(neuralcodec.compress(X, CIRCUIT))
    assert (plain.sections, plain.names, plain.shape) == ({}, (), None)


@pytest.mark.parametrize("masked", [False, True])
def test_every_cut_and_flip_of_a_file_gives_an_error_or_the_signal(masked: bool) -> None:
    x = holed(X) if masked else X
    data = neuralcodec.compress(x, CIRCUIT, name="a" if masked else None)
    for size in range(len(data)):
        with pytest.raises(NeuralCodecError):
            neuralcodec.decompress(data[:size], CIRCUIT)
    for place in range(len(data)):
        for value in (1, 2, 0x80, 0xFF):
            bad = bytearray(data)
            bad[place] ^= value
            with pytest.raises(NeuralCodecError):
                assert same(neuralcodec.decompress(bytes(bad), CIRCUIT), x)
    with pytest.raises(CorruptFile):
        neuralcodec.decompress(data + b"\0", CIRCUIT)


def test_a_description_that_the_model_contradicts_is_refused() -> None:
    payload = neuralcodec.compress(X, CIRCUIT)[11:-4]
    for shape, dtype in (((3, 4), "uint8"), ((4, 3), "int8"), ((4, 3), "bool")):
        header = Header("pc", CIRCUIT.identity, SignalType(shape, np.dtype(dtype)))
        data = write_single(header, payload, X.astype(dtype).tobytes())
        with pytest.raises(CorruptFile):
            neuralcodec.decompress(data, CIRCUIT)


def test_archives_and_single_files_are_not_mixed_up() -> None:
    with pytest.raises(UnsupportedInput, match="archive"):
        neuralcodec.decompress(neuralcodec.compress_many(XS, CIRCUIT), CIRCUIT)
    with pytest.raises(UnsupportedInput, match="decompress"):
        neuralcodec.decompress_many(neuralcodec.compress(X, CIRCUIT), model=CIRCUIT)
    with pytest.raises(NotNeuralCodecFile):
        neuralcodec.decompress(b"\x89PNG\r\n\x1a\n")


# ---- many signals


@given(
    st.integers(0, 20),
    st.integers(1, 8),
    st.integers(1, 12),
    st.sampled_from(["uint8", "int64"]),
    st.booleans(),
    st.integers(1, 3),
)
@settings(max_examples=50, deadline=None)
def test_archives_come_back(n: int, group: int, chunk: int, dtype: str, holes: bool, threads: int) -> None:
    xs = XS[:n].astype(dtype)
    xs = holed(xs) if holes and n else xs
    data = neuralcodec.compress_many(xs, CIRCUIT, group=group, chunk=chunk, threads=threads, verify=True)
    assert data == neuralcodec.compress_many(xs, CIRCUIT, group=group, chunk=chunk, threads=1)
    assert n == 0 or data == neuralcodec.compress_many(list(xs), CIRCUIT, group=group, chunk=chunk)
    assert same(neuralcodec.decompress_many(data, model=CIRCUIT), xs)
    with neuralcodec.open_archive(data, CIRCUIT) as archive:
        assert len(archive) == n
        for x, one in zip(xs, archive, strict=True):
            assert np.ma.allequal(x, one)
            assert np.array_equal(np.ma.getmaskarray(x), np.ma.getmaskarray(one))
        assert sum(len(part) for part in archive.chunks()) == n


DATA = neuralcodec.compress_many(holed(XS), CIRCUIT, group=3, chunk=7, names=[f"{i}.png" for i in range(20)])


@pytest.mark.parametrize(
    "index",
    [
        0,
        19,
        -1,
        np.int64(7),
        slice(None),
        slice(3, 15, 4),
        slice(None, None, -1),
        slice(5, 5),
        [7, 2, 2],
        [],
        (1,),
    ],
)
def test_indexing_is_that_of_an_array(index: object) -> None:
    expected = holed(XS)[list(index) if isinstance(index, list | tuple) else index]
    found = neuralcodec.decompress_many(DATA, index, CIRCUIT)
    if not np.ma.getmaskarray(expected).any():
        expected = np.asarray(expected)
    assert same(found, expected)


@pytest.mark.parametrize("index", [20, -21, [3, 20], 1.5, "a", [True] * 20, np.array([0.5])])
def test_what_is_not_there_is_an_index_error(index: object) -> None:
    with pytest.raises(IndexError):
        neuralcodec.decompress_many(DATA, index, CIRCUIT)


def test_one_signal_is_decoded_with_its_group_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[int] = []
    kernel = type(CIRCUIT.kernel)
    decode = kernel.decode
    monkeypatch.setattr(
        kernel,
        "decode",
        lambda self, groups, n, *rest: (decoded.append(n), decode(self, groups, n, *rest))[1],
    )
    with neuralcodec.open_archive(DATA, CIRCUIT) as archive:
        assert decoded == []
        for index, n in ((0, 3), (6, 3), (13, 3), (19, 2), ([0, 5], 6), ([0, 19], 5), ([4, 3], 3)):
            decoded.clear()
            archive[index]
            assert sum(decoded) == n


def test_groups_are_smaller_in_a_small_chunk_and_chunks_hold_whole_groups() -> None:
    for group, chunk, sizes in (
        (3, 7, [6, 6, 6, 2]),
        (9, 4, [4] * 5),
        (128, 1024, [20]),
        (5000, 65_536, [20]),
    ):
        info = neuralcodec.read_info(neuralcodec.compress_many(XS, CIRCUIT, group=group, chunk=chunk))
        assert [entry.n for entry in info.chunks] == sizes
        assert info.group == min(group, chunk, 1024)
    for group, chunk in ((0, 5), (1, 0), (1, 65_537)):
        with pytest.raises(ValueError, match="must be at least 1"):
            neuralcodec.compress_many(XS, CIRCUIT, group=group, chunk=chunk)


def test_names_and_other_metadata_are_kept() -> None:
    from neuralcodec.archives import Metadata

    items = [
        Metadata(f"dir/{i}.png", b"profile" if i % 3 else None, b"exif" if i == 4 else None) for i in range(8)
    ]
    file = io.BytesIO()
    with neuralcodec.create_archive(file, CIRCUIT, group=2, chunk=4) as archive:
        archive.append(XS[:3], items[:3])
        archive.append(XS[3:8], items[3:])
        archive.append(XS[8:10])
        assert len(archive) == 10
    expected = [Metadata(f"{i}.png", item.icc_profile, item.exif) for i, item in enumerate(items)] + [
        Metadata()
    ] * 2
    file.seek(0)
    with neuralcodec.open_archive(file, CIRCUIT) as opened:
        assert opened.metadata() == expected
        assert opened.metadata(3, 5) == expected[3:5]
        assert opened.names == [item.name for item in expected]
        assert same(opened[:], XS[:10])
    info = neuralcodec.read_info(file.getvalue())
    assert info.names == tuple(item.name for item in expected)
    assert (info.kind, info.signals, info.size) == ("archive", 10, len(file.getvalue()))
    with pytest.raises(UnsupportedInput, match="fewer metadata"):
        neuralcodec.compress_many(XS, CIRCUIT, names=["a"])
    with pytest.raises(UnsupportedInput, match="more metadata"):
        neuralcodec.compress_many(XS[:1], CIRCUIT, names=["a", "b"])


def test_a_buffer_may_be_used_again_after_append() -> None:
    file, buffer = io.BytesIO(), np.empty((1, 4, 3), np.uint8)
    with neuralcodec.create_archive(file, CIRCUIT) as archive:
        for x in XS:
            buffer[0] = x
            archive.append(buffer)
    assert same(neuralcodec.decompress_many(file.getvalue(), model=CIRCUIT), XS)


def test_any_iterable_of_signals_will_do() -> None:
    expected = neuralcodec.compress_many(XS, CIRCUIT)
    assert neuralcodec.compress_many((x for x in XS), CIRCUIT) == expected
    assert neuralcodec.compress_many(np.asfortranarray(XS), CIRCUIT) == expected
    mixed = [XS[0], np.ma.MaskedArray(XS[1], XS[1] > 100)]
    decoded = neuralcodec.decompress_many(neuralcodec.compress_many(mixed, CIRCUIT), model=CIRCUIT)
    assert same(decoded, np.ma.stack(mixed))


@pytest.mark.parametrize(
    ("xs", "message"),
    [
        ([XS[0], XS[1][None]], r"signal 1 is 1 x 4 x 3 uint8, but the first is 4 x 3 uint8"),
        ([XS[0], XS[1].astype(int)], "signal 1 is 4 x 3 int64"),
        ([XS[0], XS[1].astype(float)], "signal 1: samples of dtype float64"),
        (np.where(np.arange(20).reshape(20, 1, 1) == 13, 999, XS.astype(int)), "signal 13 does not fit.*999"),
        (np.zeros((3, 0), np.uint8), "empty"),
        (np.zeros(12, np.uint8), "first axis counts signals"),
        (np.uint8(3), "an array"),
        ("abc", "iterable of arrays, not str"),
        (np.zeros((0, 5, 5), np.uint8), "it is 5 x 5 uint8"),
    ],
)
def test_archives_refuse_what_does_not_fit(xs: object, message: str) -> None:
    with pytest.raises(UnsupportedInput, match=message):
        neuralcodec.compress_many(xs, CIRCUIT)


def test_no_signals_make_a_valid_archive() -> None:
    for xs, dtype in (
        ([], "uint8"),
        (XS[:0], "uint8"),
        (XS[:0].astype("int16"), "int16"),
        (iter(()), "uint8"),
    ):
        data = neuralcodec.compress_many(xs, CIRCUIT)
        empty = neuralcodec.decompress_many(data, model=CIRCUIT)
        assert (empty.shape, empty.dtype) == ((0, 4, 3), np.dtype(dtype))


def test_archives_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.ncz"
    with neuralcodec.create_archive(path, CIRCUIT) as archive:
        archive.append(XS)
    assert path.read_bytes() == neuralcodec.compress_many(XS, CIRCUIT)
    assert same(neuralcodec.decompress_many(path, model=CIRCUIT), XS)

    def interrupted() -> None:
        with neuralcodec.create_archive(path, CIRCUIT) as archive:
            archive.append(XS[:3])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [item.name for item in tmp_path.iterdir()] == ["a.ncz"]
    assert len(neuralcodec.decompress_many(path, model=CIRCUIT)) == 20


def test_errors_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "broken.ncz"
    bad = bytearray(DATA)
    bad[neuralcodec.read_info(DATA).chunks[1].offset + 30] ^= 1
    path.write_bytes(bad)
    with neuralcodec.open_archive(path, CIRCUIT) as archive:
        assert archive[0].shape == (4, 3)
        with pytest.raises(CorruptFile, match=r"broken\.ncz: chunk 1: the checksum"):
            archive[8]
    path.write_bytes(DATA[:-20])
    with pytest.raises(TruncatedFile, match=r"broken\.ncz: footer: .*salvage"):
        neuralcodec.open_archive(path, CIRCUIT)


def test_salvage_gives_back_all_but_the_damaged_chunk() -> None:
    bad = bytearray(DATA)
    bad[neuralcodec.read_info(DATA).chunks[1].offset + 30] ^= 1
    with neuralcodec.open_archive(bytes(bad[:-9]), CIRCUIT, salvage=True) as archive:
        assert archive.numbers.tolist() == [*range(6), *range(12, 20)]
        assert same(archive[:], holed(XS)[archive.numbers])
        assert archive.names == [f"{number}.png" for number in archive.numbers]


def test_every_flip_of_an_archive_gives_an_error_or_the_signals() -> None:
    xs = holed(XS[:4])
    data = neuralcodec.compress_many(xs, CIRCUIT, group=2, chunk=2, names=["a", None, None, "b"])
    for place in range(len(data)):
        for value in (1, 0x80):
            bad = bytearray(data)
            bad[place] ^= value
            with pytest.raises(NeuralCodecError):
                assert same(neuralcodec.decompress_many(bytes(bad), model=CIRCUIT), xs)


def test_a_chunk_that_decodes_to_other_samples_is_found() -> None:
    file = io.BytesIO()
    writer = ArchiveWriter(file, Header("pc", CIRCUIT.identity), 2)
    groups = CIRCUIT.kernel.encode(XS[:2].reshape(2, 12).astype(np.uint16), None, 2)
    writer.append(2, groups, {}, b"other samples", 24)
    writer.finish()
    with pytest.raises(CorruptFile, match="chunk 0: the checksum of the decoded samples"):
        neuralcodec.decompress_many(file.getvalue(), model=CIRCUIT)


def test_memory_is_bounded_by_chunks_not_by_the_archive(tmp_path: Path) -> None:
    circuit = small_circuit((8, 8), alphabet=2, states=1)
    path = tmp_path / "a.ncz"
    rng = np.random.default_rng(0)
    signals = rng.integers(0, 2, (2000, 8, 8)).astype(np.int64)
    whole = 10 * signals.nbytes
    tracemalloc.start()
    with neuralcodec.create_archive(path, circuit, chunk=500) as archive:
        for _ in range(10):
            archive.append(signals)
    with neuralcodec.open_archive(path, circuit) as opened:
        assert sum(int(part.sum()) for part in opened.chunks()) == 10 * int(signals.sum())
    assert tracemalloc.get_traced_memory()[1] < whole / 4
    tracemalloc.stop()


def test_a_kilobyte_takes_at_most_sixty_four_megabytes(tmp_path: Path) -> None:
    circuit = small_circuit((64, 64), alphabet=2, states=1)
    write_artifact(tmp_path / "m.ncm", circuit.to_artifact())
    n = 8000  # an empty coder decodes to zeros: 1,000 bytes may stand for that many signals, and no more
    file = io.BytesIO()
    writer = ArchiveWriter(file, Header("pc", circuit.identity), 1024)
    groups = [b""] * 8
    writer.append(n, groups, {}, bytes(n * 4096), n * 4096)
    writer.finish()
    (tmp_path / "bomb.ncz").write_bytes(file.getvalue())
    assert len(file.getvalue()) < 1100
    code = f"""
import neuralcodec, resource
neuralcodec.compress([[0] * 64] * 64, {str(tmp_path / "m.ncm")!r})
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
neuralcodec.decompress_many({str(tmp_path / "bomb.ncz")!r}, model={str(tmp_path / "m.ncm")!r}, threads=1)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 64 * 1024


def test_threads_may_share_an_archive(tmp_path: Path) -> None:
    path = tmp_path / "a.ncz"
    path.write_bytes(DATA)
    expected = holed(XS)
    wrong: list[int] = []
    with neuralcodec.open_archive(path, CIRCUIT) as archive:

        def work(start: int) -> None:
            wrong.extend(i for i in range(start, 20, 4) if not np.ma.allequal(archive[i], expected[i]))

        threads = [threading.Thread(target=work, args=(start,)) for start in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


# ---- what a file says


def test_info_of_each_kind_of_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEURALCODEC_MODELS", str(tmp_path))
    write_artifact(tmp_path / "mine.ncm", CIRCUIT.to_artifact())
    single = neuralcodec.read_info(neuralcodec.compress(X, "mine"))
    assert (single.kind, single.codec, single.model, single.identity) == (
        "single",
        "pc",
        "mine",
        CIRCUIT.identity.hex()[:8],
    )
    assert (single.shape, single.dtype, single.signals) == ((4, 3), "uint8", 1)
    assert single.size == single.payload + 14
    many = neuralcodec.read_info(io.BytesIO(neuralcodec.compress_many(XS.astype("int16"), "mine")))
    assert (many.kind, many.identity, many.dtype, many.signals) == (
        "archive",
        CIRCUIT.identity.hex(),
        "int16",
        20,
    )
    model = neuralcodec.read_info(tmp_path / "mine.ncm")
    assert (model.kind, model.codec, model.model, model.header["name"]) == (
        "model",
        "circuit",
        "mine",
        "small",
    )
    assert (model.shape, model.dtype) == ((4, 3), "uint8")


def test_info_names_the_file_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(b"\x89PNG....")
    with pytest.raises(NotNeuralCodecFile, match=r"x\.png: not a neuralcodec file"):
        neuralcodec.read_info(path)


def test_public_names_are_there() -> None:
    assert set(neuralcodec.__all__) <= set(dir(neuralcodec))
    assert all(getattr(neuralcodec, name) is not None for name in neuralcodec.__all__)
    assert neuralcodec.errors.NeuralCodecError is NeuralCodecError
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        neuralcodec.nothing  # noqa: B018


def test_a_damaged_model_of_the_user_s_does_not_hide_other_faults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    whole = CIRCUIT.to_artifact().to_bytes()
    (folder / "bad.ncm").write_bytes(whole[: len(whole) // 2])
    monkeypatch.setenv("NEURALCODEC_MODELS", str(folder))
    with pytest.raises(UnsupportedInput, match="does not fit"):
        neuralcodec.compress(np.zeros((5, 5), np.uint8), CIRCUIT)


def test_names_of_very_many_signals_are_left_out_of_the_info(monkeypatch: pytest.MonkeyPatch) -> None:
    xs = np.stack([X, X])
    data = neuralcodec.compress_many(xs, CIRCUIT, names=["a", "b"])
    assert neuralcodec.read_info(data).names == ("a", "b")
    monkeypatch.setattr("neuralcodec.info.MAX_LISTED_NAMES", 1)
    assert neuralcodec.read_info(data).names == ()
