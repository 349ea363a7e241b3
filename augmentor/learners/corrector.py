"""Learns to fill: parts of what was observed are hidden, and the network corrects the prior there."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from augmentor.adversary.descent import descend
from augmentor.adversary.ema import average_into, averaged_copy
from augmentor.adversary.losses import energy, masked_l1
from augmentor.adversary.muon import Muon
from augmentor.errors import TooLittleData
from augmentor.holes.column import Column
from augmentor.holes.hide import Hidden, Hider
from augmentor.holes.judge import Judged, judge
from augmentor.networks import build_generator, quickly, save, take_over
from augmentor.recipe import Game, Recipe
from augmentor.run import Facts, Run
from augmentor.t2t.generator import Generator
from augmentor.tiles import TileStore
from augmentor.together.team import ALONE, Part, Tally, Team

RATE = 5e-3
GOING_ON = 0.3
"""Part of the rates at which what another run learned is learned on from: at all of them much of it is lost
(sag_mprage_64 from a run on other heads, 8,000 parts: 33.58 and 33.47 dB; from nothing 32.79)."""

CLIP = 1.0
"""Largest norm of the gradient."""

NOISE = 2
"""Channels of noise that a sample of what may be in a hole is drawn from; zero for the best guess."""

PASSED_OVER = 0.9
"""Part of the flat windows that nothing is learned from."""

WHOLE = 0.8
"""How often slices of a volume are hidden whole, in training for files that are not known yet."""

OVERCAST = 0.2
"""How often another date of a stack is hidden whole, there; on the file itself, its own dates are as overcast as they
are."""

JUDGED_ON = 256
"""Held-out holes that the gain is fitted on."""

DOUBTED = 2
"""One part in so many is learned as a pair of samples, the others as best guesses: at 2 the best guesses themselves are
0.2 dB better than at 4, and 0.5 dB better than at 16 (stroke_T1, 8,000 parts)."""


class Corrector:
    """Learns to add to the prior what the prior lacks, inside simulated holes.

    Without noise it learns the best guess, by L1; with noise, samples whose spread is how wrong that may be, by the
    energy score. The correction starts at zero, so an untrained network gives the prior. With every checkpoint the
    gain is fitted on ``held_out``; 0 means that the prior was not beaten, and is what fill gives.
    """

    def __init__(
        self,
        schedule: Game,
        facts: Facts,
        seen: Hider,
        held_out: Hidden,
        team: Team = ALONE,
    ) -> None:
        self.schedule = schedule
        self.facts = facts
        self.seen = seen
        self.held_out = held_out
        self.place = place = team.place
        self.team = team
        self.judged: Judged | None = None
        seed = int(seen.random.integers(2**31))
        self.random = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.generator = build_generator(facts).to(place)
        self.average = averaged_copy(self.generator)
        self.optimiser = Muon(self.generator.parameters(), RATE, betas=(0.9, 0.99))
        rates = [group["lr"] for group in self.optimiser.param_groups]
        steps = -(-schedule.images // schedule.batch) + 1
        self.rate = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser, rates, total_steps=steps, pct_start=0.1, cycle_momentum=False
        )

    def start_from(self, run: Run, frozen_stages: int) -> None:
        """Take over the generator of another run; nothing of it is frozen, since there is no discriminator.

        Raises:
            RunError: if nothing in the run fits.
        """
        for network in (self.generator, self.average):
            take_over(network, run.file("generator"))
        self._scale_rates(GOING_ON)

    def step(self, seen: int) -> tuple[str, dict[str, float]]:
        """Fill one batch of hidden parts and learn from what was there."""
        hidden = self.seen.draw(self.schedule.batch)
        told, prior, truth, hole = (torch.from_numpy(a).to(self.place) for a in hidden[:4])
        # The first parts are drawn twice, with noise; the others once, without.
        pairs = len(told) // DOUBTED
        noise = torch.randn(2, pairs, NOISE, *told.shape[2:], generator=self.random).to(self.place)
        valid = hole.float()
        sizes = [pairs, len(told) - pairs]
        doubted, guessed = zip(*(whole.split(sizes) for whole in (told, prior, truth, valid)), strict=True)
        tally = Tally()

        def loss(twice: Part, once: Part) -> Tensor:
            asked, before, wanted, inside = (whole[twice.rows] for whole in doubted)
            told, prior, truth, valid = (whole[once.rows] for whole in guessed)
            without = told.new_zeros(len(told), *noise.shape[2:])
            every = torch.cat([asked, asked, told])
            with quickly(self.place):
                correction = correct(self.generator, every, torch.cat([*noise[:, twice.rows], without]))
            made = torch.cat([before, before, prior]) + correction
            one, two, best = made.split([len(asked), len(asked), len(told)])
            error = masked_l1(best, truth, valid, guessed[-1])
            both = error + energy(one, two, wanted, inside, doubted[-1])
            tally.add(error=error, loss=both)
            return both

        shares = zip(self.team.shares(pairs), self.team.shares(len(told) - pairs), strict=True)
        descend(self.optimiser, (loss(twice, once) for twice, once in shares), CLIP, self.team)
        self.rate.step()
        average_into(self.average, self.generator, self.schedule.batch, half_life=self.schedule.images / 40)
        return "fill", tally.over(self.team)

    def slow_down(self) -> None:
        """Halve the rates from now on."""
        self._scale_rates(0.5)

    def _scale_rates(self, factor: float) -> None:
        for group in self.optimiser.param_groups:
            for bound in ("initial_lr", "max_lr", "min_lr"):
                group[bound] *= factor

    def judge(self) -> Judged:
        """How the averaged network does on what is held out."""
        told = torch.from_numpy(self.held_out.told)
        with torch.inference_mode():
            parts = [correct(self.average, part.to(self.place)).cpu() for part in told.split(self.schedule.batch)]
        return judge(torch.cat(parts).numpy(), self.held_out)

    def examine(self) -> dict[str, float]:
        """How far the averaged network's best guess is off on held-out columns, and the prior's, squared."""
        self.judged = self.judge()
        return {"distance": self.judged.error, "prior": self.judged.prior_error}

    def publish(self, run: Run) -> None:
        """Write the averaged network with its gain on held-out columns."""
        judged = self.judged or self.judge()
        save(run, replace(self.facts, gain=judged.gain), self.average)

    def snapshot(self) -> dict[str, Any]:
        return {
            "generator": self.generator.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "rate": self.rate.state_dict(),
            "hidden": self.seen.random.bit_generator.state,
            "noise": self.random.get_state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.generator.load_state_dict(state["generator"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.rate.load_state_dict(state["rate"])
        self.seen.random.bit_generator.state = state["hidden"]
        self.random.set_state(state["noise"])


def corrector(recipe: Recipe, facts: Facts, store: TileStore, team: Team) -> Corrector:
    """A corrector that learns from the tiles of a store and is judged by those held out.

    Raises:
        TooLittleData: if there is nothing to hide.
    """
    volume = facts.template.kind == "volume"
    hider = partial(Hider, volume=volume, whole=WHOLE if volume else 0.0, overcast=OVERCAST)
    seen = hider(columns(store, facts, held_out=False), seed=recipe.seed, passed_over=PASSED_OVER)
    unseen = hider(columns(store, facts, held_out=True), seed=recipe.seed + 1)
    return Corrector(recipe.game, facts, seen, unseen.draw(JUDGED_ON), team)


def correct(generator: Generator, told: Tensor, noise: Tensor | None = None) -> Tensor:
    """The correction to the prior (B, C, h, w) from what is told (B, K, h, w).

    The best guess without noise; with noise (B, NOISE, h, w), a sample of what may be there.
    """
    if noise is None:
        noise = told.new_zeros(len(told), NOISE, *told.shape[2:])
    latent = told.new_zeros(len(told), generator.latent)
    return generator(latent, told.new_zeros(len(told), 0), torch.cat([told, noise], dim=1))


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
            positions = [store.index[row].position for row in rows]
            found.append(Column.of(np.moveaxis(unit, 0, 1), valid, positions))
    if not found:
        raise TooLittleData(
            "no window is observed well enough to hide parts of it",
            where=store.folder,
            do="give volumes of three slices or more, or clearer scenes",
        )
    return found
