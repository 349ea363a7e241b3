"""Which pixels of a scene are to be rebuilt."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from augmentor.errors import NothingToFill
from data_adapters import Scene, Window, open_scenes
from data_adapters.errors import GridMismatch

Mask = NDArray[np.bool_]
Holes = Callable[[Window], Mask]
"""A window -> (C, S, h, w), True where a pixel is to be rebuilt."""


def missing_slices(scene: Scene) -> tuple[Holes, tuple[int, ...]]:
    """Holes that are whole slices of a volume, and which.

    Raises:
        GeometryError: if the slices form no regular volume.
        NothingToFill: if none is missing, or fewer than two are there.
    """
    slots = scene.missing()
    count = scene.shape[1]
    if not slots:
        raise NothingToFill(
            f"no slice of {count} is missing", where=scene.path, do="give --mask where slices are damaged"
        )
    if count - len(slots) < 2:
        raise NothingToFill("fewer than two slices are there", where=scene.path, do="give a series with two or more")

    def holes(window: Window) -> Mask:
        mask = np.zeros((scene.shape[0], count, window.height, window.width), dtype=bool)
        mask[:, list(slots)] = True
        return mask

    return holes, slots


def nodata(scene: Scene) -> Holes:
    """Holes that are the scene's own unobserved pixels, band by band."""
    return lambda window: ~scene.read(0, scene.shape[1], window).valid


def masked(scene: Scene, mask: Path) -> Holes:
    """Holes where a mask file on the scene's grid is not zero (its first band); dates are matched by date.

    Raises:
        GridMismatch: if the mask's rows, columns, slices or dates are not the scene's.
    """
    found = open_scenes(mask)
    if len(found) != 1:
        raise GridMismatch(
            f"{len(found)} scenes where one mask was expected", where=mask, do="give one mask, or one stack"
        )
    cover = found[0]
    if cover.shape[2:] != scene.shape[2:]:
        raise GridMismatch(
            f"mask of {cover.shape[2]}x{cover.shape[3]} for a scene of {scene.shape[2]}x{scene.shape[3]}",
            where=mask,
            do="resample the mask onto the scene's grid",
        )
    if cover.grid.frame == scene.grid.frame == "map" and not np.allclose(
        cover.grid.spacing[1:], scene.grid.spacing[1:], rtol=1e-6
    ):
        raise GridMismatch(
            "pixel sizes of mask and scene differ", where=mask, do="resample the mask onto the scene's grid"
        )
    slices = _matching(cover, scene, mask)

    def holes(window: Window) -> Mask:
        first, last = min(slices), max(slices)
        covered = cover.read(first, last - first + 1, window)
        return np.broadcast_to(
            (covered.values[:1] != 0)[:, [s - first for s in slices]],
            (scene.shape[0], scene.shape[1], window.height, window.width),
        )

    return holes


def _matching(cover: Scene, scene: Scene, mask: Path) -> list[int]:
    """The mask's slice for each slice of the scene."""
    if scene.shape[1] > 1 and scene.dates:
        absent = [day for day in scene.dates if day not in cover.dates]
        if absent:
            raise GridMismatch(
                f"no mask for {len(absent)} of {len(scene.dates)} dates (first: {absent[0]})",
                where=mask,
                do="give one mask a date, with the date in its name",
            )
        return [cover.dates.index(day) for day in scene.dates]
    if cover.shape[1] != scene.shape[1]:
        if scene.shape[1] == 1 and scene.dates and scene.dates[0] in cover.dates:
            return [cover.dates.index(scene.dates[0])]
        raise GridMismatch(
            f"mask of {cover.shape[1]} slices for a scene of {scene.shape[1]}", where=mask, do="give one mask a slice"
        )
    return list(range(scene.shape[1]))


def find(scene: Scene, mask: Path | None) -> tuple[Holes, str]:
    """The holes of a scene and what they are called.

    A mask rules where one is given. Without one, holes are the missing slices of a volume, and the nodata
    of a raster or stack.

    Raises:
        NothingToFill, GeometryError, GridMismatch: as the functions above.
    """
    if mask is not None:
        if scene.trouble is not None:
            raise scene.trouble
        return masked(scene, mask), f"pixels under {mask.name}"
    if scene.kind in ("raster", "stack"):
        return nodata(scene), "nodata pixels"
    if scene.kind == "image":
        raise NothingToFill("a single image has no slices to miss", where=scene.path, do="give --mask")
    holes, slots = missing_slices(scene)
    return holes, f"{len(slots)} missing slices ({', '.join(map(str, slots))})"
