"""Scenes to tiles: open, label, split by patient or place, cut, store."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from augmentor import labels
from augmentor.errors import RecipeError, TooLittleData
from augmentor.holes.find import masked
from augmentor.progress import note, progress
from augmentor.recipe import Recipe
from augmentor.tiles import Origin, Tile, TileStore, fit_mask, grid_tile, whole_tile, windows_of
from data_adapters import Scene, Template, Window, open_scenes

FEWEST = 16
"""Tiles below which nothing can be learned and held out."""


def ingest(recipe: Recipe, store: Path = Path("tiles")) -> TileStore:
    """Cut the recipe's data into a tile store below ``store``; an equal finished one is used again.

    Raises:
        UserError: if the data cannot be read, is not labelled, or is too little.
    """
    if recipe.data.path is None:
        raise RecipeError("names no data", where=recipe.name, do="give --data PATH or set data.path")
    scenes = open_scenes(recipe.data.path)
    found = TileStore(store / f"{recipe.name}-{_digest(recipe, scenes)[:12]}")
    if found.finished:
        return found
    every = len(scenes)
    scenes = _like_each_other(scenes)
    if len(scenes) < every:
        note(f"{every - len(scenes)} of {every} scenes are of another kind and left out; see `augmentor inspect`")
    rows = _labelled(recipe, scenes)
    if rows:
        unlabelled = sum(scene.path not in rows for scene in scenes)
        if unlabelled:
            note(f"{unlabelled} of {len(scenes)} images are not in {recipe.data.labels} and left out")
        scenes = [scene for scene in scenes if scene.path in rows]
    groups = {scene.name: _group(recipe, scene, rows) for scene in scenes}
    held_out = _split(recipe, sorted(set(groups.values())))
    template = scenes[0].template()
    if recipe.data.modality:
        template = replace(template, modality=recipe.data.modality)
    spans: list[float] = []

    def cut() -> Iterator[Tile]:
        with progress("ingest", len(scenes)) as advance:
            for number, scene in enumerate(scenes):
                conditions = {name: rows[scene.path][c.column] for name, c in recipe.conditions.items()}
                for tile, span in _tiles(recipe, scene):
                    spans.append(span)
                    group = groups[scene.name]
                    aside = _aside(recipe, tile.origin, group, held_out)
                    origin = replace(tile.origin, group=group, held_out=aside, conditions=conditions)
                    yield replace(tile, origin=origin)
                advance(number + 1, "")

    count = found.write(cut(), scenes[0].shape[0], recipe.tiles.size)
    if count < FEWEST or not found.rows(True) or not found.rows(False):
        raise TooLittleData(
            f"{count} tiles of {len(set(groups.values()))} patients or places",
            where=recipe.data.path,
            do=f"give at least {FEWEST} tiles of two groups, or lower tiles.valid_at_least",
        )
    span = float(np.median(spans))
    between, down, across = template.spacing
    template = replace(template, spacing=(between, down * span, across * span))
    found.finish({"source": str(recipe.data.path), "tiles": count, "template": template.as_dict()})
    return found


def template_of(store: TileStore) -> Template:
    """How samples like the stored tiles are written."""
    return Template.from_dict(store.facts["template"])


def _digest(recipe: Recipe, scenes: list[Scene]) -> str:
    """Changes when the data, or how it is cut, changes."""
    said = recipe.model_dump(mode="json", include={"data", "conditions", "tiles", "task", "seed"})
    seen = [(str(f), f.stat().st_size, f.stat().st_mtime_ns) for scene in scenes for f in scene.files]
    return hashlib.sha256(json.dumps([said, seen], sort_keys=True).encode()).hexdigest()


def _like_each_other(scenes: list[Scene]) -> list[Scene]:
    """Scenes of the commonest format, channels and modality: one run learns one kind of image."""
    kinds = Counter((s.format, s.modality, tuple(c.name for c in s.channels)) for s in scenes)
    common = kinds.most_common(1)[0][0]
    return [s for s in scenes if (s.format, s.modality, tuple(c.name for c in s.channels)) == common]


def _labelled(recipe: Recipe, scenes: list[Scene]) -> dict[Path, labels.Row]:
    if not recipe.data.labels or recipe.data.path is None:
        return {}
    folder = recipe.data.path if recipe.data.path.is_dir() else recipe.data.path.parent
    path = folder / recipe.data.labels
    columns = [condition.column for condition in recipe.conditions.values()]
    if recipe.data.group:
        columns.append(recipe.data.group)
    return labels.match(labels.read(path, columns), path, [scene.path for scene in scenes])


def _group(recipe: Recipe, scene: Scene, rows: dict[Path, labels.Row]) -> str:
    return rows[scene.path][recipe.data.group] if recipe.data.group and rows else scene.group


def _split(recipe: Recipe, groups: list[str]) -> set[str]:
    """Groups that are held out: whole patients or places, the same for a given seed."""
    if len(groups) < 2:
        return set()
    order = np.random.default_rng(recipe.seed).permutation(len(groups))
    count = min(len(groups) - 1, max(1, round(recipe.tiles.held_out * len(groups))))
    return {groups[i] for i in order[:count]}


def _aside(recipe: Recipe, origin: Origin, group: str, held_out: set[str]) -> bool:
    """With one patient or place alone, a run of windows (never of neighbouring slices) is held out."""
    if held_out:
        return group in held_out
    place = hashlib.sha256(repr((recipe.seed, origin.window)).encode()).digest()
    return place[0] / 256 < recipe.tiles.held_out


def _tiles(recipe: Recipe, scene: Scene) -> Iterator[tuple[Tile, float]]:
    """The tiles of one scene with enough observed pixels, and the source pixels that one tile pixel spans."""
    size = recipe.tiles.size
    covered = lru_cache(maxsize=1)(masked(scene, recipe.data.masks)) if recipe.data.masks else None
    missing = set(scene.missing()) if recipe.task == "fill" and scene.kind == "volume" else set()
    for window, index, pixels, valid, span in _cuts(recipe, scene):
        if index in missing:
            valid = np.zeros_like(valid)
        if covered is not None:
            clouds = np.asarray(covered(window)[:, index].any(axis=0))
            valid = valid & ~fit_mask(clouds, size, whole=recipe.tiles.cut == "whole")
        # Filling learns from columns of slices, so that none may be dropped from the middle of one.
        if recipe.task == "fill" or valid.mean() >= recipe.tiles.valid_at_least:
            position = scene.grid.positions[index]
            yield Tile(pixels, valid, Origin(scene.name, scene.group, index, position, window, False, {})), span


def _cuts(recipe: Recipe, scene: Scene) -> Iterator[tuple[Window, int, NDArray[np.float32], NDArray[np.bool_], float]]:
    """Window, slice, pixels, valid and span of every tile, whole slices or windows as the recipe says."""
    size = recipe.tiles.size
    if recipe.tiles.cut == "whole":
        for index in range(scene.shape[1]):
            yield scene.plane, index, *whole_tile(scene.read(index, 1), size)
        return
    for window, pixels in windows_of(scene, size, recipe.tiles.overlap):
        for index in range(scene.shape[1]):
            yield window, index, *grid_tile(pixels, index, size), 1.0
