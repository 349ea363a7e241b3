"""Other rasters that show what a scene does not: radar under clouds, elevation, another contrast or sensor."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from augmentor.errors import NothingToFill
from augmentor.holes.place import Placed, placed
from augmentor.opening import opened
from augmentor.scaling import Scaling
from augmentor.tiles import middle
from data_adapters import Scene, Window


@dataclass(frozen=True)
class Auxiliary:
    """Another scene, laid on the one that is filled; told in [-1, 1] units by ``scaling``."""

    placed: Placed
    scaling: Scaling

    @property
    def channels(self) -> int:
        """Its own, and one that says where it was observed."""
        return self.placed.cover.shape[0] + 1

    def load(self, window: Window) -> NDArray[np.float32]:
        """(channels, S, h, w), zero where it was not observed."""
        pixels = self.placed.read(window)
        seen = pixels.seen
        return np.concatenate([np.where(seen, self.scaling.to_unit(pixels.values, 3), 0), seen[None]], dtype=np.float32)


def auxiliary(path: Path, scene: Scene) -> Auxiliary:
    """The one scene at a path, on the grid of another or on one coarser by a whole factor; of several dates, each
    tells of the nearest ones.

    Raises:
        UserError: if it does not open as one scene.
        GridMismatch: if it does not lie on the scene's grid.
    """
    found = opened(path)
    if len(found) != 1:
        raise NothingToFill(f"{len(found)} scenes where one auxiliary raster was expected", where=path, do="give one")
    there = placed(found[0].on(scene), scene, path, "auxiliary raster", nearest=True)
    pixels = there.read(middle(scene))
    return Auxiliary(there, Scaling.fit(pixels.values[None], pixels.seen[None], None))
