"""Classical answers to a hole. Public: each is what a careful person would do without a network.

Arrays are (C, S, h, w) values with (S, h, w) ``known``; ``positions`` of the S slices or dates are in mm or
days. Each prior returns the slice ``index`` as (C, h, w), and where it could say anything, (h, w).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.interpolate import CubicSpline
from scipy.sparse.linalg import spsolve

Values = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]


class Neighbours(NamedTuple):
    """The nearest known values on both sides of a slice, pixel by pixel.

    ``before`` and ``after`` are (C, h, w); ``to_before`` and ``to_after`` the distances (h, w) in the unit of
    the positions, infinite where there is none on that side.
    """

    before: Values
    after: Values
    to_before: Values
    to_after: Values


def neighbours(
    values: Values, known: Mask, positions: Sequence[float], index: int, *, match: bool = False
) -> Neighbours:
    """Look along the slice axis from ``index``, itself left out.

    With ``match``, as dates need: mostly clear dates are preferred to nearer but cloudy ones (what a cloud
    mask misses is near clouds), and a date that completes another is brought to its radiometry first, so
    that the composite has no seams.
    """
    height, width = known.shape[1:]
    clear = known.mean(axis=(1, 2))
    sides = []
    for others in (range(index - 1, -1, -1), range(index + 1, known.shape[0])):
        found = np.zeros((values.shape[0], height, width), dtype=values.dtype)
        distance = np.full((height, width), np.inf)
        usable = [s for s in others if clear[s] > 0]
        if match:
            usable.sort(key=lambda s: abs(positions[s] - positions[index]) / clear[s] ** 2)
        for other in usable:
            have = np.isfinite(distance)
            if have.all():
                break
            fresh = known[other] & ~have
            plane = values[:, other]
            if match and (overlap := known[other] & have).any():
                plane = matched(plane, found, overlap)
            found[:, fresh] = plane[:, fresh]
            distance[fresh] = abs(positions[other] - positions[index])
        sides.append((found, distance))
    if match:
        sides = [_complete(*sides[0], *sides[1]), _complete(*sides[1], *sides[0])]
    (before, to_before), (after, to_after) = sides
    return Neighbours(before, after, to_before, to_after)


def _complete(found: Values, distance: Values, other: Values, other_distance: Values) -> tuple[Values, Values]:
    """Lend a side what only the other one saw, in its own radiometry and at its typical distance.

    Otherwise interpolation would change from two sides to one along the edge of a cloud, and show it.
    """
    have, lent = np.isfinite(distance), np.isfinite(other_distance)
    both, lacking = have & lent, lent & ~have
    if not both.any() or not lacking.any():
        return found, distance
    borrowed = matched(other, found, both)
    return np.where(lacking, borrowed, found), np.where(lacking, np.median(distance[have]), distance)


def linear(values: Values, known: Mask, positions: Sequence[float], index: int) -> tuple[Values, Mask]:
    """Linear interpolation between the nearest known values; the nearer one where there is one side only."""
    return between(neighbours(values, known, positions, index))


def between(near: Neighbours) -> tuple[Values, Mask]:
    """Linear interpolation between two neighbours already found."""
    has_before, has_after = np.isfinite(near.to_before), np.isfinite(near.to_after)
    total = np.where(has_before & has_after, near.to_before + near.to_after, 1.0)
    weight = np.where(has_before & has_after, near.to_before / total, has_after)
    return ((1 - weight) * near.before + weight * near.after).astype(near.before.dtype), has_before | has_after


def nearest(values: Values, known: Mask, positions: Sequence[float], index: int) -> tuple[Values, Mask]:
    """The nearest known value along the slice axis."""
    near = neighbours(values, known, positions, index)
    chosen = np.where(near.to_before <= near.to_after, near.before, near.after)
    return chosen, np.isfinite(np.minimum(near.to_before, near.to_after))


def mean(values: Values, known: Mask, positions: Sequence[float], index: int) -> tuple[Values, Mask]:
    """The mean of all other known values."""
    others = known.copy()
    others[index] = False
    count = others.sum(axis=0)
    return np.where(others, values, 0).sum(axis=1) / np.maximum(count, 1), count > 0


def cubic(values: Values, known: Mask, positions: Sequence[float], index: int) -> tuple[Values, Mask]:
    """Not-a-knot cubic spline through the eight nearest whole known slices; linear with fewer than four."""
    whole = [s for s in range(known.shape[0]) if s != index and known[s].all()]
    at = np.array([positions[s] for s in whole])
    order = np.argsort(np.abs(at - positions[index]))[:8]
    used = sorted(whole[i] for i in order)
    if len(used) < 4 or not used[0] < index < used[-1]:
        return linear(values, known, positions, index)
    spline = CubicSpline([positions[s] for s in used], values[:, used], axis=1)
    return spline(positions[index]).astype(values.dtype), np.ones(known.shape[1:], dtype=bool)


def matched(prior: Values, target: Values, clear: Mask, reach: float = 12.0) -> Values:
    """Local radiometric matching: carry the difference between target and prior into the hole.

    The difference on clear pixels (h, w) is spread by normalised Gaussian convolution of ``reach`` pixels, so
    that far from clear ground the correction fades to the scene's mean difference.
    """
    if not clear.any():
        return prior
    weight = ndimage.gaussian_filter(clear.astype(np.float64), reach, mode="nearest")
    corrected = np.empty_like(prior)
    for channel in range(len(prior)):
        difference = np.where(clear, target[channel] - prior[channel], 0.0)
        overall = difference.sum() / clear.sum()
        spread = ndimage.gaussian_filter(np.where(clear, difference - overall, 0.0), reach, mode="nearest")
        corrected[channel] = prior[channel] + overall + spread / (weight + 0.05)
    return corrected


def harmonic(plane: Values, hole: Mask) -> Values:
    """Solve Laplace's equation in the hole of each channel (C, h, w), the rim as boundary, the frame free.

    A hole with no rim at all takes zero.
    """
    filled = plane.astype(np.float64, copy=True)
    if not hole.any():
        return plane
    if hole.all():
        return np.zeros_like(plane)
    height, width = hole.shape
    number = np.full(hole.shape, -1)
    number[hole] = np.arange(hole.sum())
    rows, columns = np.nonzero(hole)
    me = number[rows, columns]
    diagonal = np.zeros(len(me))
    entries: list[tuple[NDArray[Any], NDArray[Any]]] = []
    rim = np.zeros((len(plane), len(me)))
    for down, right in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        r, c = rows + down, columns + right
        inside = (r >= 0) & (r < height) & (c >= 0) & (c < width)
        diagonal += inside
        r, c, who = r[inside], c[inside], me[inside]
        other = number[r, c]
        entries.append((who[other >= 0], other[other >= 0]))
        edge = other < 0
        for channel in range(len(plane)):
            np.add.at(rim[channel], who[edge], filled[channel, r[edge], c[edge]])
    i, j = (np.concatenate(side) for side in zip(*entries, strict=True))
    matrix = sparse.csc_matrix((-np.ones(len(i)), (i, j)), shape=(len(me), len(me))) + sparse.diags(diagonal)
    solved = spsolve(matrix.tocsc(), rim.T).reshape(len(me), len(plane))
    filled[:, rows, columns] = solved.T
    return filled.astype(plane.dtype)


ALONG: dict[str, Callable[[Values, Mask, Sequence[float], int], tuple[Values, Mask]]] = {
    "linear": linear,
    "cubic": cubic,
    "nearest": nearest,
    "mean": mean,
}
"""Priors that look along the slice axis, by name."""
