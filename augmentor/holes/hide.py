"""Holes with a known truth: parts of what was observed are hidden, to learn from and to be judged on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from augmentor.holes.context import Context, look
from augmentor.holes.priors import Mask

LARGEST_GAP = 3
"""Neighbouring slices hidden together, at most."""

OVERCAST = 0.2
"""How often each other date is hidden whole, as overcast dates are."""


class Column(NamedTuple):
    """One window of a scene, slice above slice: scaled (C, S, h, w), known (S, h, w), and S positions."""

    values: NDArray[np.float32]
    known: Mask
    positions: Sequence[float]


class Hidden(NamedTuple):
    """Hidden parts: ``told`` (B, K, h, w); ``prior`` and ``truth`` (B, C, h, w); ``hole`` (B, 1, h, w)."""

    told: NDArray[np.float32]
    prior: NDArray[np.float32]
    truth: NDArray[np.float32]
    hole: Mask


class Hider:
    """Draws hidden parts from columns of equal size: whole slices of volumes, patches of rasters and stacks."""

    def __init__(self, columns: Sequence[Column], *, volume: bool, seed: int) -> None:
        self.columns = columns
        self.volume = volume
        self.random = np.random.default_rng(seed)

    def draw(self, size: int) -> Hidden:
        """``size`` hidden parts at random places."""
        drawn = [self._one() for _ in range(size)]
        contexts, truth, holes = zip(*drawn, strict=True)
        return Hidden(
            np.stack([c.told for c in contexts]),
            np.stack([c.prior for c in contexts]),
            np.stack(truth),
            np.stack(holes)[:, None],
        )

    def _one(self) -> tuple[Context, NDArray[np.float32], Mask]:
        while True:
            column = self.columns[int(self.random.integers(len(self.columns)))]
            known = column.known.copy()
            index, hole = self._hide_slices(known) if self.volume else self._hide_patch(known)
            judged = hole & column.known[index]
            if judged.any():
                context = look(column.values, known, column.positions, index, hole, match=not self.volume)
                return context, column.values[:, index], judged

    def _hide_slices(self, known: Mask) -> tuple[int, Mask]:
        """Hide a run of whole slices inside the column, and choose one of them."""
        count = len(known)
        gap = min(int(self.random.integers(1, LARGEST_GAP + 1)), count - 2)
        first = int(self.random.integers(1, count - gap))
        known[first : first + gap] = False
        return first + int(self.random.integers(gap)), np.ones(known.shape[1:], dtype=bool)

    def _hide_patch(self, known: Mask) -> tuple[int, Mask]:
        """Hide the shape of some date's clouds, moved, or an ellipse, in one slice; and whole dates beside it."""
        index = int(self.random.integers(len(known)))
        height, width = known.shape[1:]
        cloudy = [s for s in range(len(known)) if 0.05 < 1 - known[s].mean() < 0.95]
        if cloudy and self.random.random() < 0.7:
            hole = ~known[cloudy[self.random.integers(len(cloudy))]]
            hole = np.roll(hole, self.random.integers((height, width)), axis=(0, 1))
        else:
            rows, columns = np.ogrid[:height, :width]
            centre = self.random.random(2) * (height, width)
            radii = self.random.uniform(0.15, 0.6, 2) * (height, width)
            hole = ((rows - centre[0]) / radii[0]) ** 2 + ((columns - centre[1]) / radii[1]) ** 2 < 1
        for other in range(len(known)):
            if other != index and self.random.random() < OVERCAST:
                known[other] = False
        known[index] &= ~hole
        return index, hole


class Judged(NamedTuple):
    """How a correction did on hidden parts: its best ``gain`` a channel, and mean squared errors, scaled."""

    gain: tuple[float, ...]
    prior_error: float
    error: float


def judge(correction: NDArray[np.float32], hidden: Hidden) -> Judged:
    """How much of a correction (B, C, h, w) to apply, a channel: clip(<t - P, R> / |R|², 0, 1).

    0 means that the prior was not beaten and is to be used as it is.
    """
    correction = correction * hidden.hole
    wanted = (hidden.truth - hidden.prior) * hidden.hole
    strength = (correction * wanted).sum(axis=(0, 2, 3)) / np.maximum((correction**2).sum(axis=(0, 2, 3)), 1e-12)
    gain = np.clip(strength, 0, 1)
    count = hidden.hole.sum() * wanted.shape[1]
    left = ((wanted - gain[:, None, None] * correction) ** 2).sum() / count
    return Judged(tuple(gain.tolist()), float((wanted**2).sum() / count), float(left))
