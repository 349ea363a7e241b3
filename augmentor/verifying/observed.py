"""A filled file beside its source: whether every pixel that was observed is still the source's own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from augmentor.errors import NothingToFill
from augmentor.filling.against import REMEDY, alike, made_beside, marked_at, slotted
from augmentor.progress import progress
from data_adapters import Scene, Window, open_scenes
from data_adapters.errors import GridMismatch
from data_adapters.naming import parted

ROWS = 512
"""Rows that are read at once."""


@dataclass(frozen=True)
class Observed:
    """Values that the source observed: ``kept`` as they were, or ``changed``, outside the ``made`` pixels."""

    source: Path
    kept: int
    changed: int
    made: int

    @property
    def fine(self) -> bool:
        return not self.changed

    def __str__(self) -> str:
        said = f"{self.kept} values observed in {self.source} are as they were, {self.made} pixels were made"
        return f"{self.changed} values observed in {self.source} were changed; {said}" if self.changed else said


def observed(result: Path, source: Path) -> Observed:
    """Hold what ``fill`` wrote, a file or a folder, against its source, a mask beside it saying what was made.

    Raises:
        UserError: if they do not lie on one grid, or nothing says what was made.
    """
    theirs = _one(source)
    ours = _like(result, theirs)
    theirs = slotted(theirs, ours, result)
    mask = _mask(result, ours)
    kept = changed = made = 0
    windows = list(_windows(ours))
    with progress("compare", len(windows)) as advance:
        for done, (index, window) in enumerate(windows, 1):
            before, after = theirs.read(index, 1, window), ours.read(index, 1, window)
            new = np.zeros((window.height, window.width), dtype=bool)
            if mask is not None and (at := marked_at(mask, ours, index)) is not None:
                new = mask.read(at, 1, window).values[0, 0] != 0
            told = before.valid & ~new
            same = told & after.valid & (before.values == after.values)
            kept, changed, made = kept + int(same.sum()), changed + int((told & ~same).sum()), made + int(new.sum())
            advance(done)
    return Observed(source, kept, changed, made)


def _one(source: Path) -> Scene:
    scenes = open_scenes(source)
    if len(scenes) != 1:
        raise GridMismatch(f"holds {len(scenes)} scenes", where=source, do="name the file or folder of one")
    return scenes[0]


def _like(result: Path, theirs: Scene) -> Scene:
    """The scene at ``result`` that is the source's; masks beside it have other channels."""
    found = [scene for scene in open_scenes(result) if alike(scene, theirs)]
    if len(found) != 1:
        raise GridMismatch("is not on the grid of the source", where=result, do=REMEDY)
    return found[0]


def _mask(result: Path, ours: Scene) -> Scene | None:
    """The scene of what was made; None where nothing was."""
    if ours.kind == "image":
        raise NothingToFill("has no mask of what was made", where=result, do="compare pictures by eye")
    stem, suffix = parted(result)
    # The ends of an interval have the mask of what lies between them.
    result = result.with_name(stem.removesuffix("_low").removesuffix("_high") + suffix)
    if ours.dates and result.is_dir():
        every = open_scenes(result)
        masks = [scene for scene in every if all(file.stem.endswith("_made") for file in scene.files)]
        return masks[0] if masks else None
    path = made_beside(result)
    return None if path is None else _one(path).on(ours)


def _windows(scene: Scene) -> Iterator[tuple[int, Window]]:
    """Every slice in strips."""
    height, width = scene.shape[2:]
    for index in range(scene.shape[1]):
        for row in range(0, height, ROWS):
            yield index, Window(row, 0, min(ROWS, height - row), width)
