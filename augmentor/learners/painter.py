"""Learns to make tiles: warm start, discriminator alone, then the game."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import torch
from torch import Tensor

from augmentor.adversary.game import Batch, Game, Rules
from augmentor.networks import conditions, save_generator
from augmentor.recipe import Recipe
from augmentor.run import Facts, Run
from augmentor.t2t.conditioning import encode
from augmentor.t2t.presets import PRESETS
from augmentor.tiles import TileStore

FIT_EVERY = 2_000
"""Tiles between fits of the latent prior."""

FIT_ON = 2_048
"""Tiles that the latent prior is fitted to, at most."""


class Painter:
    """Learns to make tiles: plays the game's three acts over the recipe's schedule."""

    def __init__(self, recipe: Recipe, facts: Facts, store: TileStore, place: torch.device) -> None:
        self.schedule = recipe.game
        self.facts = facts
        self.tiles = Tiles(load_tiles(store, store.rows(held_out=False), facts), recipe, place)
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


def rules(recipe: Recipe) -> Rules:
    """The recipe's game as the game's own rules."""
    chosen = recipe.game.model_dump(include={"loss", "penalty", "adversarial_weight", "kl_weight", "condition_drop"})
    # The averaged generator follows a tenth of the run at most (docs/model.md).
    return Rules(**chosen, average_half_life=min(3_000, recipe.game.images / 40))


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
        # Without this the import asks the network for a newer version.
        os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
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
