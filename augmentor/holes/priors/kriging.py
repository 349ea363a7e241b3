"""The best linear guess at a slice that is missing whole, by how much slices differ at each distance."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from augmentor.holes.kinds import Mask
from augmentor.holes.priors.along import whole
from augmentor.holes.priors.kinds import Values
from augmentor.holes.priors.variogram import Variogram

NEAREST = 6
"""Slices that kriging weighs."""

WAVES = 64
"""Waves along the slices that a variogram is made up of."""


def kriging(
    values: Values, known: Mask, positions: Sequence[float], index: int, variogram: Variogram | None = None
) -> tuple[Values, Mask]:
    """Ordinary kriging by the six nearest whole known slices, which differ as the ``variogram`` says.

    By default, that is the variogram of the values themselves. Nothing is said with fewer than four slices, with none
    on one side, and where the variogram does not tell. Source: Cressie 1993, "Statistics for Spatial Data", section
    3.2.
    """
    near = whole(known, positions, index)
    used = sorted(sorted(near, key=lambda s: abs(positions[s] - positions[index]))[:NEAREST])
    offsets = tuple(round(float(positions[s] - positions[index]), 6) for s in used)
    found = weights(offsets, variogram or Variogram.of(values, known, positions)) if used else ()
    plane = known.shape[1:]
    if not found:
        return np.zeros((len(values), *plane), dtype=values.dtype), np.zeros(plane, dtype=bool)
    answer = np.tensordot(np.where(known[used], values[:, used], 0), np.array(found, dtype=values.dtype), (1, 0))
    return answer, np.asarray(known[used].all(axis=0))


@lru_cache(maxsize=4096)
def weights(offsets: tuple[float, ...], variogram: Variogram) -> tuple[float, ...]:
    """Weights that sum to one and have the least expected error, of slices that lie at ``offsets`` from the missing
    one; none where the variogram does not tell."""
    at = np.array([*offsets, 0.0])
    apart = np.abs(at[:, None] - at)
    if len(variogram.distances) < 2 or np.isnan(variogram.at(apart)).any() or not max(variogram.differences):
        return ()
    *system, aim = _smoothed(variogram, apart)
    count = len(offsets)
    bordered = np.ones((count + 1, count + 1))
    bordered[:count, :count] = np.array(system)[:, :count]
    bordered[count, count] = 0.0
    return tuple(np.linalg.lstsq(bordered, np.append(aim[:count], 1.0), rcond=None)[0][:count].tolist())


def _smoothed(variogram: Variogram, distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """The variogram that can be one, next to what slices told, as a part of its largest difference.

    Every variogram is a sum of waves of positive power (Cressie 1993, section 2.5); of slices it holds none shorter
    than two of the smallest distance between them.
    """
    frequencies, powers = _waves(variogram)
    return np.asarray((1 - np.cos(distances[..., None] * frequencies)) @ powers)


@lru_cache(maxsize=64)
def _waves(variogram: Variogram) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Frequencies, in radians a unit of distance, and the power of each."""
    distances, differences = np.array(variogram.distances), np.array(variogram.differences)
    frequencies = np.linspace(0, np.pi / distances.min(), WAVES + 1)[1:]
    # Each distance counts by its own difference: what is near is weighed most, and differs least.
    shapes = (1 - np.cos(distances[:, None] * frequencies)) / np.maximum(differences, 1e-12)[:, None]
    return frequencies, nnls(shapes, np.ones(len(distances)))[0] / differences.max()
