"""Scenes cut some at a time, each parcel into a store of its own: what is cut stays cut, by whoever cut it."""

from __future__ import annotations

import math
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from augmentor.cutting import tiles_of
from augmentor.recipe import Recipe
from augmentor.tiles import AT_ONCE, Origin, Tile, TileStore
from data_adapters import Scene

FOLDER = "parcels"
SCENES = 64
"""Scenes a parcel, at most; a parcel of large ones ends with the scene that makes it ``AT_ONCE`` values."""


@dataclass(frozen=True)
class Parcel:
    """Scenes, the label map of each where there are any, and the folder of the store that their tiles go to."""

    folder: Path
    recipe: Recipe
    scenes: tuple[Scene, ...]
    maps: tuple[Scene | None, ...]


def parcels(recipe: Recipe, scenes: Sequence[Scene], maps: dict[str, Scene], folder: Path) -> Iterator[Parcel]:
    """All scenes, in their order, in parcels below ``folder``."""
    held: list[Scene] = []
    number = values = 0
    for scene in scenes:
        held.append(scene)
        values += math.prod(scene.shape)
        if values >= AT_ONCE or len(held) == SCENES or scene is scenes[-1]:
            of_each = tuple(maps.get(one.name) for one in held)
            yield Parcel(folder / FOLDER / f"{number:06d}", recipe, tuple(held), of_each)
            held, values, number = [], 0, number + 1


def cut(parcel: Parcel) -> Parcel:
    """Cut a parcel into its store, or find that it is cut; gives the parcel back."""
    store = TileStore(parcel.folder)
    if store.finished:
        return parcel
    spans: list[tuple[float, ...]] = []
    left_out: Counter[str] = Counter()

    def tiles() -> Iterator[Tile]:
        for number, (scene, map) in enumerate(zip(parcel.scenes, parcel.maps, strict=True)):
            for tile, span in tiles_of(parcel.recipe, scene, map, left_out):
                spans.append(span)
                # Which of the parcel's scenes it was cut from, by number: names may occur twice.
                yield replace(tile, origin=replace(tile.origin, group=str(number)))

    channels, labelled = parcel.scenes[0].shape[0], any(map is not None for map in parcel.maps)
    count = store.write(tiles(), channels, parcel.recipe.tiles.size, labelled=labelled)
    store.finish({"tiles": count, "spans": spans, "left_out": dict(left_out)})
    return parcel


def tiles_in(cut: Sequence[Parcel], of: Callable[[Scene, Origin], Origin]) -> Iterator[Tile]:
    """The tiles of parcels that are cut, in their order, each told by ``of`` what is known of it."""
    for parcel in cut:
        for tile in TileStore(parcel.folder).tiles():
            scene = parcel.scenes[int(tile.origin.group)]
            yield replace(tile, origin=of(scene, tile.origin))


def told(cut: Sequence[Parcel]) -> tuple[list[tuple[float, ...]], Counter[str]]:
    """How many source pixels each tile's pixel spans, and why others were left out."""
    spans: list[tuple[float, ...]] = []
    left_out: Counter[str] = Counter()
    for parcel in cut:
        facts = TileStore(parcel.folder).facts
        spans += [tuple(span) for span in facts["spans"]]
        left_out.update(facts["left_out"])
    return spans, left_out


def clear(folder: Path) -> None:
    """Remove the parcels below a store's folder, which have been joined."""
    shutil.rmtree(folder / FOLDER, ignore_errors=True)
