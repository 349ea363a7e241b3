"""Learns to make tiles: warm start, discriminator alone, then the game."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import torch

from augmentor.adversary.augment import EVERYWHERE, TURNING
from augmentor.adversary.batch import Batch
from augmentor.adversary.game import Game
from augmentor.adversary.rules import Rules
from augmentor.learners.mirror import LOOKED_AT, Mirror
from augmentor.networks import preset, save, take_over
from augmentor.recipe import Recipe
from augmentor.run import Facts, Run
from augmentor.segmentation import to_channels
from augmentor.t2t.conditioning import encode
from augmentor.tiles import TileStore
from augmentor.together.team import ALONE, Team

FIT_EVERY = 2_000
"""Tiles between fits of the latent prior."""

FIT_ON = 2_048
"""Tiles that the latent prior is fitted to, at most."""

MOST_PLANES = 64
"""Planes turned at once: OpenCV, which albumentations runs on, mirrors at most 128."""


class Painter:
    """Learns to make tiles: plays the game's three acts over the recipe's schedule."""

    def __init__(
        self,
        recipe: Recipe,
        facts: Facts,
        tiles: Batch,
        held_out: Batch | None = None,
        team: Team = ALONE,
    ) -> None:
        self.schedule = recipe.game
        self.facts = facts
        place = team.place
        self.tiles = Tiles(tiles, recipe, place)
        size = preset(facts)
        self.game = Game(facts.made, facts.tile, size, facts.conditions, rules(recipe), recipe.seed, facts.read)
        if recipe.game.bands:
            self.game.fit_bands(self.tiles.some(FIT_ON))
        else:
            self.game.hide_bands()
        self.game.to(place)
        if recipe.game.channels_last:
            self.game.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if recipe.game.compile:
            for network in (self.game.generator, self.game.inference, self.game.discriminator):
                network.compile()
        self.team = team
        self.mirror = Mirror(self.tiles.some(LOOKED_AT), None if held_out is None else held_out[:LOOKED_AT].to(place))

    def start_from(self, run: Run, frozen_stages: int) -> None:
        """Take over the networks of another run, and keep the first stages of the discriminator as they are.

        Transfer as in TransferGAN (Wang et al. 2018); the frozen stages as in FreezeD (Mo et al. 2020).

        Raises:
            RunError: if nothing in the run fits.
        """
        for name in ("generator", "inference", "discriminator"):
            take_over(getattr(self.game, name), run.file(name))
        take_over(self.game.average, run.file("generator"))
        take_over(self.game.average_inference, run.file("inference"))
        self.game.freeze(frozen_stages)

    def step(self, seen: int) -> tuple[str, dict[str, float]]:
        """One batch of the act that is on; the latent prior is fitted on the way and at the end of an act."""
        warm = self.schedule.warm_start * self.schedule.images
        alone = warm + self.schedule.judge_alone * self.schedule.images
        act = self.game.autoencode if seen < warm else self.game.judge if seen < alone else self.game.play
        self.game.widen(seen / self.schedule.images)
        if act == self.game.play:
            self.game.settle((self.schedule.images - seen) / (self.schedule.images - alone))
        figures = act(self.tiles.draw(self.schedule.batch))
        after = seen + self.schedule.batch
        if seen // FIT_EVERY != after // FIT_EVERY or seen < warm <= after or after >= self.schedule.images:
            self.game.fit_latents(self.tiles.some(FIT_ON))
        return act.__name__, figures

    def slow_down(self) -> None:
        """Halve the rates from now on."""
        self.game.slow_down()

    @property
    def team(self) -> Team:
        """Who learns from a batch."""
        return self.game.team

    @team.setter
    def team(self, team: Team) -> None:
        self.game.team = team

    def examine(self) -> dict[str, float]:
        """How samples compare with training tiles, and what the discriminator makes of tiles that it never saw."""
        return self.mirror.look(self.game)

    def publish(self, run: Run) -> None:
        """Write the averaged generator and inference network, and the discriminator."""
        save(
            run,
            self.facts,
            self.game.average,
            inference=self.game.average_inference,
            discriminator=self.game.discriminator,
        )

    def snapshot(self) -> dict[str, Any]:
        return {"game": self.game.snapshot(), "tiles": self.tiles.state()}

    def restore(self, state: dict[str, Any]) -> None:
        self.game.restore(state["game"])
        self.tiles.restore(state["tiles"])


def rules(recipe: Recipe) -> Rules:
    """The recipe's game as the game's own rules."""
    shared = recipe.game.model_dump(include=set(Rules.__dataclass_fields__))
    return Rules(
        **shared,
        # Tiles that may be turned have neither up nor left; chests have both.
        transforms=EVERYWHERE + TURNING if recipe.tiles.flips else EVERYWHERE,
        # The averaged generator follows a tenth of the run at most (docs/model.md).
        average_half_life=min(3_000, recipe.game.images / 40),
    )


def load_tiles(store: TileStore, rows: list[int], facts: Facts) -> Batch:
    """Tiles of a store, scaled, as one batch in memory."""
    pixels, valid = store.load(rows)
    dims = len(facts.tile)
    unit = np.where(valid[:, None], facts.scaling.to_unit(pixels, dims), np.float32(0))
    context = None
    if facts.labels:
        channels = to_channels(store.load_labels(rows), facts.labels)
        if facts.given:
            context = torch.from_numpy(channels)
        else:
            unit = np.concatenate([unit, channels], axis=1)
    codes = torch.stack([encode(facts.conditions, store.index[row].conditions) for row in rows])
    return Batch(torch.from_numpy(unit), torch.from_numpy(valid)[:, None].float(), codes, context)


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
        batch = self.tiles[chosen]
        return (batch.moved(self._turned) if self.flips else batch).to(self.place)

    def some(self, most: int) -> Batch:
        """Up to ``most`` tiles, for fitting what is measured on them."""
        rows = torch.linspace(0, len(self.tiles.pixels) - 1, min(most, len(self.tiles.pixels))).long()
        return self.tiles[rows].to(self.place)

    def _turned(self, planes: torch.Tensor) -> torch.Tensor:
        """Each of (B, n, *tile) in one of the eight positions of a square in its last two axes, all n planes alike."""
        # Without this the import asks the network for a newer version.
        os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
        import albumentations

        square = planes.shape[-1] == planes.shape[-2]
        transform = albumentations.SquareSymmetry(p=1) if square else albumentations.HorizontalFlip(p=0.5)
        compose = albumentations.Compose([transform])
        turned = []
        for image in planes:
            seed = int(torch.randint(2**31, (1,), generator=self.random))
            parts = []
            for part in image.flatten(0, -3).split(MOST_PLANES):
                compose.set_random_seed(seed)
                out = compose(image=np.moveaxis(part.numpy(), 0, -1))["image"]
                parts.append(torch.from_numpy(np.ascontiguousarray(np.moveaxis(out, -1, 0))))
            turned.append(torch.cat(parts).view(image.shape))
        return torch.stack(turned)

    def state(self) -> dict[str, Any]:
        return {"random": self.random.get_state(), "order": self.order}

    def restore(self, state: dict[str, Any]) -> None:
        self.random.set_state(state["random"])
        self.order = state["order"]
