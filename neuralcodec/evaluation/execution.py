"""Where tasks run: in this process, or in several processes of this machine."""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool

from neuralcodec.evaluation.measure import Measured, Task, failure, measure

_AHEAD = 2  # tasks handed out for each process, so that none waits for the next one
CLEANING_SECONDS = 5.0  # how long an interrupted run waits for its processes
DIED = "the process that ran the codec died (a crash, or out of memory)"

Finished = Iterator[tuple[Task, Measured]]


def run_here(tasks: Sequence[Task]) -> Finished:
    """Run tasks one after the other in this process."""
    for task in tasks:
        yield task, measure(task)


def run_processes(tasks: Sequence[Task], jobs: int) -> Finished:
    """Run tasks in `jobs` processes; results come as they are ready.

    If a process dies, the tasks that were under way run again, each in a process of its own; the one that makes
    that die too gets error rows, and all else goes on.
    """
    waiting = deque(tasks)
    while waiting:
        for task in (yield from _until_a_death(waiting, jobs)):
            yield task, _alone(task)


def _until_a_death(waiting: deque[Task], jobs: int) -> Generator[tuple[Task, Measured], None, list[Task]]:
    """Run the waiting tasks; if a process dies, return those that were under way."""
    running: dict[Future[Measured], Task] = {}
    with _pool(jobs) as pool:
        while waiting or running:
            try:
                while waiting and len(running) < _AHEAD * jobs:
                    running[pool.submit(_work, waiting[0])] = waiting[0]
                    waiting.popleft()
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    result = future.result()
                    yield running.pop(future), result
            except BrokenProcessPool:
                return list(running.values())
    return []


def _alone(task: Task) -> Measured:
    with _pool(1) as pool:
        try:
            return pool.submit(_work, task).result()
        except BrokenProcessPool:
            return failure(task, DIED)


@contextlib.contextmanager
def _pool(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Open a pool whose processes end at once if the block ends early, rather than after their tasks."""
    # Forked processes would share locks that threads of this one may hold; spawned ones are new.
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), initializer=_heed_the_parent)
    try:
        yield pool
    except BaseException:
        processes = multiprocessing.active_children()
        pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.terminate()
        for process in processes:  # which end their commands, and remove their folders
            process.join(CLEANING_SECONDS)
        raise
    pool.shutdown()


_busy = threading.Event()


def _work(task: Task) -> Measured:
    _busy.set()
    try:
        return measure(task)
    except SystemExit:  # by now what was under way has ended; the pool would go on with the next task
        os._exit(1)
    finally:
        _busy.clear()


def _heed_the_parent() -> None:
    """Let the parent alone answer an interrupt, which the terminal sends to all; end by an exception if it says so.

    So an external command that is running ends too, and its folder goes.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end)
    threading.Thread(target=_end_with_the_parent, daemon=True).start()


def _end_with_the_parent() -> None:
    """Wait until the parent is gone, killed perhaps; the pool would leave this process waiting for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _end(number: int, frame: object) -> None:
    if not _busy.is_set():
        os._exit(128 + number)  # an exception in the pool's own code would wait for a parent that may be gone
    raise SystemExit(128 + number)
