"""The hole that a slice or date leaves that was never acquired."""

from __future__ import annotations

import numpy as np

from augmentor.holes.ends import AT_ONCE
from augmentor.holes.kinds import Holes, Mask
from augmentor.tiles import windows
from data_adapters import Scene, Window
from data_adapters.between import Between


def unseen(scene: Scene, covered: Holes | None = None) -> tuple[int, ...]:
    """The slices or dates of a scene that show nothing that is not ``covered``."""
    places = windows(*scene.shape[2:], AT_ONCE, 0.0)
    shown = np.any([_seen(scene, covered, place).any(axis=(0, 2, 3)) for place in places], axis=0)
    return tuple(np.flatnonzero(~shown).tolist())


def _seen(scene: Scene, covered: Holes | None, window: Window) -> Mask:
    """What a window shows that is not covered, (C, S, h, w)."""
    valid = np.array(scene.read(0, scene.shape[1], window).valid)
    return valid & ~covered.hidden(window) if covered else valid


def never_acquired(scene: Between, covered: Holes | None = None) -> Holes:
    """All of the empty slot, as far as any slice or date shows the place.

    ``covered`` are holes of the scene that it is between the slices of: clouds, which are no more looked at than the
    slot itself, and not rebuilt either.
    """

    def known(window: Window) -> Mask:
        seen = _seen(scene.scene, covered, window)
        seen[:, scene.lacking] = False
        return seen

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
