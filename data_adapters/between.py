"""A scene with one more slot than it has slices or dates: what was never acquired, on the same grid."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from datetime import date
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_adapters.errors import DuplicatePositions, TiltedSeries, Unwritable, WrongPlace
from data_adapters.scene import Patch, Pixels, Place, Provenance, Scene, Template, Window

NEAR = 1e-3
"""Part of the typical step within which two slices lie at one place."""

PARTS = 8
"""Parts that the distance between two slices is divided into, at most, for a place to lie at one of them."""


@dataclass(frozen=True, kw_only=True)
class Between(Scene):
    """``scene`` with an empty slot, ``slot``, among its slices or dates. That slot alone is written.

    Of a regular volume it is one of several equal steps between slices, as in the ``finer`` scene. Of the scene's own
    slices or dates, some are ``unseen``: nothing of them is to be looked at.
    """

    scene: Scene
    slot: int
    finer_scene: Scene | None = None
    unseen: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.slot < self.shape[1]:
            raise ValueError(f"slot {self.slot} of {self.shape[1]}")

    @property
    def own(self) -> list[int]:
        """The slots that the scene itself has."""
        if self.finer_scene is not None:
            return list(range(0, self.shape[1], (self.shape[1] - 1) // (self.scene.shape[1] - 1)))
        return [index for index in range(self.shape[1]) if index != self.slot]

    @cached_property
    def lacking(self) -> tuple[int, ...]:
        """Which of the scene's own slices are missing, or unseen."""
        return tuple(sorted({*_missing(self.scene), *self.unseen}))

    @property
    def beside(self) -> list[int]:
        """The nearest slots that hold a slice, before the empty one and behind it; one alone where there is no
        other."""
        there = [slot for number, slot in enumerate(self.own) if number not in self.lacking]
        before, behind = ([index for index in there if (index < self.slot) == side] for side in (True, False))
        return [*before[-1:], *behind[:1]]

    @property
    def inside(self) -> bool:
        """Whether the slot lies between others, and not beyond the first or last one."""
        return len(self.beside) == 2

    @property
    def at(self) -> str:
        """Where the slot lies: a date, or a distance along the slices."""
        return self.dates[self.slot] if self.dates else f"{self.grid.positions[self.slot]:.6g} {self.grid.unit}"

    def read(self, first: int, count: int, window: Window | None = None) -> Pixels:
        if self.finer_scene is not None:
            return self.finer_scene.read(first, count, window)
        window = window or self.plane
        here = self.slot - first
        if not 0 <= here < count:
            return self.scene.read(first - (first > self.slot), count, window)
        start = min(first, self.scene.shape[1] - 1)
        found = self.scene.read(start, max(1, count - 1), window)
        if count == 1:
            return Pixels(np.zeros_like(found.values), np.zeros_like(found.valid))
        return Pixels(np.insert(found.values, here, 0, axis=1), np.insert(found.valid, here, False, axis=1))

    def template(self) -> Template:
        return self.scene.template()

    def write_filled(
        self, destination: Path, patches: Iterable[Patch], provenance: Provenance, *, marked: bool = True
    ) -> list[Path]:
        """Write the slot, and nothing of what was acquired: all of it was made, so that there is nothing to mark."""
        day = self.dates[self.slot] if self.dates else ""
        # As the scene would count it.
        number = sum(own < self.slot for own in self.own)
        alone = (replace(patch, slice=number) for patch in patches)
        return self.scene.write_slice(destination, self.grid.positions[self.slot], day, alone, provenance)

    @property
    def classes(self) -> bool:
        return self.scene.classes

    @property
    def corner(self) -> Place | None:
        return self.scene.corner

    def covered(self, window: Window) -> NDArray[np.bool_]:
        """The slot is covered where any date is."""
        if self.finer_scene is not None:
            return self.finer_scene.covered(window)
        there = self.scene.covered(window)
        return np.insert(there, self.slot, there.any(axis=0), axis=0)


def between(scene: Scene, at: str) -> Between:
    """``scene`` with an empty slot at a date (ISO), or so many mm along the slices from the first one.

    Raises:
        Unwritable: if it has neither several dates nor several slices, or nothing says where they lie.
        WrongPlace: if ``at`` is neither, or the scene has a slice there.
        DuplicatePositions: if two of its slices lie at one place.
    """
    if scene.volumes > 1:
        raise Unwritable(
            f"holds {scene.volumes} volumes", where=scene.path, do="split it, and give the one that is meant"
        )
    if scene.shape[1] < 2 or scene.kind not in ("volume", "stack"):
        raise Unwritable(
            f"is a single {scene.kind}, and lies between nothing", where=scene.path, do="give a series, or dates"
        )
    if isinstance(scene.trouble, DuplicatePositions):
        raise scene.trouble
    position, day = _asked(scene, at)
    positions = scene.grid.positions
    step = float(np.median(np.diff(positions)))
    slot = bisect_left(positions, position)
    close = [index for index, other in enumerate(positions) if abs(other - position) < NEAR * step]
    if close:
        there = f"a slice {'is missing' if close[0] in _missing(scene) else 'lies'} at {position:.6g} {scene.grid.unit}"
        raise WrongPlace(
            f"{day} is one of its dates" if day else there,
            where=scene.path,
            do="give another place; what is missing, clouded or damaged is rebuilt by fill",
        )
    if steps := _steps(scene, position):
        finer = scene.finer(steps)
        kept = {field.name: getattr(finer, field.name) for field in fields(Scene)}
        return Between(**kept, scene=scene, slot=round(position / scene.grid.spacing[0] * steps), finer_scene=finer)
    kept = {field.name: getattr(scene, field.name) for field in fields(Scene)}
    # Days are counted from the first date, wherever the slot lies.
    return Between(
        **kept
        | {
            "shape": (scene.shape[0], scene.shape[1] + 1, *scene.shape[2:]),
            "grid": replace(scene.grid, positions=(*positions[:slot], position, *positions[slot:])),
            "dates": (*scene.dates[:slot], day, *scene.dates[slot:]) if scene.dates else (),
        },
        scene=scene,
        slot=slot,
    )


def _regular(scene: Scene) -> bool:
    """Whether slices lie on a regular row, upright or tilted."""
    return scene.kind == "volume" and isinstance(scene.trouble, TiltedSeries | None)


def _missing(scene: Scene) -> tuple[int, ...]:
    """Slices that are missing between others; of what lies on no regular row, nobody knows of any."""
    return scene.missing() if _regular(scene) else ()


def _steps(scene: Scene, position: float) -> int:
    """Into how few equal steps the distance between slices is to be divided for one to end at a position; 0 where
    there is no such number, or slices lie on no regular row."""
    if not _regular(scene):
        return 0
    if not scene.grid.positions[0] < position < scene.grid.positions[-1]:
        return 0
    at = position / scene.grid.spacing[0]
    return next((steps for steps in range(2, PARTS + 1) if abs(at * steps - round(at * steps)) < NEAR * steps), 0)


def _asked(scene: Scene, at: str) -> tuple[float, str]:
    """The position of what was asked for along the slices, and its date where these are dates."""
    if scene.kind == "stack":
        try:
            day = date.fromisoformat(at)
        except ValueError:
            raise WrongPlace(f"{at!r} is no date", where=scene.path, do="write it as 2018-06-30") from None
        return float((day - date.fromisoformat(scene.dates[0])).days), day.isoformat()
    try:
        position = float(at)
    except ValueError:
        position = float("nan")
    if not np.isfinite(position):
        raise WrongPlace(f"{at!r} is no distance", where=scene.path, do="give mm from the first slice, as 12.5")
    return position / scene.grid.millimetres, ""
