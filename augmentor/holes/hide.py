"""Holes with a known truth: parts of what was observed are hidden, to learn from and to be judged on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from augmentor.holes.column import Column
from augmentor.holes.context import Context, look
from augmentor.holes.patterns import Pattern, laid, reach
from augmentor.holes.priors import Mask
from augmentor.holes.shapes import Shapes, around, ellipse, of_some_slice

GAPS = (1, 2, 3)
"""Neighbouring slices hidden together."""

FLAT = 0.05
"""Range of a part, of the 2 that scaled values span, below which it teaches little."""

LOOK = 128
"""Rows and columns that are looked at together round a hole between dates, or in one of them."""

SHAPED = 0.7
"""How often what is hidden to learn from has the shape of own holes, where there are any; else that of an ellipse."""

PARTS = 4
"""Parts that are taken of one such look."""

ANOTHER = 100
"""Times the usual distance of slices, beyond which another volume of the same file begins."""

ENOUGH = 0.25
"""Slices that can be hidden between two known ones, for each that is missing, for no others to be hidden."""


class Hidden(NamedTuple):
    """Hidden parts: ``told`` (B, K, h, w); ``prior`` and ``truth`` (B, C, h, w); ``hole`` (B, 1, h, w).

    ``slices`` (B,) are those that they were hidden in.
    """

    told: NDArray[np.float32]
    prior: NDArray[np.float32]
    truth: NDArray[np.float32]
    hole: Mask
    slices: NDArray[np.int64]


Part = tuple[Context, NDArray[np.float32], Mask, int]
"""What is told of a hidden part, its truth (C, h, w), where it is judged (h, w), and in which slice it lies."""


Lost = Literal["parts", "date", "earlier", "later"]
"""What is lost: parts of a date, or slices of a volume between others; a whole date; or a date, or slice, and all
earlier or later ones."""


class Hider:
    """Draws hidden parts of one size from columns at least as large: slices of volumes, patches of rasters and stacks.

    Slices are hidden as a column's patterns say, where it has any. Of others, ``gaps`` are how many slices of a volume
    are hidden together, and ``whole`` how often they are hidden whole; the others lose, ``shaped`` so often, the shape
    of the columns' own holes, or an ellipse. What is ``lost`` are parts of dates, or slices between others; each other
    date is ``overcast`` so often, and hidden whole. Of a volume that loses an end, the nearest slice that is left lies
    as many steps away as the first of the ``gaps`` is long. ``prior`` is one of ``holes.priors.ALONG``. A truth that is
    ``levelled`` is brought to the prior's mean in each channel: in what light a whole date was seen cannot be told from
    others. Of parts that are flat, so many are ``passed_over`` in learning. Round a hole in a raster, so many rows and
    columns are ``looked_at``.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        *,
        volume: bool,
        seed: int,
        size: tuple[int, ...] | None = None,
        gaps: Sequence[int] = GAPS,
        whole: float = 1.0,
        prior: str = "linear",
        passed_over: float = 0.0,
        overcast: float = 0.0,
        lost: Lost = "parts",
        levelled: bool = False,
        looked_at: int = LOOK,
        shaped: float = SHAPED,
    ) -> None:
        self.columns = columns
        self.volume = volume
        self.size = size or columns[0].known.shape[1:]
        self.whole = whole
        self.prior = prior
        self.passed_over = passed_over
        self.overcast = overcast
        self.lost = lost
        self.levelled = levelled
        self.looked_at = looked_at
        self.shaped = shaped
        self.random = np.random.default_rng(seed)
        parts = lost == "parts"
        self.away = gaps[0] if volume and not parts else 1
        self.runs = [runs(c, gaps, through=whole == 0) if volume and parts and not c.patterns else [] for c in columns]
        self.edges = [_edge(len(column.told), column.patterns) for column in columns]
        self.shapes = Shapes(columns)
        self.dates = [[] if parts else at_end(c, lost, self.away) if volume else dates(c, lost) for c in columns]
        able = [
            bool(r or d or c.patterns) or (parts and not volume)
            for r, d, c in zip(self.runs, self.dates, columns, strict=True)
        ]
        open_to = np.array(
            [can * c.told[e : len(c.told) - e].sum() for can, c, e in zip(able, columns, self.edges, strict=True)]
        )
        self.share = open_to / max(1, open_to.sum())

    def draw(self, size: int) -> Hidden:
        """``size`` hidden parts at random places."""
        drawn: list[Part] = []
        while len(drawn) < size:
            drawn += self._look()
        contexts, truth, holes, slices = zip(*drawn[:size], strict=True)
        return Hidden(
            np.stack([c.told for c in contexts]),
            np.stack([c.prior for c in contexts]),
            np.stack(truth),
            np.stack(holes)[:, None],
            np.array(slices),
        )

    def _look(self) -> list[Part]:
        """Hide something, look at it, and take parts where the truth may be told; none if that is so nowhere."""
        number = int(self.random.choice(len(self.columns), p=self.share))
        column, dates = self._window(self.columns[number]), self.dates[number]
        turned = self.lost == "date" and self.random.random() < 0.5
        if turned:
            # What changes between two dates may as well change back.
            column, dates = column.backwards(), [len(column.known) - 1 - index for index in dates]
        known = column.known.copy()
        if column.patterns:
            index, hole = self._hide_neighbours(known, column.patterns, self.edges[number])
        elif self.lost == "parts":
            index, hole = self._hide_slices(known, self.runs[number]) if self.volume else self._hide_patch(known)
        else:
            index, hole = self._hide_end(known, dates) if self.volume else self._hide_date(known, dates)
        truth, judged = column.values[:, index], hole & column.told[index]
        places = [place for place in self._places(judged) if self._teaches(truth[:, *place][:, judged[place]])]
        if not places:
            return []
        context = look(column._replace(known=known), index, hole, match=not self.volume, prior=self.prior)
        if self.levelled:
            off = (truth - context.prior)[:, judged].mean(axis=1)
            truth = truth - off[:, None, None]
        own = len(known) - 1 - index if turned else index
        return [(context.part(*place), truth[:, *place], judged[place], own) for place in places]

    def _places(self, judged: Mask) -> list[tuple[slice, slice]]:
        """Windows of the hider's size that hold some of what is judged (h, w)."""
        rows, columns = np.nonzero(judged)
        if not len(rows):
            return []
        count = 1 if judged.shape == self.size else PARTS
        pixels = self.random.integers(len(rows), size=count)
        return [
            around((int(rows[pixel]), int(columns[pixel])), self.size, judged.shape, self.random) for pixel in pixels
        ]

    def _teaches(self, truth: NDArray[np.float32]) -> bool:
        """Whether a part is learned from, by its truth (C, N): most that are flat are not."""
        flat = np.ptp(truth, axis=1).max() < FLAT
        return not (flat and self.random.random() < self.passed_over)

    def _window(self, column: Column) -> Column:
        """A window at a random place, mirrored at random: of the hider's size, or as wide as a look at dates is."""
        height, width = column.known.shape[1:]
        rows, columns = self.size if self.volume else (min(height, self.looked_at), min(width, self.looked_at))
        top, left = int(self.random.integers(height - rows + 1)), int(self.random.integers(width - columns + 1))
        part = column.part(slice(top, top + rows), slice(left, left + columns))
        down, right = self.random.choice((-1, 1), 2)
        return part.part(slice(None, None, down), slice(None, None, right))

    def _hide_slices(self, known: Mask, runs: Sequence[slice]) -> tuple[int, Mask]:
        """Hide a run of slices, whole or in part, and choose one of them."""
        run = runs[int(self.random.integers(len(runs)))]
        plane = known.shape[1:]
        hole = np.ones(plane, dtype=bool)
        if self.random.random() >= self.whole:
            hole = self._shape(plane)
            beside_it = known[run.start - 1] & known[run.stop] if run.start and run.stop < len(known) else hole
            # Beside what is a hole itself, this one would be deeper.
            hole = hole & beside_it if (hole & beside_it).any() else hole
        known[run] &= ~hole
        return int(self.random.integers(run.start, run.stop)), hole

    def _hide_neighbours(self, known: Mask, patterns: Sequence[Pattern], edge: int) -> tuple[int, Mask]:
        """Hide a slice, none of the first or last ``edge``, and its neighbours but those that a pattern keeps."""
        around = patterns[int(self.random.integers(len(patterns)))]
        index = int(self.random.integers(edge, len(known) - edge))
        known &= laid(around, index, len(known))[:, None, None]
        return index, np.ones(known.shape[1:], dtype=bool)

    def _hide_date(self, known: Mask, dates: Sequence[int]) -> tuple[int, Mask]:
        """Hide a whole date, and all that lie beyond it where that is lost."""
        index = int(self.random.choice(dates))
        first = 0 if self.lost == "earlier" else index
        last = len(known) if self.lost == "later" else index + 1
        known[first:last] = False
        return index, np.ones(known.shape[1:], dtype=bool)

    def _hide_end(self, known: Mask, slices: Sequence[int]) -> tuple[int, Mask]:
        """Hide a slice, all that lie beyond it, and as many nearer ones as are to be hidden with it; judge it where
        any is left."""
        index = int(self.random.choice(slices))
        beyond = slice(index - self.away + 1, None) if self.lost == "later" else slice(0, index + self.away)
        known[beyond] = False
        return index, np.asarray(known.any(axis=0))

    def _hide_patch(self, known: Mask) -> tuple[int, Mask]:
        """Hide a part of one slice; and whole dates beside it."""
        index = int(self.random.integers(len(known)))
        hole = self._shape(known.shape[1:], known if len(known) > 1 else None)
        for other in range(len(known)):
            if other != index and self.random.random() < self.overcast:
                known[other] = False
        known[index] &= ~hole
        return index, hole

    def _shape(self, plane: tuple[int, ...], dates: Mask | None = None) -> Mask:
        """The shape of own holes, or an ellipse, somewhere in a plane; of one of those ``dates`` that are known
        (S, h, w) there, if any."""
        own = None
        if self.random.random() < self.shaped:
            own = self.shapes.draw(plane, self.random) if dates is None else of_some_slice(dates, self.random)
        return ellipse(plane, self.random) if own is None else own


def _edge(count: int, patterns: Sequence[Pattern]) -> int:
    """Slices at each end of ``count`` that are not hidden with neighbours as the patterns say."""
    return min(max(map(reach, patterns), default=0), (count - 1) // 2)


def runs(column: Column, gaps: Sequence[int], *, through: bool = False) -> list[slice]:
    """Runs of observed slices that can be hidden, each as often as its length is in ``gaps``.

    Those between two known slices, as real gaps are, where there are enough of them; else any between known ones; of
    slices that never lie so many together, one by one. Gaps that go ``through`` all slices are all of them, where these
    are to be hidden in part.
    """
    there, told = (np.asarray(mask.any(axis=(1, 2))) for mask in (column.known, column.told))
    steps = np.abs(np.diff(column.positions))
    another = steps > ANOTHER * np.median(steps) if len(steps) else steps

    def between_known(gaps: Sequence[int]) -> list[slice]:
        every = [slice(first, first + gap) for gap in gaps for first in range(1, len(there) - gap)]
        able = [run for run in every if told[run].all() and there[: run.start].any() and there[run.stop :].any()]
        return [run for run in able if not another[run.start - 1 : run.stop].any()]

    whole = [slice(0, len(there)) for gap in gaps if through and gap >= len(there)]
    if whole and len(whole) == len(gaps):
        return whole
    inside = between_known(gaps) or between_known((1,))
    close = [run for run in inside if beside(column, run)]
    hidden = {index for run in close for index in range(run.start, run.stop)}
    found = close if len(hidden) > ENOUGH * (~there).sum() else inside
    # As often as those of any other length, which lie at as many places as there are slices.
    return found + whole * len(there)


def at_end(column: Column, lost: Lost, away: int) -> list[int]:
    """Slices that something may be told of where others are known so many steps ``away``, or more, on the side that is
    left."""
    turn = slice(None) if lost == "later" else slice(None, None, -1)
    told, known = column.told[turn], column.known[turn]
    left = np.logical_or.accumulate(known, axis=0)[: max(0, len(known) - away)]
    able = np.zeros(len(known), dtype=bool)
    able[away:] = (told[away:] & left).any(axis=(1, 2))
    return np.flatnonzero(able[turn]).tolist()


def dates(column: Column, lost: Lost) -> list[int]:
    """Dates that something may be told of, and that others are known beside once they are ``lost``: on both sides of a
    lone date, else on the side that is left."""
    there, told = (np.asarray(mask.any(axis=(1, 2))) for mask in (column.known, column.told))
    known = np.flatnonzero(there)
    if not len(known):
        return []
    least = known[0] + 1 if lost != "earlier" else 0
    most = known[-1] - 1 if lost != "later" else len(told) - 1
    return [int(index) for index in np.flatnonzero(told) if least <= index <= most]


def beside(column: Column, run: slice) -> bool:
    """Whether a run lies between two known slices."""
    return bool(column.known[run.start - 1].any() and column.known[run.stop].any())
