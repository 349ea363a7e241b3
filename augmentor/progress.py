"""Progress on a terminal, with time left; plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

PLAIN_EVERY = 10.0
"""Seconds between plain lines where there is no terminal."""


class Advance(Protocol):
    """Call with how many units are done in all, and a note to show."""

    def __call__(self, done: int, note: str = "") -> None: ...


def note(text: str) -> None:
    """Tell the user something on stderr that does not stop the work."""
    print(f"note: {text}", file=sys.stderr, flush=True)


@contextmanager
def progress(title: str, total: int, start: int = 0) -> Iterator[Advance]:
    """Show ``title``, a bar and the time left on stderr until the block ends."""
    if sys.stderr.isatty():
        with _bar(title, total, start) as advance:
            yield advance
    else:
        yield _lines(title, total, start)


@contextmanager
def _bar(title: str, total: int, start: int) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=total, completed=start, note="")

        def advance(done: int, note: str = "") -> None:
            bar.update(task, completed=done, note=note)

        yield advance


def _lines(title: str, total: int, start: int) -> Advance:
    began = time.monotonic()
    last = began

    def advance(done: int, note: str = "") -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < PLAIN_EVERY and done < total:
            return
        last = now
        rate = (done - start) / max(now - began, 1e-9)
        left = f"{(total - done) / rate:.0f} s left" if rate > 0 and done < total else f"{now - began:.0f} s"
        print(f"{title}: {done}/{total}, {left} {note}".rstrip(), file=sys.stderr, flush=True)

    return advance
