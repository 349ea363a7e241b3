"""How wrong a rebuilt pixel may be: an interval that holds nine in ten truths, by what was hidden and is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from augmentor.holes.priors import Mask

COVERED = 0.9
"""Part of the truths that lie in the interval."""

LEAST = 0.1
"""The least spread that is believed, as a part of the usual one: no two samples differ somewhere, and err all the
same."""


@dataclass(frozen=True)
class Doubt:
    """Half of the interval is ``times`` (a number a channel) the spread that is said, and ``least`` added to it."""

    times: tuple[float, ...]
    least: float

    @classmethod
    def calibrated(
        cls, error: NDArray[np.floating], spread: NDArray[np.floating], hole: Mask, least: float | None = None
    ) -> Doubt:
        """From errors and spreads (B, C, h, w) inside hidden parts (B, 1, h, w), by split conformal prediction.

        ``least`` follows the spread unless it is given.

        Source: Lei et al. 2018, "Distribution-free predictive inference for regression", section 5.2 (residuals
        scaled by a spread).
        """
        inside = hole[:, 0]
        spreads = np.moveaxis(spread, 1, -1)[inside]
        least = max(LEAST * float(spreads.mean()), 1e-6) if least is None else least
        ratios = np.abs(np.moveaxis(error, 1, -1)[inside]) / (spreads + least)
        rank = min(1.0, np.ceil((len(ratios) + 1) * COVERED) / len(ratios))
        return cls(tuple(np.quantile(ratios, rank, axis=0).tolist()), least)

    def half(self, spread: NDArray[np.float32]) -> NDArray[np.float32]:
        """Half of the interval (C, h, w) of a spread (C, h, w)."""
        return np.asarray(np.array(self.times, np.float32)[:, None, None] * (spread + np.float32(self.least)))
