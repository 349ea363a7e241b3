"""What other slices or dates say of one: public, and each what a careful person would do without a network.

Each prior returns the slice ``index`` as (C, h, w), and where it could say anything, (h, w). The slice itself is not
looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.interpolate import CubicSpline

from augmentor.holes.kinds import Mask
from augmentor.holes.priors.kinds import Values
from augmentor.holes.priors.radiometry import matched

YEAR = 365.25
"""Days."""

FEWEST = 4
"""Whole slices that a cubic spline goes through, at least."""

MOST = 0.95
"""Part of the pixels that any slice shows, which one shows that is nearly whole."""

STEADY = 1e-2
"""How strongly the seasons of a pixel are held to none, as a part of an observation."""


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
    others = without(known, index)
    count = others.sum(axis=0)
    return np.where(others, values, 0).sum(axis=1) / np.maximum(count, 1), count > 0


def cubic(values: Values, known: Mask, positions: Sequence[float], index: int) -> tuple[Values, Mask]:
    """Not-a-knot cubic spline through the eight nearest whole known slices; linear with fewer than ``FEWEST``."""
    used = whole(known, positions, index)
    if not used:
        return linear(values, known, positions, index)
    spline = CubicSpline([positions[s] for s in used], np.where(known[used], values[:, used], 0), axis=1)
    found, told = spline(positions[index]).astype(values.dtype), np.asarray(known[used].all(axis=0))
    if told.all():
        return found, told
    answer, said = linear(values, known, positions, index)
    return np.where(told, found, answer), said


def whole(known: Mask, positions: Sequence[float], index: int) -> list[int]:
    """The eight nearest whole known slices; none where they are fewer than ``FEWEST``, or on one side."""
    there = alike(without(known, index))
    used = sorted(sorted(there, key=lambda s: abs(positions[s] - positions[index]))[:8])
    return used if len(used) >= FEWEST and used[0] < index < used[-1] else []


def without(known: Mask, index: int) -> Mask:
    """What is known (S, h, w) of all slices but one."""
    others = known.copy()
    others[index] = False
    return others


def alike(known: Mask) -> list[int]:
    """Slices that show all that any of them shows; where these are fewer than ``FEWEST``, those that show nearly all.

    What none shows, as the corners round the circle of a CT, is missed in none. Where padding has a value that air
    has, too, each lacks other pixels, and few.
    """
    seen = known.any(axis=0)
    shown = known.sum(axis=(1, 2)) / max(1, seen.sum())
    every, most = (np.flatnonzero(shown >= least).tolist() for least in (1.0, MOST))
    return every if len(every) >= FEWEST else most


def median(values: Values, known: Mask, positions: Sequence[float], index: int) -> tuple[Values, Mask]:
    """The median of all other known values."""
    others = without(known, index)
    said = np.asarray(others.any(axis=0))
    found = np.zeros((values.shape[0], *said.shape), dtype=values.dtype)
    seen = np.where(others[:, said], values[:, :, said], np.nan)
    found[:, said] = np.nanmedian(seen, axis=1)
    return found, said


def seasonal(values: Values, known: Mask, positions: Sequence[float], index: int) -> tuple[Values, Mask]:
    """A mean and one yearly wave, fitted to all other known values of a pixel by least squares; positions are days.

    Source: Zhu and Woodcock 2014, "Continuous change detection and classification of land cover", equation 1,
    without its trend.
    """
    others = without(known, index)
    angle = 2 * np.pi * np.asarray(positions, dtype=float) / YEAR
    wave = np.stack([np.ones_like(angle), np.cos(angle), np.sin(angle)], axis=1)
    products = np.einsum("shw,sa,sb->hwab", others.astype(float), wave, wave)
    products += STEADY * np.diag([1e-6, 1, 1])
    seen = np.einsum("cshw,sa->hwac", np.where(others, values, 0), wave)
    fitted = np.linalg.solve(products, seen)
    said = np.asarray(others.any(axis=0))
    answer = np.einsum("a,hwac->chw", wave[index], fitted)
    return np.where(said, answer, 0).astype(values.dtype), said
