"""Tiles to a run: what a recipe's task asks for is learned, with checkpoints on the way."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from augmentor import recipe as recipes
from augmentor.errors import RunError
from augmentor.holes.context import channels
from augmentor.ingest import ingest, template_of
from augmentor.learners.corrector import Corrector
from augmentor.learners.loop import Learner, learn
from augmentor.learners.painter import Painter
from augmentor.networks import device
from augmentor.recipe import Recipe
from augmentor.run import Facts, Run
from augmentor.scaling import Scaling
from augmentor.t2t.presets import PRESETS, steps
from augmentor.tiles import TileStore


def train(
    recipe: str | Path | Recipe,
    *,
    data: str | Path | None = None,
    masks: str | Path | None = None,
    changes: tuple[str, ...] = (),
    runs: str | Path = "runs",
    resume: str | Path | bool = False,
) -> Run:
    """Train a run from a recipe: a file, a shipped name, or a ``Recipe``.

    ``data`` and ``masks`` override the recipe's paths, ``changes`` are ``section.key=value``. With ``resume`` an
    interrupted run (the latest, or the one named) goes on; the recipe is then its own.

    Raises:
        UserError: if recipe, data or device are not fit; nothing is written then.
    """
    runs = Path(runs)
    if resume:
        run = Run.find(None if resume is True else resume, runs)
        recipe = run.recipe
    elif not isinstance(recipe, Recipe):
        recipe = recipes.load(recipe, changes, path=data, masks=masks)
    place = device(recipe.game.device)
    check_tile(recipe)
    store = ingest(recipe, runs / "tiles")
    facts = describe(recipe, store)
    kind: type[Corrector] | type[Painter] = Corrector if recipe.task == "fill" else Painter
    learner: Learner = kind(recipe, facts, store, place)
    if not resume:
        run = Run.create(recipe, runs, source=str(recipe.data.path), tiles=store.folder)
    learn(run, recipe.game, learner)
    return run


def check_tile(recipe: Recipe) -> None:
    """Raise RunError before anything is read if the tile does not fit the network."""
    try:
        steps(recipe.tiles.size, len(PRESETS[recipe.model.preset].stages))
    except ValueError as error:
        raise RunError(str(error), where=recipe.name, do="choose another tiles.size") from error


def describe(recipe: Recipe, store: TileStore) -> Facts:
    """Classes, scaling and template, read off the training side of a store."""
    rows = store.rows(held_out=False)
    pixels, valid = store.load(rows)
    said = [dict(store.index[row].conditions) for row in rows]
    classes = {name: tuple(sorted({values[name] for values in said})) for name in recipe.conditions}
    counted = Counter(json.dumps(values, sort_keys=True) for values in said)
    return Facts(
        channels=pixels.shape[1],
        context=channels(pixels.shape[1]) if recipe.task == "fill" else 0,
        tile=recipe.tiles.size,
        preset=recipe.model.preset,
        conditions=classes,
        combinations=tuple((json.loads(text), count) for text, count in sorted(counted.items())),
        scaling=Scaling.fit(pixels, valid, recipe.tiles.limits),
        template=template_of(store),
    )
