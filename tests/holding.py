"""A folder that another process holds."""

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path

from augmentor.together.lock import alone_in


def _hold(folder: Path, held: Event, done: Event) -> None:
    with alone_in(folder):
        held.set()
        done.wait()


@contextmanager
def held_elsewhere(folder: Path) -> Iterator[tuple[BaseProcess, Event]]:
    """The process that holds ``folder``, and what lets it go before the block ends."""
    context = multiprocessing.get_context("fork")
    held, done = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(folder, held, done))
    process.start()
    held.wait()
    try:
        yield process, done
    finally:
        # One that was killed while it waited would be waited for.
        if process.is_alive():
            done.set()
        process.join()
