"""What is told on stderr while a verb works: a live view on a terminal, plain lines elsewhere, JSON for machines."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Protocol

from augmentor.together.launch import leads
from data_adapters.errors import UserError

FORMATS = ("text", "json")
"""How things are told: as people read them, or a JSON object a line."""

PLAIN_EVERY = {"text": 10.0, "json": 1.0}
"""Seconds between lines where there is no terminal, or none is asked for."""

NO_FIGURES: Mapping[str, float] = MappingProxyType({})

_told = {"format": "text"}


class Advance(Protocol):
    """Call with how many units are done in all, a note to show, and figures by their names, where there are any."""

    def __call__(self, done: int, note: str = "", figures: Mapping[str, float] = NO_FIGURES) -> None: ...


def tell_as(format: str) -> None:
    """Tell everything from now on as one of ``FORMATS``."""
    _told["format"] = format


def note(text: str) -> None:
    """Tell the user something on stderr that does not stop the work."""
    _line(f"note: {text}", kind="note", text=text)


def failure(error: UserError) -> None:
    """Tell what the work was stopped by: its type, what was found, where, and what to do."""
    name = type(error).__name__
    _line(f"{name}: {error}", kind="error", type=name, found=error.found, where=error.where, do=error.do)


def misunderstood(found: str, where: str) -> None:
    """Tell that the words of a command make no sense."""
    _line(f"Error: {found}", kind="error", type="UsageError", found=found, where=where, do=f"{where} --help")


@contextmanager
def progress(title: str, total: int, start: int = 0) -> Iterator[Advance]:
    """Show ``title``, how far the work is and the time left on stderr until the block ends."""
    if sys.stderr.isatty() and _told["format"] == "text":
        # What draws is waited for on a terminal alone.
        from augmentor.live import View

        with View(title, total, start).shown() as view:
            yield view.advance
    else:
        yield _lines(title, total, start)


def _lines(title: str, total: int, start: int) -> Advance:
    began = time.monotonic()
    last = began

    def advance(done: int, note: str = "", figures: Mapping[str, float] = NO_FIGURES) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < PLAIN_EVERY[_told["format"]] and done < total:
            return
        last = now
        rate = (done - start) / max(now - began, 1e-9)
        left = (total - done) / rate if rate > 0 else None
        clock = f"{left:.0f} s left" if left and done < total else f"{now - began:.0f} s"
        _line(
            f"{title}: {done}/{total}, {clock} {note}".rstrip(),
            kind="progress",
            title=title,
            done=done,
            total=total,
            seconds_left=None if left is None else round(left, 1),
            note=note,
            figures=dict(figures),
        )

    return advance


def _line(text: str, /, **record: Any) -> None:
    """One line on stderr: ``text`` for people, ``record`` for machines. Of a team, the leader alone speaks."""
    if not leads():
        return
    if _told["format"] == "json":
        time_of_day = datetime.now(UTC).isoformat(timespec="milliseconds")
        text = json.dumps({"time": time_of_day, **record}, default=str, ensure_ascii=False)
    print(text, file=sys.stderr, flush=True)
