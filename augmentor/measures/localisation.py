"""How well a map says where something lies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MOST_FALSE = 0.3
"""Part of the pixels beside all regions up to which overlaps are averaged."""


def region_overlap(maps: NDArray[np.floating], truth: NDArray[np.bool_], valid: NDArray[np.bool_]) -> float:
    """The area under the per-region overlap (PRO), of maps (N, H, W) of which higher is more, from 0 to 1.

    At every threshold, the mean part of each connected region of ``truth`` that is found, against the part of the other
    ``valid`` pixels that is found, too; averaged up to ``MOST_FALSE`` of these. Small regions count as large ones.

    Source: Bergmann et al. 2021, "The MVTec anomaly detection dataset", section 5.3.
    """
    from skimage.measure import label

    others = np.sort(maps[valid & ~truth])[::-1]
    places = np.linspace(0, MOST_FALSE, 101)
    # The threshold at which so many of the others are found.
    thresholds = others[np.minimum((places * len(others)).astype(int), len(others) - 1)]
    regions = []
    for plane, marked in zip(maps, truth & valid, strict=True):
        numbered = label(marked)
        for number in range(1, int(numbered.max()) + 1):
            own = np.sort(plane[numbered == number])
            regions.append(1 - np.searchsorted(own, thresholds, side="right") / len(own))
    return float(np.trapezoid(np.mean(regions, axis=0), places) / MOST_FALSE)
