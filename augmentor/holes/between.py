"""The hole that a slice or date leaves that was never acquired."""

from __future__ import annotations

import numpy as np

from augmentor.holes.kinds import Holes, Mask
from data_adapters import Window
from data_adapters.between import Between


def never_acquired(scene: Between, covered: Holes | None = None) -> Holes:
    """All of the empty slot, as far as any slice or date shows the place.

    ``covered`` are holes of the scene that it is between the slices of: clouds, which are no more looked at than the
    slot itself, and not rebuilt either.
    """

    def known(window: Window) -> Mask:
        seen = np.array(scene.scene.read(0, scene.scene.shape[1], window).valid)
        seen[:, scene.lacking] = False
        return seen & ~covered.hidden(window) if covered else seen

    def made(window: Window) -> Mask:
        holes = np.zeros((scene.shape[0], scene.shape[1], window.height, window.width), dtype=bool)
        holes[:, scene.slot] = known(window).all(axis=0).any(axis=0)
        return holes

    def unknown(window: Window) -> Mask:
        hidden = np.ones((scene.shape[0], scene.shape[1], window.height, window.width), dtype=bool)
        hidden[:, scene.own] = covered.hidden(window) if covered else False
        hidden[:, [scene.own[number] for number in scene.lacking]] = True
        return hidden

    return Holes(made, unknown)
