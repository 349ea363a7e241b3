"""What is compared: real tiles that were trained on, real ones that were not, and samples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from augmentor.errors import RunError, TooLittleData
from augmentor.ingest import cut_images, ingest
from augmentor.networks import load_generator
from augmentor.recipe import Data, Recipe, Tiles
from augmentor.run import Facts, Run
from augmentor.sampling import samples
from augmentor.scaling import Scaling
from augmentor.tiles import Tile, TileStore
from augmentor.train import describe

FEWEST = 12
"""Tiles on a side, below which nothing can be said."""


@dataclass(frozen=True)
class Side:
    """Planes (N, C, H, W) in [-1, 1], zero where not observed; what each is called; and its conditions.

    Of volumes, the middle slice.
    """

    planes: NDArray[np.float32]
    names: tuple[str, ...]
    conditions: tuple[Mapping[str, str], ...]

    def __len__(self) -> int:
        return len(self.planes)

    def some(self, most: int, seed: int = 0) -> Side:
        """At most so many, drawn by ``seed``."""
        if len(self) <= most:
            return self
        rows = np.sort(np.random.default_rng(seed).permutation(len(self))[:most])
        return Side(self.planes[rows], *(tuple(said[row] for row in rows) for said in (self.names, self.conditions)))


@dataclass(frozen=True)
class Sets:
    """Tiles that were trained on, tiles that were held out, and samples; what they are is in the ``recipe``."""

    train: Side
    held_out: Side
    made: Side
    recipe: Recipe
    scaling: Scaling
    channels: tuple[str, ...]


def of_run(run: Run, real: Path | None, synthetic: Path | None, n: int, seed: int, store: Path) -> Sets:
    """A run's own real tiles, or those at ``real``, beside ``n`` samples of it, or the images at ``synthetic``.

    Raises:
        UserError: if the run does not synthesize, its data has gone, or there is too little of anything.
    """
    facts = run.facts
    if facts.context:
        raise RunError("was trained to fill, not to synthesize", where=run.folder, do="name another run")
    if facts.given and synthetic is None:
        raise RunError(
            "makes images for label maps", where=run.folder, do="synthesize some, and name them with --synthetic"
        )
    recipe = run.recipe
    if real is not None:
        recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"path": real})})
    tiles = ingest(recipe, store)
    if synthetic is not None:
        return _beside(tiles, recipe, facts, _images(synthetic, recipe, facts.scaling))
    generator = load_generator(run)
    drawn = list(samples(generator, facts, 0, n, seed, {}))
    unit = facts.scaling.to_unit(np.stack([sample.pixels for sample in drawn]), len(facts.tile))
    # The network never learned what lies in the padding of a tile, and it is cut off when a sample is seen.
    _, valid = tiles.load(tiles.rows(held_out=False))
    shown = valid[np.random.default_rng(seed).integers(len(valid), size=n)]
    names = tuple(f"sample {sample.index}" for sample in drawn)
    made = Side(_planes(unit, shown), names, tuple(sample.conditions for sample in drawn))
    return _beside(tiles, recipe, facts, made)


def of_folders(real: Path, synthetic: Path, size: int, store: Path) -> Sets:
    """Any two folders of images, seen whole at ``size`` pixels a side; a part of the real ones is held out.

    Raises:
        UserError: if nothing there can be read, or there is too little of it.
    """
    recipe = Recipe(name="folders", data=Data(path=real), tiles=Tiles(size=(size, size), held_out=0.3))
    tiles = ingest(recipe, store)
    facts = describe(recipe, tiles)
    return _beside(tiles, recipe, facts, _images(synthetic, recipe, facts.scaling))


def _beside(tiles: TileStore, recipe: Recipe, facts: Facts, made: Side) -> Sets:
    train, held_out = (_real(tiles, tiles.rows(held_out=aside), facts.scaling) for aside in (False, True))
    for side, what in ((train, "real tiles to train on"), (held_out, "real tiles held out"), (made, "samples")):
        if len(side) < FEWEST:
            raise TooLittleData(
                f"{len(side)} {what}", where=recipe.data.path, do=f"give more: fewer than {FEWEST} tell nothing"
            )
    if made.planes.shape[1] != train.planes.shape[1]:
        raise TooLittleData(
            f"samples have {made.planes.shape[1]} channels, real tiles {train.planes.shape[1]}",
            do="give samples of the same channels",
        )
    return Sets(train, held_out, made, recipe, facts.scaling, tuple(c.name for c in facts.template.channels))


def _real(tiles: TileStore, rows: list[int], scaling: Scaling) -> Side:
    pixels, valid = tiles.load(rows)
    origins = [tiles.index[row] for row in rows]
    names = tuple(f"{origin.scene}, slice {origin.slice}" for origin in origins)
    unit = scaling.to_unit(pixels, valid.ndim - 1)
    return Side(_planes(unit, valid), names, tuple(origin.conditions for origin in origins))


def _images(path: Path, recipe: Recipe, scaling: Scaling) -> Side:
    """The images at a path, cut as the recipe cuts."""
    tiles: Iterable[Tile] = cut_images(path, recipe)
    found = [(tile.pixels, tile.valid, f"{tile.origin.scene}, slice {tile.origin.slice}") for tile in tiles]
    if not found:
        raise TooLittleData("no image could be cut", where=path, do="give images as large as the recipe's tiles")
    pixels, valid, names = zip(*found, strict=True)
    unit = scaling.to_unit(np.stack(pixels), len(recipe.tiles.size))
    return Side(_planes(unit, np.stack(valid)), names, tuple({} for _ in names))


def _planes(unit: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(N, C, *tile) where valid (N, *tile) -> (N, C, H, W)."""
    shown = np.where(valid[:, None], np.clip(unit, -1, 1), np.float32(0))
    return shown if shown.ndim == 4 else shown[:, :, shown.shape[2] // 2]
