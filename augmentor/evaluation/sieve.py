"""Samples let through one by one: none that is nearly a copy of a training image, none that looks like no real one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from augmentor.errors import RunError
from augmentor.evaluation.memory import too_near
from augmentor.evaluation.sets import padded_alike, planes, real_sides
from augmentor.ingest import ingest
from augmentor.measures.copies import nearest
from augmentor.measures.features import random_convolutional
from augmentor.measures.realism import realism
from augmentor.progress import note
from augmentor.run import Run
from augmentor.sampling import Sample

TOGETHER = 32
"""Samples that are looked at together; cut by number, so that none depends on how many are asked."""

PATIENCE = 256
"""Samples that are drawn before a run is given up, and between looks at whether it is to be."""

FEWEST = 1 / 16
"""Part of them that is to come through."""


class Passed(NamedTuple):
    """Samples that came through a sieve, and how many of the others were copies."""

    samples: list[Sample]
    copies: int


class Sieve:
    """What a run's samples are held against: its own real images.

    Dropped are samples nearer to a training image than ``evaluation.copy_at`` says, and those less like training images
    (Kynkäänniemi et al. 2019, section 5) than all but the part ``evaluation.unlike`` of held-out images.

    Raises:
        UserError: if the run's images have gone, or are too few.
    """

    def __init__(self, run: Run, store: Path) -> None:
        self.run = run
        tiles = ingest(run.recipe, store)
        rows = tiles.rows(held_out=False)
        _, self.valid = tiles.load(rows)
        self.conditions = [tiles.index[row].conditions for row in rows]
        train, held_out = (side.planes for side in real_sides(tiles, run.recipe, run.facts))
        limits = run.recipe.evaluation
        self.train = train
        self.near = too_near(nearest(held_out, train).distance, limits)
        self.real = random_convolutional(torch.from_numpy(train))
        self.least = float(np.quantile(self._realism(held_out), limits.unlike))

    def let_through(self, block: Sequence[Sample]) -> Passed:
        """Those of a block that are no copies and look like something real, and how many were copies."""
        copied, unlike = self._dropped(list(block))
        kept = [sample for sample, out in zip(block, copied | unlike, strict=True) if not out]
        return Passed(kept, int(copied.sum()))

    def _dropped(self, block: list[Sample]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which of these are copies, and which are like nothing real."""
        facts = self.run.facts
        shown = padded_alike(block, self.valid, self.conditions)
        unit = facts.scaling.to_unit(np.stack([sample.pixels for sample in block]), len(facts.tile))
        seen = planes(unit, shown)
        return nearest(seen, self.train).distance < self.near, self._realism(seen) < self.least

    def _realism(self, seen: NDArray[np.float32]) -> NDArray[np.float64]:
        return realism(random_convolutional(torch.from_numpy(seen)), self.real)


class Patience:
    """Counts what comes through a run's sieve, says it from time to time, and gives up where hardly anything does."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.seen = self.came = self.copies = 0

    def count(self, seen: int, came: int, copies: int) -> None:
        """Take in a block.

        Raises:
            RunError: if hardly any sample of many came through.
        """
        before, self.seen = self.seen, self.seen + seen
        self.came, self.copies = self.came + came, self.copies + copies
        if before // PATIENCE == self.seen // PATIENCE:
            return
        unlike = self.seen - self.came - self.copies
        said = f"{self.came} of {self.seen} samples came through: {self.copies} were copies, {unlike} like nothing real"
        note(said)
        if self.came < FEWEST * self.seen:
            raise RunError(said, where=self.run.folder, do="train longer, or otherwise; augmentor evaluate says why")
