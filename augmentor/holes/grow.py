"""Holes made larger than a mask says: shadows and haze lie around what it found."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_dilation
from skimage.morphology import disk

from augmentor.holes.kinds import Holes, Mask, Masking
from augmentor.tiles import widened
from data_adapters import Scene, Window


def grown(holes: Holes, scene: Scene, pixels: int) -> Holes:
    """The holes and what lies within so many pixels of them, as far as the scene's files reach."""
    if not pixels:
        return holes

    def larger(of: Masking) -> Masking:
        def mask(window: Window) -> Mask:
            wide, inner = widened(window, pixels, scene.shape[2:])
            found = binary_dilation(of(wide), disk(pixels)[None, None])
            return np.asarray(found[:, :, *inner] & scene.covered(window))

        return mask

    return Holes(larger(holes.made), larger(holes.hidden))
