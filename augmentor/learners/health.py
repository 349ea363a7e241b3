"""What can go wrong in training, noticed in the learner's own figures and said in plain words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

ALIKE = 0.3
"""Part of the training tiles' spread below which samples have collapsed, if they had twice as much before."""

WON = 0.98
"""Part of the real tiles that outrank the fake beside them, above which the discriminator has nothing to learn."""

BY_HEART = 0.9
"""Part of the way from training tiles to samples that held-out tiles lie, above which tiles are known by heart."""

PATIENCE = 2
"""Looks in a row that a complaint must hold, but for figures that are no numbers."""


class Complaint(NamedTuple):
    """What is wrong, by its name in the recipe's ``health`` section, and in words."""

    kind: str
    said: str


def broken(figures: Mapping[str, float]) -> Complaint | None:
    """A complaint if a figure of a step is no number."""
    for name, value in figures.items():
        if not math.isfinite(value):
            return Complaint("broken", f"its {name} is no number any more")
    return None


class Watch:
    """Looks at what a learner found out of itself, and complains when something stays wrong."""

    def __init__(self) -> None:
        self.in_a_row: dict[str, int] = {}
        self.most = 0.0

    def look(self, figures: Mapping[str, float]) -> list[Complaint]:
        """Complaints after one more look; a figure that is not there is no complaint."""
        spread, outranked = figures.get("spread", 1.0), figures.get("outranked", 0.0)
        known = figures.get("by_heart", 0.0)
        self.most = max(self.most, spread)
        wrong = {
            "collapsed": spread < min(ALIKE, self.most / 2)
            and f"samples have {spread:.0%} of the variety of the training tiles, and had {self.most:.0%}",
            "won": outranked > WON and f"the discriminator tells {outranked:.0%} of real tiles from fakes",
            "memorised": known > BY_HEART
            and "the discriminator takes held-out tiles for fakes: it knows the training tiles by heart",
        }
        self.in_a_row = {kind: self.in_a_row.get(kind, 0) + 1 if said else 0 for kind, said in wrong.items()}
        return [Complaint(kind, said) for kind, said in wrong.items() if said and self.in_a_row[kind] % PATIENCE == 0]

    @property
    def doubts(self) -> list[str]:
        """What was wrong at the last look, complained of or not yet."""
        return [kind for kind, times in self.in_a_row.items() if times]

    def state(self) -> dict[str, Any]:
        return {"in_a_row": dict(self.in_a_row), "most": self.most}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.in_a_row = dict(state["in_a_row"])
        self.most = float(state["most"])
