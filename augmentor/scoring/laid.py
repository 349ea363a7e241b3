"""Maps of tiles laid together on the grid of the scene that they were cut from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from augmentor.tiles import Tile, uncut
from data_adapters import Scene, room


class Laid:
    """A number for every pixel of a scene, the mean of all tiles that show it; NaN where none does."""

    def __init__(self, scene: Scene, *, whole: bool) -> None:
        room.taken(8 * int(np.prod(scene.shape[1:])), scene.path)
        self._sums = np.zeros(scene.shape[1:], np.float32)
        self._counts = np.zeros(scene.shape[1:], np.float32)
        self._whole = whole

    def add(self, tile: Tile, values: NDArray[np.float32]) -> None:
        """Lay in the values (*tile) of one tile where it is valid."""
        origin, window = tile.origin, tile.origin.window
        depth = 1 if values.ndim == 2 else len(self._sums) if self._whole else values.shape[0]
        region = (slice(origin.slice, origin.slice + depth), *window.slices)
        there = self._sums[region].shape
        source = there[1:] if values.ndim == 2 else there
        seen = uncut(tile.valid.astype(np.float32), source, whole=self._whole).reshape(there) > 0.5
        laid = uncut(np.where(tile.valid, values, 0), source, whole=self._whole).reshape(there)
        self._sums[region] += np.where(seen, laid, 0)
        self._counts[region] += seen

    @property
    def values(self) -> NDArray[np.float32]:
        """(slices, rows, columns)."""
        return np.where(self._counts > 0, self._sums / np.maximum(self._counts, 1), np.float32(np.nan))
