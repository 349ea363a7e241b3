"""How a correction did on hidden parts, and how far to follow it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from augmentor.holes.hide import Hidden


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
    correction = (correction * hidden.hole).astype(np.float64)
    wanted = ((hidden.truth - hidden.prior) * hidden.hole).astype(np.float64)
    strength = (correction * wanted).sum(axis=(0, 2, 3)) / np.maximum((correction**2).sum(axis=(0, 2, 3)), 1e-12)
    gain = np.clip(strength, 0, 1)
    left, prior = errors(hidden, gain[:, None, None] * correction), errors(hidden)
    return Judged(tuple(gain.tolist()), float(prior.mean()), float(left.mean()), tuple(left.tolist()))


def least_gain(correction: NDArray[np.float32], hidden: Hidden) -> tuple[float, ...]:
    """How much of a correction to apply, a channel, for it to have helped on each slice that parts were hidden in.

    Whole dates differ from each other more than their parts do: what helps on the mean of a few may harm the next one.
    """
    every = [Hidden(*(part[hidden.slices == one] for part in hidden)) for one in np.unique(hidden.slices)]
    gains = [judge(correction[hidden.slices == one.slices[0]], one).gain for one in every]
    return tuple(np.min(gains, axis=0).tolist())


def errors(hidden: Hidden, correction: NDArray[np.floating] | float = 0.0) -> NDArray[np.float64]:
    """Mean squared errors (C,) of the prior, with a correction (B, C, h, w) to it if there is one."""
    wanted = (hidden.truth - hidden.prior).astype(np.float64)
    return np.asarray((((wanted - correction) * hidden.hole) ** 2).sum(axis=(0, 2, 3)) / hidden.hole.sum())
