"""Which neighbours a slice has left: those of a hole, and those of a slice that is hidden."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from augmentor.holes.kinds import Mask

REACH = 6
"""Slices on each side that are looked at; what lies further is taken as known."""

Pattern = tuple[bool, ...]
"""Which of the slices from ``-REACH`` to ``REACH`` around one are known; itself is not."""


def pattern(there: Mask, index: int) -> Pattern:
    """The known neighbours of slice ``index``, by which slices (S,) are known."""
    wide = np.pad(there, REACH)[index : index + 2 * REACH + 1]
    wide[REACH] = False
    return tuple(wide.tolist())


def missing(there: Mask) -> list[int]:
    """Slices that are missing between others, by which slices (S,) are known."""
    known = np.flatnonzero(there)
    return [i for i in range(known[0], known[-1]) if not there[i]] if len(known) else []


def of_holes(there: Mask) -> tuple[Pattern, ...]:
    """The patterns of the slices (S,) that are missing between others."""
    return tuple(pattern(there, i) for i in missing(there))


def of_hidden(there: Mask, runs: Sequence[slice]) -> tuple[Pattern, ...]:
    """The patterns of slices that are hidden in ``runs``."""
    found = []
    for run in runs:
        left = there.copy()
        left[run] = False
        found += [pattern(left, i) for i in range(run.start, run.stop)]
    return tuple(found)


def laid(around: Pattern, index: int, count: int) -> Mask:
    """Which of ``count`` slices (count,) are known, where slice ``index`` is to have these neighbours."""
    known = np.ones(count + 2 * REACH, dtype=bool)
    known[index : index + 2 * REACH + 1] = around
    return known[REACH : REACH + count]


def reach(around: Pattern) -> int:
    """How far the nearest known slices lie on both sides, at most."""
    known = np.flatnonzero(around) - REACH
    before, after = known[known < 0], known[known > 0]
    return int(max(-before.max(initial=-REACH), after.min(initial=REACH)))


def near(around: Pattern) -> tuple[int, ...]:
    """How far the nearest two known slices lie on each side: those that a network is told of."""
    known = np.flatnonzero(around) - REACH
    return (*known[known < 0][-2:].tolist(), *known[known > 0][:2].tolist())
