"""One screen of a terminal for work that goes on: a bar with the time left, and how the last figures came about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import isfinite

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

BARS = "▁▂▃▄▅▆▇█"
LONGEST = 40
"""Letters of a sparkline."""
ROWS = 10
"""Figures that are shown at most, so that all of it fits a screen."""


class Trace:
    """A figure from its first value on in at most ``LONGEST`` points, each the mean of equally many values."""

    def __init__(self) -> None:
        self.points: list[float] = []
        self.last = 0.0
        self._each = 1
        self._open: list[float] = []

    def add(self, value: float) -> None:
        self.last = value
        self._open.append(value)
        if len(self._open) < self._each:
            return
        self.points.append(sum(self._open) / len(self._open))
        self._open = []
        if len(self.points) > LONGEST:
            # Twice as many values a point from here on; an odd point waits for its other half.
            if len(self.points) % 2:
                self._open = [self.points.pop()] * self._each
            pairs = zip(self.points[::2], self.points[1::2], strict=True)
            self.points = [(one + other) / 2 for one, other in pairs]
            self._each *= 2

    def sparkline(self) -> str:
        """The points as bars between their least and greatest; those that are no numbers as gaps."""
        numbers = [point for point in self.points if isfinite(point)]
        low, high = min(numbers, default=0.0), max(numbers, default=0.0)

        def bar(point: float) -> str:
            part = (point - low) / (high - low) if high > low else 0.5
            return BARS[min(int(part * len(BARS)), len(BARS) - 1)]

        return "".join(bar(point) if isfinite(point) else " " for point in self.points)


class View:
    """What is shown of one piece of work; ``advance`` is all that it is told."""

    def __init__(self, title: str, total: int, start: int = 0) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )  # fmt: skip
        self._task = self._bar.add_task(title, total=total, completed=start, note="")
        self._traces: dict[str, Trace] = {}

    @contextmanager
    def shown(self, console: Console | None = None) -> Iterator[View]:
        """Draw it, on stderr unless told otherwise, until the block ends."""
        where = console or Console(stderr=True)
        with Live(console=where, get_renderable=self._drawn, refresh_per_second=4):
            yield self

    def advance(self, done: int, note: str = "", figures: Mapping[str, float] | None = None) -> None:
        """As ``progress.Advance``."""
        self._bar.update(self._task, completed=done, note=note)
        for name, value in (figures or {}).items():
            self._traces.setdefault(name, Trace()).add(float(value))

    def _drawn(self) -> RenderableType:
        if not self._traces:
            return self._bar
        table = Table.grid(padding=(0, 2))
        for name, trace in list(self._traces.items())[:ROWS]:
            table.add_row(f"  {name}", f"{trace.last:.4g}", trace.sparkline())
        return Group(self._bar, table)
