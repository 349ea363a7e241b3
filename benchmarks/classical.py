"""How others fill a hole: from other slices or dates, or, in one image, from its own surroundings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rasterio.fill import fillnodata
from skimage.restoration import inpaint_biharmonic

from augmentor.holes.priors import ALONG, Mask, Prior, Values, completed, harmonic, linear

Plane = NDArray[Any]


def a_line_a_band(values: Values, known: Mask, positions: Sequence[float], index: int) -> tuple[Values, Mask]:
    """Linear interpolation between dates, each band then brought to the date's own by one line (least squares on what
    both show): the usual relative radiometric normalisation."""
    found, said = linear(values, known, positions, index)
    both = known[index] & said
    if both.sum() > 1:
        own = values[:, index]
        lines = [np.polyfit(band[both], target[both], 1) for band, target in zip(found, own, strict=True)]
        found = np.stack([np.polyval(line, band) for line, band in zip(lines, found, strict=True)])
    return found, said


def everywhere(prior: Prior, values: Values, known: Mask, positions: Sequence[float], index: int) -> Values:
    """A prior's answer; where no other slice or date says anything, the plane's own surroundings say it."""
    found, said = prior(values, known, positions, index)
    return completed(found, said, values[:, index], known[index])


BLIND = {"stack": ("linear", "nearest", "median", "seasonal"), "volume": ("linear", "cubic", "nearest")}
"""Names in ``augmentor.holes.priors.ALONG`` of answers that look at nothing of the slice or date itself, by the kind of
a scene."""

BESIDE: dict[str, dict[str, Prior]] = {kind: {name: ALONG[name] for name in names} for kind, names in BLIND.items()}
"""All answers from other slices or dates."""

BESIDE["stack"]["linear, a line a band"] = a_line_a_band

COUNTS = 65535.0
RADIUS = 5
"""Pixels that OpenCV's methods look at around each."""


def biharmonic(plane: Plane, hole: NDArray[np.bool_]) -> Plane:
    """scikit-image's, region by region."""
    return np.asarray(inpaint_biharmonic(plane, hole, split_into_regions=True, channel_axis=0))


def _opencv(plane: Plane, hole: NDArray[np.bool_], method: int) -> Plane:
    painted = []
    for channel in plane.astype(np.float64):
        low, span = channel[~hole].min(), max(float(np.ptp(channel[~hole])), 1e-6)
        # Its sums are off by about one count, whatever the range: made for bytes, and harmless over many counts.
        counts = ((channel - low) / span * COUNTS).astype(np.float32)
        painted.append(cv2.inpaint(counts, hole.astype(np.uint8), RADIUS, method) / COUNTS * span + low)
    return np.where(hole, painted, plane)


def gdal(plane: Plane, hole: NDArray[np.bool_]) -> Plane:
    """GDAL's inverse distance weighting, as far as it takes."""
    far = float(max(hole.shape))
    return np.stack([fillnodata(p.astype(np.float32), ~hole, max_search_distance=far) for p in plane]).astype(float)


INSIDE: dict[str, Callable[[Plane, NDArray[np.bool_]], Plane]] = {
    "harmonic": harmonic,
    "biharmonic": biharmonic,
    "Navier-Stokes": lambda plane, hole: _opencv(plane, hole, cv2.INPAINT_NS),
    "Telea": lambda plane, hole: _opencv(plane, hole, cv2.INPAINT_TELEA),
    "GDAL fillnodata": gdal,
}
"""(C, h, w) with a hole (h, w) -> (C, h, w) without."""
