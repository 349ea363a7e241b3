"""What is known of a window of a scene, slice above slice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from augmentor.holes.kinds import Mask
from augmentor.holes.patterns import Pattern
from augmentor.holes.priors import Variogram


class Column(NamedTuple):
    """One window of a scene, slice above slice: scaled (C, S, h, w), known (S, h, w), and S positions.

    ``told`` (S, h, w) is where the truth may be told: what was observed, and is not kept for another purpose.
    ``beside`` (A, S, h, w) is what else is known of every slice, holes or not: auxiliary rasters. ``patterns`` are the
    neighbours that a hidden slice keeps, where it is not hidden in a run of known ones. ``variogram``
    says how its slices differ, where that is asked of more than one window. ``holes`` (S, h, w) are what is to be
    rebuilt, where that is not all that is unknown.
    """

    values: NDArray[np.float32]
    known: Mask
    positions: Sequence[float]
    told: Mask
    beside: NDArray[np.float32]
    patterns: tuple[Pattern, ...] = ()
    variogram: Variogram | None = None
    holes: Mask | None = None

    @classmethod
    def of(cls, values: NDArray[np.float32], known: Mask, positions: Sequence[float]) -> Column:
        """All that is known may be told, and nothing lies beside it."""
        return cls(values, known, positions, known, np.zeros((0, *known.shape), np.float32))

    def differences(self) -> Variogram:
        """How its slices differ."""
        return Variogram.of(self.values, self.known, self.positions)

    def ends(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The least and the greatest known value of each channel (C, 1, 1); without any, all are possible."""
        axes = (1, 2, 3)
        if not self.known.any():
            every = np.full((len(self.values), 1, 1), np.inf, np.float32)
            return -every, every
        least = self.values.min(axis=axes, where=self.known, initial=np.inf)
        most = self.values.max(axis=axes, where=self.known, initial=-np.inf)
        return least[:, None, None], most[:, None, None]

    def backwards(self) -> Column:
        """The last slice first."""
        return self._replace(
            values=self.values[:, ::-1],
            known=self.known[::-1],
            positions=[-position for position in reversed(self.positions)],
            told=self.told[::-1],
            beside=self.beside[:, ::-1],
            holes=None if self.holes is None else self.holes[::-1],
        )

    def some(self, slices: slice) -> Column:
        """Some of its slices."""
        return self.part(slice(None), slice(None), slices)

    def part(self, rows: slice, columns: slice, slices: slice = slice(None)) -> Column:
        """A window of it, or of some of its slices."""
        place = (slices, rows, columns)
        return self._replace(
            values=self.values[:, *place],
            known=self.known[place],
            positions=self.positions[slices],
            told=self.told[place],
            beside=self.beside[:, *place],
            holes=None if self.holes is None else self.holes[place],
        )
