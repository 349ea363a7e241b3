"""How wrong a rebuilt pixel may be: an interval that holds nine in ten truths, by what was hidden and is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression, nnls

from augmentor.holes.priors import Mask

Values = NDArray[Any]

COVERED = 0.9
"""Part of the truths that lie in the interval."""

BINS = 32
"""Bins of equal count that spreads are sorted into, at most."""

FEWEST = 256
"""Pixels in a bin, at least."""


@dataclass(frozen=True)
class Curve:
    """Half of the interval by signs of the error, of which ``weights`` (K,) make a spread: ``halves`` at ``spreads``,
    linear between these; as at the first one below it, and in proportion to the spread beyond the last."""

    weights: Values
    spreads: Values
    halves: Values

    @classmethod
    def calibrated(cls, error: Values, signs: Values) -> Curve:
        """From sizes of errors (N,) and their signs (K, N), by split conformal prediction in each bin of spreads.

        A sign counts by as much as the size of the error grows with it, the others given: least squares, none against
        it. What is easy and hardly varies does not make up for what is not: a hole may show other parts of either than
        what was hidden. Source: Mondrian prediction, Vovk et al. 2005, "Algorithmic learning in a random world",
        section 4.5; a larger spread never means a narrower interval (isotonic regression).
        """
        weights = nnls(np.column_stack([signs.T, np.ones_like(error)]), error)[0][:-1]
        spread = weights @ signs
        # Where nothing varies is a bin of its own, however much of it there is.
        some = spread[spread > 0] if spread.any() else spread
        edges = np.unique(np.quantile(some, np.linspace(0, 1, int(np.clip(len(some) // FEWEST, 1, BINS)) + 1)))
        bins = np.minimum(np.searchsorted(edges, spread, side="right") - 1, max(0, len(edges) - 2))
        of_bins = [bins == number for number in np.unique(bins)]
        quantiles = [_conformal(error[of_bin]) for of_bin in of_bins]
        rising = isotonic_regression(quantiles, weights=[of_bin.sum() for of_bin in of_bins]).x
        return cls(weights, np.array([np.median(spread[of_bin]) for of_bin in of_bins]), np.asarray(rising))

    def __call__(self, signs: Values) -> Values:
        """Half of the interval (...) by signs (K, ...)."""
        spread = np.tensordot(self.weights, signs, 1)
        last = self.spreads[-1]
        beyond = np.maximum(spread / last, 1) if last > 0 else 1.0
        return np.asarray(np.interp(spread, self.spreads, self.halves) * beyond)

    def then(self, needed: Curve) -> Curve:
        """The same signs, and for each of its halves what ``needed`` makes of that as its one sign."""
        return replace(self, halves=needed(self.halves[None]))


@dataclass(frozen=True)
class Doubt:
    """Half of the interval by signs of the error, a curve a channel."""

    curves: tuple[Curve, ...]

    @classmethod
    def calibrated(cls, error: Values, signs: Values, hole: Mask) -> Doubt:
        """From errors (B, C, h, w) and their signs (K, B, C, h, w), none negative, inside hidden parts (B, 1, h, w)."""
        return cls(tuple(Curve.calibrated(sizes, told) for sizes, told in _by_channel(error, signs, hole)))

    def then(self, needed: Doubt) -> Doubt:
        """The same signs, and for each half of the interval what ``needed`` has learned to make of it."""
        return Doubt(tuple(map(Curve.then, self.curves, needed.curves)))

    def half(self, signs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Half of the interval (..., C, h, w) by the signs (K, ..., C, h, w)."""
        halves = [curve(told) for curve, told in zip(self.curves, np.moveaxis(signs, -3, 0), strict=True)]
        return np.stack(halves, axis=-3).astype(np.float32)


def _by_channel(error: Values, signs: Values, hole: Mask) -> Iterator[tuple[Values, Values]]:
    """Sizes of errors (N,) and their signs (K, N) inside hidden parts, of each channel."""
    inside = hole[:, 0]
    for channel in range(error.shape[1]):
        yield np.abs(error[:, channel])[inside], signs[:, :, channel][:, inside]


def _conformal(sizes: Values) -> float:
    """The size that nine in ten new ones do not exceed.

    Source: Lei et al. 2018, "Distribution-free predictive inference for regression", section 2.2.
    """
    rank = min(1.0, np.ceil((len(sizes) + 1) * COVERED) / len(sizes))
    return float(np.quantile(sizes, rank))
