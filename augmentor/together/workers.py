"""Who does the tasks of a long verb: this process, or a cluster's workers, by the same code."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from augmentor.errors import ClusterError

Item = TypeVar("Item")
Result = TypeVar("Result")

LOCAL = "local:"
"""A scheduler of our own on this machine: ``local:4`` starts four processes."""

AHEAD = 2
"""Tasks in hand for each thread of a cluster: enough to keep it busy, few enough for memory to stay flat."""

JOINS_WITHIN = 60.0
"""Seconds that the first worker is waited for."""


class Workers(Protocol):
    """Does tasks and gives results in the order of the items, a few tasks ahead of what is asked for.

    A task is a function of a module, its item and result can be pickled, and doing it twice does what doing it once
    does: one whose worker dies is done again by another.
    """

    def map(self, task: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]: ...


class Here:
    """This process, one task at a time."""

    def map(self, task: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        return map(task, items)


HERE = Here()


class Cluster:
    """The workers of a dask scheduler, which see the same files under the same names."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def map(self, task: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """As ``Workers`` say.

        Raises:
            ClusterError: if the workers of a task die again and again, or the scheduler goes.
        """
        hands = AHEAD * max(1, sum(self.client.nthreads().values()))
        waiting: deque[Any] = deque()
        try:
            for item in items:
                waiting.append(self.client.submit(task, item, pure=False))
                if len(waiting) == hands:
                    yield _result(waiting.popleft())
            while waiting:
                yield _result(waiting.popleft())
        finally:
            for future in waiting:
                future.cancel()


def _result(future: Any) -> Any:
    from concurrent.futures import CancelledError

    from distributed import KilledWorker
    from distributed.comm.core import CommClosedError

    try:
        return future.result()
    except KilledWorker as error:
        raise ClusterError(
            "the workers of one task died again and again",
            where=str(error.last_worker),
            do="look at their logs: they may lack memory",
        ) from error
    except (CancelledError, CommClosedError) as error:
        raise ClusterError("the scheduler went away", do="start it, and give the same command again") from error


@contextmanager
def workers(scheduler: str = "") -> Iterator[Workers]:
    """Whoever does tasks: a dask ``scheduler`` (``tcp://host:8786``), ``local:N`` processes, or this one where none is
    named.

    Raises:
        ClusterError: if there is no such scheduler, or nobody works for it.
    """
    if not scheduler:
        yield HERE
        return
    try:
        import distributed
    except ImportError:
        raise ClusterError(
            "dask.distributed is not installed", do="pip install 't2t-augmentor[cluster]', or leave --scheduler out"
        ) from None
    if scheduler.startswith(LOCAL):
        count = scheduler.removeprefix(LOCAL)
        if not count.isdigit() or not int(count):
            raise ClusterError(f"{scheduler!r} names no number of processes", do=f"write it as {LOCAL}4")
        # Nothing listens where others could come in.
        with (
            distributed.LocalCluster(
                int(count), threads_per_worker=1, dashboard_address="127.0.0.1:0", host="127.0.0.1", silence_logs=True
            ) as cluster,
            distributed.Client(cluster) as client,
        ):
            yield Cluster(client)
        return
    try:
        client = distributed.Client(scheduler, timeout=JOINS_WITHIN)
        client.wait_for_workers(1, timeout=JOINS_WITHIN)
    except (OSError, ValueError, TimeoutError) as error:
        raise ClusterError(
            f"nobody works there ({error})", where=scheduler, do="start `dask scheduler` and `dask worker`s"
        ) from None
    with client:
        yield Cluster(client)
