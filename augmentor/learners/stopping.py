"""Being asked to stop: Ctrl-C and SIGTERM end a step, not the work of hours."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ASKED_BY = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Which signal asked for a stop, if one did."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None


@contextmanager
def stopping() -> Iterator[Stop]:
    """Note the first SIGINT or SIGTERM in place of ending at once; the second one does what it always does."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        # Signals reach the main thread alone, and only it may say what becomes of them.
        yield stop
        return
    before = {number: signal.getsignal(number) for number in ASKED_BY}

    def heed(number: int, frame: FrameType | None) -> None:
        stop.signal = signal.Signals(number)
        for each, handler in before.items():
            signal.signal(each, handler)

    for number in ASKED_BY:
        signal.signal(number, heed)
    try:
        yield stop
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
