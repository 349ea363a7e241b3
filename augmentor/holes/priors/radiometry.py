"""One date in the radiometry of another."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from augmentor.holes.kinds import Mask
from augmentor.holes.priors.kinds import Values


def matched(prior: Values, target: Values, clear: Mask, reach: float = 12.0) -> Values:
    """Local radiometric matching: carry the difference between target and prior into the hole.

    The difference on clear pixels (h, w) is spread by normalised Gaussian convolution of ``reach`` pixels, so
    that far from clear ground the correction fades to the scene's mean difference.
    """
    if not clear.any():
        return prior
    weight = ndimage.gaussian_filter(clear.astype(np.float64), reach, mode="nearest")
    corrected = np.empty_like(prior)
    for channel in range(len(prior)):
        difference = np.where(clear, target[channel] - prior[channel], 0.0)
        overall = difference.sum() / clear.sum()
        spread = ndimage.gaussian_filter(np.where(clear, difference - overall, 0.0), reach, mode="nearest")
        corrected[channel] = prior[channel] + overall + spread / (weight + 0.05)
    return corrected
