"""Rebuilt pixels on disk until every file that they go into is written."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_adapters import Patch, Window


class Spool:
    """Patches put in one by one, with half of the interval (C, h, w) of each; given back as often as asked.

    ``steps`` (C,) lie between two values that can be written; 0 where any can.
    """

    def __init__(self, steps: Sequence[float]) -> None:
        self.pixels = 0
        self._narrower = np.asarray(steps)[:, None, None] / 2
        self.touched: dict[int, Window] = {}
        self._patches: list[tuple[int, Window]] = []

    def __enter__(self) -> Spool:
        self._folder = tempfile.TemporaryDirectory(prefix="augmentor-")
        return self

    def __exit__(self, *raised: object) -> None:
        self._folder.cleanup()

    def put(self, patch: Patch, half: NDArray[np.float64]) -> None:
        """Keep a patch."""
        np.savez(self._path(len(self._patches)), values=patch.values, half=half, made=patch.made)
        self._patches.append((patch.slice, patch.window))
        self.pixels += int(patch.made.any(axis=0).sum())
        self.touched.setdefault(patch.slice, patch.window)

    def patches(self, side: int = 0) -> Iterator[Patch]:
        """Every patch as it was put in, or its lower (-1) or upper (1) bound.

        Bounds are rounded to the nearest value as all that is written is. Half a step nearer to the patch, they hold
        between them just the values that lay between them before, and the patch's own.
        """
        for number, (index, window) in enumerate(self._patches):
            with np.load(self._path(number)) as kept:
                patch = Patch(index, window, kept["values"], kept["made"])
                half = np.maximum(kept["half"] - self._narrower, 0)
                yield replace(patch, values=patch.values + side * half) if side else patch

    def _path(self, number: int) -> Path:
        return Path(self._folder.name) / f"{number}.npz"
