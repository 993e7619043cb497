"""Appending adds signals or changes nothing, whatever stops it."""

import errno
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import random_signals, small_circuit

import neuralcodec
from neuralcodec.archives import Metadata
from neuralcodec.artifact import write_artifact
from neuralcodec.errors import CorruptFile, NeuralCodecError, UnknownModel, UnsupportedInput, WrongModel

CIRCUIT = small_circuit((4, 3))
SIGNALS = random_signals(CIRCUIT, 300, 7)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """An archive of the first 100 signals."""
    path = tmp_path / "a.ncz"
    path.write_bytes(neuralcodec.compress_many(SIGNALS[:100], CIRCUIT, group=16, chunk=48))
    return path


def append(path: Path, xs: Any, model: Any = CIRCUIT, **options: Any) -> None:
    with neuralcodec.append_archive(path, model, **options) as archive:
        archive.append(xs)


@given(
    st.lists(st.integers(0, 30), max_size=4),
    st.integers(1, 9),
    st.integers(1, 20),
    st.sampled_from([1, 2, 8]),
)
@settings(max_examples=60, deadline=None)
def test_appended_signals_follow_the_old_ones(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], group: int, chunk: int, threads: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "property.ncz"
    path.write_bytes(old := neuralcodec.compress_many(SIGNALS[:20], CIRCUIT, group=group, chunk=chunk))
    stop, chunks = 20, neuralcodec.read_info(old).chunks
    for n in sizes:
        with neuralcodec.append_archive(path, CIRCUIT, chunk=chunk, threads=threads) as archive:
            archive.append(SIGNALS[stop : stop + n], [Metadata(f"{i}") for i in range(n)])
        assert len(archive) == n
        stop += n
    with neuralcodec.open_archive(path, CIRCUIT, threads=threads) as opened:
        assert np.array_equal(opened[:], SIGNALS[:stop])
        assert np.array_equal(np.stack(list(opened)), SIGNALS[:stop])
        assert np.array_equal(opened[::-3], SIGNALS[:stop][::-3])
        assert opened.names == [None] * 20 + [f"{i}" for n in sizes for i in range(n)]
    data = path.read_bytes()
    end = chunks[-1].offset + chunks[-1].size
    assert data[:end] == old[:end]
    assert neuralcodec.read_info(path).chunks[: len(chunks)] == chunks
    if not sum(sizes):
        assert data == old


def test_to_an_empty_archive_and_with_masks(tmp_path: Path) -> None:
    path = tmp_path / "a.ncz"
    path.write_bytes(neuralcodec.compress_many([], CIRCUIT, group=16))
    holes = np.ma.MaskedArray(np.where(SIGNALS % 3 == 0, 0, SIGNALS), SIGNALS % 3 == 0)
    append(path, holes[:50])
    append(path, SIGNALS[50:])
    back = neuralcodec.decompress_many(path, model=CIRCUIT)
    assert np.array_equal(np.ma.getmaskarray(back)[:50], holes.mask[:50])
    assert not np.ma.getmaskarray(back)[50:].any()
    assert np.array_equal(np.ma.filled(back, 0)[50:], SIGNALS[50:])


REFUSED = [
    pytest.param(SIGNALS[:, :2], 0, UnsupportedInput, "4 x 3 uint8", id="shape"),
    pytest.param(SIGNALS[:, None], 0, UnsupportedInput, "those of the archive are", id="axis"),
    pytest.param(SIGNALS.astype(int), 0, UnsupportedInput, "int64, but those of", id="dtype"),
    pytest.param(SIGNALS / 2, 0, UnsupportedInput, "float64", id="floats"),
    pytest.param(SIGNALS, 2, WrongModel, "made with the model", id="model"),
    pytest.param(SIGNALS, None, UnknownModel, "which is not here", id="no model"),
]


@pytest.mark.parametrize(("xs", "seed", "error", "message"), REFUSED)
def test_what_does_not_fit_is_refused(
    target: Path, xs: Any, seed: int | None, error: type[NeuralCodecError], message: str
) -> None:
    model = None if seed is None else small_circuit((4, 3), seed=seed)
    old, status = target.read_bytes(), target.stat()
    with pytest.raises(error, match=message):
        append(target, xs, model)
    assert target.read_bytes() == old
    assert (target.stat().st_ino, target.stat().st_mtime_ns) == (status.st_ino, status.st_mtime_ns)
    assert os.listdir(target.parent) == ["a.ncz"]


def test_archives_that_cannot_be_appended_to(target: Path, tmp_path: Path) -> None:
    data = target.read_bytes()
    (tmp_path / "cut.ncz").write_bytes(data[:-5])
    with pytest.raises(CorruptFile, match=r"cut\.ncz: footer"):
        append(tmp_path / "cut.ncz", SIGNALS)
    (tmp_path / "one.ncz").write_bytes(neuralcodec.compress(SIGNALS[0], CIRCUIT))
    with pytest.raises(UnsupportedInput, match="not an archive"):
        append(tmp_path / "one.ncz", SIGNALS)
    with pytest.raises(FileNotFoundError):
        append(tmp_path / "gone.ncz", SIGNALS)


def test_an_error_in_the_block_leaves_the_old_archive(target: Path) -> None:
    old = target.read_bytes()

    def endless() -> Iterator[Any]:
        yield from SIGNALS
        raise ValueError("the source broke")

    with pytest.raises(ValueError, match="the source broke"):
        append(target, endless())
    assert target.read_bytes() == old
    assert os.listdir(target.parent) == ["a.ncz"]


def test_two_at_once_do_not_lose_signals(target: Path) -> None:
    pytest.importorskip("fcntl")
    with neuralcodec.append_archive(target, CIRCUIT) as archive:
        with pytest.raises(UnsupportedInput) as fault:
            append(target, SIGNALS)
        assert "being appended to already" in str(fault.value)
        archive.append(SIGNALS[100:110])
    assert np.array_equal(neuralcodec.decompress_many(target, model=CIRCUIT), SIGNALS[:110])


def test_an_archive_that_is_replaced_meanwhile_stays(target: Path) -> None:
    new = neuralcodec.compress_many(SIGNALS[:3], CIRCUIT)

    def signals() -> Iterator[Any]:
        yield SIGNALS[0]
        (target.parent / "new").write_bytes(new)
        os.replace(target.parent / "new", target)

    with pytest.raises(UnsupportedInput, match="was replaced meanwhile"):
        append(target, signals())
    assert target.read_bytes() == new


def test_permissions_stay(target: Path) -> None:
    target.chmod(0o640)
    append(target, SIGNALS[:1])
    assert target.stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes anywhere")
def test_an_archive_that_may_not_be_written_stays(target: Path) -> None:
    target.chmod(0o440)
    with pytest.raises(PermissionError):
        append(target, SIGNALS[:1])


def in_child(path: Path, deadly: str, limit: int | None = None) -> int:
    """Append in a forked process that dies at a call, or may write no more than so many bytes."""
    child = os.fork()
    if child == 0:
        code = 99
        try:
            if limit is not None:
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            elif deadly:
                setattr(os, deadly, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
            append(path, SIGNALS[100:], threads=1)
            code = 0
        except OSError as error:
            code = error.errno or 98
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_full_disk_and_a_kill_leave_the_old_archive(target: Path) -> None:
    old = target.read_bytes()
    for limit in (0, 100, len(old), len(old) + 500):
        assert in_child(target, "", limit) == errno.EFBIG
        assert os.listdir(target.parent) == ["a.ncz"]
        assert target.read_bytes() == old
    for call in ("fsync", "replace"):
        assert in_child(target, call) == -signal.SIGKILL
        assert target.read_bytes() == old
    assert in_child(target, "") == 0
    assert np.array_equal(neuralcodec.decompress_many(target, model=CIRCUIT), SIGNALS)


ENDLESS = """
import sys
import numpy as np
import neuralcodec
model = neuralcodec.load_model(sys.argv[1])
print("ready", flush=True)
for version in range(10**9):
    with neuralcodec.append_archive(sys.argv[2], model, chunk=16, threads=1) as archive:
        archive.append(np.full((50, 4, 3), version % 250, np.uint8))
    print(version, flush=True)
"""


def test_a_kill_at_any_time_loses_no_append_that_ended(target: Path, tmp_path: Path) -> None:
    model = tmp_path / "m.ncm"
    write_artifact(model, CIRCUIT.to_artifact())
    command = [sys.executable, "-c", ENDLESS, str(model), str(target)]
    for delay in range(4):
        before = len(neuralcodec.decompress_many(target, model=CIRCUIT))
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            lines = [child.stdout.readline() for _ in range(3 + delay)]
            child.kill()
            told = len(lines) - 1 + len(child.stdout.read().splitlines())
        after = neuralcodec.decompress_many(target, model=CIRCUIT)
        assert len(after) - before in (50 * told, 50 * (told + 1))
        assert np.array_equal(after[:100], SIGNALS[:100])
