"""Learns to fill: parts of what was observed are hidden, and the network corrects the prior there."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from augmentor.adversary.descent import descend
from augmentor.adversary.ema import average_into, averaged_copy
from augmentor.adversary.losses import masked_l1
from augmentor.errors import TooLittleData
from augmentor.holes.hide import Column, Hider, judge
from augmentor.networks import build_generator, save, take_over
from augmentor.recipe import Recipe
from augmentor.run import Facts, Run
from augmentor.t2t.generator import Generator
from augmentor.tiles import TileStore

RATE = 2e-3
CLIP = 1.0
"""Largest norm of the gradient."""

JUDGED_ON = 256
"""Held-out holes that the gain is fitted on."""


class Corrector:
    """Learns to add to the prior what the prior lacks, by L1 inside simulated holes.

    The correction starts at zero, so an untrained network gives the prior. With every checkpoint the gain
    is fitted on held-out columns; 0 means that the prior was not beaten, and is what fill gives.
    """

    def __init__(self, recipe: Recipe, facts: Facts, store: TileStore, place: torch.device) -> None:
        self.facts = facts
        self.place = place
        self.schedule = recipe.game
        volume = facts.template.kind == "volume"
        self.seen = Hider(columns(store, facts, held_out=False), volume=volume, seed=recipe.seed)
        unseen = Hider(columns(store, facts, held_out=True), volume=volume, seed=recipe.seed + 1)
        self.held_out = unseen.draw(JUDGED_ON)
        with torch.random.fork_rng():
            torch.manual_seed(recipe.seed)
            self.generator = build_generator(facts).to(place)
        self.average = averaged_copy(self.generator)
        self.optimiser = torch.optim.Adam(self.generator.parameters(), lr=RATE, betas=(0.9, 0.99))
        steps = -(-self.schedule.images // self.schedule.batch) + 1
        self.rate = torch.optim.lr_scheduler.OneCycleLR(self.optimiser, RATE, total_steps=steps)

    def start_from(self, run: Run, frozen_stages: int) -> None:
        """Take over the generator of another run; nothing of it is frozen, since there is no discriminator.

        Raises:
            RunError: if nothing in the run fits.
        """
        for network in (self.generator, self.average):
            take_over(network, run.file("generator"))

    def step(self, seen: int) -> tuple[str, dict[str, float]]:
        """Fill one batch of hidden parts and learn from what was there."""
        told, prior, truth, hole = (torch.from_numpy(a).to(self.place) for a in self.seen.draw(self.schedule.batch))
        loss = masked_l1(prior + correct(self.generator, told), truth, hole.float())
        descend(self.optimiser, loss, CLIP)
        self.rate.step()
        average_into(self.average, self.generator, self.schedule.batch, half_life=self.schedule.images / 40)
        return "fill", {"error": loss.item()}

    def publish(self, run: Run) -> None:
        """Judge the averaged network on held-out columns, and write it with its gain."""
        with torch.inference_mode():
            correction = correct(self.average, torch.from_numpy(self.held_out.told).to(self.place)).cpu().numpy()
        judged = judge(correction, self.held_out)
        run.log({"act": "judged on held-out columns", **judged._asdict()})
        save(run, replace(self.facts, gain=judged.gain), self.average)

    def snapshot(self) -> dict[str, Any]:
        return {
            "generator": self.generator.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "rate": self.rate.state_dict(),
            "random": self.seen.random.bit_generator.state,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.generator.load_state_dict(state["generator"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.rate.load_state_dict(state["rate"])
        self.seen.random.bit_generator.state = state["random"]


def correct(generator: Generator, told: torch.Tensor) -> torch.Tensor:
    """The correction to the prior: the generator at its mean latent, without conditions."""
    noise = told.new_zeros(len(told), generator.latent)
    return generator(noise, told.new_zeros(len(told), 0), told)


def columns(store: TileStore, facts: Facts, *, held_out: bool) -> list[Column]:
    """Stored tiles of one window, slice above slice, on one side of the split.

    Raises:
        TooLittleData: if none is deep enough, and observed well enough, to hide a part of it.
    """
    groups: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for row in store.rows(held_out):
        origin = store.index[row]
        groups[(origin.scene, origin.window)].append(row)
    found = []
    for rows in groups.values():
        pixels, valid = store.load(rows)
        deep_enough = facts.template.kind != "volume" or len(rows) >= 3
        if deep_enough and valid.mean(axis=(1, 2)).max() >= 0.5:
            unit = np.where(valid[:, None], facts.scaling.to_unit(pixels), np.float32(0))
            found.append(Column(np.moveaxis(unit, 0, 1), valid, [store.index[row].position for row in rows]))
    if not found:
        raise TooLittleData(
            "no window is observed well enough to hide parts of it",
            where=store.folder,
            do="give volumes of three slices or more, or clearer scenes",
        )
    return found
