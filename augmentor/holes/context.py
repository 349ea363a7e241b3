"""What a network is told about a hole: what is known around it, beside it, and the classical answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from augmentor.holes.column import Column
from augmentor.holes.priors import Mask, Values, along, between, completed, matched, neighbours, surroundings

REACHES = (1.0, 3.0, 9.0, 27.0)
"""Pixels within which a slice's own surroundings are looked at where no other slice tells anything: four views of
them stand in for those before and after."""


@dataclass(frozen=True)
class Context:
    """One slice with a hole: ``prior`` (C, h, w) is the classical answer, ``told`` (6C + 5 + A, h, w) the rest.

    ``told`` holds the known pixels of the slice, where they are known, the nearest known values before and
    after, the next ones beyond these, how far all four are, the prior, and what else is known of the slice.
    """

    prior: NDArray[np.float32]
    told: NDArray[np.float32]

    def part(self, rows: slice, columns: slice) -> Context:
        """A window of it."""
        return Context(self.prior[:, rows, columns], self.told[:, rows, columns])


def channels(image: int, beside: int = 0) -> int:
    """Channels of ``Context.told`` for an image of so many channels, and so many beside it."""
    return 6 * image + 5 + beside


def look(column: Column, index: int, hole: Mask, *, match: bool, prior: str = "linear") -> Context:
    """Gather the context of slice ``index`` of a column, in its hole (h, w).

    ``prior`` is one of ``ALONG``. ``match`` adapts the neighbours' radiometry to the slice's own clear pixels, as
    ground seen on other dates needs and neighbouring slices do not.
    """
    values, known, positions = column[:3]
    clear = known[index] & ~hole
    target = values[:, index]
    near = neighbours(values, known, positions, index, match=match)
    away = np.abs(np.subtract(positions, positions[index]))[:, None, None]
    earlier = (np.arange(len(known)) < index)[:, None, None]
    further = known & (away > np.where(earlier, near.to_before, near.to_after))
    beyond = neighbours(values, further, positions, index, match=match)
    answer, said = (
        between(near) if prior == "linear" else along(prior, column.variogram)(values, known, positions, index)
    )
    if match and said.any():
        answer = matched(answer, target, clear & said)
    answer = np.where(clear, target, completed(answer, said, target, clear)).astype(np.float32)
    sides = [side for pair in (near, beyond) for side in (pair[::2], pair[1::2])]
    views = [np.where(np.isfinite(distance), view, answer) for view, distance in sides]
    distances = [_distance(distance, positions) for _, distance in sides]
    if not said.all():
        around = _around(target, clear)
        views = [np.where(said, view, other) for view, (other, _) in zip(views, around, strict=True)]
        distances = [np.where(said, distance, rim) for distance, (_, rim) in zip(distances, around, strict=True)]
    own, away, beside = np.where(clear, target, 0), np.stack(distances), column.beside[:, index]
    told = np.concatenate([own, clear[None], *views, away, answer, beside])
    return Context(answer, told.astype(np.float32))


def _around(target: Values, clear: Mask) -> list[tuple[Values, NDArray[Any]]]:
    """What a slice's own clear pixels say of the others, from near to far, and how far those are."""
    rim = distance_transform_edt(~clear) if clear.any() else np.full(clear.shape, np.inf)
    return [(surroundings(target, clear, reach), 1 - np.exp(-rim / (4 * reach))) for reach in REACHES]


def _distance(distance: Values, positions: Sequence[float]) -> NDArray[Any]:
    """Distances in typical steps of the axis, squashed to [0, 1]; 1 where there is nothing."""
    step = float(np.median(np.diff(positions))) if len(positions) > 1 else 1.0
    return np.where(np.isfinite(distance), 1 - np.exp(-distance / (4 * max(abs(step), 1e-6))), 1.0)
