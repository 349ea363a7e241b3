"""Where the slices of a series lie: positions along the normal, missing slots, and what forbids a volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_adapters.errors import DuplicatePositions, GeometryError, IrregularSpacing, TiltedSeries

TOLERANCE = 0.01
"""Departure from a regular grid that is still regular, as a part of the spacing."""

SAME = 1e-3
"""Positions this near to each other are one, in mm."""


@dataclass(frozen=True)
class Slots:
    """A regular row of slots: file k lies in slot ``of[k]``; slots count along the normal from 0."""

    spacing: float
    count: int
    of: tuple[int, ...]
    step: NDArray[np.float64]
    origin: NDArray[np.float64]

    @property
    def missing(self) -> tuple[int, ...]:
        return tuple(sorted(set(range(self.count)) - set(self.of)))

    def position(self, slot: int) -> NDArray[np.float64]:
        """ImagePositionPatient of a slot, in mm."""
        return self.origin + slot * self.step


def normal(orientation: Sequence[float]) -> NDArray[np.float64]:
    """Unit normal of ImageOrientationPatient (PS3.3 C.7.6.2.1.1).

    Raises:
        ValueError: if the orientation spans no plane.
    """
    row, column = np.asarray(orientation, dtype=float).reshape(2, 3)
    across = np.cross(row, column)
    length = np.linalg.norm(across)
    if not length > 0.5:
        raise ValueError(f"an orientation of {orientation} spans no plane")
    return np.asarray(across / length)


def along_normal(positions: NDArray[np.float64], orientation: Sequence[float]) -> NDArray[np.float64]:
    """Distance of each position (N, 3) along the normal, in mm."""
    return np.asarray(positions @ normal(orientation))


def find_slots(positions: NDArray[np.float64], orientation: Sequence[float], where: Path) -> Slots:
    """The slots that N >= 2 positions (N, 3) occupy, gaps counted as missing slots.

    Raises:
        DuplicatePositions, TiltedSeries, IrregularSpacing: each naming the positions at fault.
        ValueError: if the orientation spans no plane.
    """
    distance = along_normal(positions, orientation)
    order = np.argsort(distance)
    gaps = np.diff(distance[order])
    if gaps.min() < SAME or (_shear(positions[order], orientation) > TOLERANCE * gaps).any():
        raise diagnose(positions, orientation, where)
    # Counted gap by gap, and the spacing taken over the whole: the smallest gap alone, a little off by
    # rounding, would drift by a slot over a long series (as highdicom's get_volume_positions does).
    slots = np.concatenate([[0], np.cumsum(np.rint(gaps / gaps.min()))]).astype(int)
    spacing = float(distance[order[-1]] - distance[order[0]]) / int(slots[-1])
    if np.abs(distance[order] - distance[order[0]] - slots * spacing).max() > TOLERANCE * spacing:
        raise diagnose(positions, orientation, where)
    of = np.empty_like(slots)
    of[order] = slots
    first, last = positions[order[0]], positions[order[-1]]
    return Slots(spacing, int(slots[-1]) + 1, tuple(of.tolist()), (last - first) / int(slots[-1]), first)


def _shear(positions: NDArray[np.float64], orientation: Sequence[float]) -> NDArray[np.float64]:
    """How far each step between ordered positions (N, 3) leads aside from the normal, in mm: (N - 1,)."""
    steps = np.diff(positions, axis=0)
    across = normal(orientation)
    return np.asarray(np.linalg.norm(steps - (steps @ across)[:, None] * across, axis=1))


def diagnose(positions: NDArray[np.float64], orientation: Sequence[float], where: Path) -> GeometryError:
    """Say why positions form no regular volume: duplicates, tilt or uneven gaps."""
    distance = along_normal(positions, orientation)
    order = np.argsort(distance)
    gaps = np.diff(distance[order])
    same = np.flatnonzero(np.abs(gaps) < SAME)
    if len(same):
        listed = ", ".join(f"{distance[order][i]:.2f}" for i in same[:8])
        return DuplicatePositions(
            f"{len(same)} slice positions occur twice (at {listed} mm along the normal)",
            where=where,
            do="keep one slice a position, or split the series by time, echo or phase",
        )
    shear = _shear(positions[order], orientation)
    uneven = np.abs(gaps / gaps.min() - np.rint(gaps / gaps.min())).max() > TOLERANCE
    listed = ", ".join(f"{g:.2f}" for g in sorted(set(np.round(gaps, 2))))
    if (shear > TOLERANCE * gaps).any():
        angle = np.degrees(np.arctan2(shear.max(), gaps[shear.argmax()]))
        also = f" and uneven gaps of {listed} mm" if uneven else ""
        return TiltedSeries(
            f"slices are sheared against their normal by {angle:.1f} degrees{also} (positions "
            f"{distance.min():.2f} to {distance.max():.2f} mm)",
            where=where,
            do="its slices can be used one by one; resample it to an upright volume to fill it",
        )
    return IrregularSpacing(
        f"gaps between slices are {listed} mm, no multiples of one spacing (positions "
        f"{distance.min():.2f} to {distance.max():.2f} mm)",
        where=where,
        do="its slices can be used one by one; split it at the change of spacing to fill it",
    )
