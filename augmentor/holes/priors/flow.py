"""What lies between two slices along the optical flow from the one to the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from augmentor.holes.kinds import Mask
from augmentor.holes.priors.along import alike, without
from augmentor.holes.priors.kinds import Values

SMALLEST = 24
"""Rows and columns that a flow is looked for in, at least."""

USUAL = (1.0, 99.5)
"""Percentiles between which 256 grey levels are spread for the flow to be looked for in."""


def flowing(values: Values, known: Mask, positions: Sequence[float], index: int) -> tuple[Values, Mask]:
    """The nearest whole slices on both sides, each moved along the flow to where the missing one lies, and mixed by how
    near they are.

    Nothing is said without one on each side. Source: Kroeger et al. 2016, "Fast Optical Flow using Dense Inverse
    Search", as OpenCV has it, forth and back.
    """
    plane = known.shape[1:]
    there = alike(without(known, index))
    if not there or not there[0] < index < there[-1] or min(plane) < SMALLEST:
        return np.zeros((len(values), *plane), dtype=values.dtype), np.zeros(plane, dtype=bool)
    before, after = max(s for s in there if s < index), min(s for s in there if s > index)
    part = float((positions[index] - positions[before]) / (positions[after] - positions[before]))
    shown = known[[before, after]]
    pair = np.stack([_spread(values[:, s], known[s]) for s in (before, after)], axis=1)
    made = [_mixed(first, second, part) for first, second in pair]
    return np.stack(made).astype(values.dtype), np.asarray(shown.all(axis=0))


def _spread(values: Values, shown: Mask) -> Values:
    """What a slice (C, h, w) does not show is as the nearest pixel that it does: an edge there would not flow."""
    if shown.all():
        return values
    nearest = distance_transform_edt(~shown, return_distances=False, return_indices=True)
    return np.asarray(values[:, *nearest])


def _mixed(first: Values, second: Values, part: float) -> NDArray[Any]:
    """What lies so far from the ``first`` (h, w) to the ``second``."""
    low, high = np.percentile([first, second], USUAL)
    scale = 255 / max(float(high - low), 1e-6)
    one, other = (np.clip((plane - low) * scale, 0, 255).astype(np.uint8) for plane in (first, second))
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    none = np.zeros((*first.shape, 2), np.float32)
    forth, back = search.calc(one, other, none.copy()), search.calc(other, one, none.copy())
    moved = _moved(first, part * np.asarray(forth)), _moved(second, (1 - part) * np.asarray(back))
    return (1 - part) * moved[0] + part * moved[1]


def _moved(plane: Values, by: NDArray[Any]) -> NDArray[Any]:
    """A plane (h, w) moved by (h, w, 2) columns and rows."""
    rows, columns = np.indices(plane.shape, dtype=np.float32)
    places = (columns - by[..., 0]).astype(np.float32), (rows - by[..., 1]).astype(np.float32)
    moved = cv2.remap(plane.astype(np.float32), *places, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved)
