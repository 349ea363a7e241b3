"""Rebuilt pixels on disk until every file that they go into is written."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from augmentor.holes.kinds import Mask
from data_adapters import Patch, Window


class Spool:
    """Patches put in one by one, with the best guess and half of the interval round it (C, h, w) of each; given back as
    often as asked.

    ``steps`` (C,) lie between two values that can be written; 0 where any can.
    """

    def __init__(self, steps: Sequence[float]) -> None:
        self.pixels = 0
        self._narrower = np.asarray(steps)[:, None, None] / 2
        self.touched: dict[int, Window] = {}
        self._rows: Counter[int] = Counter()
        self._columns: Counter[int] = Counter()
        self._patches: list[tuple[int, Window]] = []

    def __enter__(self) -> Spool:
        self._folder = tempfile.TemporaryDirectory(prefix="augmentor-")
        return self

    def __exit__(self, *raised: object) -> None:
        self._folder.cleanup()

    def put(self, patch: Patch, guess: NDArray[np.float64], half: NDArray[np.float64]) -> None:
        """Keep a patch."""
        np.savez(self._path(len(self._patches)), values=patch.values, guess=guess, half=half, made=patch.made)
        self._patches.append((patch.slice, patch.window))
        made = patch.made.any(axis=0)
        self.pixels += int(made.sum())
        self._rows.update(dict(enumerate(made.sum(axis=1).tolist(), patch.window.row)))
        self._columns.update(dict(enumerate(made.sum(axis=0).tolist(), patch.window.column)))
        self.touched.setdefault(patch.slice, patch.window)

    @property
    def middle(self) -> tuple[int, int]:
        """A row and a column that as much of what was made lies before as after: some of it lies in each."""
        return _median(self._rows), _median(self._columns)

    def made(self, index: int, window: Window) -> Mask:
        """Where any channel of a slice was made (h, w), in a window."""
        plane = np.zeros((window.row + window.height, window.column + window.width), dtype=bool)
        for number, (other, there) in enumerate(self._patches):
            part = plane[there.slices]
            if other == index and part.size:
                with np.load(self._path(number)) as kept:
                    part |= kept["made"].any(axis=0)[: part.shape[0], : part.shape[1]]
        return plane[window.slices]

    def patches(self, side: int = 0) -> Iterator[Patch]:
        """Every patch as it was put in, or its lower (-1) or upper (1) bound.

        Bounds are rounded to the nearest value as all that is written is. Half a step nearer to the best guess, they
        hold between them just the values that lay between them before, and the best guess's own.
        """
        for number, (index, window) in enumerate(self._patches):
            with np.load(self._path(number)) as kept:
                values = kept["values"]
                if side:
                    values = kept["guess"] + side * np.maximum(kept["half"] - self._narrower, 0)
                yield Patch(index, window, values, kept["made"])

    def _path(self, number: int) -> Path:
        return Path(self._folder.name) / f"{number}.npz"


def _median(counts: Counter[int]) -> int:
    """The least number that half of all are no larger than."""
    numbers = sorted(counts)
    behind = np.cumsum([counts[number] for number in numbers])
    return numbers[int(np.searchsorted(behind, behind[-1] / 2))]
