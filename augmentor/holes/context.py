"""What a network is told about a hole: what is known around it, beside it, and the classical answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augmentor.holes.priors import ALONG, Mask, Values, between, harmonic, matched, neighbours


@dataclass(frozen=True)
class Context:
    """One slice with a hole: ``prior`` (C, h, w) is the classical answer, ``told`` (6C + 5, h, w) the rest.

    ``told`` holds the known pixels of the slice, where they are known, the nearest known values before and
    after, the next ones beyond these, how far all four are, and the prior.
    """

    prior: NDArray[np.float32]
    told: NDArray[np.float32]


def channels(image_channels: int) -> int:
    """Channels of ``Context.told`` for an image of so many channels."""
    return 6 * image_channels + 5


def image_channels(told: NDArray[np.float32]) -> int:
    """Channels of the image that ``Context.told`` tells of; the one after them says where it is clear."""
    return (len(told) - 5) // 6


def look(
    values: Values,
    known: Mask,
    positions: Sequence[float],
    index: int,
    hole: Mask,
    *,
    match: bool,
    prior: str = "linear",
) -> Context:
    """Gather the context of slice ``index`` of (C, S, h, w), known (S, h, w), in its hole (h, w).

    ``prior`` is one of ``ALONG``. ``match`` adapts the neighbours' radiometry to the slice's own clear pixels, as
    ground seen on other dates needs and neighbouring slices do not.
    """
    clear = known[index] & ~hole
    target = values[:, index]
    near = neighbours(values, known, positions, index, match=match)
    away = np.abs(np.subtract(positions, positions[index]))[:, None, None]
    earlier = (np.arange(len(known)) < index)[:, None, None]
    further = known & (away > np.where(earlier, near.to_before, near.to_after))
    beyond = neighbours(values, further, positions, index, match=match)
    answer, said = between(near) if prior == "linear" else ALONG[prior](values, known, positions, index)
    if match and said.any():
        answer = matched(answer, target, clear & said)
    if not said.all():
        # Where no other slice knows anything, the slice's own surroundings answer.
        own = np.where(clear, target, answer)
        answer = np.where(said, answer, harmonic(own, ~clear & ~said))
    answer = np.where(clear, target, answer).astype(np.float32)
    views = [
        np.where(np.isfinite(distance), view, answer)
        for pair in (near, beyond)
        for view, distance in ((pair.before, pair.to_before), (pair.after, pair.to_after))
    ]
    distances = [_distance(d, positions)[None] for pair in (near, beyond) for d in (pair.to_before, pair.to_after)]
    told = np.concatenate([np.where(clear, target, 0.0), clear[None], *views, *distances, answer])
    return Context(answer, told.astype(np.float32))


def _distance(distance: Values, positions: Sequence[float]) -> NDArray[Any]:
    """Distances in typical steps of the axis, squashed to [0, 1]; 1 where there is nothing."""
    step = float(np.median(np.diff(positions))) if len(positions) > 1 else 1.0
    return np.where(np.isfinite(distance), 1 - np.exp(-distance / (4 * max(abs(step), 1e-6))), 1.0)
