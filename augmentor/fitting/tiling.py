"""How scenes are best cut: the first way that gives tiles enough, on both sides of the split."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from augmentor.fitting.look import Seen
from augmentor.fitting.pace import Machine
from augmentor.ingest import FEWEST, aside
from augmentor.recipe import Recipe, Tiles
from augmentor.tiles import Origin, reach, starts, windows
from data_adapters import Scene

PLENTY = 200
"""Tiles from which on neighbours need not overlap."""

ALIKE = 2
"""How far an image may be shrunk before what is looked at closely is lost."""

CUBE = 32
"""Side of a volume's tile."""


class Cutting(NamedTuple):
    """A way to cut, how many tiles that gives, and why it was chosen."""

    size: tuple[int, ...]
    cut: str
    overlap: float
    tiles: int
    why: str


def cuttings(seen: Seen, machine: Machine, *, fill: bool) -> Iterator[Cutting]:
    """Ways to cut these scenes that give tiles enough, as far as their sizes tell, the best first."""
    for size, cut, overlap, why in _ways(seen, machine, fill=fill):
        count = sum(_count(scene, size, cut, overlap) for scene in seen.scenes)
        # Of few windows, those that overlap come next.
        few = not fill and cut == "grid" and not overlap and count < PLENTY
        if count >= FEWEST and not few and _can_be_split(seen, size, cut, overlap):
            yield Cutting(size, cut, overlap, count, why)


Way = tuple[tuple[int, ...], str, float, str]


def _ways(seen: Seen, machine: Machine, *, fill: bool) -> Iterator[Way]:
    if fill:
        dated = seen.scenes[0].kind == "stack"
        deep = f"of one {'date; the other dates are' if dated else 'slice; those above and below are'} told of each"
        for side in (32, 16):
            # Dates are few and cover much; slices are many.
            for overlap in (0.5,) if dated else (0.0, 0.5):
                yield (side, side), "grid", overlap, deep
        return
    first, least = seen.scenes[0], min(seen.least)
    if first.kind == "volume":
        yield from _of_volumes(seen, least)
    closely = seen.domain[0].detail or first.kind in ("raster", "stack")
    side = _side(least, machine)
    # A label file speaks of whole images.
    whole = not closely or least <= (ALIKE if seen.rows else 1) * side
    shrunk = f"whole images, the smallest {seen.least[0]} x {seen.least[1]}"
    if whole and (first.kind != "volume" or seen.groups > 1):
        yield (side, side), "whole", 0.0, shrunk
    if first.kind == "image" and not closely:
        # A part of a chest is no chest.
        return
    side = _side(least, machine) if closely else 64 if least >= 64 else 32
    more = " or more" if len(seen.scenes) > 1 else ""
    why = f"windows at full detail, of {seen.least[0]} x {seen.least[1]}{more}"
    if first.kind == "volume" and seen.groups == 1:
        why += ": whole slices of one patient alone would leave nothing to hold out"
    for edge in dict.fromkeys((side, 32)):
        for overlap in (0.0, 0.5):
            yield (edge, edge), "grid", overlap, why


def _of_volumes(seen: Seen, least: int) -> Iterator[Way]:
    upright = all(scene.trouble is None for scene in seen.scenes)
    if upright and least >= CUBE and seen.depth // seen.scenes[0].volumes >= CUBE:
        why = f"cubes, coherent from slice to slice: the shallowest volume has {seen.depth} slices"
        yield (CUBE,) * 3, "grid", 0.5, why


def _side(least: int, machine: Machine) -> int:
    """The side of a plane's tile, for images whose smaller side is ``least`` at least."""
    most = 128 if machine.gpu else 64
    return next((side for side in (128, 64) if side <= min(most, least)), 32)


def _count(scene: Scene, size: tuple[int, ...], cut: str, overlap: float) -> int:
    """Tiles of a scene that are not mostly padding."""
    if reach(scene.shape[-len(size) :], size, whole=cut == "whole") < Tiles().valid_at_least:
        return 0
    if cut == "whole":
        return scene.shape[1]
    planes = sum(1 for _ in windows(*scene.shape[2:], size[-2:], overlap))
    return planes * (len(starts(scene.shape[1], size[0], overlap)) if len(size) == 3 else scene.shape[1])


def _can_be_split(seen: Seen, size: tuple[int, ...], cut: str, overlap: float) -> bool:
    """Whether both sides of the split get something, by patients or places, or by windows of a single one."""
    if seen.groups > 1:
        return True
    recipe = Recipe(name="split")
    sides = set()
    for scene in seen.scenes:
        places = [scene.plane] if cut == "whole" else windows(*scene.shape[2:], size[-2:], overlap)
        for window in places:
            sides.add(aside(recipe, Origin(scene.name, "", 0, 0.0, window, False, {}), "", set()))
    return len(sides) == 2
