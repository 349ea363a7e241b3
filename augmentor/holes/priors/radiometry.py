"""One date in the radiometry of another."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from augmentor.holes.kinds import Mask
from augmentor.holes.priors.kinds import Values

FINE = 4
"""Pixels of a grid to one reach: what is smoother than that, a coarser grid tells as well, in less time."""

SMOOTH = 12.0
"""Pixels that radiometry is smooth over; what is finer is detail."""

FEW = 30
"""Pixels whose detail counts as much as the guess that it is as strong in both dates."""

STRONGEST = 2.0
"""Times that detail may be stronger in one date than in another."""

FADING = 0.25
"""Weight of a grid of half as many pixels to a side beside the finer one: so kernels of all widths add up to one that
falls off with the fourth power of the distance."""


def matched(prior: Values, target: Values, clear: Mask) -> Values:
    """``prior`` (C, h, w) as the ``target`` would show it, by what is ``clear`` (h, w) in both.

    Its detail is made as strong as what both show asks for, and what then still parts them is carried into the hole
    from all around, the nearest first: where two dates have no detail in common, only that is left. Source: of clouds,
    the cloning of Lin et al. 2013, "Cloud removal from multitemporal satellite images using information cloning".
    """
    if not clear.any():
        return prior
    likened = strength(prior, target, clear) * prior
    return np.asarray(likened + membrane(np.where(clear, target - likened, 0), clear), dtype=prior.dtype)


def strength(prior: Values, target: Values, clear: Mask) -> Values:
    """How strong the detail of ``target`` is, in times of that of ``prior``: (C, 1, 1), by least squares on what is
    clear; 1 where nothing tells."""
    both = np.concatenate([prior, target])
    own, asked = np.split(np.where(clear, both - surroundings(both, clear, SMOOTH), 0), 2)
    squares = np.square(own).sum(axis=(1, 2))
    guess = FEW / max(1, int(clear.sum())) * squares + 1e-12
    found = ((own * asked).sum(axis=(1, 2)) + guess) / (squares + guess)
    return np.asarray(np.clip(found, 0, STRONGEST)[:, None, None], dtype=prior.dtype)


def membrane(planes: Values, clear: Mask) -> Values:
    """What is clear of each plane (C, h, w), spread smoothly over all of it: means of what is clear, each weighed by
    about the fourth power of its nearness.

    Source: the pyramids of Gortler et al. 1996, "The lumigraph", section 3.5, and Farbman et al. 2011, "Convolution
    pyramids", section 4.2.
    """
    weight = _spread(clear.astype(planes.dtype))
    return np.asarray(np.stack([_spread(np.where(clear, plane, 0)) for plane in planes]) / weight, dtype=planes.dtype)


def _spread(plane: NDArray[Any]) -> NDArray[Any]:
    """A plane (h, w) and all coarser grids of it, each less than the finer one, added up."""
    grids = [plane]
    while max(grids[-1].shape) > 1:
        grids.append(cv2.pyrDown(grids[-1]))
    summed = grids.pop()
    while grids:
        grid = grids.pop()
        summed = grid + FADING * cv2.pyrUp(summed, dstsize=grid.shape[::-1])
    return summed


def surroundings(planes: Values, clear: Mask, reach: float) -> Values:
    """What is clear of each plane (C, h, w) within about ``reach`` pixels: a normalised Gaussian convolution, which
    fades to the mean of all that is clear where nothing is near."""
    if not clear.any():
        return np.zeros_like(planes)
    overall = np.where(clear, planes, 0).sum(axis=(1, 2), keepdims=True) / clear.sum()
    spread = _smooth(np.where(clear, planes - overall, 0), reach)
    weight = _smooth(clear[None].astype(planes.dtype), reach)
    return np.asarray(overall + spread / (weight + 0.05), dtype=planes.dtype)


def _smooth(planes: Values, reach: float) -> Values:
    """Gaussian convolution of each plane (C, h, w), its edge repeated, on a grid of ``FINE`` pixels to a ``reach``;
    OpenCV's, since it is asked for at every part that is learned from, and takes a quarter of the time of scipy's."""
    each, (height, width) = max(1, int(reach / FINE)), planes.shape[1:]
    whole = np.pad(planes, ((0, 0), (0, -height % each), (0, -width % each)), mode="edge")
    coarse = np.asarray(sum(whole[:, down::each, right::each] for down, right in np.ndindex(each, each))) / each**2
    smooth = [cv2.GaussianBlur(plane, (0, 0), reach / each, borderType=cv2.BORDER_REPLICATE) for plane in coarse]
    made = [cv2.resize(plane, whole.shape[:0:-1], interpolation=cv2.INTER_CUBIC) for plane in smooth]
    return np.stack(made)[:, :height, :width]
