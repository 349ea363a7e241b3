"""Training for ``fill``: parts of what was observed are hidden, and the network corrects the prior there."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from augmentor.adversary.ema import average_into, averaged_copy
from augmentor.adversary.losses import masked_l1
from augmentor.errors import TooLittleData
from augmentor.holes.context import channels
from augmentor.holes.hide import Column, Hider, judge
from augmentor.ingest import ingest
from augmentor.networks import build_generator, device, save_generator
from augmentor.progress import progress
from augmentor.recipe import Recipe
from augmentor.run import Facts, Run
from augmentor.t2t.generator import Generator
from augmentor.tiles import TileStore

RATE = 2e-3

JUDGED_ON = 256
"""Held-out holes that the gain is fitted on."""


def train_fill(recipe: Recipe, runs: Path, run: Run | None) -> Run:
    """Train the generator to add to the prior what the prior lacks, by L1 inside simulated holes.

    The correction starts at zero, so an untrained network gives the prior. In the end the gain is fitted on
    held-out columns; 0 means that the prior was not beaten, and is what fill gives.
    """
    from augmentor.train import check_tile, describe

    place = device(recipe.game.device)
    check_tile(recipe)
    store = ingest(recipe, runs / "tiles")
    facts = describe(recipe, store)
    facts = replace(facts, context=channels(facts.channels), gain=(1.0,) * facts.channels)
    volume = facts.template.kind == "volume"
    seen_columns = Hider(columns(store, facts, held_out=False), volume=volume, seed=recipe.seed)
    unseen_columns = Hider(columns(store, facts, held_out=True), volume=volume, seed=recipe.seed + 1)
    run = run or Run.create(recipe, runs, source=str(recipe.data.path), tiles=store.folder)
    torch.manual_seed(recipe.seed)
    generator = build_generator(facts).to(place)
    average = averaged_copy(generator)
    optimiser = torch.optim.Adam(generator.parameters(), lr=RATE, betas=(0.9, 0.99))
    total, size = recipe.game.images, recipe.game.batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=-(-total // size) + 1)
    began, busy = time.monotonic(), time.process_time()
    with progress(f"train {run.name}", total) as advance:
        for seen in range(size, total + size, size):
            told, prior, truth, hole = (torch.from_numpy(a).to(place) for a in seen_columns.draw(size))
            loss = masked_l1(prior + correct(generator, told), truth, hole.float())
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(generator.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            average_into(average, generator, size, half_life=total / 40)
            if seen // 500 != (seen - size) // 500:
                clocks = {"seconds": time.monotonic() - began, "cpu_seconds": time.process_time() - busy}
                run.log({"images": seen, "act": "fill", "error": loss.item(), **clocks})
            advance(min(seen, total), "fill")
    average.cpu()
    hidden = unseen_columns.draw(JUDGED_ON)
    with torch.inference_mode():
        judged = judge(correct(average, torch.from_numpy(hidden.told)).numpy(), hidden)
    run.log({"images": total, "act": "judged on held-out columns", **judged._asdict()})
    save_generator(run, average, replace(facts, gain=judged.gain))
    return run


def correct(generator: Generator, told: torch.Tensor) -> torch.Tensor:
    """The correction to the prior: the generator at its mean latent, without conditions."""
    noise = told.new_zeros(len(told), generator.latent)
    return generator(noise, torch.zeros(len(told), 0, dtype=torch.long, device=told.device), told)


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
