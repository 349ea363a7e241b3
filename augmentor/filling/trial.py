"""What an answer is judged by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augmentor.holes.hide import Hidden


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
    """

    own: Hidden
    rows: tuple[Hidden, Hidden] | None = None
    by_date: bool = False
    unlike: bool = False
    unseen: Hidden | None = None

    @property
    def parts(self) -> tuple[Hidden, ...]:
        """All of it."""
        return (self.own, *(self.rows or ()))

    @property
    def alike(self) -> Hidden:
        """Parts that are like the holes: the file's own, and rows with the neighbours that holes have."""
        return Hidden(*map(np.concatenate, zip(*self.parts[:2], strict=True)))

    def expected(self, figures: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """What a positive figure, had of each of ``parts``, is to be expected to be in the holes.

        That of hidden slices, times what neighbours alone make of it in rows.
        """
        own, *rows = figures
        return own * rows[0] / np.maximum(rows[1], 1e-12) if rows else own
