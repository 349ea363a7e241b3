"""What an answer is judged by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augmentor.holes.hide import Hidden
from augmentor.holes.judge import errors


@dataclass(frozen=True)
class Trial:
    """``own`` are hidden parts of the file's own slices or dates.

    A hidden slice may lack neighbours that the real holes have: where every fourth slice is missing, the second ones.
    A volume's rows can be hidden either way. ``rows`` are the same parts of them twice: with the neighbours that holes
    have, and with those that hidden slices have.

    ``by_date``, what is made is a date whose like is only seen in whole dates, of which there are few. ``unlike``, what
    lies round a hole may be what no hidden part shows, as other days do: slices of one volume are alike.

    Of a plane alone, ``own`` is of all of it, since what fills it errs by the place much more than by what was learned
    there, and a few windows do not tell how much; ``unseen`` are parts that nothing was learned from.

    The windows of a volume that nothing was learned from are few, too, and may be livelier or duller than the rest of
    it; ``whole`` are the prior's squared errors (C,) in slices as they are.
    """

    own: Hidden
    rows: tuple[Hidden, Hidden] | None = None
    by_date: bool = False
    unlike: bool = False
    unseen: Hidden | None = None
    whole: NDArray[np.float64] | None = None

    @property
    def parts(self) -> tuple[Hidden, ...]:
        """All of it."""
        return (self.own, *(self.rows or ()))

    @property
    def alike(self) -> Hidden:
        """Parts that are like the holes: the file's own, and rows with the neighbours that holes have."""
        return Hidden(*map(np.concatenate, zip(*self.parts[:2], strict=True)))

    def expected(self, figures: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """What squared errors (C,), had of each of ``parts``, are to be expected to be in the holes.

        Those of hidden slices, times what neighbours alone make of them in rows, and by how much more, or less, the
        prior errs in whole slices. Source: the ratio estimator (Cochran 1977, "Sampling techniques", chapter 6).
        """
        own, *rows = figures
        expected = own if self.whole is None else self.whole * _times(own, errors(self.own))
        return expected * _times(*rows) if rows else expected


def _times(those: NDArray[Any], others: NDArray[Any]) -> NDArray[Any]:
    """How many times as large as others; once where these tell nothing."""
    return np.divide(those, others, out=np.ones_like(those, dtype=np.float64), where=others > 1e-12)
