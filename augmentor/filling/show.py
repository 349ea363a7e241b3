"""What was filled, for the eye: before beside after."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augmentor.filling.spool import Spool
from augmentor.report.pictures import sheet, visible
from data_adapters import Scene, Window, open_scenes
from data_adapters.between import Between

SLICES = 4
"""Slices on the picture."""

SIDE = 1024
"""Side of the part of a slice that is shown there."""


def filled_scene(out: Path, like: Scene) -> Scene:
    """The scene that ``fill`` wrote to a path, told from the mask of what was made beside it."""
    return next(s for s in open_scenes(out) if s.channels == like.channels and s.shape == like.shape)


def show(scene: Scene, out: Path, bounds: Sequence[Path], spool: Spool, picture: Path) -> None:
    """Before, with holes black, beside after, beside the interval where its two bounds are given, white where it is
    widest: cuts across the slices of a volume, through the middle of what was made, else slices themselves."""
    filled, *ends = (filled_scene(path, scene) for path in (out, *bounds))
    names = [c.name for c in scene.channels]
    rows = []
    if scene.kind == "volume":
        height, width = scene.shape[2:]
        row, column = spool.middle
        for cut in (Window(row, 0, 1, width), Window(0, column, height, 1)):
            before, after, *low_high = (
                _across(s.read(0, scene.shape[1], cut).values, scene) for s in (scene, filled, *ends)
            )
            made = np.stack([spool.made(index, cut) for index in range(scene.shape[1])])
            rows.append((np.where(_across(made[None], scene), np.nan, before), after, low_high))
    else:
        for index, block in sorted(spool.touched.items())[:SLICES]:
            part = _around(block, scene)
            pixels = scene.read(index, 1, part)
            after, *low_high = (s.read(index, 1, part).values[:, 0] for s in (filled, *ends))
            there = pixels.valid[:, 0] & ~spool.made(index, part)
            rows.append((np.where(there, pixels.values[:, 0], np.nan), after, low_high))
    sheet([picture for row in rows for picture in _row(*row, names)], 2 + bool(ends), picture)


def show_between(scene: Between, out: Path, bounds: Sequence[Path], spool: Spool, picture: Path) -> None:
    """What was made between what lies before and after, and the interval where its two bounds are given."""
    part = _around(next(iter(spool.touched.values())), scene)
    made, *low_high = (open_scenes(path)[0].read(0, 1, part).values[:, 0] for path in (out, *bounds))
    names = [c.name for c in scene.channels]
    low, high = (np.nanpercentile(made, share, axis=(1, 2)).tolist() for share in (1, 99))
    planes = [scene.read(index, 1, part) for index in scene.beside]
    others = [visible(np.where(p.valid, p.values, np.nan)[:, 0], names, low, high) for p in planes]
    _, shown, *wide = _row(made, made, low_high, names)
    before = sum(index < scene.slot for index in scene.beside)
    sheet([*others[:before], shown, *others[before:], *wide], 2 + len(others), picture)


def _row(
    before: NDArray[Any], after: NDArray[Any], low_high: Sequence[NDArray[Any]], names: Sequence[str]
) -> list[NDArray[np.uint8]]:
    """Before and after in the limits of after, and how wide the interval is."""
    shown = [np.asarray(after, dtype=float), np.asarray(before, dtype=float)]
    low, high = (np.nanpercentile(shown[0], part, axis=(1, 2)).tolist() for part in (1, 99))
    pictures = [visible(plane, names, low, high) for plane in shown[::-1]]
    if low_high:
        spans = np.maximum(np.subtract(high, low), 1e-12)[:, None, None]
        wide = np.mean(np.subtract(low_high[1], low_high[0], dtype=float) / spans, axis=0)
        there = wide[wide > 0]
        pictures.append(visible(wide[None], (), [0.0], [float(np.percentile(there, 99)) if there.size else 1.0]))
    return pictures


def _around(block: Window, scene: Scene) -> Window:
    """The part of a plane that is shown: all of it, or, of a large one, what lies around a block that was filled."""
    height, width = (min(side, SIDE) for side in scene.shape[2:])
    row = min(max(0, block.row + (block.height - height) // 2), scene.shape[2] - height)
    column = min(max(0, block.column + (block.width - width) // 2), scene.shape[3] - width)
    return Window(row, column, height, width)


def _across(cut: NDArray[Any], scene: Scene) -> NDArray[Any]:
    """A plane across the slices (C, S, length), of a cut (C, S, h, w) one pixel thick: its slices as thick as the
    scene's are, the last one first."""
    plane = cut.reshape(*cut.shape[:2], -1)
    thick = max(1, round(scene.grid.spacing[0] / scene.grid.spacing[1]))
    return np.asarray(np.repeat(plane, thick, axis=1)[:, ::-1])
