"""Scenes to tiles: open, label, split by patient or place, cut, store."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from augmentor import labels
from augmentor.cutting import REMEDY, cuts, label_tile, labels_of, tiles_of
from augmentor.errors import RecipeError, TooLittleData
from augmentor.opening import opened
from augmentor.parcels import clear, cut, parcels, tiles_in, told
from augmentor.progress import note, progress
from augmentor.recipe import Recipe
from augmentor.segmentation import label_maps
from augmentor.tiles import Origin, Tile, TileStore
from augmentor.together.lock import alone_in
from augmentor.together.workers import HERE, Workers
from data_adapters import Scene, Template, open_scenes
from data_adapters.errors import DataError

FEWEST = 16
"""Tiles below which nothing can be learned and held out."""


def ingest(recipe: Recipe, store: str | Path = "runs/tiles", hands: Workers = HERE) -> TileStore:
    """Cut the recipe's data into a tile store below ``store``; an equal finished one is used again.

    An interrupted one goes on where it stopped. Scenes are cut by ``hands``.

    Raises:
        UserError: if the data cannot be read, is not labelled, or is too little.
    """
    if recipe.data.path is None:
        raise RecipeError("names no data", where=recipe.name, do="give --data PATH or set data.path")
    scenes = opened(recipe.data.path)
    found = TileStore(Path(store) / f"{recipe.name}-{_digest(recipe, scenes)[:12]}")
    if not found.finished:
        with alone_in(found.folder, patient=True):
            # Whoever was waited for may have written this very store.
            if not found.finished:
                _fill(found, recipe, scenes, hands)
    return found


def _fill(found: TileStore, recipe: Recipe, scenes: list[Scene], hands: Workers) -> None:
    """Cut the scenes into the store, and finish it."""
    scenes = like_each_other(scenes)
    rows = _labelled(recipe, scenes)
    if rows:
        unlabelled = sum(scene.path not in rows for scene in scenes)
        if unlabelled:
            note(f"{unlabelled} of {len(scenes)} images are not in {recipe.data.labels} and left out")
        scenes = [scene for scene in scenes if scene.path in rows]
    maps = label_maps(scenes, recipe.segmentation.path) if recipe.segmentation.path else {}
    groups = {scene.name: _group(recipe, scene, rows) for scene in scenes}
    held_out = _split(recipe, sorted(set(groups.values())))
    template = scenes[0].template()
    if recipe.data.modality:
        template = replace(template, modality=recipe.data.modality)
    pieces = list(parcels(recipe, scenes, maps, found.folder))
    with progress("ingest", len(scenes)) as advance:
        behind = 0
        for piece in hands.map(cut, pieces):
            behind += len(piece.scenes)
            advance(behind, "")

    def known(scene: Scene, origin: Origin) -> Origin:
        """The origin of a tile with its group, its side of the split, and its conditions."""
        group = groups[scene.name]
        side = aside(recipe, origin, group, held_out)
        conditions = _conditions(recipe, scene, origin.slice, rows.get(scene.path, {}))
        return replace(origin, group=group, held_out=side, conditions=conditions)

    count = found.write(tiles_in(pieces, known), scenes[0].shape[0], recipe.tiles.size, labelled=bool(maps))
    spans, left_out = told(pieces)
    if count < FEWEST or not found.rows(True) or not found.rows(False):
        raise _too_little(recipe, count, len(set(groups.values())), left_out)
    # A plane's span has no part along the slices, whose distance stays as it is.
    along, down, across = (1.0, *np.median(spans, axis=0).tolist())[-3:]
    between, rows_apart, columns_apart = template.spacing
    template = replace(template, spacing=(between * along, rows_apart * down, columns_apart * across))
    found.finish({"source": str(recipe.data.path), "tiles": count, "template": template.as_dict()})
    clear(found.folder)


def _too_little(recipe: Recipe, count: int, groups: int, left_out: Counter[str]) -> TooLittleData:
    """Say of too few tiles, or of tiles that cannot be split, why there are no more."""
    why = ", ".join(f"{number} left out as {reason}" for reason, number in left_out.most_common())
    remedies = [REMEDY[reason] for reason, _ in left_out.most_common()]
    if left_out:
        least = recipe.tiles.valid_at_least
        remedies.append(f"lower tiles.valid_at_least, the part of a tile that must be observed (now {least:g})")
    return TooLittleData(
        f"{count} tiles of {groups} patients or places{': ' + why if why else ''}",
        where=recipe.data.path,
        do=", or ".join([*remedies, f"give at least {FEWEST} tiles of two patients or places"]),
    )


def cut_maps(path: Path, recipe: Recipe) -> list[NDArray[np.int32]]:
    """Label maps cut as the recipe cuts its images, to make images for."""
    tiles = []
    for scene in open_scenes(path):
        labelled = lru_cache(maxsize=1)(labels_of(scene))
        tiles += [label_tile(labelled(window), index, recipe) for window, index, _ in cuts(recipe, scene)]
    return tiles


def cut_images(
    path: Path, recipe: Recipe, named: Collection[Path] = (), hands: Workers = HERE
) -> Iterator[tuple[Scene, Tile]]:
    """The images at a path, cut as the recipe cuts its own, by ``hands``; those alone that are ``named``, where any is.

    Nothing is asked of labels, or of how many there are.
    """
    scenes = opened(path)
    for scene, tiles in cut_each(like_each_other([s for s in scenes if s.path in named] or scenes), recipe, hands):
        for tile in tiles:
            yield scene, tile


def cut_each(
    scenes: Sequence[Scene], recipe: Recipe, hands: Workers = HERE, broken: Callable[[DataError], None] | None = None
) -> Iterator[tuple[Scene, list[Tile]]]:
    """Scenes, each with its tiles as the recipe cuts its own, by ``hands``; nothing is asked of labels.

    One whose pixels cannot be read is left out and its error handed to ``broken``, where that is given.

    Raises:
        DataError: if pixels cannot be read, and nobody wants to know.
    """
    plain = recipe.model_copy(update={"conditions": {}})
    for scene, found in zip(scenes, hands.map(_cut_alone, [(plain, scene) for scene in scenes]), strict=True):
        if not isinstance(found, DataError):
            yield scene, found
        elif broken is not None:
            broken(found)
        else:
            raise found


def _cut_alone(asked: tuple[Recipe, Scene]) -> list[Tile] | DataError:
    recipe, scene = asked
    try:
        return [tile for tile, _ in tiles_of(recipe, scene, None, Counter())]
    except DataError as error:
        return error


def template_of(store: TileStore) -> Template:
    """How samples like the stored tiles are written."""
    return Template.from_dict(store.facts["template"])


def _digest(recipe: Recipe, scenes: list[Scene]) -> str:
    """Changes when the data, or how it is cut, changes."""
    said = recipe.model_dump(mode="json", include={"data", "conditions", "segmentation", "tiles", "task", "seed"})
    files = [file for scene in scenes for file in scene.files]
    for beside in (recipe.segmentation.path, recipe.data.masks):
        if beside is not None and beside.exists():
            files += sorted(beside.rglob("*")) if beside.is_dir() else [beside]
        elif beside is not None:
            files += [file for scene in scenes for layer in scene.layers.values() for file in layer.files]
    seen = [(str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in files]
    return hashlib.sha256(json.dumps([said, seen], sort_keys=True).encode()).hexdigest()


def like_each_other(scenes: list[Scene]) -> list[Scene]:
    """Scenes of the commonest kind: one run learns one kind of image, and of labels where there is nothing else. How
    many are left out is said."""
    images = [scene for scene in scenes if not scene.classes]
    if images and len(images) < len(scenes):
        note(f"{len(scenes) - len(images)} of {len(scenes)} scenes hold labels and are left out")
        scenes = images
    kinds = [_kind(scene) for scene in scenes]
    common = Counter(kinds).most_common(1)[0][0]
    alike = [scene for scene, kind in zip(scenes, kinds, strict=True) if kind == common]
    if left_out := len(scenes) - len(alike):
        note(f"{left_out} of {len(scenes)} scenes are of another kind and left out; see `augmentor inspect`")
    return alike


def _kind(scene: Scene) -> tuple[object, ...]:
    """Format, modality, channels and, in a patient, the plane of the slices."""
    plane = scene.template().plane if scene.grid.frame == "patient" else ""
    return (scene.format, scene.modality, tuple(channel.name for channel in scene.channels), plane)


def _labelled(recipe: Recipe, scenes: list[Scene]) -> dict[Path, labels.Row]:
    path = recipe.data.label_file
    if path is None:
        return {}
    columns = [condition.column for condition in recipe.conditions.values() if condition.column]
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


def aside(recipe: Recipe, origin: Origin, group: str, held_out: set[str]) -> bool:
    """With one patient or place alone, a run of windows (never of neighbouring slices) is held out."""
    if held_out:
        return group in held_out
    place = hashlib.sha256(repr((recipe.seed, origin.window)).encode()).digest()
    return place[0] / 256 < recipe.tiles.held_out


def _conditions(recipe: Recipe, scene: Scene, index: int, row: labels.Row) -> dict[str, str]:
    """What is known of a tile that was cut from slice ``index``, by condition."""
    found = {}
    for name, condition in recipe.conditions.items():
        if condition.column:
            value = row[condition.column]
        elif condition.origin == "slice_position":
            value = f"{index / max(1, scene.shape[1] - 1):.4f}"
        else:
            value = str(int(scene.dates[index][5:7])) if scene.dates else ""
        # An empty cell is an unknown value.
        if value:
            found[name] = value
    return found
