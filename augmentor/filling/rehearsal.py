"""A scene's own observed parts, hidden as its holes are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augmentor.filling.columns import columns
from augmentor.filling.trial import Trial
from augmentor.filling.view import View
from augmentor.holes.column import Column
from augmentor.holes.context import look
from augmentor.holes.ends import volumes
from augmentor.holes.hide import GAPS, Hidden, Hider, Lost, runs
from augmentor.holes.judge import errors
from augmentor.holes.priors import FEWEST, FLOWING, KRIGED, SUITED, alike, along, expected_error
from augmentor.learners.corrector import PASSED_OVER

TILE = (32, 32)

JUDGED_ON = 192
"""Hidden parts, kept aside, that a network is judged by."""

LOOKED_AT = 256
"""Rows and columns that are looked at together in judging a plane alone, for hidden parts to be as deep as holes."""

ENDS: tuple[Lost, ...] = ("earlier", "later")
"""What is lost at either end of a volume."""

WHOLE_ONES = 48
"""Slices, hidden whole, that a volume's prior is judged by, at most."""

COMPARED_ON = 96
"""Hidden parts that priors are compared by."""

WIDE, WIDE_ONES = 128, 24
"""Rows and columns of hidden parts by which it is told whether to follow the optical flow, which finds nothing in a
small one that moves far, and how many of them."""

ALIKE = 4.0
"""Times that squared errors between rows may be those between slices, for rows to tell of slices. Where they were 15
and 28 times (``totalseg_mr_sm``, ``abdomen_20``), what was learned from rows made slices worse."""


class Rehearsal:
    """A scene's own observed parts, hidden as its holes are: to choose a prior by, to learn from, to judge by.

    Without ``learning``, nothing need be left to learn from.
    """

    def __init__(self, view: View, tile: tuple[int, ...] = TILE, seed: int = 0, *, learning: bool = True) -> None:
        self.view = view
        self.tile = tile
        self.seed = seed
        gaps = view.gaps()
        self.gaps = gaps or view.deep() or list(GAPS)
        # Where slices or dates are missing whole, such are hidden, and no parts of them.
        self.whole = 1.0 if gaps else 0.0
        self.columns = columns(view, tile, self.gaps, seed, learning=learning)
        found = self.columns
        self.rows = bool(gaps) and self._some(found.aside) and self._some(found.rows_as_hidden)
        self.rows_tell = self.rows and self._rows_are_like_slices()

    def lessons(self, prior: str) -> Hider:
        """Hidden parts to learn from."""
        by_date = self.view.lost != "parts"
        return self._hider(self.learn, 3, prior, passed_over=PASSED_OVER, levelled=by_date)

    def _hider(self, columns: Sequence[Column], seed: int, prior: str, **how: Any) -> Hider:
        return Hider(
            columns,
            volume=self.view.volume,
            seed=self.seed + seed,
            prior=prior,
            **{"size": self.tile, "gaps": self.gaps, "whole": self.whole, "lost": self.view.lost, **how},
        )

    @property
    def learn(self) -> list[Column]:
        """Columns to learn from."""
        return self.columns.own if self.blind else [*self.columns.own, *self.columns.rows]

    @property
    def possible(self) -> bool:
        """Whether enough is observed to hide any of it."""
        return self._some(self.columns.aside)

    @property
    def teaches(self) -> bool:
        """Whether any of that can be learned from, and is not needed to judge by."""
        return self._some(self.learn)

    def _some(self, columns: Sequence[Column]) -> bool:
        """Whether anything of these can be hidden."""
        return bool(columns) and bool(self._hider(columns, 0, "linear").share.any())

    @property
    def blind(self) -> bool:
        """Whether nothing that can be hidden is like the holes."""
        return self.columns.unlike and not self.rows_tell

    def judged_by(self, prior: str) -> Trial:
        """Parts that nothing was learned from; of a plane alone, others as well; of a volume, how its prior errs."""
        if self.view.alone:
            every, aside = [*self.columns.own, *self.columns.aside], self.columns.aside
            everywhere, unseen = (self._drawn(part, JUDGED_ON, 2, prior) for part in (every, aside))
            return Trial(everywhere, unseen=unseen, unlike=True)
        trial = self._trial(prior, JUDGED_ON, 2, self.rows_tell)
        return replace(trial, whole=self._errors_of_whole(prior)) if self.view.volume and self.whole else trial

    def _errors_of_whole(self, prior: str) -> NDArray[np.float64] | None:
        """Squared errors (C,) of a prior, which learned nothing anywhere, in slices that are hidden whole; none where
        no slices can be."""
        hidden = [(column, run) for column in self.columns.both for run in runs(column, self.gaps)]
        squares, count = np.zeros(self.view.scene.shape[0]), 0
        for number, at in enumerate(np.linspace(0, len(hidden) - 1, min(WHOLE_ONES, len(hidden))).round()):
            column, run = hidden[int(at)]
            index = run.start + number % (run.stop - run.start)
            known, judged = column.known.copy(), column.told[index]
            known[run] = False
            made = look(column._replace(known=known), index, judged, match=False, prior=prior).prior
            squares += ((column.values[:, index] - made)[:, judged].astype(np.float64) ** 2).sum(axis=1)
            count += judged.sum()
        return squares / count if count else None

    def watched(self, prior: str) -> Hidden:
        """Parts that nothing was learned from, to see when learning no longer helps."""
        return self._trial(prior, JUDGED_ON, 4, self.rows_tell).alike

    def at_end(self, away: int) -> Hidden | None:
        """Parts of slices that are hidden with all that lie beyond them, the nearest one that is left so many steps
        away; nothing was learned from any. None if no two are so far apart."""
        every = [column.some(volume) for column in self.columns.both for volume in volumes(self.view.scene)]
        hiders = [
            Hider(every, volume=True, seed=self.seed + 5, size=self.tile, gaps=(away,), lost=lost, prior="nearest")
            for lost in ENDS
        ]
        found = [hider.draw(JUDGED_ON // 2) for hider in hiders if hider.share.any()]
        return Hidden(*map(np.concatenate, zip(*found, strict=True))) if found else None

    def _trial(self, prior: str, parts: int, seed: int, rows: bool, *, wide: bool = False) -> Trial:
        found = self.columns
        own, *both = (
            self._drawn(part, parts, seed, prior, **({"size": _wide(part)} if wide else {}))
            for part in (found.aside, *([found.rows_aside, found.rows_as_hidden] if rows else []))
        )
        rows_of_it = (both[0], both[1]) if rows else None
        return Trial(own, rows_of_it, by_date=self.view.lost != "parts", unlike=not self.view.volume)

    def _drawn(self, columns: Sequence[Column], parts: int, seed: int, prior: str, **how: Any) -> Hidden:
        """Hidden parts to judge by; of a plane alone, like the holes in shape and depth, by which it errs most."""
        deep = {"looked_at": LOOKED_AT, "shaped": 1.0} if self.view.alone else {}
        return self._hider(columns, seed, prior, **deep, **how).draw(parts)

    def _compared_by(self, prior: str) -> Trial:
        """Parts that priors, which learn nothing, are compared by: of dates, all that can be hidden."""
        if self.view.lost == "parts":
            return self._trial(prior, COMPARED_ON, 1, self.rows)
        every = [*self.columns.aside, *self.columns.own]
        return Trial(self._hider(every, 1, prior).draw(JUDGED_ON))

    def _rows_are_like_slices(self) -> bool:
        """Whether linear interpolation errs about as much between rows as between slices, both hidden alike."""
        parts = (self.columns.aside, self.columns.rows_as_hidden)
        slices, rows = (self._hider(p, 0, "linear").draw(COMPARED_ON) for p in parts)
        between_rows, between_slices = (float(errors(hidden).mean()) for hidden in (rows, slices))
        return between_slices / ALIKE < between_rows < between_slices * ALIKE

    def best_prior(self) -> str:
        """The classical answer that is to be expected to come closest."""
        suited = SUITED[self.view.scene.kind]
        if len(suited) == 1 or (self.view.volume and not self._seen_whole):
            return suited[0]
        told = self._by_differences(suited)
        # Kriging has nothing to go by but these differences.
        suited = tuple(prior for prior in suited if prior not in KRIGED or np.isfinite(told[prior]))
        if self.blind and not self._all_told(told, suited):
            told = self._by_differences(suited, guessing=True)
        by_differences = self._all_told(told, suited)
        expected = {}
        for prior in suited:
            # Both ways err, each in other volumes; rows that are unlike slices tell less than slices' own differences.
            ways = [told[prior]] if by_differences else []
            if self.rows_tell or not by_differences:
                ways.append(self._wrong(self._compared_by(prior)))
            expected[prior] = float(np.mean(np.log(np.maximum(ways, 1e-12))))
        return min(expected, key=lambda prior: expected[prior])

    def flow_errs(self, prior: str) -> float:
        """The squared error half way from a prior to what lies along the optical flow, on hidden parts, in times of
        that of the prior itself: slices' differences tell nothing of it. Infinite where nothing does."""
        if prior not in FLOWING or self.blind or not self.view.volume:
            return float("inf")
        trials = (self._trial(name, WIDE_ONES, 6, self.rows_tell, wide=True) for name in (FLOWING[prior], prior))
        flowing, plain = map(self._wrong, trials)
        return flowing / max(plain, 1e-12)

    @staticmethod
    def _wrong(trial: Trial) -> float:
        """The mean squared error of a prior in holes, by hidden parts."""
        return float(trial.expected([errors(hidden) for hidden in trial.parts]).mean())

    @property
    def _seen_whole(self) -> bool:
        """Whether there are enough slices that show all that any does: of others, all answers are the linear one."""
        return any(len(alike(column.known)) >= FEWEST for column in self.columns.aside)

    @staticmethod
    def _all_told(told: Mapping[str, float], priors: Sequence[str]) -> bool:
        return bool(np.isfinite([told[prior] for prior in priors]).all())

    def _by_differences(self, priors: Sequence[str], *, guessing: bool = False) -> dict[str, float]:
        """The mean squared errors to be expected of priors in slices that are missing whole; ``guessing`` how slices
        differ at distances that none of them are apart."""
        found: dict[str, list[float]] = {prior: [] for prior in priors}
        for column in self.columns.aside if self.rows else ():
            if (variogram := column.variogram) is None:
                continue
            there = np.asarray(column.known.any(axis=(1, 2)))
            if guessing:
                variogram = variogram.guessed(float(np.median(np.abs(np.diff(column.positions)))))
            made = self.view.made_whole(there)
            for name, of_it in found.items():
                prior = along(name, variogram)
                of_it += [expected_error(prior, there, column.positions, i, variogram) for i in made]
        return {prior: float(np.mean(of_it)) if of_it else float("nan") for prior, of_it in found.items()}


def _wide(columns: Sequence[Column]) -> tuple[int, ...]:
    """The size of wide hidden parts of these."""
    return tuple(min(WIDE, *(column.known.shape[axis] for column in columns)) for axis in (1, 2))
