"""A scene as filling sees it: scaled, with every hole and everything unobserved unknown."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from augmentor.holes.column import Column
from augmentor.holes.ends import Depths, depths, extents, runs_between
from augmentor.holes.hide import Lost
from augmentor.holes.kinds import Holes, Mask
from augmentor.holes.patterns import missing
from augmentor.holes.priors import Variogram
from augmentor.scaling import Scaling
from augmentor.tiles import AT_ONCE, middle
from data_adapters import Scene, Window
from data_adapters.between import Between

SHARES = 8
"""Depths of holes that are told."""

LENGTHS = 32
"""Figures that gaps of several lengths are told by, at most."""


class Beside(Protocol):
    """What else is known of every slice: so many channels, which a window gives as (channels, S, h, w)."""

    @property
    def channels(self) -> int: ...

    def load(self, window: Window) -> NDArray[np.float32]: ...


@dataclass(frozen=True)
class View:
    """``scene`` with its ``holes``, in [-1, 1] units by ``scaling``; what lies ``beside`` tells more of it."""

    scene: Scene
    holes: Holes
    scaling: Scaling
    beside: tuple[Beside, ...] = ()

    @property
    def volume(self) -> bool:
        """Whether slices lie beside each other; dates, and rasters alone, are brought to one radiometry instead."""
        return self.scene.kind == "volume"

    @property
    def alone(self) -> bool:
        """Whether it is one plane, which nothing lies before or behind."""
        return self.scene.shape[1] == 1

    @property
    def lost(self) -> Lost:
        """What a stack lacks: parts of its dates, or, where one is asked for that was never acquired, that date."""
        if self.volume or not isinstance(self.scene, Between):
            return "parts"
        return "date" if self.scene.inside else "later" if self.scene.beside[0] < self.scene.slot else "earlier"

    def load(self, window: Window) -> Column:
        """What a window shows: known where every channel of a pixel is, and zero elsewhere."""
        seen = self._seen(window)
        beside = np.concatenate([seen.beside, *(other.load(window) for other in self.beside)])
        return seen._replace(beside=beside, variogram=self.variogram)

    @cached_property
    def variogram(self) -> Variogram | None:
        """How a volume's slices differ; of one larger than memory, as the middle of the plane shows."""
        if not self.volume:
            return None
        fits = np.prod(self.scene.shape) <= AT_ONCE
        return self._seen(self.scene.plane if fits else middle(self.scene)).differences()

    def _seen(self, window: Window) -> Column:
        pixels = self.scene.read(0, self.scene.shape[1], window)
        hidden = self.holes.hidden(window)
        known = np.asarray((pixels.valid & ~hidden).all(axis=0))
        values = np.where(known, self.scaling.to_unit(pixels.values, 3), 0)
        holes = np.asarray((self.holes(window) if self.holes.unknown else hidden).any(axis=0))
        return Column.of(values, known, self.scene.grid.positions)._replace(holes=holes)

    def made_whole(self, there: Mask) -> list[int]:
        """Slices that are missing between others and are to be made, by which slices (S,) are known."""
        return [self.scene.slot] if isinstance(self.scene, Between) else missing(there)

    @cached_property
    def depths(self) -> Depths:
        """How deep the holes of a volume are, along its slices."""
        return depths(self.scene, self.holes, extents(self.scene, self.holes))

    def deep(self) -> list[int]:
        """How many slices deep holes of a volume are that do not lie at an end, from the least to the most: a few
        figures, each of as many pixels."""
        between = self.depths.between if self.volume else Counter[int]()
        behind = np.cumsum([between[depth] for depth in sorted(between)])
        pixels = (np.arange(SHARES) + 0.5) / SHARES * behind[-1] if len(behind) else []
        return [sorted(between)[i] for i in np.searchsorted(behind, pixels)]

    def gaps(self) -> list[int]:
        """How many slices gaps of whole slices between others span, as far as the middle of the plane shows them; where
        they are not alike, a few figures, each of as many slices."""
        if isinstance(self.scene, Between):
            beside = self.scene.beside
            return [max(1, beside[-1] - beside[0] - 1)]
        window = middle(self.scene)
        made = self.holes(window).any(axis=0).reshape(self.scene.shape[1], -1)
        # Volumes of a 4-D file beside each other.
        lost = made.all(axis=1).reshape(self.scene.volumes, -1).T
        every = sorted(runs_between(lost).elements())
        if len(set(every)) < 2:
            return every
        of_slices = np.repeat(every, every)
        return [
            int(gap) for gap in of_slices[np.linspace(0, len(of_slices) - 1, min(LENGTHS, len(of_slices))).astype(int)]
        ]
