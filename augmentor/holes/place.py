"""A mask, or another raster, on the grid of a scene."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from data_adapters import Pixels, Scene, Window
from data_adapters.errors import GridMismatch

TOLERANCE = 0.05
"""Pixels that one may be off the other."""


@dataclass(frozen=True)
class Placed:
    """``cover`` lies on a scene's grid, or on one coarser by a whole ``factor``; ``slices`` are its own for those of
    the scene."""

    cover: Scene
    factor: int
    slices: tuple[int, ...]

    def read(self, window: Window, channels: slice = slice(None)) -> Pixels:
        """What lies in a window of the scene: (channels of the cover, slices of the scene, h, w)."""
        first, last = min(self.slices), max(self.slices)
        own, crop = _coarser(window, self.factor)
        pixels = self.cover.read(first, last - first + 1, own)
        part = [s - first for s in self.slices]
        values, valid = pixels.values[channels, part], pixels.valid[channels, part]
        if self.factor == 1:
            return Pixels(values, valid)
        rows, columns = (np.arange(side.start, side.stop) // self.factor for side in crop.slices)
        return Pixels(values[..., rows[:, None], columns], valid[..., rows[:, None], columns])


def placed(cover: Scene, scene: Scene, path: Path, what: str, *, nearest: bool = False) -> Placed:
    """Lay a cover, called ``what``, on a scene, date by date; with ``nearest``, by the nearest date, or one for all.

    Raises:
        GridMismatch: if its place, rows, columns, slices or dates are not the scene's.
    """
    slices = _nearest if nearest else _matching
    return Placed(cover, _factor(cover, scene, path, what), tuple(slices(cover, scene, path, what)))


def _factor(cover: Scene, scene: Scene, path: Path, what: str) -> int:
    """How many pixels of the scene make a side of the cover's."""
    factor = max(1, round(scene.shape[2] / cover.shape[2]))
    resample = f"resample the {what} onto the scene's grid"
    if (cover.shape[2] * factor, cover.shape[3] * factor) != scene.shape[2:]:
        raise GridMismatch(
            f"{what} of {cover.shape[2]}x{cover.shape[3]} for a scene of {scene.shape[2]}x{scene.shape[3]}",
            where=path,
            do=resample,
        )
    exact = {"map": 1e-6, "patient": 1e-3}.get(scene.grid.frame)
    sizes = cover.grid.spacing[1:], np.multiply(scene.grid.spacing[1:], factor)
    if exact and cover.grid.frame == scene.grid.frame and not np.allclose(*sizes, rtol=exact):
        raise GridMismatch(f"pixel sizes of {what} and scene differ", where=path, do=resample)
    here, there = scene.corner, cover.corner
    if here is None or there is None:
        return factor
    if here.system != there.system:
        raise GridMismatch(
            f"the {what} lies in {there.system}, the scene in {here.system}",
            where=path,
            do=f"bring the {what} onto the scene's grid",
        )
    apart = np.abs(np.subtract(here.at, there.at))
    if apart.max() > TOLERANCE * min(cover.grid.spacing[1:]):
        raise GridMismatch(
            f"the {what}'s corner lies {', '.join(f'{a:.4g}' for a in apart)} {scene.grid.unit} from the scene's",
            where=path,
            do=f"cut or resample the {what} onto the scene's grid",
        )
    return factor


def _coarser(window: Window, factor: int) -> tuple[Window, Window]:
    """The window on a grid coarser by a factor that holds a window, and where that lies in it when repeated."""
    (row, above), (column, before) = divmod(window.row, factor), divmod(window.column, factor)
    height, width = -(-(above + window.height) // factor), -(-(before + window.width) // factor)
    return Window(row, column, height, width), Window(above, before, window.height, window.width)


def _matching(cover: Scene, scene: Scene, path: Path, what: str) -> list[int]:
    """The cover's slice for each slice of the scene."""
    if scene.shape[1] > 1 and scene.dates:
        absent = [day for day in scene.dates if day not in cover.dates]
        if absent:
            raise GridMismatch(
                f"no {what} for {len(absent)} of {len(scene.dates)} dates (first: {absent[0]})",
                where=path,
                do=f"give one {what} a date, with the date in its name",
            )
        return [cover.dates.index(day) for day in scene.dates]
    if cover.shape[1] != scene.shape[1]:
        if scene.shape[1] == 1 and scene.dates and scene.dates[0] in cover.dates:
            return [cover.dates.index(scene.dates[0])]
        raise GridMismatch(
            f"{what} of {cover.shape[1]} slices for a scene of {scene.shape[1]}",
            where=path,
            do=f"give one {what} a slice",
        )
    return list(range(scene.shape[1]))


def _nearest(cover: Scene, scene: Scene, path: Path, what: str) -> list[int]:
    """The same, where another date will do: the nearest one, or the only one there is."""
    if scene.kind == "volume":
        return _matching(cover, scene, path, what)
    if cover.shape[1] == 1:
        return [0] * scene.shape[1]
    if not (scene.dates and cover.dates):
        return _matching(cover, scene, path, what)
    here, there = (np.array([date.fromisoformat(day).toordinal() for day in s.dates]) for s in (scene, cover))
    return np.abs(there - here[:, None]).argmin(axis=1).tolist()
