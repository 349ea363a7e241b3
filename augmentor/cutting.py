"""A scene to tiles: the whole of it made small, or windows at full detail, as a recipe says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from augmentor.holes.find import masked
from augmentor.recipe import Recipe
from augmentor.tiles import (
    Cut,
    Origin,
    Tile,
    fit_mask,
    grid_tile,
    padded_labels,
    reach,
    starts,
    whole_labels,
    whole_tile,
    windows_of,
)
from data_adapters import Scene, Window

SMALL, NARROW = "smaller than a tile and mostly padding", "too long and narrow for a whole tile and mostly padding"
COVERED, UNSEEN = "covered by masks", "not observed (nodata, blank)"

REMEDY = {
    SMALL: "choose a smaller tiles.size",
    NARROW: "set tiles.cut to grid",
    COVERED: "give clearer images",
    UNSEEN: "give images with fewer gaps",
}
"""Why tiles are left out, and what helps."""


def tiles_of(
    recipe: Recipe, scene: Scene, map: Scene | None, left_out: Counter[str]
) -> Iterator[tuple[Tile, tuple[float, ...]]]:
    """The tiles of one scene with enough observed pixels, and the source pixels that one tile pixel spans.

    ``left_out`` counts the others by what is the matter with them.
    """
    size, whole = recipe.tiles.size, recipe.tiles.cut == "whole"
    masks, means = recipe.data.masks, recipe.data.mask_means
    covered = lru_cache(maxsize=1)(masked(scene, masks, means).hidden) if masks else None
    labelled = lru_cache(maxsize=1)(labels_of(map)) if map is not None else None
    least = recipe.tiles.valid_at_least
    padded = reach(scene.shape[-len(size) :], size, whole=whole) < least
    missing = set(scene.missing()) if recipe.task == "fill" and scene.kind == "volume" else set()
    for window, index, cut in cuts(recipe, scene):
        valid = np.zeros_like(cut.valid) if index in missing else cut.valid
        if covered is not None:
            clouds = np.asarray(covered(window)[:, index].any(axis=0))
            valid = valid & ~fit_mask(clouds, size, whole=whole)
        # Filling learns from columns of slices, so that none may be dropped from the middle of one.
        if recipe.task == "fill" or valid.mean() >= least:
            said = label_tile(labelled(window), index, recipe) if labelled is not None else None
            position = scene.grid.positions[index]
            yield (
                Tile(cut.pixels, valid, said, Origin(scene.name, scene.group, index, position, window, False, {})),
                cut.span,
            )
        else:
            unseen = COVERED if cut.valid.mean() >= least else UNSEEN
            left_out[unseen if not padded else NARROW if whole else SMALL] += 1


def labels_of(map: Scene) -> Callable[[Window], NDArray[np.int32]]:
    """What gives the label map of a window, all its slices at once: (slices, rows, columns)."""
    return lambda window: np.rint(map.read(0, map.shape[1], window).values[0]).astype(np.int32)


def label_tile(labels: NDArray[np.int32], index: int, recipe: Recipe) -> NDArray[np.int32]:
    """The label map of the tile that was cut, first, from slice ``index`` of a window with these labels."""
    size, whole = recipe.tiles.size, recipe.tiles.cut == "whole"
    part = labels[index] if len(size) == 2 else labels if whole else labels[index : index + size[0]]
    return (whole_labels if whole else padded_labels)(part, size)


def cuts(recipe: Recipe, scene: Scene) -> Iterator[tuple[Window, int, Cut]]:
    """Window, first slice and content of every tile: slices or volumes, whole or at full detail, as the recipe says."""
    size, overlap = recipe.tiles.size, recipe.tiles.overlap
    slices = scene.shape[1]
    if len(size) == 3 and scene.trouble is not None:
        raise scene.trouble
    if recipe.tiles.cut == "whole" and len(size) == 3:
        pixels = scene.read(0, slices)
        yield scene.plane, 0, whole_tile(pixels.values, pixels.seen, size)
    elif recipe.tiles.cut == "whole":
        for index in range(slices):
            pixels = scene.read(index, 1)
            yield scene.plane, index, whole_tile(pixels.values[:, 0], pixels.seen[0], size)
    elif len(size) == 3:
        for window, pixels in windows_of(scene, size[1:], overlap):
            for first in starts(slices, size[0], overlap):
                part = slice(first, first + size[0])
                yield window, first, grid_tile(pixels.values[:, part], pixels.seen[part], size)
    else:
        for window, pixels in windows_of(scene, size, overlap):
            for index in range(slices):
                yield window, index, grid_tile(pixels.values[:, index], pixels.seen[index], size)
