"""Where the slices of a series lie: positions along the normal, tilt, missing slots, and what forbids slots."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_adapters.errors import DuplicatePositions, GeometryError, IrregularSpacing

TOLERANCE = 0.01
"""Departure from a regular grid that is still regular, as a part of the spacing."""

SAME = 1e-3
"""Positions this near to each other are one, in mm."""

MOST = 1 << 16
"""Slots from which on two slices that nearly touch are no spacing to count by."""

LISTED = 8
"""Places that an error names one by one."""


@dataclass(frozen=True)
class Slots:
    """A regular row of slots: file k lies in slot ``of[k]``; slots count along the normal from 0.

    ``spacing`` is along the normal, in mm. ``tilt`` is the angle between the row and the normal in degrees, 0 where it
    is none: of a CT whose gantry was tilted, slices are sheared against each other.
    """

    spacing: float
    count: int
    of: tuple[int, ...]
    step: NDArray[np.float64]
    origin: NDArray[np.float64]
    tilt: float = 0.0

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

    They may lead aside from the normal, if all do so alike.

    Raises:
        DuplicatePositions, IrregularSpacing: each naming the positions at fault.
        ValueError: if the orientation spans no plane.
    """
    distance = along_normal(positions, orientation)
    order = np.argsort(distance)
    gaps = np.diff(distance[order])
    if gaps.min() < SAME or (_bends(positions[order], orientation) > TOLERANCE * gaps).any():
        raise diagnose(positions, orientation, where)
    # Counted gap by gap, and the spacing taken over the whole: the smallest gap alone, a little off by
    # rounding, would drift by a slot over a long series (as highdicom's get_volume_positions does).
    counted = np.concatenate([[0], np.cumsum(np.rint(gaps / gaps.min()))])
    if counted[-1] >= MOST:
        raise diagnose(positions, orientation, where)
    slots = counted.astype(int)
    spacing = float(distance[order[-1]] - distance[order[0]]) / int(slots[-1])
    if np.abs(distance[order] - distance[order[0]] - slots * spacing).max() > TOLERANCE * spacing:
        raise diagnose(positions, orientation, where)
    of = np.empty_like(slots)
    of[order] = slots
    first, last = positions[order[0]], positions[order[-1]]
    tilt = _tilt(positions[order], orientation)
    return Slots(spacing, int(slots[-1]) + 1, tuple(of.tolist()), (last - first) / int(slots[-1]), first, tilt)


def _aside(positions: NDArray[np.float64], orientation: Sequence[float]) -> NDArray[np.float64]:
    """How each step between ordered positions (N, 3) leads aside from the normal, in mm: (N - 1, 3)."""
    steps = np.diff(positions, axis=0)
    across = normal(orientation)
    return np.asarray(steps - (steps @ across)[:, None] * across)


def _bends(positions: NDArray[np.float64], orientation: Sequence[float]) -> NDArray[np.float64]:
    """How far each step between ordered positions (N, 3) leads off the normal or, where that is less, off one line.

    In mm: (N - 1,).
    """
    aside = _aside(positions, orientation)
    gaps = np.diff(along_normal(positions, orientation))
    tilted = aside - gaps[:, None] * (aside.sum(axis=0) / max(float(gaps.sum()), SAME))
    return np.asarray(min(np.linalg.norm(aside, axis=1), np.linalg.norm(tilted, axis=1), key=max))


def _tilt(positions: NDArray[np.float64], orientation: Sequence[float]) -> float:
    """The angle in degrees between ordered positions (N, 3) and the normal; 0 where it is too small to matter."""
    aside = float(np.linalg.norm(_aside(positions, orientation).sum(axis=0)))
    length = float(np.ptp(along_normal(positions, orientation)))
    return float(np.degrees(np.arctan2(aside, length))) if aside > TOLERANCE * length else 0.0


def diagnose(positions: NDArray[np.float64], orientation: Sequence[float], where: Path) -> GeometryError:
    """Say why positions form no row of slots: duplicates, uneven gaps, or slices that lie beside one line."""
    distance = along_normal(positions, orientation)
    order = np.argsort(distance)
    gaps = np.diff(distance[order])
    same = np.flatnonzero(np.abs(gaps) < SAME)
    if len(same):
        listed = ", ".join(f"{distance[order][i]:.2f}" for i in same[:LISTED])
        return DuplicatePositions(
            f"{len(same)} slice positions occur twice (at {listed} mm along the normal)",
            where=where,
            do="keep one slice a position, or split the series by time, echo or phase",
        )
    reach = f"(positions {distance.min():.2f} to {distance.max():.2f} mm)"
    remedy = "its slices can be used one by one, and damaged ones filled with --mask"
    bends = _bends(positions[order], orientation)
    if (bends > TOLERANCE * gaps).any():
        after = _listed(np.flatnonzero(bends > TOLERANCE * gaps))
        return IrregularSpacing(
            f"slices lie up to {bends.max():.2f} mm beside one line, after slices {after} {reach}",
            where=where,
            do=remedy,
        )
    sizes = _listed(f"{gap:.2f}" for gap in sorted(set(np.round(gaps, 2))))
    changes = [0, *(np.flatnonzero(np.abs(np.diff(gaps)) > TOLERANCE * gaps.min()) + 1).tolist()]
    runs = _listed(f"{gaps[i]:.2f} from slice {i}" for i in changes)
    tilt = _tilt(positions[order], orientation)
    sheared = f"; slices are sheared against their normal by {tilt:.1f} degrees" if tilt else ""
    return IrregularSpacing(
        f"gaps between slices are {sizes} mm, no multiples of one spacing ({runs}){sheared} {reach}",
        where=where,
        do=f"{remedy}; to find missing ones, split it where the spacing changes",
    )


def _listed(found: Iterable[object]) -> str:
    every = [str(one) for one in found]
    return ", ".join(every[:LISTED]) + (", ..." if len(every) > LISTED else "")
