"""Where tasks run: on the workers of a Dask cluster (extra "cluster")."""

import contextlib
import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from neuralcodec.errors import UnsupportedInput
from neuralcodec.evaluation.execution import DIED, Finished
from neuralcodec.evaluation.measure import Task, failure, measure

if TYPE_CHECKING:
    from distributed import Client

_PATIENCE = 10.0  # seconds to wait for the scheduler
_WORKERS_PATIENCE = 60.0  # and for its first worker


def run_cluster(tasks: Sequence[Task], address: str) -> Finished:
    """Run tasks on the workers of a Dask scheduler; results come as they are ready.

    What a dead worker had is run elsewhere; a task that kills several workers gets error rows. Workers must see
    the data under the same paths, run the same versions, and have one thread each, as times would mean nothing
    where codecs run side by side.

    Parameters
    ----------
    tasks
        The tasks.
    address
        Of the scheduler, such as "tcp://10.0.0.1:8786".

    Raises
    ------
    UnsupportedInput
        If Dask is not installed, no scheduler answers or it goes away, or it has no worker, or one with several
        threads.
    """
    try:
        from distributed import CancelledError, KilledWorker, as_completed
        from distributed.comm import CommClosedError
    except ImportError:
        raise UnsupportedInput("--scheduler needs Dask: pip install 'neuralcodec[cluster]'") from None
    with _one_message(), _client(address) as client:
        _check_workers(client, address)
        futures = {client.submit(measure, task, pure=False): task for task in tasks}
        for future in as_completed(list(futures)):
            task = futures.pop(future)
            try:
                result = future.result()
            except KilledWorker:
                result = failure(task, DIED)
            except (CommClosedError, CancelledError):
                raise UnsupportedInput(
                    f"the Dask scheduler at {address} went away; what was measured is kept: start it again, and "
                    "give the command again"
                ) from None
            future.release()
            yield task, result


@contextlib.contextmanager
def _one_message() -> Iterator[None]:
    """Keep Dask from logging the traceback of a connection that broke, which is told in one line."""
    logger = logging.getLogger("distributed.client")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _client(address: str) -> "Client":
    from distributed import Client

    try:
        return Client(address, timeout=_PATIENCE)
    except (OSError, ValueError) as error:
        raise UnsupportedInput(
            f"no Dask scheduler answers at {address}: start one with `dask scheduler` and workers with "
            f"`dask worker {address} --nthreads 1` ({error or type(error).__name__})"
        ) from None


def _check_workers(client: "Client", address: str) -> None:
    try:
        client.wait_for_workers(1, timeout=_WORKERS_PATIENCE)
    except TimeoutError:
        raise UnsupportedInput(
            f"the Dask scheduler at {address} has had no worker for {_WORKERS_PATIENCE:g} s: start some with "
            f"`dask worker {address} --nthreads 1`"
        ) from None
    for name, worker in client.scheduler_info(n_workers=-1)["workers"].items():
        if worker["nthreads"] > 1:
            raise UnsupportedInput(
                f"the worker {name} has {worker['nthreads']} threads, so that codecs would disturb each other's times: "
                "start workers with --nthreads 1"
            )
