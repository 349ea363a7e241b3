"""What a network is told about a hole: what is known around it, beside it, and the classical answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augmentor.holes.priors import Mask, Values, between, harmonic, matched, neighbours


@dataclass(frozen=True)
class Context:
    """One slice with a hole: ``prior`` (C, h, w) is the classical answer, ``told`` (4C + 3, h, w) the rest.

    ``told`` holds the known pixels of the slice, where they are known, the nearest known values before and
    after, how far these are, and the prior.
    """

    prior: NDArray[np.float32]
    told: NDArray[np.float32]


def channels(image_channels: int) -> int:
    """Channels of ``Context.told`` for an image of so many channels."""
    return 4 * image_channels + 3


def look(values: Values, known: Mask, positions: Sequence[float], index: int, hole: Mask, *, match: bool) -> Context:
    """Gather the context of slice ``index`` of (C, S, h, w), known (S, h, w), in its hole (h, w).

    ``match`` adapts the neighbours' radiometry to the slice's own clear pixels, as ground seen on other
    dates needs and neighbouring slices do not.
    """
    clear = known[index] & ~hole
    near = neighbours(values, known, positions, index, match=match)
    prior, said = between(near)
    target = values[:, index]
    if match and said.any():
        prior = matched(prior, target, clear & said)
    if not said.all():
        # Where no other slice knows anything, the slice's own surroundings answer.
        own = np.where(clear, target, prior)
        prior = np.where(said, prior, harmonic(own, ~clear & ~said))
    prior = np.where(clear, target, prior).astype(np.float32)
    distances = [_distance(d, positions) for d in (near.to_before, near.to_after)]
    before = np.where(np.isfinite(near.to_before), near.before, prior)
    after = np.where(np.isfinite(near.to_after), near.after, prior)
    told = np.concatenate(
        [np.where(clear, target, 0.0), clear[None], before, after, *(d[None] for d in distances), prior]
    ).astype(np.float32)
    return Context(prior, told)


def _distance(distance: Values, positions: Sequence[float]) -> NDArray[Any]:
    """Distances in typical steps of the axis, squashed to [0, 1]; 1 where there is nothing."""
    step = float(np.median(np.diff(positions))) if len(positions) > 1 else 1.0
    return np.where(np.isfinite(distance), 1 - np.exp(-distance / (4 * max(abs(step), 1e-6))), 1.0)
