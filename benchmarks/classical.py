"""How others fill a hole: from other slices or dates, or, in one image, from its own surroundings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rasterio.fill import fillnodata
from scipy.interpolate import Akima1DInterpolator, PchipInterpolator
from skimage.restoration import inpaint_biharmonic

from augmentor.holes.priors import ALONG, Mask, Prior, Values, completed, flowing, harmonic, kriging, linear

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


def through(
    curve: type[Akima1DInterpolator | PchipInterpolator],
    values: Values,
    known: Mask,
    positions: Sequence[float],
    index: int,
) -> tuple[Values, Mask]:
    """One of SciPy's curves through all whole slices; linear at an end of them, and where they are fewer than two."""
    there = [s for s in np.flatnonzero(known.all(axis=(1, 2))).tolist() if s != index]
    if not there or not there[0] < index < there[-1]:
        return linear(values, known, positions, index)
    drawn = curve([positions[s] for s in there], values[:, there], axis=1)
    return np.asarray(drawn(positions[index])), np.ones(known.shape[1:], dtype=bool)


def or_linear(prior: Prior, values: Values, known: Mask, positions: Sequence[float], index: int) -> tuple[Values, Mask]:
    """A prior's answer; linear where it says nothing."""
    found, said = prior(values, known, positions, index)
    return (found, said) if said.all() else linear(values, known, positions, index)


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
BESIDE["volume"] |= {
    "Akima": partial(through, Akima1DInterpolator),
    "PCHIP": partial(through, PchipInterpolator),
    "along the optical flow": partial(or_linear, flowing),
    "kriging": partial(or_linear, kriging),
}

COUNTS = 65535.0
SMOOTHED = 30
"""Times that GDAL's answer is smoothed; fewer were farther off under clouds in every scene."""

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


def gdal(plane: Plane, hole: NDArray[np.bool_], smoothed: int = 0) -> Plane:
    """GDAL's inverse distance weighting, as far as it takes, ``smoothed`` so many times."""
    far = float(max(hole.shape))
    how = {"max_search_distance": far, "smoothing_iterations": smoothed}
    return np.stack([fillnodata(p.astype(np.float32), ~hole, **how) for p in plane]).astype(float)


INSIDE: dict[str, Callable[[Plane, NDArray[np.bool_]], Plane]] = {
    "harmonic": harmonic,
    "biharmonic": biharmonic,
    "Navier-Stokes": lambda plane, hole: _opencv(plane, hole, cv2.INPAINT_NS),
    "Telea": lambda plane, hole: _opencv(plane, hole, cv2.INPAINT_TELEA),
    "GDAL fillnodata": gdal,
    "GDAL fillnodata, smoothed": partial(gdal, smoothed=SMOOTHED),
}
"""(C, h, w) with a hole (h, w) -> (C, h, w) without."""
