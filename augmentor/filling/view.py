"""A scene as filling sees it: scaled, with every hole and everything unobserved unknown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from augmentor.holes.kinds import Holes
from augmentor.holes.priors import Mask
from augmentor.scaling import Scaling
from data_adapters import Scene, Window

MIDDLE = 256
"""Side of the part of a plane that is read to judge a scene by."""


@dataclass(frozen=True)
class View:
    """``scene`` with its ``holes``, in [-1, 1] units by ``scaling``."""

    scene: Scene
    holes: Holes
    scaling: Scaling

    @property
    def volume(self) -> bool:
        """Whether slices lie beside each other; dates, and rasters alone, are brought to one radiometry instead."""
        return self.scene.kind == "volume"

    def load(self, window: Window) -> tuple[NDArray[np.float32], Mask]:
        """Scaled values (C, S, h, w), and (S, h, w) where every channel of a pixel is known; zero elsewhere."""
        pixels = self.scene.read(0, self.scene.shape[1], window)
        values = np.moveaxis(self.scaling.to_unit(np.moveaxis(pixels.values, 1, 0)), 0, 1)
        known = np.asarray((pixels.valid & ~self.holes.hidden(window)).all(axis=0))
        return np.where(known, values, np.float32(0)), known

    def gaps(self) -> list[int]:
        """How many slices each gap of whole slices spans, as far as the middle of the plane shows them."""
        window = middle(self.scene)
        made = self.holes(window).any(axis=0).reshape(self.scene.shape[1], -1)
        lost = np.concatenate([[False], made.all(axis=1), [False]]).astype(int)
        edges = np.flatnonzero(np.diff(lost))
        return (edges[1::2] - edges[::2]).tolist()


def middle(scene: Scene) -> Window:
    """The part of a plane by which a scene is judged."""
    height, width = (min(side, MIDDLE) for side in scene.shape[2:])
    return Window((scene.shape[2] - height) // 2, (scene.shape[3] - width) // 2, height, width)
