"""Dask: two workers, one of which is killed during the run; the result is complete and the same."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from small_images import write_images
from test_runner import settled

from neuralcodec.errors import UnsupportedInput
from neuralcodec.evaluation.runner import evaluate

distributed = pytest.importorskip("distributed", reason="needs the extra cluster")

# Dask warns of its own: of a busy port for its dashboard, and of tasks that came to nothing with a worker.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as local:
        yield local


def test_a_worker_killed_in_the_middle_changes_nothing(cluster: Any, tmp_path: Path) -> None:
    images = write_images(tmp_path / "images", [1, 2, 3, 4, 5, 6])
    alone = evaluate(str(images), ["measured_codecs:Step", "measured_codecs:Exact"], tmp_path / "alone")
    pids = {worker.pid for worker in cluster.workers.values()}
    killed: list[int] = []

    def kill_one(n: int) -> None:
        if not killed:
            killed.append(pids.pop())
            os.kill(killed[0], signal.SIGKILL)

    codecs = ["measured_codecs:Step", "measured_codecs:Exact", "measured_codecs:Slow"]
    spread = evaluate(
        str(images), codecs, tmp_path / "cluster", scheduler=cluster.scheduler_address, advance=kill_one
    )
    assert killed
    assert [settled(one.rows) for one in spread[:2]] == [settled(one.rows) for one in alone]
    assert len(spread[2].rows) == 18
    assert not any(one.errors for one in spread)


def test_workers_with_several_threads_are_refused(tmp_path: Path) -> None:
    images = write_images(tmp_path / "images", [1])
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
        ) as local,
        pytest.raises(UnsupportedInput, match="--nthreads 1"),
    ):
        evaluate(str(images), ["measured_codecs:Step"], tmp_path / "run", scheduler=local.scheduler_address)


def test_a_scheduler_without_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neuralcodec.evaluation.cluster._WORKERS_PATIENCE", 0.5)
    images = write_images(tmp_path / "images", [1])
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=None) as local,
        pytest.raises(UnsupportedInput, match=r"no worker for 0\.5 s: start some with `dask worker"),
    ):
        evaluate(str(images), ["measured_codecs:Step"], tmp_path / "run", scheduler=local.scheduler_address)


def test_a_scheduler_that_goes_away(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    images = write_images(tmp_path / "images", [1, 2, 3])
    address = f"tcp://127.0.0.1:{_free_port()}"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    with ExitStack() as stack:
        programs = []
        for words in (
            ("scheduler", "--port", address.rpartition(":")[2]),
            ("worker", address, "--nthreads", "1"),
        ):
            command = [sys.executable, "-m", "distributed.cli.dask_" + words[0], *words[1:], "--no-dashboard"]
            program = subprocess.Popen(
                command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            programs.append(stack.enter_context(program))
            stack.callback(program.kill)
            time.sleep(2)
        with pytest.raises(UnsupportedInput, match="went away; what was measured is kept"):
            evaluate(
                str(images),
                ["measured_codecs:Slow"],
                tmp_path / "run",
                scheduler=address,
                advance=lambda n: programs[0].kill(),
            )
    assert "Traceback" not in capfd.readouterr().err
    assert len(evaluate(str(images), ["measured_codecs:Slow"], tmp_path / "run")[0].rows) == 9


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_jobs_and_a_scheduler_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedInput, match="give one of both"):
        evaluate("examples", ["png"], tmp_path / "run", scheduler="tcp://127.0.0.1:9", jobs=2)


def test_a_scheduler_that_is_not_there(tmp_path: Path) -> None:
    images = write_images(tmp_path / "images", [1])
    with pytest.raises(UnsupportedInput, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        evaluate(str(images), ["measured_codecs:Step"], tmp_path / "run", scheduler="tcp://127.0.0.1:9")
