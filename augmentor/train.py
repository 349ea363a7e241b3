"""Tiles to a run: warm start, discriminator alone, then the game; checkpoints on the way."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from augmentor import recipe as recipes
from augmentor.adversary.game import Batch, Game, Rules
from augmentor.errors import RunError
from augmentor.ingest import ingest, template_of
from augmentor.networks import conditions, device, save_generator
from augmentor.recipe import Recipe
from augmentor.run import Facts, Run
from augmentor.scaling import Scaling
from augmentor.t2t.conditioning import encode
from augmentor.t2t.presets import PRESETS, steps
from augmentor.tiles import TileStore
from augmentor.training import learn

FIT_EVERY = 2_000
"""Tiles between fits of the latent prior."""

FIT_ON = 2_048
"""Tiles that the latent prior is fitted to, at most."""


def train(
    recipe: str | Path | Recipe,
    *,
    data: Path | None = None,
    masks: Path | None = None,
    changes: tuple[str, ...] = (),
    runs: Path = Path("runs"),
    resume: str | Path | bool = False,
) -> Run:
    """Train a run from a recipe: a file, a shipped name, or a ``Recipe``.

    ``data`` and ``masks`` override the recipe's paths, ``changes`` are ``section.key=value``. With ``resume`` an
    interrupted run (the latest, or the one named) goes on; the recipe is then its own.

    Raises:
        UserError: if recipe, data or device are not fit; nothing is written then.
    """
    if resume:
        run = Run.find(None if resume is True else resume, runs)
        recipe = run.recipe
    elif not isinstance(recipe, Recipe):
        recipe = recipes.load(recipe, changes, path=data, masks=masks)
    if recipe.task == "fill":
        from augmentor.train_fill import train_fill

        return train_fill(recipe, runs, run if resume else None)
    place = device(recipe.game.device)
    check_tile(recipe)
    store = ingest(recipe, runs / "tiles")
    facts = describe(recipe, store)
    learner = Painter(recipe, facts, load_tiles(store, store.rows(held_out=False), facts), place)
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


def rules(recipe: Recipe) -> Rules:
    """The recipe's game as the game's own rules."""
    chosen = recipe.game.model_dump(include={"loss", "penalty", "adversarial_weight", "kl_weight", "condition_drop"})
    # The averaged generator follows a tenth of the run at most (docs/model.md).
    return Rules(**chosen, average_half_life=min(3_000, recipe.game.images / 40))


def describe(recipe: Recipe, store: TileStore, context: int = 0) -> Facts:
    """Classes, scaling and template, read off the training side of a store."""
    rows = store.rows(held_out=False)
    pixels, valid = store.load(rows)
    template = template_of(store)
    said = [dict(store.index[row].conditions) for row in rows]
    classes = {name: tuple(sorted({values[name] for values in said})) for name in recipe.conditions}
    counted = Counter(json.dumps(values, sort_keys=True) for values in said)
    return Facts(
        channels=pixels.shape[1],
        context=context,
        tile=recipe.tiles.size,
        preset=recipe.model.preset,
        conditions=classes,
        combinations=tuple((json.loads(text), count) for text, count in sorted(counted.items())),
        scaling=Scaling.fit(pixels, valid, recipe.tiles.limits),
        template=template,
    )


def load_tiles(store: TileStore, rows: list[int], facts: Facts) -> Batch:
    """Tiles of a store, scaled, as one batch in memory."""
    pixels, valid = store.load(rows)
    known = conditions(facts)
    indices = torch.stack([encode(known, store.index[row].conditions) for row in rows])
    unit = np.where(valid[:, None], facts.scaling.to_unit(pixels), np.float32(0))
    return Batch(torch.from_numpy(unit), torch.from_numpy(valid)[:, None].float(), indices)


class Tiles:
    """Draws batches from tiles in memory: every tile once an epoch, in an order that a seed decides."""

    def __init__(self, tiles: Batch, recipe: Recipe, place: torch.device) -> None:
        self.tiles = tiles
        self.flips = recipe.tiles.flips
        self.place = place
        self.random = torch.Generator().manual_seed(recipe.seed + 1)
        self.order = torch.empty(0, dtype=torch.long)

    def draw(self, size: int) -> Batch:
        """The next ``size`` tiles, turned and mirrored where the recipe allows it."""
        while len(self.order) < size:
            self.order = torch.cat([self.order, torch.randperm(len(self.tiles.pixels), generator=self.random)])
        chosen, self.order = self.order[:size], self.order[size:]
        pixels, valid = self.tiles.pixels[chosen], self.tiles.valid[chosen]
        if self.flips:
            pixels, valid = self._turn(pixels, valid)
        return self._on_device(Batch(pixels, valid, self.tiles.conditions[chosen]))

    def some(self, most: int) -> Batch:
        """Up to ``most`` tiles, for fitting the latent prior."""
        rows = torch.linspace(0, len(self.tiles.pixels) - 1, min(most, len(self.tiles.pixels))).long()
        return self._on_device(Batch(self.tiles.pixels[rows], self.tiles.valid[rows], self.tiles.conditions[rows]))

    def _on_device(self, batch: Batch) -> Batch:
        return Batch(batch.pixels.to(self.place), batch.valid.to(self.place), batch.conditions.to(self.place))

    def _turn(self, pixels: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        import albumentations

        square = pixels.shape[-1] == pixels.shape[-2]
        transform = albumentations.SquareSymmetry(p=1) if square else albumentations.HorizontalFlip(p=0.5)
        compose = albumentations.Compose([transform])
        turned = []
        for image, seen in zip(pixels.numpy(), valid.numpy(), strict=True):
            compose.set_random_seed(int(torch.randint(2**31, (1,), generator=self.random)))
            out = compose(image=np.moveaxis(image, 0, -1), mask=seen[0])
            turned.append((np.moveaxis(out["image"], -1, 0), out["mask"][None]))
        return (
            torch.from_numpy(np.ascontiguousarray(np.stack([image for image, _ in turned]))),
            torch.from_numpy(np.ascontiguousarray(np.stack([seen for _, seen in turned]))),
        )

    def state(self) -> dict[str, Any]:
        return {"random": self.random.get_state(), "order": self.order}

    def restore(self, state: dict[str, Any]) -> None:
        self.random.set_state(state["random"])
        self.order = state["order"]


class Painter:
    """Learns to make tiles: plays the game's three acts over the recipe's schedule."""

    def __init__(self, recipe: Recipe, facts: Facts, tiles: Batch, place: torch.device) -> None:
        self.schedule = recipe.game
        self.facts = facts
        self.tiles = Tiles(tiles, recipe, place)
        preset = PRESETS[facts.preset]
        self.game = Game(facts.channels, facts.tile, preset, conditions(facts), rules(recipe), recipe.seed)
        self.game.to(place)

    def step(self, seen: int) -> tuple[str, dict[str, float]]:
        """One batch of the act that is on; the latent prior is fitted on the way and at the end of an act."""
        warm = self.schedule.warm_start * self.schedule.images
        alone = warm + self.schedule.judge_alone * self.schedule.images
        act = self.game.autoencode if seen < warm else self.game.judge if seen < alone else self.game.play
        figures = act(self.tiles.draw(self.schedule.batch))
        after = seen + self.schedule.batch
        if seen // FIT_EVERY != after // FIT_EVERY or seen < warm <= after or after >= self.schedule.images:
            self.game.fit_latents(self.tiles.some(FIT_ON))
        return act.__name__, figures

    def publish(self, run: Run) -> None:
        """Write the averaged generator."""
        save_generator(run, self.game.average, self.facts)

    def snapshot(self) -> dict[str, Any]:
        return {"game": self.game.snapshot(), "tiles": self.tiles.state()}

    def restore(self, state: dict[str, Any]) -> None:
        self.game.restore(state["game"])
        self.tiles.restore(state["tiles"])
