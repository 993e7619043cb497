"""Dask: two workers, one of which is killed during the run; the result is complete and the same."""

import os
import signal
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


def test_a_scheduler_that_is_not_there(tmp_path: Path) -> None:
    images = write_images(tmp_path / "images", [1])
    with pytest.raises(UnsupportedInput, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        evaluate(str(images), ["measured_codecs:Step"], tmp_path / "run", scheduler="tcp://127.0.0.1:9")
