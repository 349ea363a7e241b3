"""A change of look laid over a scene: tile by tile as networks see it, one smooth whole on the scene's own grid."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor

from augmentor.run import Facts
from augmentor.tiles import Cut, grid_tile, starts, uncut, whole_tile, widened, windows
from data_adapters import Patch, Scene, Window, room

WIDTH = 1 / 16
"""Standard deviation of what a change is smoothed by, in sides of a tile. Finer than that is anatomy and ground, which
stay the source's own (docs/restyle.md tells what other widths come to)."""

TRUNCATED = 4.0
"""Standard deviations at which the smoothing filter ends."""

OVERLAP = 0.5
"""Of tiles that lie beside each other."""

BLOCK = 512
"""Side of the blocks that are restyled one by one."""

Change = Callable[[Tensor], Tensor]
"""What gives the change of tiles (N, C, *tile), in the units of [-1, 1]."""


class Tiles(NamedTuple):
    """Tiles of one slice as networks see them: ``shown`` (N, C, *tile), zero where not ``valid`` (N, *tile), and the
    window that each was cut from."""

    shown: Tensor
    valid: NDArray[np.bool_]
    windows: list[Window]


def tiles_at(scene: Scene, index: int, facts: Facts, part: Window, *, whole: bool) -> Tiles | None:
    """The tiles of a slice that show a part of it, the ``whole`` of it or windows; None where nothing was observed.

    Where tiles lie is the scene's, whichever part is asked for.
    """
    places = [scene.plane] if whole else list(_covering(scene, facts.tile, part))
    top, left = min(place.row for place in places), min(place.column for place in places)
    bottom = max(place.row + place.height for place in places)
    right = max(place.column + place.width for place in places)
    hull = Window(top, left, bottom - top, right - left)
    room.taken(16 * scene.shape[0] * hull.height * hull.width, scene.path)
    pixels = scene.read(index, 1, hull)
    if not pixels.seen.any():
        return None
    cut: list[Cut] = []
    for place in places:
        rows, columns = Window(place.row - top, place.column - left, place.height, place.width).slices
        values, seen = pixels.values[:, 0, rows, columns], pixels.seen[0, rows, columns]
        cut.append((whole_tile if whole else grid_tile)(values, seen, facts.tile))
    valid = np.stack([tile.valid for tile in cut])
    unit = facts.scaling.to_unit(np.stack([tile.pixels for tile in cut]))
    return Tiles(torch.from_numpy(np.where(valid[:, None], unit, np.float32(0))), valid, places)


def _covering(scene: Scene, size: tuple[int, ...], part: Window) -> Iterator[Window]:
    """The windows of a plane's tiles that reach into a part of it."""
    height, width = min(size[0], scene.shape[2]), min(size[1], scene.shape[3])
    rows = [row for row in starts(scene.shape[2], size[0], OVERLAP) if part.row - height < row < part.row + part.height]
    columns = [
        column
        for column in starts(scene.shape[3], size[1], OVERLAP)
        if part.column - width < column < part.column + part.width
    ]
    for row in rows:
        for column in columns:
            yield Window(row, column, height, width)


def blocks(scene: Scene, *, whole: bool) -> list[Window]:
    """The parts of a plane that are restyled one by one."""
    if whole:
        return [scene.plane]
    return list(windows(*scene.shape[2:], (BLOCK, BLOCK), 0.0))


def restyled(scene: Scene, index: int, block: Window, facts: Facts, change: Change, *, whole: bool) -> Patch | None:
    """A block of a slice with its look changed: every pixel that was observed in all channels, and no other one.

    The change is the same however a plane is cut into blocks. None where nothing was observed.
    """
    sigma = WIDTH * max(facts.tile)
    wide, inner = (block, block.slices) if whole else widened(block, math.ceil(TRUNCATED * sigma), scene.shape[2:])
    pixels = scene.read(index, 1, wide)
    if not pixels.seen[0][inner].any() or (tiles := tiles_at(scene, index, facts, wide, whole=whole)) is None:
        return None
    found = change(tiles.shown).numpy()
    if whole:
        smoothed = smooth(found[0], tiles.valid[0], sigma)
        smoothed = np.stack([uncut(plane, scene.shape[2:], whole=True) for plane in smoothed])
    else:
        smoothed = smooth(_blended(found, tiles.windows, wide), pixels.seen[0], sigma)
    values, seen = pixels.values[:, 0, *inner], pixels.seen[0][inner]
    fresh = values + facts.scaling.extent(smoothed[:, *inner])
    return Patch(index, block, fresh, np.broadcast_to(seen, fresh.shape))


def smooth(change: NDArray[np.float32], seen: NDArray[np.bool_], sigma: float) -> NDArray[np.float32]:
    """A change (C, H, W) low-passed by a Gaussian over what is ``seen`` (H, W) alone, so that an even one stays even.

    Normalised convolution (Knutsson and Westin 1993).
    """
    weight = gaussian_filter(seen.astype(np.float32), sigma, mode="constant", truncate=TRUNCATED)
    spread = gaussian_filter(change * seen, (0, sigma, sigma), mode="constant", truncate=TRUNCATED)
    return np.asarray(spread / np.maximum(weight, 1e-6), dtype=np.float32)


def _blended(found: NDArray[np.float32], places: Sequence[Window], part: Window) -> NDArray[np.float32]:
    """Changes of tiles (N, C, *tile) in one (C, h, w), each fading out towards its edge."""
    sums = np.zeros((found.shape[1], part.height, part.width), np.float32)
    weights = np.zeros(sums.shape[1:], np.float32)
    for change, place in zip(found, places, strict=True):
        source = (place.height, place.width)
        fade = np.outer(*(np.sin(np.pi * (np.arange(side) + 0.5) / side) for side in source)).astype(np.float32)
        own = np.stack([uncut(plane, source, whole=False) for plane in change])
        # As much of the tile as lies in the part.
        top, left = place.row - part.row, place.column - part.column
        rows = slice(max(0, top), min(part.height, top + place.height))
        columns = slice(max(0, left), min(part.width, left + place.width))
        of_tile = (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))
        sums[:, rows, columns] += own[:, *of_tile] * fade[of_tile]
        weights[rows, columns] += fade[of_tile]
    return np.asarray(sums / weights, dtype=np.float32)
