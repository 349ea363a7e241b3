"""What is compared: real tiles that were trained on, real ones that were not, and samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from augmentor import labels
from augmentor.errors import TooLittleData
from augmentor.ingest import cut_images, ingest
from augmentor.networks import load_generator
from augmentor.recipe import Recipe
from augmentor.run import Facts, Run
from augmentor.sampling import Maps, Sample, samples
from augmentor.scaling import Scaling
from augmentor.segmentation import check_known
from augmentor.t2t.conditioning import ClassCondition, Condition
from augmentor.tiles import TileStore
from augmentor.together.workers import HERE, Workers
from augmentor.train import describe

FEWEST = 12
"""Tiles on a side, below which nothing can be said."""


@dataclass(frozen=True)
class Side:
    """Planes (N, C, H, W) in [-1, 1], zero where not observed; what each is called, its conditions, and its patient or
    place; and, where they are known, label maps (N, H, W) of them, the lowest label where not observed.

    Of volumes, the middle slice.
    """

    planes: NDArray[np.float32]
    names: tuple[str, ...]
    conditions: tuple[Mapping[str, str], ...]
    groups: tuple[str, ...]
    labels: NDArray[np.int32] | None = None

    def __len__(self) -> int:
        return len(self.planes)

    def some(self, most: int, seed: int = 0) -> Side:
        """At most so many, drawn by ``seed``."""
        if len(self) <= most:
            return self
        return self.part(np.sort(np.random.default_rng(seed).permutation(len(self))[:most]))

    def with_planes(self, planes: NDArray[np.float32]) -> Side:
        """The same images, seen otherwise."""
        return replace(self, planes=planes)

    def part(self, rows: NDArray[np.int64]) -> Side:
        """Those of these numbers."""
        names, groups = (tuple(every[row] for row in rows) for every in (self.names, self.groups))
        labels = None if self.labels is None else self.labels[rows]
        return Side(self.planes[rows], names, tuple(self.conditions[row] for row in rows), groups, labels)


@dataclass(frozen=True)
class Sets:
    """Tiles that were trained on, tiles that were held out, and samples; what they are is in the ``recipe``.

    ``conditions`` are those of the recipe, with their values; ``rows`` are those of the label file.
    """

    train: Side
    held_out: Side
    made: Side
    recipe: Recipe
    scaling: Scaling
    channels: tuple[str, ...]
    conditions: tuple[Condition, ...] = ()
    rows: tuple[Mapping[str, str], ...] = ()

    @property
    def channel_names(self) -> tuple[str, ...]:
        """Of every channel of the planes: its own, or its number where names are of others."""
        count = self.made.planes.shape[1]
        return self.channels if len(self.channels) == count else tuple(map(str, range(count)))

    @property
    def classes(self) -> ClassCondition | None:
        """The first condition that is a class, where there is one."""
        return next((known for known in self.conditions if isinstance(known, ClassCondition)), None)


def of_run(
    run: Run, real: Path | None, synthetic: Path | None, n: int, seed: int, store: Path, hands: Workers = HERE
) -> Sets:
    """A run's own real tiles, or those at ``real``, beside ``n`` samples of it, or the images at ``synthetic``.

    A run that makes images for label maps is given those of the tiles that are trained on, in an order drawn by
    ``seed``.

    Raises:
        UserError: if the run does not synthesize, its data has gone, or there is too little of anything.
    """
    run.check_draws()
    facts, recipe = run.facts, run.recipe
    if real is not None:
        recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"path": real})})
    tiles = ingest(recipe, store, hands)
    if synthetic is not None:
        return _beside(tiles, recipe, facts, _images(synthetic, recipe, facts.scaling, hands))
    rows = tiles.rows(held_out=False)
    _, valid = tiles.load(rows)
    given: Maps = ()
    if facts.given:
        order = np.random.default_rng(seed).permutation(len(rows))
        given = list(tiles.load_labels(rows)[order])
        check_known(given, facts.labels, recipe.segmentation.path or run.folder)
    drawn = list(islice(samples(load_generator(run), facts, 0, seed, {}, maps=given), n))
    if facts.given:
        shown = valid[order[np.arange(n) % len(order)]]
    else:
        shown = padded_alike(drawn, valid, [tiles.index[row].conditions for row in rows])
    return _beside(tiles, recipe, facts, _made(drawn, shown, facts))


def _made(drawn: Sequence[Sample], shown: NDArray[np.bool_], facts: Facts) -> Side:
    """Samples, seen where ``shown`` (N, *tile)."""
    unit = facts.scaling.to_unit(np.stack([sample.pixels for sample in drawn]), len(facts.tile))
    names = tuple(f"sample {sample.index}" for sample in drawn)
    maps = [sample.labels for sample in drawn if sample.labels is not None]
    labels = label_planes(np.stack(maps), shown, facts.labels) if maps else None
    return Side(planes(unit, shown), names, tuple(sample.conditions for sample in drawn), names, labels)


def of_folders(recipe: Recipe, synthetic: Path, store: Path, hands: Workers = HERE) -> Sets:
    """The recipe's images, a part of them held out, beside the images at ``synthetic``.

    Raises:
        UserError: if nothing there can be read, or there is too little of it.
    """
    tiles = ingest(recipe, store, hands)
    facts = describe(recipe, tiles)
    return _beside(tiles, recipe, facts, _images(synthetic, recipe, facts.scaling, hands))


def _beside(tiles: TileStore, recipe: Recipe, facts: Facts, made: Side) -> Sets:
    train, held_out = real_sides(tiles, recipe, facts)
    _enough(made, "samples", recipe)
    if made.planes.shape[1] != train.planes.shape[1]:
        raise TooLittleData(
            f"samples have {made.planes.shape[1]} channels, real tiles {train.planes.shape[1]}",
            do="give samples of the same channels",
        )
    names = tuple(channel.name for channel in facts.template.channels)
    return Sets(train, held_out, made, recipe, facts.scaling, names, facts.conditions, _rows(recipe))


def real_sides(tiles: TileStore, recipe: Recipe, facts: Facts) -> tuple[Side, Side]:
    """Tiles that were trained on, and tiles that were held out.

    Raises:
        TooLittleData: if there are too few of either.
    """
    train, held_out = (_real(tiles, tiles.rows(held_out=aside), facts) for aside in (False, True))
    _enough(train, "real tiles to train on", recipe)
    _enough(held_out, "real tiles held out", recipe)
    return train, held_out


def _enough(side: Side, what: str, recipe: Recipe) -> None:
    if len(side) < FEWEST:
        raise TooLittleData(
            f"{len(side)} {what}", where=recipe.data.path, do=f"give more: fewer than {FEWEST} tell nothing"
        )


def padded_alike(
    drawn: Sequence[Sample], valid: NDArray[np.bool_], conditions: Sequence[Mapping[str, str]]
) -> NDArray[np.bool_]:
    """Where samples are seen, (N, *tile): each as some training tile of the same conditions is, of all that are
    ``valid`` (M, *tile) so; as any of them, where none has these conditions.

    A network never learned what lies in the padding of a tile, and padding may go with a class.
    """
    rows = []
    for sample in drawn:
        asked = sample.conditions.items()
        alike = [row for row, said in enumerate(conditions) if all(said.get(name) == value for name, value in asked)]
        alike = alike or list(range(len(valid)))
        rows.append(alike[int(np.random.default_rng([sample.seed, sample.index]).integers(len(alike)))])
    return valid[rows]


def _real(tiles: TileStore, rows: list[int], facts: Facts) -> Side:
    pixels, valid = tiles.load(rows)
    origins = [tiles.index[row] for row in rows]
    names = tuple(f"{origin.scene}, slice {origin.slice}" for origin in origins)
    unit = facts.scaling.to_unit(pixels, valid.ndim - 1)
    labels = label_planes(tiles.load_labels(rows), valid, facts.labels) if facts.labels else None
    conditions, groups = (tuple(getattr(origin, said) for origin in origins) for said in ("conditions", "group"))
    return Side(planes(unit, valid), names, conditions, groups, labels)


def _rows(recipe: Recipe) -> tuple[labels.Row, ...]:
    """What the recipe's label file says of every image."""
    path = recipe.data.label_file
    return tuple(labels.read(path, ()).values()) if path else ()


def _images(path: Path, recipe: Recipe, scaling: Scaling, hands: Workers) -> Side:
    """The images at a path, cut as the recipe cuts, with what a label file beside them says of its conditions.

    Such a file says what is an image at all: a contact sheet, or a label map, is none.
    """
    said = _said(path, recipe)
    found = [
        (tile.pixels, tile.valid, f"{scene.name}, slice {tile.origin.slice}", said.get(scene.path, {}))
        for scene, tile in cut_images(path, recipe, said, hands)
    ]
    if not found:
        raise TooLittleData("no image could be cut", where=path, do="give images as large as the recipe's tiles")
    pixels, valid, names, conditions = zip(*found, strict=True)
    unit = scaling.to_unit(np.stack(pixels), len(recipe.tiles.size))
    return Side(planes(unit, np.stack(valid)), names, conditions, names)


def _said(path: Path, recipe: Recipe) -> dict[Path, dict[str, str]]:
    """Conditions by image, of a label file that names them, or the columns that the recipe takes them from."""
    columns = {name: known.column for name, known in recipe.conditions.items() if known.column}
    files = labels.find(path)
    if not files:
        return {}
    rows = labels.read(files[0], ())
    return {
        files[0].parent / file: {
            name: value for name, column in columns.items() if (value := row.get(name, row.get(column)))
        }
        for file, row in rows.items()
    }


def planes(unit: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Tiles (N, C, *tile) where valid (N, *tile), as they are compared: (N, C, H, W); of volumes, the middle slice."""
    shown = np.where(valid[:, None], np.clip(unit, -1, 1), np.float32(0))
    return shown if shown.ndim == 4 else shown[:, :, shown.shape[2] // 2]


def label_planes(maps: NDArray[np.int32], valid: NDArray[np.bool_], labels: Sequence[int]) -> NDArray[np.int32]:
    """Label maps (N, *tile) of ``labels`` where valid, as they are compared: (N, H, W), the lowest one elsewhere."""
    shown = np.where(valid, maps, np.int32(min(labels)))
    return shown if shown.ndim == 3 else shown[:, shown.shape[1] // 2]
