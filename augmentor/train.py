"""Tiles to a run: what a recipe's task asks for is learned, with checkpoints on the way."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

from augmentor import recipe as recipes
from augmentor.errors import LabelError, RecipeError, RunError
from augmentor.holes.context import channels
from augmentor.ingest import ingest, template_of
from augmentor.learners.corrector import NOISE, corrector
from augmentor.learners.loop import Learner, learn
from augmentor.learners.painter import Painter, load_tiles
from augmentor.networks import choose, device
from augmentor.recipe import Recipe
from augmentor.run import Facts, Run
from augmentor.scaling import Scaling
from augmentor.segmentation import values_of
from augmentor.t2t.conditioning import (
    ClassCondition,
    Condition,
    CycleCondition,
    LanguageCondition,
    NumberCondition,
    TextCondition,
    number,
)
from augmentor.t2t.presets import PRESETS, steps
from augmentor.t2t.text import encode_with
from augmentor.tiles import TileStore
from augmentor.together.lock import alone_in
from augmentor.together.team import Team, joined


def train(
    recipe: str | Path | Recipe | None = None,
    *,
    data: str | Path | None = None,
    masks: str | Path | None = None,
    changes: tuple[str, ...] = (),
    runs: str | Path = "runs",
    resume: str | Path | bool = False,
    start: str | Path | None = None,
) -> Run:
    """Train a run from a recipe: a file, a shipped name, or a ``Recipe``.

    ``data`` and ``masks`` override the recipe's paths, ``changes`` are ``section.key=value``. With ``resume`` an
    interrupted run (the latest, or the one named) goes on by its own recipe, and nothing else may be given. ``start``
    names a run whose networks are taken over, as far as they fit.

    Raises:
        UserError: if recipe, data or device are not fit; nothing is written then.
    """
    runs = Path(runs)
    if resume:
        check_alone(recipe, {"--data": data, "--masks": masks, "--set": changes, "--from": start})
        run = Run.find(None if resume is True else resume, runs)
        recipe = run.recipe
    elif not isinstance(recipe, Recipe):
        if not recipe:
            raise RecipeError("no recipe named", do="give one, or --resume; `augmentor recipes` lists the shipped ones")
        recipe = recipes.load(recipe, changes, path=data, masks=masks)
    check_tile(recipe)
    check_frozen(recipe, started=bool(start or resume))
    with joined(device(recipe.game.device)) as team:
        store = team.first(lambda: ingest(recipe, runs / "tiles"))
        facts = describe(recipe, store)
        learner = learner_of(recipe, facts, store, team.in_parts(recipe.game.parts))
        if start is not None:
            learner.start_from(Run.find(start, runs), recipe.game.frozen_stages)
        if not resume:
            source = str(recipe.data.path)
            run = Run(Path(team.told(lambda: str(Run.create(recipe, runs, source=source, tiles=store.folder).folder))))
        with alone_in(run.folder) if team.leads else nullcontext():
            learn(run, recipe, learner)
    return run


def learner_of(recipe: Recipe, facts: Facts, store: TileStore, team: Team) -> Learner:
    """Who learns what the recipe's task asks for from the tiles of a store."""
    if recipe.task == "fill":
        return corrector(recipe, facts, store, team)
    tiles, held_out = (load_tiles(store, store.rows(side), facts) for side in (False, True))
    return Painter(recipe, facts, tiles, held_out, team)


def check_alone(recipe: str | Path | Recipe | None, options: Mapping[str, object]) -> None:
    """Raise RecipeError if a run that goes on is given a recipe, or options of one: it would not heed them."""
    given = [*(["a recipe"] if recipe else []), *(name for name, value in options.items() if value)]
    if given:
        raise RecipeError(
            f"a run that goes on has its own recipe and data, but was given {', '.join(given)}",
            do="leave that out with --resume, or start anew with --from and the run's name in place of --resume",
        )


def check_tile(recipe: Recipe) -> None:
    """Raise RunError before anything is read if the tile does not fit the network."""
    try:
        preset = choose(recipe.model.model_dump(), fill=recipe.task == "fill")
        steps(recipe.tiles.size, preset)
    except ValueError as error:
        raise RunError(str(error), where=recipe.name, do="choose another tiles.size") from error


def check_frozen(recipe: Recipe, *, started: bool) -> None:
    """Raise RecipeError if stages are to stay as they are that are not taken from another run, or not there."""
    frozen, stages = recipe.game.frozen_stages, len(PRESETS[recipe.model.preset].stages) - 1
    if recipe.model.encoder == "patches":
        stages = 0
    if frozen and (not started or frozen > stages or recipe.task == "fill"):
        raise RecipeError(
            f"game.frozen_stages is {frozen}, of {stages} that this network has",
            where=recipe.name,
            do="start --from a run that synthesizes, and freeze no more stages than there are",
        )


def describe(recipe: Recipe, store: TileStore) -> Facts:
    """Conditions, scaling, labels and template, read off the training side of a store."""
    rows = store.rows(held_out=False)
    pixels, valid = store.load(rows)
    said = [dict(store.index[row].conditions) for row in rows]
    conditions = tuple(_condition(recipe, name, said) for name in recipe.conditions)
    counted = Counter(json.dumps(_usual(conditions, values), sort_keys=True) for values in said)
    return Facts(
        channels=pixels.shape[1],
        context=channels(pixels.shape[1]) + NOISE if recipe.task == "fill" else 0,
        tile=recipe.tiles.size,
        model=recipe.model.model_dump(),
        conditions=conditions,
        combinations=tuple((json.loads(text), count) for text, count in sorted(counted.items())),
        scaling=Scaling.fit(pixels, valid, recipe.tiles.limits),
        template=template_of(store),
        labels=values_of(store.load_labels(rows)) if recipe.segmentation.path else (),
        given=recipe.segmentation.use == "condition" and recipe.segmentation.path is not None,
    )


def _condition(recipe: Recipe, name: str, said: Sequence[Mapping[str, str]]) -> Condition:
    """A declared condition with what its training values tell: classes, or a range."""
    declared = recipe.conditions[name]
    values = sorted({row[name] for row in said if name in row})
    if not values:
        raise LabelError(f"no training image says its {name}", where=recipe.data.labels or recipe.name, do="fill it in")
    try:
        if declared.kind == "number":
            numbers = [number(name, value) for value in values]
            return NumberCondition(name, min(numbers), max(numbers))
        if declared.kind == "cycle":
            known: Condition = CycleCondition(name, declared.period)
        elif declared.kind == "text":
            known = TextCondition(name, declared.length)
        elif declared.kind == "language":
            width = len(encode_with(str(declared.encoder), values[0]))
            known = LanguageCondition(name, str(declared.encoder), width)
        else:
            known = ClassCondition(name, tuple(values))
        for value in values:
            known.encode(value)
    except ValueError as error:
        raise LabelError(
            str(error), where=recipe.data.labels or recipe.name, do="mend the column or the kind"
        ) from None
    return known


def _usual(conditions: Sequence[Condition], values: Mapping[str, str]) -> dict[str, str]:
    """Values as they are kept for sampling: no text, and numbers in fifty steps of their range."""
    kept = {}
    for condition in conditions:
        value = values.get(condition.name)
        if value is None or isinstance(condition, TextCondition | LanguageCondition):
            continue
        if isinstance(condition, NumberCondition):
            step = (condition.high - condition.low) / 50 or 1.0
            value = f"{condition.low + step * round((float(value) - condition.low) / step):.6g}"
        kept[condition.name] = value
    return kept
