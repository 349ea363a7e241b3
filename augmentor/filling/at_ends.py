"""What fills a volume where others lie on one side of a hole alone: the nearest value again.

No network has learned what to add there: it learns from what lies between others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from augmentor.filling.answer import Answer, Rebuilt
from augmentor.filling.rehearsal import Rehearsal
from augmentor.filling.trial import Trial
from augmentor.holes.column import Column
from augmentor.holes.context import look
from augmentor.holes.ends import steps_away

REPEATED = "repeating the nearest slice"
"""What that is called."""

MOST = 8
"""Distances that it is told of how wrong it is, at most; of others, by the next larger one."""


@dataclass(frozen=True)
class AtEnds:
    """``answers`` by how many steps the nearest known value lies away, and their mean squared ``errors``, scaled.

    ``beyond``, some lie farther away than what is observed reaches, and nobody knows how wrong they are.
    """

    answers: Mapping[int, Answer]
    errors: tuple[float, ...]
    beyond: bool

    @classmethod
    def rehearsed(cls, rehearsal: Rehearsal) -> AtEnds:
        """By slices that are hidden with all that lie beyond them."""
        wanted = {step: count for step, count in sorted(rehearsal.view.depths.steps.items()) if step}
        several = sorted({list(wanted)[i] for i in np.linspace(0, len(wanted) - 1, MOST).round().astype(int)})
        judged = {step: Answer("nearest").judged(Trial(p)) for step in several if (p := rehearsal.at_end(step))}
        answers = {step: answer for step, (answer, _) in judged.items()}
        errors = [(judged[_told(answers, step)][1].errors, n) for step, n in wanted.items() if judged]
        mean = np.average([e for e, _ in errors], axis=0, weights=[n for _, n in errors]) if errors else ()
        return cls(answers, tuple(mean), beyond=several[-1] not in answers)

    def __call__(self, column: Column, index: int, between: Rebuilt) -> Rebuilt:
        """Slice ``index`` of its volume, rebuilt as if all of it lay ``between`` others: with what lies at an end."""
        steps = steps_away(column.known, column.positions, index)
        if not steps.any():
            return between
        context = look(column, index, ~column.known[index], match=False, prior="nearest")
        rebuilt = Rebuilt(*(part.copy() for part in between))
        for step in np.unique(steps[steps > 0]).tolist():
            answer = self.answers[_told(self.answers, step)] if self.answers else Answer("nearest")
            there, made = steps == step, answer(context)
            for part, at_end in zip(rebuilt, made, strict=True):
                part[:, there] = at_end[:, there]
        return rebuilt


def _told(answers: Mapping[int, object], step: int) -> int:
    """The distance by which what lies so many steps away is told: the next larger one, else the largest."""
    return min((other for other in answers if other >= step), default=max(answers))
