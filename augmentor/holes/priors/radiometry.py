"""One date in the radiometry of another."""

from __future__ import annotations

import cv2
import numpy as np

from augmentor.holes.kinds import Mask
from augmentor.holes.priors.kinds import Values

FINE = 4
"""Pixels of a grid to one ``reach``: what is smoother than that, a coarser grid tells as well, in less time."""


def matched(prior: Values, target: Values, clear: Mask, reach: float = 12.0) -> Values:
    """Local radiometric matching: carry the difference between target and prior (C, h, w) into the hole.

    The difference on clear pixels (h, w) is spread by normalised Gaussian convolution of ``reach`` pixels, so
    that far from clear ground the correction fades to the scene's mean difference.
    """
    if not clear.any():
        return prior
    difference = np.where(clear, target - prior, 0)
    overall = (difference.sum(axis=(1, 2)) / clear.sum())[:, None, None]
    spread = _smooth(np.where(clear, difference - overall, 0), reach)
    weight = _smooth(clear[None].astype(prior.dtype), reach)
    return np.asarray(prior + overall + spread / (weight + 0.05), dtype=prior.dtype)


def _smooth(planes: Values, reach: float) -> Values:
    """Gaussian convolution of each plane (C, h, w), its edge repeated, on a grid of ``FINE`` pixels to a ``reach``;
    OpenCV's, since it is asked for at every part that is learned from, and takes a quarter of the time of scipy's."""
    each, (height, width) = max(1, int(reach / FINE)), planes.shape[1:]
    whole = np.pad(planes, ((0, 0), (0, -height % each), (0, -width % each)), mode="edge")
    coarse = np.asarray(sum(whole[:, down::each, right::each] for down, right in np.ndindex(each, each))) / each**2
    smooth = [cv2.GaussianBlur(plane, (0, 0), reach / each, borderType=cv2.BORDER_REPLICATE) for plane in coarse]
    made = [cv2.resize(plane, whole.shape[:0:-1], interpolation=cv2.INTER_CUBIC) for plane in smooth]
    return np.stack(made)[:, :height, :width]
