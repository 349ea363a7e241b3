"""Training for ``fill``: holes are cut into observed columns of slices, and the network corrects the prior."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from augmentor.adversary.ema import average_into, averaged_copy
from augmentor.adversary.losses import masked_l1
from augmentor.errors import TooLittleData
from augmentor.holes.context import Context, channels, look
from augmentor.ingest import ingest
from augmentor.networks import build_generator, device, save_generator
from augmentor.progress import progress
from augmentor.recipe import Recipe
from augmentor.run import Facts, Run
from augmentor.t2t.generator import Generator
from augmentor.tiles import TileStore

RATE = 2e-3
LARGEST_GAP = 3
"""Neighbouring slices hidden together, at most."""

JUDGED_ON = 256
"""Held-out holes that the gain is fitted on."""


def train_fill(recipe: Recipe, runs: Path, run: Run | None) -> Run:
    """Train the generator to add to the prior what the prior lacks, by L1 inside simulated holes.

    The correction starts at zero, so an untrained network gives the prior. In the end a gain in [0, 1] a
    channel is fitted on held-out columns; 0 means that the prior was not beaten, and is what fill gives.
    """
    from augmentor.train import check_tile, describe

    place = device(recipe.game.device)
    check_tile(recipe)
    store = ingest(recipe, runs / "tiles")
    facts = describe(recipe, store)
    facts = replace(facts, context=channels(facts.channels), gain=(1.0,) * facts.channels)
    columns = Columns(store, facts, held_out=False, seed=recipe.seed)
    unseen = Columns(store, facts, held_out=True, seed=recipe.seed + 1)
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
            batch = columns.draw(size)
            correction = correct(generator, batch.told.to(place))
            made = batch.prior.to(place) + correction
            loss = masked_l1(made, batch.truth.to(place), batch.hole.to(place))
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
    gain, figures = fit_gain(average, unseen.draw(JUDGED_ON))
    run.log({"images": total, "act": "judged on held-out columns", **figures})
    save_generator(run, average.cpu(), replace(facts, gain=gain))
    return run


def correct(generator: Generator, told: torch.Tensor) -> torch.Tensor:
    """The correction to the prior: the generator at its mean latent, without conditions."""
    noise = told.new_zeros(len(told), generator.latent)
    return generator(noise, torch.zeros(len(told), 0, dtype=torch.long, device=told.device), told)


class FillBatch:
    """Holes with their truth: ``told`` (B, K, h, w); ``prior`` and ``truth`` (B, C, h, w); ``hole`` (B, 1, h, w)."""

    def __init__(self, contexts: list[Context], truth: list[NDArray[np.float32]], hole: list[NDArray[np.bool_]]) -> None:
        self.told = torch.from_numpy(np.stack([c.told for c in contexts]))
        self.prior = torch.from_numpy(np.stack([c.prior for c in contexts]))
        self.truth = torch.from_numpy(np.stack(truth))
        self.hole = torch.from_numpy(np.stack(hole))[:, None].float()


class Columns:
    """Stored tiles of one window, slice above slice, from which holes are cut."""

    def __init__(self, store: TileStore, facts: Facts, *, held_out: bool, seed: int) -> None:
        groups: dict[tuple[object, ...], list[int]] = defaultdict(list)
        for row in store.rows(held_out):
            origin = store.index[row]
            groups[(origin.scene, origin.window)].append(row)
        self.random = np.random.default_rng(seed)
        self.columns = []
        self.deep = facts.template.kind == "volume"
        self.flat = facts.template.kind == "raster"
        for rows in groups.values():
            pixels, valid = store.load(rows)
            if self.deep and len(rows) < 3:
                continue
            if valid.mean(axis=(1, 2)).max() < 0.5:
                continue
            unit = np.moveaxis(facts.scaling.to_unit(pixels), 0, 1)
            self.columns.append((unit, valid, [store.index[row].position for row in rows]))
        if not self.columns:
            raise TooLittleData(
                "no window is observed well enough to hide parts of it",
                where=store.folder,
                do="give volumes of three slices or more, or clearer scenes",
            )

    def draw(self, size: int) -> FillBatch:
        """``size`` holes at random places."""
        drawn = [self._hole() for _ in range(size)]
        return FillBatch(*(list(part) for part in zip(*drawn, strict=True)))

    def _hole(self) -> tuple[Context, NDArray[np.float32], NDArray[np.bool_]]:
        while True:
            values, valid, positions = self.columns[self.random.integers(len(self.columns))]
            known = valid.copy()
            index, hole = self._hide_slices(known) if self.deep else self._hide_patch(known)
            judged = hole & valid[index]
            if judged.any():
                context = look(values, known, positions, index, hole, match=not self.deep)
                return context, values[:, index], judged

    def _hide_slices(self, known: NDArray[np.bool_]) -> tuple[int, NDArray[np.bool_]]:
        """Hide a run of whole slices inside the column, and choose one of them."""
        count = len(known)
        gap = min(int(self.random.integers(1, LARGEST_GAP + 1)), count - 2)
        first = int(self.random.integers(1, count - gap))
        known[first : first + gap] = False
        return first + int(self.random.integers(gap)), np.ones(known.shape[1:], dtype=bool)

    def _hide_patch(self, known: NDArray[np.bool_]) -> tuple[int, NDArray[np.bool_]]:
        """Hide the shape of another date's clouds, moved, or a blob, in one slice."""
        index = int(self.random.integers(len(known)))
        height, width = known.shape[1:]
        cloudy = [s for s in range(len(known)) if 0.05 < 1 - known[s].mean() < 0.95]
        if cloudy and self.random.random() < 0.7:
            hole = ~known[cloudy[self.random.integers(len(cloudy))]]
            hole = np.roll(hole, self.random.integers((height, width)), axis=(0, 1))
        else:
            rows, columns = np.ogrid[:height, :width]
            centre = self.random.random(2) * (height, width)
            radii = self.random.uniform(0.15, 0.6, 2) * (height, width)
            hole = ((rows - centre[0]) / radii[0]) ** 2 + ((columns - centre[1]) / radii[1]) ** 2 < 1
        # Now and then whole neighbours are hidden too, as overcast dates would be.
        for other in range(len(known)):
            if other != index and self.random.random() < 0.2:
                known[other] = False
        known[index] &= ~hole
        return index, hole


@torch.no_grad()
def fit_gain(generator: Generator, batch: FillBatch) -> tuple[tuple[float, ...], dict[str, float]]:
    """How much of the correction to apply, a channel: clip(<t - P, R> / |R|², 0, 1) on unseen holes."""
    place = next(generator.parameters()).device
    correction = correct(generator, batch.told.to(place)).cpu() * batch.hole
    wanted = (batch.truth - batch.prior) * batch.hole
    strength = (correction * wanted).sum(dim=(0, 2, 3)) / correction.square().sum(dim=(0, 2, 3)).clamp(min=1e-12)
    gain = strength.clamp(0, 1)
    left = (wanted - gain[:, None, None] * correction).square().sum() / batch.hole.sum()
    was = wanted.square().sum() / batch.hole.sum()
    figures = {"prior_mse": was.item(), "filled_mse": left.item(), "gain": gain.mean().item()}
    return tuple(gain.tolist()), figures
