"""How a correction did on hidden parts, and how far to follow it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from augmentor.holes.hide import Hidden

GROUPS = 16
"""Groups of parts, drawn one after another, that tell how much a gain differs from one set of parts to the next."""

NINE_IN_TEN = 1.341
"""Standard errors below which one in ten estimates lies: Student's t of GROUPS - 1 degrees of freedom."""


class Judged(NamedTuple):
    """How a correction did on hidden parts: its best ``gain`` a channel, and mean squared errors, scaled.

    ``errors`` are those of each channel, ``error`` that of all.
    """

    gain: tuple[float, ...]
    prior_error: float
    error: float
    errors: tuple[float, ...]


def judge(correction: NDArray[np.float32], hidden: Hidden) -> Judged:
    """How much of a correction (B, C, h, w) to apply, a channel: clip(<t - P, R> / |R|², 0, 1).

    0 means that the prior was not beaten and is to be used as it is.
    """
    gain = np.clip(_strength(*_along(correction, hidden)), 0, 1)
    left, prior = errors(hidden, gain[:, None, None] * correction), errors(hidden)
    return Judged(tuple(gain.tolist()), float(prior.mean()), float(left.mean()), tuple(left.tolist()))


def careful_gain(correction: NDArray[np.float32], hidden: Hidden) -> tuple[float, ...]:
    """How much of a correction to apply, a channel: so much as nine in ten such sets of parts would call for.

    Parts that were drawn together lie together, and are alike: they are left out group by group. Source: the jackknife
    (Tukey 1958; Efron and Stein 1981).
    """
    along, squares = _along(correction, hidden)
    groups = np.array_split(np.arange(len(along)), min(GROUPS, len(along)))
    others = [_strength(*(np.delete(part, group, axis=0) for part in (along, squares))) for group in groups]
    error = np.sqrt((len(groups) - 1) * np.var(others, axis=0))
    return tuple(np.clip(_strength(along, squares) - NINE_IN_TEN * error, 0, 1).tolist())


def least_gain(correction: NDArray[np.float32], hidden: Hidden) -> tuple[float, ...]:
    """How much of a correction to apply, a channel, for it to have helped on each slice that parts were hidden in.

    Whole dates differ from each other more than their parts do: what helps on the mean of a few may harm the next one.
    """
    every = [Hidden(*(part[hidden.slices == one] for part in hidden)) for one in np.unique(hidden.slices)]
    gains = [judge(correction[hidden.slices == one.slices[0]], one).gain for one in every]
    return tuple(np.min(gains, axis=0).tolist())


def _along(correction: NDArray[np.float32], hidden: Hidden) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of each part and channel (B, C): how far a correction goes the way that is wanted, and its own square."""
    correction = (correction * hidden.hole).astype(np.float64)
    wanted = (hidden.truth - hidden.prior).astype(np.float64)
    return (correction * wanted).sum(axis=(2, 3)), (correction**2).sum(axis=(2, 3))


def _strength(along: NDArray[np.float64], squares: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much of a correction (C,) errs least over all parts."""
    return np.asarray(along.sum(axis=0) / np.maximum(squares.sum(axis=0), 1e-12))


def errors(hidden: Hidden, correction: NDArray[np.floating] | float = 0.0) -> NDArray[np.float64]:
    """Mean squared errors (C,) of the prior, with a correction (B, C, h, w) to it if there is one."""
    wanted = (hidden.truth - hidden.prior).astype(np.float64)
    return np.asarray((((wanted - correction) * hidden.hole) ** 2).sum(axis=(0, 2, 3)) / hidden.hole.sum())
