import io
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from neuralcodec.container.files import atomic_file, atomic_write, open_source


def test_new_and_old_files_are_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "a.ncz"
    atomic_write(target, b"first")
    atomic_write(str(target), b"second")
    assert target.read_bytes() == b"second"
    assert [item.name for item in tmp_path.iterdir()] == ["a.ncz"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "a.ncz"
    target.write_bytes(b"old")

    def interrupted() -> None:
        with atomic_file(target) as file:
            file.write(b"new")
            raise error

    with pytest.raises(error):
        interrupted()
    assert target.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["a.ncz"]


def test_a_killed_writer_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a.ncz"
    target.write_bytes(b"old")
    code = (
        "import os, signal\nfrom neuralcodec.container.files import atomic_file\n"
        f"with atomic_file({str(target)!r}) as file:\n"
        "    file.write(b'new'); file.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    assert target.read_bytes() == b"old"


def test_permissions_are_the_umask_or_those_of_the_old_file(tmp_path: Path) -> None:
    fresh, kept = tmp_path / "fresh", tmp_path / "kept"
    old = os.umask(0o027)
    try:
        atomic_write(fresh, b"")
        atomic_write(kept, b"")
        kept.chmod(0o604)
        atomic_write(kept, b"x")
    finally:
        os.umask(old)
    assert stat.S_IMODE(fresh.stat().st_mode) == 0o640
    assert stat.S_IMODE(kept.stat().st_mode) == 0o604


def test_symbolic_links_stay(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to(target)
    atomic_write(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_a_missing_directory_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        atomic_write(tmp_path / "no" / "file", b"")


def test_sources_read_alike(tmp_path: Path) -> None:
    data = bytes(range(100))
    path = tmp_path / "data"
    path.write_bytes(data)
    moved = io.BytesIO(b"before" + data)
    moved.seek(6)
    for source in (open_source(data), open_source(memoryview(data)), open_source(path), open_source(moved)):
        assert source.size == 100
        assert bytes(source.read_at(90, 20)) == data[90:]
        assert bytes(source.read_at(3, 4)) == data[3:7]
        assert bytes(source.read_at(200, 4)) == b""
        source.close()
    assert not moved.closed


def test_threads_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(b"".join(number.to_bytes(4, "little") for number in range(5000)))
    source = open_source(path)
    wrong: list[int] = []

    def read(start: int) -> None:
        for number in range(start, 5000, 4):
            if int.from_bytes(source.read_at(4 * number, 4), "little") != number:
                wrong.append(number)

    threads = [threading.Thread(target=read, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    source.close()
    assert wrong == []
