"""Holes made larger than a mask says: shadows and haze lie around what it found."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_dilation
from skimage.morphology import disk

from augmentor.holes.kinds import Holes, Mask, Masking
from data_adapters import Scene, Window


def grown(holes: Holes, scene: Scene, pixels: int) -> Holes:
    """The holes and what lies within so many pixels of them, as far as the scene's files reach."""
    if not pixels:
        return holes

    def larger(of: Masking) -> Masking:
        def mask(window: Window) -> Mask:
            top, left = max(0, window.row - pixels), max(0, window.column - pixels)
            bottom = min(scene.shape[2], window.row + window.height + pixels)
            right = min(scene.shape[3], window.column + window.width + pixels)
            found = binary_dilation(of(Window(top, left, bottom - top, right - left)), disk(pixels)[None, None])
            own = Window(window.row - top, window.column - left, window.height, window.width)
            return np.asarray(found[:, :, *own.slices] & scene.covered(window))

        return mask

    return Holes(larger(holes.made), larger(holes.hidden))
