"""What was filled, for the eye: before beside after."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augmentor.report.pictures import before_and_after
from data_adapters import Scene, Window, open_scenes

SLICES = 4
"""Slices on the picture."""

SIDE = 1024
"""Side of the part of a slice that is shown there."""


def filled_scene(out: Path, like: Scene) -> Scene:
    """The scene that ``fill`` wrote to a path, told from the mask of what was made beside it."""
    return next(s for s in open_scenes(out) if s.channels == like.channels and s.shape == like.shape)


def show(scene: Scene, out: Path, touched: dict[int, Window], picture: Path) -> None:
    """Before, with holes black, beside after: cuts across the slices of a volume, else slices themselves."""
    filled = filled_scene(out, scene)
    if scene.kind == "volume":
        rows, columns = scene.shape[2:]
        cuts = (Window(rows // 2, 0, 1, columns), Window(0, columns // 2, rows, 1))
        pairs = [tuple(_across(s, cut, sorted(touched) if s is scene else []) for s in (scene, filled)) for cut in cuts]
    else:
        pairs = []
        for index, block in sorted(touched.items())[:SLICES]:
            part = _around(block, scene)
            made = filled.read(index, 1, part)
            pixels = scene.read(index, 1, part)
            same = (pixels.values == made.values) & pixels.valid
            pairs.append((np.where(same, pixels.values, np.nan)[:, 0], made.values[:, 0]))
    before_and_after(pairs, [c.name for c in scene.channels], picture)


def _around(block: Window, scene: Scene) -> Window:
    """The part of a plane that is shown: all of it, or, of a large one, what lies around a block that was filled."""
    height, width = (min(side, SIDE) for side in scene.shape[2:])
    row = min(max(0, block.row + (block.height - height) // 2), scene.shape[2] - height)
    column = min(max(0, block.column + (block.width - width) // 2), scene.shape[3] - width)
    return Window(row, column, height, width)


def _across(scene: Scene, cut: Window, missing: list[int]) -> NDArray[Any]:
    """A plane across the slices, (C, S, length), its slices as thick as they are."""
    plane = scene.read(0, scene.shape[1], cut).values.astype(float)
    plane = plane.reshape(*plane.shape[:2], -1)
    plane[:, missing] = np.nan
    thick = max(1, round(scene.grid.spacing[0] / scene.grid.spacing[1]))
    return np.asarray(np.repeat(plane, thick, axis=1)[:, ::-1])
