"""How wrong a prior is to be expected to be, by how much slices differ at each distance from each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from augmentor.holes.kinds import Mask
from augmentor.holes.priors.kinds import Prior, Values

FAR = 16
"""Slices apart, and typical steps, at most, that are compared."""

PAIRS = 0.25
"""Pairs of slices at a distance, as a part of those at the commonest one, for it to be told of: where every second
slice is missing, the only neighbours may be two at an end that show nothing."""

STEEPEST = 1.9
"""The power of the distance that differences are guessed to grow by, at most: of the smoothest slices it is 2."""

LOOKED = 8
"""Known slices that interpolation looks at (``cubic``), and so the distance that it asks about, in the shortest one."""

NEAR = 1e-3
"""Part of the typical step within which distances are one."""


@dataclass(frozen=True)
class Variogram:
    """Mean squared difference of two slices ``distances`` apart (N,), increasing; both in the units they came in."""

    distances: tuple[float, ...]
    differences: tuple[float, ...]

    @classmethod
    def of(cls, values: Values, known: Mask, positions: Sequence[float]) -> Variogram:
        """Of every pair of slices of (C, S, h, w), where both are known (S, h, w), at S positions."""
        if len(known) < 2:
            return cls((), ())
        step = float(np.median(np.abs(np.diff(positions))))
        found: dict[int, list[float]] = {}
        for one in range(len(known)):
            for other in range(one + 1, min(len(known), one + 1 + FAR)):
                both = known[one] & known[other]
                apart = round(abs(positions[other] - positions[one]) / (NEAR * step))
                # Slices of another volume of the file lie far from all of this one's.
                if both.any() and apart * NEAR <= FAR:
                    squares = (values[:, one, both] - values[:, other, both]) ** 2
                    found.setdefault(apart, []).append(float(squares.mean(dtype=np.float64)))
        most = max(map(len, found.values()), default=0)
        told = sorted((apart * NEAR * step, float(np.mean(d))) for apart, d in found.items() if len(d) >= PAIRS * most)
        return cls(tuple(d for d, _ in told), tuple(s for _, s in told))

    def at(self, distances: Values) -> Values:
        """Mean squared differences at distances; none (nan) at such as no pairs told of."""
        if not self.distances:
            return np.full(distances.shape, np.nan)
        told = np.array([0.0, *self.distances])
        nearest = np.abs(distances[..., None] - told).argmin(axis=-1)
        step = np.diff(told).min()
        apart = np.abs(told[nearest] - distances) > 0.1 * step
        return np.where(apart, np.nan, np.array([0.0, *self.differences])[nearest])

    def guessed(self, step: float) -> Variogram:
        """With the multiples of ``step`` that no pairs told of, as far as interpolation looks; itself where too little
        is told.

        The power that differences grow by falls with the distance: in logarithms, up to four times the shortest
        distance, they lie on a parabola through that one, its double and its fourfold; beyond, on straight lines.
        """
        least = self.distances[0] if self.distances else np.nan
        doubled = least * np.array([1, 2, 4])
        with np.errstate(divide="ignore"):
            logs = np.log(self.at(doubled))
            told = np.log(self.differences)
        if not np.isfinite(logs).all():
            return self
        curve = np.polyfit(np.log(doubled), logs, 2)
        steps = step * np.arange(1, round(LOOKED * least / step))
        new = steps[np.isnan(self.at(steps))]
        beyond = np.interp(np.log(new), np.log(self.distances), told)
        bent = np.where(new < doubled[-1], np.polyval(curve, np.log(new)), beyond)
        least_of_all = logs[0] + STEEPEST * np.log(new / least)
        guesses = np.exp(np.where(new < least, np.maximum(bent, least_of_all), bent))
        pairs = sorted([*zip(self.distances, self.differences, strict=True), *zip(new, guesses, strict=True)])
        return Variogram(tuple(float(d) for d, _ in pairs), tuple(float(s) for _, s in pairs))


def expected_error(prior: Prior, there: Mask, positions: Sequence[float], index: int, variogram: Variogram) -> float:
    """Mean squared error of a prior that is linear in the slices, at slice ``index``, where ``there`` (S,) are known.

    The variance of a linear predictor, -a'Ga, of weights a (1 at the slice itself) and semivariances G. Source: Cressie
    1993, "Statistics for Spatial Data", section 3.2.1. nan where the variogram does not tell.
    """
    count = len(there)
    impulses = np.eye(count)[:, :, None, None]
    answer, said = prior(impulses, there[:, None, None], positions, index)
    if not said.all():
        return float("nan")
    weights = -answer[:, 0, 0].astype(np.float64)
    weights[index] = 1
    used = np.flatnonzero(np.abs(weights) > 1e-9)
    at = np.asarray(positions, dtype=np.float64)[used]
    differences = variogram.at(np.abs(at[:, None] - at))
    return max(float(-0.5 * weights[used] @ differences @ weights[used]), 0.0)
