"""How a patient lies in an array: planes, and the turns that show one as a radiologist is used to see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Plane = Literal["axial", "coronal", "sagittal"]

ACROSS: tuple[Plane, ...] = ("sagittal", "coronal", "axial")
"""The plane that lies across each axis, x, y and z."""

COSINES: dict[Plane, tuple[float, ...]] = {
    "axial": (1, 0, 0, 0, 1, 0),
    "coronal": (1, 0, 0, 0, 0, -1),
    "sagittal": (0, 1, 0, 0, 0, -1),
}
"""ImageOrientationPatient (PS3.3 C.7.6.2.1.1) of each plane as it is shown: columns run to the patient's left or back,
rows to the back or the feet. Axes are DICOM's: x to the left, y to the back, z to the head."""

PATIENT = "the patient (RAS, mm)"
"""The coordinate system of places in a patient, as ``Place`` names it: NIfTI's."""

TO_RAS = np.diag([-1.0, -1.0, 1.0])
"""DICOM's axes in NIfTI's, whose x runs to the right and y to the front."""


def nearest_plane(orientation: Sequence[float]) -> Plane:
    """The plane whose normal is nearest to that of an ImageOrientationPatient, which may be oblique."""
    row, column = np.asarray(orientation, dtype=float).reshape(2, 3)
    return ACROSS[int(np.abs(np.cross(row, column)).argmax())]


def directions(plane: Plane) -> NDArray[np.float64]:
    """Unit steps to the next slice, row and column of a plane as it is shown, each an (x, y, z) of DICOM: (3, 3)."""
    along_row, along_column = np.asarray(COSINES[plane], dtype=float).reshape(2, 3)
    return np.stack([np.cross(along_row, along_column), along_column, along_row])


@dataclass(frozen=True)
class Axes:
    """Which axes of an array are the slices, rows and columns that are shown, and which of them run backwards."""

    plane: Plane = "axial"
    order: tuple[int, int, int] = (2, 1, 0)
    backwards: tuple[bool, bool, bool] = (False, False, False)

    @classmethod
    def of(cls, affine: NDArray[Any]) -> Axes:
        """The axes of an array whose indices an affine takes to NIfTI's (x, y, z); its third axis is the slices'."""
        from nibabel.orientations import io_orientation

        found = io_orientation(affine)
        # An axis of no extent leads nowhere; it takes a direction that no other one has.
        free = [world for world in range(3) if world not in found[:, 0]]
        world = [int(w) if np.isfinite(w) else free.pop(0) for w in found[:, 0]]
        sign = np.where(found[:, 1] < 0, -1, 1)
        plane = ACROSS[world[2]]
        shown = directions(plane) @ TO_RAS
        order = [next(a for a in range(3) if step[world[a]] != 0) for step in shown]
        backwards = [bool(step[world[axis]] != sign[axis]) for step, axis in zip(shown, order, strict=True)]
        return cls(plane, tuple(order), tuple(backwards))  # type: ignore[arg-type]

    def first(self, shape: Sequence[int]) -> list[int]:
        """Index in an array (X, Y, Z) of what is shown as the upper left of the first slice."""
        found = [0, 0, 0]
        for axis, back in zip(self.order, self.backwards, strict=True):
            found[axis] = shape[axis] - 1 if back else 0
        return found

    def upright(self, array: NDArray[Any]) -> NDArray[Any]:
        """A view of an array (X, Y, Z, volumes) as (volumes, slices, rows, columns)."""
        steps = tuple(slice(None, None, -1 if back else 1) for back in self.backwards)
        return array.transpose(3, *self.order)[(slice(None), *steps)]


def affine_of(plane: Plane, shape: Sequence[int], spacing: Sequence[float]) -> NDArray[np.float64]:
    """NIfTI's affine of an array (columns, rows, slices) that shows a plane, its middle at the origin.

    ``shape`` and ``spacing`` are those of slices, rows and columns, in this order.
    """
    steps = (directions(plane) * np.asarray(spacing, dtype=float)[:, None]) @ TO_RAS
    affine = np.eye(4)
    affine[:3, :3] = steps[::-1].T
    affine[:3, 3] = -(np.asarray(shape, dtype=float) - 1) / 2 @ steps
    return affine
